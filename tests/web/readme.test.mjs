// The examples of the READMEs, run as they stand against a server: only the address is another.
import { readFileSync } from 'node:fs';
import { assert, test } from './harness.mjs';

for (const readme of ['README.md', 'pkg/README.md']) {
  test(`the example of ${readme} connects, sends and shows what comes`, async (t) => {
    const [, example] = /```js\n(.*?)```/s.exec(readFileSync(new URL(`../../${readme}`, import.meta.url), 'utf8'));
    assert.ok(example.trim().split('\n').length <= 14, 'a short example');
    await t.page.route('**/token', (route) => route.fulfill({ body: 'a-fresh-token' }));
    await t.page.goto(`${t.peer.http}/tests/web/blank.html`);
    const shown = t.page.waitForEvent('console', (line) => line.text().startsWith('message.new'));
    // Where another step fails first, that is what is told.
    shown.catch(() => {});
    const before = t.peer.connections.length;
    await t.page.addScriptTag({ type: 'module', content: example.replace(/https:\/\/(chat\.)?example\.com/, t.peer.ws) });
    const connection = () => t.peer.connections.at(-1);
    await t.peer.until((all) => all.length > before && all.at(-1).received.some((text) => text.includes('typing.start')));
    assert.equal(connection().auth.token, 'a-fresh-token');
    connection().say('{"type":"message.new","text":"hello"}');
    await shown;
    assert.deepEqual(JSON.parse(connection().received.at(-1)), { type: 'typing.start' });
  });
}
