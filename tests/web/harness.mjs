// How browser tests are written: `test(name, {page, peer, …} => …)`, and code that runs in the page beside the package.
import assert from 'node:assert/strict';
import { findFirefox } from './firefox.mjs';

export { assert };

/** All tests, in the order in which they are to run. */
export const tests = [];

/** `complaints` are the errors that the page's console must show, and may. */
export function test(name, run, { complaints, context } = {}) {
  tests.push({ name, run, complaints, context });
}

const FIREFOX = findFirefox() !== undefined;
if (!FIREFOX) console.log('left out: the tests in Firefox, of which there is none (scripts/setup firefox)');

/** A test in Firefox, where there is one. */
export function inFirefox(name, run) {
  if (FIREFOX) test(`Firefox: ${name}`, run);
}

/** Runs a function in a page that has imported the package: it gets the package and a value, and gives back a value. */
export async function inPage({ page, peer }, run, value) {
  if (!page.url().endsWith('/blank.html')) {
    await page.goto(`${peer.http}/tests/web/blank.html`);
    await page.waitForFunction(() => globalThis.everwire !== undefined);
    await page.evaluate(HELPERS);
  }
  return page.evaluate(`(${run})(globalThis.everwire, ${JSON.stringify(value)})`);
}

/** What the functions in the page may use. */
const HELPERS = () => {
  /** An error as plain data. */
  globalThis.plain = (error) => ({
    isEverwire: error instanceof globalThis.everwire.EverwireError && error instanceof Error,
    name: error.name,
    code: error.code,
    retryable: error.retryable,
    message: error.message,
    path: error.path,
    serverCode: error.serverCode,
    closeCode: error.closeCode,
    cause: error.cause && (error.cause.message ?? String(error.cause)),
  });
  /** The error that a call throws or rejects with. */
  globalThis.failure = async (call) => {
    try {
      await call();
    } catch (error) {
      return globalThis.plain(error);
    }
    throw new Error('it did not fail');
  };
  /** The next event of a type. */
  globalThis.next = (client, type) => new Promise((resolve) => client.once(type, resolve));
  /** The next step of a life that fits. */
  globalThis.step = (client, fits) =>
    new Promise((resolve) => {
      const off = client.onLifecycle((step) => {
        if (!fits(step)) return;
        off();
        resolve(step);
      });
    });
  /** Has the peer send these frames, and waits until the last one has been dispatched. */
  globalThis.emit = async (client, ...frames) => {
    const done = globalThis.next(client, 'emitted');
    await client.send({ cmd: 'emit', frames: [...frames, '{"type":"emitted"}'] });
    await done;
  };
};

/** A dialect with requests and channels, over the peer's echo: a hello is whatever comes first. */
export const MINE = {
  name: 'mine',
  first_frame: { cmd: 'emit', frames: ['{"type":"hi","id":"c"}'] },
  hello: { types: ['hi'], connection_id: 'id' },
  requests: { id: 'id', error: 'error' },
  channels: { field: 'channel', subscribe: { subscribe: '${channel}' }, unsubscribe: { unsubscribe: '${channel}' } },
};

/** Options for the peer that speaks `stream`. */
export function options(peer, more = {}) {
  return { url: peer.ws, token: 'token', params: { api_key: 'key', user_id: 'alice' }, ...more };
}
