// What the package has besides holding a connection: the outbox, requests, channels, resume, and the options for them.
import { MINE, assert, inPage, options, test } from './harness.mjs';

const mine = (peer, more = {}) => ({ url: `${peer.ws}/mine`, dialect: MINE, ...more });
/** What a connection received, but for the first frame and what its client ordered. */
const received = ({ received }) => received.slice(1).map((text) => JSON.parse(text)).filter((message) => message.cmd === undefined);

// Pitfall 10
test('N-6: what is sent before the connection is there waits for it, in order', async (t) => {
  const seen = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    const early = client.send({ n: 0 });
    const connected = client.connect();
    const sent = [early, client.send({ n: 1 }), client.send({ n: 2 })];
    await connected;
    await Promise.all(sent);
    const stats = client.stats();
    await client.close();
    const unwanted = await createClient(options);
    const lost = failure(() => unwanted.send('never'));
    await unwanted.close();
    return { after: stats.outboxMessages, lost: (await lost).code };
  }, mine(t.peer));
  assert.deepEqual(seen, { after: 0, lost: 'closed' });
  await t.peer.until((all) => all.at(-1).closed);
  assert.deepEqual(received(t.peer.connections.at(-1)), [{ n: 0 }, { n: 1 }, { n: 2 }]);
});

test('N-6: an outbox is bounded, a message can have a time, and can be taken back', async (t) => {
  const seen = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    const failed = step(client, (step) => step.type === 'backing-off');
    client.connect().catch(() => {});
    await failed;
    const overflows = [];
    client.onLifecycle((step) => step.type === 'overflow' && overflows.push([step.queue, step.dropped, step.policy]));
    const first = failure(() => client.send('1'));
    const second = failure(() => client.send('2', { ttl: 20 }));
    const taken = new AbortController();
    const third = failure(() => client.send('3', { signal: taken.signal }));
    taken.abort();
    const codes = [await second, await third].map(({ isEverwire, code, name }) => (isEverwire ? code : name));
    const [a, b] = [failure(() => client.send('4')), failure(() => client.send('5'))];
    codes.push((await b).code);
    const newest = failure(() => client.send('6', { whenFull: 'drop-oldest' }));
    codes.push((await first).code);
    const { outboxMessages, outboxBytes, outboxExpired, outboxOverflows } = client.stats();
    await client.close();
    codes.push((await a).code, (await newest).code);
    const wrong = [await failure(() => client.send('7', { whenFull: 'never' })), await failure(() => client.send('7', { tll: 1 }))];
    return { codes, overflows, stats: { outboxMessages, outboxBytes, outboxExpired, outboxOverflows }, wrong: wrong.map(({ code, path }) => [code, path]) };
  }, { ...mine(t.peer), url: 'ws://127.0.0.1:9/', maxAttempts: 0, outbox: { messages: 2 } });
  assert.deepEqual(seen.codes, ['timeout', 'AbortError', 'overflow', 'overflow', 'closed', 'closed']);
  assert.deepEqual(seen.stats, { outboxMessages: 2, outboxBytes: 2, outboxExpired: 1, outboxOverflows: 2 });
  assert.deepEqual(seen.overflows.at(-1), ['outbox', 1, 'drop-oldest']);
  assert.deepEqual(seen.wrong, [['config', 'whenFull'], ['config', 'tll']]);
}, { complaints: ['127.0.0.1:9'] });

test('N-6: with the outbox off a message without a connection is refused', async (t) => {
  const error = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    return failure(() => client.send('1'));
  }, mine(t.peer, { outbox: { messages: 0 } }));
  assert.deepEqual([error.code, error.isEverwire], ['closed', true]);
});

