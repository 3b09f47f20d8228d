// What is sent: bytes of every kind, Blobs in order, and nothing that JSON would lose without a word (N-6, S1-13).
import { MINE, assert, inPage, options, test } from './harness.mjs';

test('N-6: bytes are bytes, of whatever realm and kind, and Blobs go in order', async (t) => {
  const before = t.peer.connections.length;
  await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const frame = document.body.appendChild(document.createElement('iframe'));
    const { Uint8Array: Foreign, DataView: ForeignView, Blob: ForeignBlob } = frame.contentWindow;
    const shared = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer;
    new Uint8Array(shared).set([5, 6]);
    const reused = Uint8Array.of(9);
    const sends = [
      Foreign.of(1).buffer, new ForeignView(Foreign.of(0, 2, 0).buffer, 1, 1), Uint16Array.of(3), new Uint8Array(shared, 0, 2),
      new Blob([Uint8Array.of(7)]), 'a text behind a Blob', new File(['8'], 'name'), reused, new ForeignBlob(['10']), { eleven: 11 },
    ].map((message) => client.send(message));
    reused[0] = 0; // a buffer may be used again at once
    sends.push(client.send('the last'));
    await Promise.all(sends);
    await client.close();
  }, options(t.peer));
  const { received } = await t.peer.until((connections) => connections.slice(before).find(({ closed }) => closed));
  assert.deepEqual(received.slice(1), [
    [1], [2], [3, 0], [5, 6], [7], 'a text behind a Blob', [56], [9], [49, 48], '{"eleven":11}', 'the last',
  ]);
});

test('N-6: what JSON would lose is refused with a word on what to do, wherever it stands, and nothing is sent', async (t) => {
  const seen = await inPage(t, async ({ connect, createClient }, options) => {
    const client = await connect(options);
    const transferred = new ArrayBuffer(4);
    structuredClone(transferred, { transfer: [transferred] });
    class Point {}
    const lost = {
      promise: Promise.resolve(1), map: new Map([[1, 2]]), set: new Set([1]), params: new URLSearchParams('a=1'), form: new FormData(),
      weak: new WeakMap(), error: new Error('no'), point: new Point(), pattern: /x/, stream: new ReadableStream(), headers: new Headers(),
    };
    const errors = {};
    for (const [name, value] of Object.entries(lost)) {
      const [own, within] = [await failure(() => client.send(value)), await failure(() => client.send({ a: [{ value }] }))];
      errors[name] = [own.isEverwire, own.code, within.code, own.message];
    }
    errors.buffer = await failure(() => client.send({ buffer: new ArrayBuffer(2) }));
    for (const value of [transferred, undefined, () => {}, Symbol('x'), 1n, NaN]) errors[String(value)] = (await failure(() => client.send(value))).code;
    errors.request = await failure(() => client.request({ type: 'x', value: new Map() }));
    errors.blob = await failure(() => client.send(Object.assign(new Blob(['x']), { arrayBuffer: () => Promise.reject(new Error('gone')) })));
    errors.options = await failure(() => createClient({ ...options, params: { a: new Map() } }));
    // What has a meaning is sent as ever.
    for (const value of [{}, [], [{}], Object.create(null), null, 0, new Date(0), new String('boxed'), { a: {}, b: [] }]) await client.send(value);
    await client.close();
    return errors;
  }, { url: t.peer.ws, dialect: MINE });
  const { buffer, request, blob, options: config, ...others } = seen;
  for (const name of ['promise', 'map', 'set', 'params', 'form', 'weak', 'error', 'point', 'pattern', 'stream', 'headers']) {
    assert.deepEqual(others[name].slice(0, 3), [true, 'invalid-input', 'invalid-input'], name);
  }
  assert.match(others.promise[3], /Promise.*await it/);
  assert.match(others.map[3], /Map.*Object.fromEntries/);
  assert.match(others.point[3], /Point/);
  assert.match(buffer.message, /ArrayBuffer.*by themselves/);
  assert.deepEqual([request.code, config.code, config.path], ['invalid-input', 'config', 'params']);
  assert.deepEqual([blob.code, blob.cause], ['invalid-input', 'gone']);
  for (const name of ['[object ArrayBuffer]', 'undefined', '() => {}', 'Symbol(x)', '1', 'NaN']) assert.equal(others[name], 'invalid-input', name);
  const { received } = await t.peer.until((connections) => connections.at(-1).closed && connections.at(-1));
  assert.deepEqual(received.slice(1), ['{}', '[]', '[{}]', '{}', 'null', '0', '"1970-01-01T00:00:00.000Z"', '"boxed"', '{"a":{},"b":[]}']);
});
