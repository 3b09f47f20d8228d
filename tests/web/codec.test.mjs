// The option `codec`: MessagePack by a real library, a codec that makes text, and codecs that fail, against a far end made by hand.
import { assert, inPage, test } from './harness.mjs';
import { tool } from './installed.mjs';
import { startPacked } from './packed.mjs';

const msgpack = await tool('@msgpack/msgpack');

/** A dialect of which everything is written by the codec: first frame, hello, health checks, subscriptions, requests, errors. */
const PACKED = {
  name: 'packed',
  first_frame: { type: 'login', token: '${token}' },
  hello: { types: ['welcome'], connection_id: 'id' },
  errors: { types: ['error'], code: ['code'], message: ['message'] },
  health_check: { frame: { type: 'ping' }, reply: 'pong', interval_ms: 100, silence_ms: 10_000 },
  requests: { id: 'id', reply_id: 'id' },
  channels: { field: 'channel', subscribe: { type: 'join', channel: '${channel}' }, unsubscribe: { type: 'leave', channel: '${channel}' } },
};

/** A test against a far end that speaks like this codec; the page has the library as `msgpack`. */
function packed(name, codec, run, more) {
  test(name, async (t) => {
    const far = await startPacked(codec);
    try {
      await inPage(t, async () => {
        globalThis.msgpack = await import('/tests/web/fixtures/node_modules/@msgpack/msgpack/dist.esm/index.mjs');
      });
      await run({ ...t, far, given: { url: far.ws, dialect: PACKED, token: 'a token' } });
    } finally {
      await far.stop();
    }
  }, more);
}

packed('codec: MessagePack is what everything is written in, the frames of the dialect too', msgpack, async (t) => {
  const seen = await inPage(t, async ({ connect }, given) => {
    const client = await connect({ ...given, codec: globalThis.msgpack });
    const event = client.once('tick');
    const untyped = client.once('unknown');
    const news = client.channel('news');
    const heard = news.once('flash');
    const { encode } = globalThis.msgpack;
    const frames = [
      { type: 'tick', at: new Date(7), bytes: Uint8Array.of(1, 2), big: 2 ** 40, text: 'é' }, [1, 'two'], { type: 'flash', channel: 'news', n: 3 },
    ];
    await client.send({ say: frames.map((frame) => encode(frame)) });
    const { at, bytes, big, text } = await event;
    const { answer } = await client.request({ ask: 86_400_000 });
    await client.send({ type: 'date', at: new Date(9), bytes: Uint8Array.of(3) });
    await client.send('text');
    await client.send(encode({ type: 'packed already' }));
    await step(client, ({ type }) => type === 'pong');
    const told = step(client, ({ type }) => type === 'disconnected');
    await client.send({ say: [encode({ type: 'error', code: 7, message: 'not you' })] });
    const { error } = await told;
    await client.ready();
    const stats = client.stats();
    const result = {
      id: client.connectionId, at: at.getTime(), bytes: [...bytes], big, text, untyped: await untyped, news: (await heard).n, answer: answer.getTime(),
      error: [error.code, error.serverCode, error.message], reconnects: stats.reconnects, counts: [stats.malformed, stats.binary, stats.replies, stats.routed],
    };
    news.close();
    await client.close();
    return result;
  }, t.given);
  assert.deepEqual(seen, {
    id: 'c1', at: 7, bytes: [1, 2], big: 2 ** 40, text: 'é', untyped: [1, 'two'], news: 3, answer: 86_400_000,
    error: ['server', 7, 'not you (code 7)'], reconnects: 1, counts: [0, 0, 1, 1],
  });
  const { received } = t.far;
  assert.ok(received.every(({ opcode }) => opcode === 2), 'all are binary messages');
  assert.deepEqual(received[0].document, { type: 'login', token: 'a token' });
  // As the specification of MessagePack has it: a map of two, and so on.
  assert.equal(received[0].payload.toString('latin1'), '\x82\xa4type\xa5login\xa5token\xa7a token');
  assert.deepEqual(received.find(({ document }) => document.type === 'join').document, { type: 'join', channel: 'news' });
  assert.ok(received.some(({ document }) => document.type === 'ping'));
  const date = received.find(({ document }) => document.type === 'date').document;
  assert.deepEqual([date.at, [...date.bytes]], [new Date(9), [3]]);
  assert.ok(received.some(({ document }) => document === 'text'));
  assert.ok(received.some(({ document }) => document.type === 'packed already'));
  assert.ok(received.some(({ document }) => document.type === 'leave'));
});

packed('codec: what it cannot decode is an error with its cause, counted, and the connection goes on', msgpack, async (t) => {
  const seen = await inPage(t, async ({ connect }, given) => {
    const client = await connect({ ...given, codec: globalThis.msgpack });
    const errors = [];
    client.onLifecycle((step) => step.type === 'error' && errors.push(plain(step.error)));
    const { encode } = globalThis.msgpack;
    const next = client.once('tick');
    await client.send({ say: ['text', Uint8Array.of(0xc1), encode({ type: 'tick', n: 1 })] });
    const { n } = await next;
    const { malformed, errors: counted, events } = client.stats();
    await client.close();
    return { n, errors, malformed, counted, events };
  }, t.given);
  const error = seen.errors[0];
  assert.deepEqual([error.code, error.retryable, error.message, error.isEverwire], ['decode', false, 'the codec could not decode a message', true]);
  assert.match(seen.errors[1].cause, /0xc1/);
  assert.deepEqual([seen.n, seen.errors.length, seen.malformed, seen.counted], [1, 2, 2, 2]);
});

