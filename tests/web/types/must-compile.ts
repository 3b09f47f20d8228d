// Ordinary uses of the package: all of this must compile.
import { Client, connect, createClient, EverwireError, type Cause, type Lifecycle, type State } from 'everwire';
import { connect as small } from 'everwire/lean';
import { connectShared, createSharedClient, type SharedClient } from 'everwire/tabs';
import { workerTimer } from 'everwire/worker-timer';

interface Events {
  'message.new': { type: 'message.new'; text: string };
  'message.read': { type: 'message.read'; at: number };
  'message.reaction.new': { emoji: string };
  tick: { n: number };
}

export async function untyped(): Promise<void> {
  const client = await connect({ url: 'https://example.com' });
  client.on('anything', (event, type) => console.log(event.whatever.it.is, type.length));
  client.on('*', (event) => event.anything);
}

export async function typed(): Promise<void> {
  const client = await connect<Events>({
    url: new URL('wss://example.com'),
    dialect: 'stream',
    token: async () => 'token',
    params: { api_key: 'key', user_id: 'alice' },
    maxAttempts: 0,
    backoffBase: 250,
  });
  const off: () => void = client.on('message.new', (event, type) => {
    const text: string = event.text;
    const name: 'message.new' = type;
    return void [text, name];
  });
  off();
  client.on('message.*', (event, type) => {
    const one: 'message.new' | 'message.read' = event.type;
    const name: 'message.new' | 'message.read' = type;
    return void [one, name];
  });
  client.on('message.**', (_event, type) => {
    const name: 'message.new' | 'message.read' | 'message.reaction.new' = type;
    return void name;
  });
  client.on('*', (event, type) => {
    if (type === 'tick') console.log(type);
    const union: Events[keyof Events] = event;
    return void union;
  });
  client.on('*.new', (event, type) => {
    const name: 'message.new' = type;
    return void [event.text, name];
  });
  client.once('tick', ({ n }) => n.toFixed());
  const listener = (event: { n: number }): void => void event.n;
  client.on('tick', listener);
  const was: boolean = client.off('tick', listener);
  client.on('tick', async () => {});
  await client.send({ hello: was });
  await client.send('text');
  await client.send(new Uint8Array(3));
  await client.send(new ArrayBuffer(3));
  await client.send([1, null]);
  const state: State = client.state;
  const id: string | undefined = client.connectionId;
  const count: number = client.stats().events;
  await client.close();
  await client.close(4000, 'bye');
  const cause: Cause = await client.closed;
  console.log(state, id, count, cause.type, cause.error?.code);
}

export async function lifecycle(): Promise<void> {
  const client = await createClient({ dialect: { name: 'mine', hello: { types: ['hi'] } }, token: 'static' });
  client.onLifecycle((step: Lifecycle) => {
    if (step.type === 'backing-off') console.log(step.delay.toFixed(), step.error.retryable);
    if (step.type === 'closed') console.log(step.cause.type);
    if (step.type === 'closing') console.log(step.by === 'server', step.code);
  });
  try {
    await client.connect();
  } catch (error) {
    if (error instanceof EverwireError && error.code === 'signed-out') throw new EverwireError('signed-out', error.message);
    if (error instanceof EverwireError && error.code === 'auth') console.log(error.serverCode, error.cause);
  }
}

export async function iterated(signal: AbortSignal): Promise<void> {
  const client = await connect<Events>({ url: 'wss://example.com', signal, timer: workerTimer });
  client.onAny((event, type) => console.log(event, type.length), { signal });
  client.once('tick', (event) => event.n.toFixed(), { signal });
  for await (const { type, event } of client) {
    if (type === 'tick') console.log(event.n.toFixed());
    if (type === 'message.new') console.log(event.text.length);
  }
  const messages = client.events('message.*', { capacity: 16, signal });
  for await (const { event } of messages) console.log(event.type);
  const dropped: number = messages.dropped;
  console.log(dropped);
  for await (const { event } of (await connect({})).events()) console.log(event.whatever);
}

/** What is not there may be given as `undefined`, under `exactOptionalPropertyTypes` too. */
export async function absent(last: Client, ttl?: number, signal?: AbortSignal, token?: string, socket?: typeof WebSocket): Promise<unknown> {
  const client = await connect({ token, signal, resumeFrom: last.resumePoint, outbox: { ttl }, breaker: { pause: ttl }, WebSocket: socket });
  client.on('tick', () => {}, { signal });
  client.events('tick', { capacity: ttl, signal });
  await client.send('text', { ttl, signal });
  await client.request({}, { timeout: ttl, signal });
  await connectShared({ name: token, stealAfter: ttl });
  return client.closed.then(({ error }) => error?.cause);
}

export function log(client: Awaited<ReturnType<typeof createClient>>): string[] {
  return client.reconnectLog().map(({ at, reason, error }) => `${new Date(at).toISOString()} ${reason} ${error.code}`);
}

export async function whole(): Promise<void> {
  const client = await connect<Events>({
    url: 'wss://example.com',
    outbox: { messages: 10, bytes: 1000, whenFull: 'wait', ttl: 1000 },
    breaker: { failures: 3, pause: 1000 },
    resume: 'full-buffer',
    resumeFrom: { session: 's', lastSequence: 7 },
    sequence: (event) => event.n,
    onResume: ({ lastSequence }) => ({ since: lastSequence }),
    jitter: 0.5,
    maxConnectionAge: 60_000,
    reconnect: false,
    WebSocket: globalThis.WebSocket,
  });
  await client.send('text', { ttl: 100, whenFull: 'drop-oldest', signal: AbortSignal.timeout(10) });
  const { balance } = await client.request<{ balance: number }>({ method: 'balance' }, { timeout: 1000 });
  const channel = client.channel('news');
  channel.on('message.*', (event) => event.type.length);
  for await (const { type } of channel.events('tick')) console.log(type === 'tick', channel.name, balance.toFixed());
  client.channel<{ price: { at: number } }>('btc').on('price', ({ at }) => at.toFixed());
  channel.close();
  const session: string | undefined = client.resumePoint?.session;
  const { routed, dialTime = 0 } = client.stats();
  client.onLifecycle((step) => {
    if (step.type === 'gap') console.log(step.from.toFixed(), step.to?.toFixed());
    if (step.type === 'overflow') console.log(step.queue, step.dropped.toFixed());
  });
  const light = await small<Events>({ url: 'wss://example.com', outbox: { messages: 0 } });
  light.on('tick', ({ n }) => n.toFixed());
  await light.request({});
  console.log(session, routed.toFixed(), dialTime.toFixed());
}

export async function shared(signal: AbortSignal): Promise<boolean> {
  const client: SharedClient<Events> = await connectShared<Events>({ url: 'wss://example.com', name: 'alice', stealAfter: 3000, signal });
  client.on('tick', ({ n }) => n.toFixed());
  const other = await createSharedClient({ url: 'wss://example.com' });
  await other.connect();
  return client.shared && !client.leader && client instanceof Client;
}
