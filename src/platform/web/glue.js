// What is cheaper in JavaScript than from WebAssembly.

// The global `performance` is an accessor that costs several times what the clock itself does.
const clock = globalThis.performance;

/** Milliseconds of a monotonic clock, in pages and in workers. */
export function now() {
  return clock.now();
}

/** Makes a socket, of the class that is given if there is one; where that is refused: whether the URL or a subprotocol is wrong. */
export function openSocket(given, url, protocols) {
  try {
    return new (given?.WebSocket ?? WebSocket)(url, protocols);
  } catch (error) {
    return error?.name === 'SyntaxError';
  }
}

/** The browser's word for an end without a close frame. */
const NO_FRAME = 1006;

/** Tells of the opening of a socket by a zero, and of its end by the code and the reason. */
export function watchSocket(socket, tell) {
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => tell(0);
  socket.onclose = ({ code, reason }) => tell(code || NO_FRAME, reason);
}

/** Gives every message, its size and the time; the size of a binary one is negative, and less by one. */
export function onMessage(socket, receive) {
  socket.onmessage = ({ data }) => receive(data, typeof data === 'string' ? data.length : -1 - data.byteLength, now());
}

/** What a socket tells of itself; one that somebody made may tell less than the browser's own. */
export function told(socket, name) {
  return socket[name] ?? '';
}

/** So much may wait in the browser to be written before a message is refused. */
const WRITE_LIMIT = 16 << 20;
/**
 * So much may wait in the browser while there is room for the user's messages. What waits there is lost with the socket, and what
 * waits in the outbox is not.
 */
const ROOM = 256 << 10;

/** What `write` and `room` answer. */
const [DONE, FULL, CLOSED] = [0, 1, 2];
/** The states of a socket, which its class may not name. */
const [OPEN, CLOSING] = [1, 2];

/** Has a message of this size written. One large message may pass the limit, a queue of them may not. */
export function write(socket, message, size) {
  if (socket.readyState !== OPEN) return CLOSED;
  const waiting = socket.bufferedAmount;
  if (waiting > 0 && waiting + size > WRITE_LIMIT) return FULL;
  try {
    socket.send(message);
  } catch {
    return CLOSED;
  }
  return DONE;
}

/** Whether there is room for a message of the user's. */
export function room(socket) {
  if (socket.readyState !== OPEN) return CLOSED;
  return socket.bufferedAmount >= ROOM ? FULL : DONE;
}

/** The longest reason of a close frame, in bytes. */
const LONGEST_REASON = 123;

/**
 * Closes with what a browser lets a page say: the codes 1000 and 3000 to 4999, and a short reason. What the protocol keeps for
 * itself is moved to the private range (1009 to 4009).
 */
export function closeSocket(socket, code, reason) {
  const moved = code > 1000 && code < 2000 ? code + 3000 : code;
  // A letter that does not fit is left out as a whole.
  const { read } = new TextEncoder().encodeInto(reason, new Uint8Array(LONGEST_REASON));
  try {
    socket.close(moved === 1000 || (moved >= 3000 && moved < 5000) ? moved : 4000, reason.slice(0, read));
  } catch {
    // Of the browser's own none does.
  }
}

/** Lets go of a socket: it calls nobody any more. */
export function dropSocket(socket) {
  socket.onopen = socket.onmessage = socket.onclose = null;
  if (!(socket.readyState >= CLOSING)) closeSocket(socket, 1000, '');
}

/** Where timers are set, each giving the way to stop it: a worker may take the page's place (`pkg/worker-timer.js`). */
export const timers = {
  set(run, millis) {
    const id = setTimeout(run, millis);
    return () => clearTimeout(id);
  },
};

/** Calls a function after a time; gives the way to stop that. */
export function setTimer(run, millis) {
  return timers.set(() => run(0), millis);
}

/** Stops a timer, or a watch. */
export function stop(it) {
  it();
}

/** Calls a function in a microtask. */
export function later(run) {
  queueMicrotask(() => run(0));
}

/** The numbers of what is told of a page. */
const [HIDDEN, SHOWN, LEFT, BACK, OFFLINE, ONLINE, RESUMED] = [0, 1, 2, 3, 4, 5, 6];

/** Tells what happens to the page, beginning with what it is now; gives the way to stop. A worker has a network alone. */
export function watch(tell) {
  const stop = new AbortController();
  const { document, navigator } = globalThis;
  const on = (target, type, change) => target?.addEventListener?.(type, (event) => {
    const number = change(event);
    if (number !== undefined) tell(number);
  }, { signal: stop.signal });
  on(document, 'visibilitychange', () => (document.hidden ? HIDDEN : SHOWN));
  on(document, 'resume', () => RESUMED);
  on(document && globalThis, 'pagehide', () => LEFT);
  on(document && globalThis, 'pageshow', ({ persisted }) => (persisted ? BACK : undefined));
  on(globalThis, 'offline', () => OFFLINE);
  on(globalThis, 'online', () => ONLINE);
  if (document?.hidden) tell(HIDDEN);
  if (navigator?.onLine === false) tell(OFFLINE);
  return () => stop.abort();
}
