// everwire for the browser: a thin face over the WebAssembly module. Importing it does nothing; the first client loads the module.
import init, { Client as Core, EverwireError } from './dist/everwire.js';

export { EverwireError };

/** Connects and waits for the server's hello. */
export async function connect(options) {
  const client = await createClient(options);
  try {
    await client.connect();
  } catch (error) {
    // Whoever gave it up knows why.
    options.signal?.throwIfAborted();
    throw error;
  }
  return client;
}

/** Makes a client that does not connect yet, so that listeners can be there first. */
export async function createClient(options) {
  await load();
  const [text, fetch, signal] = written(options);
  signal?.throwIfAborted();
  const client = new Client(new Core(text, fetch));
  signal?.addEventListener('abort', () => client.close(), { once: true });
  return client;
}

let loading;
function load() {
  loading ??= init({ module_or_path: new URL('./dist/everwire_bg.wasm', import.meta.url) }).catch((cause) => {
    loading = undefined;
    throw new EverwireError('load', 'the WebAssembly module could not be loaded', true, { cause });
  });
  return loading;
}

class Client {
  #core;

  constructor(core) {
    this.#core = core;
  }

  async connect() {
    this.#core.connect();
    return this.ready();
  }

  on(type, listener, { signal } = {}) {
    if (signal?.aborted) return () => false;
    const id = this.#core.on(type, listener);
    const off = () => this.#core.remove(id);
    signal?.addEventListener('abort', off, { once: true });
    return off;
  }

  once(type, listener, options) {
    const off = this.on(type, Object.assign(function once(event, type) {
      off();
      return listener(event, type);
    }, { listener }), options);
    return off;
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

  off(type, listener) {
    return this.#core.off(type, listener);
  }

  onLifecycle(listener) {
    const id = this.#core.onLifecycle(listener);
    return () => this.#core.remove(id);
  }

  async send(message) {
    return promise((done) => this.#core.send(encode(message), done));
  }

  async close(code, reason) {
    return promise((done) => this.#core.close(code, reason, done));
  }

  ready() {
    return promise((done) => this.#core.ready(done));
  }

  stats() {
    return this.#core.stats();
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

/** Events for `for await`, as they come: so many wait, and the oldest give way. They end with the client. */
class Events {
  #queue = [];
  #waiting = [];
  #ended = false;
  #off;
  dropped = 0;

  constructor(client, type, { capacity = 1024, signal } = {}) {
    if (!(capacity >= 1)) throw new EverwireError('invalid-input', 'capacity: must be 1 or more', false, { path: 'capacity' });
    const off = client.on(type, (event, type) => this.#take({ type, event }, capacity));
    const offLife = client.onLifecycle((step) => step.type === 'closed' && this.#end());
    this.#off = () => void (off(), offLife());
    if (signal?.aborted || client.state === 'closed' || client.state === 'failed') this.#end();
    signal?.addEventListener('abort', () => this.#end(), { once: true });
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

  #end() {
    this.#ended = true;
    this.#off();
    for (const waiting of this.#waiting.splice(0)) waiting({ value: undefined, done: true });
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

/** A promise of what a function tells later: an error, or a value. */
function promise(ask) {
  return new Promise((resolve, reject) => ask((error, value) => (error === undefined ? resolve(value) : reject(error))));
}

/** Text and bytes go as they are, everything else as JSON. */
function encode(message) {
  if (typeof message === 'string') return message;
  if (message instanceof ArrayBuffer) return new Uint8Array(message);
  if (ArrayBuffer.isView(message)) return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
  return json(message, 'invalid-input', 'the message ', {});
}

/** The options as JSON, for the module, and what JSON does not know: the function that fetches tokens, and the signal. */
function written(options) {
  if (typeof options !== 'object' || options === null) throw new EverwireError('config', 'options: must be an object', false, { path: 'options' });
  const { signal, ...others } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new EverwireError('config', 'signal: must be an AbortSignal', false, { path: 'signal' });
  }
  const fetch = typeof others.token === 'function' ? others.token : undefined;
  const given = Object.entries(others).filter(([, value]) => value !== undefined && value !== fetch);
  const members = given.map(([path, value]) => `${JSON.stringify(path)}:${json(value, 'config', `${path}: `, { path })}`);
  return [`{${members}}`, fetch, signal];
}

function json(value, code, what, details) {
  try {
    const text = JSON.stringify(value);
    // What is no number would be written as `null`.
    if (text !== undefined && (text !== 'null' || value === null)) return text;
  } catch (cause) {
    details.cause = cause;
  }
  throw new EverwireError(code, `${what}cannot be written as JSON`, false, details);
}
