// The stream: the last events, of which those are shown that pass the filter; and how many there were of each type.
import { $, clock, element } from './dom.js';
import { compile } from './filter.js';

/** So many events are kept, and so many of them are shown. */
const KEPT = 500;
const ROWS = 100;
/** A server that invents types without end does not fill the page. */
const MOST_TYPES = 200;

const [filter, pause, list, totals] = ['filter', 'pause', 'events', 'totals'].map($);

let kept = [];
let fresh = [];
let wanted = compile('');
const counts = new Map();

/** One more event. */
export function add(event, type) {
  if (counts.has(type) || counts.size < MOST_TYPES) counts.set(type, (counts.get(type) ?? 0) + 1);
  if (pause.ariaPressed === 'true') return;
  fresh.push({ event, type, at: new Date() });
  // A hidden page paints nothing: what would not be seen anyway is let go.
  if (fresh.length > KEPT) fresh.shift();
}

/** Shows what has come since the last time. */
export function paint() {
  if (fresh.length === 0) return;
  const rows = fresh.filter(fits).slice(-ROWS);
  kept = [...kept, ...fresh].slice(-KEPT);
  fresh = [];
  list.prepend(...rows.reverse().map(row));
  while (list.children.length > ROWS) list.lastChild.remove();
  showCount();
}

function fits({ event, type }) {
  return wanted(type, about(event));
}

function choose() {
  wanted = compile(filter.value);
  list.replaceChildren(...kept.filter(fits).slice(-ROWS).reverse().map(row));
  for (const button of document.querySelectorAll('.tries button')) button.ariaPressed = String(button.value === filter.value.trim());
  showCount();
  showTotals();
}

function showCount() {
  const shown = list.children.length;
  $('shown').textContent = filter.value.trim() === '' ? '' : `${shown === ROWS ? `the last ${ROWS}` : shown} shown`;
  $('empty').hidden = shown > 0;
  $('empty').textContent = kept.length === 0 ? 'Waiting for the first event …' : 'Nothing like this among the last events.';
}

filter.addEventListener('input', choose);
for (const button of document.querySelectorAll('.tries button')) button.addEventListener('click', () => toggle(button.value));

/** Filters by this, or by nothing if that was it already. */
function toggle(value) {
  filter.value = filter.value === value ? '' : value;
  choose();
}

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

function row({ event, type, at }) {
  const line = element('summary', {}, clock(at), element('span', { className: 'type' }, type), element('span', { className: 'about' }, about(event)));
  const details = element('details', {}, line);
  // The whole event is written out only when somebody wants to see it.
  details.addEventListener('toggle', () => details.append(element('pre', { tabIndex: 0 }, JSON.stringify(event, null, 2))), { once: true });
  return element('li', {}, details);
}

/** The totals. A list that is being used does not move under the finger. */
export function showFigures() {
  $('kinds').textContent = counts.size;
  if (!totals.matches(':hover, :focus-within')) showTotals();
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
  button.addEventListener('click', () => toggle(button.value));
  totals.append(element('li', {}, button));
  return button;
}
