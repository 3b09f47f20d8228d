// The package end to end, imported as a user would, against a server built on the npm package `ws`.
import { readFile } from 'node:fs/promises';
import { Listeners } from '../../src/js/listeners.js';
import { assert, inPage, options, test } from './harness.mjs';

test('importing the package loads nothing and touches nothing', async (t) => {
  const loaded = [];
  t.page.on('request', (request) => loaded.push(new URL(request.url()).pathname));
  await inPage(t, () => {});
  assert.ok(loaded.includes('/pkg/index.js'));
  assert.deepEqual(loaded.filter((path) => path.endsWith('.wasm')), []);
});

test('connects, says who it is, receives events by type, and closes with 1000', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const seen = { state: client.state, id: client.connectionId, calls: [] };
    client.on('message.new', (...given) => seen.calls.push(given));
    await emit(client, '{"type":"message.new","text":"héllo ⚡"}', '{"type":"other"}', '{"text":"late","type":"message.new"}');
    await client.close();
    return { ...seen, end: client.state, idAfter: client.connectionId, cause: await client.closed };
  }, options(t.peer));
  assert.equal(seen.state, 'connected');
  assert.match(seen.id, /^connection-/);
  assert.deepEqual(seen.calls, [
    [{ type: 'message.new', text: 'héllo ⚡' }, 'message.new'],
    [{ text: 'late', type: 'message.new' }, 'message.new'],
  ]);
  assert.deepEqual([seen.end, seen.idAfter, seen.cause.type], ['closed', undefined, 'by-user']);
  const connection = t.peer.connections.at(-1);
  assert.deepEqual(connection.auth, { token: 'token', user_details: { id: 'alice' } });
  assert.equal(connection.query['stream-auth-type'], 'jwt');
  assert.match(connection.query['X-Stream-Client'], /^everwire\//);
  await t.peer.until((all) => all.at(-1).closed);
  assert.deepEqual(connection.closed, { code: 1000, reason: 'client disconnect' });
});

test('a nested, escaped or doubled type is never mistaken', async (t) => {
  const types = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const types = [];
    client.on('*', (event, type) => types.push(type));
    await emit(client,
      '{"a":{"type":"nested"}}',
      '{"a":{"type":"nested"},"type":"outer"}',
      '{"type":"a\\u0062c"}',
      '{"type":"quo\\"te"}',
      '{ "type" : "spaced" }',
      '{"type":"first","data":{"type":"inner"}}',
      '{"type":7}',
      '{"type":null,"x":"type"}',
      '[{"type":"in an array"}]',
      '"type"',
      '{"types":"no"}',
      '{"type":"trailing"} \n');
    await client.close();
    return types;
  }, options(t.peer));
  assert.deepEqual(types, [
    'unknown', 'outer', 'abc', 'quo"te', 'spaced', 'first', 'unknown', 'unknown', 'unknown', 'unknown', 'unknown', 'trailing', 'emitted',
  ]);
});

test('patterns: one level, many levels, everything; the same order as added', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const seen = [];
    for (const pattern of ['*', 'call.*', 'call.**', 'call.member.joined', '*.ended']) {
      client.on(pattern, (event, type) => seen.push(`${pattern} ${type}`));
    }
    await emit(client, '{"type":"call.ended"}', '{"type":"call.member.joined"}', '{"type":"call"}');
    await client.close();
    return seen;
  }, options(t.peer));
  assert.deepEqual(seen, [
    '* call.ended', 'call.* call.ended', 'call.** call.ended', '*.ended call.ended',
    '* call.member.joined', 'call.** call.member.joined', 'call.member.joined call.member.joined',
    '* call', '* emitted',
  ]);
});

test('S0-19: a pattern fits in JavaScript what it fits in Rust', async () => {
  const { levels, refused } = JSON.parse(await readFile(new URL('../../src/proto/patterns.json', import.meta.url), 'utf8'));
  for (const { pattern, fits, fits_not } of levels) {
    const listeners = new Listeners();
    listeners.on(pattern, 'place');
    for (const type of fits) assert.deepEqual(listeners.of(type), ['place'], `${pattern} ${type}`);
    for (const type of fits_not) assert.deepEqual(listeners.of(type), [], `${pattern} ${type}`);
  }
  for (const pattern of refused) assert.throws(() => new Listeners().on(pattern, 'place'), { code: 'invalid-input' }, pattern);
});

