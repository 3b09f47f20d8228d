// Mistakes that the types must catch: without the error the line above each of them is one.
import { Client, connect, createClient, EverwireError } from 'everwire';
import { connect as small } from 'everwire/lean';
import { connectShared } from 'everwire/tabs';

interface Events {
  'message.new': { text: string };
  'message.reaction.new': { emoji: string };
  tick: { n: number };
}

const client = await connect<Events>({ url: 'wss://example.com' });

// @ts-expect-error no such type
client.on('message.nwe', () => {});
// @ts-expect-error no such member of the event
client.on('message.new', (event) => event.txt);
// @ts-expect-error the listener wants another event
client.on('tick', (event: { text: string }) => event.text);
// @ts-expect-error one level only: the reaction is not among them
client.on('message.*', (event) => event.emoji);
// @ts-expect-error everything: not every event has `n`
client.on('*', (event) => event.n);
// @ts-expect-error a listener is needed
client.on('tick');
// @ts-expect-error no such type
client.once('tock', () => {});
// @ts-expect-error no such type
client.off('tock', () => {});
// @ts-expect-error an unknown option
await connect({ url: 'wss://example.com', retries: 3 });
// @ts-expect-error headers cannot be sent by a browser
await connect({ headers: { authorization: 'x' } });
// @ts-expect-error an unknown dialect
await connect({ dialect: 'socket.io' });
// @ts-expect-error a dialect needs a name
await connect({ dialect: { hello: { types: ['hi'] } } });
// @ts-expect-error a token is text
await connect({ token: 42 });
// @ts-expect-error times are numbers
await connect({ helloTimeout: '10s' });
// @ts-expect-error the state is read only
client.state = 'closed';
// @ts-expect-error undefined is no message
await client.send(undefined);
// @ts-expect-error a code is a number
await client.close('bye');
// @ts-expect-error no such state
if (client.state === 'open') await client.ready();
// @ts-expect-error options are needed
await createClient();
// @ts-expect-error one error alone is for others to make
new EverwireError('auth', 'no');
// @ts-expect-error no such code
if ((await client.closed).error?.code === 'oops') await client.close();
// @ts-expect-error no such type
client.events('tock');
// @ts-expect-error the other events have no `n`
for await (const { event } of client) console.log(event.n);
// @ts-expect-error a capacity is a number
client.events('tick', { capacity: 'many' });
// @ts-expect-error any function is no timer
await connect({ timer: setTimeout });
// @ts-expect-error a controller is no signal
await connect({ signal: new AbortController() });
// @ts-expect-error no such rule
await connect({ outbox: { whenFull: 'block' } });
// @ts-expect-error a request is an object
await client.request('balance');
// @ts-expect-error a channel has a name
client.channel();
// @ts-expect-error the lean entry has no channels
(await small({ url: 'wss://example.com' })).channel('news');
// @ts-expect-error the lean entry does not resume
await small({ resume: 'none' });
// @ts-expect-error a WebSocket is a constructor
await connect({ WebSocket: 'ws' });
// @ts-expect-error clients are made by everwire alone
new Client();
// @ts-expect-error a name is text
await connectShared({ name: 7 });
// @ts-expect-error who leads is told, not set
(await connectShared({})).leader = true;
// @ts-expect-error a name is for clients that share
await connect({ name: 'alice' });
// @ts-expect-error no such type
(await connectShared<Events>({})).on('tock', () => {});
