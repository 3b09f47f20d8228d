// Makes the entries of the package that differ from pkg/index.js in where the WebAssembly module comes from, or in that they are lean,
// those of pkg/tabs.js that stand on them, and all of them once more for `require`.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

const { transformSync } = createRequire(new URL('tools/package.json', import.meta.url))('esbuild');

const MODULE = 'everwire_bg.wasm';
const BY_URL = `new URL('./dist/${MODULE}', import.meta.url)`;
/** What the lean entry leaves out. */
const EVERYTHING = /^ *\/\/ everything\n[^]*?^ *\/\/ end\n/gm;

/** What a module that cannot be loaded is told to do. With the module inside there is no such way out. */
const INSIDE = 'import everwire/inline';
const WAY_OUT = /\n *const where = .*|\$\{where\} import everwire.*inline/g;

const index = readFileSync('pkg/index.js', 'utf8');
const [purpose] = index.split('\n', 1);
if (index.split(BY_URL).length !== 2) throw new Error(`pkg/index.js should say once: ${BY_URL}`);
if (!EVERYTHING.test(index)) throw new Error('pkg/index.js should say what belongs to everything');

for (const folder of ['dist', 'dist/lean']) {
  const lean = folder !== 'dist';
  const name = lean ? 'everwire, the lean entry' : 'everwire';
  const code = lean ? index.replace(EVERYTHING, '').replace(INSIDE, 'import everwire/lean/inline') : index;
  /** The code beside its module, with another first line, another source of that, and more at its end. */
  const write = (file, line, source, more = '') => {
    const text = (more ? code.replace(WAY_OUT, '') : code).replace(purpose, line).replace(BY_URL, source).replaceAll("'./dist/", "'./");
    writeFileSync(`pkg/${folder}/${file}`, text + more);
  };

  if (lean) write('index.js', `// ${name}: without channels and resume.`, BY_URL);
  write(
    'node.js',
    `// ${name} for Node and its kind, where files are read and not fetched.\nimport { readFile } from 'node:fs/promises';`,
    `readFile(new URL('./${MODULE}', import.meta.url))`,
  );
  write(
    'inline.js',
    `// ${name} with the WebAssembly module inside, for places that can neither fetch nor read it.`,
    'inside()',
    `
function inside() {
  return Uint8Array.from(atob(MODULE), (letter) => letter.charCodeAt(0));
}

const MODULE =
  '${readFileSync(`pkg/${folder}/${MODULE}`, 'base64')}';
`,
  );
}

for (const name of ['node', 'inline']) {
  const tabs = readFileSync('pkg/tabs.js', 'utf8').replace(`'./index.js'`, `'./${name}.js'`).replace(`'./tabs/`, `'../tabs/`);
  writeFileSync(`pkg/dist/tabs-${name}.js`, tabs);
}

// For `require`: what has the module inside, which neither a bundler nor a test's page need look for, in a folder as `pkg` is.
const COMMON = 'pkg/dist/cjs';
rmSync(COMMON, { recursive: true, force: true });
const save = (file, text) => {
  mkdirSync(dirname(`${COMMON}/${file}`), { recursive: true });
  writeFileSync(`${COMMON}/${file}`, text);
};
save('package.json', '{ "type": "commonjs" }\n');
/** Jest's jsdom lacks these, and the Node below it has them. */
const TEXT = `const text = (name) => globalThis[name] ?? globalThis.process?.getBuiltinModule?.('node:util')[name];
const known = { get TextDecoder() { return text('TextDecoder'); }, get TextEncoder() { return text('TextEncoder'); } };`;
const define = { TextDecoder: 'known.TextDecoder', TextEncoder: 'known.TextEncoder' };
const tabs = readdirSync('pkg/tabs').map((file) => `tabs/${file}`);
for (const file of ['react.js', 'worker-timer.js', ...tabs, ...['everwire', 'inline', 'tabs-inline', 'lean/everwire', 'lean/inline'].map((name) => `dist/${name}.js`)]) {
  const { code } = transformSync(readFileSync(`pkg/${file}`, 'utf8'), { format: 'cjs', platform: 'node', target: 'es2022', define });
  save(file, `'use strict';\n${code.includes('known.') ? `${TEXT}\n` : ''}${code}`);
}
for (const file of readdirSync('pkg').filter((file) => file.endsWith('.d.ts'))) save(file, readFileSync(`pkg/${file}`));
