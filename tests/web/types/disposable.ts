// `using` and `await using`, where the library knows them: all of this must compile, but for the lines that say so.
import { connect } from 'everwire';
import { connect as small } from 'everwire/lean';
import { createSharedClient } from 'everwire/tabs';

export async function disposed(): Promise<void> {
  await using client = await connect({});
  await client.ready();
  using channel = client.channel('news');
  channel.on('tick', () => {});
  await using light = await small({});
  await light.ready();
  await using other = await createSharedClient({ url: 'wss://example.com' });
  await other.connect();
  const done: Promise<void> = other[Symbol.asyncDispose]();
  await done;
  // @ts-expect-error it takes a moment to close
  using now = client;
  // @ts-expect-error a channel is closed at once
  channel[Symbol.asyncDispose]();
  console.log(now);
}
