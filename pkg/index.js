// everwire for the browser: a thin face over the WebAssembly module. Importing it does nothing; the first client loads the module.
import init, { Client as Core, Edge, EverwireError, timers, urlParts } from './dist/everwire.js';

export { Client, EverwireError };

/** Connects and waits for the server's hello. */
export async function connect(options) {
  return connected(await createClient(options), options);
}

async function connected(client, { signal }) {
  try {
    await client.connect();
  } catch (error) {
    // Whoever gave it up knows why.
    signal?.throwIfAborted();
    throw error;
  }
  return client;
}

/** Makes a client that does not connect yet, so that listeners can be there first. */
export async function createClient(options) {
  const [core, places] = await createCore(options);
  return begun(new Client(core, places), options);
}

/** The module's half of a client, and the places of the user's functions in it. */
async function createCore(options) {
  await load();
  const { signal, text, socket, codec, functions } = written(options);
  signal?.throwIfAborted();
  const places = Object.entries(functions).map(([name, listener]) => [name, { listener }]);
  const calls = places.map(([name, place]) => [name, (...given) => place.listener(...given)]);
  const edge = new Edge({ WebSocket: socket, codec, ...Object.fromEntries(calls) });
  const core = new Core(text, edge);
  edge.wake = weakly(core, wake);
  const { listeners, channelField } = edge;
  Object.assign(core, { codec, listeners, channelField, outbox: options.outbox });
  return [core, places.map(([, place]) => place)];
}

function begun(client, { signal, timer }) {
  timer?.(client, timers);
  signal?.addEventListener('abort', weakly(client, close), { once: true });
  return client;
}

/** For `everwire/tabs`. */
export const internals = { createCore, begun, connected, urlParts };

let from;
function load() {
  return init(() => (from = new URL('./dist/everwire_bg.wasm', import.meta.url))).catch((cause) => {
    const where = from instanceof URL ? ` from ${from}: put everwire_bg.wasm there, or` : ':';
    const message = `the WebAssembly module could not be loaded${where} import everwire/inline (${cause.message})`;
    throw new EverwireError('load', message, true, { cause });
  });
}

/** How the parts of a listener's life are known to each other. */
const CLIENT = Symbol('client');
const SIGNAL = Symbol('signal');
const SILENT = Symbol('silent');

/**
 * What has its methods as its own, bound. A proxy, such as Vue's, calls what it finds with itself as `this`, and has no private
 * members; some copy an object's own properties.
 */
class Bound {
  constructor() {
    for (let from = this; (from = Object.getPrototypeOf(from)) !== Bound.prototype; ) {
      for (const key of Reflect.ownKeys(from)) {
        if (key === 'constructor' || Object.hasOwn(this, key)) continue;
        const property = Object.getOwnPropertyDescriptor(from, key);
        property.get &&= property.get.bind(this);
        property.value &&= property.value.bind(this);
        Object.defineProperty(this, key, property);
      }
    }
  }
}

const ENDED = ['closed', 'failed'];

/** What listens by its own `on`. */
class Source extends Bound {
  once(type, listener, options) {
    if (typeof (listener ?? {}) === 'object') {
      const next = this.#next(type, listener ?? {});
      next.catch(() => {}); // nobody need wait for it
      return next;
    }
    const off = this.on(type, Object.assign(function once(event, type) {
      off();
      return listener(event, type);
    }, { listener: callable(listener) }), options);
    return off;
  }

  async #next(type, options) {
    const stream = this.events(type, { ...options, capacity: 1 });
    const { value, done } = await stream.next();
    stream.return();
    if (!done) return value.event;
    options.signal?.throwIfAborted();
    const client = this[CLIENT];
    const { error, message = 'the channel is closed' } = ENDED.includes(client.state) ? await client.closed : {};
    throw error ?? new EverwireError('closed', message, true, {});
  }

  onAny(listener, options) {
    return this.on('**', listener, options);
  }

  events(type = '**', options) {
    return new Events(this, type, options);
  }

  [Symbol.asyncIterator]() {
    return this.events();
  }
}

