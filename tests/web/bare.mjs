// A browser driven through the DevTools protocol alone: playwright keeps every page visible, and does without the cache
// for pages that one goes back to.
import { ARGS, find } from './browser.mjs';
import { RemotePage, startBrowser } from './remote.mjs';

/** Starts a browser, with more arguments if need be; `close` ends it. */
export async function launchBare(more = []) {
  const args = (profile) => [...ARGS, ...more, '--headless', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'];
  const browser = await startBrowser(find(), args, /^DevTools listening on (\S+)/);
  const send = (method, params = {}, sessionId = undefined) => browser.send({ method, params, sessionId });
  return {
    newPage: async (url) => {
      const { targetId } = await send('Target.createTarget', { url });
      const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
      return new Page(send, targetId, sessionId);
    },
    close: () => browser.stop(),
  };
}

class Page extends RemotePage {
  constructor(send, targetId, sessionId) {
    super(async (expression) => {
      const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    });
    this.send = (method, params) => send(method, params, sessionId);
    this.show = () => send('Target.activateTarget', { targetId });
  }
}
