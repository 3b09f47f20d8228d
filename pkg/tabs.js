// everwire/tabs: one connection for all tabs of a site that want the same one. It needs Web Locks and BroadcastChannel; where
// there are none, every tab has a connection of its own.
import { Client, EverwireError, createClient, internals } from './index.js';
import { Tab } from './tabs/tab.js';

/** What tabs say to each other: those that say something else must not share with these. */
const VERSION = 1;

/** Connects, by way of another tab if one is connected, and waits for the server's hello. */
export async function connectShared(options) {
  return internals.connected(await createSharedClient(options), options);
}

/** Makes a client that does not connect yet, so that listeners can be there first. */
export async function createSharedClient(options) {
  const { name, stealAfter = 6000, ...others } = options ?? {};
  if (name !== undefined && (typeof name !== 'string' || name === '')) throw wrong('name', 'must be a string that is not empty');
  if (!(stealAfter >= 100)) throw wrong('stealAfter', 'must be 100 ms or more');
  // It tells what is wrong with the options.
  const [first] = await internals.createCore(options && others);
  const shared = await sharedName(name, others);
  if (shared === undefined) {
    first.free();
    return Object.assign(await createClient(others), { shared: false, leader: true });
  }
  const make = (resumeFrom = others.resumeFrom) => internals.createCore({ ...others, resumeFrom });
  const client = new SharedClient(new Tab(make, shared, stealAfter, first));
  first.free();
  return internals.begun(client, others);
}

class SharedClient extends Client {
  #tab;

  constructor(tab) {
    super(tab, []);
    this.#tab = tab;
  }

  get shared() {
    return true;
  }

  get leader() {
    return this.#tab.leads;
  }

  stats() {
    const stats = super.stats();
    for (const [name, count] of Object.entries(this.#tab.own)) stats[name] += count;
    return stats;
  }
}

/** What tabs that share have in common; nothing where they cannot. It shows nothing of what it is made of. */
async function sharedName(name, { url, dialect = 'stream', params, protocols }) {
  const { navigator, BroadcastChannel, crypto } = globalThis;
  if (!navigator?.locks || !BroadcastChannel || !crypto?.subtle) return undefined;
  try {
    await navigator.locks.query();
  } catch {
    return undefined; // not in a frame without an origin
  }
  if (name !== undefined) return `everwire ${VERSION} ${name}`;
  const text = new TextEncoder().encode(JSON.stringify([url && internals.urlParts(`${url}`), dialect, params, protocols]));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', text));
  return `everwire ${VERSION} ${[...digest.slice(0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function wrong(path, what) {
  return new EverwireError('config', `${path}: ${what}`, false, { path });
}
