// The live page: opened on the demo, which it breaks, on the embedded server, and on a server built on npm `ws`.
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { assert, test } from './harness.mjs';

const REPORTS = new URL('../../reports/', import.meta.url);
const AXE = new URL('fixtures/node_modules/axe-core/axe.min.js', import.meta.url);
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
/** What Chromium itself writes when a handshake is refused. */
const REFUSED = 'Unexpected response code: 503';

/** Opens the page and notes which hosts it asks for anything. */
async function open(t, server) {
  const hosts = new Set();
  t.page.on('request', (request) => hosts.add(new URL(request.url()).host));
  t.page.on('websocket', (socket) => hosts.add(new URL(socket.url()).host));
  await t.page.goto(server.http);
  await state(t.page, 'connected');
  return hosts;
}

const state = (page, name) => page.waitForSelector(`#state[data-state="${name}"]`);
const figure = (page, id) => page.locator(`#${id}`).textContent().then((text) => Number(text.replace(/\D/g, '')));
const atLeast = (page, id, count) =>
  page.waitForFunction(([id, count]) => Number(document.getElementById(id).textContent.replace(/\D/g, '')) >= count, [id, count]);

async function shoot(page, name, fullPage = false) {
  mkdirSync(REPORTS, { recursive: true });
  await page.screenshot({ path: new URL(`page-${name}.png`, REPORTS).pathname, fullPage });
}

/** What the newest entry of the list of recoveries says once it is over. */
async function recovered(page) {
  await page.waitForSelector('#incidents > li:first-child .badge[data-kind="good"]', { timeout: 20_000 });
  await state(page, 'connected');
  return page.locator('#incidents > li').first().textContent();
}

test('the page shows the events of the embedded server as they come, and asks nobody else for anything', async (t) => {
  const embedded = await t.embedded();
  const hosts = await open(t, embedded);
  await atLeast(t.page, 'received', 100);
  await t.page.waitForFunction(() => document.querySelectorAll('#events li').length >= 50);
  await atLeast(t.page, 'rate', 10);
  assert.ok(await t.page.locator('#totals li').count() > 10);
  assert.ok((await t.page.locator('#timeline .bars').getAttribute('d')).length > 20);
  assert.deepEqual([...hosts], [new URL(embedded.http).host]);
  // Only the demo lets itself be broken.
  assert.equal(await t.page.locator('[data-break]:enabled').count(), 0);
});

test('the page never holds more rows than so many, however many events come', async (t) => {
  const { page, peer } = t;
  await open(t, peer);
  const connection = peer.connections.at(-1);
  for (let n = 0; n < 2000; n += 1) connection.say(`{"type":"made.${n}","n":${n}}`);
  await atLeast(page, 'received', 2000);
  await page.waitForFunction(() => document.querySelector('#events .type')?.textContent === 'made.1999');
  assert.equal(await page.locator('#events li').count(), 100);
  assert.ok(await page.locator('#totals li').count() <= 200);
});

test('the page recovers from a dropped socket and from an expired token, and tells how', async (t) => {
  const { page } = t;
  await open(t, await t.demo());
  await atLeast(page, 'received', 20);
  assert.deepEqual([await figure(page, 'connects'), await figure(page, 'tokens')], [1, 1]);

  await page.locator('[data-break="drop"]').click();
  assert.match(await recovered(page), /Socket dropped.*back after.*the connection broke.*Waits.*Tries to connect.*Connected as/);
  await atLeast(page, 'connects', 2);
  assert.equal(await figure(page, 'tokens'), 1);

  await page.locator('[data-break="expire-token"]').click();
  assert.match(await recovered(page), /Token expired.*the token has expired \(code 40\).*Fetched a fresh token.*Connected as/);
  await atLeast(page, 'connects', 3);
  assert.equal(await figure(page, 'tokens'), 2);

  // What happened is on the time line too, and was said to those who do not see it.
  await page.waitForFunction(() => document.querySelectorAll('#timeline .strip [data-kind="connected"]').length >= 3);
  assert.deepEqual(await page.locator('#timeline .marks text').allTextContents(), ['drop', 'token']);
  assert.match(await page.locator('#announce[role="status"]').textContent(), /^Connected: back after/);
  const before = await figure(page, 'received');
  await atLeast(page, 'received', before + 20);
  await shoot(page, 'light', true);
});

