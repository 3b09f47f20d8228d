// The types as compilers of several years see them, in a project that has installed the package: what must compile, and what must not.
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from './harness.mjs';
import { WEB, installed, run } from './installed.mjs';

/** The compilers, by what npm calls them here, and whether they know `using`. */
const COMPILERS = { ts50: false, ts56: true, typescript: true };

const RESOLUTIONS = [['node16', 'node16'], ['esnext', 'bundler']];

for (const [compiler, disposes] of Object.entries(COMPILERS)) {
  for (const [module, moduleResolution] of RESOLUTIONS) {
    test(`types: ${compiler} compiles them as strictly as it can, with ${moduleResolution} and few libraries`, async () => {
      const { app } = await installed();
      const folder = join(app, `types-${compiler}-${moduleResolution}`);
      await mkdir(folder);
      await cp(join(WEB, 'types'), folder, { recursive: true });
      await cp(join(app, 'types.ts'), join(folder, 'entries.ts'));
      await compile(compiler, folder, { module, moduleResolution, lib: ['es2020', 'dom'] }, ['must-compile.ts', 'must-not-compile.ts', 'entries.ts']);
      if (module === 'node16') await compile(compiler, folder, { module, moduleResolution, lib: ['es2020', 'dom'] }, ['common.cts']);
      if (disposes) await compile(compiler, folder, { module, moduleResolution, lib: ['es2020', 'dom', 'esnext.disposable'] }, ['disposable.ts']);
    });
  }
}

async function compile(compiler, folder, options, files) {
  const compilerOptions = {
    noEmit: true, strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false, target: 'es2020', types: [], ...options,
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  await run(process.execPath, [join(WEB, 'node_modules', compiler, 'bin/tsc'), '-p', folder]).catch(({ stdout, message }) => {
    throw new Error(stdout || message);
  });
}
