// What is done with is gone: memory does not grow, and listeners, clients and loops that ended leave nothing behind.
import { assert, inPage, options, test } from './harness.mjs';
import { measureMemory, moduleMemory } from './memory.mjs';

/** Waits until everything that was given to `watch` in the page, by name, is gone. */
async function gone(t, names) {
  const devtools = await t.page.context().newCDPSession(t.page);
  for (let round = 0; round < 40; round += 1) {
    await devtools.send('HeapProfiler.collectGarbage');
    const left = await t.page.evaluate((names) => names.filter((name) => !globalThis.collected.includes(name)), names);
    if (left.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const collected = await t.page.evaluate(() => globalThis.collected);
  assert.deepEqual(names.filter((name) => !collected.includes(name)), [], 'still there');
}

/** Runs in the page: `watch(name, thing)` gives the thing back, and notes when it is gone. */
const WATCH = () => {
  globalThis.collected = [];
  const registry = new FinalizationRegistry((name) => globalThis.collected.push(name));
  globalThis.watch = (name, thing) => {
    registry.register(thing, name);
    return thing;
  };
};

test('pitfall 12: neither events nor reconnects make memory grow', async (t) => {
  const { before, after } = await measureMemory({ page: t.page, peer: t.peer, events: 200_000, reconnects: 60 });
  assert.equal(after.wasm, before.wasm);
  assert.ok(after.heap < before.heap + 300_000, `${before.heap} bytes, then ${after.heap}`);
});

test('pitfall 12: listeners that were taken off and loops that ended leave nothing behind', async (t) => {
  await inPage(t, async () => {});
  await t.page.evaluate(WATCH);
  await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    globalThis.kept = client;
    // It outlives all of them.
    const { signal } = (globalThis.controller = new AbortController());
    const brief = new AbortController();
    client.on('tick', watch('taken off by what `on` gave', () => {}), { signal })();
    const listener = watch('taken off by `off`', () => {});
    client.on('tick', listener, { signal });
    client.off('tick', listener);
    client.on('tick', watch('taken off by its signal', () => {}), { signal: brief.signal });
    client.onAny(watch('listens to anything', () => {}))();
    client.once('tick', watch('called once', () => {}), { signal });
    client.onLifecycle(watch('listens to the life cycle', () => {}))();
    await emit(client, '{"type":"tick"}');
    brief.abort();
    watch('a loop that was returned from', client.events('tick', { signal })).return();
    const loop = watch('a loop that was left', client.events('emitted', { signal }));
    await client.send({ cmd: 'emit', frames: ['{"type":"emitted"}'] });
    for await (const { event } of loop) {
      watch('an event', event);
      break;
    }
  }, options(t.peer));
  await gone(t, [
    'taken off by what `on` gave', 'taken off by `off`', 'taken off by its signal', 'listens to anything', 'called once',
    'listens to the life cycle', 'a loop that was returned from', 'a loop that was left', 'an event',
  ]);
  assert.equal(await t.page.evaluate(() => globalThis.kept.state), 'connected');
});

test('pitfall 12: clients that were closed leave nothing behind, whatever refers to whatever', async (t) => {
  await inPage(t, async () => {});
  await t.page.evaluate(WATCH);
  await inPage(t, async ({ connect, createClient }, options) => {
    const { workerTimer } = await import('/pkg/worker-timer.js');
    globalThis.controller = new AbortController();
    const { signal } = globalThis.controller;
    // Each in a function of its own: what one of them refers to, all that were made in the same function would refer to.
    const one = async () => {
      let closed;
      closed = watch('closed', await connect({ ...options, signal, timer: workerTimer, token: () => (closed?.state, 'token') }));
      closed.on('tick', watch('a listener of the closed one', () => closed.send('tock')), { signal });
      closed.onLifecycle(() => closed.state);
      const loop = closed.events();
      const read = (async () => {
        for await (const { event } of loop) closed.latest = event;
      })();
      await closed.close();
      await read;
    };
    const another = async () => {
      const idle = watch('never connected', await createClient(options));
      idle.on('tick', () => idle.state);
    };
    const third = async () => {
      const failed = watch('failed', await createClient({ ...options, token: 'expired' }));
      failed.onLifecycle(() => failed.state);
      await failed.connect().catch(() => {});
    };
    // One that is connected is kept by its connection.
    const last = async () => {
      const open = watch('connected', await connect(options));
      open.on('tick', () => open.close());
    };
    for (const make of [one, another, third, last]) await make();
  }, options(t.peer));
  await gone(t, ['closed', 'a listener of the closed one', 'never connected', 'failed']);
  const open = t.peer.connections.at(-1);
  assert.equal(open.closed, undefined);
  assert.ok(!(await t.page.evaluate(() => globalThis.collected.includes('connected'))));
  open.say('{"type":"tick"}');
  await t.peer.until(() => open.closed);
  await gone(t, ['connected']);
});

