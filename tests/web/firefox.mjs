// Firefox, driven by WebDriver BiDi: what Debian has is not what playwright wants.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

/** How long the browser may take for an answer. */
const PATIENCE = 20_000;
/** Nothing but the pages of the tests is asked for. */
const SETTINGS = {
  'app.update.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'toolkit.telemetry.reportingpolicy.firstRun': false,
};

/** The Firefox named by FIREFOX, else the first one found, if there is any. */
export function findFirefox() {
  for (const name of [process.env.FIREFOX, 'firefox-esr', 'firefox'].filter(Boolean)) {
    try {
      return execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim();
    } catch {
      // the next one
    }
  }
  return undefined;
}

/** Starts it; `stop` ends it. */
export async function launchFirefox() {
  const profile = await mkdtemp(join(tmpdir(), 'everwire-firefox-'));
  const lines = Object.entries(SETTINGS).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
  await writeFile(join(profile, 'user.js'), lines.join('\n'));
  const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0', 'about:blank'];
  const browser = spawn(findFirefox(), args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const socket = new WebSocket(`${await address(browser.stderr)}/session`);
  await once(socket, 'open');
  const waiting = new Map();
  let last = 0;
  socket.on('message', (data) => {
    const { id, type, result, error, message } = JSON.parse(data.toString());
    waiting.get(id)?.(type === 'error' ? Promise.reject(new Error(`${error}: ${message}`)) : result);
    waiting.delete(id);
  });
  const send = (method, params = {}) => {
    last += 1;
    socket.send(JSON.stringify({ id: last, method, params }));
    const answer = new Promise((resolve) => waiting.set(last, resolve));
    return within(answer, `no answer to ${method}`);
  };
  await send('session.new', { capabilities: {} });
  return {
    newPage: async (url) => {
      const { context } = await send('browsingContext.create', { type: 'tab' });
      const page = new Page(send, context);
      await page.go(url);
      return page;
    },
    stop: async () => {
      const ended = once(browser, 'exit');
      // It ends with this, and may not answer any more.
      await send('browser.close').catch(() => browser.kill());
      await within(ended, 'it does not end').catch(() => browser.kill('SIGKILL'));
      socket.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

class Page {
  #send;
  #context;

  constructor(send, context) {
    this.#send = send;
    this.#context = context;
  }

  /** Asks the browser for something that concerns this page. */
  send(method, params) {
    return this.#send(method, { context: this.#context, ...params });
  }

  go(url) {
    return this.send('browsingContext.navigate', { url, wait: 'complete' });
  }

  back() {
    return this.send('browsingContext.traverseHistory', { delta: -1 });
  }

  show() {
    return this.send('browsingContext.activate');
  }

  /** Whether it has a network. */
  online(is) {
    return this.#send('emulation.setNetworkConditions', { networkConditions: is ? null : { type: 'offline' }, contexts: [this.#context] });
  }

  /** Runs a function in the page, with a value; gives what it gives. */
  async run(run, value) {
    const expression = `(async () => JSON.stringify(await (${run})(${JSON.stringify(value)})))()`;
    const target = { context: this.#context };
    const { result, exceptionDetails } = await this.#send('script.evaluate', { expression, target, awaitPromise: true });
    if (exceptionDetails) throw new Error(exceptionDetails.text);
    return result.type === 'undefined' ? undefined : JSON.parse(result.value);
  }

  /** Waits until a function in the page gives something true. */
  async until(run, value) {
    const end = Date.now() + PATIENCE;
    while (!(await this.run(run, value).catch(() => false))) {
      if (Date.now() > end) throw new Error(`it never came about: ${run}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function address(stderr) {
  for await (const line of createInterface(stderr)) {
    const found = /^WebDriver BiDi listening on (\S+)/.exec(line);
    if (found) return found[1];
  }
  throw new Error('Firefox tells no address');
}

function within(promise, message) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(message)), PATIENCE)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
