// Installs other packages into a folder, and weighs what a bundler makes of their clients, beside ours.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundled, everwire, line } from './bundled.mjs';

/** What one imports of each to have a connection. */
const PEERS = [
  ['reconnecting-websocket', 'default'],
  ['partysocket', 'default'],
  ['graphql-ws', 'createClient'],
  ['phoenix', 'Socket'],
  ['socket.io-client', 'io'],
  ['@microsoft/signalr', 'HubConnectionBuilder'],
  ['@azure/web-pubsub-client', 'WebPubSubClient'],
  ['@supabase/realtime-js', 'RealtimeClient'],
  ['pusher-js', 'default'],
  ['centrifuge', 'Centrifuge'],
  ['ably/modular', 'BaseRealtime, WebSocketTransport, FetchRequest'],
  ['ably', 'Realtime'],
  ['stream-chat', 'StreamChat'],
];
/** What a page has without any: a socket, `JSON.parse` and a map. */
const BY_HAND = `export function connect(url) {
  const listeners = new Map();
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    listeners.get(event.type)?.(event);
  };
  return { on: (type, listener) => listeners.set(type, listener), send: (event) => socket.send(JSON.stringify(event)) };
}`;

const [, , folder] = process.argv;
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'package.json'), '{ "private": true }');
const packages = [...new Set(PEERS.map(([name]) => (name.startsWith('@') ? name : name.split('/')[0])))];
execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', ...packages.map((name) => `${name}@latest`), 'graphql'], { cwd: folder, stdio: 'inherit' });

const rows = [['a socket by hand', await bundled(BY_HAND, folder)], ...(await everwire())];
for (const [name, what] of PEERS) {
  const { version } = JSON.parse(readFileSync(join(folder, 'node_modules', packages.find((of) => name === of || name.startsWith(`${of}/`)), 'package.json'), 'utf8'));
  const contents = `export { ${what} } from '${name}';`;
  rows.push([`${name} ${version}`, await bundled(contents, folder)]);
}
line('bytes', ['raw', 'gzip -9', 'brotli 11']);
for (const [name, sizes] of rows.toSorted((a, b) => a[1][1] - b[1][1])) line(name, sizes);
