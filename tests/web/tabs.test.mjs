// One connection for many tabs (N-10): several pages of one browser, and a server that counts its connections.
import { assert, options, test } from './harness.mjs';
import { neverTwo, numbers, ours, own, say, start, whole } from './sharing.mjs';

/** A page with a client that shares: `globalThis.client`, and what it heard: `seen`, `steps`. */
async function tab(t, options, page) {
  await page.goto(`${t.peer.http}/tests/web/blank.html`);
  await page.evaluate(start, options);
  return page;
}

async function tabs(t, options, count) {
  const pages = [await tab(t, options, t.page)];
  while (pages.length < count) pages.push(await tab(t, options, await t.context.newPage()));
  return pages;
}

const heard = (page, n) => page.waitForFunction((n) => globalThis.seen.at(-1) === n, n);
const counted = (page) => page.evaluate(() => globalThis.seen.filter((seen) => typeof seen === 'number'));
const leads = (page) => page.evaluate(() => globalThis.client.leader);

test('N-10: three tabs have one connection, and each hears every event once, in order', async (t) => {
  const options = own(t);
  const pages = await tabs(t, options, 3);
  assert.deepEqual(await Promise.all(pages.map(leads)), [true, false, false]);
  say(ours(t, options)[0], 1, 200);
  for (const page of pages) {
    await heard(page, 200);
    assert.deepEqual(await counted(page), numbers(1, 200));
    const { state, id, shared, events } = await page.evaluate(async () => {
      const { client } = globalThis;
      return { state: client.state, id: client.connectionId, shared: client.shared, events: client.stats().events };
    });
    assert.deepEqual([state, shared], ['connected', true]);
    assert.match(id, /^connection-/);
    assert.ok(events >= 1);
  }
  assert.equal(ours(t, options).length, 1);
});

test('N-10: what a tab that follows sends arrives once, and is answered where it is asked', async (t) => {
  const options = own(t);
  const [, page] = await tabs(t, options, 2);
  await page.evaluate(() => Promise.all([1, 2, 3].map((n) => globalThis.client.send({ from: 'a follower', n }))));
  await page.evaluate(() => globalThis.client.send(new Uint8Array([1, 2, 3])));
  const [connection] = ours(t, options);
  await t.peer.until(() => connection.received.length >= 5);
  assert.deepEqual(connection.received.slice(1), [...[1, 2, 3].map((n) => `{"from":"a follower","n":${n}}`), [1, 2, 3]]);
  const failed = await page.evaluate(async () => {
    try {
      await globalThis.client.send(undefined);
    } catch (error) {
      return error.code;
    }
  });
  assert.equal(failed, 'invalid-input');
});

test('N-10, N-6: what is sent before the connect waits for it; a second connect and a full outbox say what is so', async (t) => {
  const options = own(t);
  await t.page.goto(`${t.peer.http}/tests/web/blank.html`);
  const said = await t.page.evaluate(async (options) => {
    const { createSharedClient } = await import('/pkg/tabs.js');
    const client = await createSharedClient(options);
    const failed = (promise) => promise.then(() => undefined, ({ code, message }) => `${code}: ${message}`);
    const reused = Uint8Array.of(7);
    const early = client.send(reused);
    reused.fill(0); // what was sent is sent as it was
    const large = client.send('x'.repeat(1 << 20)); // with the one before it that is too much
    const first = client.connect();
    const said = [await failed(large), await failed(client.connect())];
    await first;
    await early;
    const closing = client.close();
    said.push(await failed(client.connect()), await failed(client.send('late')));
    await closing;
    return said;
  }, options);
  assert.deepEqual(said, [
    'overflow: too many bytes wait to be sent',
    'invalid-state: the client is connecting already; close it first',
    'invalid-state: the client is disconnecting; wait until it has closed',
    'closed: cannot send: the client is disconnecting',
  ]);
  await t.peer.until(() => ours(t, options)[0]?.closed);
  assert.deepEqual(ours(t, options)[0].received.slice(1), [[7]]);
});

