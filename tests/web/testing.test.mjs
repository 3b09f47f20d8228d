// docs/TESTING.md: its files as they stand, in projects with Jest and Vitest that have installed the package.
import { cp, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { assert, test } from './harness.mjs';
import { FIXTURES, ROOT, WEB, bin, installed, run } from './installed.mjs';

const page = await readFile(join(ROOT, 'docs/TESTING.md'), 'utf8');
const files = [...page.matchAll(/```js\n\/\/ (\S+)\n([^]*?)```/g)];

/** A project with the files of the page, the package and a runner. */
async function project(runner) {
  const { app } = await installed();
  const folder = await mkdtemp(join(dirname(app), `${runner}-`));
  await cp(join(FIXTURES, 'testing'), folder, { recursive: true });
  for (const [, name, text] of files) await writeFile(join(folder, name), text);
  const timers = runner === 'jest' ? 'export const timers = jest;' : "export { vi as timers } from 'vitest';";
  await writeFile(join(folder, 'timers.js'), timers);
  await writeFile(join(folder, 'package.json'), runner === 'jest' ? '{}' : '{ "type": "module" }');
  await mkdir(join(folder, 'node_modules'));
  const link = (name, from) => symlink(join(from, 'node_modules', name), join(folder, 'node_modules', name));
  await link('everwire', app);
  await link('ws', WEB);
  for (const name of ['esbuild', 'vitest', 'jest-environment-jsdom', 'jsdom', 'happy-dom']) await link(name, FIXTURES);
  return folder;
}

/** Runs a program, which must succeed; gives what it printed. */
async function succeeds(program, args, cwd, env) {
  const { stdout, stderr } = await run(process.execPath, [program, ...args], { cwd, env: { ...process.env, ...env, NO_COLOR: '1' } }).catch((error) => {
    throw new Error(`${error.stdout}\n${error.stderr}`);
  });
  return stdout + stderr;
}

test('the page on testing has its files', () => {
  const names = ['chat.js', 'fake-socket.js', 'chat.test.js', 'time.test.js', 'server.test.js'];
  assert.deepEqual(files.map(([, name]) => name), names);
});

test('a component is tested in Jest with jsdom: nothing is set up for it', async ({ embedded }) => {
  const { http } = await embedded();
  const said = await succeeds(bin('jest'), ['--ci'], await project('jest'), { EVERWIRE_SERVER: http });
  assert.match(said, /Tests: +4 passed, 4 total/);
});

for (const environment of ['jsdom', 'happy-dom', 'node']) {
  test(`a component is tested in Vitest with ${environment}: nothing is set up for it`, async ({ embedded }) => {
    const { http } = await embedded();
    const only = environment === 'node' ? ['time', 'server'] : [];
    const args = ['run', '--globals', `--environment=${environment}`, ...only];
    const said = await succeeds(join(FIXTURES, 'node_modules/vitest/vitest.mjs'), args, await project(`vitest-${environment}`), { EVERWIRE_SERVER: http });
    assert.match(said, only.length > 0 ? /Tests +2 passed/ : /Tests +4 passed/);
  });
}
