// What a tab does that shares a connection with others. One leads: it has a lock of the browser's, and the only core (the module's
// half of a client) with a socket. The others follow it over a BroadcastChannel and wait for the lock. `Client` of index.js is the
// face of this class as it is that of a core.
//
// Terms: whoever begins to lead takes a higher term and says so on the channel, which has one order for all. What comes from an
// earlier term after that counts for nobody, what came before counts for all. So every tab has heard the same events when the
// new leader connects, and goes on from the same point.
import { EverwireError, Listeners, call } from '../dist/everwire.js';
import { Lead } from './lead.js';
import { deliver, posted, revived, taken } from './listeners.js';
import { Sends, closed, make } from './sends.js';
import { Turns } from './turns.js';

/** So many times a leader is asked in vain before it is replaced. */
const TIMES_ASKED = 4;

const hidden = () => globalThis.document?.hidden ?? false;

export class Tab {
  #make;
  #name;
  #stealAfter;
  #id = crypto.randomUUID();
  listeners = new Listeners();
  #listenerFailures = 0;
  #state = 'idle';
  #connectionId;
  #end;
  #readies = [];
  #closeds = [];
  /** What the leader told last, and what is counted here. */
  #told;
  /** The life of the page is watched for as long as a connection is wanted; the channel is open while the page is there. */
  #wanted;
  #channel;
  #timer;
  /** The place in the queue for the lock; what there is of a leader, if it is this tab. */
  #turns;
  #lead;
  /** Who leads: its term; whether it still is to connect; whether it spoke of late, and how often it did not. */
  #term = 0;
  #fresh = true;
  #heard = false;
  #misses = 0;
  /** The events that were heard: whose count it is, the number of the last one, and where a server could go on. */
  #origin;
  #last = 0;
  #synced = false;
  #point;
  #sends = new Sends();
  /** The channels that are wanted here, and the term whose leader knows it. */
  #channels = new Set();
  #channelsTold = 0;

  /** `make` makes a core that goes on from a point. `first` is one that will not connect. */
  constructor(make, name, stealAfter, first) {
    this.#make = make;
    this.#name = name;
    this.#turns = new Turns(name, (turn) => this.#take(turn), () => this.#stepDown());
    this.#stealAfter = stealAfter;
    this.#told = { stats: first.stats(), log: [] };
    this.channelField = first.channelField;
    this.outbox = first.outbox;
    this.codec = first.codec;
  }

