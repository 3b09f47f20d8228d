// Weighs the package: raw, gzip -9 and brotli 11, file by file.
import { readFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

// 60 KB of module, glue and facade.
const BUDGET = 60_000;
const FILES = ['pkg/dist/everwire_bg.wasm', 'pkg/dist/everwire.js', 'pkg/index.js'];

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
console.log(`budget: ${BUDGET} bytes gzipped, used ${((100 * total[1]) / BUDGET).toFixed(0)} %`);
if (total[1] > BUDGET) process.exit(1);
