// What is sent: bytes of every kind, Blobs in order, and nothing that JSON would lose without a word (N-6, S1-13).
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runInNewContext } from 'node:vm';
import { WebSocket } from 'ws';
import { MINE, assert, inPage, options, test } from './harness.mjs';
import { installed } from './installed.mjs';
import { own, ours } from './sharing.mjs';

/** What a connection has received since the first frame. */
const received = ({ received }) => received.slice(1);
const until = (t, connection, count) => t.peer.until(() => received(connection).length >= count);

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

test('N-6: buffers that can grow are bytes as well', async (t) => {
  await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const { buffer } = Object.assign(new Uint8Array(new ArrayBuffer(3, { maxByteLength: 8 })), [1, 2, 3]);
    for (const message of [buffer, new Uint8Array(buffer), new DataView(buffer, 1)]) await client.send(message);
    await client.close();
  }, options(t.peer));
  const connection = t.peer.connections.at(-1);
  await t.peer.until(() => connection.closed);
  assert.deepEqual(received(connection), [[1, 2, 3], [1, 2, 3], [2, 3]]);
});

test('N-6: a buffer that is gone, or smaller than its view, is a typed error', async (t) => {
  const errors = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const gone = new ArrayBuffer(8);
    const views = [new Uint8Array(gone), new DataView(gone)];
    structuredClone(gone, { transfer: [gone] });
    const small = new ArrayBuffer(8, { maxByteLength: 8 });
    views.push(new Uint8Array(small, 4, 4), new DataView(small, 4, 4));
    small.resize(2);
    const errors = [];
    for (const message of [gone, ...views]) errors.push(await failure(() => client.send(message)));
    await client.close();
    return errors;
  }, options(t.peer));
  for (const { isEverwire, code, message } of errors) {
    assert.deepEqual([isEverwire, code], [true, 'invalid-input']);
    assert.match(message, /buffer/);
  }
});

test('N-6: a blob and a file are sent as their bytes, in order with all that is sent after them', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const slow = new Blob(['slow']);
    let read;
    Object.defineProperty(slow, 'arrayBuffer', { value: () => new Promise((resolve) => (read = () => resolve(new TextEncoder().encode('slow').buffer))) });
    const broken = new Blob(['broken']);
    Object.defineProperty(broken, 'arrayBuffer', { value: () => Promise.reject(new DOMException('it is not there any more', 'NotFoundError')) });
    const taken = new AbortController();
    const sent = [
      client.send('first'), client.send(slow), client.send('second'), client.send(new File(['file'], 'name')), client.send({ n: 3 }),
      failure(() => client.send(broken)), failure(() => client.send('never', { signal: taken.signal })), client.request({ id: 'r', cmd: 'emit', frames: ['{"id":"r"}'] }),
    ];
    taken.abort();
    await sent[0];
    read();
    const results = await Promise.all(sent);
    await client.send('last');
    await client.close();
    return { broken: results[5], aborted: results[6].name };
  }, { url: `${t.peer.ws}/mine`, dialect: MINE });
  const connection = t.peer.connections.at(-1);
  await t.peer.until(() => connection.closed);
  const bytes = (text) => [...Buffer.from(text)];
  assert.deepEqual(received(connection), [
    'first', bytes('slow'), 'second', bytes('file'), '{"n":3}', '{"id":"r","cmd":"emit","frames":["{\\"id\\":\\"r\\"}"]}', 'last',
  ]);
  assert.deepEqual([seen.broken.code, seen.broken.cause, seen.aborted], ['invalid-input', 'it is not there any more', 'AbortError']);
});

