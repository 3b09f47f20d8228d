// Listeners by type and pattern, where events come from another tab, and what happened on its way between tabs. The rules
// are those of the module: a star stands for one level, `**` for all that follow, `*` alone for everything.
import { EverwireError } from '../dist/everwire.js';

/** So many types are remembered: a server that makes up types without end cannot fill the memory. */
const MOST_TYPES = 1024;

export class Listeners {
  #last = 0;
  #entries = new Map();
  #byType = new Map();
  /** How often a listener threw. */
  failures = 0;

  /** Adds the place of a listener of a type, a pattern, or, where there is none, of the life cycle; gives its number. */
  add(pattern, place) {
    if (pattern !== undefined) check(pattern);
    this.#byType.clear();
    this.#entries.set((this.#last += 1), { pattern, place });
    return this.#last;
  }

  remove(id) {
    this.#byType.clear();
    return this.#entries.delete(id);
  }

  /** Gives an event to its listeners, as text that is parsed if there are any; says what goes wrong. */
  deliver([type, data], wrong) {
    const entries = this.#of(type);
    if (entries.length === 0) return;
    let event = data;
    if (typeof data === 'string') {
      try {
        event = JSON.parse(data);
      } catch {
        // Where any text may come, text that is no JSON has no type.
        if (type !== 'unknown') return wrong(new EverwireError('decode', 'an event is not JSON', false, {}));
      }
    }
    for (const cause of call(entries, event, type)) {
      this.failures += 1;
      wrong(new EverwireError('listener', 'a listener threw', false, { cause }));
    }
  }

  /** Tells a step of the life cycle. */
  tell(step) {
    call(this.#of(undefined), step);
  }

  /** The listeners of a type, in the order in which they were added; without a type, those of the life cycle. */
  #of(type) {
    let entries = this.#byType.get(type);
    if (entries === undefined) {
      const wants = ({ pattern }) => (type === undefined ? pattern === undefined : pattern !== undefined && fits(pattern, type));
      entries = [...this.#entries.values()].filter(wants).map(({ place }) => place);
      if (this.#byType.size >= MOST_TYPES) this.#byType.clear();
      this.#byType.set(type, entries);
    }
    return entries;
  }
}

/** Calls listeners, each by itself: where one throws the others go on. Gives what was thrown. */
function call(entries, event, type) {
  const thrown = [];
  for (const { listener } of entries) {
    try {
      listener?.(event, type);
    } catch (error) {
      thrown.push(error);
      if (typeof reportError === 'function') reportError(error);
      else console.error(error);
    }
  }
  return thrown;
}

function fits(pattern, type) {
  if (!pattern.includes('*')) return pattern === type;
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

/** What another tab is told of an error. Its cause, which anybody may have thrown, stays where it is. */
export function plain(error) {
  const { code, message, retryable, path, serverCode, closeCode, closeReason, response } = error;
  const details = Object.entries({ path, serverCode, closeCode, closeReason, response }).filter(([, value]) => value !== undefined);
  return { code, message, retryable, details: Object.fromEntries(details) };
}

/** The error that another tab has told of. */
export function revived({ code, message, retryable, details }) {
  return new EverwireError(code, message, retryable, { ...details });
}

/** What happened, as it goes over the channel, where errors lose what they are; and back. */
export const posted = (item) => converted(item, plain);
export const taken = (item) => converted(item, revived);

function converted(item, convert) {
  const { step, end } = item;
  if (step?.error) return { ...item, step: { ...step, error: convert(step.error) } };
  if (end?.error) return { ...item, end: { ...end, error: convert(end.error) } };
  return item;
}
