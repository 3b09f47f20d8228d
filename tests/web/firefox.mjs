// Firefox, driven by WebDriver BiDi: what Debian has is not what playwright wants.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RemotePage, findProgram, startBrowser } from './remote.mjs';

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
  return findProgram([process.env.FIREFOX, 'firefox-esr', 'firefox']);
}

/** Starts it; `stop` ends it. */
export async function launchFirefox() {
  const browser = await startBrowser(findFirefox(), async (profile) => {
    const lines = Object.entries(SETTINGS).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
    await writeFile(join(profile, 'user.js'), lines.join('\n'));
    return ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0', 'about:blank'];
  }, /^WebDriver BiDi listening on (\S+)/, '/session');
  const send = (method, params = {}) => browser.send({ method, params });
  await send('session.new', { capabilities: {} });
  return {
    newPage: async (url) => {
      const { context } = await send('browsingContext.create', { type: 'tab' });
      const page = new Page(send, context);
      await page.go(url);
      return page;
    },
    // It ends with this, and may not answer any more.
    stop: () => browser.stop(() => send('browser.close')),
  };
}

class Page extends RemotePage {
  #send;
  #context;

  constructor(send, context) {
    super(async (expression) => {
      const { result, exceptionDetails } = await send('script.evaluate', { expression, target: { context }, awaitPromise: true });
      if (exceptionDetails) throw new Error(exceptionDetails.text);
      return result.value;
    });
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

  /** Closes it, as a user closes a tab. */
  close() {
    return this.send('browsingContext.close');
  }
}
