// Opens headless Chromium for the browser tests and the benchmark.
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

export const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
];

/** The browser named by CHROME, else the first one found. */
export function find() {
  const names = [process.env.CHROME, 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'].filter(Boolean);
  for (const name of names) {
    try {
      return execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim();
    } catch {
      // the next one
    }
  }
  throw new Error('no Chromium found: set CHROME, or run scripts/setup test');
}

export function launch(more = []) {
  return chromium.launch({ executablePath: find(), args: [...ARGS, ...more] });
}
