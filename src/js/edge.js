// The JavaScript side of the edge: finds the type of an event on the JavaScript string itself, and calls the listeners.
// So an event never enters the memory of the wasm module, which knows it by a few numbers, and one that nobody listens to is
// never parsed.
import { now } from '../platform/web/glue.js';

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

/** Calls the user's token function, and tells whether it failed, and what it gave. */
export async function ask(fetch, done) {
  let failed = false;
  let value;
  try {
    value = await fetch();
  } catch (error) {
    failed = true;
    value = error;
  }
  try {
    done(failed, value);
  } catch {
    // Nobody waits any more.
  }
}

/** What stands for a type that has no number: no JSON document; not remembered, because too many others are; none at all. */
const MALFORMED = -1;
const FORGOTTEN = -2;
const UNTYPED = -3;
/** So many types are remembered: a server that makes up types without end cannot fill the memory. */
const MOST_TYPES = 4096;
/** And so many that look alike. */
const MOST_ALIKE = 64;
/** The type of a document that has none. */
const UNKNOWN = 'unknown';
/** What a message is: a JSON text, one that had to be parsed for its type, text that is no JSON, bytes. */
const JSON_TEXT = 0;
const DOCUMENT = 1;
const TEXT = 2;
const BINARY = 3;

/** The types, by their numbers; and the numbers, by a few letters of the type, so that it is found without being cut out. */
const names = [];
const numbers = Array.from({ length: 256 }, () => []);

/** Where to look for the type that stands there in a text. */
function like(text, start, end) {
  const letters = text.charCodeAt(start) ^ (text.charCodeAt((start + end) >> 1) << 4) ^ (text.charCodeAt(end - 1) << 2);
  return numbers[(letters ^ (end - start)) & 255];
}

/** The number of the type that stands there in a text, if it has one. */
function find(text, start, end) {
  for (const id of like(text, start, end)) {
    const name = names[id];
    if (name.length === end - start && text.startsWith(name, start)) return id;
  }
  return undefined;
}

/** The number of a type, if there are any left. */
function number(name) {
  const id = find(name, 0, name.length);
  if (id !== undefined) return id;
  const alike = like(name, 0, name.length);
  if (names.length >= MOST_TYPES || alike.length >= MOST_ALIKE) return FORGOTTEN;
  alike.push(names.length);
  // A part of a text keeps all of it in memory; the name of a member is a text of its own.
  const [own] = Object.keys({ [name]: 0 });
  return names.push(own) - 1;
}

/** The messages that the module holds, which knows them by their places; and the documents of those that were parsed. */
const messages = [];
const documents = [];
const free = [];

function keep(message) {
  const place = free.length > 0 ? free.pop() : messages.length;
  messages[place] = message;
  return place;
}

/** Lets go of a message. */
export function release(place) {
  messages[place] = documents[place] = undefined;
  free.push(place);
}

/** The text of a message; of bytes there is none. */
export function text(place) {
  const message = messages[place];
  return typeof message === 'string' ? message : undefined;
}

/** The type of a message, by its number where it has one. */
export function name(id, place, field) {
  if (id >= 0) return names[id];
  if (id !== FORGOTTEN) return UNKNOWN;
  return (documents[place] ?? JSON.parse(messages[place]))[field];
}

/** Reads the messages of a client's sockets. */
export class Reader {
  #prefix;
  #field;
  #anyText;
  #socket;

  /** `socket` is the constructor of another WebSocket than the page's own. */
  constructor(field, anyText, socket) {
    this.#socket = socket;
    this.#prefix = `{${JSON.stringify(field)}:"`;
    this.#field = field;
    this.#anyText = anyText;
  }

  open(url, protocols) {
    return new (this.#socket ?? WebSocket)(url, protocols);
  }

  /** Gives every message: its place, the number of its type, what it is, its size, and the time. */
  attach(socket, receive) {
    const prefix = this.#prefix;
    const start = prefix.length;
    socket.onmessage = ({ data }) => {
      const place = keep(data);
      if (typeof data !== 'string') return receive(place, UNTYPED, BINARY, data.byteLength, now());
      // Where the type comes first, no more of the text is looked at than its end.
      const end = data.startsWith(prefix) && data.endsWith('}') ? data.indexOf('"', start) : -1;
      if (end < 0) return this.#parse(place, data, receive);
      // A type that is known is plain.
      let id = find(data, start, end);
      if (id === undefined) {
        const type = data.slice(start, end);
        if (type.includes('\\')) return this.#parse(place, data, receive);
        id = number(type);
      }
      receive(place, id, JSON_TEXT, data.length, now());
    };
  }

  #parse(place, text, receive) {
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      return this.#anyText ? receive(place, UNTYPED, TEXT, text.length, now()) : receive(place, MALFORMED, TEXT, text.length, now());
    }
    documents[place] = value;
    const typed = typeof value === 'object' && value !== null && Object.hasOwn(value, this.#field);
    const type = typed ? value[this.#field] : undefined;
    receive(place, typeof type === 'string' ? number(type) : UNTYPED, DOCUMENT, text.length, now());
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

/** What a message says, which is parsed if it was not yet. */
function open(place, parse) {
  const document = documents[place];
  if (document !== undefined) return document;
  return parse ? JSON.parse(messages[place]) : messages[place];
}

/** The member at a path of a message. */
export function member(place, path) {
  let value;
  try {
    value = documents[place] = open(place, true);
  } catch {
    // What is no JSON has no members.
  }
  for (const name of path.split('.')) value = value?.[name];
  return value;
}

/** Gives a message to listeners, and lets go of it. */
export function deliver(entries, place, parse, type) {
  let event;
  try {
    // Who is alone and takes messages as they came needs none of them parsed.
    event = entries[0].raw && entries.length === 1 ? messages[place] : open(place, parse);
  } catch {
    return NOT_JSON;
  } finally {
    release(place);
  }
  return call(entries, event, type);
}

/** Tells the answer to a request: what is wrong, or a message, which is let go of. */
export function reply(done, error, place, parse) {
  if (place < 0) return done(error);
  const value = open(place, parse);
  release(place);
  done(undefined, value);
}

/** The number that a function of the user's gives for a message; that of an event without one is not followed. */
export function numbered(sequence, place) {
  try {
    return sequence(open(place, true));
  } catch (error) {
    report(error);
  }
}

/** What a function of the user's wants to have sent. */
export function resumption(ask, point) {
  try {
    return ask(point);
  } catch (error) {
    report(error);
  }
}

/**
 * Calls listeners in their places, each by itself: where one throws the others go on.
 * `type` is that of an event; a step of the life cycle has none.
 */
export function call(entries, event, type) {
  let answer = DELIVERED;
  for (let place = 0; place < entries.length; place += 1) {
    const { listener } = entries[place];
    // One that was taken off, by another in the list even, is not there any more.
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
