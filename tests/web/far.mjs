// Far ends made by hand, of raw TCP: each does one thing that a server, a proxy or a network may do.
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';

/** Starts one on a free port of the loopback interface; it is given each socket and the request that came on it. */
export async function farEnd(act) {
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    let request = '';
    socket.on('data', function read(data) {
      request += data.toString('latin1');
      if (!request.includes('\r\n\r\n')) return;
      socket.off('data', read);
      act(socket, request);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return {
    port,
    ws: `ws://127.0.0.1:${port}`,
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A port that nobody listens to. */
export async function closedPort() {
  const { port, stop } = await farEnd(() => {});
  await stop();
  return port;
}

/** The answer that opens a WebSocket. */
export function accepted(request) {
  const [, key] = /sec-websocket-key: *(\S+)/i.exec(request);
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`;
}

/** A frame of a server: the first byte, and a payload of less than 64 KiB. */
export function frame(first, payload) {
  const bytes = Buffer.from(payload);
  const length = bytes.length < 126 ? [bytes.length] : [126, bytes.length >> 8, bytes.length & 255];
  return Buffer.concat([Buffer.from([first, ...length]), bytes]);
}

/** A text message. */
export const text = (value) => frame(0x81, typeof value === 'string' ? value : JSON.stringify(value));

/** Calls a function with the kind of each frame that a client sends: of less than 64 KiB, and masked. */
export function onFrame(socket, take) {
  let rest = Buffer.alloc(0);
  socket.on('data', (data) => {
    rest = Buffer.concat([rest, data]);
    for (;;) {
      const extended = (rest[1] & 127) === 126;
      if (rest.length < (extended ? 8 : 6)) return;
      const end = extended ? 8 + rest.readUInt16BE(2) : 6 + (rest[1] & 127);
      if (rest.length < end) return;
      const kind = rest[0] & 15;
      rest = rest.subarray(end);
      take(kind);
    }
  });
}
