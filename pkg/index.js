// everwire for the browser: a thin face over the WebAssembly module. Importing it does nothing; the first client loads the module.
import init, { Client as Core, EverwireError } from './dist/everwire.js';

export { EverwireError };

/** Connects and waits for the server's hello. */
export async function connect(options) {
  const client = await createClient(options);
  await client.connect();
  return client;
}

/** Makes a client that does not connect yet, so that listeners can be there first. */
export async function createClient(options) {
  await load();
  const [text, fetch] = written(options);
  return new Client(new Core(text, fetch));
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

  on(type, listener) {
    const id = this.#core.on(type, listener);
    return () => this.#core.remove(id);
  }

  once(type, listener) {
    const off = this.on(type, Object.assign(function once(event, type) {
      off();
      return listener(event, type);
    }, { listener }));
    return off;
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

/** The options as JSON, for the module, and the function that fetches tokens, which JSON does not know. */
function written(options) {
  if (typeof options !== 'object' || options === null) throw new EverwireError('config', 'options: must be an object', false, { path: 'options' });
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const fetch = typeof options.token === 'function' ? options.token : undefined;
  const members = given.filter(([, value]) => value !== fetch).map(([path, value]) => `${JSON.stringify(path)}:${json(value, 'config', `${path}: `, { path })}`);
  return [`{${members}}`, fetch];
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
