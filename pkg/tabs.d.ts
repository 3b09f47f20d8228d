// The types of `everwire/tabs`.
import type { AnyEvents, Client, Options } from './index.js';

/** How to connect, and with whom to share the connection. */
export interface SharedOptions extends Options {
  /**
   * Tabs with the same name share. Default: made of `url`, `dialect`, `params` and `protocols`. Where nothing but the token says
   * who the user is, give a name for each user.
   */
  name?: string | undefined;
  /** A tab that has the connection and does not answer for this time (ms) loses it to another. Default: 6000; at least 100. */
  stealAfter?: number | undefined;
}

/** A client that shares one connection with the other tabs. Its statistics and reconnect log are those that the leading tab told last. */
export interface SharedClient<Events extends object = AnyEvents> extends Client<Events> {
  /** Whether it shares. Without Web Locks or BroadcastChannel it has a connection of its own. */
  readonly shared: boolean;
  /** Whether the connection is in this tab. It may change at any time. */
  readonly leader: boolean;
}

/** Connects, by way of another tab if one is connected, and settles at the server's hello. */
export declare function connectShared<Events extends object = AnyEvents>(options: SharedOptions): Promise<SharedClient<Events>>;

/** Makes a client that does not connect yet, so that listeners can be there before the first event. */
export declare function createSharedClient<Events extends object = AnyEvents>(options: SharedOptions): Promise<SharedClient<Events>>;
