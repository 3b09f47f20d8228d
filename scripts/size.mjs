// Weighs the package: raw, gzip -9 and brotli 11, file by file, and as a bundler makes a page download it.
import { readFileSync } from 'node:fs';
import { everwire, line, weigh } from './bundled.mjs';

/** For what is built, module and glue. The facade is source: who bundles it makes it half as large. */
const ENTRIES = [
  { name: 'everwire', budget: 69_700, facade: 'pkg/index.js', folder: 'pkg/dist' },
  { name: 'everwire/lean', budget: 62_000, facade: 'pkg/dist/lean/index.js', folder: 'pkg/dist/lean' },
];
const BUILT = ['everwire_bg.wasm', 'everwire.js'];

line('bytes', ['raw', 'gzip -9', 'brotli 11']);
let failed = false;
for (const { name, budget, facade, folder } of ENTRIES) {
  const rows = [...BUILT.map((file) => `${folder}/${file}`), facade].map((file) => [file, weigh(readFileSync(file))]);
  for (const [file, sizes] of rows) line(file, sizes);
  line(`${name}, together`, [0, 1, 2].map((column) => rows.reduce((sum, [, sizes]) => sum + sizes[column], 0)));
  const built = rows.slice(0, BUILT.length).reduce((sum, [, [, gzipped]]) => sum + gzipped, 0);
  console.log(`budget of module and glue: ${budget} bytes gzipped, used ${((100 * built) / budget).toFixed(1)} %`);
  failed ||= built > budget;
}
console.log('bundled and minified by esbuild, the module beside it:');
for (const [name, sizes] of await everwire()) line(name, sizes);
if (failed) process.exit(1);
