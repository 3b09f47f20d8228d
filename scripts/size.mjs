// Weighs the package: raw, gzip -9 and brotli 11, file by file.
import { readFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** For what is built, module and glue. The facade is source: who bundles it makes it half as large. */
const BUDGET = 60_000;
const BUILT = ['pkg/dist/everwire_bg.wasm', 'pkg/dist/everwire.js'];
const FILES = [...BUILT, 'pkg/index.js'];

const rows = FILES.map((file) => {
  const bytes = readFileSync(file);
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
  return [file, bytes.length, gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes, quality).length];
});
const total = rows.reduce((sum, row) => sum.map((size, index) => size + row[index + 1]), [0, 0, 0]);

const line = (name, ...sizes) => console.log(name.padEnd(28), ...sizes.map((size) => String(size).padStart(9)));
line('bytes', 'raw', 'gzip -9', 'brotli 11');
rows.forEach((row) => line(...row));
line('together', ...total);
const built = rows.slice(0, BUILT.length).reduce((sum, row) => sum + row[2], 0);
console.log(`budget of module and glue: ${BUDGET} bytes gzipped, used ${((100 * built) / BUDGET).toFixed(0)} %`);
if (built > BUDGET) process.exit(1);
