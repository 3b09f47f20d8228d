// The types of `everwire/lean`: those of `everwire` without channels and resume.
import type { AnyEvents, Client as Whole, Options as All } from './index.js';
export * from './index.js';

/** How to connect; see `everwire`. */
export type Options = Omit<All, 'resume' | 'resumeFrom' | 'sequence' | 'onResume'>;

/** A client: one connection that is kept alive. */
export type Client<Events extends object = AnyEvents> = Omit<Whole<Events>, 'channel' | 'resumePoint'>;

/** Connects, and settles at the server's hello, or rejects with the cause of the end. */
export declare function connect<Events extends object = AnyEvents>(options: Options): Promise<Client<Events>>;

/** Makes a client that does not connect yet, so that listeners can be there before the first event. */
export declare function createClient<Events extends object = AnyEvents>(options: Options): Promise<Client<Events>>;