test('an event that nobody listens to is not parsed', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const parse = JSON.parse;
    let parsed = [];
    client.on('wanted', () => {});
    JSON.parse = (text) => (parsed.push(text), parse(text));
    await emit(client, '{"type":"unwanted","n":1}', '{"type":"wanted","n":2}', '{"type":"unwanted","n":3}');
    JSON.parse = parse;
    const events = client.stats().events;
    await client.close();
    return { parsed, events };
  }, options(t.peer));
  assert.deepEqual(seen.parsed, ['{"type":"wanted","n":2}', '{"type":"emitted"}']);
  assert.equal(seen.events, 5); // with the hello
});

test('a server that invents types without end is served, and remembered no more than so many', async (t) => {
  const count = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    let count = 0;
    client.on('made.*', () => count += 1);
    client.on('made.4999', (event, type) => count += event.n === 4999 && type === 'made.4999' ? 10_000 : 0);
    await emit(client, ...Array.from({ length: 5000 }, (_, n) => `{"type":"made.${n}","n":${n}}`));
    await client.close();
    return count;
  }, options(t.peer));
  assert.equal(count, 15_000);
});

test('once, off and the off function, also from inside a listener', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const seen = [];
    client.once('a', () => seen.push('once'));
    const never = () => seen.push('never');
    client.once('a', never);
    const wasThere = [client.off('a', never), client.off('a', never)];
    const second = () => seen.push('second');
    const off = client.on('a', () => {
      seen.push('first');
      off();
      off();
      client.off('a', second); // the one after it in the same dispatch
      client.on('a', () => seen.push('added'));
    });
    client.on('a', second);
    client.on('a', () => seen.push('third'));
    await emit(client, '{"type":"a"}', '{"type":"a"}');
    await client.close();
    return { seen, wasThere };
  }, options(t.peer));
  assert.deepEqual(seen.wasThere, [true, false]);
  assert.deepEqual(seen.seen, ['once', 'first', 'third', 'third', 'added']);
});

test('a listener that throws is reported and isolated', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const seen = { calls: [], errors: [] };
    client.onLifecycle((step) => step.type === 'error' && seen.errors.push(plain(step.error)));
    client.onLifecycle(() => { throw new Error('thrown in the life cycle'); });
    client.on('a', () => { throw new Error('thrown by a listener'); });
    client.on('a', (event) => seen.calls.push(event.n));
    await emit(client, '{"type":"a","n":1}', '{"type":"a","n":2}');
    seen.failures = client.stats().listenerFailures;
    await client.close();
    return seen;
  }, options(t.peer));
  assert.deepEqual(seen.calls, [1, 2]);
  assert.equal(seen.failures, 2);
  assert.deepEqual(seen.errors.map(({ isEverwire, code, cause }) => ({ isEverwire, code, cause })), [
    { isEverwire: true, code: 'listener', cause: 'thrown by a listener' },
    { isEverwire: true, code: 'listener', cause: 'thrown by a listener' },
  ]);
}, { complaints: ['thrown by a listener', 'thrown in the life cycle'] });

// Pitfall 17
test('send, close and connect are safe inside a listener', async (t) => {
  const seen = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    const steps = [];
    client.on('connection.ok', async () => {
      steps.push(client.state);
      await client.send('from a listener');
    });
    client.on('echo', (event) => {
      steps.push(event.text);
      steps.push(typeof client.stats().messagesIn);
      client.close();
    });
    const ended = new Promise((resolve) => {
      let ends = 0;
      client.onLifecycle((step) => {
        if (step.type !== 'closed') return;
        ends += 1;
        if (ends === 1) client.connect();
        else resolve();
      });
    });
    await client.connect();
    await ended;
    return steps;
  }, options(t.peer));
  assert.deepEqual(seen, ['connected', 'from a listener', 'number', 'connected', 'from a listener', 'number']);
});

