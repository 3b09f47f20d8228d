// A browser driven through the DevTools protocol alone: playwright keeps every page visible, and does without the cache
// for pages that one goes back to.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { ARGS, find } from './browser.mjs';

/** How long the browser may take for an answer. */
const PATIENCE = 10_000;

/** Starts a browser, with more arguments if need be; `close` ends it. */
export async function launchBare(more = []) {
  const profile = await mkdtemp(join(tmpdir(), 'everwire-browser-'));
  const args = [...ARGS, ...more, '--headless', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'];
  const browser = spawn(find(), args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const socket = new WebSocket(await address(browser.stderr));
  await once(socket, 'open');
  const waiting = new Map();
  let last = 0;
  socket.on('message', (data) => {
    const { id, result, error } = JSON.parse(data.toString());
    waiting.get(id)?.(error ? Promise.reject(new Error(error.message)) : result);
    waiting.delete(id);
  });
  const send = (method, params = {}, sessionId = undefined) => {
    last += 1;
    socket.send(JSON.stringify({ id: last, method, params, sessionId }));
    const answer = new Promise((resolve) => waiting.set(last, resolve));
    return within(answer, `no answer to ${method}`);
  };
  return {
    newPage: async (url) => {
      const { targetId } = await send('Target.createTarget', { url });
      const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
      return new Page(send, targetId, sessionId);
    },
    close: async () => {
      socket.close();
      const ended = once(browser, 'exit');
      browser.kill();
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

class Page {
  constructor(send, targetId, sessionId) {
    this.send = (method, params) => send(method, params, sessionId);
    this.show = () => send('Target.activateTarget', { targetId });
  }

  /** Runs a function in the page, with a value; gives what it gives. */
  async run(run, value) {
    const expression = `(${run})(${JSON.stringify(value)})`;
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Waits until a function in the page gives something true. */
  async until(run, value, patience = PATIENCE) {
    const end = Date.now() + patience;
    while (!(await this.run(run, value).catch(() => false))) {
      if (Date.now() > end) throw new Error(`it never came about: ${run}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function address(stderr) {
  for await (const line of createInterface(stderr)) {
    const found = /^DevTools listening on (\S+)/.exec(line);
    if (found) return found[1];
  }
  throw new Error('the browser tells no address');
}

function within(promise, message) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(message)), PATIENCE)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
