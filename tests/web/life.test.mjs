// The life of a page: without a network, hidden, frozen, left and come back to. Driven through the DevTools protocol.
import { launchBare } from './bare.mjs';
import { assert, inPage, options, test } from './harness.mjs';

/** A client that tells what happens to it: `globalThis.client`, `globalThis.steps`. */
async function watched(t, more) {
  await inPage(t, async ({ connect }, options) => {
    globalThis.client = await connect(options);
    globalThis.steps = [];
    globalThis.client.onLifecycle((step) => globalThis.steps.push(step.type === 'state' ? step.new : step.type));
  }, { ...options(t.peer), backoffBase: 20, ...more });
}

/** The same in a browser in which pages can be hidden and kept. */
async function inBare(t, run, more) {
  const browser = await launchBare();
  try {
    const page = await browser.newPage(`${t.peer.http}/tests/web/blank.html`);
    await page.until(() => globalThis.everwire !== undefined);
    await page.run(async (options) => {
      globalThis.client = await globalThis.everwire.connect(options);
      globalThis.steps = [];
      globalThis.client.onLifecycle((step) => globalThis.steps.push(step.type === 'state' ? step.new : step.type));
    }, { ...options(t.peer), backoffBase: 20, maxAttempts: 2, ...more });
    await run(browser, page);
  } finally {
    await browser.close();
  }
}

const connected = (t) => t.page.waitForFunction(() => globalThis.client.state === 'connected');
// Pitfall 6
test('N-4: without a network no dial is made, and none is needed to know when it is back', async (t) => {
  await watched(t, { maxAttempts: 2 });
  const before = t.peer.connections.length;
  await t.page.context().setOffline(true);
  t.peer.connections.at(-1).drop();
  await t.page.waitForFunction(() => globalThis.client.state === 'backing-off');
  // Longer than all the tries together would take.
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.deepEqual([t.peer.connections.length, await t.page.evaluate(() => globalThis.client.state)], [before, 'backing-off']);
  await t.page.context().setOffline(false);
  await connected(t);
  assert.equal(t.peer.connections.length, before + 1);
});

test('N-4: a hidden page keeps its connection and makes no tries', async (t) => {
  await inBare(t, async (browser, page) => {
    const before = t.peer.connections.length;
    const other = await browser.newPage('about:blank');
    await other.show();
    await page.until(() => document.hidden);
    assert.equal(await page.run(() => globalThis.client.state), 'connected');
    t.peer.connections.at(-1).drop();
    await page.until(() => globalThis.client.state === 'backing-off');
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(t.peer.connections.length, before);
    await page.show();
    await page.until(() => globalThis.client.state === 'connected');
    assert.equal(t.peer.connections.length, before + 1);
  });
});

test('N-4: a page that is left closes its socket, is kept by the browser, and goes on when one goes back', async (t) => {
  await inBare(t, async (browser, page) => {
    const left = t.peer.connections.at(-1);
    await page.run(() => addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted)));
    await page.send('Page.navigate', { url: `${t.peer.http}/tests/web/blank.html?elsewhere` });
    await page.until(() => location.search === '?elsewhere' && globalThis.everwire !== undefined);
    await t.peer.until(() => left.closed);
    assert.deepEqual(left.closed, { code: 1000, reason: 'the page was left' });
    await page.run(() => history.back());
    await page.until(() => globalThis.persisted);
    await page.until(() => globalThis.client.state === 'connected');
    const reasons = await page.run(() => globalThis.steps);
    assert.deepEqual(reasons.filter((step) => ['disconnected', 'connected'].includes(step)), ['disconnected', 'disconnected', 'connected', 'connected']);
  });
});

test('N-4, pitfall 3: a page that one goes back to does not connect a client that was closed', async (t) => {
  await inBare(t, async (browser, page) => {
    await page.run(() => globalThis.client.close());
    const before = t.peer.connections.length;
    await page.run(() => addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted)));
    await page.send('Page.navigate', { url: `${t.peer.http}/tests/web/blank.html?elsewhere` });
    await page.until(() => location.search === '?elsewhere' && globalThis.everwire !== undefined);
    await page.run(() => history.back());
    await page.until(() => globalThis.persisted);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual([t.peer.connections.length, await page.run(() => globalThis.client.state)], [before, 'closed']);
  });
});

test('N-5, pitfalls 1 and 2: a page that was frozen gives no live connection up, and is connected again at once', async (t) => {
  await inBare(t, async (browser, page) => {
    const before = t.peer.connections.length;
    const received = () => t.peer.connections.at(-1).received.length;
    const other = await browser.newPage('about:blank');
    await other.show();
    await page.until(() => document.hidden);
    await page.send('Page.setWebLifecycleState', { state: 'frozen' });
    const asked = received();
    // Longer than the silence that it stands.
    await new Promise((resolve) => setTimeout(resolve, 4500));
    assert.ok(received() <= asked + 1, 'its timers run');
    await page.send('Page.setWebLifecycleState', { state: 'active' });
    await page.show();
    // Chromium itself may break the socket of a page that it freezes: then there is another. What must not be is that the
    // client takes its own late timers for a silent server.
    await page.until(() => globalThis.client.state === 'connected');
    const reasons = await page.run(() => globalThis.client.reconnectLog().map(({ reason }) => reason));
    assert.ok(reasons.length <= 1 && reasons.every((reason) => reason === 'the connection broke'), `${reasons}`);
    assert.equal(t.peer.connections.length, before + reasons.length);
  }, { healthCheckInterval: 300, silenceTimeout: 1400 });
});

// A grant that lets events pass the session by ends when something is due, however long the turn was in which it was given.
test('N-5, N-11: in a page whose timers never fire, an event that passes by otherwise has a health check leave when it is due', async (t) => {
  await inPage(t, async ({ createClient }, options) => {
    globalThis.setTimeout = () => 0;
    const client = await createClient(options);
    let begin;
    client.on('connection.ok', () => {
      begin = performance.now();
      while (performance.now() - begin < 1500);
    });
    globalThis.heard = 0;
    client.on('tick', () => (globalThis.heard += 1));
    const write = WebSocket.prototype.send;
    globalThis.checked = new Promise((resolve) => {
      WebSocket.prototype.send = function send(text) {
        if (text.includes('health.check')) resolve(performance.now() - begin);
        write.call(this, text);
      };
    });
    await client.connect();
  }, options(t.peer, { healthCheckInterval: 2000 }));
  const connection = t.peer.connections.at(-1);
  const ticks = setInterval(() => connection.say('{"type":"tick"}'), 20);
  const { after, heard } = await t.page.evaluate(async () => ({ after: await globalThis.checked, heard: globalThis.heard }));
  clearInterval(ticks);
  assert.ok(heard > 3, `${heard} events came before`);
  assert.ok(after >= 1900 && after < 3000, `after ${after} ms`);
});
