// Makes the JavaScript that wasm-bindgen writes smaller, and such that importing it touches no global: not every place has a
// `TextDecoder` (Jest's jsdom has none), and what a page does not use it should not download.

/** How the module is loaded: once, with a function that tells where it is, or what it is. */
const LOADER = `let wasm;
let loading;

export default function load(source) {
    return loading ??= start(source).catch((error) => {
        loading = undefined;
        throw error;
    });
}

async function start(source) {
    const imports = __wbg_get_imports();
    const from = await source();
    wasm = (await (from.href ? fetched(await fetch(from), imports) : WebAssembly.instantiate(from, imports))).instance.exports;
    wasm.__wbindgen_start();
    return wasm;
}

async function fetched(response, imports) {
    if (!response.ok) throw new Error(\`\${response.url}: \${response.status} \${response.statusText}\`);
    // Only what is served as such is compiled while it comes.
    const streams = response.headers.get('content-type') === 'application/wasm';
    return streams ? WebAssembly.instantiateStreaming(response, imports) : WebAssembly.instantiate(await response.arrayBuffer(), imports);
}
`;

/** What is replaced, and by what. Each stands there once. */
const CHANGES = [
  // Made when they are used. What has no `encodeInto` has no `WeakRef` either, and is not supported.
  ["let cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });\ncachedTextDecoder.decode();\n", 'let cachedTextDecoder;\n'],
  ['        cachedTextDecoder.decode();\n', ''],
  ['let numBytesDecoded = 0;', 'let numBytesDecoded = MAX_SAFARI_DECODE_BYTES;'],
  [/const cachedTextEncoder = new TextEncoder\(\);\n\nif \(!\('encodeInto' in [^]*?\n}\n/, 'let cachedTextEncoder;\n'],
  [/ {4}if \(realloc === undefined\) {\n[^]*?\n {4}}\n/, ''],
  ['= cachedTextEncoder.encodeInto(', '= (cachedTextEncoder ??= new TextEncoder()).encodeInto('],
  [/(const ClientFinalization = )[^]*?( {4}: )(new FinalizationRegistry)/, '$1$3'],
  [/(const CLOSURE_DTORS = )[^]*?( {4}: )(new FinalizationRegistry)/, '$1$3'],
  [/if \(Symbol\.dispose\) Client.*\n/, ''],
  [/let wasmModule, wasmInstance, wasm;\n[^]*$/, () => LOADER],
];

export function smallGlue(glue) {
  return CHANGES.reduce((text, [from, to]) => {
    if (text.match(new RegExp(typeof from === 'string' ? escape(from) : from, 'g'))?.length !== 1) throw new Error(`the glue should say once: ${from}`);
    return text.replace(from, to);
  }, glue);
}

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
