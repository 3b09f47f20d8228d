// The JavaScript side of the edge by itself: which messages it gives to the session, and what it says of them.
import { Edge, release } from '../../src/js/edge.js';
import { assert, test } from './harness.mjs';

const EVENT = -1;
const MALFORMED = -3;
const NOT_JSON = -1;
const text = (type, more = {}) => JSON.stringify({ type, ...more });

/** An edge with a socket that takes messages of at most 100, and what was given to its session. */
function attached() {
  const edge = new Edge({});
  edge.reads('type', false);
  for (const type of ['health.check', 'connection.ok']) edge.controls(type);
  const given = [];
  const socket = {};
  edge.attach(socket, 100, (place, kind, size) => given.push({ place, kind, size }));
  const say = (data, on = socket) => on.onmessage({ data });
  return { edge, socket, given, say };
}

// A session that is not told of every event must still know that its server is alive.
test('N-11, N-5: ordinary events pass the session by while it lets them, and everything else is given to it', async () => {
  const { edge, socket, given, say } = attached();
  const heard = [];
  edge.listeners.on('**', { listener: ({ n }, type) => heard.push(n ?? type) });
  const kinds = () => given.splice(0).map(({ kind, place }) => {
    edge.deliver(place);
    return kind;
  });

  say(text('tick', { n: 1 }));
  assert.deepEqual(kinds(), [EVENT], 'nothing passes that the session has not let');

  edge.letPass(socket, performance.now() + 60_000);
  say(text('tick', { n: 2 }));
  say(text('tick', { n: 3 }));
  assert.deepEqual(kinds(), []);
  assert.deepEqual(heard, [1, 2, 3]);
  assert.deepEqual([edge.passed(0), edge.passed(1)], [2, 2 * text('tick', { n: 2 }).length]);
  assert.ok(performance.now() - edge.passed(2) < 60_000);
  edge.hold();
  assert.deepEqual([edge.passed(0), edge.passed(1)], [0, 0]);
  say(text('tick', { n: 'held' }));
  assert.deepEqual(kinds(), [EVENT], 'nothing passes while the session has its turn');
  edge.letPass(socket, performance.now() + 60_000);

  say(text('connection.ok'));
  say(text('health.check'));
  say(JSON.stringify({ n: 4, type: 'tick' }));
  say(new ArrayBuffer(8));
  say(text('tick', { n: 5, pad: 'x'.repeat(100) }));
  say('{"type":"tick"');
  assert.deepEqual(kinds(), [1, 0, EVENT, -4, EVENT, MALFORMED]);

  const other = {};
  edge.attach(other, 100, (place, kind) => given.push({ place, kind }));
  say(text('tick', { n: 6 }), other);
  assert.deepEqual(kinds(), [EVENT], 'one socket is let, not another');

  edge.letPass(socket, performance.now());
  say(text('tick', { n: 7 }));
  assert.deepEqual(kinds(), [EVENT], 'what is due is seen to by whatever comes (N-5)');
  assert.equal(edge.passed(0), 0);
});

test('N-11: where a listener throws, or a document is broken, the session is given the event, and the listeners have it once', async () => {
  const { edge, socket, given, say } = attached();
  const heard = [];
  const failure = new Error('thrown by a listener');
  edge.listeners.on('bad', { listener: () => heard.push('first') });
  edge.listeners.on('bad', {
    listener() {
      heard.push('second');
      throw failure;
    },
  });
  edge.letPass(socket, performance.now() + 60_000);
  const report = console.error;
  console.error = () => {};
  say(text('bad'));
  console.error = report;
  assert.deepEqual(heard, ['first', 'second']);
  assert.equal(given.length, 1);
  assert.equal(edge.deliver(given[0].place), 1);
  assert.ok(edge.takeThrown() > 0);
  assert.equal(edge.takeThrown(), 0);
  assert.deepEqual(heard, ['first', 'second']);

  say('{"type":"bad",}');
  assert.equal(given.length, 2);
  assert.equal(edge.deliver(given[1].place), NOT_JSON);
  assert.equal(edge.passed(0), 0);
});

// S0-16: in order, once each, whatever a listener does.
test('N-11: a message that comes in the middle of a listener waits for the one before it', async () => {
  const { edge, socket, say } = attached();
  const heard = [];
  edge.listeners.on('tick', { listener: ({ n }) => n < 3 && [2, 3].forEach((more) => say(text('tick', { n: n * 10 + more }))) });
  edge.listeners.on('tick', { listener: ({ n }) => heard.push(n) });
  edge.letPass(socket, performance.now() + 60_000);
  say(text('tick', { n: 1 }));
  assert.deepEqual(heard, [1, 12, 13]);
  say(text('tick', { n: 4 }));
  assert.deepEqual(heard, [1, 12, 13, 4]);
});

test('N-11: what the listeners of one message threw is not taken for the next one in its place', async () => {
  const { edge, socket, given, say } = attached();
  const heard = [];
  edge.listeners.on('bad', {
    listener() {
      throw new Error('thrown by a listener');
    },
  });
  edge.listeners.on('tick', { listener: ({ n }) => heard.push(n) });
  edge.letPass(socket, performance.now() + 60_000);
  const report = console.error;
  console.error = () => {};
  say(text('bad'));
  console.error = report;
  release(given[0].place);
  edge.hold();
  say(text('tick', { n: 1 }));
  assert.equal(given[1].place, given[0].place);
  assert.equal(edge.deliver(given[1].place), 0);
  assert.deepEqual(heard, [1]);
});

test('N-11: a place is used again once its message is let go of', async () => {
  const { edge, given, say } = attached();
  say(text('one'));
  release(given[0].place);
  say(text('two'));
  assert.equal(given[1].place, given[0].place);
  assert.equal(edge.deliver(given[1].place), 0);
});
