// What a bundler makes of an import, weighed: esbuild, minified, for browsers; WebAssembly is a file beside it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const { build } = createRequire(new URL('tools/package.json', import.meta.url))('esbuild');
const PKG = fileURLToPath(new URL('../pkg', import.meta.url));

/** Bytes as they are, by gzip -9 and by brotli 11. */
export function weigh(bytes) {
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
  return [bytes.length, gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes, quality).length];
}

/** The weight of a program that has these lines alone. */
export async function bundled(contents, resolveDir) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir }, bundle: true, minify: true, format: 'esm', platform: 'browser', target: 'es2022', write: false,
    external: ['react'], logLevel: 'error', define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
  });
  return weigh(outputFiles[0].contents);
}

/** What each entry of everwire makes a page download. */
export async function everwire() {
  const module = (folder) => weigh(readFileSync(`${PKG}/${folder}/everwire_bg.wasm`));
  const entry = async (name, what, file, folder) => {
    const script = await bundled(`export { ${what} } from './${file}';`, PKG);
    return [name, folder ? script.map((size, column) => size + module(folder)[column]) : script];
  };
  return Promise.all([
    entry('everwire', 'connect', 'index.js', 'dist'),
    entry('everwire/inline', 'connect', 'dist/inline.js'),
    entry('everwire/lean', 'connect', 'dist/lean/index.js', 'dist/lean'),
    entry('everwire/lean/inline', 'connect', 'dist/lean/inline.js'),
    entry('everwire with everwire/tabs', 'connectShared', 'tabs.js', 'dist'),
    entry('everwire/react, besides', 'useClient, useEvent', 'react.js'),
    entry('everwire/worker-timer, besides', 'workerTimer', 'worker-timer.js'),
  ]);
}

/** One line of a table. */
export function line(name, sizes) {
  console.log(name.padEnd(32), ...sizes.map((size) => String(size).padStart(9)));
}
