// Who listens to what, and how listeners are called. A star in a pattern stands for one level, `**` for all that follow, `*` alone
// for everything.
import { EverwireError } from './error.js';

/** So many types are remembered: a server that makes up types without end cannot fill the memory. */
const MOST_TYPES = 4096;

/** Listeners, each in a place of its own: one that is taken off while a list is being called is not there any more. */
export class Listeners {
  /** The patterns by the places, in the order in which these were added. The life cycle has none. */
  #patterns = new Map();
  #known = new Map();

  /** Adds the place of a listener of a type or a pattern. */
  on(pattern, place) {
    check(pattern);
    this.#known.clear();
    this.#patterns.set(place, pattern);
  }

  /** Adds the place of a listener of the life cycle. */
  onLifecycle(place) {
    this.#patterns.set(place, undefined);
  }

  remove(place) {
    this.#known.clear();
    return this.#patterns.delete(place);
  }

  /** The places for a type, which are remembered by the key if there is one; without a type, those for the life cycle. */
  of(type, key) {
    let places = this.#known.get(key);
    if (places === undefined) {
      places = [...this.#patterns].filter(([, pattern]) => fits(pattern, type)).map(([place]) => place);
      if (this.#known.size >= MOST_TYPES) this.#known.clear();
      if (key !== undefined) this.#known.set(key, places);
    }
    return places;
  }
}

const NOTHING = [];

/** Calls listeners in their places, each by itself: where one throws the others go on. Gives what was thrown. */
export function call(places, event, type) {
  let thrown = NOTHING;
  for (let place = 0; place < places.length; place += 1) {
    const { listener } = places[place];
    if (listener === undefined) continue;
    try {
      listener(event, type);
    } catch (error) {
      thrown = [...thrown, error];
      report(error);
    }
  }
  return thrown;
}

/** Shows an error to the developer as the browser shows one that nobody caught. */
export function report(error) {
  if (typeof reportError === 'function') reportError(error);
  else console.error(error);
}

function fits(pattern, type) {
  if (pattern === type) return true;
  if (type === undefined || !pattern?.includes('*')) return false;
  if (pattern === '*' || pattern === '**') return true;
  const levels = pattern.split('.');
  const names = type.split('.');
  const many = levels.at(-1) === '**';
  if (many) levels.pop();
  if (many ? names.length <= levels.length : names.length !== levels.length) return false;
  return levels.every((level, place) => level === '*' || level === names[place]);
}

function check(pattern) {
  if (typeof pattern !== 'string') throw wrong('a type must be a string');
  if (pattern === '') throw wrong('an event type must not be empty');
  pattern.split('.').forEach((level, place, { length }) => {
    if (level === '**' && place < length - 1) throw wrong('`**` stands at the end of a pattern only');
    if (level.includes('*') && level !== '*' && level !== '**') throw wrong('a star in a pattern stands alone between dots');
  });
}

function wrong(message) {
  return new EverwireError('invalid-input', message, false, {});
}