test('N-6: what waits for a blob is bounded as the outbox is, and settles with the client', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const blob = (size) => {
      const blob = new Blob(['x'.repeat(size)]);
      Object.defineProperty(blob, 'arrayBuffer', { value: () => new Promise((resolve) => setTimeout(() => resolve(new ArrayBuffer(size)), 100)) });
      return blob;
    };
    const outcome = (promise) => promise.then(() => 'sent', ({ code, message }) => `${code}: ${message}`);
    const outcomes = await Promise.all([blob(100), blob(8), 'x', blob(1), 'x'].map((message) => outcome(client.send(message))));
    const [, bytes] = await Promise.all([blob(100), blob(11)].map((message) => outcome(client.send(message))));
    const late = outcome(client.send(blob(1)));
    await client.close();
    return [bytes, ...outcomes, await late];
  }, options(t.peer, { outbox: { messages: 3, bytes: 110 } }));
  assert.deepEqual(seen, [
    'overflow: too many bytes wait to be sent', 'sent', 'sent', 'sent', 'overflow: too many messages wait to be sent', 'overflow: too many messages wait to be sent',
    'closed: cannot send: the client is closed',
  ]);
});

/** What would arrive as `{}`, and the word for it. Runs in a page and in Node. */
const MEANINGLESS = () => {
  class Hidden {
    #value = 1;
    get value() {
      return this.#value;
    }
  }
  const form = new FormData();
  form.append('a', '1');
  const promise = Promise.resolve({ a: 1 });
  return {
    Promise: promise, Map: new Map([[1, 2]]), Set: new Set([1]), WeakMap: new WeakMap(), URLSearchParams: new URLSearchParams('a=1'), FormData: form,
    Headers: new Headers({ a: '1' }), Response: new Response('a'), ReadableStream: new ReadableStream(), Error: new Error('what'), RegExp: /a/, Hidden: new Hidden(),
    // Another library's promise, and one that is not on the outside.
    Lazy: Object.assign(new (class Lazy { then() {} })(), { state: 1 }),
  };
};

/** Tries to send each of them, alone and inside of something; gives what was told. */
const REFUSED = async (client, things) => {
  const told = {};
  const refusal = (send) => send.then(() => 'sent', ({ code, message }) => `${code}: ${message}`);
  for (const [name, thing] of Object.entries(things)) {
    told[name] = [await refusal(client.send(thing)), await refusal(client.request(thing))];
    if (name !== 'Lazy') told[name].push(await refusal(client.send({ text: 'a {} b', list: [{}, { thing }] })));
  }
  return told;
};

function refused(told) {
  assert.equal(Object.keys(told).length, 13);
  for (const [name, [alone, asked, inside = `invalid-input: "thing" ${name}`]] of Object.entries(told)) {
    assert.match(alone, new RegExp(`^invalid-input: the message cannot be written as JSON: it would lose a ${name} \\(${/Promise|Lazy/.test(name) ? 'await it' : '.+'}\\)`));
    assert.equal(asked, alone.replace('message', 'request'));
    assert.match(inside, new RegExp(`^invalid-input: .*${name}.*in "thing"|"thing" ${name}`));
  }
}

test('N-6: what has no meaning as JSON is refused by its name and place; what has is sent', async (t) => {
  const { told, words } = await inPage(t, new Function('everwire', 'options', `return (async () => {
    const REFUSED = ${REFUSED};
    const client = await everwire.connect(options);
    const told = await REFUSED(client, (${MEANINGLESS})());
    const words = [];
    const circle = {};
    circle.circle = circle;
    for (const thing of [undefined, () => 1, Symbol('s'), NaN, 1n, circle]) words.push((await failure(() => client.send(thing))).message);
    class Point { constructor() { this.x = 1; } }
    class Dated { toJSON() { return {}; } }
    const { contentWindow: other } = document.body.appendChild(document.createElement('iframe'));
    for (const thing of [{}, [{}], Object.create(null), new Point(), new Dated(), new Proxy({}, {}), other.eval('({ a: {} })'), { empty: new Uint8Array() }]) await client.send(thing);
    await client.close();
    return { told, words };
  })()`), { url: `${t.peer.ws}/mine`, dialect: MINE });
  refused(told);
  const connection = t.peer.connections.at(-1);
  await t.peer.until(() => connection.closed);
  assert.deepEqual(received(connection), ['{}', '[{}]', '{}', '{"x":1}', '{}', '{}', '{"a":{}}', '{"empty":{}}']);
  const cannot = 'the message cannot be written as JSON';
  assert.deepEqual(words.slice(0, 4), [`${cannot}: undefined`, `${cannot}: a Function`, `${cannot}: Symbol(s)`, `${cannot}: NaN`]);
  for (const word of words.slice(4)) assert.match(word, new RegExp(`^${cannot}: .`));
  assert.ok(words.every((word) => !word.includes('\n')));
});