test('pitfall 12: clients that come and go give the memory of the module back', async (t) => {
  await inPage(t, async () => {});
  await t.page.addScriptTag({ url: '/tests/web/bench-page.js' });
  const devtools = await t.page.context().newCDPSession(t.page);
  const memory = [];
  for (let round = 0; round < 6; round += 1) {
    await t.page.evaluate((url) => globalThis.comeAndGo({ count: 150, url }), t.peer.ws);
    await devtools.send('HeapProfiler.collectGarbage');
    // What is to be done for what was collected is a task of its own.
    await t.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
    memory.push(await t.page.evaluate(moduleMemory));
  }
  // Were they kept, there would be three times as many.
  assert.ok(memory.at(-1) < 1.5 * memory[1], `${memory}`);
});

test('a client that was closed has its listeners still when it is connected again', async (t) => {
  const calls = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    const calls = [];
    client.on('tick', ({ n }) => calls.push(n));
    client.onLifecycle((step) => step.type === 'connected' && calls.push('connected'));
    for (const n of [1, 2]) {
      await client.connect();
      await emit(client, `{"type":"tick","n":${n}}`);
      await client.close();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return calls;
  }, options(t.peer));
  assert.deepEqual(calls, ['connected', 1, 'connected', 2]);
});

test('pitfall 19: the name of a type does not keep the message alive that it came in', async (t) => {
  const devtools = await t.page.context().newCDPSession(t.page);
  const heap = async () => {
    await devtools.send('HeapProfiler.collectGarbage');
    return (await devtools.send('Runtime.getHeapUsage')).usedSize;
  };
  await inPage(t, async ({ connect }, options) => {
    const { WebSocket } = globalThis;
    globalThis.WebSocket = class extends WebSocket {
      constructor(...given) {
        super(...given);
        globalThis.socket = this;
      }
    };
    globalThis.client = await connect(options);
  }, options(t.peer));
  const before = await heap();
  await inPage(t, () => {
    // Texts of the page's own: those from the network are not counted in this heap.
    for (let n = 0; n < 50; n += 1) globalThis.socket.onmessage({ data: `{"type":"a.type.of.some.length.${n}","text":"${'x'.repeat(200_000)}"}` });
    return globalThis.client.stats().events;
  });
  const grown = (await heap()) - before;
  assert.ok(grown < 1_000_000, `${grown} bytes more`);
});

test('a client that is closed before it was ever connected tells so, and its loops end', async (t) => {
  const seen = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    const steps = [];
    client.onLifecycle((step) => steps.push(step.type === 'state' ? step.new : step.type));
    const loop = (async () => {
      for await (const _ of client.events());
    })();
    await client.close();
    await loop;
    return steps;
  }, options(t.peer));
  assert.deepEqual(seen, ['closed', 'closed']);
});

test('N-10, pitfall 12: clients that share and were closed leave nothing behind, and listeners that were taken off neither', async (t) => {
  await inPage(t, async () => {});
  await t.page.evaluate(WATCH);
  await t.page.evaluate(async (options) => {
    const { connectShared } = await import('/pkg/tabs.js');
    const listen = (client, name) => client.on('tick', watch(name, () => client.state));
    const leads = watch('the client that led', await connectShared({ ...options, token: watch('its token function', () => 'token') }));
    const follows = watch('the client that followed', await connectShared(options));
    listen(leads, 'taken off')();
    listen(leads, 'a listener of the one that led');
    listen(follows, 'a listener of the one that followed');
    await follows.send('text');
    await leads.close();
    await follows.ready();
    await follows.close();
  }, options(t.peer, { params: { api_key: 'memory-of-tabs', user_id: 'alice' } }));
  await gone(t, [
    'the client that led', 'the client that followed', 'its token function', 'taken off', 'a listener of the one that led',
    'a listener of the one that followed',
  ]);
});

test('S0-25: of the stack of 64 KiB no session needs more than half, however deep its documents', async (t) => {
  const free = await inPage(t, async ({ connect, EverwireError }, options) => {
    const deep = (levels) => `${'{"a":['.repeat(levels / 2)}1${']}'.repeat(levels / 2)}`;
    const dialect = {
      name: 'deep',
      url: { path: '/api/v2/connect' },
      first_frame: { token: '${token}', user_details: '${user_details}', deep: JSON.parse(deep(110)) },
      hello: { types: ['connection.ok'], connection_id: 'connection_id' },
      errors: { types: ['connection.error'], code: ['error.code'], default: 'event' },
      requests: { id: 'id', reply_id: 'id' },
    };
    const user_details = { id: 'alice', deep: JSON.parse(deep(100)) };
    const client = await connect({ ...options, dialect, params: { ...options.params, user_details } });
    await emit(client, `{"type":"connection.error","error":${deep(120)}}`, `{"id":1,"type":"deep","a":${deep(126)}}`, deep(1000));
    client.request({ type: 'deep', deep: JSON.parse(deep(120)) }).catch(() => {});
    const error = await connect({ ...options, dialect: { ...dialect, hello: JSON.parse(deep(110)) } }).catch((error) => error);
    if (!(error instanceof EverwireError)) throw error;
    await client.close();
    const { default: init } = await import('/pkg/dist/everwire.js');
    // It grows from its end down to 0, and was all zero.
    return new Uint8Array((await init()).memory.buffer, 0, 64 * 1024).findIndex((byte) => byte !== 0);
  }, options(t.peer));
  assert.ok(free > 32 * 1024, `${free} bytes were never used`);
});
