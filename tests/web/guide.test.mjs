// The examples of the guide for JavaScript, each run to its end as it stands: only the address is another.
import { readFileSync } from 'node:fs';
import { assert, test } from './harness.mjs';

const guide = readFileSync(new URL('../../docs/JAVASCRIPT.md', import.meta.url), 'utf8');
const examples = [...guide.matchAll(/^## (.*)\n[^]*?```js\n([^]*?)```/gm)];

test('the guide for JavaScript has an example for each of its subjects', () => assert.ok(examples.length >= 6, `${examples.length}`));

for (const [, subject, example] of examples) {
  test(`the example of the guide for JavaScript runs: ${subject}`, async (t) => {
    await t.page.route('**/token', (route) => route.fulfill({ body: 'a-fresh-token' }));
    await t.page.goto(`${t.peer.http}/tests/web/blank.html`);
    const code = example.replaceAll('https://example.com', t.peer.ws).replace("'everwire/tabs'", "'/pkg/tabs.js'");
    await t.page.addScriptTag({ type: 'module', content: `${code}\nglobalThis.ran = true;` });
    await t.page.waitForFunction(() => globalThis.ran);
  });
}
