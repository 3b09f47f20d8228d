// How soon a page is connected. Times are generous: a busy machine lengthens them, and nothing shortens them.
import { assert, options, test } from './harness.mjs';
import { measureStarts } from './start.mjs';

test('a fresh page is connected soon, compiles the module while it comes, and no task blocks it for long', async (t) => {
  const { fastest, shortest, streamed, types } = await measureStarts({ browser: t.browser, peer: t.peer, pages: 3 });
  assert.ok(streamed, 'by WebAssembly.instantiateStreaming alone');
  assert.deepEqual(types, ['application/wasm']);
  assert.ok(fastest < 500, `${fastest} ms from the import to the hello`);
  assert.ok(shortest <= 50, `a task of ${shortest} ms in every page`);
});

test('what a page fetches ahead is used, and nothing is fetched twice', async (t) => {
  const asked = [];
  t.page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await t.page.goto(`${t.peer.http}/tests/web/preload.html`);
  const ahead = asked.length;
  const state = await t.page.evaluate(async (options) => {
    const { connect } = await import('/pkg/index.js');
    const client = await connect(options);
    const { state } = client;
    await client.close();
    return state;
  }, options(t.peer));
  assert.equal(state, 'connected');
  assert.deepEqual(asked.slice(ahead), []);
  assert.equal(asked.filter((path) => path.endsWith('.wasm')).length, 1);
});
