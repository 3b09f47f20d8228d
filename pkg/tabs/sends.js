// What a tab has to send by way of the one that leads: messages and requests, in order, until each is settled once.
import { EverwireError } from '../dist/everwire.js';

/** So much may wait: messages, and what they hold (UTF-16 units of text, or bytes). */
const MOST = 1024;
const MOST_UNITS = 1 << 20;

export class Sends {
  #all = new Map();
  #last = 0;
  /** How many were refused for want of room. */
  overflows = 0;

  /** Takes a call of a core's `send` or `request`, unless there is something against it; gives its number. */
  add(call, done, against) {
    const id = (this.#last += 1);
    const size = call[1].length;
    let units = 0;
    for (const send of this.#all.values()) units += send.size;
    let error = against;
    const many = this.#all.size >= MOST ? 'messages' : units > 0 && units + size > MOST_UNITS ? 'bytes' : undefined;
    if (!error && many) {
      this.overflows += 1;
      error = new EverwireError('overflow', `too many ${many} wait to be sent`, true, {});
    }
    if (error) queueMicrotask(() => done(error)); // never at once, as a core does
    else this.#all.set(id, { id, call, size, done, posted: false, taken: false, place: undefined });
    return id;
  }

  /** Those that nobody has been given yet. */
  waiting() {
    return [...this.#all.values()].filter(({ posted }) => !posted);
  }

  /** Whoever leads has taken it: from now on it may be sent at any time. */
  take(id) {
    const send = this.#all.get(id);
    if (send) send.taken = true;
  }

  settle(id, error, value) {
    this.remove(id)?.done(error, value);
  }

  remove(id) {
    const send = this.#all.get(id);
    this.#all.delete(id);
    return send;
  }

  /** Whoever led has gone. What it did not take waits for the next; of what it had taken nobody knows. This tab's own core answers. */
  lost(unheard = false) {
    for (const send of [...this.#all.values()]) {
      if (send.place !== undefined) continue;
      if (send.taken || (unheard && send.posted)) this.settle(send.id, closed('the tab that was to send it has gone: it may have been sent'));
      send.posted = false;
    }
  }

  end(error) {
    for (const id of [...this.#all.keys()]) this.settle(id, error);
  }
}

export const closed = (message) => new EverwireError('closed', message, true, {});

/** Makes a call of a core's; gives the core's number for it. */
export function make(core, [method, ...args], done) {
  try {
    return core[method](...args, done);
  } catch (error) {
    queueMicrotask(() => done(error));
  }
}
