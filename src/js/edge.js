// The JavaScript side of the edge: finds the type of an event on the JavaScript string itself, and calls the listeners.
// So the text of an event never enters the memory of the wasm module, and an event that nobody listens to is never parsed.

/** An error of everwire. `code` says what kind it is. */
export class EverwireError extends Error {
  constructor(code, message, retryable, details) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    delete details.cause;
    Object.assign(this, { code, retryable }, details);
  }
  get name() {
    return 'EverwireError';
  }
}

/** No JSON document. */
const MALFORMED = -1;
/** A type that is not remembered, because too many others are. */
const FORGOTTEN = -2;
/** So many types are remembered: a server that makes up types without end cannot fill the memory. */
const MOST_TYPES = 4096;
/** The type of a document that has none. */
const UNKNOWN = 'unknown';

/** Gives every type that comes in a small number: the control types first, in order, then "no type", then as they come. */
export class Classifier {
  #prefix;
  #field;
  #anyText;
  #untyped;
  #names;
  #ids;
  #parsed;

  constructor(field, control, anyText) {
    this.#prefix = `{${JSON.stringify(field)}:"`;
    this.#field = field;
    this.#anyText = anyText;
    this.#untyped = control.length;
    this.#names = [...control, UNKNOWN];
    this.#ids = new Map(control.map((name, id) => [name, id]));
  }

  /** The number of the type, doubled; odd if the document had to be parsed for it and waits to be taken. */
  classify(text) {
    const name = this.#first(text);
    // A type that is known is plain: a look at the map says so faster than one at the name.
    const id = this.#ids.get(name);
    if (id !== undefined) return id * 2;
    return name === undefined || name.includes('\\') ? this.#parse(text) : this.#id(name) * 2;
  }

  /** The document that the last call of `classify` parsed. */
  take() {
    const parsed = this.#parsed;
    this.#parsed = undefined;
    return parsed;
  }

  /** The type with this number, which came with this text. */
  name(id, text) {
    if (id !== FORGOTTEN) return this.#names[id];
    const name = this.#first(text);
    return name === undefined || name.includes('\\') ? JSON.parse(text)[this.#field] : name;
  }

  /** The type where it comes first, as it is written: then no more of the text is looked at than its end. */
  #first(text) {
    const prefix = this.#prefix;
    if (!text.startsWith(prefix) || !text.endsWith('}')) return undefined;
    const end = text.indexOf('"', prefix.length);
    return end < 0 ? undefined : text.slice(prefix.length, end);
  }

  #parse(text) {
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      return this.#anyText ? this.#untyped * 2 : MALFORMED;
    }
    this.#parsed = value;
    const typed = typeof value === 'object' && value !== null && Object.hasOwn(value, this.#field);
    const name = typed ? value[this.#field] : undefined;
    return (typeof name === 'string' ? this.#id(name) : this.#untyped) * 2 + 1;
  }

  #id(name) {
    const id = this.#ids.get(name);
    if (id !== undefined) return id;
    if (this.#names.length >= MOST_TYPES) return FORGOTTEN;
    this.#ids.set(name, this.#names.length);
    return this.#names.push(name) - 1;
  }
}

/** A listener that can be taken off while it is in a list that is being called. */
export class Entry {
  constructor(listener) {
    this.listener = listener;
  }
  /** Whether it calls this function, be it by way of `once`. */
  calls(listener) {
    return this.listener === listener || this.listener?.listener === listener;
  }
  takeOff() {
    this.listener = undefined;
  }
}

/** What `deliver` answers: all is well, the text is no JSON, or listeners threw. */
const DELIVERED = 0;
const NOT_JSON = 1;
const THROWN = 2;

/** What listeners threw, until it is taken. */
let thrown = [];

export function takeThrown() {
  const taken = thrown;
  thrown = [];
  return taken;
}

/**
 * Calls listeners, each by itself: where one throws the others go on.
 * `type` is that of an event; a step of the life cycle has none.
 */
export function deliver(entries, data, parse, type) {
  let event = data;
  if (parse) {
    try {
      event = JSON.parse(data);
    } catch {
      return NOT_JSON;
    }
  }
  let answer = DELIVERED;
  for (let place = 0; place < entries.length; place += 1) {
    const { listener } = entries[place];
    // One that was taken off by another in the list is not there any more.
    if (listener === undefined) continue;
    try {
      listener(event, type);
    } catch (error) {
      answer = THROWN;
      thrown.push(error);
      report(error);
    }
  }
  return answer;
}

/** Shows an error to the developer as the browser shows one that nobody caught. */
function report(error) {
  if (typeof reportError === 'function') reportError(error);
  else console.error(error);
}
