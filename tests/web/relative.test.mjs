// Addresses that are relative to the page: in a page, a frame, a worker, a worker made of a blob, and where there is none.
import { createClient } from '../../pkg/dist/node.js';
import { assert, inPage, test } from './harness.mjs';

/** Where a client dials for each address, by the first step of its life. */
const DIALS = async ({ createClient }, { urls, ...more }) => {
  const dialled = [];
  for (const url of urls) {
    const client = await createClient({ url, reconnect: false, ...more }).catch((error) => error);
    if (!client.connect) {
      dialled.push(`${client.code} ${client.path}`);
      continue;
    }
    client.onLifecycle((step) => step.type === 'connecting' && dialled.push(step.url));
    await client.connect().catch(() => {});
    await client.close();
  }
  return dialled;
};

const URLS = ['/ws', 'ws', '../ws?a=1', '?b=1', '//127.0.0.1:9/x', 'ws://127.0.0.1:9/y', '', 'http://'];

const expected = (host, folder) => [
  `ws://${host}/ws`, `ws://${host}${folder}ws`, `ws://${host}${folder.replace(/[^/]+\/$/, '')}ws?a=***`, `ws://${host}${folder}blank.html?b=***`,
  'ws://127.0.0.1:9/x', 'ws://127.0.0.1:9/y', 'config url', 'config url',
];

test('relative addresses: in a page they are those of the page, or of its base', async (t) => {
  const host = t.peer.http.slice('http://'.length);
  assert.deepEqual(await inPage(t, DIALS, { urls: URLS, dialect: 'raw' }), expected(host, '/tests/web/'));
  await t.page.evaluate(() => document.head.append(Object.assign(document.createElement('base'), { href: '/an/other/' })));
  assert.deepEqual(await inPage(t, DIALS, { urls: ['/ws', 'ws'], dialect: 'raw' }), [`ws://${host}/ws`, `ws://${host}/an/other/ws`]);
  // A dialect may have a path of its own.
  const params = { api_key: 'key', user_id: 'alice' };
  const [stream] = await inPage(t, DIALS, { urls: ['/anything'], token: 'token', params });
  assert.ok(stream.startsWith(`ws://${host}/api/v2/connect?`), stream);
}, { complaints: ['WebSocket connection to'] });

test('relative addresses: in a worker they are those of its script, and of the origin where that is a blob', async (t) => {
  const host = t.peer.http.slice('http://'.length);
  await inPage(t, async () => {});
  const ask = (blob) => t.page.evaluate(async ({ run, given, blob, from }) => {
    const code = `const everwire = await import('${from}/pkg/index.js'); postMessage(await (${run})(everwire, ${JSON.stringify(given)}));`;
    const url = blob ? URL.createObjectURL(new Blob([code], { type: 'text/javascript' })) : '/tests/web/worker.js';
    const worker = new Worker(url, { type: 'module' });
    return new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
  }, { run: String(DIALS), given: { urls: ['/ws', 'ws'], dialect: 'raw' }, blob, from: t.peer.http });
  assert.deepEqual(await ask(true), [`ws://${host}/ws`, `ws://${host}/ws`]);
  await t.page.route('**/tests/web/worker.js', (route) => route.fulfill({
    contentType: 'text/javascript',
    body: `import('/pkg/index.js').then(async (everwire) => postMessage(await (${DIALS})(everwire, ${JSON.stringify({ urls: ['/ws', 'ws'], dialect: 'raw' })})));`,
  }));
  assert.deepEqual(await ask(false), [`ws://${host}/ws`, `ws://${host}/tests/web/ws`]);
});

test('relative addresses: tabs share by the address that is meant, and a program without a page is told', async (t) => {
  const shares = await inPage(t, async (_, { ws, ...given }) => {
    const { createSharedClient } = await import('/pkg/tabs.js');
    const [first, second] = [await createSharedClient({ ...given, url: '/' }), await createSharedClient({ ...given, url: ws })];
    await first.connect();
    await second.connect();
    const leads = [first.leader, second.leader];
    await second.close();
    await first.close();
    return leads;
  }, { ws: t.peer.http, token: 'token', params: { api_key: 'relative', user_id: 'alice' } });
  assert.deepEqual(shares, [true, false]);
  const error = await createClient({ url: '/ws' }).catch((error) => error);
  assert.deepEqual([error.code, error.path], ['config', 'url']);
  assert.match(error.message, /a relative one needs a page's address/);
});
