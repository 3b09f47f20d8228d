// A server that does not read holds up senders, and nothing else.
import { assert, inPage, options, test } from './harness.mjs';

const COUNT = 400;
const SIZE = 100_000;
/** So much may wait in the browser while there is room (`src/platform/web/socket.rs`), and one message more. */
const MOST = (256 << 10) + SIZE + 100;

test('pitfall 19: while the server does not read, sends wait for room in the browser; then all arrive, once and in order', async (t) => {
  await inPage(t, async ({ connect }, options) => {
    const { WebSocket } = globalThis;
    globalThis.WebSocket = class extends WebSocket {
      constructor(...given) {
        super(...given);
        globalThis.socket = this;
      }
    };
    globalThis.client = await connect(options);
  }, options(t.peer, { healthCheckInterval: 60_000, silenceTimeout: 60_000 }));
  const connection = t.peer.connections.at(-1);
  const before = connection.received.length;
  connection.pause();
  await inPage(t, (_, { COUNT, SIZE }) => {
    globalThis.sent = 0;
    globalThis.most = 0;
    globalThis.sending = (async () => {
      const pad = 'x'.repeat(SIZE);
      for (let n = 0; n < COUNT; n += 1) {
        await globalThis.client.send({ n, pad });
        globalThis.sent += 1;
        globalThis.most = Math.max(globalThis.most, globalThis.socket.bufferedAmount);
      }
    })();
  }, { COUNT, SIZE });
  // What the system takes for the server is taken, and no more.
  let sent = -1;
  for (let now = 0; now !== sent; now = await t.page.evaluate(() => globalThis.sent)) {
    sent = now;
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
  assert.ok(sent > 0 && sent < COUNT, `${sent} of ${COUNT}`);
  assert.ok((await t.page.evaluate(() => globalThis.socket.bufferedAmount)) > 0);
  // Others are not held up: what comes is heard.
  await inPage(t, () => globalThis.client.once('tick', ({ n }) => (globalThis.heard = n)));
  connection.say('{"type":"tick","n":1}');
  await t.page.waitForFunction(() => globalThis.heard === 1);
  connection.resume();
  await t.page.evaluate(() => globalThis.sending);
  await t.peer.until(() => connection.received.length >= before + COUNT);
  assert.deepEqual(connection.received.slice(before).map((text) => JSON.parse(text).n), Array.from({ length: COUNT }, (_, n) => n));
  const most = await t.page.evaluate(() => globalThis.most);
  assert.ok(most <= MOST, `${most} bytes waited in the browser`);
});
