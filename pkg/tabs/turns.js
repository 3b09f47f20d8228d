// Whose turn it is to lead: a lock of the browser's, which one tab has, and for which the others queue.

/** How long a tab that is to lead waits for its own word to come back: milliseconds. */
const PATIENCE = 400;

const ignore = () => {};

export class Turns {
  #name;
  #take;
  #lost;
  /** The place in the queue, or the turn. */
  #turn;
  #leave;

  /** `take` is called when it is the tab's turn, which ends with its promise, and `lost` when it has ended without `give` or `leave`. */
  constructor(name, take, lost) {
    this.#name = name;
    this.#take = take;
    this.#lost = lost;
  }

  /** The lock of a tab: whoever else gets it knows that the tab has gone. */
  lockOf(tab) {
    return `${this.#name} ${tab}`;
  }

  enter(tab) {
    const here = new Promise((resolve) => (this.#leave = resolve));
    navigator.locks.request(this.lockOf(tab), () => here).catch(ignore);
  }

  /** Waits for the turn, or takes it from a tab that does not answer. */
  queue(steal = false) {
    this.#turn?.abort();
    const turn = new AbortController();
    this.#turn = turn;
    const { signal } = turn;
    const take = () => signal.aborted || this.#take(signal);
    navigator.locks.request(this.#name, steal ? { steal } : { signal }, take).catch(ignore).then(() => {
      if (this.#turn === turn) this.#lost();
    });
  }

  /** Whether others wait for the turn. */
  async others() {
    const { pending } = await navigator.locks.query().catch(() => ({ pending: [] }));
    return pending.some(({ name }) => name === this.#name);
  }

  /** The turn that this tab has is its last one. */
  give() {
    this.#turn = undefined;
  }

  leave() {
    this.#turn?.abort();
    this.#turn = undefined;
    this.#leave?.();
  }

  /** Says on the channel that a term begins, and waits until this tab has heard it too, behind everything that was said before. */
  async echo(channel, term, say) {
    const echo = new BroadcastChannel(channel);
    let timer;
    await new Promise((resolve) => {
      echo.onmessage = ({ data }) => data.term === term && resolve();
      timer = setTimeout(resolve, PATIENCE);
      say();
    });
    clearTimeout(timer);
    echo.close();
  }
}