test('N-6: the same in Node: its blobs, the buffers of another context, and what has no meaning', async (t) => {
  const { app } = await installed();
  const { connect } = await import(pathToFileURL(join(app, 'node_modules/everwire/dist/node.js')));
  const client = await connect({ url: `${t.peer.ws}/mine`, dialect: MINE, WebSocket });
  const connection = t.peer.connections.at(-1);
  refused(await REFUSED(client, MEANINGLESS()));
  const [foreign, view] = runInNewContext('[Uint8Array.of(1, 2).buffer, Uint8Array.of(1, 2)]');
  const shared = new SharedArrayBuffer(2);
  new Uint8Array(shared).set([1, 2]);
  const gone = new ArrayBuffer(2);
  structuredClone(gone, { transfer: [gone] });
  await assert.rejects(client.send(gone), { name: 'EverwireError', code: 'invalid-input' });
  const all = [new Blob([Uint8Array.of(1, 2)]), foreign, view, shared, new Uint8Array(shared), Buffer.of(1, 2)];
  await Promise.all(all.map((message) => client.send(message)));
  await until(t, connection, all.length);
  assert.deepEqual(received(connection), Array(all.length).fill([1, 2]));
  await client.close();
});

test('N-6: options that have no meaning as JSON are refused by their names, as are channels without one', async (t) => {
  const seen = await inPage(t, async ({ createClient }, good) => {
    const wrong = [
      { params: Promise.resolve({}) }, { params: { api_key: 'key', user_id: Promise.resolve('alice') } }, { dialect: new Map([['name', 'x']]) }, { protocols: new Set(['a']) },
      { resumeFrom: Promise.resolve() },
    ];
    const seen = [];
    for (const options of wrong) {
      const { code, path, message } = await failure(() => createClient({ ...good, ...options }));
      seen.push([code, path, /would lose a (Promise|Map|Set)/.test(message)]);
    }
    const client = await createClient(good);
    for (const name of [undefined, 7, Promise.resolve('c')]) {
      const { isEverwire, code } = await failure(() => client.channel(name));
      seen.push([isEverwire, code]);
    }
    return seen;
  }, { url: `${t.peer.ws}/mine`, dialect: MINE });
  assert.deepEqual(seen, [
    ...['params', 'params', 'dialect', 'protocols', 'resumeFrom'].map((path) => ['config', path, true]),
    ...Array(3).fill([true, 'invalid-input']),
  ]);
});

test('N-10: a tab that follows sends blobs and bytes as any other, and refuses what has no meaning itself', async (t) => {
  const options = own(t);
  await t.page.goto(`${t.peer.http}/tests/web/blank.html`);
  const begin = async (options) => {
    const { createSharedClient } = await import('/pkg/tabs.js');
    globalThis.client = await createSharedClient(options);
    await globalThis.client.connect();
  };
  await t.page.evaluate(begin, options);
  const page = await t.context.newPage();
  await page.goto(`${t.peer.http}/tests/web/blank.html`);
  await page.evaluate(begin, options);
  const codes = await page.evaluate(async () => {
    const { client } = globalThis;
    const shared = new Uint8Array(new WebAssembly.Memory({ shared: true, initial: 1, maximum: 1 }).buffer, 0, 2);
    const reused = Uint8Array.of(5, 6);
    const sent = [client.send(new Blob(['ab'])), client.send('text'), client.send(shared), client.send(reused)];
    // What was sent is sent as it was.
    reused.fill(0);
    await Promise.all(sent);
    return Promise.all([new Map(), Promise.resolve(1), { blob: new Blob() }].map((thing) => client.send(thing).then(() => 'sent', ({ code }) => code)));
  });
  assert.deepEqual(codes, Array(3).fill('invalid-input'));
  const [connection] = ours(t, options);
  await until(t, connection, 4);
  assert.deepEqual(received(connection), [[97, 98], 'text', [0, 0], [5, 6]]);
});