test('sends text, bytes and values; what cannot be sent is a typed error', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const echo = async (message) => {
      const answer = next(client, 'echo');
      await client.send(message);
      return answer.then(({ text, bytes }) => text ?? bytes);
    };
    const bytes = Uint8Array.of(9, 1, 2, 3, 9);
    const circle = {};
    circle.circle = circle;
    const seen = {
      echoed: [
        await echo('plain ⚡'), await echo({ a: 1 }), await echo([1, null]), await echo(bytes.subarray(1, 4)),
        await echo(bytes.buffer), await echo(new DataView(bytes.buffer, 1, 2)), await echo(null), await echo(''),
      ],
      errors: [await failure(() => client.send(undefined)), await failure(() => client.send(circle)), await failure(() => client.send(1n))],
    };
    await client.close();
    seen.errors.push(await failure(() => client.send('late')));
    return seen;
  }, options(t.peer));
  assert.deepEqual(seen.echoed, ['plain ⚡', '{"a":1}', '[1,null]', [1, 2, 3], [9, 1, 2, 3, 9], [1, 2], 'null', '']);
  assert.deepEqual(seen.errors.map((error) => [error.isEverwire, error.code]), [
    [true, 'invalid-input'], [true, 'invalid-input'], [true, 'invalid-input'], [true, 'closed'],
  ]);
});

// Pitfall 20
test('malformed JSON and binary frames are counted and reported, and the connection goes on', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const seen = { errors: [], events: [] };
    client.onLifecycle((step) => step.type === 'error' && seen.errors.push(step.error.code));
    client.on('broken', () => seen.events.push('broken'));
    client.on('unknown', (event) => seen.events.push([...new Uint8Array(event)]));
    await emit(client, 'nonsense', '{"type":"broken"', '{"type":"broken","n":}', '');
    await client.send({ cmd: 'binary', bytes: [1, 2, 255] });
    await emit(client);
    const { malformed, binary } = client.stats();
    await client.close();
    return { ...seen, malformed, binary };
  }, options(t.peer));
  assert.deepEqual(seen.events, [[1, 2, 255]]);
  // The one whose type comes first is found out when a listener wants it.
  assert.deepEqual(seen.errors, ['decode', 'decode', 'decode', 'decode']);
  assert.equal(seen.malformed, 3);
  assert.equal(seen.binary, 1);
});

// Pitfall 9
test('reconnects after a drop with the same listeners, once each', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const steps = [];
    client.onLifecycle((step) => steps.push(step.type === 'state' ? step.new : step.type));
    let calls = 0;
    client.on('a', () => calls += 1);
    const before = client.connectionId;
    const back = step(client, ({ type }) => type === 'connected');
    await client.send({ cmd: 'drop' });
    const { downtime } = await back;
    await emit(client, '{"type":"a"}');
    const seen = { before, after: client.connectionId, calls, steps: steps.slice(), downtime, reconnects: client.stats().reconnects };
    await client.close();
    return seen;
  }, options(t.peer, { backoffBase: 20, backoffCap: 50 }));
  assert.notEqual(seen.before, seen.after);
  assert.equal(seen.calls, 1);
  assert.equal(seen.reconnects, 1);
  assert.ok(seen.downtime > 0);
  assert.deepEqual(seen.steps, ['disconnected', 'disconnected', 'backing-off', 'backing-off', 'reconnecting', 'connecting', 'connected', 'connected']);
});

// Pitfall 11
test('a token that has expired is fetched anew (code 40), on the first connect too', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const tokens = ['expired', 'fresh'];
    let calls = 0;
    const client = await connect({ ...options, backoffBase: 10, token: async () => tokens[calls++] });
    const state = client.state;
    await client.close();
    return { calls, state, fetches: client.stats().tokenFetches };
  }, options(t.peer));
  assert.deepEqual(seen, { calls: 2, state: 'connected', fetches: 2 });
  assert.deepEqual(t.peer.connections.slice(-2).map(({ auth }) => auth.token), ['expired', 'fresh']);
});

test('a static token that has expired ends with the cause', async (t) => {
  const seen = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    const error = await failure(() => client.connect());
    return { error, state: client.state, cause: (await client.closed).type };
  }, options(t.peer, { token: 'expired' }));
  assert.equal(seen.error.serverCode, 40);
  assert.equal(seen.error.code, 'auth');
  assert.deepEqual([seen.state, seen.cause], ['failed', 'token-expired']);
});

test('a token function that throws or gives no string is a typed error with its cause', async (t) => {
  const errors = await inPage(t, async ({ connect }, options) => {
    const errors = [];
    const tries = [
      () => { throw new Error('no session'); },
      () => Promise.reject(new Error('refused')),
      () => 42,
    ];
    for (const token of tries) {
      errors.push(await failure(() => connect({ ...options, token, maxAttempts: 1 })));
    }
    return errors;
  }, options(t.peer));
  assert.deepEqual(errors.map(({ code, cause }) => [code, cause]), [['token', 'no session'], ['token', 'refused'], ['token', undefined]]);
});

