// everwire/react with React 19, in StrictMode: the sockets are counted where they end, at the server.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serveFolder } from './folder.mjs';
import { assert, options, test } from './harness.mjs';
import { installed, tool } from './installed.mjs';

/** The page of the tests, built once. */
let building;
function built() {
  building ??= (async () => {
    const { app } = await installed();
    const esbuild = await tool('esbuild');
    const out = join(app, 'out-react');
    await esbuild.build({
      entryPoints: [join(app, 'react.js')], bundle: true, format: 'esm', logLevel: 'error', outfile: join(out, 'app.js'),
      define: { 'process.env.NODE_ENV': '"development"' }, // where StrictMode does everything twice
    });
    const page = '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="./app.js"></script>';
    await writeFile(join(out, 'index.html'), page);
    return out;
  })();
  return building;
}

/** A test whose function runs in the page, with the kit and the options for the peer; then the rest, with what that gave. */
function inReact(name, inPage, then) {
  test(name, async (t) => {
    const server = await serveFolder(await built());
    const before = t.peer.connections.length;
    try {
      await t.page.goto(server.http);
      await t.page.waitForFunction(() => globalThis.kit !== undefined);
      await t.page.evaluate(HELPERS);
      await t.page.evaluate(`(${inPage})(globalThis.kit, ${JSON.stringify(options(t.peer, { backoffBase: 10 }))})`);
      await then(t, () => t.peer.connections.slice(before));
    } finally {
      await server.stop();
    }
  });
}

const HELPERS = () => {
  const { h, useConnectionState, useEvent } = globalThis.kit;
  /** A component that shows where its client stands. */
  globalThis.State = ({ client, id = 'state' }) => h('p', { id }, useConnectionState(client));
  /** A component that notes what it hears, with a word of its own. */
  globalThis.heard = [];
  globalThis.Ear = ({ client, type, word }) => (useEvent(client, type, ({ n }) => globalThis.heard.push(`${word} ${n}`)), null);
};

const shows = (t, text, id = 'state') => t.page.waitForFunction(([text, id]) => document.getElementById(id)?.textContent === text, [text, id]);
const heard = (t, count) => t.page.waitForFunction((count) => globalThis.heard.length >= count && globalThis.heard, count).then((value) => value.jsonValue());
const tick = (connection, n, type = 'tick.a') => connection.say(JSON.stringify({ type, n }));

inReact('StrictMode makes one client and one socket, which is closed when the component is gone', ({ h, mount, createClient, useClient }, options) => {
  globalThis.made = 0;
  globalThis.app = mount(() => {
    const client = useClient(() => (globalThis.made += 1, createClient(options)));
    return h(State, { client });
  });
}, async (t, sockets) => {
  await shows(t, 'connected');
  assert.deepEqual([await t.page.evaluate(() => globalThis.made), sockets().length], [1, 1]);
  await t.page.evaluate(() => globalThis.app.unmount());
  await t.peer.until(() => sockets()[0].closed);
  assert.deepEqual(sockets()[0].closed, { code: 1000, reason: 'client disconnect' });
  assert.equal(sockets().length, 1);
});

inReact('a component that is gone before its client is there leaves no socket', ({ h, mount, createClient, useClient }, options) => {
  let go;
  const held = new Promise((resolve) => (go = resolve));
  const app = mount(() => h(State, { client: useClient(() => held.then(() => createClient(options))) }));
  return new Promise((resolve) => setTimeout(resolve, 50))
    .then(() => app.unmount())
    .then(() => new Promise((resolve) => setTimeout(resolve, 50)))
    .then(go)
    .then(() => new Promise((resolve) => setTimeout(resolve, 200)));
}, async (t, sockets) => assert.equal(sockets().length, 0));

inReact('the state follows a reconnect, in every component', ({ h, mount, createClient, useClient }, options) => {
  globalThis.states = [];
  mount(() => {
    const client = useClient(() => createClient(options).then((made) => (made.onLifecycle((step) => step.type === 'state' && globalThis.states.push(step.new)), made)));
    return h('main', null, h(State, { client }), h(State, { client, id: 'other' }));
  });
}, async (t, sockets) => {
  await shows(t, 'connected');
  await shows(t, 'connected', 'other');
  sockets()[0].drop();
  await t.peer.until(() => sockets().length === 2 && sockets()[1].auth);
  await shows(t, 'connected');
  await shows(t, 'connected', 'other');
  assert.equal(sockets().length, 2);
  assert.ok((await t.page.evaluate(() => globalThis.states)).includes('backing-off'));
});

