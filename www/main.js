// The live view: one client, what it receives, what happens to it, and the buttons that break things.
import { createClient } from '/pkg/index.js';
import { $, element, span } from './dom.js';
import * as incidents from './incidents.js';
import * as stream from './stream.js';
import * as timeline from './timeline.js';

/** What the buttons break: the name of it, the word on the time line, and for how many seconds it lasts. */
const BREAKS = {
  drop: ['Socket dropped', 'drop'],
  'expire-token': ['Token expired', 'token'],
  freeze: ['Server frozen', 'freeze', 8],
  refuse: ['Went offline', 'offline', 8],
};

/** What the states are called here. */
const NAMES = {
  idle: 'Not connected',
  connecting: 'Connecting',
  connected: 'Connected',
  disconnecting: 'Closing',
  disconnected: 'Lost',
  reconnecting: 'Reconnecting',
  'backing-off': 'Reconnecting',
  failed: 'Failed',
  closed: 'Disconnected',
};
const ENDED = ['idle', 'closed', 'failed'];
const [state, toggle] = ['state', 'toggle'].map($);
const userId = `page-${Math.random().toString(36).slice(2, 8)}`;
let received = 0;
/** When the next try is due. */
let nextTry = 0;

// `everwire demo` makes tokens, and lets itself be broken. Other servers that serve this page take any token.
const isDemo = (await fetch('/', { method: 'HEAD' })).headers.has('everwire-demo');

const client = await createClient({
  url: location.origin,
  params: { api_key: 'demo', user_id: userId },
  token: isDemo ? fetchToken : () => 'demo-token',
  maxAttempts: 0,
  // Far quicker to notice silence than one would be elsewhere (35 s), for those who want to see it happen.
  healthCheckInterval: 1500,
  silenceTimeout: 4000,
  stableAfter: 2000,
});

/** Called by the client whenever it needs a token, and a fresh one once the server says that the last has expired. */
async function fetchToken() {
  const response = await fetch(`/demo/token?user_id=${userId}`);
  if (!response.ok) throw new Error(`no token: ${response.status}`);
  incidents.note('Fetched a fresh token');
  return response.text();
}

client.on('*', (event, type) => {
  if (type === 'connection.ok' || type === 'health.check') return;
  received += 1;
  timeline.count();
  stream.add(event, type);
});

client.onLifecycle((step) => {
  if (step.type === 'backing-off') nextTry = performance.now() + step.delay;
  if (step.type === 'state') showState(step.new);
  else incidents.step(step);
});

// The program that serves this page tells at its end how much the page has seen.
setInterval(() => {
  // A connection that is lost meanwhile is told of as such.
  if (client.state === 'connected') client.send({ type: 'demo.report', received }).catch(() => {});
}, 1000);

function showState(now) {
  timeline.enter(now);
  state.textContent = NAMES[now] ?? now;
  state.dataset.state = now;
  const ended = ENDED.includes(now);
  toggle.textContent = ended ? 'Connect' : 'Disconnect';
  for (const button of document.querySelectorAll('[data-break]')) button.disabled = ended || !isDemo;
  showSince();
}

function showSince() {
  const waits = client.state === 'backing-off';
  const time = waits ? `next try in ${span(Math.max(0, nextTry - performance.now()))}` : `for ${span(timeline.since())}`;
  $('since').textContent = ENDED.includes(client.state) ? 'Press Connect to go on.' : time;
}

toggle.addEventListener('click', () => (ENDED.includes(client.state) ? connect() : client.close()));

function connect() {
  // How it ends is told by the life cycle, which is shown.
  client.connect().catch(() => {});
}

for (const button of document.querySelectorAll('[data-break]')) {
  button.addEventListener('click', () => breakIt(button, button.dataset.break));
}
if (!isDemo) $('break-hint').textContent = 'For this the page has to be served by `everwire demo`.';

async function breakIt(button, what) {
  const [title, word, seconds] = BREAKS[what];
  timeline.mark(word);
  incidents.broken(title);
  if (seconds !== undefined) showTime(button, seconds);
  try {
    const response = await fetch(`/demo/${what}${seconds === undefined ? '' : `?seconds=${seconds}`}`, { method: 'POST' });
    if (!response.ok) incidents.note(`The demo did not do it: ${response.status}`, 'bad');
  } catch {
    incidents.note('The demo did not answer', 'bad');
  }
}

/** A bar in the button that says how long it still lasts. */
function showTime(button, seconds) {
  button.querySelector('.left')?.remove();
  const left = element('span', { className: 'left' });
  button.append(left);
  const shrinking = left.animate({ transform: ['scaleX(1)', 'scaleX(0)'] }, seconds * 1000);
  shrinking.finished.then(() => left.remove(), () => {});
}

function showFigures() {
  const { connects, tokenFetches } = client.stats();
  $('received').textContent = received.toLocaleString();
  $('rate').textContent = timeline.rate().toLocaleString();
  $('connects').textContent = connects;
  $('tokens').textContent = tokenFetches;
  showSince();
  stream.showFigures();
}

function paint() {
  requestAnimationFrame(paint);
  stream.paint();
}

setInterval(() => {
  if (document.hidden) return;
  timeline.draw();
  showFigures();
}, 200);
requestAnimationFrame(paint);
connect();
