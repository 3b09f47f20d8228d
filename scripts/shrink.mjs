// Makes the WebAssembly module small: node scripts/shrink.mjs FILE (with names; it is written back without)
//
// A panic ends the module and shows nothing: on the web there is no standard error to show it on. So what would word
// the message is replaced by the trap that follows it anyway, and everything that only messages need falls away.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const tools = createRequire(new URL('tools/package.json', import.meta.url));
const { default: binaryen } = await import(pathToFileURL(tools.resolve('binaryen')));

/** Functions that never return, by the beginning of their (mangled or plain) names. */
const PANICS = [
  /core(\[\w+\])?::panicking::(panic|assert_failed|unreachable)/, /core(\[\w+\])?::(option|result)::(unwrap_failed|expect_failed)/,
  /core(\[\w+\])?::slice::index::slice_\w*fail/, /core(\[\w+\])?::str::slice_error_fail/, /core(\[\w+\])?::cell::panic_already/,
  /alloc(\[\w+\])?::raw_vec::(handle_error|capacity_overflow)/, /alloc(\[\w+\])?::alloc::handle_alloc_error/, /std(\[\w+\])?::panicking::/,
  /std(\[\w+\])?::alloc::(rust_oom|default_alloc_error_hook)/, /rust_begin_unwind|__rust_alloc_error_handler|rust_panic/,
  /std(\[\w+\])?::thread::local::panic_access_error/, /core(\[\w+\])?::slice::copy_from_slice_impl::len_mismatch_fail/,
  /::assert_failed(::|$)/,
];

const file = process.argv[2];
const module = binaryen.readBinary(readFileSync(file));
let cut = 0;
for (let index = 0; index < module.getNumFunctions(); index += 1) {
  const pointer = module.getFunctionByIndex(index);
  const { name, base } = binaryen.getFunctionInfo(pointer);
  if (base || !PANICS.some((panic) => panic.test(name))) continue;
  binaryen.Function.setBody(pointer, module.unreachable());
  cut += 1;
}
if (cut < 5) throw new Error(`only ${cut} panic functions were found: have their names changed?`);

binaryen.setOptimizeLevel(2);
binaryen.setShrinkLevel(2);
// Inlining makes the file a little smaller, but what is sent, the compressed file, a good deal larger.
binaryen.setAlwaysInlineMaxSize(0);
binaryen.setFlexibleInlineMaxSize(0);
binaryen.setOneCallerInlineMaxSize(0);
for (let round = 0; round < 3; round += 1) module.optimize();
module.runPasses(['strip-debug', 'strip-producers']);
writeFileSync(file, withoutPaths(module.emitBinary()));

/** Where a panic stood is part of its message: the names of source files are blanked, for nothing reads them any more. */
function withoutPaths(bytes) {
  const text = Buffer.from(bytes).toString('latin1');
  return Buffer.from(text.replace(/(\/rustc|\/root|\/home|\/rust|\/usr|src)(\/[\w.+-]+)+\.rs/g, (path) => '\0'.repeat(path.length)), 'latin1');
}
