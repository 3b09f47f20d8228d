// `everwire/worker-timer`: health checks on time where a hidden page's own timers are held back (N-5).
import { launchBare } from './bare.mjs';
import { assert, inPage, options, test } from './harness.mjs';

/** A page of the package, in a browser in which pages can be hidden, with a connected client: `globalThis.client`. */
async function open(browser, t, more, timer) {
  const page = await browser.newPage(`${t.peer.http}/tests/web/blank.html`);
  await page.until(() => globalThis.everwire !== undefined);
  await page.run(async ({ options, timer }) => {
    if (timer) options.timer = (await import('/pkg/worker-timer.js')).workerTimer;
    globalThis.client = await globalThis.everwire.connect(options);
  }, { options: { ...options(t.peer), ...more }, timer });
  return { page, connection: t.peer.connections.at(-1) };
}

/** How many health checks a connection hears within a time. */
async function checks({ connection }, millis) {
  const before = connection.received.length;
  await new Promise((resolve) => setTimeout(resolve, millis));
  return connection.received.slice(before).filter((text) => text.includes('health.check')).length;
}

// Once a minute is what Chromium allows after five minutes in the background; here after one second.
const SOON = ['--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1,QuickIntensiveWakeUpThrottlingAfterLoading:grace_period_seconds/1'];

test('N-5, pitfall 1: health checks of a hidden page leave on time with workerTimer, and late ones end nothing without it', async (t) => {
  const browser = await launchBare(SOON);
  try {
    const more = { healthCheckInterval: 300, silenceTimeout: 1400 };
    const plain = await open(browser, t, more, false);
    const timed = await open(browser, t, more, true);
    const before = t.peer.connections.length;
    await plain.page.run(() => {
      const tick = () => {
        globalThis.ticked = performance.now();
        setTimeout(tick, 300);
      };
      tick();
    });
    const other = await browser.newPage('about:blank');
    await other.show();
    for (const { page } of [plain, timed]) await page.until(() => document.hidden);
    // Until the browser holds the page's timers back for longer than the silence that the client stands.
    await plain.page.until(() => performance.now() - globalThis.ticked > 2500, undefined, 20_000);
    const [late, inTime] = await Promise.all([checks(plain, 3000), checks(timed, 3000)]);
    assert.ok(late <= 1, `${late} without it`);
    assert.ok(inTime >= 8, `${inTime} with it`);
    for (const { page } of [plain, timed]) {
      await page.show();
      await page.until(() => !document.hidden && globalThis.client.state === 'connected');
      assert.deepEqual(await page.run(() => globalThis.client.reconnectLog().map(({ reason }) => reason)), []);
    }
    assert.equal(t.peer.connections.length, before);
  } finally {
    await browser.close();
  }
});

test('N-5: a page has one worker for all clients with workerTimer, from the first connect to the end of the last', async (t) => {
  const count = () => t.page.workers().length;
  const until = async (wanted) => {
    while (count() !== wanted) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await inPage(t, async ({ createClient }, options) => {
    const { workerTimer } = await import('/pkg/worker-timer.js');
    globalThis.clients = await Promise.all([1, 2, 3].map(() => createClient({ ...options, timer: workerTimer })));
    globalThis.others = await createClient(options);
    await globalThis.others.connect();
  }, options(t.peer, { healthCheckInterval: 50, backoffBase: 20 }));
  assert.equal(count(), 0, 'nobody has connected');
  const run = (action) => t.page.evaluate(action);
  await run(() => Promise.all(globalThis.clients.map((client) => client.connect())));
  await until(1);
  // It rings for all of them, also after a reconnect.
  t.peer.connections.at(-1).drop();
  await run(async () => {
    for (const client of globalThis.clients) {
      await client.ready();
      await new Promise((resolve) => client.once('health.check', resolve));
    }
  });
  await run(() => Promise.all(globalThis.clients.slice(1).map((client) => client.close())));
  assert.equal(count(), 1);
  await run(() => globalThis.clients[0].close());
  await until(0);
  // The page's own timers go on for who is left, and there is another worker when one is wanted again.
  await run(() => new Promise((resolve) => globalThis.others.once('health.check', resolve)));
  await run(() => globalThis.clients[2].connect());
  await until(1);
  await run(() => Promise.all([globalThis.clients[2].close(), globalThis.others.close()]));
  await until(0);
});

test('N-5: where a policy forbids the worker, the page has its own timers and no error', async (t) => {
  await t.page.goto(`${t.peer.http}/strict/tests/web/blank.html`);
  await t.page.waitForFunction(() => globalThis.everwire !== undefined);
  const seen = await inPage(t, async ({ connect }, options) => {
    const seen = { violations: [], failed: [] };
    document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => seen.violations.push(effectiveDirective));
    for (const type of ['error', 'unhandledrejection']) addEventListener(type, () => seen.failed.push(type));
    const { workerTimer } = await import('/pkg/worker-timer.js');
    for (let round = 0; round < 2; round += 1) {
      const client = await connect({ ...options, timer: workerTimer });
      for (let check = 0; check < 3; check += 1) await new Promise((resolve) => client.once('health.check', resolve));
      await client.close();
    }
    return seen;
  }, options(t.peer, { healthCheckInterval: 50 }));
  // It is tried once, and not for every client.
  assert.deepEqual(seen, { violations: ['worker-src'], failed: [] });
}, { complaints: ['Content Security Policy'] });

test('N-5: where there are no workers at all, the page has its own timers', async (t) => {
  await inPage(t, async ({ connect }, options) => {
    delete globalThis.Worker;
    const { workerTimer } = await import('/pkg/worker-timer.js');
    const client = await connect({ ...options, timer: workerTimer });
    await next(client, 'health.check');
    await client.close();
  }, options(t.peer, { healthCheckInterval: 50 }));
  assert.equal(t.page.workers().length, 0);
});

test('N-4, N-5: a page with workerTimer is kept by the browser, and goes on when one goes back', async (t) => {
  const browser = await launchBare();
  try {
    const { page } = await open(browser, t, { healthCheckInterval: 100 }, true);
    await page.run(() => addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted)));
    await page.send('Page.navigate', { url: `${t.peer.http}/tests/web/blank.html?elsewhere` });
    await page.until(() => location.search === '?elsewhere' && globalThis.everwire !== undefined);
    await page.run(() => history.back());
    await page.until(() => globalThis.persisted && globalThis.client.state === 'connected');
    await page.run(() => new Promise((resolve) => globalThis.client.once('health.check', resolve)));
  } finally {
    await browser.close();
  }
});

test('N-11: a timer that is none is a typed error', async (t) => {
  const error = await inPage(t, ({ connect }, options) => failure(() => connect({ ...options, timer: true })), options(t.peer));
  assert.deepEqual([error.code, error.path], ['config', 'timer']);
});
