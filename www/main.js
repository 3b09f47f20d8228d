// The live view: listens to every event, and shows the stream, the totals and what happens to the connection.
import { createClient } from 'everwire';

const ROWS = 200;
const LOG_LINES = 100;
const SECONDS = 60;

const $ = (id) => document.getElementById(id);
const [state, toggle, filter, pause, list, totals, log] = ['state', 'toggle', 'filter', 'pause', 'events', 'totals', 'log'].map($);

const client = await createClient({
  url: location.origin,
  params: { api_key: 'demo', user_id: `page-${Math.random().toString(36).slice(2, 8)}` },
  // The demo's server takes any token. A real one would come from your own backend, fresh on every call.
  token: async () => 'demo-token',
  maxAttempts: 0,
});

let received = 0;
let waiting = [];
const counts = new Map();
const perSecond = new Array(SECONDS).fill(0);

client.on('*', (event, type) => {
  if (type === 'connection.ok' || type === 'health.check') return;
  received += 1;
  perSecond[SECONDS - 1] += 1;
  counts.set(type, (counts.get(type) ?? 0) + 1);
  if (pause.ariaPressed === 'true' || !fits(event, type)) return;
  waiting.push({ event, type, at: new Date() });
  // A hidden page paints nothing: what would not be seen anyway is let go.
  if (waiting.length > ROWS) waiting.shift();
});

client.onLifecycle((step) => {
  if (step.type === 'state') showState(step.new);
  else note(describe(step));
});

// The program that serves this page tells at its end how much the page has seen.
setInterval(() => {
  if (client.state === 'connected') client.send({ type: 'demo.report', received }).catch((error) => note(error.message));
}, 1000);

function showState(now) {
  state.textContent = now.replace('-', ' ');
  state.dataset.state = now;
  toggle.textContent = ['idle', 'closed', 'failed'].includes(now) ? 'Connect' : 'Disconnect';
}

toggle.addEventListener('click', () => (['idle', 'closed', 'failed'].includes(client.state) ? connect() : client.close()));

function connect() {
  // How it ends is told by the life cycle, which is shown.
  client.connect().catch(() => {});
}

function describe(step) {
  switch (step.type) {
    case 'connecting':
      return `Connecting to ${step.url}${step.attempt > 1 ? `, try ${step.attempt}` : ''}`;
    case 'connected':
      return `Connected as ${step.connectionId}${step.downtime === undefined ? '' : ` after ${(step.downtime / 1000).toFixed(1)} s`}`;
    case 'disconnected':
      return `Connection lost: ${step.error.message}`;
    case 'backing-off':
      return `Next try in ${(step.delay / 1000).toFixed(1)} s: ${step.error.message}`;
    case 'error':
      return `Error: ${step.error.message}`;
    case 'closed':
      return `Ended: ${step.cause.message}`;
    default:
      return JSON.stringify(step);
  }
}

function note(text) {
  log.prepend(element('li', {}, clock(new Date()), text));
  while (log.children.length > LOG_LINES) log.lastChild.remove();
}

// What is written in the filter is looked for in the type and in the one line about the event.
function fits(event, type) {
  const wanted = filter.value.trim().toLowerCase();
  return wanted === '' || `${type} ${about(event)}`.toLowerCase().includes(wanted);
}

filter.addEventListener('input', () => {
  waiting = waiting.filter(({ event, type }) => fits(event, type));
  for (const row of [...list.children]) if (!fits(row.shown.event, row.shown.type)) row.remove();
  showEmpty();
});

pause.addEventListener('click', () => {
  pause.ariaPressed = String(pause.ariaPressed !== 'true');
  pause.textContent = pause.ariaPressed === 'true' ? 'Go on' : 'Pause';
});

/** One line about a GitHub event. */
function about(event) {
  const who = event.sender?.login ?? event.pusher?.name;
  const thing = ['issue', 'pull_request', 'release', 'discussion', 'check_run', 'workflow_run', 'milestone', 'label', 'package']
    .map((name) => event[name])
    .find((value) => value !== null && typeof value === 'object');
  const title = thing?.title ?? thing?.name ?? event.head_commit?.message?.split('\n')[0];
  return [who, title && `“${title}”`, event.repository?.full_name].filter(Boolean).join(' · ');
}

function clock(date) {
  return element('time', { dateTime: date.toISOString() }, date.toLocaleTimeString());
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function row({ event, type, at }) {
  const line = element('summary', {}, clock(at), element('span', { className: 'type' }, type), element('span', { className: 'about' }, about(event)));
  const details = element('details', {}, line);
  // The whole event is written out only when somebody wants to see it.
  details.addEventListener('toggle', () => details.append(element('pre', { tabIndex: 0 }, JSON.stringify(event, null, 2))), { once: true });
  return element('li', { shown: { event, type } }, details);
}

function showEmpty() {
  $('empty').hidden = list.children.length > 0;
}

function paint() {
  requestAnimationFrame(paint);
  if (waiting.length === 0) return;
  list.prepend(...waiting.reverse().map(row));
  waiting = [];
  while (list.children.length > ROWS) list.lastChild.remove();
  showEmpty();
}

function showTotals() {
  const most = Math.max(...counts.values(), 1);
  const sorted = [...counts].sort(([a, countOfA], [b, countOfB]) => countOfB - countOfA || a.localeCompare(b));
  sorted.forEach(([type, count], place) => {
    const button = totals.children[place]?.firstChild ?? newTotal();
    if (button.value !== type) [button.value, button.firstChild.textContent] = [type, type];
    button.lastChild.textContent = count;
    button.style.setProperty('--share', `${(100 * count) / most}%`);
    button.ariaPressed = String(filter.value === type);
  });
}

function newTotal() {
  const button = element('button', { type: 'button' }, element('span', {}), element('span', { className: 'count' }));
  button.addEventListener('click', () => {
    filter.value = filter.value === button.value ? '' : button.value;
    filter.dispatchEvent(new Event('input'));
    showTotals();
  });
  totals.append(element('li', {}, button));
  return button;
}

function showFigures() {
  $('received').textContent = received.toLocaleString();
  $('kinds').textContent = counts.size;
  $('connects').textContent = client.stats().connects;
}

// Once a second: the rate is that of the second that has just passed.
function tick() {
  const rate = perSecond[SECONDS - 1];
  perSecond.push(0);
  perSecond.shift();
  $('rate').textContent = rate.toLocaleString();
  const most = Math.max(...perSecond, 1);
  const points = perSecond.slice(0, -1).map((count, second) => `${second},${(19 - (18 * count) / most).toFixed(1)}`);
  $('spark').firstElementChild.setAttribute('points', points.join(' '));
}

setInterval(tick, 1000);
setInterval(() => {
  showFigures();
  // A list that is being used does not move under the finger.
  if (!totals.matches(':hover, :focus-within')) showTotals();
}, 250);
requestAnimationFrame(paint);
connect();
