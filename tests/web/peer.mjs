// A server built on the npm package `ws`, for the package and the page to be tested against code that is not ours.
// It speaks the `stream` dialect at /api/v2/connect and nothing in particular elsewhere, does what its clients order in
// messages `{"cmd": …}`, and serves the files of the project, below `/strict` under a content security policy. The API key names what is to go wrong.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
};

/** The policy of a strict site: no worker from a blob, and nothing compiled from text. */
const POLICY = "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; connect-src 'self' ws:; img-src data:; worker-src 'self'";

/**
 * Starts on a free port of the loopback interface. `connections` tells what happened, the newest last; of each, how many with the
 * same key were open when it came: nothing had come from them that says they are done.
 */
export async function startPeer() {
  const connections = Object.assign([], { changed: [] });
  const server = createServer(serveFile);
  const sockets = new WebSocketServer({ server, maxPayload: 1 << 26 });
  sockets.on('connection', (socket, request) => accept(socket, request, connections));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return {
    http: `http://127.0.0.1:${port}`,
    ws: `ws://127.0.0.1:${port}`,
    connections,
    /** Waits until what happened fits. */
    async until(fits) {
      for (;;) {
        const found = fits(connections);
        if (found) return found;
        await new Promise((resolve) => connections.changed.push(resolve));
      }
    },
    stop() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serveFile(request, response) {
  const [, strict, path] = /^(\/strict)?(\/.*)$/.exec(normalize(decodeURIComponent(new URL(request.url, 'http://peer').pathname)));
  const file = path.startsWith('/pkg/') || path.startsWith('/tests/') ? path : join('/www', path === '/' ? 'index.html' : path);
  try {
    const body = await readFile(join(ROOT, file));
    const policy = strict && { 'content-security-policy': POLICY };
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'cache-control': 'no-cache', ...policy });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
}

function accept(socket, request, connections) {
  const url = new URL(request.url, 'http://peer');
  const query = Object.fromEntries(url.searchParams);
  const beside = connections.filter((other) => other.isOpen() && other.query.api_key === query.api_key).length;
  const connection = { path: url.pathname, query, beside, auth: undefined, received: [], closed: undefined, isOpen: () => socket.readyState === socket.OPEN, say: (text) => socket.send(text), drop: () => socket.terminate(), pause: () => socket.pause(), resume: () => socket.resume() };
  const changed = () => connections.changed.splice(0).forEach((wake) => wake());
  connections.push(connection);
  const id = `connection-${connections.length}`;
  socket.on('error', () => {});
  socket.on('close', (code, reason) => {
    connection.closed = { code, reason: reason.toString() };
    changed();
  });
  let greeted = url.pathname !== '/api/v2/connect';
  socket.on('message', (data, isBinary) => {
    connection.received.push(isBinary ? [...data] : data.toString());
    changed();
    if (!greeted) {
      connection.auth = JSON.parse(data.toString());
      greeted = greet(socket, id, connection);
    } else {
      obey(socket, id, data, isBinary);
    }
  });
  changed();
}

/** Answers the first frame; says whether the client is in. */
function greet(socket, id, { auth, query }) {
  if (auth.token === 'expired') {
    socket.send(JSON.stringify({ type: 'connection.error', error: { code: 40, message: 'token expired', StatusCode: 401 } }));
    socket.close(4001, 'token expired');
    return false;
  }
  switch (query.api_key) {
    case 'wrong-hello':
      socket.send('{"type":"message.new","text":"not the hello"}');
      return false;
    case 'no-hello':
      return false;
    case 'bad-key':
      socket.send(JSON.stringify({ type: 'connection.error', error: { code: 2, message: 'api key not valid', StatusCode: 401 } }));
      return false;
    default:
      socket.send(JSON.stringify({ type: 'connection.ok', connection_id: id, me: auth.user_details }));
      return true;
  }
}

function obey(socket, id, data, isBinary) {
  const text = isBinary ? undefined : data.toString();
  let order;
  try {
    order = JSON.parse(text);
  } catch {
    order = undefined;
  }
  if (Array.isArray(order) && order[0]?.type === 'health.check') {
    return socket.send(JSON.stringify({ type: 'health.check', connection_id: id }));
  }
  // The page says once a second what it has received.
  if (order?.type === 'demo.report') return undefined;
  switch (order?.cmd) {
    case 'emit':
      return order.frames.forEach((frame) => socket.send(frame));
    case 'binary':
      return socket.send(Uint8Array.from(order.bytes));
    case 'large':
      return socket.send(JSON.stringify({ type: 'large', text: 'x'.repeat(order.size) }));
    case 'drop':
      return socket.terminate();
    case 'close':
      return socket.close(order.code, order.reason);
    case 'flood':
      return flood(socket, order.frames, order.count);
    default:
      return socket.send(JSON.stringify({ type: 'echo', text: text ?? null, bytes: isBinary ? [...data] : null }));
  }
}

/** Sends the frames round and round, as fast as the other side reads, then `{"type":"flood.done"}`. */
function flood(socket, frames, count) {
  let sent = 0;
  const more = () => {
    while (sent < count && socket.bufferedAmount < 1 << 18) socket.send(frames[sent++ % frames.length]);
    if (sent < count) setImmediate(more);
    else socket.send('{"type":"flood.done"}');
  };
  more();
}
