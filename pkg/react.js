// everwire for React: what happens to a client, in the life of a component. It needs React 18 or newer, and no more of everwire.
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';

/**
 * Owns a client: makes it when the component is there, connects it, and closes it when the component is gone, or when one of
 * `deps` is another. Gives `undefined` until it is made, and on a server.
 */
export function useClient(create, deps = []) {
  const [client, setClient] = useState();
  const [failure, setFailure] = useState();
  const lease = useRef(undefined);
  useEffect(() => {
    // React's StrictMode takes every effect back and does it again at once: the same client is used on.
    const current = take(lease, create, deps);
    let here = true;
    current.made.then(
      (made) => here && setClient(() => made),
      (error) => here && setFailure({ error }),
    );
    return () => {
      here = false;
      setClient(undefined);
      current.leave();
    };
  }, deps);
  useEffect(() => {
    // All listeners are there by now: a component's effects come after those of what is in it, and nothing is received in between.
    if (client?.state === 'idle') client.connect().catch(() => {}); // its life cycle tells
  }, [client]);
  if (failure !== undefined) throw failure.error; // for the error boundary: the options are wrong, or the module cannot be loaded
  return client;
}

/** The client of a component that comes back at once; else a new one. */
function take(lease, create, deps) {
  const last = lease.current;
  // A function that was edited is another one: hot reload keeps the component, and runs its effects again.
  if (last?.leaving !== undefined && last.create === create && last.deps.every((dep, place) => Object.is(dep, deps[place]))) {
    clearTimeout(last.leaving);
    last.leaving = undefined;
    return last;
  }
  const made = Promise.resolve().then(create);
  lease.current = {
    made,
    create,
    deps,
    leaving: undefined,
    leave() {
      this.leaving = setTimeout(() => {
        if (lease.current === this) lease.current = undefined; // nobody comes back to it
        made.then((client) => client.close()).catch(() => {});
      });
    },
  };
  return lease.current;
}

/** Where a client stands: `connected` and so on; `idle` without a client, and on a server. */
export function useConnectionState(client) {
  const subscribe = useCallback(
    (changed) => client?.onLifecycle((step) => step.type === 'state' && changed()) ?? (() => {}),
    [client],
  );
  return useSyncExternalStore(subscribe, () => client?.state ?? 'idle', () => 'idle');
}

/** Calls a function for every event of a type, or a pattern, as long as the component is there. The function may be another each time. */
export function useEvent(client, type, listener) {
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => client?.on(type, (event, type) => latest.current(event, type)), [client, type]);
}
