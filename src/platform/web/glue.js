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

/** Where timers are set, each giving the way to stop it: a worker may take the page's place (`pkg/worker-timer.js`). */
export const timers = {
  set(run, millis) {
    const id = setTimeout(run, millis);
    return () => clearTimeout(id);
  },
};

/** Calls a function after a time; gives the way to stop that. */
export function setTimer(run, millis) {
  return timers.set(run, millis);
}

/** Calls a function in a microtask. */
export function later(run) {
  queueMicrotask(run);
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
