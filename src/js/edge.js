// The JavaScript side of the edge: finds the type of an event on the JavaScript string itself, and calls the listeners.
// So an event never enters the memory of the wasm module, which knows it by a few numbers, and one that nobody listens to is
// never parsed.
import { now } from '../platform/web/glue.js';
import { keep, option, present } from './error.js';
import { Listeners, call, report } from './listeners.js';

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

function keepMessage(message) {
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

/** What `deliver` answers: the text is no JSON, or how many listeners threw. */
const NOT_JSON = -1;

/** The numbers of what listeners threw, until they are taken. */
const thrown = [];

export function takeThrown() {
  return thrown.shift();
}

/**
 * The steps of the life cycle that say something: what their two texts and their two numbers are called. An error is called so
 * in all of them.
 */
const STEPS = {
  state: ['old', 'new'],
  connecting: ['url', '', 'attempt'],
  connected: ['connectionId', '', 'attempt', 'downtime'],
  'backing-off': ['', '', 'attempt', 'delay'],
  clamped: ['setting', '', 'asked', 'used'],
  pong: ['', '', 'latency'],
  closing: ['reason', 'by', 'code'],
  'token-renewed': ['', '', 'validFor'],
  breaker: ['state', '', 'wait'],
  renewing: ['', '', 'age'],
  overflow: ['queue', 'policy', 'capacity', 'dropped'],
  'replay-started': ['mode', '', 'last', 'count'],
  'replay-completed': ['mode', '', 'count', 'duration'],
  gap: ['', '', 'from', 'to'],
};

/** What a client has on this side: the user's functions, who listens, and who waits for the replies to requests. */
export class Edge {
  listeners = new Listeners();
  #given;
  #replies = new Map();
  #field;
  #prefix;
  #anyText;

  /** `given` are the functions among the options: `token`, `sequence`, `onResume`, and `WebSocket` for another than the page's own. */
  constructor(given) {
    this.#given = given;
    this.WebSocket = given.WebSocket;
  }

  has(name) {
    return this.#given[name] !== undefined;
  }

  /** Calls the token function; tells whether it failed, and its token or what it threw. */
  async ask(done) {
    let failed = false;
    let value;
    try {
      value = await this.#given.token();
    } catch (error) {
      failed = true;
      value = error;
    }
    try {
      done(Number(failed), value);
    } catch {
      // Nobody waits any more.
    }
  }

  /** The number that the user's function gives for a message; that of an event without one is not followed. */
  numbered(place) {
    try {
      return this.#given.sequence(open(place, true));
    } catch (error) {
      report(error);
    }
  }

  /** What the user wants to have sent to go on from a point. */
  resumption(session, lastSequence) {
    try {
      return this.#given.onResume(resumePoint(session, lastSequence) ?? {});
    } catch (error) {
      report(error);
    }
  }

  /** Says where the type stands in a message, whether any text is one, and where the channel stands, if the dialect knows any. */
  reads(field, anyText, channelField) {
    this.channelField = channelField;
    this.#prefix = `{${JSON.stringify(field)}:"`;
    this.#field = field;
    this.#anyText = anyText;
  }

  /** Gives every message: its place, the number of its type, what it is, its size, and the time. */
  attach(socket, receive) {
    const prefix = this.#prefix;
    const start = prefix.length;
    socket.onmessage = ({ data }) => {
      const place = keepMessage(data);
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
      return receive(place, this.#anyText ? UNTYPED : MALFORMED, TEXT, text.length, now());
    }
    documents[place] = value;
    const typed = typeof value === 'object' && value !== null && Object.hasOwn(value, this.#field);
    const type = typed ? value[this.#field] : undefined;
    receive(place, typeof type === 'string' ? number(type) : UNTYPED, DOCUMENT, text.length, now());
  }

  /** Gives a message to the listeners of its type, and lets go of it. */
  deliver(place, id, parse) {
    const type = name(id, place, this.#field);
    const places = this.listeners.of(type);
    let event;
    try {
      if (places.length === 0) return 0;
      // Who is alone and takes messages as they came needs none of them parsed.
      event = places[0].raw && places.length === 1 ? messages[place] : open(place, parse);
    } catch {
      return NOT_JSON;
    } finally {
      release(place);
    }
    const failures = call(places, event, type);
    for (const failure of failures) thrown.push(keep(failure));
    return failures.length;
  }

  /** Tells a step of the life cycle: its type, two texts, two numbers, and an error. */
  step(type, text, word, number, other, error) {
    const places = this.listeners.of();
    if (places.length === 0) return;
    const [first = '', second = '', third = '', fourth = ''] = STEPS[type] ?? [];
    const { '': nothing, ...said } = { [first]: text, [second]: word, [third]: number, [fourth]: other };
    if (type === 'clamped') said.setting = option(said.setting);
    // Nobody is left to tell of a listener that throws; the browser's console has it.
    call(places, { type, ...present(type === 'closed' ? { cause: cause(text, word, error) } : { ...said, error }) });
  }

  /** Says who waits for the reply to a request. */
  expect(id, done) {
    this.#replies.set(id, done);
  }

  expects(id) {
    return this.#replies.has(id);
  }

  /** Whoever waits for a reply does so no more. */
  forgo(id) {
    this.#replies.delete(id);
  }

  /** Tells the reply to a request: what is wrong, or a message, which is let go of. */
  reply(id, error, place, parse) {
    const done = this.#replies.get(id);
    this.#replies.delete(id);
    if (error !== undefined) return done(error);
    const value = open(place, parse);
    release(place);
    done(undefined, value);
  }

  /** There will be no more replies. */
  end(error) {
    for (const done of this.#replies.values()) done(error);
    this.#replies.clear();
  }
}

/** Bytes, which the module copies. */
export function bytes(value) {
  return value;
}

/** Tells a function what came of its question: an error, or a value; never in the middle of something else. */
export function tell(done, error, value) {
  queueMicrotask(() => done(error, value));
}

/** Why a client has ended. */
export function cause(type, message, error) {
  return present({ type, message, error });
}

/** Where another client would go on; nothing where nothing is to be resumed. */
export function resumePoint(session, lastSequence) {
  const point = present({ session, lastSequence });
  return Object.keys(point).length > 0 ? point : undefined;
}

/** Adds a line to the log: how long ago it was, in milliseconds. */
export function log(lines, age, attempt, reason, error) {
  lines.push({ at: Date.now() - age, attempt, reason, error });
}

/** What was counted, and nothing in the place of what is not a number. */
export function counted(numbers) {
  return Array.from(numbers, (number) => (Number.isNaN(number) ? undefined : number));
}