test('a token function that says signed out ends the client at once, connected or not, with that cause', async (t) => {
  const seen = await inPage(t, async ({ createClient, EverwireError }, options) => {
    const part = (value) => btoa(JSON.stringify(value)).replace(/=+$/, '');
    const now = Math.floor(Date.now() / 1000);
    const short = `${part({})}.${part({ user_id: 'alice', iat: now, exp: now + 2 })}.c2ln`;
    // Before the first dial; when the server wants another token; ahead of the end of a token while connected.
    return Promise.all([[], ['expired'], [short]].map(async (tokens, place) => {
      let calls = 0;
      const thrown = place === 1 ? { code: 'signed-out' } : new EverwireError('signed-out', 'good bye');
      const client = await createClient({ ...options, backoffBase: 10, token: async () => {
        if (calls++ < tokens.length) return tokens[calls - 1];
        throw thrown;
      } });
      const steps = [];
      client.onLifecycle(({ type }) => steps.push(type));
      const error = await client.connect().then(() => undefined, (error) => error);
      const { type, error: cause } = await client.closed;
      const fine = error === undefined ? steps.includes('connected') : error.code === 'signed-out' && !error.retryable;
      return [calls, type, cause.code, cause.cause === thrown, fine, client.state, steps.at(-1), thrown.retryable, client.stats().errors];
    }));
  }, options(t.peer));
  const wanted = (calls, retryable) => [calls, 'signed-out', 'signed-out', true, true, 'failed', 'closed', retryable, 0];
  assert.deepEqual(seen, [wanted(1, false), wanted(2, undefined), wanted(2, false)]);
  const { auth, closed } = await t.peer.until((all) => all.at(-1).auth?.token.startsWith('e30') && all.at(-1).closed && all.at(-1));
  assert.deepEqual([auth.token.length > 40, closed.code ?? closed], [true, 1000]);
});

test('a wrong hello is an authentication error that carries the answer', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    try {
      await connect(options);
    } catch (error) {
      return { ...plain(error), response: error.response };
    }
  }, options(t.peer, { params: { api_key: 'wrong-hello', user_id: 'alice' } }));
  assert.equal(seen.code, 'auth');
  assert.match(seen.response, /not the hello/);
  const connection = await t.peer.until((all) => all.at(-1).closed && all.at(-1));
  assert.equal(connection.query.api_key, 'wrong-hello');
});

// As Home Assistant does: docs/DIALECTS.md.
test('a server that asks first is answered with a token that was fetched for it', async (t) => {
  const asks = { cmd: 'emit', frames: ['{"type":"auth_required"}'] };
  const seen = await inPage(t, async ({ connect }, { asks, ...options }) => {
    const answer = { cmd: 'emit', frames: ['{"type":"auth_ok"}'], access_token: '${token}' };
    const dialect = { name: 'asks', first_frame: asks, answers: [{ type: 'auth_required', frame: answer }], hello: { types: ['auth_ok'] } };
    const client = await connect({ ...options, dialect, token: async () => 'fetched' });
    const seen = [client.state, client.stats().tokenFetches];
    await client.close();
    return seen;
  }, options(t.peer, { asks }));
  assert.deepEqual(seen, ['connected', 1]);
  assert.equal(JSON.parse(t.peer.connections.at(-1).received[1]).access_token, 'fetched');
});

test('what a server says instead of a hello is told: text, and bytes that are text', async (t) => {
  const frames = [{ cmd: 'emit', frames: ['go away'] }, { cmd: 'binary', bytes: [...Buffer.from('no tok-1')] }, { cmd: 'binary', bytes: [255, 0] }];
  const seen = await inPage(t, async ({ connect }, { frames, ...options }) => {
    const seen = [];
    for (const frame of frames) {
      const dialect = { name: 'other', first_frame: { ...frame, token: '${token}' }, hello: { types: ['hello'] } };
      const error = await connect({ ...options, token: 'tok-1', dialect }).catch((error) => error);
      seen.push([error.code, error.message.replace(/.* is not the hello/, ''), error.response]);
    }
    return seen;
  }, options(t.peer, { frames }));
  assert.deepEqual(seen, [
    ['auth', '', 'go away'],
    ['auth', ', but a binary message of 8 bytes', 'no ***'],
    ['auth', ', but a binary message of 2 bytes', undefined],
  ]);
});