test('a request gets the reply with its id, an error if that is one, or none in time', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const events = [];
    client.onAny((event, type) => events.push(type));
    const answer = (reply) => ({ cmd: 'emit', frames: [JSON.stringify(reply)] });
    const seen = {
      reply: await client.request({ id: 'mine', ...answer({ type: 'answer', id: 'mine', value: [1, { a: null }] }) }),
      error: await failure(() => client.request({ id: 'e', ...answer({ id: 'e', error: { code: 7, message: 'no' } }) })),
      late: await failure(() => client.request({ id: 'never', cmd: 'emit', frames: [] }, { timeout: 30 })),
      used: await failure(() => Promise.all([1, 2].map(() => client.request({ id: 'twice', cmd: 'emit', frames: [] }, { timeout: 30 })))),
      timeout: await failure(() => client.request({}, { timeout: 0 })),
      object: await failure(() => client.request([1])),
    };
    const gone = new AbortController();
    const cancelled = failure(() => client.request({ id: 'gone', cmd: 'emit', frames: [] }, { signal: gone.signal }));
    gone.abort();
    seen.cancelled = (await cancelled).name;
    seen.stats = client.stats();
    const lost = failure(() => client.request({ cmd: 'drop' }));
    seen.lost = await lost;
    seen.events = events;
    const ends = failure(() => client.request({ cmd: 'emit', frames: [] }));
    await client.close();
    seen.ends = await ends;
    return seen;
  }, mine(t.peer));
  assert.deepEqual(seen.reply, { type: 'answer', id: 'mine', value: [1, { a: null }] });
  assert.deepEqual([seen.error.code, seen.error.serverCode, seen.error.message.includes('no')], ['server', 7, true]);
  assert.deepEqual([seen.late.code, seen.used.code, seen.timeout.path, seen.object.code], ['timeout', 'invalid-input', 'timeout', 'invalid-input']);
  assert.equal(seen.cancelled, 'AbortError');
  assert.equal(seen.stats.replies, 2);
  assert.deepEqual([seen.lost.code, seen.lost.retryable], ['closed', true]);
  assert.deepEqual([seen.ends.code], ['closed']);
  assert.deepEqual(seen.events, []); // replies are nobody else's
});

test('a request without an id gets one, and its reply has it', async (t) => {
  await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    await failure(() => client.request({ ask: 1 }, { timeout: 20 }));
    await client.close();
  }, mine(t.peer));
  await t.peer.until((all) => all.at(-1).closed);
  assert.deepEqual(received(t.peer.connections.at(-1)), [{ ask: 1, id: 1 }]);
});

test('S2-13: each channel has its listeners; it is subscribed once, again after a reconnect, and unsubscribed with its last handle', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const seen = [];
    const news = client.channel('news');
    const again = client.channel('news');
    const sport = client.channel('sport');
    const stream = sport.events('**', { capacity: 4 });
    const throws = () => { throw new Error('thrown by a channel'); };
    client.onLifecycle((step) => step.type === 'error' && seen.push(`error ${step.error.cause.message}`));
    news.on('a.*', (event) => seen.push(`news ${event.n}`));
    again.once('a.b', (event) => seen.push(`again ${event.n}`));
    again.on('a.b', throws);
    sport.onAny((event, type) => seen.push(`sport ${type} ${event.n}`));
    client.on('a.b', (event) => seen.push(`client ${event.n}`));
    const frames = [['news', 1], ['sport', 2], ['other', 3], ['news', 4]].map(([channel, n]) => JSON.stringify({ type: 'a.b', channel, n }));
    await emit(client, ...frames);
    const off = again.off('a.b', throws);
    const back = step(client, (step) => step.type === 'connected');
    client.send({ cmd: 'drop' });
    await back;
    again.close();
    again.close();
    await emit(client, ...frames.slice(0, 1));
    const { value } = await stream.next();
    sport.close();
    const ended = (await stream.next()).done;
    const { routed, unroutable } = client.stats();
    news[Symbol.dispose ?? Symbol.for('Symbol.dispose')]();
    await emit(client, ...frames.slice(0, 1));
    const later = client.stats().unroutable;
    await client.close();
    return { seen, off, value, ended, routed, unroutable, later, names: [news.name, Object.keys(news)] };
  }, mine(t.peer, { backoffBase: 10 }));
  assert.deepEqual(seen.seen, [
    'news 1', 'again 1', 'client 1', 'error thrown by a channel', 'sport a.b 2', 'client 2', 'client 3', 'news 4', 'client 4', 'error thrown by a channel', 'news 1', 'client 1', 'client 1',
  ]);
  assert.deepEqual([seen.off, seen.routed, seen.unroutable, seen.later], [true, 4, 1, 1]);
  assert.deepEqual([seen.value, seen.ended], [{ type: 'a.b', event: { type: 'a.b', channel: 'sport', n: 2 } }, true]);
  const [before, after] = t.peer.connections.slice(-2).map(received);
  assert.deepEqual(before, [{ subscribe: 'news' }, { subscribe: 'sport' }]);
  assert.deepEqual(after, [{ subscribe: 'news' }, { subscribe: 'sport' }, { unsubscribe: 'sport' }, { unsubscribe: 'news' }]);
}, { complaints: ['thrown by a channel'] });

