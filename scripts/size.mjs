// Weighs the package: raw, gzip -9 and brotli 11, file by file.
import { readFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** For what is built, module and glue. The facade is source: who bundles it makes it half as large. */
const ENTRIES = [
  { name: 'everwire', budget: 85_000, facade: 'pkg/index.js', folder: 'pkg/dist' },
  { name: 'everwire/lean', budget: 72_500, facade: 'pkg/dist/lean/index.js', folder: 'pkg/dist/lean' },
];
const BUILT = ['everwire_bg.wasm', 'everwire.js'];

const line = (name, ...sizes) => console.log(name.padEnd(32), ...sizes.map((size) => String(size).padStart(9)));
line('bytes', 'raw', 'gzip -9', 'brotli 11');
let failed = false;
for (const { name, budget, facade, folder } of ENTRIES) {
  const rows = [...BUILT.map((file) => `${folder}/${file}`), facade].map(weigh);
  rows.forEach((row) => line(...row));
  line(`${name}, together`, ...[1, 2, 3].map((column) => rows.reduce((sum, row) => sum + row[column], 0)));
  const built = rows.slice(0, BUILT.length).reduce((sum, row) => sum + row[2], 0);
  console.log(`budget of module and glue: ${budget} bytes gzipped, used ${((100 * built) / budget).toFixed(1)} %`);
  failed ||= built > budget;
}
if (failed) process.exit(1);

function weigh(file) {
  const bytes = readFileSync(file);
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
  return [file, bytes.length, gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes, quality).length];
}
