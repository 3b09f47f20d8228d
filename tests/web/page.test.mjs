// The live page: opened on the embedded server, and on one built on npm `ws`.
import { mkdirSync } from 'node:fs';
import { assert, test } from './harness.mjs';

const REPORTS = new URL('../../reports/', import.meta.url);

/** Opens the page and notes which hosts it asks for anything. */
async function open(t, server) {
  const hosts = new Set();
  t.page.on('request', (request) => hosts.add(new URL(request.url()).host));
  t.page.on('websocket', (socket) => hosts.add(new URL(socket.url()).host));
  await t.page.goto(server.http);
  await t.page.waitForSelector('#state[data-state="connected"]');
  return hosts;
}

const received = () => Number(document.getElementById('received').textContent.replace(/\D/g, ''));

async function shoot(page, name) {
  mkdirSync(REPORTS, { recursive: true });
  await page.screenshot({ path: new URL(`page-${name}.png`, REPORTS).pathname });
}

test('the page shows the events of the embedded server as they come', async (t) => {
  const embedded = await t.embedded();
  const hosts = await open(t, embedded);
  await t.page.waitForFunction(`(${received})() >= 100`);
  await t.page.waitForFunction(() => document.querySelectorAll('#events li').length >= 50);
  await t.page.waitForFunction(() => Number(document.getElementById('rate').textContent) > 10);
  assert.ok(await t.page.locator('#totals li').count() > 10);
  await shoot(t.page, 'light');
  assert.deepEqual([...hosts], [new URL(embedded.http).host]);
});

test('the page is usable by keyboard: filter, details, pause, disconnect and connect', async (t) => {
  await open(t, await t.embedded());
  const { page } = t;
  await page.waitForFunction(`(${received})() >= 60`);

  await page.locator('#filter').focus();
  await page.keyboard.type('issues');
  await page.waitForFunction(() => document.querySelectorAll('#events li').length > 2 && [...document.querySelectorAll('#events li')].every((row) => row.textContent.toLowerCase().includes('issues')));
  await page.locator('#filter').fill('');

  await page.locator('#pause').focus();
  await page.keyboard.press('Space');
  assert.equal(await page.locator('#pause').getAttribute('aria-pressed'), 'true');
  await page.waitForSelector('#events summary');
  await page.locator('#events summary').first().focus();
  await page.keyboard.press('Enter');
  const json = await page.locator('#events details[open] pre').first().textContent();
  assert.equal(typeof JSON.parse(json).type, 'string');

  await page.locator('#toggle').focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('#state[data-state="closed"]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#state[data-state="connected"]');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'toggle');
});

test('the page fits a phone, in the dark', async (t) => {
  await open(t, await t.embedded());
  await t.page.waitForFunction(`(${received})() >= 30`);
  await t.page.waitForSelector('#totals li');
  await shoot(t.page, 'phone-dark');
  const overflow = await t.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0);
}, { context: { viewport: { width: 360, height: 740 }, colorScheme: 'dark', isMobile: true, hasTouch: true } });

test('the page works with a server built on npm ws, survives a drop, and reports what it received', async (t) => {
  const { page, peer } = t;
  await open(t, peer);
  const connection = peer.connections.at(-1);
  connection.say('{"type":"issues.opened","issue":{"title":"<b>not markup</b>"},"sender":{"login":"octocat"}}');
  await page.waitForSelector('#events li');
  assert.match(await page.locator('#events li').first().textContent(), /issues\.opened.*octocat.*<b>not markup<\/b>/);
  await peer.until(() => connection.received.some((text) => text === '{"type":"demo.report","received":1}'));
  connection.drop();
  const second = await peer.until((all) => all.at(-1) !== connection && all.at(-1).auth && all.at(-1));
  await page.waitForFunction(() => document.getElementById('connects').textContent === '2');
  second.say('{"type":"push"}');
  await page.waitForFunction(`(${received})() === 2`);
  await page.locator('.log summary').click();
  assert.match(await page.locator('#log').textContent(), /Connection lost/);
});
