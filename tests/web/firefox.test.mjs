// The package in Firefox, where there is one: `scripts/setup firefox` installs Debian's.
import { assert, inFirefox, options } from './harness.mjs';

/** A page with a connected client: `globalThis.client`, and what it heard: `globalThis.heard`. */
async function open(t, more, { path = '/tests/web/blank.html', timer = false } = {}) {
  const browser = await t.firefox();
  const page = await browser.newPage(`${t.peer.http}${path}`);
  await page.until(() => globalThis.everwire !== undefined);
  await page.run(async ({ options, timer }) => {
    if (timer) options.timer = (await import('/pkg/worker-timer.js')).workerTimer;
    globalThis.client = await globalThis.everwire.connect(options);
    globalThis.heard = [];
    globalThis.client.on('message.*', (event, type) => globalThis.heard.push([type, event.text]));
  }, { options: { ...options(t.peer), backoffBase: 20, ...more }, timer });
  return { browser, page, connection: t.peer.connections.at(-1) };
}

const connected = (page) => page.until(() => globalThis.client.state === 'connected');
const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

inFirefox('connects, hears events, sends, and closes with 1000', async (t) => {
  const { page, connection } = await open(t);
  assert.match(await page.run(() => navigator.userAgent), /Firefox/);
  connection.say('{"type":"message.new","text":"héllo ⚡"}');
  connection.say('{"text":"late","type":"message.read"}');
  connection.say('{"type":"other"}');
  await page.until(() => globalThis.heard.length === 2);
  assert.deepEqual(await page.run(() => globalThis.heard), [['message.new', 'héllo ⚡'], ['message.read', 'late']]);
  await page.run(async () => {
    await globalThis.client.send({ type: 'typing.start' });
    await globalThis.client.close();
  });
  await t.peer.until(() => connection.closed);
  assert.deepEqual([connection.received.at(-1), connection.closed], ['{"type":"typing.start"}', { code: 1000, reason: 'client disconnect' }]);
  assert.equal(await page.run(async () => (await globalThis.client.closed).type), 'by-user');
});

inFirefox('reconnects after a drop with the same listeners, and fetches a token anew that has expired', async (t) => {
  const { page, connection } = await open(t);
  connection.drop();
  await t.peer.until((all) => all.at(-1) !== connection && all.at(-1).auth);
  await connected(page);
  t.peer.connections.at(-1).say('{"type":"message.new","text":"once"}');
  await page.until(() => globalThis.heard.length > 0);
  assert.deepEqual(await page.run(() => globalThis.heard), [['message.new', 'once']]);
  assert.deepEqual(await page.run(() => globalThis.client.reconnectLog().map(({ reason }) => reason)), ['the connection broke']);
  const fetched = await page.run(async (options) => {
    const tokens = ['expired', 'fresh'];
    const client = await globalThis.everwire.connect({ ...options, backoffBase: 10, token: async () => tokens.shift() });
    const { tokenFetches } = client.stats();
    await client.close();
    return tokenFetches;
  }, options(t.peer));
  assert.equal(fetched, 2);
});

inFirefox('N-4: without a network no dial is made, and none is needed to know when it is back', async (t) => {
  const { page, connection } = await open(t, { maxAttempts: 2 });
  const before = t.peer.connections.length;
  await page.online(false);
  connection.drop();
  await page.until(() => globalThis.client.state === 'backing-off');
  await pause(500);
  assert.equal(t.peer.connections.length, before);
  await page.online(true);
  await connected(page);
  assert.equal(t.peer.connections.length, before + 1);
});

inFirefox('N-4: a hidden page keeps its connection and makes no tries', async (t) => {
  const { browser, page, connection } = await open(t, { maxAttempts: 2 });
  const before = t.peer.connections.length;
  const other = await browser.newPage('about:blank');
  await other.show();
  await page.until(() => document.hidden);
  assert.equal(await page.run(() => globalThis.client.state), 'connected');
  connection.drop();
  await page.until(() => globalThis.client.state === 'backing-off');
  await pause(500);
  assert.equal(t.peer.connections.length, before);
  await page.show();
  await connected(page);
  assert.equal(t.peer.connections.length, before + 1);
});

/** Leaves a page and goes back to it; it must have been kept. */
async function leaveAndReturn(t, page) {
  await page.run(() => addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted)));
  await page.go(`${t.peer.http}/tests/web/blank.html?elsewhere`);
  await page.back();
  await page.until(() => globalThis.persisted);
}

inFirefox('N-4: a page that waits for its next try is kept, and connects at once when one goes back', async (t) => {
  const { page, connection } = await open(t, { backoffBase: 60_000, backoffCap: 60_000 });
  const before = t.peer.connections.length;
  connection.drop();
  await page.until(() => globalThis.client.state === 'backing-off');
  await leaveAndReturn(t, page);
  await connected(page);
  assert.equal(t.peer.connections.length, before + 1);
});

inFirefox('N-4, pitfall 3: a page that one goes back to does not connect a client that was closed', async (t) => {
  const { page } = await open(t);
  const before = t.peer.connections.length;
  await page.run(() => globalThis.client.close());
  await leaveAndReturn(t, page);
  await pause(300);
  assert.deepEqual([t.peer.connections.length, await page.run(() => globalThis.client.state)], [before, 'closed']);
});

inFirefox('N-4: a page with an open socket is not kept, and its server is told at once', async (t) => {
  const { page, connection } = await open(t);
  await page.go(`${t.peer.http}/tests/web/blank.html?elsewhere`);
  await t.peer.until(() => connection.closed);
  // Firefox decides this before the page is told, and says 1001 itself.
  assert.ok([1000, 1001].includes(connection.closed.code), `${connection.closed.code}`);
  await page.back();
  await page.until(() => location.search === '' && globalThis.everwire !== undefined && globalThis.client === undefined);
});

inFirefox('N-5: health checks of a hidden page leave on time with workerTimer', async (t) => {
  const { browser, page, connection } = await open(t, { healthCheckInterval: 200, silenceTimeout: 5000 }, { timer: true });
  const other = await browser.newPage('about:blank');
  await other.show();
  await page.until(() => document.hidden);
  const before = connection.received.length;
  await pause(3000);
  const checks = connection.received.length - before;
  assert.ok(checks >= 9, `${checks} health checks`);
});

inFirefox('N-5: where a policy forbids the worker, the page has its own timers and no error', async (t) => {
  const { page } = await open(t, { healthCheckInterval: 50 }, { path: '/strict/tests/web/blank.html', timer: true });
  await page.run(() => new Promise((resolve) => globalThis.client.once('health.check', resolve)));
  await page.run(() => globalThis.client.close());
});