test('N-10: when the tab that leads is closed, another has the connection within a second', async (t) => {
  const options = own(t);
  const [first, second, third] = await tabs(t, options, 3);
  say(ours(t, options)[0], 1, 3);
  for (const page of [second, third]) await heard(page, 3);
  const began = Date.now();
  await first.close();
  await second.waitForFunction(() => globalThis.connectedAt.length === 2);
  const took = (await second.evaluate(() => globalThis.connectedAt[1])) - began;
  console.log(`     fail-over after a closed tab: ${took} ms`);
  assert.ok(took < 1000, `${took} ms`);
  assert.deepEqual([await leads(second), await leads(third)], [true, false]);
  await t.peer.until(() => ours(t, options).length === 2 && ours(t, options)[1].auth);
  say(ours(t, options)[1], 4, 6);
  for (const page of [second, third]) {
    await heard(page, 6);
    assert.deepEqual(await counted(page), numbers(1, 6));
    assert.deepEqual(await page.evaluate(() => globalThis.steps.filter((step) => /connected$/.test(step) && step !== 'state')), [
      'connected', 'connected', 'disconnected', 'connected', 'connected',
    ]);
  }
  neverTwo(t, options);
});

test('N-10: what is sent while nobody leads is sent by the next, once; too much of it is refused', async (t) => {
  const options = own(t);
  const [first, second] = await tabs(t, options, 2);
  await second.evaluate(() => {
    globalThis.answers = [];
    globalThis.client.onLifecycle(({ type }) => {
      if (type !== 'disconnected') return;
      for (let n = 0; n < 1030; n += 1) globalThis.client.send(`message ${n}`).then(() => globalThis.answers.push('sent'), ({ code, retryable }) => globalThis.answers.push(`${code} ${retryable}`));
      globalThis.client.send('x'.repeat(1 << 20)).catch(({ code }) => globalThis.answers.push(code));
    });
  });
  await first.close();
  await second.waitForFunction(() => globalThis.answers.length === 1031);
  const answers = await second.evaluate(() => globalThis.answers);
  assert.deepEqual(answers.slice(0, 7), [...Array(6).fill('overflow true'), 'overflow']);
  assert.deepEqual(answers.slice(7), Array(1024).fill('sent'));
  assert.equal(await second.evaluate(() => globalThis.client.stats().overflows), 7);
  const connection = ours(t, options)[1];
  await t.peer.until(() => connection.received.length >= 1025);
  assert.deepEqual(connection.received.slice(1), numbers(0, 1023).map((n) => `message ${n}`));
  neverTwo(t, options);
});

test('N-10: a message that a leader took before it went is reported, and one that it never saw is sent by the next', async (t) => {
  const options = own(t, { name: 'by hand' });
  // A leader that the test plays: it holds the lock, and answers as it likes.
  await t.page.goto(`${t.peer.http}/tests/web/blank.html`);
  await t.page.evaluate(async () => {
    const name = 'everwire 1 by hand';
    const channel = new BroadcastChannel(name);
    const status = { state: 'connected', fresh: false, hidden: false, origin: 'test', stats: [], log: [] };
    channel.onmessage = ({ data: { kind, from, id, call } }) => {
      if (kind === 'ask') channel.postMessage({ kind: 'news', term: 1, first: 1, items: [], status });
      if (kind === 'send' && call[1] === 'taken') channel.postMessage({ kind: 'taken', to: from, id });
      if (kind === 'send') globalThis.heardOf = (globalThis.heardOf ?? 0) + 1;
    };
    await new Promise((resolve) => navigator.locks.request(name, () => (resolve(), new Promise((release) => (globalThis.release = release)))));
  });
  const second = await tab(t, options, await t.context.newPage());
  await second.evaluate(() => {
    globalThis.answers = ['taken', 'not taken'].map((text) => globalThis.client.send(text).then(() => 'sent', ({ code, message, retryable }) => ({ code, message, retryable })));
  });
  await t.page.waitForFunction(() => globalThis.heardOf === 2);
  await t.page.evaluate(() => globalThis.release());
  const answers = await second.evaluate(() => Promise.all(globalThis.answers));
  assert.deepEqual(answers, [{ code: 'closed', message: 'the tab that was to send it has gone: it may have been sent', retryable: true }, 'sent']);
  const [connection] = ours(t, options);
  await t.peer.until(() => connection.received.length >= 2);
  assert.deepEqual(connection.received.slice(1), ['not taken']);
});

