// The half of the benchmarks that runs in the page. `measure` gives microseconds per event: of the clock, and of the processor
// where `globalThis.processor` tells that of the page's process, in microseconds.
const RealSocket = WebSocket;
const OPTIONS = { token: 't', params: { api_key: 'bench', user_id: 'u' } };

/** Plays events: each is a message event of its own, and what it left to microtasks is done before the next. */
class Player {
  static last;
  constructor() {
    Player.last = this;
    this.readyState = 0;
    this.bufferedAmount = 0;
    queueMicrotask(() => {
      this.readyState = 1;
      this.onopen?.(new Event('open'));
    });
  }
  /** The first message is answered with a hello. */
  send() {
    if (this.greeted) return;
    this.greeted = true;
    queueMicrotask(() => this.onmessage?.(new MessageEvent('message', { data: '{"type":"connection.ok","connection_id":"x","me":{}}' })));
  }
  close(code = 1000, reason = '') {
    this.readyState = 3;
    queueMicrotask(() => this.onclose?.(new CloseEvent('close', { code, reason, wasClean: true })));
  }
  /** As from the network: every text is a new string, as it is there. */
  async play(events) {
    for (const event of events) {
      this.onmessage(event);
      await undefined;
    }
  }
}

function made(frames, count) {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const bytes = frames.map((frame) => encoder.encode(frame));
  return Array.from({ length: count }, (_, index) => new MessageEvent('message', { data: decoder.decode(bytes[index % bytes.length]) }));
}

const types = (frames) => frames.map((frame) => JSON.parse(frame).type);

/** A plain client with one listener for each type. */
function plain(url, listeners, Socket) {
  const socket = new Socket(`${url}/api/v2/connect?api_key=bench`);
  socket.onopen = () => socket.send('{"token":"t","user_details":{"id":"u"}}');
  socket.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    listeners.get(event.type)?.(event);
  };
  return socket;
}

globalThis.measure = async ({ kind, client, frames, count, url }) => {
  globalThis.WebSocket = kind === 'handler' ? Player : RealSocket;
  let seen = 0;
  const listener = () => {
    seen += 1;
  };
  const listensTo = client === 'everwire, nobody listens' ? [] : types(frames);
  const run = kind === 'handler' ? handler : socket;
  const times = await (client === 'plain' ? withPlain : withEverwire)(run, { frames, count, url, listensTo, listener });
  globalThis.WebSocket = RealSocket;
  if (seen !== (listensTo.length > 0 ? count : 0)) throw new Error(`${client} saw ${seen} of ${count}`);
  return times;
};

async function withPlain(run, { frames, count, url, listensTo, listener }) {
  const listeners = new Map(listensTo.map((type) => [type, listener]));
  let done;
  const hello = new Promise((resolve) => listeners.set('connection.ok', resolve));
  const end = new Promise((resolve) => (done = resolve));
  listeners.set('flood.done', () => done());
  const socket = plain(url, listeners, WebSocket);
  await hello;
  const times = await run({ frames, count, end, send: (text) => socket.send(text) });
  socket.close();
  return times;
}

async function withEverwire(run, { frames, count, url, listensTo, listener }) {
  const client = await globalThis.everwire.connect({ ...OPTIONS, url });
  for (const type of listensTo) client.on(type, listener);
  const end = new Promise((resolve) => client.once('flood.done', resolve));
  const times = await run({ frames, count, end, send: (text) => client.send(text) });
  await client.close();
  return times;
}

async function handler({ frames, count }) {
  const events = made(frames, count);
  return timed(count, () => Player.last.play(events));
}

function socket({ frames, count, end, send }) {
  return timed(count, () => {
    send(JSON.stringify({ cmd: 'flood', frames, count }));
    return end;
  });
}

async function timed(count, run) {
  const read = async () => [performance.now() * 1000, (await globalThis.processor?.()) ?? NaN];
  const before = await read();
  await run();
  const after = await read();
  const [clock, processor] = after.map((time, place) => (time - before[place]) / count);
  return { clock, processor };
}

/** One client that is played so many events, with a listener for each of them and one for all. */
globalThis.playMany = async ({ frames, count, atOnce, url }) => {
  globalThis.WebSocket = Player;
  const client = await globalThis.everwire.connect({ ...OPTIONS, url });
  let seen = 0;
  for (const type of [...types(frames), '**']) client.on(type, () => (seen += 1));
  for (let left = count; left > 0; left -= atOnce) await Player.last.play(made(frames, Math.min(left, atOnce)));
  await client.close();
  globalThis.WebSocket = RealSocket;
  if (seen !== 2 * count) throw new Error(`it saw ${seen} of ${2 * count}`);
};

/** One client that the server throws out again and again, and that listens to something in each of its connections. */
globalThis.reconnectOften = async ({ count, url }) => {
  const client = await globalThis.everwire.connect({ ...OPTIONS, url, maxAttempts: 0, backoffBase: 1, backoffCap: 1 });
  for (let done = 0; done < count; done += 1) {
    const off = client.on('message.new', () => {});
    const back = new Promise((resolve) => {
      const stop = client.onLifecycle((step) => step.type === 'connected' && resolve(stop));
    });
    await client.send('{"cmd":"drop"}');
    (await back)();
    off();
  }
  if (client.stats().reconnects !== count) throw new Error(`${client.stats().reconnects} reconnects of ${count}`);
  await client.close();
};

/** So many clients, each of which connects, hears something, is closed and forgotten; and as many that never connect. */
globalThis.comeAndGo = async ({ count, url }) => {
  globalThis.WebSocket = Player;
  for (let made = 0; made < count; made += 1) {
    const client = await globalThis.everwire.connect({ ...OPTIONS, url });
    client.on('message.*', () => client.state);
    await Player.last.play([new MessageEvent('message', { data: `{"type":"message.new","n":${made}}` })]);
    await client.close();
    const idle = await globalThis.everwire.createClient({ ...OPTIONS, url });
    idle.on('message.*', () => idle.state);
  }
  globalThis.WebSocket = RealSocket;
};
