// Why the connection was lost, and how it came back, step by step: from what the client tells of its life cycle.
import { $, clock, element, span } from './dom.js';

const MOST = 12;
const MOST_STEPS = 60;

const list = $('incidents');
/** The one that is not over. */
let open;

/** Says something to those who do not see the page. */
export function announce(text) {
  $('announce').textContent = text;
}

/** Something was broken on purpose. */
export function broken(title) {
  if (open === undefined) begin(title);
  else note(`Broken once more: ${title}`);
}

/** A line in what is going on, if anything is. */
export function note(text, kind = 'plain') {
  if (open === undefined) return;
  if (open.steps.children.length >= MOST_STEPS) open.steps.firstChild.remove();
  const after = element('span', { className: 'after' }, span(performance.now() - open.began));
  const line = element('li', {}, after, element('span', {}, text));
  line.dataset.kind = kind;
  open.steps.append(line);
  open.steps.scrollTop = open.steps.scrollHeight;
}

/** What the client tells. */
export function step(step) {
  switch (step.type) {
    case 'disconnected':
      if (open === undefined) begin('Connection lost');
      open.reason.append(step.error.message);
      note(`Lost: ${step.error.message}`, 'bad');
      announce(`Connection lost: ${step.error.message}`);
      break;
    case 'backing-off':
      if (open === undefined) begin('Could not connect');
      if (open.dialled) note(`Failed: ${step.error.message}`, 'bad');
      note(`Waits ${span(step.delay)}`, 'warn');
      break;
    case 'connecting':
      if (open === undefined) break;
      open.dialled = true;
      open.tries += 1;
      note(`Tries to connect, for the ${ordinal(open.tries)} time`, 'warn');
      open.badge.textContent = `try ${open.tries} …`;
      break;
    case 'error':
      note(`Failed: ${step.error.message}`, 'bad');
      break;
    case 'connected':
      note(`Connected as ${step.connectionId}`, 'good');
      end(step.downtime === undefined ? 'connected' : `back after ${span(step.downtime)}`, 'good');
      break;
    case 'closed':
      note(`Ended: ${step.cause.message}`, 'bad');
      end('ended', 'bad');
      break;
    default:
  }
}

function begin(title) {
  $('calm').hidden = true;
  for (const details of list.querySelectorAll('details')) details.open = false;
  const badge = element('span', { className: 'badge' }, 'now …');
  const reason = element('span', { className: 'reason' }, clock(new Date()), ' ');
  const steps = element('ol', { className: 'steps', tabIndex: 0, ariaLabel: 'Step by step' });
  const summary = element('summary', {}, element('b', {}, title), badge, reason);
  list.prepend(element('li', {}, element('details', { open: true }, summary, steps)));
  while (list.children.length > MOST) list.lastChild.remove();
  open = { began: performance.now(), badge, reason, steps, dialled: false, tries: 0 };
}

function end(text, kind) {
  if (open === undefined) return;
  open.badge.textContent = text;
  open.badge.dataset.kind = kind;
  announce(text === 'ended' ? 'The connection has ended' : `Connected: ${text}`);
  open = undefined;
}

function ordinal(count) {
  return ['first', 'second', 'third'][count - 1] ?? `${count}th`;
}
