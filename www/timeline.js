// The last minutes at one look: how many events came each second, above the states of the connection, on the same axis of time.
import { $, shape } from './dom.js';

/** So much is remembered, and shown where there is room for it and once there is so much. */
const LONGEST = 120_000;
const SHORTEST = 60_000;
const NARROW = 600;
/** What a word needs. */
const ROOM_OF_WORD = 44;
/** Between two times that are named. */
const TICK = 15_000;
/** More than fit into the time shown without being a flicker. */
const MOST_STATES = 300;
const MOST_MARKS = 20;
const HEIGHT = { top: 20, chart: 110, strip: 16, axis: 20 };
const STRIP_AT = HEIGHT.top + HEIGHT.chart + 6;

/** What a state looks like. */
const KINDS = {
  connected: 'connected',
  connecting: 'connecting',
  reconnecting: 'connecting',
  disconnected: 'waiting',
  'backing-off': 'waiting',
};

const svg = $('timeline');
const layer = (name) => svg.querySelector(`.${name}`);
const began = performance.now();
const seconds = new Array(LONGEST / 1000 + 1).fill(0);
let current = 0;
const states = [{ state: 'idle', from: began }];
const marks = [];
let width = 0;
let shown = SHORTEST;

/** One more event. */
export function count() {
  advance();
  seconds[current % seconds.length] += 1;
}

/** How many events came in the last whole second. */
export function rate() {
  advance();
  return current === 0 ? 0 : seconds[(current - 1) % seconds.length];
}

/** The state is another from now on. */
export function enter(state) {
  states.push({ state, from: performance.now() });
  if (states.length > MOST_STATES) states.shift();
}

/** Since when the state is what it is. */
export function since() {
  return performance.now() - states.at(-1).from;
}

/** Something was done now that has a name. */
export function mark(name) {
  marks.push({ name, at: performance.now() });
  if (marks.length > MOST_MARKS) marks.shift();
}

/** Goes on to the second that it is now. */
function advance() {
  const now = Math.floor((performance.now() - began) / 1000);
  // After a long sleep every place is stale, and none more than once.
  current = Math.max(current, now - seconds.length);
  while (current < now) {
    current += 1;
    seconds[current % seconds.length] = 0;
  }
}

export function draw() {
  if (width === 0) return;
  advance();
  const now = performance.now();
  shown = width < NARROW ? SHORTEST : Math.min(Math.max(now - began, SHORTEST), LONGEST);
  const x = (time) => width - ((now - time) / shown) * width;
  while (states.length > 1 && states[1].from < now - LONGEST) states.shift();
  while (marks.length > 0 && marks[0].at < now - LONGEST) marks.shift();
  drawBars(x);
  drawStates(x, now);
  drawAxis(x, now);
  fill(layer('marks'), 2 * marks.length, (place) => shape(place % 2 === 0 ? 'line' : 'text', {}));
  marks.forEach(({ name, at }, place) => {
    const [line, text] = [layer('marks').children[2 * place], layer('marks').children[2 * place + 1]];
    set(line, { x1: x(at), x2: x(at), y1: 14, y2: STRIP_AT + HEIGHT.strip });
    set(text, { x: Math.min(Math.max(x(at), 22), width - 22), y: 10, 'text-anchor': 'middle' });
    // The word of a later one would cover it.
    const next = marks[place + 1];
    set(text, { visibility: next !== undefined && x(next.at) - x(at) < ROOM_OF_WORD ? 'hidden' : 'visible' });
    text.textContent = name;
  });
}

function drawBars(x) {
  const most = scale(Math.max(...seconds, 4));
  const floor = HEIGHT.top + HEIGHT.chart;
  const bars = [];
  for (let second = Math.max(0, current - LONGEST / 1000); second <= current; second += 1) {
    const many = seconds[second % seconds.length];
    const [left, right] = [x(began + second * 1000), x(began + (second + 1) * 1000)];
    if (many > 0 && right > 0) {
      const gap = (right - left) * 0.14;
      bars.push(`M${left.toFixed(1)} ${floor}V${(floor - (many / most) * HEIGHT.chart).toFixed(1)}H${(Math.min(right, width) - gap).toFixed(1)}V${floor}Z`);
    }
  }
  layer('bars').setAttribute('d', bars.join(''));
  [...layer('grid').querySelectorAll('text')].forEach((text, line) => (text.textContent = (most * (2 - line)) / 2));
}

/** A round number for the top of the chart, which has a round half. */
function scale(most) {
  const steps = [2, 4, 6, 10, 20, 40, 60];
  const power = 10 ** Math.max(0, Math.floor(Math.log10(most)) - 1);
  return (steps.find((step) => step * power >= most) ?? 100) * power;
}

function drawStates(x, now) {
  fill(layer('strip'), states.length, () => shape('rect', { y: STRIP_AT, height: HEIGHT.strip }));
  fill(layer('outages'), states.length, () => shape('rect', { y: HEIGHT.top, height: HEIGHT.chart + 6 }));
  states.forEach(({ state, from }, place) => {
    const left = x(from);
    // What was too short to be seen is shown all the same.
    const right = Math.max(x(states[place + 1]?.from ?? now), left + (state === 'idle' ? 0 : 1.5));
    for (const name of ['strip', 'outages']) {
      const rect = layer(name).children[place];
      set(rect, { x: left.toFixed(1), width: (right - left).toFixed(1) });
      rect.dataset.kind = KINDS[state] ?? 'off';
    }
  });
}

function drawAxis(x, now) {
  const tick = shown > 75_000 ? 2 * TICK : TICK;
  const count = Math.floor(shown / tick) + 1;
  fill(layer('axis'), count, () => shape('text', { y: STRIP_AT + HEIGHT.strip + HEIGHT.axis - 4 }));
  [...layer('axis').children].forEach((text, place) => {
    const at = x(now - place * tick);
    set(text, { x: at, 'text-anchor': place === 0 ? 'end' : at < 20 ? 'start' : 'middle' });
    text.textContent = place === 0 ? 'now' : `−${(place * tick) / 1000} s`;
  });
}

/** Makes a layer have so many elements. */
function fill(layer, count, make) {
  while (layer.children.length > count) layer.lastChild.remove();
  while (layer.children.length < count) layer.append(make(layer.children.length));
}

function set(made, attributes) {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
}

/** What does not move: the lines of the chart, and the names of times. */
function layOut() {
  width = svg.clientWidth;
  const height = STRIP_AT + HEIGHT.strip + HEIGHT.axis;
  set(svg, { viewBox: `0 0 ${width} ${height}`, height });
  layer('grid').replaceChildren(
    ...[0, 0.5].flatMap((part) => {
      const y = HEIGHT.top + part * HEIGHT.chart;
      return [shape('line', { x1: 0, x2: width, y1: y, y2: y }), shape('text', { x: 2, y: y + 12 })];
    }),
  );
  layer('axis').replaceChildren();
  set(layer('track'), { width, y: STRIP_AT, height: HEIGHT.strip });
  draw();
}

new ResizeObserver(layOut).observe(svg);
