// Starts the servers that are programs of their own: the embedded one and the one on Python's `websockets`.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PROGRAM = process.env.EVERWIRE ?? `${ROOT}target/debug/everwire`;
const SHOWN = ['--www', 'www', '--pkg', 'pkg', '--json'];
const EVENTS = 'scripts/tools/node_modules/@octokit/webhooks-examples/api.github.com/index.json';

/** `everwire serve`, with the page and the package, replaying 50 real events a second. */
export function startEmbedded() {
  const args = ['serve', '--dev', '--port', '0', '--rate', '50', '--events', EVENTS, ...SHOWN];
  return start(PROGRAM, args, (line) => /:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]);
}

/** `everwire demo`, which the page can break, at 20 events a second. */
export function startDemo() {
  const args = ['demo', '--port', '0', '--rate', '20', '--events', EVENTS, ...SHOWN];
  return start(PROGRAM, args, (line) => /"url":"http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]);
}

/** The scenes of `tests/peers/websockets_server.py`. */
export function startPython() {
  const python = process.env.PY ?? 'python3';
  return start(python, [`${ROOT}tests/peers/websockets_server.py`], (line) => /"port": ?(\d+)/.exec(line)?.[1]);
}

async function start(program, args, portIn) {
  const child = spawn(program, args, { cwd: ROOT, stdio: ['pipe', 'pipe', 'pipe'] });
  const lines = [];
  const port = await new Promise((resolve, reject) => {
    const look = (line) => {
      lines.push(line);
      const port = portIn(line);
      if (port) resolve(Number(port));
    };
    createInterface({ input: child.stdout }).on('line', look);
    createInterface({ input: child.stderr }).on('line', look);
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`${program} ended with ${code}: ${lines.join('\n')}`)));
  });
  return {
    http: `http://127.0.0.1:${port}`,
    ws: `ws://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        child.removeAllListeners('exit');
        child.on('exit', resolve);
        child.stdin.end();
        child.kill('SIGTERM');
      }),
  };
}