test('a dialect without channels or requests says so', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const errors = [await failure(() => client.channel('news')), await failure(() => client.request({}))];
    await client.close();
    return errors.map(({ code }) => code);
  }, options(t.peer));
  assert.deepEqual(seen, ['unsupported', 'unsupported']);
});

test('N-9: events over lost connections come once and in order, and another client goes on where one stopped', async (t) => {
  const demo = await t.demo();
  const url = `${demo.http}/everwire/v1`;
  const drop = () => fetch(`${demo.http}/demo/drop`, { method: 'POST', headers: { origin: demo.http } });
  const token = await (await fetch(`${demo.http}/demo/token?user_id=alice`)).text();
  const numbers = [];
  await t.page.exposeFunction('seen', (number) => numbers.push(number));
  const start = (resumeFrom) => inPage(t, async ({ connect }, { resumeFrom, ...options }) => {
    globalThis.client = await connect({ ...options, resumeFrom });
    globalThis.steps = [];
    client.onLifecycle((step) => globalThis.steps.push(step.type));
    client.onAny((event) => event.seq > 0 && globalThis.seen(event.seq));
  }, { url, dialect: 'everwire', token, params: { user_id: 'alice', api_key: 'demo' }, backoffBase: 10, resumeFrom });
  const more = async (count) => {
    const until = numbers.length + count;
    while (numbers.length < until) await t.page.waitForTimeout(20);
  };
  await start();
  for (let drops = 0; drops < 3; drops += 1) {
    await more(10);
    await drop();
  }
  await more(10);
  const first = await t.page.evaluate(() => ({ point: client.resumePoint, stats: client.stats(), steps }));
  assert.equal(typeof first.point.session, 'string');
  assert.equal(first.stats.resumes, 3);
  assert.ok(first.steps.includes('replay-completed'));
  // The page is loaded anew, as when somebody reloads it; the first client is not closed.
  await t.page.goto('about:blank');
  await start(first.point);
  await more(10);
  await t.page.evaluate(() => client.close());
  const from = numbers.findIndex((number) => number === first.point.lastSequence);
  const expected = numbers.slice(0, from + 1).map((_, place) => numbers[0] + place);
  assert.deepEqual(numbers.slice(0, from + 1), expected);
  // What came after the point was taken came to the first client, and comes to the second as well.
  const second = numbers.slice(numbers.lastIndexOf(first.point.lastSequence + 1));
  assert.deepEqual(second, second.map((_, place) => first.point.lastSequence + 1 + place));
});

test('N-9: numbers and the question for what was missed by functions', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const points = [];
    const client = await connect({
      ...options,
      sequence: (event) => event.n,
      onResume: (point) => {
        points.push(point);
        return { cmd: 'emit', frames: ['{"type":"a","n":2}', '{"type":"a","n":3}', '{"type":"emitted"}'] };
      },
    });
    const seen = [];
    client.on('a', (event) => seen.push(event.n));
    const steps = [];
    client.onLifecycle((step) => step.type === 'gap' && steps.push(step));
    await emit(client, '{"type":"a","n":1}', '{"type":"a","n":1}', '{"type":"a","n":2}');
    const asked = next(client, 'emitted');
    client.send({ cmd: 'drop' });
    await asked;
    await emit(client, '{"type":"a","n":7}');
    const stats = client.stats();
    await client.close();
    return { seen, points, steps, duplicates: stats.duplicates, gaps: stats.gaps };
  }, mine(t.peer, { backoffBase: 10 }));
  assert.deepEqual(seen.seen, [1, 2, 3, 7]);
  assert.deepEqual(seen.points, [{ lastSequence: 2 }]);
  assert.deepEqual(seen.steps, [{ type: 'gap', from: 4, to: 6 }]);
  assert.deepEqual([seen.duplicates, seen.gaps], [2, 1]);
});

