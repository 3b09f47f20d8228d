// What the tests of shared connections have in common (N-10): options of their own, the sockets the server sees, a tab.
import { MINE, assert, options } from './harness.mjs';

let last = 0;

/** Options that no other test shares with. */
export function own(t, more) {
  last += 1;
  return { ...options(t.peer), backoffBase: 20, params: { api_key: `tabs-${last}`, user_id: 'alice' }, ...more };
}

export const ours = (t, options) => t.peer.connections.filter(({ query }) => query.api_key === options.params.api_key);

/** At most one socket at any time, as the server sees it. */
export function neverTwo(t, options) {
  assert.deepEqual(ours(t, options).map(({ beside }) => beside), ours(t, options).map(() => 0));
}

/** Runs in a page: makes a client that shares, `globalThis.client`, and notes what it hears: `seen`, `steps`. */
export const start = async (options) => {
  const { createSharedClient } = await import('/pkg/tabs.js');
  const client = await createSharedClient(options);
  Object.assign(globalThis, { client, seen: [], steps: [], connectedAt: [] });
  client.onAny((event, type) => globalThis.seen.push(event.n ?? event.seq ?? type));
  client.onLifecycle((step) => {
    globalThis.steps.push(step.type === 'state' ? step.new : step.type);
    if (step.type === 'connected') globalThis.connectedAt.push(Date.now());
  });
  await client.connect();
};

export const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, place) => from + place);
export const say = (connection, from, to) => numbers(from, to).forEach((n) => connection.say(`{"type":"count.up","n":${n}}`));

/** A dialect with requests and channels, over the peer's echo. */
export function whole(t) {
  const { params: { api_key: key } } = own(t);
  return { url: `${t.peer.ws}/mine?api_key=${key}`, dialect: MINE, backoffBase: 20, params: { api_key: key } };
}