test('no hello at all is a timeout, and the socket is closed', async (t) => {
  const error = await inPage(t, ({ connect }, options) => failure(() => connect(options)),
    options(t.peer, { params: { api_key: 'no-hello', user_id: 'alice' }, helloTimeout: 60, maxAttempts: 1 }));
  assert.deepEqual([error.code, error.retryable], ['timeout', true]);
  await t.peer.until((all) => all.at(-1).closed);
});

test('a refused API key ends at once with the code of the server', async (t) => {
  const error = await inPage(t, ({ connect }, options) => failure(() => connect(options)),
    options(t.peer, { params: { api_key: 'bad-key', user_id: 'alice' } }));
  assert.deepEqual([error.code, error.serverCode, error.retryable], ['auth', 2, false]);
});

test('a server that is not there is a connect error after the last try', async (t) => {
  const error = await inPage(t, ({ connect }, options) => failure(() => connect(options)),
    options(t.peer, { url: 'ws://127.0.0.1:9', maxAttempts: 2, backoffBase: 10, backoffCap: 20 }));
  assert.deepEqual([error.isEverwire, error.code, error.retryable], [true, 'connect', true]);
}, { complaints: ['WebSocket connection to'] });

test('the close code of the server decides: 1000 ends, others reconnect', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const back = step(client, ({ type }) => type === 'connected');
    const lost = step(client, ({ type }) => type === 'disconnected');
    await client.send({ cmd: 'close', code: 4321, reason: 'try again' });
    const { closeCode, closeReason } = (await lost).error;
    await back;
    await client.send({ cmd: 'close', code: 1000, reason: 'enough' });
    const cause = await client.closed;
    return { closeCode, closeReason, cause: cause.type, error: plain(cause.error) };
  }, options(t.peer, { backoffBase: 10 }));
  assert.deepEqual([seen.closeCode, seen.closeReason], [4321, 'try again']);
  assert.deepEqual([seen.cause, seen.error.closeCode], ['by-server', 1000]);
});

test('illegal close codes and reasons are refused, legal ones reach the server', async (t) => {
  const errors = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const errors = [];
    for (const [code, reason] of [[1001], [999], [5000], [1000.5], [0], [-1], [70000], [NaN], [4000, 'x'.repeat(124)], [4000, 'é'.repeat(62)]]) {
      errors.push((await failure(() => client.close(code, reason))).code);
    }
    const state = client.state;
    await client.close(4000, 'x'.repeat(123));
    return { errors, state };
  }, options(t.peer));
  assert.deepEqual(errors, { errors: Array(10).fill('invalid-input'), state: 'connected' });
  const connection = await t.peer.until((all) => all.at(-1).closed && all.at(-1));
  assert.deepEqual(connection.closed, { code: 4000, reason: 'x'.repeat(123) });
});

test('a message over the limit ends the connection with a legal code, and the client comes back', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const lost = step(client, ({ type }) => type === 'disconnected');
    const back = step(client, ({ type }) => type === 'connected');
    let large = 0;
    client.on('large', () => large += 1);
    await client.send({ cmd: 'large', size: 5000 });
    const { error } = await lost;
    await back;
    await client.close();
    return { error: plain(error), large };
  }, options(t.peer, { maxMessageSize: 4096, backoffBase: 10 }));
  assert.deepEqual([seen.error.code, seen.large], ['too-large', 0]);
  await t.peer.until((all) => all.at(-2).closed && all.at(-1).closed);
  assert.equal(t.peer.connections.at(-2).closed.code, 4009);
});

