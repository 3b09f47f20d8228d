// One connection for many tabs (N-10), in browsers in which pages can crash, freeze, be hidden and be kept.
import { request } from 'node:http';
import { launchBare } from './bare.mjs';
import { assert, inFirefox, test } from './harness.mjs';
import { neverTwo, numbers, ours, own, say, start, whole } from './sharing.mjs';

/** Pages of a browser with a client that shares, one after the other. */
async function tabs(t, browser, options, count) {
  const pages = [];
  while (pages.length < count) {
    const page = await browser.newPage(`${t.peer.http}/tests/web/blank.html`);
    await page.until(() => globalThis.everwire !== undefined);
    await page.run(start, options);
    pages.push(page);
  }
  return pages;
}

/** In a Chromium of its own, in which pages can crash, freeze, be hidden and be kept. */
async function inBare(t, options, count, run) {
  const browser = await launchBare(['--disable-features=ProcessPerSiteUpToMainFrameThreshold']);
  try {
    await run(await tabs(t, browser, options, count));
  } finally {
    await browser.close();
  }
}

/** In the Firefox of all tests. */
async function inFirefoxTabs(t, options, count, run) {
  const pages = await tabs(t, await t.firefox(), options, count);
  await run(pages);
  for (const page of pages) await page.close().catch(() => {});
}

/** The first of three tabs goes, and the others go on within a second, and have heard all there was. */
async function goesOn(t, options, [first, second, third], how, go) {
  say(ours(t, options)[0], 1, 100);
  for (const page of [second, third]) await page.until(() => globalThis.seen.at(-1) === 100);
  assert.equal(await first.run(() => globalThis.client.leader), true);
  const began = Date.now();
  go();
  await second.until(() => globalThis.connectedAt.length === 2);
  const took = (await second.run(() => globalThis.connectedAt[1])) - began;
  console.log(`     fail-over after a ${how}: ${took} ms`);
  assert.ok(took < 1000, `${took} ms`);
  await t.peer.until(() => ours(t, options)[1]?.auth);
  say(ours(t, options)[1], 101, 200);
  for (const page of [second, third]) {
    await page.until(() => globalThis.seen.at(-1) === 200);
    assert.deepEqual(await page.run(() => globalThis.seen.filter((seen) => typeof seen === 'number')), numbers(1, 200));
  }
  neverTwo(t, options);
}

/** The tab that leads is hidden and loses its socket: the one that is seen has the next. */
async function givesTheLead(t, options, [first, second]) {
  await second.show();
  await first.until(() => document.hidden);
  assert.equal(await first.run(() => globalThis.client.leader), true);
  ours(t, options)[0].drop();
  await second.until(() => globalThis.client.leader && globalThis.client.state === 'connected');
  neverTwo(t, options);
}

test('N-10: when the tab that leads crashes, another has the connection within a second', async (t) => {
  const options = own(t);
  await inBare(t, options, 3, (pages) => goesOn(t, options, pages, 'crash', () => pages[0].send('Page.crash').catch(() => {})));
});

test('N-10: a tab that is frozen while it leads gives the connection on, and follows when it wakes', async (t) => {
  const options = own(t);
  await inBare(t, options, 2, async ([first, second]) => {
    await second.show();
    await first.until(() => document.hidden);
    const began = Date.now();
    await first.send('Page.setWebLifecycleState', { state: 'frozen' });
    await second.until(() => globalThis.client.leader && globalThis.client.state === 'connected');
    console.log(`     fail-over after a freeze: ${(await second.run(() => globalThis.connectedAt[1])) - began} ms`);
    say(ours(t, options)[1], 1, 3);
    await second.until(() => globalThis.seen.at(-1) === 3);
    await first.send('Page.setWebLifecycleState', { state: 'active' });
    await first.until(() => globalThis.client.state === 'connected' && !globalThis.client.leader);
    say(ours(t, options)[1], 4, 6);
    await first.until(() => globalThis.seen.at(-1) === 6);
    assert.deepEqual(await first.run(() => globalThis.seen.filter((seen) => typeof seen === 'number')), [4, 5, 6]);
    // That it heard nothing meanwhile is told.
    assert.equal(await first.run(() => globalThis.steps.filter((step) => step === 'gap').length), 1);
    assert.equal(ours(t, options).length, 2);
    neverTwo(t, options);
  });
});

test('N-10, N-4: a hidden tab whose connection is lost gives the lead to one that is seen', async (t) => {
  const options = own(t);
  await inBare(t, options, 2, (pages) => givesTheLead(t, options, pages));
});

test('N-10, N-4: pages that share are kept by the browser, the one that leads and the one that follows', async (t) => {
  const options = own(t);
  await inBare(t, options, 2, async (pages) => {
    for (const page of pages) {
      await page.run(() => addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted)));
      await page.send('Page.navigate', { url: `${t.peer.http}/tests/web/blank.html?elsewhere` });
      await page.until(() => location.search === '?elsewhere' && globalThis.everwire !== undefined);
      await page.run(() => history.back());
      await page.until(() => globalThis.persisted);
      await page.until(() => globalThis.client.state === 'connected');
    }
    neverTwo(t, options);
  });
});

