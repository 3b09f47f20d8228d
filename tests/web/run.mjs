// Runs the browser tests: node tests/web/run.mjs [words that the names of the wanted tests contain]
// EVERWIRE names the program whose embedded server is tested; default target/debug/everwire.
import { launch } from './browser.mjs';
import { launchFirefox } from './firefox.mjs';
import { startPeer } from './peer.mjs';
import { startDemo, startEmbedded, startPython } from './servers.mjs';
import { tests } from './harness.mjs';
import './api.test.mjs';
import './package.test.mjs';
import './foreign.test.mjs';
import './backpressure.test.mjs';
import './codec.test.mjs';
import './edge.test.mjs';
import './far-ends.test.mjs';
import './firefox.test.mjs';
import './legal.test.mjs';
import './life.test.mjs';
import './manners.test.mjs';
import './memory.test.mjs';
import './outgoing.test.mjs';
import './once.test.mjs';
import './page.test.mjs';
import './packaging.test.mjs';
import './proxies.test.mjs';
import './react.test.mjs';
import './pitfalls.test.mjs';
import './guide.test.mjs';
import './readme.test.mjs';
import './relative.test.mjs';
import './start.test.mjs';
import './tabs.test.mjs';
import './tabs-life.test.mjs';
import './testing.test.mjs';
import './timers.test.mjs';
import './types.test.mjs';
import './whole.test.mjs';

const TIME_LIMIT = 30_000;

const wanted = process.argv.slice(2).join(' ').toLowerCase();
const browser = await launch();
const peer = await startPeer();
const servers = { peer, embedded: lazy(startEmbedded), demo: lazy(startDemo), python: lazy(startPython), firefox: lazy(launchFirefox) };
let failed = 0;
let passed = 0;

for (const test of tests) {
  if (!test.name.toLowerCase().includes(wanted)) continue;
  const started = performance.now();
  try {
    await one(test);
    passed += 1;
    console.log(`ok   ${test.name} (${Math.round(performance.now() - started)} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${test.name}\n     ${String(error.stack ?? error).replaceAll('\n', '\n     ')}`);
  }
}

await browser.close();
await servers.embedded.stop();
await servers.demo.stop();
await servers.python.stop();
await servers.firefox.stop();
await peer.stop();
// The line that cargo's tests end with too.
console.log(`test result: ${failed === 0 ? 'ok' : 'FAILED'}. ${passed} passed; ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

/** Runs a test in a page of its own. What the page's console reports as an error fails it, unless it is expected. */
async function one(test) {
  const context = await browser.newContext(test.context ?? {});
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  try {
    await within(TIME_LIMIT, test.run({ page, context, browser, ...servers, complaints }));
    const unexpected = complaints.filter((text) => !(test.complaints ?? []).some((expected) => text.includes(expected)));
    if (unexpected.length > 0) throw new Error(`the page's console has errors: ${unexpected.join(' | ')}`);
    for (const expected of test.complaints ?? []) {
      if (!complaints.some((text) => text.includes(expected))) throw new Error(`missing in the page's console: ${expected}`);
    }
  } finally {
    await context.close();
  }
}

async function within(millis, work) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${millis} ms`)), millis);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** A server that is started by the first test that wants it. */
function lazy(start) {
  let running;
  const get = () => (running ??= start());
  get.stop = async () => (await running)?.stop();
  return get;
}