class Client extends Source {
  #core;
  /**
   * The user's functions, by the places in which the module finds them. What the module holds is never collected, and these may
   * refer to the client: so they are in their places only from a connect, or a close, to the end.
   */
  #functions = new Map();
  #resting = true;
  /** Whether it is being closed: nobody hears of an event any more. */
  #silent = true;
  #wakes = 0;
  /** The last Blob that is read, with the messages behind it, and how many all these are. */
  #reading;
  #waiting = 0;
  #waitingBytes = 0;
  // everything
  #channels;
  // end

  constructor(core, places) {
    super();
    this.#core = core;
    for (const place of places) this.#keep(place, {});
    // everything
    this.#channels = new Channels(this, core);
    // end
  }

  get [CLIENT]() {
    return this;
  }

  get [SILENT]() {
    return this.#silent;
  }

  async connect() {
    this.#core.connect();
    this.#wake();
    return this.ready();
  }

  on(type, listener, { signal } = {}) {
    if (signal?.aborted) return () => false;
    return this.#listen(listener, (place) => this.#core.listeners.on(type, place), type, signal);
  }

  off(type, listener) {
    const found = [...this.#functions.values()].find((other) => other.type === type && other.off && calls(other, listener));
    return found?.off() ?? false;
  }

  onLifecycle(listener) {
    return this.#listen(listener, (place) => this.#core.listeners.onLifecycle(place), ANY_STEP);
  }

  #listen(listener, add, type, signal) {
    const place = { listener: callable(listener) };
    add(place);
    const off = ending([signal], () => {
      // It may be in a list that is being called.
      place.listener = undefined;
      return this.#functions.delete(place) && this.#core.listeners.remove(place);
    });
    this.#keep(place, { type, off });
    return off;
  }