test('wrong options are typed errors that name the field', async (t) => {
  const errors = await inPage(t, async ({ createClient }, good) => {
    const wrong = [
      undefined, 'ws://x', { ...good, retries: 3 }, { ...good, url: 7 }, { ...good, url: 'ws://' }, { ...good, url: 'ftp://x' },
      { ...good, url: 'ws://user:pass@x' }, { ...good, dialect: 'esperanto' }, { ...good, dialect: 7 },
      { ...good, dialect: { name: 'x', hello: { types: ['a', 1] } } }, { ...good, dialect: { name: 'x', typo: 1 } },
      { ...good, token: 7 }, { ...good, token: undefined }, { ...good, params: 'x' }, { ...good, params: { user_id: 'a' } },
      { ...good, headers: { a: 'b' } }, { ...good, protocols: 'x' }, { ...good, protocols: [1] }, { ...good, maxAttempts: -1 },
      { ...good, maxAttempts: 1.5 }, { ...good, backoffBase: '1s' }, { ...good, backoffBase: 0 }, { ...good, backoffBase: 9000 },
      { ...good, helloTimeout: 0 }, { ...good, openTimeout: -5 }, { ...good, silenceTimeout: Infinity }, { ...good, maxMessageSize: 0 },
      { ...good, dialect: 'raw', url: undefined, token: undefined }, { ...good, dialect: { name: 'x', headers: { a: 'b' } } },
    ];
    const errors = [];
    for (const options of wrong) {
      const { isEverwire, code, path } = await failure(() => createClient(options));
      errors.push(`${isEverwire ? '' : 'not typed: '}${code} ${path}`);
    }
    return errors;
  }, options(t.peer));
  assert.deepEqual(errors, [
    'config options', 'config options', 'config retries', 'config url', 'config url', 'config url', 'config url', 'config dialect',
    'config dialect', 'config hello.types[1]', 'config typo', 'config token', 'config token', 'config params', 'config params.api_key',
    'unsupported headers', 'config protocols', 'config protocols[0]', 'config maxAttempts', 'config maxAttempts', 'config backoffBase',
    'config backoffBase', 'config backoffCap', 'config helloTimeout', 'config openTimeout', 'config silenceTimeout',
    'config maxMessageSize', 'config url', 'unsupported headers',
  ]);
});

test('wrong listeners and patterns are typed errors', async (t) => {
  const errors = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    const calls = [
      () => client.on('a'), () => client.on(7, () => {}), () => client.on('', () => {}), () => client.on('a*', () => {}),
      () => client.once('**.a', () => {}), () => client.onLifecycle('x'),
    ];
    const errors = [];
    for (const call of calls) errors.push((await failure(call)).code);
    return errors;
  }, options(t.peer));
  assert.deepEqual(errors, Array(6).fill('invalid-input'));
});

test('connecting twice is a clear error, and connecting anew after the end works', async (t) => {
  const seen = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    const early = await failure(() => client.ready());
    const first = client.connect();
    const twice = await failure(() => client.connect());
    await first;
    const again = await failure(() => client.connect());
    await client.close();
    await client.close();
    await client.connect();
    const state = client.state;
    await client.close();
    return { codes: [early, twice, again].map(({ code }) => code), words: [twice, again].map(({ message }) => message), state };
  }, options(t.peer));
  assert.deepEqual(seen, {
    codes: ['invalid-state', 'invalid-state', 'invalid-state'],
    words: ['the client is connecting already; close it first', 'the client is connected already; close it first'],
    state: 'connected',
  });
});

test('health checks go out, are answered, and their round trip is measured', async (t) => {
  const stats = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    await next(client, 'health.check');
    const stats = client.stats();
    await client.close();
    return stats;
  }, options(t.peer, { healthCheckInterval: 50 }));
  assert.ok(stats.healthChecks >= 1);
  assert.ok(stats.latency >= 0);
});

test('a dialect of one\'s own, raw text and subprotocols', async (t) => {
  const seen = await inPage(t, async ({ connect }, url) => {
    const raw = await connect({ url: `${url}/anywhere?room=1`, dialect: 'raw' });
    const texts = [];
    raw.on('*', (event, type) => texts.push([event, type]));
    await emit(raw, 'not JSON', '{"kind":"a"}');
    await raw.close();
    const mine = await connect({ url, dialect: { name: 'mine', type_field: 'kind', url: { path: '/mine' } } });
    const kinds = [];
    mine.on('*', (event, type) => kinds.push(type));
    const done = next(mine, 'last');
    await mine.send({ cmd: 'emit', frames: ['{"kind":"a"}', '{"type":"b"}', '{"kind":"last"}'] });
    await done;
    await mine.close();
    return { texts, kinds };
  }, t.peer.ws);
  assert.deepEqual(seen.texts, [['not JSON', 'unknown'], [{ kind: 'a' }, 'unknown'], [{ type: 'emitted' }, 'emitted']]);
  assert.deepEqual(seen.kinds, ['a', 'unknown', 'last']);
  assert.deepEqual(t.peer.connections.slice(-2).map(({ path, query }) => [path, query]), [['/anywhere', { room: '1' }], ['/mine', {}]]);
});

