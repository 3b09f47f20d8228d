// The public API of the package against what was accepted: `node tests/web/api.mjs` accepts a change.
import { readFile } from 'node:fs/promises';
import { ACCEPTED, api } from './api.mjs';
import { assert, test } from './harness.mjs';

test('N-11: the public API is what was accepted last', async () => {
  assert.equal(await api(), await readFile(ACCEPTED, 'utf8'));
});