  #keep(place, more) {
    this.#functions.set(place, { listener: place.listener, ...more });
    this.#put(place);
  }

  /** Puts a function into its place, or takes it out. */
  #put(place) {
    const { listener, type } = this.#functions.get(place);
    place.listener = this.#resting || (this.#silent && typeof type === 'string') ? undefined : listener;
  }

  /** Until the end that follows. */
  #wake() {
    this.#rest(false);
    const wakes = (this.#wakes += 1);
    this.#core.closed(() => wakes === this.#wakes && this.#rest(true));
  }

  #rest(resting, silent = resting) {
    [this.#resting, this.#silent] = [resting, silent];
    for (const place of this.#functions.keys()) this.#put(place);
  }

  send(message, { signal, ...options } = {}) {
    return attempted(() => {
      const data = encode(message, this.#core.codec);
      return this.#inTurn(data, (data) => this.#withdrawable(signal, (done) => this.#core.send(data, optional(options), done)));
    });
  }

  request(message, { timeout = 10_000, signal } = {}) {
    return attempted(() => {
      if (!(timeout > 0)) throw new EverwireError('invalid-input', 'timeout: must be more than 0', false, { path: 'timeout' });
      const text = json(message, 'invalid-input', 'the request ', {});
      return this.#inTurn(text, () => this.#withdrawable(signal, (done) => this.#core.request(text, timeout, done)));
    });
  }

  /** Sends at once, or where a Blob is read before, or is to be, after that: nothing overtakes. */
  #inTurn(data, send) {
    const isBlob = typeof data === 'function';
    if (!isBlob && this.#reading === undefined) return send(data);
    const { messages = 1000, bytes = 1 << 20 } = this.#core.outbox ?? {};
    const { size = data.length } = data;
    const many = this.#waiting === 0 ? '' : this.#waiting >= messages ? 'messages' : this.#waitingBytes + size > bytes ? 'bytes' : '';
    if (many) throw new EverwireError('overflow', `too many ${many} wait to be sent`, true, {});
    this.#waiting += 1;
    this.#waitingBytes += size;
    // What the buffer holds now is sent.
    const kept = isBlob || typeof data === 'string' ? data : data.slice();
    const turn = Promise.resolve(this.#reading).then(() => (isBlob ? kept() : kept));
    const sending = turn.then(send);
    const over = () => {
      this.#waiting -= 1;
      this.#waitingBytes -= size;
      if (this.#reading === read) this.#reading = undefined;
    };
    const read = (this.#reading = turn.then(over, over));
    return unheard(sending);
  }

  #withdrawable(signal, ask) {
    signal?.throwIfAborted();
    return unheard(new Promise((resolve, reject) => {
      const id = ask((error, value) => {
        signal?.removeEventListener('abort', abort);
        if (error === undefined) resolve(value);
        else reject(error);
      });
      const abort = () => {
        this.#core.withdraw(id);
        reject(signal.reason);
      };
      signal?.addEventListener('abort', abort, { once: true });
    }));
  }

  // everything
  channel(name) {
    return this.#channels.open(name);
  }

  get resumePoint() {
    return this.#core.resumePoint;
  }

  // end
  async close(code, reason) {
    this.#wake();
    const closed = promise((done) => this.#core.close(code, reason, done));
    if (this.state === 'disconnecting') this.#rest(false, true);
    return closed;
  }

  ready() {
    return promise((done) => this.#core.ready(done));
  }

  stats() {
    const values = this.#core.stats();
    const stats = Object.fromEntries(STATS.map((name, place) => [name, values[place]]).filter(([, value]) => value !== undefined));
    // everything
    this.#channels.count(stats);
    // end
    return stats;
  }

  reconnectLog() {
    return this.#core.reconnectLog();
  }

  get closed() {
    return promise((done) => this.#core.closed(done));
  }

  get state() {
    return this.#core.state;
  }

  get connectionId() {
    return this.#core.connectionId;
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    await this.close();
  }
}

/** Stands for a type where there is none. */
const ANY_STEP = Symbol('step');

/** The names of what is counted, in the module's order. */
const STATS = [
  'messagesIn', 'bytesIn', 'messagesOut', 'bytesOut', 'events', 'malformed', 'binary', 'staleDropped', 'dials', 'connects', 'reconnects',
  'healthChecks', 'tokenFetches', 'errors', 'listenerFailures', 'overflows', 'requests', 'replies', 'outboxMessages', 'outboxBytes',
  'outboxOverflows', 'outboxExpired', 'duplicates', 'gaps', 'resumes', 'uptime', 'connectionAge', 'sinceLastMessage', 'sinceLastReconnect',
  'dialTime', 'helloTime', 'latency', 'latencyMean', 'latencyP50', 'latencyP95',
];

/** Events for `for await`, as they come: so many wait, and the oldest give way. They end with the client. */
class Events extends Bound {
  #queue = [];
  #waiting = [];
  #ended = false;
  #end;
  dropped = 0;

  constructor(source, type, { capacity = 1024, signal } = {}) {
    super();
    if (!(capacity >= 1)) throw new EverwireError('invalid-input', 'capacity: must be 1 or more', false, { path: 'capacity' });
    const signals = [signal, source[SIGNAL]];
    const client = source[CLIENT];
    const off = source.on(type, (event, type) => this.#take({ type, event }, capacity));
    const offLife = client.onLifecycle((step) => step.type === 'closed' && this.#end());
    this.#end = ending(signals, () => {
      off();
      offLife();
      this.#ended = true;
      for (const waiting of this.#waiting.splice(0)) waiting({ value: undefined, done: true });
    });
    if (signals.some((signal) => signal?.aborted) || ENDED.includes(client.state)) this.#end();
  }

  #take(value, capacity) {
    const waiting = this.#waiting.shift();
    if (waiting) {
      waiting({ value, done: false });
    } else if (this.#queue.push(value) > capacity) {
      this.#queue.shift();
      this.dropped += 1;
    }
  }

  async next() {
    if (this.#queue.length > 0) return { value: this.#queue.shift(), done: false };
    if (this.#ended) return { value: undefined, done: true };
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async return() {
    this.#queue = [];
    this.#end();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

// everything
/** The channels of a client: each event says to which it belongs, and each channel has listeners of its own. */
class Channels {
  #client;
  #core;
  #path;
  /** How many handles a channel has. */
  #handles = new Map();
  /** By pattern: who listens, by channel, and the one listener of the client that serves them. */
  #routes = new Map();
  #offCount;
  #routed = 0;
  #unroutable = 0;

  constructor(client, core) {
    this.#client = client;
    this.#core = core;
    this.#path = core.channelField?.split('.');
  }

  open(name) {
    if (this.#path === undefined) throw new EverwireError('unsupported', 'channels: the dialect knows no channels', false, { path: 'channels' });
    if (typeof name !== 'string') throw new EverwireError('invalid-input', 'a channel is named by a string', false, {});
    const handles = this.#handles.get(name) ?? 0;
    if (handles === 0) this.#core.subscribe(name);
    this.#handles.set(name, handles + 1);
    this.#offCount ??= this.#client.onAny((event) => this.#note(event));
    return new Channel(name, this.#client, this);
  }

  leave(name) {
    const others = this.#handles.get(name) - 1;
    if (others > 0) return this.#handles.set(name, others);
    this.#handles.delete(name);
    this.#core.unsubscribe(name);
    // Without channels an event that nobody listens to is not parsed to be counted.
    if (this.#handles.size === 0) this.#offCount = void this.#offCount();
  }

  /** The channel of an event. */
  #of(event) {
    return this.#path.reduce((value, name) => value?.[name], event);
  }

  #note(event) {
    const name = this.#of(event);
    if (this.#handles.has(name)) this.#routed += 1;
    else if (typeof name === 'string') this.#unroutable += 1;
  }

  count(stats) {
    stats.routed = this.#routed;
    stats.unroutable = this.#unroutable;
  }

  /** Adds a listener; gives what takes it off. */
  add(name, pattern, listener, signals) {
    callable(listener);
    const route = this.#routes.get(pattern) ?? this.#route(pattern);
    const entry = { listener, off: ending(signals, () => this.#take(name, pattern, entry)) };
    // A list that is being called stays as it is.
    route.channels.set(name, [...(route.channels.get(name) ?? []), entry]);
    return entry.off;
  }

  remove(name, pattern, listener) {
    const found = this.#routes.get(pattern)?.channels.get(name)?.find((entry) => calls(entry, listener));
    return found?.off() ?? false;
  }

  #take(name, pattern, entry) {
    const route = this.#routes.get(pattern);
    const entries = route?.channels.get(name) ?? [];
    if (!entries.includes(entry)) return false;
    entry.listener = undefined;
    route.channels.set(name, entries.filter((other) => other !== entry));
    if (entries.length === 1) route.channels.delete(name);
    if (route.channels.size === 0) {
      this.#routes.delete(pattern);
      route.off();
    }
    return true;
  }

  #route(pattern) {
    const channels = new Map();
    const off = this.#client.on(pattern, (event, type) => {
      const failed = [];
      const promises = [];
      for (const { listener } of channels.get(this.#of(event)) ?? []) {
        if (this.#client[SILENT]) break;
        try {
          promises.push(listener?.(event, type));
        } catch (error) {
          failed.push(error);
        }
      }
      // All were called; the client tells what they threw.
      if (failed.length > 0) throw failed.length > 1 ? new AggregateError(failed) : failed[0];
      return promises.some((promise) => promise?.then) ? Promise.all(promises) : undefined;
    });
    const route = { channels, off };
    this.#routes.set(pattern, route);
    return route;
  }
}

/** A handle on a channel. */
class Channel extends Source {
  #name;
  #client;
  #channels;
  #leaving = new AbortController();

  constructor(name, client, channels) {
    super();
    this.#name = name;
    this.#client = client;
    this.#channels = channels;
  }

  get name() {
    return this.#name;
  }

  get [CLIENT]() {
    return this.#client;
  }

  get [SIGNAL]() {
    return this.#leaving.signal;
  }

  on(type, listener, { signal } = {}) {
    if (signal?.aborted || this.#leaving.signal.aborted) return () => false;
    return this.#channels.add(this.#name, type, listener, [signal, this.#leaving.signal]);
  }

  off(type, listener) {
    return this.#channels.remove(this.#name, type, listener);
  }

  close() {
    if (this.#leaving.signal.aborted) return;
    this.#leaving.abort();
    this.#channels.leave(this.#name);
  }

  [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
    this.close();
  }
}

// end
/** The function that ends something, which any of the signals does too. They may outlive it, and do not keep it: somebody else does. */
function ending(signals, end) {
  const over = () => {
    for (const signal of signals) signal?.removeEventListener('abort', abort);
    return end();
  };
  const abort = weakly(over, call);
  for (const signal of signals) signal?.addEventListener('abort', abort);
  return over;
}

/** Does something with a thing, if it is there still. */
function weakly(thing, act) {
  const known = new WeakRef(thing);
  return () => {
    const there = known.deref();
    if (there) act(there);
  };
}

// A function that is made where the thing is known would keep it.
const call = (run) => run();
const close = (client) => client.close();
const wake = (core) => core.wake();

/** Whether an entry calls this function, be it by way of `once`. */
function calls({ listener: own }, listener) {
  return own === listener || own?.listener === listener;
}

function callable(listener) {
  if (typeof listener === 'function') return listener;
  throw new EverwireError('invalid-input', 'a listener must be a function', false, {});
}

/** A promise that may fail without ending a program in Node where nobody awaits it: what ends a client is told by its life cycle. */
function unheard(promise) {
  promise.catch(() => {});
  return promise;
}

/** What a function gives; where it throws, a promise that is rejected. */
function attempted(run) {
  try {
    return run();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** A promise of what a function tells later: an error, or a value. */
function promise(ask) {
  return new Promise((resolve, reject) => ask((error, value) => (error === undefined ? resolve(value) : reject(error))));
}

/** Bytes go as they are, a Blob once it is read, everything else by the codec; without one text as it is, and the rest as JSON. */
function encode(message, codec) {
  if (typeof message === 'string' && !codec) return message;
  const kind = kindOf(message);
  if (kind === 'Blob' || kind === 'File') return Object.assign(() => bytesOfBlob(message), { size: message.size });
  const bytes = bytesOf(message);
  if (bytes) return bytes;
  if (!codec) return json(message, 'invalid-input', 'the message ', {});
  const data = codec.encode(message);
  // The blank tells it from what the module says, which the codec is yet to encode.
  return typeof data === 'string' ? ` ${data}` : data;
}

/** What a value is, of whatever realm: `ArrayBuffer`, `Map`, and so on. */
const kindOf = (value) => Object.prototype.toString.call(value).slice(8, -1);

/** The bytes of a buffer or a view, which are copied where other threads may write to them. */
function bytesOf(message) {
  const isView = ArrayBuffer.isView(message);
  const buffer = isView ? message.buffer : message;
  const kind = kindOf(buffer);
  const isShared = kind === 'SharedArrayBuffer';
  if (!isShared && kind !== 'ArrayBuffer') return undefined;
  try {
    // Of a view that is longer than its buffer the length is 0, and the keys an error.
    message.keys?.();
    const bytes = isView ? new Uint8Array(buffer, message.byteOffset, message.byteLength) : new Uint8Array(buffer);
    return isShared ? bytes.slice() : bytes;
  } catch (cause) {
    throw new EverwireError('invalid-input', 'the message is a buffer that was transferred or made too small', false, { cause });
  }
}

async function bytesOfBlob(blob) {
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch (cause) {
    throw new EverwireError('invalid-input', 'the Blob could not be read', false, { cause });
  }
}

/** A codec of the user's that makes text or bytes, or fails with an error of ours. */
function checked(codec) {
  if (typeof codec?.decode !== 'function' || typeof codec.encode !== 'function') {
    throw new EverwireError('config', 'codec: must have `decode` and `encode`', false, { path: 'codec' });
  }
  const encode = (message) => {
    const details = {};
    try {
      const data = codec.encode(message);
      const encoded = typeof data === 'string' ? data : bytesOf(data);
      if (encoded !== undefined) return encoded;
    } catch (cause) {
      details.cause = cause;
    }
    throw new EverwireError('invalid-input', 'the codec could not encode a message', false, details);
  };
  return { encode, decode: (data) => codec.decode(data) };
}

/** The functions among the options. */
const FUNCTIONS = [
  'token',
  // everything
  'sequence',
  'onResume',
  // end
];

/** The signal among the options, the others as JSON for the module, another WebSocket, the codec, and the functions, which JSON does not know. */
function written(options) {
  if (typeof options !== 'object' || options === null) throw new EverwireError('config', 'options: must be an object', false, { path: 'options' });
  const { signal, timer, WebSocket: socket, codec, ...others } = options;
  // One of another realm is no instance of this one's class.
  if (signal !== undefined && typeof signal?.aborted !== 'boolean') {
    throw new EverwireError('config', 'signal: must be an AbortSignal', false, { path: 'signal' });
  }
  if (timer !== undefined && typeof timer !== 'function') {
    throw new EverwireError('config', 'timer: must be workerTimer of everwire/worker-timer', false, { path: 'timer' });
  }
  if (socket !== undefined && typeof socket !== 'function') {
    throw new EverwireError('config', 'WebSocket: must be a constructor', false, { path: 'WebSocket' });
  }
  const functions = Object.fromEntries(FUNCTIONS.flatMap((name) => (typeof others[name] === 'function' ? [[name, others[name]]] : [])));
  const given = Object.entries(others).filter(([name, value]) => value !== undefined && !Object.hasOwn(functions, name));
  const members = given.map(([path, value]) => `${JSON.stringify(path)}:${json(value, 'config', `${path}: `, { path })}`);
  // everything
  const { onResume } = functions;
  if (onResume) functions.onResume = (point) => asked(onResume(point));
  // end
  return { signal, text: `{${members}}`, socket, codec: codec === undefined ? codec : checked(codec), functions };
}
// everything

/** What asks for the events that were missed, as text. */
function asked(message) {
  if (message === undefined || message === null) return undefined;
  const text = encode(message);
  if (typeof text === 'string') return text;
  throw new EverwireError('invalid-input', 'onResume: must give text, or what can be written as JSON', false, {});
}
// end

/** Options as JSON, if there are any. */
function optional(options) {
  return Object.keys(options).length > 0 ? json(options, 'invalid-input', 'options: ', { path: 'options' }) : undefined;
}

function json(value, code, what, details) {
  let why;
  try {
    const text = JSON.stringify(value);
    if (text?.includes('{}') || value?.then) JSON.stringify(value, meaning);
    // What is no number would be written as `null`.
    if (text !== undefined && (text !== 'null' || value === null)) return text;
    why = /object|function/.test(typeof value) ? `a ${kindOf(value)}` : String(value);
  } catch (cause) {
    [why] = `${cause?.message ?? cause}`.split('\n', 1);
    if (!(cause instanceof NoMeaning)) details.cause = cause;
  }
  throw new EverwireError(code, `${what}cannot be written as JSON: ${why}`, false, details);
}

class NoMeaning extends Error {}

/** What to send in place of what JSON writes as `{}`. */
const INSTEAD = {
  Promise: 'await it',
  Map: 'use Object.fromEntries',
  Set: 'use an array',
  FormData: 'use Object.fromEntries',
  URLSearchParams: 'use String',
  ArrayBuffer: 'send bytes by themselves',
  Blob: 'send it by itself',
  File: 'send it by itself',
};

/** Refuses what JSON writes as `{}` though it is no plain object, and a promise of whatever making. */
function meaning(key, value) {
  const isObject = typeof value === 'object' && value !== null;
  const prototype = isObject && Object.getPrototypeOf(value);
  const isPlain = !prototype || Object.getPrototypeOf(prototype) === null || Array.isArray(value) || value.length === 0;
  const isPromise = isObject && typeof value.then === 'function';
  if (isPromise || (!isPlain && JSON.stringify(value) === '{}')) {
    const kind = kindOf(value);
    const name = kind === 'Object' ? prototype.constructor?.name : kind;
    const instead = INSTEAD[isPromise ? 'Promise' : kind] ?? 'use a plain object';
    throw new NoMeaning(`it would lose a ${name}${key && ` in "${key}"`} (${instead})`);
  }
  return value;
}
