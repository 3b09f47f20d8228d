// The pitfalls of `docs/PITFALLS.md` that a page can fall into, in a real browser. Others are in the files they belong to.
import { createServer, connect as dial } from 'node:net';
import { launchBare } from './bare.mjs';
import { MINE, assert, inPage, options, test } from './harness.mjs';

const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** A page in a browser in which pages can be hidden, kept and crashed. */
async function inBare(t, run) {
  const browser = await launchBare();
  try {
    const page = await browser.newPage(`${t.peer.http}/tests/web/blank.html`);
    await page.until(() => globalThis.everwire !== undefined);
    await run(browser, page);
  } finally {
    await browser.close();
  }
}

const connectIn = (page, options) => page.run(async (options) => {
  globalThis.client = await globalThis.everwire.connect(options);
}, options);

test('pitfall 2: a page that is seen again notices that its open socket is dead, and replaces it', async (t) => {
  await inBare(t, async (browser, page) => {
    await connectIn(page, options(t.peer, { healthCheckInterval: 60_000, silenceTimeout: 120_000, backoffBase: 20 }));
    const dead = t.peer.connections.at(-1);
    const other = await browser.newPage('about:blank');
    await other.show();
    await page.until(() => document.hidden);
    // It reads nothing and says nothing: as a peer that has gone while the machine slept.
    dead.pause();
    await page.show();
    await t.peer.until((all) => all.at(-1) !== dead && all.at(-1).auth);
    await page.until(() => globalThis.client.state === 'connected');
    const log = await page.run(() => globalThis.client.reconnectLog().map(({ error }) => error.code));
    assert.deepEqual(log, ['timeout']);
    dead.resume();
  });
});

test('pitfall 3: whatever happens to the page, a client that was never connected makes no connection', async (t) => {
  await inBare(t, async (browser, page) => {
    await page.run(async (options) => {
      globalThis.client = await globalThis.everwire.createClient(options);
      addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted));
    }, options(t.peer));
    const before = t.peer.connections.length;
    const other = await browser.newPage('about:blank');
    await other.show();
    await page.until(() => document.hidden);
    await page.show();
    await page.until(() => !document.hidden);
    await page.send('Network.enable');
    const network = (offline) => page.send('Network.emulateNetworkConditions', { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
    await network(true);
    await page.until(() => !navigator.onLine);
    await network(false);
    await page.until(() => navigator.onLine);
    await page.send('Page.navigate', { url: `${t.peer.http}/tests/web/blank.html?elsewhere` });
    await page.until(() => location.search === '?elsewhere' && globalThis.everwire !== undefined);
    await page.run(() => history.back());
    await page.until(() => globalThis.persisted);
    await pause(300);
    assert.deepEqual([t.peer.connections.length, await page.run(() => globalThis.client.state)], [before, 'idle']);
  });
});

test('pitfall 4: a first handshake that is never answered does not end the tries', async (t) => {
  let taken = 0;
  const sockets = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    // The first two are taken and left alone.
    if ((taken += 1) <= 2) return;
    const peer = dial(Number(new URL(t.peer.http).port), '127.0.0.1');
    peer.on('error', () => {});
    socket.pipe(peer).pipe(socket);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const seen = await inPage(t, async ({ connect }, options) => {
      const client = await connect(options);
      const seen = [client.state, client.stats().dials, client.reconnectLog().map(({ error }) => error.code)];
      await client.close();
      return seen;
    }, options(t.peer, { url: `ws://127.0.0.1:${server.address().port}`, openTimeout: 300, backoffBase: 20 }));
    assert.deepEqual(seen, ['connected', 3, ['timeout', 'timeout']]);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

test('pitfall 5: when the tries are spent, everybody who waits is told', async (t) => {
  const seen = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    const steps = [];
    client.onLifecycle((step) => step.type === 'closed' && steps.push(step.cause.type));
    const ended = (async () => {
      for await (const _ of client.events());
      return 'the loop ended';
    })();
    const told = (promise) => promise.then((value) => value, (error) => error.code);
    const connecting = client.connect();
    const all = await Promise.all([connecting, client.ready(), client.send('late'), client.closed.then(({ type }) => type), ended].map(told));
    return { steps, all, state: client.state };
  }, options(t.peer, { url: 'ws://127.0.0.1:9', maxAttempts: 2, backoffBase: 10 }));
  assert.deepEqual(seen.all.slice(0, 2), ['connect', 'connect']);
  assert.notEqual(seen.all[2], undefined);
  assert.deepEqual([...seen.all.slice(3), ...seen.steps, seen.state], ['exhausted', 'the loop ended', 'exhausted', 'failed']);
}, { complaints: ['WebSocket connection to'] });

