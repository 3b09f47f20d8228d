// The types of `everwire/worker-timer`.
import type { Timer } from './index.js';

/**
 * The value of the option `timer` that keeps health checks on time in a hidden page, whose own timers a browser holds back: to
 * one a second, later to one a minute. Timers run in one small worker for all clients of the page that want it, from the first
 * connect to the end of the last of them. Where there are no workers, or the content security policy forbids them (it takes
 * `worker-src blob:`), the page's own timers do as without it.
 *
 * ```js
 * const client = await connect({ url, timer: workerTimer });
 * ```
 */
export declare const workerTimer: Timer;