  /** What is counted here, and not by a core. */
  get own() {
    return { overflows: this.#sends.overflows, listenerFailures: this.#listenerFailures };
  }

  get leads() {
    return this.#lead !== undefined;
  }

  get state() {
    return this.#state;
  }

  get connectionId() {
    return this.#connectionId;
  }

  get resumePoint() {
    return this.#lead?.core?.resumePoint ?? this.#point;
  }

  stats() {
    return this.#lead?.core?.stats() ?? this.#told.stats;
  }

  reconnectLog() {
    return this.#lead?.core?.reconnectLog() ?? this.#told.log.map((entry) => ({ ...entry, error: revived(entry.error) }));
  }

  connect() {
    if (this.#wanted) {
      // The state does not show yet what has not begun.
      const state = /idle|closed|failed/.test(this.#state) ? 'connecting' : this.#state;
      const what = state === 'disconnecting' ? '; wait until it has closed' : ' already; close it first';
      throw new EverwireError('invalid-state', `the client is ${state}${what}`, false, {});
    }
    this.#end = undefined;
    this.#told = { ...this.#told, log: [] };
    this.#wanted = new AbortController();
    const on = (target, type, run) => target?.addEventListener?.(type, run, { signal: this.#wanted.signal });
    const { document } = globalThis;
    on(document, 'freeze', () => this.#pause());
    on(document && globalThis, 'pagehide', () => this.#pause());
    on(document, 'resume', () => this.#wake());
    on(document && globalThis, 'pageshow', () => this.#wake());
    on(document, 'visibilitychange', () => (this.#lead ? this.#lead.announce() : this.#consider()));
    // As a core: what happens is told a moment later.
    const { signal } = this.#wanted;
    queueMicrotask(() => {
      if (signal.aborted || this.#state === 'disconnecting') return;
      this.#become('connecting');
      this.#wake();
    });
  }

  ready(done) {
    if (this.#state === 'connected') done();
    else if (this.#end) done(this.#end.error ?? closed(this.#end.message));
    else if (!this.#wanted) done(new EverwireError('invalid-state', '`connect` was not called', false, {}));
    else this.#readies.push(done);
  }

  closed(done) {
    if (this.#end) done(undefined, this.#end);
    else this.#closeds.push(done);
  }

  send(data, options, done) {
    // As a core: what is sent is what it is now.
    return this.#accept(['send', data.slice(), options], done);
  }

  request(text, timeout, done) {
    return this.#accept(['request', text, timeout], done);
  }

  #accept(call, done) {
    const against = this.#end || this.#state === 'disconnecting' ? closed(`cannot send: the client is ${this.#state}`) : undefined;
    const id = this.#sends.add(call, done, against);
    this.#forward();
    return id;
  }

  withdraw(id) {
    const send = this.#sends.remove(id);
    if (send?.place !== undefined) this.#lead?.core?.withdraw(send.place);
    else if (send?.posted) this.#post({ kind: 'withdraw', from: this.#id, id });
  }

  subscribe(channel) {
    this.#channels.add(channel);
    this.#tellChannels();
  }

  unsubscribe(channel) {
    this.#channels.delete(channel);
    this.#tellChannels();
  }

  #tellChannels() {
    this.#channelsTold = this.#term;
    if (this.#lead) this.#lead.want(this.#id, this.#channels, true);
    else this.#post({ kind: 'channels', from: this.#id, channels: this.#channels });
  }

  /** This tab is done with it. Whoever leads gives the connection to the next, and closes it for good if there is none. */
  close(code, reason, done) {
    if (code !== undefined && code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
      return done(new EverwireError('invalid-input', `close code ${Number(code)} is not 1000 or 3000 to 4999`, false, {}));
    }
    if (reason !== undefined && new TextEncoder().encode(reason).length > 123) {
      return done(new EverwireError('invalid-input', 'a close reason has at most 123 bytes', false, {}));
    }
    if (this.#end) return done();
    this.#closeds.push(() => done());
    if (!this.#wanted) return this.#finish({ type: 'by-user', message: 'closed by the user' }, 'closed');
    if (this.#state === 'disconnecting') return;
    this.#become('disconnecting');
    this.#tell({ type: 'closing', code: code ?? 1000, reason: reason ?? 'client disconnect', by: 'client' });
    this.#hand(code, reason).then(() => this.#finish({ type: 'by-user', message: 'closed by the user' }, 'closed'));
  }

  /** Gives the connection to the next tab, if there is one. */
  async #hand(code = 1000, reason = undefined) {
    if (!this.#lead) return;
    const more = await this.#turns.others();
    if (!this.#lead) return;
    this.#turns.give();
    await (more ? this.#resign() : this.#resign(code, reason));
  }

  // The page: a page that is left or frozen holds no lock and no channel, so that the browser can keep it and others can go on.

  #pause() {
    if (!this.#channel) return;
    if (this.#lead) this.#resignAtOnce();
    // What becomes of a message that is under way in another tab is not heard any more.
    this.#sends.lost(true);
    this.#lose();
    this.#stop();
  }

  #wake() {
    if (this.#channel || !this.#wanted || this.#state === 'disconnecting') return;
    this.#synced = false;
    this.#fresh = true;
    this.#channelsTold = 0;
    this.#misses = 0;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#timer = setInterval(() => this.#watch(), (this.#stealAfter / (TIMES_ASKED + 1)) * (0.9 + Math.random() / 5));
    this.#post({ kind: 'ask' });
    this.#turns.enter(this.#id);
    this.#turns.queue();
  }

  #stop() {
    clearInterval(this.#timer);
    this.#turns.leave();
    this.#channel?.close();
    this.#channel = undefined;
  }

  // Leading.

  /** Leads until it is released. */
  async #take(turn) {
    const term = Math.max(this.#term + 1, Date.now()) + Math.random();
    const origin = this.#synced ? undefined : `${this.#id} ${term}`;
    await this.#turns.echo(this.#name, term, () => this.#post({ kind: 'cut', term, origin }));
    if (turn.aborted || this.#term > term) return;
    this.#adopt(term);
    if (origin !== undefined) [this.#origin, this.#last] = [origin, 0];
    this.#synced = true;
    const lead = new Lead({
      post: (message) => this.#post(message),
      news: (news) => this.#news(news),
      state: () => this.#state,
      status: () => ({ state: this.#state, fresh: this.#fresh, hidden: hidden(), origin: this.#origin }),
      lockOf: (tab) => this.#turns.lockOf(tab),
    });
    this.#lead = lead;
    lead.announce();
    lead.want(this.#id, this.#channels, true);
    await lead.start(() => this.#make(this.#point));
    return lead.held;
  }

  #resign(code, reason) {
    const gone = this.#lead.resign(code, reason);
    this.#lead = undefined;
    return gone;
  }

  #resignAtOnce() {
    const lead = this.#lead;
    this.#resign();
    lead.release();
  }

  #stepDown() {
    if (this.#lead) this.#resignAtOnce();
    this.#lose();
    this.#turns.queue();
  }

  /** Tells all tabs, this one included. */
  #news({ items, ...more }) {
    this.#post({ kind: 'news', items: items.map(posted), ...more });
    this.#apply({ first: this.#last + 1, items, ...more });
  }

  // Following.

  #hear(message) {
    const { kind, term, at, to, id, error, value } = message;
    if (ASKED.has(kind)) {
      if (!this.#lead) return;
      // Who has stood still for so long may have been replaced meanwhile, and does not know.
      if (Date.now() - at > this.#stealAfter / 2) return this.#stepDown();
      if (kind === 'ask') this.#lead.announce();
      else if (term === this.#term) this.#lead.serve(message);
      return;
    }
    if (kind === 'taken' || kind === 'answer') {
      if (to !== this.#id) return;
      if (kind === 'taken') this.#sends.take(id);
      else this.#sends.settle(id, error && revived(error), value);
      return;
    }
    if (term < this.#term || (this.#lead && term === this.#term)) return;
    if (this.#lead) this.#stepDown();
    this.#heard = true;
    if (kind === 'cut') this.#adopt(term, message.origin);
    else if (kind === 'gone') this.#lose();
    else this.#follow(message);
  }

  /** Somebody else leads, or this tab. */
  #adopt(term, origin) {
    if (term === this.#term) return;
    this.#term = term;
    this.#lose();
    if (origin === undefined || !this.#synced) return; // the count goes on, or is not this tab's yet
    if (this.#point !== undefined) this.#tell({ type: 'gap', from: this.#last + 1 });
    [this.#origin, this.#last] = [origin, 0];
  }

  #follow(news) {
    const { term, first, status } = news;
    this.#adopt(term);
    if (status) {
      const entered = !this.#synced;
      if (entered) this.#enter(first, status.origin);
      // Numbers that nobody else has heard are given anew, unless the server sends those very events again.
      else if (first <= this.#last && this.#point === undefined) this.#last = first - 1;
      this.#fresh = status.fresh;
      if (entered) {
        this.#learn(news);
        this.#become(status.state);
        if (status.state === 'connected') this.#tell({ type: 'connected', connectionId: status.connectionId, attempt: 0 });
      }
    }
    if (!this.#synced) return;
    if (first > this.#last + 1) this.#missed(first);
    if (status && this.#channels.size > 0 && this.#channelsTold !== term) this.#tellChannels();
    this.#apply({ ...news, items: news.items.map(taken) });
    this.#consider();
  }

  /** This tab has come, or come back: what it knows of before may be old. */
  #enter(first, origin) {
    this.#synced = true;
    if (this.#origin === origin && first > this.#last) {
      if (first > this.#last + 1) this.#missed(first);
    } else if (this.#origin !== undefined && this.#point !== undefined) {
      this.#tell({ type: 'gap', from: this.#last + 1 });
    }
    [this.#origin, this.#last] = [origin, first - 1];
  }

  #missed(first) {
    const from = this.#last + 1;
    this.#last = first - 1;
    this.#tell({ type: 'gap', from, to: first - 1 });
  }

  /** What every tab does with the news, the leader's own included. */
  #apply(news) {
    this.#learn(news);
    let number = news.first;
    for (const item of news.items) {
      // A listener may have closed the client, or the page.
      if (!this.#channel || this.#state === 'disconnecting') return;
      if (Array.isArray(item)) {
        // One that was heard already is heard once.
        if (number === this.#last + 1) {
          this.#last = number;
          deliver(this.listeners, item, this.codec, (error) => this.#wrong(error));
        }
        number += 1;
        continue;
      }
      if (item.fresh !== undefined) this.#fresh = item.fresh;
      if (item.state) this.#become(item.state);
      if (item.step) this.#tell(item.step);
      if (item.end) this.#finish(item.end);
    }
    this.#forward();
  }

  #learn({ point, status }) {
    if (point !== undefined) this.#point = point;
    if (!status) return;
    this.#told = { ...status, stats: status.stats ?? this.#told.stats };
    this.#connectionId = status.connectionId;
  }

  /** The leader has gone. What it has not taken is sent by the next; what it had taken it may have sent. */
  #lose() {
    this.#fresh = true;
    this.#connectionId = undefined;
    this.#sends.lost();
    if (this.#state === 'connecting' || !this.#wanted || this.#state === 'disconnecting') return;
    const was = this.#state;
    this.#become('reconnecting');
    if (was === 'connected') this.#tell({ type: 'disconnected', error: closed('the tab with the connection has gone') });
  }

  /** Asks a leader that is silent, and replaces one that does not answer. A leader has no timer: those of hidden pages are held back. */
  #watch() {
    if (this.#lead) return;
    this.#misses = this.#heard ? 0 : this.#misses + 1;
    this.#heard = false;
    if (this.#misses > TIMES_ASKED) {
      this.#misses = 0;
      this.#turns.queue(true);
    } else if (this.#misses > 0) {
      this.#post({ kind: 'ask' });
    }
  }

  /** A leader that nobody sees makes no tries to connect: a tab that is seen does. */
  #consider() {
    if (this.#synced && !this.#lead && this.#state === 'backing-off' && this.#told.hidden && !hidden()) this.#turns.queue(true);
  }

  /** Gives what waits to whoever leads, once that has connected or failed to. */
  #forward() {
    if (this.#fresh || !this.#channel) return;
    for (const send of this.#sends.waiting()) {
      const { id } = send;
      send.posted = true;
      if (this.#lead) send.place = make(this.#lead.core, send.call, (error, value) => this.#sends.settle(id, error, value));
      else this.#post({ kind: 'send', from: this.#id, id, call: send.call });
    }
  }

  #post(message) {
    this.#channel?.postMessage({ term: this.#term, at: Date.now(), first: this.#last + 1, ...message });
  }

  #become(state) {
    const old = this.#state;
    if (old === state) return;
    this.#state = state;
    this.#tell({ type: 'state', old, new: state });
    if (state === 'connected') for (const done of this.#readies.splice(0)) done();
  }

  #tell(step) {
    call(this.listeners.of(), step);
  }

  #wrong(error) {
    if (error.code === 'listener') this.#listenerFailures += 1;
    this.#tell({ type: 'error', error });
  }

  #finish(cause, state) {
    if (this.#end) return;
    this.#wanted?.abort();
    this.#wanted = undefined;
    this.#lead?.release();
    this.#lead = undefined;
    this.#stop();
    this.#end = cause;
    this.#connectionId = undefined;
    [this.#origin, this.#point, this.#last] = [undefined, undefined, 0];
    if (state) this.#become(state);
    const error = cause.error ?? closed(cause.message);
    this.#sends.end(error);
    for (const done of this.#readies.splice(0)) done(error);
    this.#tell({ type: 'closed', cause });
    for (const done of this.#closeds.splice(0)) done(undefined, cause);
  }
}

/** What is asked of the leader. */
const ASKED = new Set(['ask', 'send', 'withdraw', 'channels']);
