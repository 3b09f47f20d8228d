// Makes the WebAssembly module and its glue small: node scripts/shrink.mjs WASM JS (both are written back; the module comes
// with names, and leaves without)
//
// A panic ends the module and shows nothing: on the web there is no standard error to show it on. So what would word
// the message is replaced by the trap that follows it anyway, and everything that only messages need falls away. The same
// goes for all formatting: the crate puts its texts together by hand, and here it is checked that nothing else calls any.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { smallGlue } from './glue.mjs';

const tools = createRequire(new URL('tools/package.json', import.meta.url));
const { default: binaryen } = await import(pathToFileURL(tools.resolve('binaryen')));

/** Reads the binary format. */
class Reader {
  constructor(bytes, at) {
    this.bytes = bytes;
    this.at = at;
  }

  byte() {
    return this.bytes[this.at++];
  }

  leb() {
    let [number, shift, byte] = [0, 0, 0];
    do {
      byte = this.byte();
      number |= (byte & 127) << shift;
      shift += 7;
    } while (byte > 127);
    return number >>> 0;
  }

  take(length) {
    this.at += length;
    return Buffer.from(this.bytes.slice(this.at - length, this.at));
  }

  name() {
    return this.take(this.leb()).toString();
  }
}

/** Functions that never return, and what only a promise that suspends the module would call, by parts of their names. */
const PANICS = [
  /core(\[\w+\])?::panicking::(panic|assert_failed|unreachable)/, /core(\[\w+\])?::(option|result)::(unwrap_failed|expect_failed)/,
  /core(\[\w+\])?::slice::index::slice_\w*fail/, /core(\[\w+\])?::str::slice_error_fail/, /core(\[\w+\])?::cell::panic_already/,
  /alloc(\[\w+\])?::raw_vec::(handle_error|capacity_overflow)/, /alloc(\[\w+\])?::alloc::handle_alloc_error/, /std(\[\w+\])?::panicking::/,
  /std(\[\w+\])?::alloc::(rust_oom|default_alloc_error_hook)/, /rust_begin_unwind|__rust_alloc_error_handler|rust_panic/,
  /std(\[\w+\])?::thread::local::panic_access_error/, /core(\[\w+\])?::slice::copy_from_slice_impl::len_mismatch_fail/,
  /::assert_failed(::|$)/, /js_sys(\[\w+\])?::futures::jspi::/,
];

/** What formats a value, by a part of its name. */
const FORMATTING = /core(\[\w+\])?::fmt::|::string::ToString>::to_string|alloc(\[\w+\])?::fmt::format/;