inReact('other options make another client, and the old one is closed', ({ h, mount, createClient, useClient }, options) => {
  const View = ({ user }) => {
    const client = useClient(() => createClient({ ...options, params: { api_key: 'key', user_id: user } }), [user]);
    return h('main', null, h(State, { client }), h(Ear, { client, type: 'tick.*', word: user }));
  };
  globalThis.app = mount(View, { user: 'alice' });
}, async (t, sockets) => {
  await shows(t, 'connected');
  tick(sockets()[0], 1);
  await heard(t, 1);
  await t.page.evaluate(() => globalThis.app.render({ user: 'bob' }));
  await t.peer.until(() => sockets().length === 2 && sockets()[1].auth && sockets()[0].closed);
  assert.deepEqual(sockets().map(({ auth }) => auth.user_details.id), ['alice', 'bob']);
  await shows(t, 'connected');
  tick(sockets()[1], 2);
  assert.deepEqual(await heard(t, 2), ['alice 1', 'bob 2']);
  // The same options again make nothing.
  await t.page.evaluate(() => globalThis.app.render({ user: 'bob' }));
  tick(sockets()[1], 3);
  await heard(t, 3);
  assert.equal(sockets().length, 2);
});

inReact('a listener lives as long as its component, follows its type, and is always the latest', ({ h, mount, createClient, useClient }, options) => {
  const View = (ear) => {
    const client = useClient(async () => (globalThis.client = await createClient(options)));
    return h('main', null, h(State, { client }), ear.type && h(Ear, { client, ...ear }));
  };
  globalThis.app = mount(View, { type: 'tick.*', word: 'first' });
}, async (t, sockets) => {
  await shows(t, 'connected');
  const [socket] = sockets();
  const render = (props) => t.page.evaluate((props) => (globalThis.app.render(props), new Promise((resolve) => setTimeout(resolve, 50))), props);
  tick(socket, 1);
  assert.deepEqual(await heard(t, 1), ['first 1']);
  await render({ type: 'tick.*', word: 'second' });
  tick(socket, 2);
  assert.deepEqual(await heard(t, 2), ['first 1', 'second 2']);
  await render({ type: 'tick.b', word: 'third' });
  tick(socket, 3);
  tick(socket, 4, 'tick.b');
  assert.deepEqual(await heard(t, 3), ['first 1', 'second 2', 'third 4']);
  await render({});
  const before = await t.page.evaluate(() => globalThis.client.stats().events);
  tick(socket, 5, 'tick.b');
  await t.page.waitForFunction((before) => globalThis.client.stats().events > before, before);
  await render({ type: 'tick.*', word: 'last' });
  tick(socket, 6);
  assert.deepEqual((await heard(t, 4)).slice(3), ['last 6']);
  assert.equal(sockets().length, 1);
});

inReact('no event is missed: what comes with the hello is heard', ({ h, mount, createClient, useClient }, options) => {
  mount(() => {
    const client = useClient(() => createClient(options));
    return h(Ear, { client, type: 'connection.ok', word: 'hello' });
  });
}, async (t) => assert.deepEqual(await heard(t, 1), ['hello undefined']));

inReact('wrong options go to the error boundary', ({ h, mount, createClient, useClient }, options) => {
  mount(() => h(State, { client: useClient(() => createClient({ ...options, nonsense: 1 })) }));
}, async (t, sockets) => {
  await shows(t, 'config nonsense', 'thrown');
  assert.equal(sockets().length, 0);
});

inReact('a component that is kept while its function is another, as hot reload keeps it, has a client with the new options', (kit, options) => {
  const { h, mount, createClient, useClient, Activity, flushSync } = kit;
  const Owner = ({ user }) => h(State, { client: useClient(() => createClient({ ...options, params: { ...options.params, user_id: user } })) });
  const app = mount(({ user, mode }) => h(Activity, { mode }, h(Owner, { user })), { user: 'alice', mode: 'visible' });
  // Its effects are taken back and done again at once.
  globalThis.edit = () => {
    flushSync(() => app.render({ user: 'alice', mode: 'hidden' }));
    flushSync(() => app.render({ user: 'bob', mode: 'visible' }));
  };
}, async (t, connections) => {
  const of = (id) => t.peer.until(() => connections().find(({ auth }) => auth?.user_details.id === id));
  const alice = await of('alice');
  await shows(t, 'connected');
  await t.page.evaluate(() => globalThis.edit());
  await of('bob');
  await shows(t, 'connected');
  await t.peer.until(() => alice.closed);
  assert.equal(connections().length, 2);
});
