// Measures the package against a plain `WebSocket` with `JSON.parse` and a `Map`, in one browser, in one run:
// node tests/web/bench.mjs [--check] [--firefox] [--handler | --socket]
// (--check: fails above the budgets; --firefox: in Firefox, not in Chromium; the others: one of the two alone)
//
// "socket": the processor time of the page's process through a real socket (in Firefox the time of the clock, as it tells no other).
// "handler": a WebSocket class that plays events, so that what the page does is measured alone, by the clock; each event is a task
// of its own there too, with its microtasks, as the browser does it.
import { launch } from './browser.mjs';
import { launchFirefox } from './firefox.mjs';
import { FRAMES } from './frames.mjs';
import { startPeer } from './peer.mjs';

const ROUNDS = Number(process.env.ROUNDS ?? 15);
const KINDS = ['socket', 'handler'].filter((kind) => process.argv.includes(`--${kind}`) || !process.argv.some((word) => /^--(socket|handler)$/.test(word)));
const BUDGET = { socket: 1.05, handler: 1.3 };
const COUNTS = { socket: 10_000, handler: 40_000 };

const peer = await startPeer();
const { measure, stop } = await (process.argv.includes('--firefox') ? inFirefox : inChromium)(`${peer.http}/tests/web/blank.html`);

const rows = [];
for (const kind of KINDS) {
  for (const [size, frames] of Object.entries(FRAMES)) {
    const times = { plain: [], everwire: [], 'everwire, nobody listens': [] };
    const clients = Object.keys(times);
    for (let round = -1; round < ROUNDS; round += 1) {
      // Each is first as often as the others.
      clients.push(clients.shift());
      for (const client of clients) {
        const { clock, processor } = await measure({ kind, client, frames, count: COUNTS[kind], url: peer.ws });
        if (round >= 0) times[client].push(kind === 'socket' && processor ? processor : clock);
      }
    }
    for (const client of Object.keys(times)) {
      const ratios = times[client].map((time, round) => time / times.plain[round]);
      rows.push({ kind, size, client, micros: median(times[client]), ratio: median(ratios) });
    }
  }
}
await stop();
await peer.stop();

async function inChromium(url) {
  const browser = await launch(['--enable-precise-memory-info', '--disable-renderer-backgrounding']);
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(error.message));
  await page.goto(url);
  await page.waitForFunction(() => globalThis.everwire !== undefined);
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Performance.enable');
  await page.exposeFunction('processor', async () => {
    const { metrics } = await devtools.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'ProcessTime').value * 1e6;
  });
  await page.addScriptTag({ url: '/tests/web/bench-page.js' });
  const measure = async (args) => {
    // What one has left behind is not swept up at the cost of the next.
    await devtools.send('HeapProfiler.collectGarbage');
    return page.evaluate((args) => globalThis.measure(args), args);
  };
  return { measure, stop: () => browser.close() };
}

async function inFirefox(url) {
  const { newPage, stop } = await launchFirefox();
  const page = await newPage(url);
  await page.until(() => globalThis.everwire !== undefined);
  await page.run(() => new Promise((resolve) => {
    const script = Object.assign(document.createElement('script'), { src: '/tests/web/bench-page.js', onload: () => resolve() });
    document.head.append(script);
  }));
  return { measure: (args) => page.run((args) => globalThis.measure(args), args), stop };
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

console.log('in the browser: µs per event, and the ratio to a plain WebSocket with JSON.parse and a Map (medians of', ROUNDS, 'rounds)');
for (const { kind, size, client, micros, ratio } of rows) {
  console.log(kind.padEnd(9), size.padEnd(7), client.padEnd(26), micros.toFixed(2).padStart(8), ratio.toFixed(2).padStart(7));
}
const over = rows.filter(({ kind, client, ratio }) => client === 'everwire' && ratio > BUDGET[kind]);
for (const { kind, size, ratio } of over) console.log(`over the budget: ${kind} ${size} ${ratio.toFixed(2)} > ${BUDGET[kind]}`);
if (process.argv.includes('--check') && over.length > 0) process.exit(1);
