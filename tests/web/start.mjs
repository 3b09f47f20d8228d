// Measures how long a page takes from the import of the package to the server's hello, beside a plain `WebSocket`:
// node tests/web/start.mjs [pages]   (default: 15 fresh pages each, one after the other, medians)
import { pathToFileURL } from 'node:url';

/** Opens a fresh page, which imports the package and connects, or does so with a plain socket; gives the times it took, in ms. */
export async function measureStart({ browser, peer, client }) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    let type;
    page.on('response', (response) => {
      if (response.url().endsWith('.wasm')) type = response.headers()['content-type'];
    });
    await page.goto(`${peer.http}/tests/web/start.html`);
    return { ...(await page.evaluate((args) => globalThis.start(args), { client, url: peer.ws })), type };
  } finally {
    await context.close();
  }
}

export const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** The same with so many pages each, in turns: the medians, the longest task of all, and how the module was compiled. */
export async function measureStarts({ browser, peer, pages }) {
  const runs = { plain: [], everwire: [] };
  for (let round = -1; round < pages; round += 1) {
    for (const client of Object.keys(runs)) {
      const run = await measureStart({ browser, peer, client });
      if (round >= 0) runs[client].push(run);
    }
  }
  const { plain, everwire } = runs;
  return {
    plain: median(plain.map(({ hello }) => hello)),
    loaded: median(everwire.map(({ loaded }) => loaded)),
    made: median(everwire.map(({ made }) => made)),
    everwire: median(everwire.map(({ hello }) => hello)),
    longTasks: everwire.flatMap(({ longTasks }) => longTasks),
    fastest: Math.min(...everwire.map(({ hello }) => hello)),
    /** The longest task, in the page that was best off. */
    shortest: Math.min(...everwire.map(({ longTasks }) => Math.max(0, ...longTasks))),
    streamed: everwire.every(({ calls }) => calls.join() === 'instantiateStreaming'),
    types: [...new Set(everwire.map(({ type }) => type))],
  };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { launch } = await import('./browser.mjs');
  const { startPeer } = await import('./peer.mjs');
  const [peer, browser] = [await startPeer(), await launch()];
  const pages = Number(process.argv[2] ?? 15);
  const { plain, loaded, made, everwire, longTasks, streamed, types } = await measureStarts({ browser, peer, pages });
  await browser.close();
  await peer.stop();
  console.log(`ms, medians of ${pages} fresh pages each`);
  for (const [name, time] of Object.entries({
    'plain WebSocket: to the hello': plain,
    'everwire: imported': loaded,
    'everwire: module loaded, client made': made,
    'everwire: to the hello': everwire,
  })) console.log(name.padEnd(40), time.toFixed(1).padStart(8));
  console.log(`tasks over 50 ms: ${longTasks.length === 0 ? 'none' : longTasks.map((time) => time.toFixed(0))}`);
  console.log(`compiled while it came: ${streamed ? 'yes' : 'no'} (${types})`);
}
