// Clients, channels and event streams kept in what wraps its content in proxies: Vue, Pinia, MobX, Immer, Valtio, Svelte, Comlink.
import { MessageChannel } from 'node:worker_threads';
import { WebSocket } from 'ws';
import { createClient as createWhole } from '../../pkg/dist/node.js';
import { createClient as createLean } from '../../pkg/dist/lean/node.js';
import { WRAPS } from './fixtures/wraps.mjs';
import { MINE, assert, inPage, options, test } from './harness.mjs';
import { tool } from './installed.mjs';

/** Everything that can be done with a client, by way of what `wrap` makes of it, its channels and its streams. Runs in a page too. */
async function life(made, wrap) {
  const client = wrap(made);
  const seen = [];
  const note = (event, type) => seen.push(`${type} ${event.n}`);
  const emit = async (...frames) => {
    const done = new Promise((resolve) => client.once('done', resolve));
    await client.send({ cmd: 'emit', frames: [...frames, { type: 'done' }].map((frame) => JSON.stringify(frame)) });
    await done;
  };
  const steps = [];
  const offSteps = client.onLifecycle((step) => steps.push(step.type));
  await client.connect();
  await client.ready();
  const { state, connectionId } = client;

  client.on('a', note);
  client.once('a', note);
  const offAny = client.onAny((_, type) => seen.push(`any ${type}`));
  const stream = wrap(client.events('a'));
  const all = client[Symbol.asyncIterator]();
  await emit({ type: 'a', n: 1 }, { type: 'a', n: 2 });
  const off = [client.off('a', note), client.off('a', note), offAny(), offSteps()];
  await emit({ type: 'a', n: 3 });
  for await (const { event } of stream) {
    seen.push(`loop ${event.n}`);
    if (event.n === 3) break;
  }
  seen.push(`first of all ${(await all.next()).value.event.n}`);
  const tail = [(await stream.next()).done, stream.dropped, (await wrap(all).return()).done];

  const { pong } = await client.request({ cmd: 'emit', frames: [] }, { timeout: 1 }).catch((error) => ({ pong: error.code }));
  const channels = [];
  if ('channel' in client) {
    const channel = wrap(client.channel('news'));
    const heard = (event) => channels.push(event.n);
    channel.on('b', heard);
    channel.once('b', heard);
    const loop = wrap(channel.events());
    await emit({ type: 'b', channel: 'news', n: 4 }, { type: 'b', channel: 'sport', n: 5 });
    channels.push((await loop.next()).value.event.n, channel.name, channel.off('b', heard), channel.off('b', heard));
    channel.close();
    channels.push((await loop.next()).done);
  }
  const stats = client.stats().connects;
  const { connect, close } = client;
  const twice = await connect().catch((error) => error.code);
  await close(1000);
  await client[Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]();
  return {
    state, connectionId, seen, off, tail, pong, channels, stats, twice, steps: steps.includes('connected'),
    cause: (await client.closed).type, log: client.reconnectLog().length, point: client.resumePoint ?? null, same: client instanceof made.constructor,
  };
}

const EXPECTED = {
  state: 'connected', connectionId: 'c',
  seen: ['a 1', 'a 1', 'any a', 'a 2', 'any a', 'any done', 'loop 1', 'loop 2', 'loop 3', 'first of all 1'],
  off: [true, false, true, true], tail: [true, 0, true], pong: 'timeout',
  channels: [4, 4, 4, 'news', true, false, true],
  stats: 1, twice: 'invalid-state', steps: true, cause: 'by-user', log: 0, point: null, same: true,
};

for (const [name, wrap] of Object.entries(WRAPS)) {
  test(`a client kept in ${name} does all that it does`, async ({ peer }) => {
    const given = { url: peer.ws, dialect: MINE, WebSocket };
    assert.deepEqual(await life(await createWhole(given), wrap), EXPECTED);
    const { channels, ...lean } = MINE;
    const expected = { ...EXPECTED, channels: [] };
    assert.deepEqual(await life(await createLean({ ...given, dialect: lean }), wrap), expected, 'lean');
  });
}

test('a client that shares, kept in Vue and in a deep proxy, does all that it does', async (t) => {
  for (const kept of ['reactive', 'deep']) {
    const found = await inPage(t, `async (_, { given, kept, life }) => {
      const { createSharedClient } = await import('/pkg/tabs.js');
      const { reactive } = await import('vue');
      const deep = ${WRAPS['a deep proxy of any kind']};
      const wrap = kept === 'deep' ? deep : reactive;
      const run = ${life};
      const made = await createSharedClient(given);
      const shared = wrap(made).shared;
      return { shared, leader: wrap(made).leader, ...await run(made, wrap) };
    }`, { given: { url: t.peer.ws, dialect: MINE, name: kept }, kept });
    assert.deepEqual(found, { shared: true, leader: false, ...EXPECTED }, kept);
  }
});

test('a client in a worker is driven through Comlink', async ({ peer }) => {
  const { expose, proxy, wrap } = await tool('comlink');
  const { default: nodeEndpoint } = await tool('comlink/dist/umd/node-adapter.js');
  const { port1, port2 } = new MessageChannel();
  const made = await createWhole(options(peer, { WebSocket }));
  expose(made, nodeEndpoint(port1));
  const client = wrap(nodeEndpoint(port2));
  try {
    await client.connect();
    assert.equal(await client.state, 'connected');
    const echoed = new Promise((resolve) => made.once('echo', resolve));
    await client.send({ type: 'hello' });
    assert.equal((await echoed).text, '{"type":"hello"}');
    assert.equal((await client.stats()).connects, 1);
    await client.close();
    assert.equal((await client.closed).type, 'by-user');
  } finally {
    port1.close();
  }
});
