// Measures whether memory grows: node tests/web/memory.mjs [events] [reconnects]   (default: 5,000,000 and 1,000)
//
// The events are played by a WebSocket class in the page, the reconnects are those of a real socket that the server breaks.
// Before each reading all garbage is collected.
import { pathToFileURL } from 'node:url';
import { FRAMES } from './frames.mjs';

/** So many come one after the other, each a new string, before the next so many are made. */
const AT_ONCE = 20_000;

/** Gives what the page holds after a warm-up, and after all of it: bytes of the module's memory and of JavaScript's heap. */
export async function measureMemory({ page, peer, events, reconnects }) {
  await page.goto(`${peer.http}/tests/web/blank.html`);
  await page.waitForFunction(() => globalThis.everwire !== undefined);
  await page.addScriptTag({ url: '/tests/web/bench-page.js' });
  const devtools = await page.context().newCDPSession(page);
  const reading = async () => {
    await devtools.send('HeapProfiler.collectGarbage');
    const { usedSize } = await devtools.send('Runtime.getHeapUsage');
    return { wasm: await page.evaluate(moduleMemory), heap: usedSize };
  };
  const play = async (count) => {
    for (const frames of Object.values(FRAMES)) {
      await page.evaluate((args) => globalThis.playMany(args), { frames, count: count / 2, atOnce: AT_ONCE, url: peer.ws });
    }
  };
  const reconnect = (count) => page.evaluate((args) => globalThis.reconnectOften(args), { count, url: peer.ws });
  await play(4 * AT_ONCE);
  await reconnect(20);
  const before = await reading();
  await play(events);
  const played = await reading();
  await reconnect(reconnects);
  return { before, played, after: await reading() };
}

/** The size of the module's memory; runs in the page. */
export async function moduleMemory() {
  const { default: init } = await import('/pkg/dist/everwire.js');
  return (await init()).memory.buffer.byteLength;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [events = 5_000_000, reconnects = 1000] = process.argv.slice(2).filter((word) => /^\d+$/.test(word)).map(Number);
  const { launch } = await import('./browser.mjs');
  const { startPeer } = await import('./peer.mjs');
  const [peer, browser] = [await startPeer(), await launch()];
  const page = await browser.newPage();
  const { before, played, after } = await measureMemory({ page, peer, events, reconnects });
  await browser.close();
  await peer.stop();
  const line = (name, { wasm, heap }) => console.log(name.padEnd(34), String(wasm / 1024).padStart(12), (heap / 1024).toFixed(0).padStart(12));
  console.log('KiB'.padEnd(34), 'wasm memory'.padStart(12), 'JS heap'.padStart(12));
  line('after a warm-up', before);
  line(`after ${events.toLocaleString('en')} events`, played);
  line(`and ${reconnects.toLocaleString('en')} reconnects`, after);
}
