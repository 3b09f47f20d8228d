// The JavaScript side of the edge: what a message is to the module is seen on the JavaScript string itself, and listeners are
// called here. So an event never enters the memory of the wasm module, and one that nobody listens to is never parsed.
import { findClock, now } from '../platform/web/glue.js';
import { keep as keepValue, option, present } from './error.js';
import { Listeners, call, report } from './listeners.js';
import { documentOf, failuresOf, keep, open, raw, release, typeAt, typeOf } from './messages.js';

export { member, readable, release } from './messages.js';

/** The type of a document that has none. */
const UNKNOWN = 'unknown';
/** What a message is to the session, if it is none of the control messages, which have their numbers from zero. */
const EVENT = -1;
const UNTYPED = -2;
const MALFORMED = -3;
const BINARY = -4;
const UNDECODED = -5;

const NOTHING = [];

/** Whether nobody but one listener wants a message, who takes it as it came: then it need not be parsed. */
const alone = (places) => places.length === 1 && places[0].raw;

/** What `deliver` answers: the text is no JSON, or how much is to be taken that listeners threw. */
const NOT_JSON = -1;

/** The number of what the codec threw when it was given a message. */
export function undecoded(place) {
  return keepValue(failuresOf(place)[0]);
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
  #control = new Map();
  /** Until when the events of which socket may pass the session by, and how many have, their bytes, and when the last one came. */
  #until = 0;
  #passing;
  /** What listeners threw, until it is taken. */
  #thrown = [];
  #late = (error) => {
    this.#thrown.push(error);
    this.wake?.();
  };
  #passed = [0, 0, 0];

  /** `given` are the functions among the options: `token`, `sequence`, `onResume`, `codec`, and `WebSocket` for another than the page's own. */
  constructor(given) {
    findClock();
    this.#given = given;
    this.WebSocket = given.WebSocket;
  }

  has(name) {
    return this.#given[name] !== undefined;
  }

  /** Calls the token function; tells its token, or what it threw: 1 if it failed, 2 if the user is signed out. */
  async ask(done) {
    let failed = 0;
    let value;
    try {
      value = await this.#given.token();
    } catch (error) {
      failed = error?.code === 'signed-out' ? 2 : 1;
      value = error;
    }
    try {
      done(failed, value);
    } catch {
      // Nobody waits any more.
    }
  }

  /** The number that the user's function gives for a message; that of an event without one is not followed. */
  numbered(place) {
    try {
      return this.#given.sequence(open(place));
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

  /** Says what the next control type is: the session sees all messages of these. */
  controls(type) {
    this.#control.set(type, this.#control.size);
  }

  #class(type) {
    return this.#control.get(type) ?? EVENT;
  }

  /** Gives every message of at most this size that is not let pass: its place, what it is, and its size. */
  attach(socket, maxSize, receive) {
    const { codec } = this.#given;
    if (codec) encodes(codec, socket);
    const prefix = this.#prefix;
    const start = prefix.length;
    const take = codec ? (data) => this.#decode(codec, data, maxSize, receive) : (data) => {
      if (typeof data !== 'string') return receive(keep(data, undefined, data), BINARY, data.byteLength);
      // Where the type comes first, no more of the text is looked at than its end.
      const end = data.startsWith(prefix) && data.endsWith('}') ? data.indexOf('"', start) : -1;
      const type = end < 0 ? undefined : typeAt(data, start, end);
      if (type === undefined) return this.#parse(data, receive);
      const kind = this.#class(type);
      const mayPass = kind === EVENT && this.#passing === socket && data.length <= maxSize;
      if (!mayPass || !this.#pass(data, type, receive)) receive(keep(data, type), kind, data.length);
    };
    const waiting = [];
    let busy = false;
    socket.onmessage = ({ data }) => {
      // A socket that somebody made may call this in the middle of a listener: each message waits for the one before it.
      if (busy) return void waiting.push(data);
      busy = true;
      try {
        take(data);
        while (waiting.length > 0 && socket.onmessage) take(waiting.shift());
      } finally {
        busy = false;
      }
    };
  }

  #parse(data, receive) {
    // A byte order mark may stand before JSON, which JSON.parse does not know.
    const text = data.replace(/^\ufeff/, '');
    let document;
    try {
      document = JSON.parse(text);
    } catch {
      return receive(keep(data, undefined, data), this.#anyText ? UNTYPED : MALFORMED, data.length);
    }
    this.#sort(text, document, text.length, receive);
  }

  /** Decodes a message of any kind by the codec. One over the limit is not decoded: the session refuses it by its size. */
  #decode(codec, data, maxSize, receive) {
    const size = data.length ?? data.byteLength;
    let document;
    try {
      if (size <= maxSize) document = codec.decode(data);
    } catch (error) {
      return receive(keep(data, undefined, data, [error]), UNDECODED, size);
    }
    this.#sort(undefined, document ?? data, size, receive);
  }

  #sort(message, document, size, receive) {
    const own = typeof document === 'object' && document !== null && Object.hasOwn(document, this.#field);
    const type = own && typeof document[this.#field] === 'string' ? document[this.#field] : undefined;
    receive(keep(message, type, document), type === undefined ? UNTYPED : this.#class(type), size);
  }

  /** Lets the ordinary events of a socket pass the session by, until this moment of the clock. */
  letPass(socket, until) {
    this.#passing = socket;
    this.#until = until;
  }

  /** Lets none pass any more; the session is told of those that have. */
  hold() {
    this.#passing = undefined;
    this.#passed.fill(0);
  }

  /** What has passed and is not told yet: how many messages, their bytes, and when the last one came. */
  passed(which) {
    return this.#passed[which];
  }

  /** Gives an event to its listeners that the session does not see; false where it must, for something is due or wrong. */
  #pass(text, type, receive) {
    const time = now();
    if (time >= this.#until) return false;
    const failures = this.#give(type, text);
    if (failures === undefined) return false;
    if (failures.length > 0) {
      receive(keep(text, type, undefined, failures), EVENT, text.length);
      return true;
    }
    const passed = this.#passed;
    passed[0] += 1;
    passed[1] += text.length;
    passed[2] = time;
    return true;
  }

  /** Gives a message to the listeners of its type, unless they have it already, and lets go of it. */
  deliver(place) {
    const failures = failuresOf(place) ?? this.#give(typeOf(place) ?? UNKNOWN, raw(place), documentOf(place));
    release(place);
    if (failures === undefined) return NOT_JSON;
    return this.#thrown.push(...failures);
  }

  /** The number of the next thing that a listener threw; 0 if there is none. */
  takeThrown() {
    return this.#thrown.length && keepValue(this.#thrown.shift());
  }

  /** Calls the listeners of a message, which is parsed if it was not yet and they want it so. What they threw; nothing if it is no JSON. */
  #give(type, message, document) {
    const places = this.listeners.of(type);
    if (places.length === 0) return NOTHING;
    let event;
    try {
      event = alone(places) ? message ?? document : document ?? JSON.parse(message);
    } catch {
      return undefined;
    }
    return call(places, event, type, this.#late);
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
  reply(id, error, place) {
    const done = this.#replies.get(id);
    this.#replies.delete(id);
    if (error !== undefined) return done(error);
    const value = open(place);
    release(place);
    done(undefined, value);
  }

  /** There will be no more replies. */
  end(error) {
    for (const done of this.#replies.values()) done(error);
    this.#replies.clear();
  }
}

/** Has a socket write by a codec what the module says, which is JSON. What the user's message was encoded to has a blank before it. */
function encodes(codec, socket) {
  const { send } = socket;
  const encoded = (data) => {
    if (typeof data !== 'string') return data;
    if (data[0] === ' ') return data.slice(1);
    try {
      return codec.encode(JSON.parse(data));
    } catch (error) {
      report(error);
      throw error;
    }
  };
  socket.send = (data) => send.call(socket, encoded(data));
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
