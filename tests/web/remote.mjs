// Starts a browser and drives it over its WebSocket: what DevTools (Chromium) and WebDriver BiDi (Firefox) have in common.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

/** How long the browser may take for an answer. */
const PATIENCE = 20_000;

/** The first of these programs that is there, if any is. */
export function findProgram(names) {
  for (const name of names.filter(Boolean)) {
    try {
      return execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim();
    } catch {
      // the next one
    }
  }
  return undefined;
}

/** Starts one with a profile of its own; `prepare` gets the profile's folder, and gives the arguments. `told` is how it tells its address. */
export async function startBrowser(program, prepare, told, path = '') {
  const profile = await mkdtemp(join(tmpdir(), 'everwire-browser-'));
  const browser = spawn(program, await prepare(profile), { stdio: ['ignore', 'ignore', 'pipe'] });
  const socket = new WebSocket(`${await address(browser.stderr, told)}${path}`);
  await once(socket, 'open');
  const waiting = new Map();
  let last = 0;
  socket.on('message', (data) => {
    const { id, result, error, message } = JSON.parse(data.toString());
    waiting.get(id)?.(error ? Promise.reject(new Error(error.message ?? `${error}: ${message}`)) : result);
    waiting.delete(id);
  });
  return {
    /** Gives an order; gives its answer. */
    send: (order) => {
      last += 1;
      socket.send(JSON.stringify({ id: last, ...order }));
      const answer = new Promise((resolve) => waiting.set(last, resolve));
      return within(answer, `no answer to ${order.method}`);
    },
    /** Ends it, by an order or by force. */
    stop: async (end = () => browser.kill()) => {
      const ended = once(browser, 'exit');
      await Promise.resolve(end()).catch(() => browser.kill());
      await within(ended, 'it does not end').catch(() => browser.kill('SIGKILL'));
      socket.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A page, in which `evaluate` runs an expression that gives JSON. */
export class RemotePage {
  #evaluate;

  constructor(evaluate) {
    this.#evaluate = evaluate;
  }

  /** Runs a function in the page, with a value; gives what it gives. */
  async run(run, value) {
    const json = await this.#evaluate(`(async () => JSON.stringify(await (${run})(${JSON.stringify(value)})))()`);
    return json === undefined ? undefined : JSON.parse(json);
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

async function address(stderr, told) {
  for await (const line of createInterface(stderr)) {
    const found = told.exec(line);
    if (found) return found[1];
  }
  throw new Error('the browser tells no address');
}

function within(promise, message) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(message)), PATIENCE)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
