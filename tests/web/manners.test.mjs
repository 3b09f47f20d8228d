// What a client says, and does not do, where it is used in a hurry: calls twice, promises that nobody awaits, listeners that are async.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { accepted, farEnd, frame } from './far.mjs';
import { MINE, assert, inPage, options, test } from './harness.mjs';
import { installed, run, tool } from './installed.mjs';

test('S0-20: connect twice at once says that the client is connecting, and leaves the first alone', async (t) => {
  const seen = await inPage(t, async ({ createClient }, options) => {
    const client = await createClient(options);
    const first = client.connect();
    const second = await failure(() => client.connect());
    await first;
    const third = await failure(() => client.connect());
    await client.close();
    return { second, third };
  }, options(t.peer));
  assert.deepEqual([seen.second.code, seen.third.code], ['invalid-state', 'invalid-state']);
  assert.match(seen.second.message, /connecting/);
  assert.match(seen.third.message, /connected/);
});

test('N-8: sends and requests that nobody awaits end no program, whatever becomes of them', async () => {
  const { app } = await installed();
  const close = Buffer.concat([Buffer.of(3, 232), Buffer.from('enough')]);
  for (const act of [
    (socket) => socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno'),
    (socket, request) => socket.write(Buffer.concat([Buffer.from(accepted(request)), frame(0x88, close)])),
    (socket) => socket.resetAndDestroy(),
  ]) {
    const far = await farEnd(act);
    const { stdout } = await run(process.execPath, [join(app, 'unheard.mjs'), far.ws], { cwd: app, timeout: 20_000 }).finally(far.stop);
    assert.match(JSON.parse(stdout).type, /exhausted|by-server/);
  }
});

test('S0-17, S2-3: an async listener that throws is told and counted as one that throws at once, and the others go on', async (t) => {
  const seen = await inPage(t, async ({ connect }, options) => {
    const client = await connect(options);
    const errors = [];
    client.onLifecycle(({ type, error }) => type === 'error' && errors.push([error.code, error.cause?.message]));
    const told = step(client, () => errors.length === 3);
    client.on('a', async () => {
      await null;
      throw new Error('by a client');
    });
    client.channel('news').on('a', async () => {
      throw new Error('by a channel');
    });
    client.once('a', () => Promise.reject(new Error('by once')));
    let heard = 0;
    client.on('a', () => (heard += 1));
    await emit(client, '{"type":"a","channel":"news"}');
    if (errors.length < 3) await told;
    const { listenerFailures } = client.stats();
    await emit(client, '{"type":"a"}');
    await client.close();
    return { errors: errors.slice(0, 3).sort(), listenerFailures, heard };
  }, { url: t.peer.ws, dialect: MINE });
  assert.deepEqual(seen, {
    errors: [['listener', 'by a channel'], ['listener', 'by a client'], ['listener', 'by once']], listenerFailures: 3, heard: 2,
  });
}, { complaints: ['by a client', 'by a channel', 'by once'] });

test('in a bundle without addresses, as of a CommonJS program, what cannot be loaded is told with the way out', async () => {
  const { app } = await installed();
  const { build } = await tool('esbuild');
  const load = (entry) => `import { createClient } from '${entry}'; createClient({ url: 'ws://localhost', dialect: 'raw' }).catch(({ code, message }) => console.log(code, message));`;
  for (const [entry, told] of [['everwire', /^load the .*: import everwire\/inline \(/], ['everwire/lean', /: import everwire\/lean\/inline \(/]]) {
    const outfile = join(app, 'bundle.cjs');
    await build({ stdin: { contents: load(entry), resolveDir: app }, bundle: true, format: 'cjs', logLevel: 'error', logOverride: { 'empty-import-meta': 'silent' }, outfile });
    assert.match((await run(process.execPath, [outfile], { cwd: app })).stdout, told);
  }
  for (const file of ['inline.js', 'lean/inline.js']) {
    const code = await readFile(join(app, 'node_modules/everwire/dist', file), 'utf8');
    assert.ok(code.includes('could not be loaded (${cause.message})') && !code.includes('import everwire'), file);
  }
});

test('a module that cannot be loaded is told with its address and the way out', async (t) => {
  for (const fulfil of [{ status: 404 }, { status: 200, contentType: 'text/html', body: '<!doctype html>the page of the app' }]) {
    await t.page.route('**/everwire_bg.wasm', (route) => route.fulfill(fulfil));
    const { code, message, retryable } = await inPage(t, ({ connect }, options) => failure(() => connect(options)), options(t.peer));
    assert.deepEqual([code, retryable], ['load', true]);
    assert.ok(message.includes(`${t.peer.http}/pkg/dist/everwire_bg.wasm`) && message.includes('everwire/inline'), message);
    await t.page.unroute('**/everwire_bg.wasm');
  }
}, { complaints: ['404'] });
