// The public API of the package, written down: what each entry exports, the members of what it makes, and the types without their
// comments. `node tests/web/api.mjs` accepts a change: it writes `tests/web/api.txt`, which a test compares.
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { installed } from './installed.mjs';

export const ACCEPTED = fileURLToPath(new URL('api.txt', import.meta.url));

/** A dialect that has everything there may be a member for. */
const DIALECT = { name: 'api', hello: { types: ['hi'] }, channels: { field: 'channel', subscribe: {}, unsubscribe: {} } };

export async function api() {
  const { app } = await installed();
  const folder = join(app, 'node_modules/everwire');
  const { exports } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const entries = Object.entries(exports).filter(([, targets]) => targets.default);
  const lines = [];
  for (const [name, targets] of entries) {
    const entry = await import(pathToFileURL(join(folder, targets.node ?? targets.default)));
    lines.push(`${name.replace('.', 'everwire')}: ${Object.keys(entry).sort().join(', ')}`);
    const make = entry.createClient ?? entry.createSharedClient;
    if (make) lines.push(...members(await make({ url: 'ws://localhost', dialect: name.includes('lean') ? 'raw' : DIALECT }), entry));
  }
  for (const file of (await readdir(folder)).filter((file) => file.endsWith('.d.ts')).sort()) {
    lines.push('', file, ...(await readFile(join(folder, file), 'utf8')).replace(/\/\*\*[^]*?\*\//g, '').split('\n').map((line) => line.replace(/^\s*\/\/.*/, '').trimEnd()).filter(Boolean));
  }
  return `${lines.join('\n')}\n`;
}

/** The members of a client and of what comes from it. */
function members(client, { EverwireError }) {
  const things = { client, events: client.events(), channel: 'channel' in client && client.channel('a') };
  if (EverwireError) things.error = new EverwireError('code', 'message', true, {});
  return Object.entries(things).filter(([, thing]) => thing).map(([name, thing]) => `  ${name}: ${[...names(thing)].sort().join(', ')}`);
}

function* names(thing) {
  const seen = new Set();
  for (let at = thing; at && ![Object.prototype, Error.prototype].includes(at); at = Object.getPrototypeOf(at)) {
    for (const key of Reflect.ownKeys(at)) {
      // Symbols of our own are nobody else's business; those of the language have several descriptions.
      const known = ['asyncIterator', 'iterator', 'dispose', 'asyncDispose'].find((name) => key === Symbol[name] || key === Symbol.for(`Symbol.${name}`));
      const name = typeof key === 'symbol' ? known && `Symbol.${known}` : key;
      if (name !== undefined && name !== 'constructor' && name !== 'stack' && !seen.has(name)) yield name;
      seen.add(name);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(ACCEPTED, await api());