test('many clients in one page are independent, and leave no socket behind', async (t) => {
  const before = t.peer.connections.length;
  const counts = await inPage(t, async ({ connect }, options) => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(options)));
    const counts = clients.map(() => 0);
    clients.forEach((client, index) => client.on('a', () => counts[index] += 1));
    await Promise.all(clients.map((client, index) => emit(client, ...Array(index).fill('{"type":"a"}'))));
    await Promise.all(clients.map((client) => client.close()));
    return counts;
  }, options(t.peer));
  assert.deepEqual(counts, Array.from({ length: 20 }, (_, index) => index));
  await t.peer.until((all) => all.every(({ closed }) => closed));
  assert.equal(t.peer.connections.length, before + 20);
});

test('a client that the page has let go of stays connected and goes on calling', async (t) => {
  const calls = await inPage(t, async ({ connect }, options) => {
    globalThis.calls = 0;
    const client = await connect(options);
    client.on('tick', () => globalThis.calls += 1);
    await client.send({ cmd: 'emit', frames: ['{"type":"tick"}'] });
  }, options(t.peer));
  assert.equal(calls, undefined);
  const session = await t.context.newCDPSession(t.page);
  await t.page.waitForFunction(() => globalThis.calls === 1);
  for (let round = 0; round < 3; round += 1) await session.send('HeapProfiler.collectGarbage');
  const connection = t.peer.connections.at(-1);
  assert.equal(connection.closed, undefined);
  connection.say('{"type":"tick"}');
  await t.page.waitForFunction(() => globalThis.calls === 2);
});

test('the wasm file that cannot be loaded is a typed error, and the next try loads it', async (t) => {
  let broken = true;
  await t.page.route('**/everwire_bg.wasm', (route) => (broken ? route.abort() : route.continue()));
  const failed = await inPage(t, ({ connect }, options) => failure(() => connect(options)), options(t.peer));
  assert.deepEqual([failed.code, failed.retryable], ['load', true]);
  broken = false;
  const state = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const { state } = client;
    await client.close();
    return state;
  }, options(t.peer));
  assert.equal(state, 'connected');
}, { complaints: ['Failed to load resource'] });

test('a token is never in an error or in a step of the life cycle', async (t) => {
  const told = await inPage(t, async ({ createClient }, options) => {
    const told = [];
    const tell = (value) => told.push(JSON.stringify(value, (key, value) => (value instanceof Error ? { ...value, text: `${value} ${value.stack} ${value.cause}` } : value)));
    for (const dialect of ['stream', 'stream-v1']) {
      const client = await createClient({ ...options, dialect, maxAttempts: 2, backoffBase: 10, helloTimeout: 100 });
      client.onLifecycle(tell);
      await client.connect().catch(tell);
    }
    return told;
  }, options(t.peer, { token: 'verysecret', params: { api_key: 'wrong-hello', user_id: 'alice' } }));
  assert.ok(told.length > 5);
  assert.deepEqual(told.filter((text) => text.includes('verysecret')), []);
});

test('N-11: events are iterated in order, bounded, and end with the client', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const all = client.events();
    const ticks = client.events('tick', { capacity: 2 });
    const first = ticks.next();
    await emit(client, '{"type":"tick","n":1}', '{"type":"tick","n":2}', '{"type":"tock"}', '{"type":"tick","n":3}', '{"type":"tick","n":4}');
    const seen = { first: (await first).value, all: [], ticks: [], dropped: ticks.dropped };
    // What waits is still read after the end.
    await client.close();
    for await (const { type, event } of all) seen.all.push([type, event.n]);
    for await (const { event } of ticks) seen.ticks.push(event.n);
    seen.after = await ticks.next();
    seen.ofEnded = await client.events().next();
    return seen;
  }, options(t.peer));
  assert.deepEqual(seen.first, { type: 'tick', event: { type: 'tick', n: 1 } });
  assert.deepEqual(seen.all, [['tick', 1], ['tick', 2], ['tock', undefined], ['tick', 3], ['tick', 4], ['emitted', undefined]]);
  assert.deepEqual([seen.ticks, seen.dropped], [[3, 4], 1]);
  assert.deepEqual([seen.after, seen.ofEnded], [{ done: true, value: undefined }, { done: true, value: undefined }]);
});

