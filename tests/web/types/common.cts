// A CommonJS program, whose compiler sees what `require` finds: this must compile.
import { connect, EverwireError } from 'everwire';
import type { Options } from 'everwire/lean';
import inline = require('everwire/inline');
import { connectShared, type SharedClient } from 'everwire/tabs';
import { useClient } from 'everwire/react';
import { workerTimer } from 'everwire/worker-timer';

const lean: Options = { url: 'wss://example.com' };

export async function all(): Promise<string> {
  const client = await connect<{ tick: { n: number } }>({ url: 'wss://example.com', timer: workerTimer });
  client.on('tick', ({ n }) => n.toFixed());
  const shared: SharedClient = await connectShared({ name: 'alice' });
  const error: EverwireError | undefined = (await (await inline.connect(lean)).closed).error;
  return `${shared.leader} ${error?.code} ${typeof useClient}`;
}
