// A far end made by hand, frame by frame on a raw socket, whose messages are what a codec of the test's makes of documents.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const [TEXT, BINARY, CLOSE, PING] = [1, 2, 8, 9];

/**
 * Starts on a free port of the loopback interface. `encode` gives text or bytes. It answers `login` with its hello, a ping with a
 * pong, a question with its answer, and repeats the frames of `say` as they are; everything that came stands in `received`.
 */
export async function startPacked({ decode, encode }) {
  const sockets = new Set();
  const received = [];
  const waiting = [];
  const server = createServer();
  server.on('upgrade', (request, socket) => {
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    sockets.add(socket);
    socket.on('error', () => {});
    const say = (document) => socket.write(frame(encode(document)));
    read(socket, (opcode, payload) => {
      if (opcode === CLOSE) return socket.end(Buffer.concat([Buffer.from([0x80 | CLOSE, payload.length]), payload]));
      if (opcode === PING) return undefined;
      const document = decode(opcode === TEXT ? payload.toString() : payload);
      received.push({ opcode, payload, document });
      waiting.splice(0).forEach((wake) => wake());
      if (document?.type === 'login') say({ type: 'welcome', id: 'c1' });
      else if (document?.type === 'ping') say({ type: 'pong' });
      else if (document?.ask) say({ id: document.id, answer: new Date(document.ask) });
      for (const said of document?.say ?? []) socket.write(frame(said));
      return undefined;
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    ws: `ws://127.0.0.1:${server.address().port}`,
    received,
    /** Waits for a message that fits. */
    async until(fits) {
      for (;;) {
        const found = received.find(fits);
        if (found) return found;
        await new Promise((resolve) => waiting.push(resolve));
      }
    },
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** One frame of a server: text, or bytes as a binary message. */
function frame(data) {
  const payload = Buffer.from(data);
  const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from([0x80 | (typeof data === 'string' ? TEXT : BINARY), ...length]), payload]);
}

/** Reads the frames of a client, each of which is whole. */
function read(socket, take) {
  let bytes = Buffer.alloc(0);
  socket.on('data', (more) => {
    bytes = Buffer.concat([bytes, more]);
    for (;;) {
      if (bytes.length < 2) return;
      const short = bytes[1] & 127;
      const start = short === 126 ? 4 : 2;
      if (bytes.length < start) return;
      const length = short === 126 ? bytes.readUInt16BE(2) : short;
      const end = start + 4 + length;
      if (bytes.length < end) return;
      const mask = bytes.subarray(start, start + 4);
      take(bytes[0] & 15, Buffer.from(bytes.subarray(start + 4, end).map((byte, place) => byte ^ mask[place % 4])));
      bytes = bytes.subarray(end);
    }
  });
}