test('N-11: leaving a loop takes its listener off, and a reader that waits is told of the end', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const parse = JSON.parse;
    let parsed = 0;
    const loop = (async () => {
      for await (const { type } of client) if (type === 'stop') break;
    })();
    await emit(client, '{"type":"go"}', '{"type":"stop"}');
    await loop;
    JSON.parse = (text) => ((parsed += text.includes('later')), parse(text));
    await emit(client, '{"type":"later"}');
    JSON.parse = parse;
    const waits = client.events('never').next();
    const gone = new AbortController();
    const aborted = client.events('never', { signal: gone.signal }).next();
    gone.abort();
    const seen = { parsed, aborted: await aborted };
    await client.close();
    return { ...seen, waits: await waits, wrong: (await failure(() => client.events('tick', { capacity: 0 }))).code };
  }, options(t.peer));
  assert.deepEqual(seen, { parsed: 0, aborted: { done: true, value: undefined }, waits: { done: true, value: undefined }, wrong: 'invalid-input' });
});

test('N-11: an AbortSignal takes a listener off, closes a client, and gives up a connect', async (t) => {
  const seen = await inPage(t, async ({ connect, createClient }, options) => {
    // One of another realm, as a frame's and a test's page are.
    const frame = document.documentElement.appendChild(document.createElement('iframe'));
    const closes = new frame.contentWindow.AbortController();
    const client = await connect({ ...options, signal: closes.signal });
    const calls = [];
    const listens = new AbortController();
    client.on('tick', ({ n }) => calls.push(n), { signal: listens.signal });
    client.onAny(({ n }, type) => type === 'tick' && calls.push(-n), { signal: listens.signal });
    client.once('never', () => {}, { signal: AbortSignal.abort() });
    await emit(client, '{"type":"tick","n":1}');
    listens.abort();
    await emit(client, '{"type":"tick","n":2}');
    closes.abort();
    const { type } = await client.closed;
    const dials = new AbortController();
    const slow = connect({ ...options, params: { ...options.params, user_id: 'nobody' }, signal: dials.signal, backoffBase: 60_000, backoffCap: 60_000, url: 'ws://127.0.0.1:9' });
    setTimeout(() => dials.abort(new Error('enough')), 50);
    const given = await slow.catch((error) => error.message);
    const before = await createClient({ ...options, signal: AbortSignal.abort(new Error('never')) }).catch((error) => error.message);
    return { calls, type, given, before, wrong: (await failure(() => createClient({ ...options, signal: 'x' }))).path };
  }, options(t.peer));
  assert.deepEqual(seen, { calls: [1, -1], type: 'by-user', given: 'enough', before: 'never', wrong: 'signal' });
}, { complaints: ['WebSocket connection to'] });

test('N-12, S2-11: why it reconnected is remembered, and how long the server takes to answer', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const steps = [];
    client.onLifecycle((step) => steps.push(step));
    await step(client, ({ type }) => type === 'pong');
    const began = Date.now();
    const back = step(client, ({ type }) => type === 'connected');
    await client.send({ cmd: 'drop' });
    await back;
    const [{ at, attempt, reason, error }] = client.reconnectLog();
    const { latency, latencyMean, latencyP50, latencyP95 } = client.stats();
    await client.close();
    const closing = steps.filter(({ type }) => type === 'closing').at(-1);
    return { late: at - began, attempt, reason, code: error.code, trips: [latency, latencyMean, latencyP50, latencyP95], closing, pings: steps.some(({ type }) => type === 'ping') };
  }, options(t.peer, { healthCheckInterval: 100, silenceTimeout: 5000, backoffBase: 10 }));
  assert.ok(seen.late > -100 && seen.late < 5000, `${seen.late}`);
  assert.deepEqual([seen.attempt, seen.reason, seen.code, seen.pings], [0, 'the connection broke', 'closed', true]);
  assert.ok(seen.trips.every((trip) => trip >= 0 && trip < 5000), `${seen.trips}`);
  assert.deepEqual(seen.closing, { type: 'closing', code: 1000, reason: 'client disconnect', by: 'client' });
});

test('N-11: a WebSocket that is passed in is used; what is no constructor is refused', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const made = [];
    const client = await connect({ ...options, WebSocket: class extends WebSocket {
      constructor(url, protocols) {
        super(url, protocols);
        made.push(protocols.length);
      }
    } });
    await client.close();
    return { made, error: await failure(() => connect({ ...options, WebSocket: 'ws' })) };
  }, options(t.peer));
  assert.deepEqual(seen.made, [0]);
  assert.deepEqual([seen.error.code, seen.error.path], ['config', 'WebSocket']);
});