test('the page notices a frozen server by its silence, and is back when it thaws', async (t) => {
  const { page } = t;
  await open(t, await t.demo());
  await page.locator('[data-break="freeze"]').click();
  assert.equal(await page.locator('[data-break="freeze"] .left').count(), 1);
  await page.waitForSelector('#state:not([data-state="connected"])');
  await page.waitForFunction(() => document.querySelector('#incidents .steps')?.textContent.includes('Lost: nothing came'));
  await page.waitForTimeout(1500); // for a picture with something to see
  await shoot(page, 'recovery-dark');
  const story = await recovered(page);
  assert.match(story, /Server frozen.*back after.*nothing came from the server for too long.*Connected as/);
  const before = await figure(page, 'received');
  await atLeast(page, 'received', before + 20);
}, { context: { colorScheme: 'dark' } });

test('the page goes offline, tries again and again, and is back when the server can be reached', async (t) => {
  const { page } = t;
  await open(t, await t.demo());
  await page.locator('[data-break="refuse"]').click();
  await state(page, 'backing-off');
  await page.waitForFunction(() => /^next try in/.test(document.getElementById('since').textContent));
  await page.waitForFunction(() => document.querySelector('#timeline .strip [data-kind="waiting"]') !== null);
  const story = await recovered(page);
  assert.match(story, /Went offline.*back after.*the connection broke.*Failed: .*Tries to connect, for the second time.*Connected as/);
}, { complaints: [REFUSED] });

test('the filter takes patterns and words, and what it hides comes back', async (t) => {
  const { page, peer } = t;
  await open(t, peer);
  const connection = peer.connections.at(-1);
  for (const type of ['issues.opened', 'issues.closed', 'pull_request.opened', 'push', 'call.member.joined']) {
    connection.say(JSON.stringify({ type, sender: { login: type === 'push' ? 'octocat' : 'hubot' } }));
  }
  await page.waitForFunction(() => document.querySelectorAll('#events li').length === 5);
  const shown = () => page.locator('#events .type').allTextContents();
  for (const [text, want] of [
    ['issues.*', ['issues.closed', 'issues.opened']],
    ['*.opened', ['pull_request.opened', 'issues.opened']],
    ['call.*', []],
    ['call.**', ['call.member.joined']],
    ['*', ['call.member.joined', 'push', 'pull_request.opened', 'issues.closed', 'issues.opened']],
    ['octo', ['push']],
    ['HUBOT request', ['pull_request.opened']],
    ['', ['call.member.joined', 'push', 'pull_request.opened', 'issues.closed', 'issues.opened']],
  ]) {
    await page.locator('#filter').fill(text);
    assert.deepEqual(await shown(), want, text);
  }
  await page.locator('.tries button').first().click();
  assert.equal(await page.locator('#filter').inputValue(), 'issues.*');
  connection.say('{"type":"push"}');
  connection.say('{"type":"issues.labeled"}');
  await page.waitForFunction(() => document.querySelectorAll('#events li').length === 3);
  assert.deepEqual((await shown())[0], 'issues.labeled');
  await page.locator('#totals').hover(); // the list stands still while it is pointed at
  await page.locator('#totals button', { hasText: 'push' }).click();
  assert.deepEqual(await shown(), ['push', 'push']);
});

