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
  return new Client(new Core(options));
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
    return this.#core.ready();
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
    return this.#core.send(encode(message));
  }

  async close(code, reason) {
    return this.#core.close(code, reason);
  }

  ready() {
    return this.#core.ready();
  }

  stats() {
    return this.#core.stats();
  }

  get closed() {
    return this.#core.closed();
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

/** Text and bytes go as they are, everything else as JSON. */
function encode(message) {
  if (typeof message === 'string') return message;
  if (message instanceof ArrayBuffer) return new Uint8Array(message);
  if (ArrayBuffer.isView(message)) return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
  try {
    const text = JSON.stringify(message);
    if (text !== undefined) return text;
  } catch (cause) {
    throw new EverwireError('invalid-input', 'the message cannot be written as JSON', false, { cause });
  }
  throw new EverwireError('invalid-input', 'the message cannot be written as JSON', false, {});
}