test('pitfall 7: however many things wake a page at once, one connection is made', async (t) => {
  await inPage(t, async ({ connect }, options) => {
    globalThis.client = await connect(options);
  }, options(t.peer, { backoffBase: 60_000, backoffCap: 60_000 }));
  const before = t.peer.connections.length;
  t.peer.connections.at(-1).drop();
  await t.page.waitForFunction(() => globalThis.client.state === 'backing-off');
  await t.page.evaluate(() => {
    for (let round = 0; round < 5; round += 1) {
      for (const [target, event] of [
        [globalThis, new Event('offline')], [globalThis, new Event('online')], [document, new Event('visibilitychange')],
        [document, new Event('resume')], [globalThis, new PageTransitionEvent('pageshow', { persisted: true })],
      ]) target.dispatchEvent(event);
    }
  });
  await t.page.waitForFunction(() => globalThis.client.state === 'connected');
  await pause(500);
  assert.equal(t.peer.connections.length, before + 1);
});

test('pitfall 8: after whatever end one may connect again, and twice at once is an error that leaves the first alone', async (t) => {
  const seen = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    const given = client.connect();
    const twice = await failure(() => client.connect());
    await given;
    const states = [client.state];
    await client.close();
    const broken = client.connect();
    client.close();
    states.push(await broken.catch(({ code }) => code));
    await client.closed;
    await client.connect();
    states.push(client.state);
    await client.close();
    const failing = await createClient({ ...options, token: (() => {
      const tokens = ['expired', 'expired', 'fresh'];
      return () => tokens.shift();
    })(), maxAttempts: 1 });
    states.push(await failing.connect().catch(() => failing.state));
    await failing.connect().catch(() => {});
    await failing.connect().catch(() => {});
    states.push(failing.state);
    await failing.close();
    return { states, twice: twice.code };
  }, options(t.peer));
  assert.equal(seen.twice, 'invalid-state');
  assert.deepEqual(seen.states.slice(0, 3), ['connected', 'closed', 'connected']);
  assert.deepEqual(seen.states.slice(3), ['failed', 'connected']);
});

test('pitfall 13: traffic does not starve health checks, and a new socket begins anew with them', async (t) => {
  await inPage(t, async ({ connect }, options) => {
    globalThis.client = await connect(options);
  }, options(t.peer, { healthCheckInterval: 600, silenceTimeout: 5000, backoffBase: 10 }));
  const old = t.peer.connections.at(-1);
  const checks = ({ received }) => received.filter((text) => text.includes('health.check')).length;
  const flood = setInterval(() => old.say('{"type":"tick"}'), 1);
  await pause(2000);
  clearInterval(flood);
  assert.ok(checks(old) >= 2, `${checks(old)} health checks in two seconds`);
  await t.peer.until(() => checks(old) >= 4);
  // A good part of an interval has passed when the connection is lost.
  await pause(450);
  old.drop();
  const fresh = await t.peer.until((all) => all.at(-1) !== old && all.at(-1).auth && all.at(-1));
  await pause(350);
  assert.equal(checks(fresh), 0);
  await t.peer.until(() => checks(fresh) >= 1);
});

test('a tab that crashes takes nobody with it, and connects anew when it is loaded again', async (t) => {
  await inBare(t, async (browser, page) => {
    await connectIn(page, options(t.peer));
    const crashed = t.peer.connections.at(-1);
    const other = await browser.newPage(`${t.peer.http}/tests/web/blank.html`);
    await other.until(() => globalThis.everwire !== undefined);
    await connectIn(other, options(t.peer));
    // Nobody is left to answer.
    page.send('Page.crash').catch(() => {});
    await t.peer.until(() => crashed.closed);
    const again = await browser.newPage(`${t.peer.http}/tests/web/blank.html`);
    await again.until(() => globalThis.everwire !== undefined);
    await connectIn(again, options(t.peer));
    assert.deepEqual([await again.run(() => globalThis.client.state), await other.run(() => globalThis.client.state)], ['connected', 'connected']);
  });
});

test('S0-10: a server that ends each connection after the hello, here by a message over the limit, is given up', async (t) => {
  const hello = '{"type":"hi","id":"c"}';
  const dialects = {
    'with a hello': { ...MINE, first_frame: { cmd: 'emit', frames: [hello, JSON.stringify('x'.repeat(2_000))] } },
    'without one': { name: 'bare', first_frame: { cmd: 'large', size: 2_000 } },
  };
  for (const [what, dialect] of Object.entries(dialects)) {
    const before = t.peer.connections.length;
    const seen = await inPage(t, async ({ createClient }, given) => {
      const client = await createClient({ maxMessageSize: 1_000, backoffBase: 10, backoffCap: 20, ...given });
      client.connect().catch(() => {});
      const { type, error } = await client.closed;
      return { type, code: error.code, connects: client.stats().connects };
    }, { url: t.peer.ws, dialect });
    assert.deepEqual(seen, { type: 'exhausted', code: 'too-large', connects: 5 }, what);
    assert.equal(t.peer.connections.length - before, 5, what);
  }
});