packed('codec: what it cannot encode is refused with the cause, and so is what it makes that is no message', msgpack, async (t) => {
  const seen = await inPage(t, async ({ connect, createClient }, given) => {
    const { decode, encode } = globalThis.msgpack;
    const client = await connect({ ...given, codec: { decode, encode: (message) => (message?.to ? message.to() : encode(message)) } });
    const refused = [
      await failure(() => client.send({ to() { throw new Error('no form for it'); } })),
      await failure(() => client.send({ to: () => undefined })),
      await failure(() => client.send({ to: async () => 'later' })),
    ];
    await client.close();
    for (const codec of [null, {}, { decode }, 'msgpack']) refused.push(await failure(() => createClient({ ...given, codec })));
    return refused;
  }, t.given);
  assert.deepEqual(seen.map(({ code }) => code), ['invalid-input', 'invalid-input', 'invalid-input', 'config', 'config', 'config', 'config']);
  assert.equal(seen[0].cause, 'no form for it');
  assert.equal(seen[3].path, 'codec');
});

packed('codec: where it fails on a frame of the dialect, the page is told, and nothing else is sent', msgpack, async (t) => {
  const code = await inPage(t, async ({ connect }, given) => {
    const codec = { decode: globalThis.msgpack.decode, encode: async () => 'later' };
    return (await failure(() => connect({ ...given, codec, reconnect: false, helloTimeout: 200 }))).code;
  }, t.given);
  assert.equal(code, 'timeout');
  assert.deepEqual(t.far.received, []);
}, { complaints: ['the codec could not encode a message'] });

/** A codec that makes text which is no JSON, of numbers without end too. */
const TURNED = {
  decode: (text) => (typeof text === 'string' ? JSON.parse([...text].reverse().join(''), (_, value) => (/^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value)) : undefined),
  encode: (value) => [...JSON.stringify(value, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))].reverse().join(''),
};

packed('codec: one that makes text has text on the wire, and what it decodes need not have a form in JSON', TURNED, async (t) => {
  const seen = await inPage(t, `async ({ connect }, given) => {
    const codec = { decode: ${TURNED.decode}, encode: ${TURNED.encode} };
    const client = await connect({ ...given, codec });
    const [tick, untyped] = [client.once('tick'), client.once('unknown')];
    const lost = step(client, ({ type }) => type === 'disconnected');
    await client.send({ say: [{ type: 'tick', n: 2n ** 60n }, { n: 3n }, { type: 'error', code: 5n, message: 'a number' }].map(codec.encode) });
    const { serverCode } = (await lost).error;
    await client.ready();
    const seen = { tick: String((await tick).n), untyped: String((await untyped).n), serverCode, malformed: client.stats().malformed };
    await client.send(7n);
    await client.close();
    return seen;
  }`, t.given);
  assert.deepEqual(seen, { tick: String(2n ** 60n), untyped: '3', serverCode: 5, malformed: 0 });
  assert.ok(t.far.received.every(({ opcode }) => opcode === 1));
  assert.ok(t.far.received.some(({ document }) => document === 7n));
});

packed('codec: what is too large is not decoded', msgpack, async (t) => {
  const seen = await inPage(t, async ({ connect }, given) => {
    const { decode, encode } = globalThis.msgpack;
    let largest = 0;
    const codec = { encode, decode: (data) => (largest = Math.max(largest, data.byteLength), decode(data)) };
    const client = await connect({ ...given, codec, maxMessageSize: 1000 });
    const lost = step(client, ({ type }) => type === 'disconnected');
    await client.send({ say: [new Uint8Array(2000)] });
    const { error } = await lost;
    await client.close();
    return { code: error.code, largest };
  }, t.given);
  assert.equal(seen.code, 'too-large');
  assert.ok(seen.largest < 1000);
});

packed('codec: tabs that share a connection have what it decoded', msgpack, async (t) => {
  const seen = await inPage(t, async (_, given) => {
    const { createSharedClient } = await import('/pkg/tabs.js');
    const options = { ...given, codec: globalThis.msgpack, name: 'packed' };
    const [first, second] = [await createSharedClient(options), await createSharedClient(options)];
    await first.connect();
    await second.connect();
    const heard = [first, second].map((client) => client.once('tick'));
    const { encode } = globalThis.msgpack;
    await second.send({ say: [encode({ type: 'tick', at: new Date(5), bytes: Uint8Array.of(6) })] });
    const events = (await Promise.all(heard)).map(({ at, bytes }) => [at.getTime(), ...bytes]);
    const { answer } = await second.request({ ask: 8 });
    const leads = [first.leader, second.leader];
    await second.close();
    await first.close();
    return { events, answer: answer.getTime(), leads };
  }, t.given);
  assert.deepEqual(seen, { events: [[5, 6], [5, 6]], answer: 8, leads: [true, false] });
});
