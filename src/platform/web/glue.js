// What is cheaper in JavaScript than from WebAssembly.

// The global `performance` is an accessor that costs several times what the clock itself does.
const clock = globalThis.performance;

/** Milliseconds of a monotonic clock, in pages and in workers. */
export function now() {
  return clock.now();
}

/** Gives every message, its size and the time; the size of a binary one is negative, and less by one. */
export function onMessage(socket, receive) {
  socket.onmessage = ({ data }) => receive(data, typeof data === 'string' ? data.length : -1 - data.byteLength, now());
}

/** What a socket tells of itself; one that somebody made may tell less than the browser's own. */
export function told(socket, name) {
  return socket[name] ?? '';
}

/** Calls a function in a microtask. */
export function later(run) {
  queueMicrotask(run);
}
