// Makes the entries of the package that differ from pkg/index.js in nothing but where the WebAssembly module comes from.
import { readFileSync, writeFileSync } from 'node:fs';

const MODULE = 'everwire_bg.wasm';
const BY_URL = `new URL('./dist/${MODULE}', import.meta.url)`;

const index = readFileSync('pkg/index.js', 'utf8');
const [purpose] = index.split('\n', 1);
if (index.split(BY_URL).length !== 2) throw new Error(`pkg/index.js should say once: ${BY_URL}`);

/** The same code in `dist`, with another first line, another source of the module, and more at its end. */
function write(name, line, source, more = '') {
  const code = index.replace(purpose, line).replace(BY_URL, source).replaceAll("'./dist/", "'./");
  writeFileSync(`pkg/dist/${name}`, code + more);
}

write(
  'node.js',
  `// everwire for Node and its kind, where files are read and not fetched.\nimport { readFile } from 'node:fs/promises';`,
  `readFile(new URL('./${MODULE}', import.meta.url))`,
);
write(
  'inline.js',
  '// everwire with the WebAssembly module inside, for places that can neither fetch nor read it.',
  'inside()',
  `
function inside() {
  return Uint8Array.from(atob(MODULE), (letter) => letter.charCodeAt(0));
}

const MODULE =
  '${readFileSync(`pkg/dist/${MODULE}`, 'base64')}';
`,
);