/** The paths of sources; what the standard library words panics with, and the digits it formats numbers by. */
const MESSAGES = [
  /(\/rustc|\/root|\/home|\/rust|\/usr|src)(\/[\w.+-]+)+\.rs/g, /00010203[0-9]{192}/g,
  / index starts at | but ends at |index out of bounds: the len is | but the index is |range (start|end) index | out of range for slice of length /g,
  /slice(?=\0+ but)|assertion `left [^a-z]* ?right` failed|\x20\x20left: | right: |removal index \(is |\) should be < len \(is |copy_from_slice: source slice length \(|\) does not match destination slice length \(/g,
  /cannot access a Thread Local Storage value during or after destruction: |assertion failed: (self|slot)\.\w+\(\w*\)|assertion failed: mid <= self\.len\(\)|mid > len|overflow (in|when) [\w: ]*[Dd]uration[\w:]*/g,
  /finish: (callbacks|result) should be (Some|None)|called `(Option|Result)::unwrap\(\)` on an? `(None|Err)` value|attempt to join into collection with len > usize::MAX/g,
  /cannot recursively acquire mutex|description\(\) is deprecated; use Display|LazyCell instance has previously been poisoned|`async fn` resumed after completion/g,
  /cannot convert float seconds to Duration: value is (negative|either too big or NaN)|RefCell already (mutably )?borrowed|internal error: entered unreachable code/g,
  /Tried to shrink to a larger capacity|capacity overflow|AccessError|LayoutError|==!=matches/g,
];

const [, , file, glueFile] = process.argv;
const module = binaryen.readBinary(readFileSync(file));
const cut = { panics: 0, formatting: 0 };
for (let index = 0; index < module.getNumFunctions(); index += 1) {
  const pointer = module.getFunctionByIndex(index);
  const { name, base } = binaryen.getFunctionInfo(pointer);
  const kind = PANICS.some((panic) => panic.test(name)) ? 'panics' : 'formatting';
  if (base || (kind === 'formatting' && !FORMATTING.test(name))) continue;
  binaryen.Function.setBody(pointer, module.unreachable());
  cut[kind] += 1;
}
if (cut.panics < 5 || cut.formatting < 5) throw new Error(`too little was found to cut (${JSON.stringify(cut)}): have the names changed?`);
const formats = callers(FORMATTING);
if (formats.length > 0) throw new Error(`these format what they should put together by hand:\n${formats.join('\n')}`);

binaryen.setOptimizeLevel(2);
binaryen.setShrinkLevel(2);
// More inlining makes the file smaller, but what is sent, the compressed file, larger.
binaryen.setAlwaysInlineMaxSize(2);
binaryen.setFlexibleInlineMaxSize(0);
binaryen.setOneCallerInlineMaxSize(40);
// The first KiB is the far end of the stack: so an address and what is added to it never wrap around.
binaryen.setLowMemoryUnused(true);
// A function has its name as long as they are put in order.
binaryen.setDebugInfo(true);
for (let round = 0; round < 3; round += 1) module.optimize();
const { bytes, glue } = withShortNames(inOrder(), smallGlue(readFileSync(glueFile, 'utf8')));
writeFileSync(file, withoutMessages(bytes));
writeFileSync(glueFile, glue);

/** The module with its functions in the order of their code: what is alike stands together, and compresses better. */
function inOrder() {
  const code = functions(module.emitBinary());
  const lines = module.emitText().split('\n');
  const starts = lines.flatMap((line, at) => (line.startsWith(' (func $') ? [at] : []));
  if (starts.length !== code.length) throw new Error(`${starts.length} functions in the text, and ${code.length} in the module`);
  const texts = starts.map((start) => lines.slice(start, lines.indexOf(' )', start) + 1));
  const [first, last] = [starts[0], starts.at(-1) + texts.at(-1).length];
  const order = code.map((_, place) => place).sort((a, b) => Buffer.compare(code[a], code[b]));
  const text = [lines.slice(0, first), ...order.map((place) => texts[place]), lines.slice(last)];
  const ordered = binaryen.parseText(text.flat().join('\n'));
  ordered.setFeatures(module.getFeatures());
  binaryen.setDebugInfo(false);
  ordered.runPasses(['strip-debug', 'strip-producers', 'strip-target-features']);
  return ordered.emitBinary();
}

/** The code of each function. */
function functions(bytes) {
  const { body } = [...readSections(bytes)].find(({ id }) => id === 10);
  const reader = new Reader(body, 0);
  return Array.from({ length: reader.leb() }, () => reader.take(reader.leb()));
}

/** The functions that call one with such a name. */
function callers(called) {
  const found = new Set();
  let caller = '';
  for (const line of module.emitText().split('\n')) {
    caller = /^ \(func \$("[^"]*"|\S+)/.exec(line)?.[1] ?? caller;
    const name = /\((?:return_)?call \$("[^"]*"|\S+)/.exec(line)?.[1];
    if (name && called.test(name)) found.add(`${caller} calls ${name}`);
  }
  return [...found];
}

/** The texts of panics are still there, though nothing reads them any more, and so are the places in the source: they are blanked. */
function withoutMessages(bytes) {
  const out = Buffer.from(bytes);
  const blank = (at, length) => out.fill(0, at, at + length);
  const text = out.toString('latin1');
  for (const message of MESSAGES) {
    for (const { 0: found, index } of text.matchAll(message)) blank(index, found.length);
  }
  // A place is a path by its address and length, a line and a column; it may be in another part of the data than the path.
  const parts = [...dataOf(out)];
  const paths = new Map(parts.flatMap(({ at, address, length }) =>
    [...text.slice(at, at + length).matchAll(MESSAGES[0])].map(({ 0: path, index }) => [address + index, path.length])));
  for (const { at, length } of parts) {
    for (let place = at; place + 16 <= at + length; place += 4) {
      if (paths.get(out.readUInt32LE(place)) === out.readUInt32LE(place + 4)) blank(place, 16);
    }
  }
  return out;
}

/** Where the data is: in the file, and in the module's memory. */
function* dataOf(bytes) {
  let start = 8;
  for (const { id, body } of readSections(bytes)) {
    start = bytes.indexOf(body, start);
    if (id !== 11) continue;
    const reader = new Reader(body, 0);
    for (let count = reader.leb(); count > 0; count -= 1) {
      // All are put where an `i32.const` says.
      if (reader.leb() !== 0 || reader.byte() !== 0x41) throw new Error('the data is of a kind that is not known here');
      const address = reader.leb();
      reader.byte();
      const length = reader.leb();
      yield { at: start + reader.at, address, length };
      reader.at += length;
    }
  }
}

/** The names by which module and glue know each other end in hashes, which do not compress: both get short ones. */
function withShortNames(bytes, glue) {
  const short = new Map();
  const shorten = (name, kind) => {
    if (!short.has(name)) short.set(name, `$${kind}${short.size.toString(36)}`);
    return short.get(name);
  };
  const generated = /^(__wb|wasm_bindgen__)/;
  // What is written by hand keeps its name.
  const rename = (kind) => (name) => (generated.test(name) ? shorten(name, kind) : name);
  const sections = [...readSections(bytes)].map(({ id, body }) => {
    if (id === 2) return { id, body: rewriteImports(body, (from) => shorten(from, 'm'), rename('i')) };
    if (id === 7) return { id, body: rewriteExports(body, rename('e')) };
    return { id, body };
  });
  for (const [name, replacement] of short) {
    const quoted = name.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
    // A module's name is a key of the imports, and elsewhere a path to load it from, which stays.
    const place = name.startsWith('./') ? new RegExp(`"${quoted}"(?=: )`, 'g') : new RegExp(`(?<![\\w$])${quoted}(?![\\w$])`, 'g');
    const before = glue;
    glue = glue.replace(place, () => (name.startsWith('./') ? `"${replacement}"` : replacement));
    if (glue === before) throw new Error(`the glue does not mention ${name}`);
  }
  const out = [Buffer.from(bytes.slice(0, 8)), ...sections.flatMap(({ id, body }) => [Buffer.from([id, ...leb(body.length)]), body])];
  return { bytes: Buffer.concat(out), glue };
}

function* readSections(bytes) {
  const reader = new Reader(bytes, 8);
  while (reader.at < bytes.length) {
    const id = reader.byte();
    yield { id, body: reader.take(reader.leb()) };
  }
}

function rewriteImports(body, renameModule, rename) {
  const reader = new Reader(body, 0);
  const count = reader.leb();
  const out = [Buffer.from(leb(count))];
  for (let index = 0; index < count; index += 1) {
    out.push(named(renameModule(reader.name())), named(rename(reader.name())));
    const kind = reader.byte();
    if (kind !== 0) throw new Error('only functions are imported');
    out.push(Buffer.from([kind, ...leb(reader.leb())]));
  }
  return Buffer.concat(out);
}

function rewriteExports(body, rename) {
  const reader = new Reader(body, 0);
  const count = reader.leb();
  const out = [Buffer.from(leb(count))];
  for (let index = 0; index < count; index += 1) {
    out.push(named(rename(reader.name())), Buffer.from([reader.byte(), ...leb(reader.leb())]));
  }
  return Buffer.concat(out);
}

function named(name) {
  const text = Buffer.from(name);
  return Buffer.concat([Buffer.from(leb(text.length)), text]);
}

function leb(number) {
  const bytes = [];
  do {
    bytes.push((number & 127) | (number > 127 ? 128 : 0));
    number >>>= 7;
  } while (number > 0);
  return bytes;
}