// S0-21
test('N-10: of what a leader tells at once nothing is delivered after a close', async (t) => {
  const options = own(t, { name: 'at once' });
  await t.page.goto(`${t.peer.http}/tests/web/blank.html`);
  const page = await t.context.newPage();
  await page.goto(`${t.peer.http}/tests/web/blank.html`);
  const heard = page.evaluate(async (options) => {
    const { createSharedClient } = await import('/pkg/tabs.js');
    const client = await createSharedClient(options);
    const heard = [];
    const states = [];
    client.on('tick', ({ n }) => {
      heard.push(n);
      if (n === 3) client.close();
      states.push(client.state);
    });
    client.onAny(({ n }) => heard.push(n));
    client.connect().catch(() => {});
    await client.closed;
    return { heard, states };
  }, options);
  // A leader that the test plays.
  await t.page.evaluate(async () => {
    const name = 'everwire 1 at once';
    const channel = new BroadcastChannel(name);
    const status = { state: 'connected', fresh: false, hidden: false, origin: 'test', stats: [], log: [] };
    const items = Array.from({ length: 50 }, (_, place) => ['tick', `{"type":"tick","n":${place + 1}}`]);
    channel.onmessage = ({ data: { kind } }) => {
      if (kind === 'ask') channel.postMessage({ kind: 'news', term: 1, first: 1, items, status });
    };
    await new Promise((resolve) => navigator.locks.request(name, () => (resolve(), new Promise(() => {}))));
    channel.postMessage({ kind: 'news', term: 1, first: 1, items, status });
  });
  assert.deepEqual(await heard, { heard: [1, 1, 2, 2, 3], states: ['connected', 'connected', 'disconnecting'] });
});

test('N-10: a tab that leads and hangs is replaced, and leads no more when it comes to itself', async (t) => {
  const options = own(t, { stealAfter: 1000 });
  const [first, second] = await tabs(t, options, 2);
  const hangs = first.evaluate(() => {
    const end = Date.now() + 3500;
    while (Date.now() < end);
  });
  await second.waitForFunction(() => globalThis.client.leader && globalThis.client.state === 'connected');
  await hangs;
  await t.peer.until(() => ours(t, options)[0].closed);
  await first.waitForFunction(() => !globalThis.client.leader && globalThis.client.state === 'connected');
  say(ours(t, options)[1], 1, 3);
  for (const page of [first, second]) {
    await heard(page, 3);
    assert.deepEqual(await counted(page), [1, 2, 3]);
  }
  assert.equal(ours(t, options).length, 2);
});

test('N-10: no token goes from tab to tab', async (t) => {
  const options = own(t, { token: 'a-very-secret-token' });
  await t.page.goto(`${t.peer.http}/tests/web/blank.html`);
  // The name of the channel is that of the lock.
  const name = async () => {
    const { held, pending } = await t.page.evaluate(() => navigator.locks.query());
    return [...held, ...pending].map(({ name }) => name).sort((a, b) => a.length - b.length)[0];
  };
  const first = await tab(t, options, await t.context.newPage());
  await t.page.evaluate((name) => {
    globalThis.overheard = [];
    new BroadcastChannel(name).onmessage = ({ data }) => globalThis.overheard.push(JSON.stringify(data));
  }, await name());
  const second = await tab(t, options, await t.context.newPage());
  await second.evaluate(() => globalThis.client.send('hello'));
  ours(t, options)[0].drop();
  await second.waitForFunction(() => globalThis.connectedAt.length === 2);
  await first.close();
  await second.waitForFunction(() => globalThis.client.leader && globalThis.client.state === 'connected');
  const overheard = await t.page.evaluate(() => globalThis.overheard);
  assert.ok(overheard.length >= 5);
  assert.deepEqual(overheard.filter((text) => text.includes('secret')), []);
  assert.ok(!(await name()).includes('secret'));
});

test('N-10: an end for good is an end for all, with its cause; what comes later begins anew', async (t) => {
  const options = own(t);
  const [first, second] = await tabs(t, options, 2);
  ours(t, options)[0].say('{"type":"connection.error","error":{"code":2,"message":"api key not valid","StatusCode":401}}');
  for (const page of [first, second]) {
    const { type, code, state } = await page.evaluate(async () => {
      const { type, error } = await globalThis.client.closed;
      return { type, code: error.code, state: globalThis.client.state, isError: error instanceof globalThis.everwire.EverwireError };
    });
    assert.deepEqual([type, code, state], ['refused', 'auth', 'failed']);
  }
  await second.evaluate(() => globalThis.client.connect());
  assert.equal(await leads(second), true);
  neverTwo(t, options);
});

