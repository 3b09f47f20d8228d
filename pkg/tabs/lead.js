// What the one tab has that leads: the core with the connection, and what the other tabs want of it.
import { plain } from './listeners.js';
import { make } from './sends.js';

/** How long whoever is next waits for the closing handshake of the one before: milliseconds. */
const PATIENCE = 400;

const ignore = () => {};

export class Lead {
  #tab;
  #over = new AbortController();
  #release;
  /** What happened and is not told yet. */
  #items = [];
  #due = false;
  /** What the other tabs have under way, by tab and number: its number in the core. */
  #underway = new Map();
  /** The channels that each tab wants, and those that are subscribed to. */
  #wanted = new Map();
  #subscribed = new Set();
  core;
  /** Settles when it leads no more. */
  held = new Promise((resolve) => (this.#release = resolve));

  /**
   * The tab says what it is to the leader: `post` tells the others, `news` tells all, `state` and `status` say where it stands,
   * `lockOf` names the lock that a tab has as long as it is there.
   */
  constructor(tab) {
    this.#tab = tab;
  }

  /** Begins to connect with a core that is made for it. */
  async start(make) {
    const { signal } = this.#over;
    try {
      const [core, places] = await make();
      if (signal.aborted) return core.free();
      this.core = core;
      const events = { listener: (data, type) => this.#note([type, data]), raw: true };
      const steps = { listener: (step) => this.#relay(step) };
      core.listeners.on('**', events);
      core.listeners.onLifecycle(steps);
      core.connect();
      // A core that leads no more calls nobody, and keeps nothing of the page.
      signal.addEventListener('abort', () => {
        for (const place of [events, steps, ...places]) place.listener = undefined;
      });
      this.#subscribe();
    } catch (error) {
      if (!signal.aborted) this.#note({ end: { type: 'fatal', message: 'cannot go on', error }, state: 'failed' });
    }
  }

  /** Something happened. It is told once all that belongs to it has: then the point to go on from counts all of it. */
  #note(item) {
    this.#items.push(item);
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => this.#over.signal.aborted || this.flush());
  }

  #relay(step) {
    if (step.type === 'state') {
      const first = step.new === 'idle' || step.new === 'connecting';
      this.#note({ state: first && this.#tab.state() !== 'connecting' ? 'reconnecting' : step.new, fresh: first });
    } else if (step.type === 'closed') {
      this.#note({ end: step.cause });
    } else {
      this.#note({ step });
    }
  }

  flush() {
    this.#due = false;
    const items = this.#items.splice(0);
    if (items.length === 0) return;
    const status = items.every(Array.isArray) ? undefined : this.#status();
    this.#tab.news({ items, point: this.core?.resumePoint, status });
  }

  /** Tells where it stands. */
  announce() {
    this.flush();
    this.#tab.post({ kind: 'news', items: [], point: this.core?.resumePoint, status: this.#status() });
  }

  #status() {
    const { core } = this;
    const log = core?.reconnectLog().map((entry) => ({ ...entry, error: plain(entry.error) })) ?? [];
    return { ...this.#tab.status(), connectionId: core?.connectionId, stats: core?.stats(), log };
  }

  /** Does for another tab what it asks. */
  serve({ kind, from, id, call, channels }) {
    if (kind === 'channels') return this.want(from, channels);
    const key = `${from} ${id}`;
    if (kind === 'withdraw') return this.#underway.has(key) && this.core.withdraw(this.#underway.get(key));
    this.#tab.post({ kind: 'taken', to: from, id });
    const done = (error, value) => {
      this.#underway.delete(key);
      this.#tab.post({ kind: 'answer', to: from, id, error: error && plain(error), value });
    };
    this.#underway.set(key, make(this.core, call, done));
  }

  /** A tab wants these channels, until it has gone, and its lock is free. */
  want(tab, channels, own = false) {
    if (!own && !this.#wanted.has(tab)) {
      const { signal } = this.#over;
      navigator.locks.request(this.#tab.lockOf(tab), { signal }, () => signal.aborted || this.#forget(tab)).catch(ignore);
    }
    this.#wanted.set(tab, channels);
    this.#subscribe();
  }

  #forget(tab) {
    this.#wanted.delete(tab);
    this.#subscribe();
  }

  /** Subscribes to what any tab wants. */
  #subscribe() {
    const { core } = this;
    if (!core) return;
    const all = new Set([...this.#wanted.values()].flatMap((channels) => [...channels]));
    for (const channel of this.#subscribed) if (!all.has(channel)) core.unsubscribe(channel);
    for (const channel of all) if (!this.#subscribed.has(channel)) core.subscribe(channel);
    this.#subscribed = all;
  }

  /** Leads no more. The lock goes when the socket is closed, or at once by `release`, where the page cannot wait for that. */
  resign(code, reason) {
    const { core } = this;
    this.flush();
    this.#over.abort();
    this.#tab.post({ kind: 'gone' });
    const gone = new Promise((resolve) => {
      if (!core) return resolve();
      // A close for good would end a session that the next is to go on with.
      if (code !== undefined) core.close(code, reason, resolve);
      else core.close(core.resumePoint === undefined ? 1000 : 4000, 'another tab goes on', resolve);
      setTimeout(resolve, PATIENCE);
    });
    return gone.then(() => this.release());
  }

  /** Its core has ended by itself, or nobody can wait for it. */
  release() {
    this.#over.abort();
    this.#release();
  }
}
