// The package against two more servers: one built on Python's `websockets`, and the embedded one of this project.
import { assert, inPage, options, test } from './harness.mjs';

test('Python websockets: connects, receives, reconnects after a drop, is told of an expired token, sends', async (t) => {
  const python = await t.python();
  const seen = await inPage(t, async ({ connect }, options) => {
    const tokens = ['stale', 'fresh'];
    const refreshed = await connect({ ...options, token: () => tokens.shift(), params: { api_key: 'any', user_id: 'alice' } });
    const { tokenFetches } = refreshed.stats();
    await refreshed.close();
    const client = await connect({ ...options, backoffBase: 10 });
    const first = await next(client, 'message.new');
    const back = step(client, ({ type }) => type === 'connected');
    await client.send({ leave: true });
    await back;
    const echo = next(client, 'echo');
    await client.send({ hello: 'Python ⚡' });
    const { message } = await echo;
    const { reconnects } = client.stats();
    await client.close();
    return { first, message, reconnects, tokenFetches };
  }, options(python, { params: { api_key: 'drop', user_id: 'alice' } }));
  assert.equal(seen.first.type, 'message.new');
  assert.deepEqual(seen.message, { hello: 'Python ⚡' });
  assert.deepEqual([seen.reconnects, seen.tokenFetches], [1, 2]);
});

test('Python websockets: bad frames and large messages', async (t) => {
  const python = await t.python();
  const seen = await inPage(t, async ({ createClient }, options) => {
    const bad = await createClient({ ...options, params: { api_key: 'bad', user_id: 'alice' } });
    const sequence = [];
    const third = new Promise((resolve) => bad.on('message.new', ({ seq }) => sequence.push(seq) === 3 && resolve()));
    await bad.connect();
    await third;
    const { malformed, binary } = bad.stats();
    await bad.close();
    const large = await createClient({ ...options, backoffBase: 10, params: { api_key: 'large', user_id: 'alice' } });
    const lost = step(large, ({ type }) => type === 'disconnected');
    await large.connect();
    const { error } = await lost;
    await large.ready();
    await large.close();
    return { sequence, malformed, binary, error: error.code };
  }, options(python));
  assert.deepEqual(seen, { sequence: [1, 2, 3], malformed: 1, binary: 1, error: 'too-large' });
});

for (const dialect of ['stream', 'stream-v1']) {
  test(`the embedded server: real events over ${dialect}, health checks, a clean end`, async (t) => {
    const embedded = await t.embedded();
    const seen = await inPage(t, async ({ connect }, options) => {
      const client = await connect(options);
      const events = [];
      const enough = new Promise((resolve) => {
        client.on('*', (event, type) => events.push([type, event.type]) >= 20 && resolve());
      });
      const check = next(client, 'health.check');
      await enough;
      await check;
      const { latency, malformed } = client.stats();
      await client.close();
      return { events, latency, malformed, cause: (await client.closed).type };
    }, options(embedded, { dialect, healthCheckInterval: 100, params: { api_key: 'demo', user_id: 'alice' } }));
    assert.ok(seen.events.every(([type, named]) => type === named));
    assert.ok(seen.events.some(([type]) => type.includes('.')));
    assert.ok(seen.latency >= 0);
    assert.deepEqual([seen.malformed, seen.cause], [0, 'by-user']);
  });
}

test('the embedded server refuses a wrong API key with its code', async (t) => {
  const embedded = await t.embedded();
  const error = await inPage(t, ({ connect }, options) => failure(() => connect(options)),
    options(embedded, { params: { api_key: 'wrong', user_id: 'alice' } }));
  assert.deepEqual([error.code, error.serverCode], ['auth', 2]);
});
