// `once` without a listener: a promise of the next event, in a client, a channel and a client that shares.
import { MINE, assert, inPage, options, test } from './harness.mjs';

test('once: without a listener it gives a promise of the next event, whatever else listens', async (t) => {
  const seen = await inPage(t, async ({ connect }, given) => {
    const client = await connect(given);
    const news = client.channel('news');
    await next(client, 'echo'); // of the subscription
    const waited = [client.once('a.b'), client.once('a.*'), client.once('**'), news.once('a.b'), client.once('a.b', undefined)];
    await emit(client, '{"type":"other"}', '{"type":"a.b","n":1}', '{"type":"a.b","n":2,"channel":"news"}');
    const events = await Promise.all(waited);
    const listener = await failure(async () => client.once('a', 'no function'));
    await client.close();
    return [...events.map(({ n, type }) => n ?? type), listener.code, await failure(() => client.once('a*'))];
  }, { url: t.peer.ws, dialect: MINE });
  assert.deepEqual(seen.slice(0, -1), [1, 1, 'other', 2, 1, 'invalid-input']);
  assert.equal(seen.at(-1).code, 'invalid-input');
});

test('once: it rejects with the cause when the client ends first, and with the reason of its signal', async (t) => {
  const seen = await inPage(t, async ({ connect, createClient, EverwireError }, { given, mine }) => {
    const said = (promise) => promise.then(() => 'an event', (error) => (error instanceof EverwireError ? `${error.code}: ${error.message}` : error.message));
    const client = await connect(given);
    const controller = new AbortController();
    const waited = [client.once('never'), client.once('never', { signal: controller.signal })].map(said);
    controller.abort(new Error('enough'));
    const already = said(client.once('never', { signal: controller.signal }));
    const { signal } = new AbortController();
    client.once('not awaited', { signal }); // which ends no program
    await client.close();
    const after = [...(await Promise.all([...waited, already])), await said(client.once('never'))];

    const refused = await createClient({ ...given, token: 'expired' });
    const waits = said(refused.once('never'));
    await refused.connect().catch(() => {});
    after.push(await waits);

    const other = await connect({ ...given, ...mine });
    const channel = other.channel('news');
    const left = said(channel.once('never'));
    channel.close();
    after.push(await left, await said(channel.once('never')));
    await other.close();
    return after;
  }, { given: options(t.peer), mine: { dialect: MINE } });
  const ended = 'closed: closed by the user';
  assert.deepEqual(seen, [ended, 'enough', 'enough', ended, seen[4], 'closed: the channel is closed', 'closed: the channel is closed']);
  assert.match(seen[4], /^auth: .*40/);
});

test('once: a client that shares gives it as well, in every tab', async (t) => {
  const seen = await inPage(t, async (_, given) => {
    const { createSharedClient } = await import('/pkg/tabs.js');
    const [first, second] = [await createSharedClient(given), await createSharedClient(given)];
    await first.connect();
    await second.connect();
    const waited = [first.once('tick'), second.once('tick')];
    const rest = second.once('never').catch((error) => error.code);
    await emit(first, '{"type":"tick","n":1}');
    const events = (await Promise.all(waited)).map(({ n }) => n);
    await second.close();
    await first.close();
    return [...events, await rest];
  }, options(t.peer, { name: 'once' }));
  assert.deepEqual(seen, [1, 1, 'closed']);
});
