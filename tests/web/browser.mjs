// Opens headless Chromium for the browser tests and the benchmark.
import { chromium } from 'playwright-core';
import { findProgram } from './remote.mjs';

export const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
];

/** The browser named by CHROME, else the first one found. */
export function find() {
  const found = findProgram([process.env.CHROME, 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']);
  if (!found) throw new Error('no Chromium found: set CHROME, or run scripts/setup test');
  return found;
}

export function launch(more = []) {
  return chromium.launch({ executablePath: find(), args: [...ARGS, ...more] });
}