test('the page is usable by keyboard alone', async (t) => {
  const { page } = t;
  await open(t, await t.demo());
  await atLeast(page, 'received', 30);
  const focused = () => page.evaluate(() => document.activeElement.dataset.break ?? document.activeElement.id ?? '');
  const tabTo = async (wanted) => {
    for (let presses = 0; presses < 30 && (await focused()) !== wanted; presses += 1) await page.keyboard.press('Tab');
    assert.equal(await focused(), wanted);
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineWidth);
    assert.equal(outline, '3px', `the focus on ${wanted} is seen`);
  };
  await tabTo('toggle');
  await page.keyboard.press('Enter');
  await state(page, 'closed');
  assert.equal(await page.locator('[data-break]:enabled').count(), 0);
  await page.keyboard.press('Enter');
  await state(page, 'connected');
  assert.equal(await focused(), 'toggle');
  await tabTo('drop');
  await page.keyboard.press('Space');
  assert.match(await recovered(page), /Socket dropped/);
  await tabTo('filter');
  await page.keyboard.type('*.created');
  await page.waitForFunction(() => {
    const types = [...document.querySelectorAll('#events .type')];
    return types.length > 0 && types.every((type) => type.textContent.endsWith('.created'));
  });
  await tabTo('pause');
  await page.keyboard.press('Space');
  assert.equal(await page.locator('#pause').getAttribute('aria-pressed'), 'true');
  await page.locator('#events summary').first().focus();
  await page.keyboard.press('Enter');
  const json = await page.locator('#events details[open] pre').first().textContent();
  assert.equal(typeof JSON.parse(json).type, 'string');
  // Everything that can be used has a name.
  const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input')]
    .filter((control) => control.textContent.trim() === '' && control.labels?.length === 0).length);
  assert.equal(nameless, 0);
});

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing to mend in the page, ${colorScheme}, whole and broken`, async (t) => {
    const { page } = t;
    await open(t, await t.demo());
    await atLeast(page, 'received', 20);
    await page.evaluate(await readFile(AXE, 'utf8'));
    const violations = () => page.evaluate(async () => (await globalThis.axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`));
    assert.deepEqual(await violations(), []);
    await page.locator('[data-break="refuse"]').click();
    await state(page, 'backing-off');
    assert.deepEqual(await violations(), []);
    await recovered(page);
    assert.deepEqual(await violations(), []);
  }, { context: { colorScheme, bypassCSP: true }, complaints: [REFUSED] });

  test(`the page fits a phone, ${colorScheme}, also with a recovery in it`, async (t) => {
    const { page } = t;
    await open(t, await t.demo());
    await atLeast(page, 'received', 30);
    await page.locator('[data-break="drop"]').tap();
    await recovered(page);
    await shoot(page, `phone-${colorScheme}`, true);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(overflow, 0);
    // A finger needs room.
    const small = await page.evaluate(() => [...document.querySelectorAll('button, input')]
      .map((control) => control.getBoundingClientRect()).filter(({ height, width }) => height < 24 || width < 24).length);
    assert.equal(small, 0);
  }, { context: { ...PHONE, colorScheme } });
}

test('another site cannot break the demo, nor frame its page', async (t) => {
  const demo = await t.demo();
  const { page, peer } = t;
  await page.goto(`${peer.http}/tests/web/blank.html`);
  const tried = await page.evaluate(async (demo) => {
    // Sent, as such a request may be, but refused; and a token cannot be read.
    await fetch(`${demo}/demo/drop`, { method: 'POST', mode: 'no-cors' });
    return fetch(`${demo}/demo/token?user_id=alice`).then(() => 'read', () => 'kept');
  }, demo.http);
  assert.equal(tried, 'kept');
  assert.equal((await fetch(`${demo.http}/demo/drop`, { method: 'POST', headers: { origin: 'http://evil.example' } })).status, 403);
  assert.equal((await fetch(`${demo.http}/demo/drop`)).status, 405);
  assert.match((await fetch(demo.http)).headers.get('content-security-policy'), /frame-ancestors 'none'/);
}, { complaints: ['CORS policy', 'net::ERR_FAILED', '403 (Forbidden)'] });

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
  await page.waitForFunction(() => document.getElementById('received').textContent === '2');
  assert.match(await recovered(page), /Connection lost.*the connection broke/);
});