test('every option of the builder is read, and what is wrong with one is named', async (t) => {
  const wrong = await inPage(t, async ({ createClient }, options) => {
    const bad = [
      { jitter: 2 }, { jitter: 'much' }, { breaker: { failures: 0 } }, { breaker: { pause: 0 } }, { breaker: { often: 1 } }, { maxConnectionAge: 0 },
      { probeTimeout: 0 }, { reconnect: 1 }, { outbox: { ttl: 0 } }, { outbox: { whenFull: 'x' } }, { resume: 'sometimes' }, { resumeFrom: { lastSequence: -1 } },
      { resumeFrom: { lastSequence: 1 } }, { onResume: () => {} }, { sequence: 'n' }, { maxRequests: -1 },
    ];
    const paths = [];
    for (const more of bad) paths.push((await failure(() => createClient({ ...options, ...more }))).path);
    await createClient({
      ...options, jitter: 0.5, breaker: { failures: 3, pause: 1000 }, maxConnectionAge: 60_000, probeTimeout: 100, reconnect: false, maxRequests: 1,
      outbox: { messages: 5, bytes: 100, whenFull: 'wait', ttl: 50 }, resume: 'none',
    });
    return paths;
  }, options(t.peer));
  assert.deepEqual(wrong, [
    'jitter', 'jitter', 'breaker.failures', 'breaker.pause', 'breaker.often', 'maxConnectionAge', 'probeTimeout', 'reconnect', 'outbox.ttl', 'outbox.whenFull',
    'resume', 'resumeFrom.lastSequence', 'resumeFrom', 'onResume', 'sequence', 'maxRequests',
  ]);
});

test('what was clamped is told to those who listen before the connect', async (t) => {
  const steps = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient({ ...options, healthCheckInterval: 60_000 });
    const steps = [];
    client.onLifecycle((step) => step.type === 'clamped' && steps.push([step.setting, step.asked, step.used]));
    await client.connect();
    await client.close();
    return steps;
  }, options(t.peer));
  assert.deepEqual(steps, [['healthCheckInterval', 60_000, 25_000]]);
});

test('S2-8, S3-3: a connection is replaced at its age, and a breaker stops the tries', async (t) => {
  const seen = await inPage(t, async ({ connect, createClient }, [options, nowhere]) => {
    const client = await connect({ ...options, maxConnectionAge: 1000 });
    const old = client.connectionId;
    const renewing = await step(client, (step) => step.type === 'renewing');
    await step(client, (step) => step.type === 'connected');
    await client.close();
    const tries = await createClient({ ...nowhere, maxAttempts: 0, backoffBase: 1, backoffCap: 1, breaker: { failures: 2, pause: 60_000 } });
    const opens = step(tries, (step) => step.type === 'breaker');
    tries.connect().catch(() => {});
    const breaker = await opens;
    await tries.close();
    return { old, age: renewing.age, breaker };
  }, [mine(t.peer), { ...mine(t.peer), url: 'ws://127.0.0.1:9/' }]);
  assert.ok(seen.age >= 500 && seen.age < 2000, `${seen.age}`);
  assert.equal(seen.breaker.state, 'open');
  assert.ok(seen.breaker.wait >= 60_000);
}, { complaints: ['127.0.0.1:9'] });

// Pitfall 11
test('N-7: a token that tells its end is renewed ahead of it', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    let made = 0;
    const token = () => {
      const now = Date.now() / 1000;
      const claims = btoa(JSON.stringify({ iat: now, exp: now + 3, n: (made += 1) })).replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_');
      return `e30.${claims}.x`;
    };
    const client = await connect({ ...options, token });
    const renewed = await step(client, (step) => step.type === 'token-renewed');
    const { tokenFetches, dials } = client.stats();
    await client.close();
    return { made, validFor: renewed.validFor, tokenFetches, dials };
  }, options(t.peer));
  assert.deepEqual([seen.made, seen.tokenFetches, seen.dials], [2, 2, 1]);
  assert.ok(seen.validFor > 0 && seen.validFor <= 3000, `${seen.validFor}`);
});

test('the lean entry has all but channels and resume, and says so of their options', async (t) => {
  const seen = await inPage(t, async (whole, options) => {
    const { connect, createClient, EverwireError } = await import('/pkg/dist/lean/index.js');
    const client = await connect(options);
    const reply = await client.request({ id: 'q', cmd: 'emit', frames: ['{"id":"q","value":1}'] });
    const has = ['channel', 'resumePoint', 'request', 'events'].map((name) => name in client);
    await client.close();
    let error;
    await createClient({ ...options, resume: 'none' }).catch((caught) => (error = caught));
    return { reply, has, error: [error instanceof EverwireError, error.code, error.path] };
  }, mine(t.peer));
  assert.deepEqual(seen.reply, { id: 'q', value: 1 });
  assert.deepEqual(seen.has, [false, false, true, true]);
  assert.deepEqual(seen.error, [true, 'config', 'resume']);
});

