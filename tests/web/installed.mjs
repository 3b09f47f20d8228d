// The packed package, installed from its tarball into a project that has what its users have besides.
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { cp, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const WEB = join(ROOT, 'tests/web');
export const FIXTURES = join(WEB, 'fixtures');

const tools = createRequire(join(FIXTURES, 'package.json'));

/** A tool of the fixtures, as a module; and as a program. */
export const tool = (name) => import(pathToFileURL(tools.resolve(name)));
export const bin = (name) => join(FIXTURES, 'node_modules/.bin', name);
export const run = promisify(execFile);

/** A folder with the packed package installed from its tarball, beside the fixture apps; made once. */
let making;
export function installed() {
  making ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), 'everwire-packed-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: join(ROOT, 'pkg') });
    const [{ filename, files }] = Object.values(JSON.parse(stdout));
    const app = join(folder, 'app');
    await cp(join(FIXTURES, 'apps'), app, { recursive: true });
    await writeFile(join(app, 'package.json'), '{ "private": true, "type": "module" }');
    await run('npm', ['install', '--offline', '--omit=peer', '--no-audit', '--no-fund', join(folder, filename)], { cwd: app });
    // What a user has besides.
    for (const [name, from] of [['react', FIXTURES], ['react-dom', FIXTURES], ['ws', WEB]]) {
      await symlink(join(from, 'node_modules', name), join(app, 'node_modules', name));
    }
    return { app, tarball: join(folder, filename), files: files.map(({ path }) => path).sort() };
  })();
  return making;
}
