// Timers that a hidden page does not hold back, in one small worker for all clients of the page that want it.

/** What runs in the worker: it is told a number and a time, and tells the number when the time is over; a number alone is stopped. */
const WORKER = `const timers = new Map();
onmessage = ({ data: [id, millis] }) => {
  clearTimeout(timers.get(id));
  timers.delete(id);
  if (millis !== undefined) timers.set(id, setTimeout(() => (timers.delete(id), postMessage(id)), millis));
};`;

/** The clients that have something to wait for. */
const clients = new Set();
/** What is to be done when a timer rings, by its number. */
const ringing = new Map();
let last = 0;
let address;
let worker;
/** Whether a worker was tried for, and is not possible here. */
let refused = false;

/** The value of the option `timer`: the worker is there from the first connect to the end of the last such client. */
export function workerTimer(client, timers) {
  client.onLifecycle((step) => {
    if (step.type !== 'state') return;
    if (step.new === 'closed' || step.new === 'failed') {
      clients.delete(client);
      if (clients.size === 0) stop();
    } else {
      timers.set = set;
      clients.add(client);
      worker ??= start();
    }
  });
}

/** The page's own timer runs beside, and the one that rings first counts: whatever becomes of the worker, nothing waits for ever. */
function set(run, millis) {
  const id = (last += 1);
  const own = setTimeout(ring, millis);
  ringing.set(id, ring);
  worker?.postMessage([id, millis]);
  function clear() {
    clearTimeout(own);
    if (ringing.delete(id)) worker?.postMessage([id]);
  }
  function ring() {
    clear();
    run();
  }
  return clear;
}

/** A worker; none where there are none, or where the content security policy forbids it. */
function start() {
  if (refused || typeof Worker === 'undefined') return undefined;
  try {
    address ??= URL.createObjectURL(new Blob([WORKER], { type: 'text/javascript' }));
    const made = new Worker(address, { name: 'everwire timers' });
    made.onmessage = ({ data }) => ringing.get(data)?.();
    made.onerror = (event) => {
      event.preventDefault();
      refused = true;
      stop();
    };
    return made;
  } catch {
    refused = true;
    return undefined;
  }
}

function stop() {
  worker?.terminate();
  worker = undefined;
}
