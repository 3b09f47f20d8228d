// The types of `everwire/react`.
import type { AnyEvents, Client, Listener, Pattern, State } from './index.js';

/**
 * Owns a client: makes it when the component is there, connects it, and closes it when the component is gone, or when one of
 * `deps` is another. Gives `undefined` until it is made, and on a server. In StrictMode it is still one client and one socket.
 * What `create` throws or rejects with goes to the error boundary.
 *
 * ```js
 * const client = useClient(() => createClient({ url, token }), [url]);
 * ```
 */
export declare function useClient<Events extends object = AnyEvents>(
  create: () => Client<Events> | Promise<Client<Events>>,
  deps?: readonly unknown[],
): Client<Events> | undefined;

/** Where a client stands: `connected` and so on; `idle` without a client, and on a server. */
export declare function useConnectionState<Events extends object>(client: Client<Events> | undefined): State;

/**
 * Calls a function for every event of a type, or of a pattern with `*`, as long as the component is there. The function may be
 * another at every render: the latest is called.
 */
export declare function useEvent<Events extends object, P extends Pattern<Events>>(
  client: Client<Events> | undefined,
  type: P,
  listener: Listener<Events, P>,
): void;