test('N-10: the last tab closes for good, with the code it gives; one that follows just leaves', async (t) => {
  const options = own(t);
  const [first, second] = await tabs(t, options, 2);
  await second.evaluate(() => globalThis.client.close(4001, 'not told'));
  assert.equal(ours(t, options)[0].closed, undefined);
  assert.deepEqual(await second.evaluate(() => [globalThis.client.state, globalThis.steps.slice(-3)]), ['closed', ['closing', 'closed', 'closed']]);
  await first.evaluate(() => globalThis.client.close(4002, 'bye'));
  await t.peer.until(() => ours(t, options)[0].closed);
  assert.deepEqual(ours(t, options)[0].closed, { code: 4002, reason: 'bye' });
  const left = await first.evaluate(() => navigator.locks.query());
  assert.deepEqual([left.held, left.pending], [[], []]);
});

test('N-10: a client that is closed before it was connected tells so, and its loops end; it can connect all the same', async (t) => {
  await t.page.goto(`${t.peer.http}/tests/web/blank.html`);
  const steps = await t.page.evaluate(async (options) => {
    const { createSharedClient } = await import('/pkg/tabs.js');
    const client = await createSharedClient(options);
    const steps = [];
    client.onLifecycle((step) => steps.push(step.type === 'state' ? step.new : step.type));
    const { value, done } = await Promise.all([client.events().next(), client.close()]).then(([next]) => next);
    await client.connect();
    return [...steps.slice(0, 2), done, value, client.state];
  }, own(t));
  assert.deepEqual(steps, ['closed', 'closed', true, undefined, 'connected']);
});

test('N-10: the same face as a client: patterns, once, off, loops, signals, wrong calls', async (t) => {
  const options = own(t);
  const [, page] = await tabs(t, options, 2);
  await page.evaluate(() => {
    const { client } = globalThis;
    const calls = (globalThis.calls = []);
    const note = (name) => (event, type) => calls.push(`${name} ${type}`);
    for (const pattern of ['*', 'call.*', 'call.**', '*.ended', 'call.ended']) client.on(pattern, note(pattern));
    client.once('call.ended', note('once'));
    const gone = note('never');
    client.on('*', gone);
    if (!client.off('*', gone) || client.off('*', gone)) calls.push('off is wrong');
    const stop = new AbortController();
    client.on('*', note('never'), { signal: stop.signal });
    stop.abort();
    globalThis.loop = (async () => {
      const types = [];
      for await (const { type } of client.events('call.**')) if (types.push(type) === 2) return types;
    })();
  });
  const [connection] = ours(t, options);
  for (const type of ['call.ended', 'call.member.joined', 'call.ended']) connection.say(`{"type":"${type}"}`);
  assert.deepEqual(await page.evaluate(() => globalThis.loop), ['call.ended', 'call.member.joined']);
  await page.waitForFunction(() => globalThis.calls.length >= 13);
  const all = ['* call.ended', 'call.* call.ended', 'call.** call.ended', '*.ended call.ended', 'call.ended call.ended'];
  assert.deepEqual(await page.evaluate(() => globalThis.calls), [...all, 'once call.ended', '* call.member.joined', 'call.** call.member.joined', ...all]);
  const wrong = await page.evaluate(async () => {
    const { client } = globalThis;
    const code = async (call) => {
      try {
        await call();
      } catch (error) {
        return error.code;
      }
    };
    const { createSharedClient } = await import('/pkg/tabs.js');
    return Promise.all([
      code(() => client.on('a*', () => {})), code(() => client.on('', () => {})), code(() => client.on('**.a', () => {})), code(() => client.on('a', 'b')), code(() => client.on(undefined, () => {})),
      code(() => client.close(1001)), code(() => client.close(4000, 'x'.repeat(124))), code(() => client.connect()),
      code(() => createSharedClient({ retries: 1 })), code(() => createSharedClient({ name: '' })), code(() => createSharedClient({ stealAfter: 1 })), code(() => createSharedClient()),
    ]);
  });
  assert.deepEqual(wrong, [...Array(7).fill('invalid-input'), 'invalid-state', ...Array(4).fill('config')]);
});

test('N-10: in every tab a listener that throws is isolated, and text that nobody listens to is not parsed', async (t) => {
  const options = own(t);
  const pages = await Promise.all([t.page, await t.context.newPage()].map(async (page) => {
    await page.goto(`${t.peer.http}/tests/web/blank.html`);
    return page;
  }));
  for (const page of pages) {
    await page.evaluate(async (options) => {
      const { connectShared } = await import('/pkg/tabs.js');
      const client = (globalThis.client = await connectShared(options));
      globalThis.parsed = [];
      globalThis.errors = [];
      client.onLifecycle((step) => step.type === 'error' && globalThis.errors.push(`${step.error.code}: ${step.error.cause?.message}`));
      client.on('wanted', () => { throw new Error('thrown on purpose'); });
      client.on('wanted', ({ n }) => (globalThis.last = n));
      const { parse } = JSON;
      JSON.parse = (text) => (globalThis.parsed.push(text), parse(text));
    }, options);
  }
  const [connection] = ours(t, options);
  for (const text of ['{"type":"unwanted","n":1}', '{"type":"wanted",}', '{"type":"wanted","n":2}']) connection.say(text);
  for (const page of pages) {
    await page.waitForFunction(() => globalThis.last === 2);
    assert.deepEqual(await page.evaluate(() => globalThis.parsed), ['{"type":"wanted",}', '{"type":"wanted","n":2}']);
    assert.deepEqual(await page.evaluate(() => globalThis.errors), ['decode: undefined', 'listener: thrown on purpose']);
  }
}, { complaints: ['thrown on purpose'] });

