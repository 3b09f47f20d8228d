// What the import of a module asks the global object for: node --experimental-vm-modules tests/web/globals.mjs FILE…
// Prints, as JSON, what each file asks for beyond the language itself, in a context that has nothing else.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

/** A global object with what the language brings, and no more. */
const language = vm.runInNewContext('globalThis');

const found = {};
for (const file of process.argv.slice(2)) found[file] = await asked(resolve(file));
console.log(JSON.stringify(found));

async function asked(file) {
  const names = new Set();
  const note = (name) => void (typeof name === 'string' && !Object.hasOwn(language, name) && names.add(name));
  const context = vm.createContext(new Proxy({}, {
    get: (_, name) => (note(name), name === 'globalThis' ? global : language[name]),
    has: (_, name) => (note(name), name in language),
    getOwnPropertyDescriptor: (_, name) => (note(name), undefined),
  }));
  const global = vm.runInContext('this', context);
  const modules = new Map();
  const load = (name, from) => {
    // What the host brings: nothing of it is used by an import.
    if (!name.startsWith('.') && from) {
      const exports = { react: ['useCallback', 'useEffect', 'useRef', 'useState', 'useSyncExternalStore'], 'node:fs/promises': ['readFile'] }[name];
      return new vm.SyntheticModule(exports, () => {}, { context });
    }
    const path = from ? resolve(dirname(from), name) : name;
    if (!modules.has(path)) {
      const initializeImportMeta = (meta) => void (meta.url = pathToFileURL(path).href);
      modules.set(path, new vm.SourceTextModule(readFileSync(path, 'utf8'), { context, identifier: path, initializeImportMeta }));
    }
    return modules.get(path);
  };
  const module = load(file);
  await module.link((name, { identifier }) => load(name, identifier));
  try {
    await module.evaluate();
  } catch (error) {
    names.add(String(error));
  }
  return [...names];
}