for (const kind of ['Worker', 'SharedWorker']) {
  test(`it runs in a ${kind}, where there is no page`, async (t) => {
    const seen = await inPage(t, async (whole, { kind, at, options }) => {
      const code = `import { connect } from '${at}/pkg/index.js';
        const run = async (answer) => {
          const client = await connect(${JSON.stringify(options)});
          const [events, done] = [client.events('a'), new Promise((resolve) => client.onLifecycle((step) => step.type === 'closed' && resolve()))];
          await client.send({ cmd: 'emit', frames: ['{"type":"a","n":1}'] });
          const { value } = await events.next();
          await client.close();
          await done;
          answer({ value, page: typeof document, state: client.state });
        };
        if (typeof onconnect === 'undefined') run(postMessage);
        else onconnect = ({ ports: [port] }) => run((answer) => port.postMessage(answer));`;
      const address = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
      const worker = new globalThis[kind](address, { type: 'module' });
      return new Promise((resolve, reject) => {
        worker.onerror = ({ message }) => reject(new Error(message));
        (worker.port ?? worker).onmessage = ({ data }) => resolve(data);
      });
    }, { kind, at: t.peer.http, options: mine(t.peer) });
    assert.deepEqual(seen, { value: { type: 'a', event: { type: 'a', n: 1 } }, page: 'undefined', state: 'closed' });
  });
}

test('S0-13, S0-19: what a token function throws when nobody waits any more is not taken for the cause of another error', async (t) => {
  const causes = await inPage(t, async ({ connect, createClient }, options) => {
    let fail;
    const left = await createClient({ ...options, token: () => new Promise((_, reject) => (fail = reject)) });
    const never = left.connect().catch(() => {});
    while (!fail) await undefined;
    await left.close();
    await never;
    fail(new Error('too late'));
    await new Promise((resolve) => setTimeout(resolve));
    const client = await connect(options);
    const causes = [];
    client.onLifecycle((step) => step.type === 'error' && causes.push(step.error.cause.message));
    for (const name of ['first', 'second']) {
      client.once('tick', () => {
        throw new Error(name);
      });
      await emit(client, '{"type":"tick"}');
    }
    return causes;
  }, options(t.peer));
  assert.deepEqual(causes, ['first', 'second']);
}, { complaints: ['first', 'second'] });

// Pitfall 10, S2-11: such a socket is what people test their programs with.
test('N-11: a socket that answers at once: replies are replies, everything is in order, and what is counted never goes back', async (t) => {
  const seen = await inPage(t, async ({ createClient }, dialect) => {
    let socket;
    class Instant {
      readyState = 0;
      bufferedAmount = 0;
      constructor() {
        socket = this;
        queueMicrotask(() => {
          this.readyState = 1;
          this.onopen?.({});
        });
      }
      say(message) {
        this.onmessage?.({ data: JSON.stringify(message) });
      }
      send(text) {
        const message = JSON.parse(text);
        if (message.cmd) this.say({ type: 'hi', id: 'c' });
        if (message.ask) this.say({ type: 'answer', id: message.id, echo: message.ask });
        if (message.go) {
          this.say({ n: 1, type: 'tick' });
          this.say({ type: 'tick', n: 2 });
        }
      }
      close(code, reason) {
        this.readyState = 3;
        queueMicrotask(() => this.onclose?.({ code, reason }));
      }
    }
    const client = await createClient({ url: 'wss://nowhere.example', dialect, WebSocket: Instant });
    const heard = [];
    client.on('tick', ({ n }) => heard.push(n));
    client.on('answer', () => heard.push('answer'));
    await client.connect();
    const reply = await client.request({ ask: 'me' }, { timeout: 5000 });
    await client.send({ go: true });
    const counts = [];
    client.on('hi', () => counts.push(client.stats().events));
    for (let n = 3; n < 100; n += 1) socket.say({ type: 'tick', n });
    counts.push(client.stats().events);
    socket.say({ type: 'hi', id: 'c' });
    counts.push(client.stats().events);
    await client.close();
    return { reply, heard, counts };
  }, MINE);
  assert.equal(seen.reply.echo, 'me');
  assert.deepEqual(seen.heard, Array.from({ length: 99 }, (_, place) => place + 1));
  const [before, within, after] = seen.counts;
  assert.ok(before <= within && within <= after, `${seen.counts}`);
});
