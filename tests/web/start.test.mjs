// How soon a page is connected. Times are generous: a busy machine lengthens them, and nothing shortens them.
import { assert, test } from './harness.mjs';
import { measureStarts } from './start.mjs';

test('a fresh page is connected soon, compiles the module while it comes, and no task blocks it for long', async (t) => {
  const { fastest, shortest, streamed, types } = await measureStarts({ browser: t.browser, peer: t.peer, pages: 3 });
  assert.ok(streamed, 'by WebAssembly.instantiateStreaming alone');
  assert.deepEqual(types, ['application/wasm']);
  assert.ok(fastest < 500, `${fastest} ms from the import to the hello`);
  assert.ok(shortest <= 50, `a task of ${shortest} ms in every page`);
});