test('N-10, N-9: where the dialect resumes no event is lost or doubled when a leader closes, crashes, freezes or loses its socket', async (t) => {
  const options = await resumable(t);
  await inBare(t, options, 5, async (pages) => {
    const [first, second, third, fourth, last] = pages;
    const more = async (page) => {
      const now = await page.run(() => globalThis.seen.length);
      await page.until((now) => globalThis.seen.length > now + 5, now);
    };
    const next = async (page, name, end) => {
      await more(last);
      const began = Date.now();
      end();
      await page.until(() => globalThis.client.leader && globalThis.client.state === 'connected');
      console.log(`     fail-over, resumed, after a ${name}: ${(await page.run(() => globalThis.connectedAt.at(-1))) - began} ms`);
    };
    await next(second, 'close', () => first.run(() => globalThis.client.close()));
    await next(third, 'crash', () => second.send('Page.crash').catch(() => {}));
    await more(last);
    // One that is hidden would give the lead away.
    await third.show();
    await third.until(() => !document.hidden);
    await dropAll(await t.demo());
    await more(last);
    await last.show();
    await third.until(() => document.hidden);
    await next(fourth, 'freeze', () => third.send('Page.setWebLifecycleState', { state: 'frozen' }));
    await more(last);
    for (const page of [fourth, last]) {
      const { seen, steps } = await page.run(() => ({ seen: globalThis.seen.filter((seen) => typeof seen === 'number'), steps: globalThis.steps }));
      assert.ok(seen.length > 20);
      assert.deepEqual(seen, numbers(seen[0], seen.at(-1)));
      assert.ok(!steps.includes('gap'));
      // Once for each connection after the first.
      assert.equal(steps.filter((step) => step === 'replay-started').length, 4);
    }
  });
});

/** Options for a server that resumes. */
async function resumable(t) {
  const demo = await t.demo();
  const token = await (await fetch(`${demo.http}/demo/token?user_id=tabs`)).text();
  return { url: `${demo.http}/everwire/v1`, dialect: 'everwire', token, params: { user_id: 'tabs', api_key: 'demo' }, backoffBase: 10 };
}

/** Has the demo drop all its sockets. Not by `fetch`: the connection that this may keep from before is one of them. */
function dropAll(demo) {
  return new Promise((resolve, reject) => {
    const order = request(`${demo.http}/demo/drop`, { method: 'POST', agent: false, headers: { origin: demo.http } }, (answer) => {
      answer.resume().on('end', resolve);
    });
    order.on('error', reject).end();
  });
}

test('N-10, S2-13: a tab that was left and comes back has its channels again', async (t) => {
  const options = whole(t);
  await inBare(t, options, 2, async ([, page]) => {
    const [connection] = ours(t, options);
    const orders = () => connection.received.slice(1).map((text) => JSON.parse(text)).filter(({ cmd }) => !cmd);
    await page.run(() => {
      globalThis.news = [];
      globalThis.client.channel('news').on('a', ({ n }) => globalThis.news.push(n));
    });
    for (const round of [1, 2]) {
      await t.peer.until(() => orders().length === 2 * round - 1);
      await page.run(() => addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted)));
      await page.send('Page.navigate', { url: `${t.peer.http}/tests/web/blank.html?elsewhere` });
      await t.peer.until(() => orders().length === 2 * round);
      await page.until(() => location.search === '?elsewhere' && globalThis.everwire !== undefined);
      await page.run(() => history.back());
      await page.until(() => globalThis.persisted);
    }
    await t.peer.until(() => orders().length === 5);
    connection.say('{"type":"a","channel":"news","n":1}');
    await page.until(() => globalThis.news.length === 1);
    assert.deepEqual(orders().map((order) => Object.keys(order)[0]), ['subscribe', 'unsubscribe', 'subscribe', 'unsubscribe', 'subscribe']);
    assert.equal(ours(t, options).length, 1);
  });
});

inFirefox('N-10: three tabs have one connection, and another has it within a second when the one that leads is closed', async (t) => {
  const options = own(t);
  await inFirefoxTabs(t, options, 3, async (pages) => {
    await pages[2].run(() => globalThis.client.send('from a tab that follows'));
    await t.peer.until(() => ours(t, options)[0].received.at(-1) === 'from a tab that follows');
    await goesOn(t, options, pages, 'closed tab', () => pages[0].close());
  });
});

inFirefox('N-10, N-4: a hidden tab whose connection is lost gives the lead to one that is seen', async (t) => {
  const options = own(t);
  await inFirefoxTabs(t, options, 2, (pages) => givesTheLead(t, options, pages));
});

inFirefox('N-10, N-9: where the dialect resumes no event is lost or doubled when the tab that leads is closed, leaves or loses its socket', async (t) => {
  const options = await resumable(t);
  await inFirefoxTabs(t, options, 4, async ([first, second, third, last]) => {
    const more = async (page) => {
      const now = await page.run(() => globalThis.seen.length);
      await page.until((now) => globalThis.seen.length > now + 5, now);
    };
    // Which of them leads next depends on who is seen just then.
    const led = async (...pages) => {
      const leads = () => globalThis.client.leader && globalThis.client.state === 'connected';
      await Promise.any(pages.map((page) => page.until(leads)));
    };
    await more(last);
    await first.close();
    await led(second, third, last);
    await more(last);
    await second.go('about:blank');
    await led(third, last);
    await more(last);
    await dropAll(await t.demo());
    await more(last);
    const { seen, steps } = await last.run(() => ({ seen: globalThis.seen.filter((seen) => typeof seen === 'number'), steps: globalThis.steps }));
    assert.deepEqual(seen, numbers(seen[0], seen.at(-1)));
    assert.ok(!steps.includes('gap'));
    assert.ok(steps.filter((step) => step === 'replay-started').length >= 2);
  });
});