test('N-10: without Web Locks every tab has a client of its own, and says so', async (t) => {
  const options = own(t);
  await t.context.addInitScript(() => Object.defineProperty(Navigator.prototype, 'locks', { value: undefined }));
  const pages = await tabs(t, options, 2);
  for (const page of pages) {
    assert.deepEqual(await page.evaluate(() => [globalThis.client.shared, globalThis.client.leader, globalThis.client.state]), [false, true, 'connected']);
  }
  assert.equal(ours(t, options).length, 2);
});

test('N-10, S2-13: channels that any tab wants are subscribed to once, again by the next leader, and left with the last tab that wants them', async (t) => {
  const options = whole(t);
  const pages = await tabs(t, options, 3);
  const orders = (place) => ours(t, options)[place].received.slice(1).map((text) => JSON.parse(text)).filter(({ cmd }) => !cmd);
  for (const page of pages) {
    await page.evaluate(() => {
      globalThis.news = [];
      globalThis.channel = globalThis.client.channel('news');
      globalThis.channel.on('a', ({ n }) => globalThis.news.push(n));
    });
  }
  await pages[2].evaluate(() => globalThis.client.channel('sport'));
  await t.peer.until(() => orders(0).length >= 2);
  for (const [channel, n] of [['news', 1], ['sport', 2], ['news', 3]]) ours(t, options)[0].say(JSON.stringify({ type: 'a', channel, n }));
  for (const page of pages) await page.waitForFunction(() => globalThis.news.length === 2);
  await pages[0].close();
  await t.peer.until(() => ours(t, options).length === 2 && orders(1).length >= 2);
  await pages[2].close(); // says nothing, and is missed
  await t.peer.until(() => orders(1).length >= 3);
  await pages[1].evaluate(() => globalThis.channel.close());
  await t.peer.until(() => orders(1).length >= 4);
  assert.deepEqual(orders(0), [{ subscribe: 'news' }, { subscribe: 'sport' }]);
  assert.deepEqual(orders(1), [{ subscribe: 'news' }, { subscribe: 'sport' }, { unsubscribe: 'sport' }, { unsubscribe: 'news' }]);
  assert.deepEqual(await pages[1].evaluate(() => globalThis.news), [1, 3]);
});

test('N-10: requests of a tab that follows are answered, fail, and can be taken back', async (t) => {
  const [, page] = await tabs(t, whole(t), 2);
  const seen = await page.evaluate(async () => {
    const { client } = globalThis;
    const failed = (promise) => promise.then(() => 'none', (error) => `${error.name} ${error.code} ${error.serverCode}`);
    const ask = (reply) => client.request({ id: reply.id, cmd: 'emit', frames: [JSON.stringify(reply)] });
    const reply = await ask({ type: 'answer', id: 'a', value: [1, { b: null }] });
    const wrong = await failed(ask({ id: 'e', error: { code: 7, message: 'no' } }));
    const late = await failed(client.request({ id: 'never', cmd: 'emit', frames: [] }, { timeout: 30 }));
    const stop = new AbortController();
    const stopped = failed(client.request({ id: 'gone', cmd: 'emit', frames: [] }, { signal: stop.signal }));
    stop.abort();
    const tll = await failed(client.send('x', { tll: 1 }));
    return { reply, failures: [wrong, late, (await stopped).split(' ')[0], tll], steps: globalThis.seen };
  });
  assert.deepEqual(seen.reply, { type: 'answer', id: 'a', value: [1, { b: null }] });
  assert.deepEqual(seen.failures, ['EverwireError server 7', 'EverwireError timeout undefined', 'AbortError', 'EverwireError config undefined']);
  assert.deepEqual(seen.steps.filter((type) => type === 'answer'), []);
});
