// The types of everwire. Hand-written: `tests/web/types` holds what must compile with them and what must not.

/** The events of a server by type. Give your own to `connect<MyEvents>()`; without it every event is `any`. */
export type AnyEvents = Record<string, any>;

type Name<Events> = Extract<keyof Events, string>;

/** Whether a type fits a pattern, level by level. */
type Fits<N extends string, P extends string> = P extends `${infer PatternHead}.${infer PatternRest}`
  ? N extends `${infer Head}.${infer Rest}`
    ? PatternHead extends '*' | Head
      ? Fits<Rest, PatternRest>
      : false
    : false
  : P extends '**'
    ? true
    : P extends '*'
      ? N extends `${string}.${string}`
        ? false
        : true
      : N extends P
        ? true
        : false;

/** The types that a pattern stands for: `a.*` one level below `a`, `a.**` all levels below, `*` everything. */
export type Matching<Events, P extends string> = string extends Name<Events>
  ? string
  : P extends Name<Events>
    ? P
    : P extends '*' | '**'
      ? Name<Events>
      : { [N in Name<Events>]: Fits<N, P> extends true ? N : never }[Name<Events>];

/** A type of event, or a pattern with `*`. */
export type Pattern<Events> = Name<Events> | `${string}*${string}`;

/** Gets the decoded event and its type. Text that is not JSON comes as a string, a binary message as an `ArrayBuffer`. */
export type Listener<Events, P extends string> = (event: Events[Matching<Events, P>], type: Matching<Events, P>) => void;

export type State =
  | 'idle'
  | 'connecting'
  | 'connected'
  | 'disconnecting'
  | 'disconnected'
  | 'reconnecting'
  | 'backing-off'
  | 'failed'
  | 'closed';

/** How to connect. Times are in milliseconds. A field that is not known here is refused. */
export interface Options {
  /**
   * Where the server is; an address without a host is one on the page's own (`/ws`, `ws`, `//other.example/ws`). `https` becomes
   * `wss`. The dialect may force the path, as `stream` does. Default: the dialect's own.
   */
  url?: string | URL | undefined;
  /** What the server speaks: a built-in dialect, or a description of another. Default: `stream`. */
  dialect?: 'stream' | 'stream-v1' | 'everwire' | 'envelope' | 'openai-realtime-browser' | 'raw' | Dialect | undefined;
  /**
   * A token, or a function that fetches one. Only a function can refresh a token that has expired. One that throws is asked again;
   * what it throws with the `code` `signed-out` (`new EverwireError('signed-out')`) ends the client at once, connected or not.
   */
  token?: string | (() => string | Promise<string>) | undefined;
  /** The values for the dialect's `${placeholders}`, such as `api_key` and `user_id`. */
  params?: Record<string, unknown> | undefined;
  /** Subprotocols to offer. */
  protocols?: string[] | undefined;
  /** Whether to try again after a failure, of the first connect too. Default: true. */
  reconnect?: boolean | undefined;
  /**
   * Tries in a row that may fail before giving up; 0 for no limit. Default: 5. A connection that the server ends before `stableAfter`
   * counts as one, and so does any that ends within 5 seconds.
   */
  maxAttempts?: number | undefined;
  /** The longest wait before the first retry. It doubles with every retry. Default: 250. */
  backoffBase?: number | undefined;
  /** The longest wait before any retry. Default: 5000. */
  backoffCap?: number | undefined;
  /** The share of a wait that is random, above 0 and up to 1. Default: 1. */
  jitter?: number | undefined;
  /** Stops trying for a while after so many failures in a row (fewer than `maxAttempts`, unless that is 0). Default: it does not. */
  breaker?: {
    /** Default: 5. */
    failures?: number | undefined;
    /** Default: 60 000. */
    pause?: number | undefined;
  } | undefined;
  /** The age at which a connection is replaced by a new one, before a server or a proxy cuts it. Default: none. */
  maxConnectionAge?: number | undefined;
  /** After this time connected the waits and the count of failed tries start anew. Default: 60 000. */
  stableAfter?: number | undefined;
  /** From dialling to the open socket. */
  openTimeout?: number | undefined;
  /** From dialling to the server's hello. */
  helloTimeout?: number | undefined;
  /** How long the closing handshake may take. */
  closeTimeout?: number | undefined;
  /** How long the token function may take. */
  tokenTimeout?: number | undefined;
  /** Between two health checks. */
  healthCheckInterval?: number | undefined;
  /** With no whole message from the server for this time the connection is replaced: a browser does not show parts of one. */
  silenceTimeout?: number | undefined;
  /** After a sign that the network or the page changed, something must come within this time. Default: 5000. */
  probeTimeout?: number | undefined;
  /** The largest message taken: bytes, of text UTF-16 units. Default: 1 MiB, or what the dialect says. */
  maxMessageSize?: number | undefined;
  /** How messages wait while there is no connection, and while the socket has no room. */
  outbox?: Outbox | undefined;
  /** How many requests may wait for their reply. Default: 256. */
  maxRequests?: number | undefined;
  /**
   * What a new connection does about what was under way on the old one, where the dialect can resume. `sequence-id` (the default)
   * asks for the events after the last one; `full-buffer` also sends again, in a new session, what the server has not confirmed.
   */
  resume?: 'none' | 'sequence-id' | 'full-buffer' | undefined;
  /** Where the first connection goes on: the `resumePoint` of another client, kept across a reload of the page for example. */
  resumeFrom?: ResumePoint | undefined;
  /** Finds the number of an event, on servers whose dialect names no member for it. Then duplicates are dropped and gaps told. */
  sequence?: ((event: any) => number | undefined) | undefined;
  /** Makes the message that asks for the events that were missed, on servers whose dialect has none. It needs numbers. */
  onResume?: ((point: ResumePoint) => string | object | undefined) | undefined;
  /** How messages are written, where that is not JSON: MessagePack, CBOR. Everything goes through it, the dialect's own frames too. */
  codec?: Codec | undefined;
  /** The constructor of a WebSocket, where there is none or another is wanted: that of `ws` in Node 20. Default: the global one. */
  WebSocket?: (new (url: string, protocols: string[]) => object) | undefined;
  /** Closes the client when it is aborted; a `connect` under way rejects with its reason. */
  signal?: AbortSignal | undefined;
  /** Where timers run: `workerTimer` of `everwire/worker-timer` keeps them on time in a hidden page. Default: in the page. */
  timer?: Timer | undefined;
}

/** Turns what comes into documents and what is sent into messages. What either throws is the cause of an error. */
export interface Codec {
  /** The document in a message: text comes as a string, a binary message as an `ArrayBuffer`. A failure is a `decode` error, and counted. */
  decode(data: string | ArrayBuffer): any;
  /** A message for what is given to `send` and is not bytes, and for what the dialect says. */
  encode(message: any): string | ArrayBuffer | ArrayBufferView;
}

declare const timer: unique symbol;

/** What sets timers: there is `workerTimer` of `everwire/worker-timer`. */
export interface Timer {
  readonly [timer]: true;
}

/** What happens to a message when there is no room for it: its sender is told, older ones make room, it is dropped, or it waits for room. */
export type WhenFull = 'error' | 'drop-oldest' | 'drop-newest' | 'wait';

/** How much may wait to be sent, and what happens beyond that. */
export interface Outbox {
  /** How many messages may wait; 0 turns the outbox off. Default: 1000. */
  messages?: number | undefined;
  /** How many bytes may wait. Default: 1 MiB. */
  bytes?: number | undefined;
  /** Default: `error`. */
  whenFull?: WhenFull | undefined;
  /** How long a message may wait. Default: as long as the client lives. */
  ttl?: number | undefined;
}

/** How one message is sent. What is not said is as the outbox has it. */
export interface SendOptions {
  /** How long it may wait to be written, in milliseconds. */
  ttl?: number | undefined;
  whenFull?: WhenFull | undefined;
  /** Takes the message back when it is aborted before it is written. */
  signal?: AbortSignal | undefined;
}

/** How one request is sent. */
export interface RequestOptions {
  /** How long it may take until the reply is there, in milliseconds. Default: 10 000. */
  timeout?: number | undefined;
  /** Gives the request up when it is aborted. */
  signal?: AbortSignal | undefined;
}

/** Where a new connection goes on. Whoever has the session may resume it: keep it as you keep a token. */
export interface ResumePoint {
  /** The session, where the dialect has sessions. */
  session?: string | undefined;
  /** The number of the last event. */
  lastSequence?: number | undefined;
}

/** How long to listen. */
export interface ListenerOptions {
  /** Takes the listener off when it is aborted. */
  signal?: AbortSignal | undefined;
}

/** How to iterate. */
export interface EventsOptions {
  /** How many events may wait for their reader; beyond it the oldest give way. Default: 1024. */
  capacity?: number | undefined;
  /** Ends the iteration when it is aborted; what waits is still read. */
  signal?: AbortSignal | undefined;
}

/** An event and its type. */
export type Typed<Events, P extends string> = { [N in Matching<Events, P>]: { type: N; event: Events[N] } }[Matching<Events, P>];

/** Events as they come, for `for await`. They end with the client; leaving the loop ends them too. */
export interface EventStream<T> extends AsyncIterableIterator<T> {
  /** How many events gave way to newer ones because nobody read them. */
  readonly dropped: number;
  return(): Promise<IteratorResult<T>>;
}

/** The description of a dialect: data, so that you can add one. See the README for its fields. */
export interface Dialect {
  name: string;
  [field: string]: unknown;
}

/** What the client counted, over all its connections. Times are in milliseconds. */
export interface Stats {
  messagesIn: number;
  bytesIn: number;
  messagesOut: number;
  bytesOut: number;
  events: number;
  malformed: number;
  binary: number;
  staleDropped: number;
  dials: number;
  connects: number;
  reconnects: number;
  healthChecks: number;
  tokenFetches: number;
  errors: number;
  listenerFailures: number;
  overflows: number;
  /** Requests that were sent, or are to be, and the replies to them that came in time. */
  requests: number;
  replies: number;
  /** What waits in the outbox now; what found no room there or made room, and what waited too long. */
  outboxMessages: number;
  outboxBytes: number;
  outboxOverflows: number;
  outboxExpired: number;
  /** Events that came twice, times that events were lost for good, and connections that went on where another broke. */
  duplicates: number;
  gaps: number;
  resumes: number;
  /** Events of channels that somebody has opened, and of others. */
  routed: number;
  unroutable: number;
  /** How long there was a connection, all together, and how old the current one is. */
  uptime: number;
  connectionAge?: number;
  sinceLastMessage?: number;
  sinceLastReconnect?: number;
  /** How long the last dial took, up to the open socket, and from it to the hello. */
  dialTime?: number;
  helloTime?: number;
  /** The round trip of the last health check, and the mean, the median and the 95th percentile of the last 64. */
  latency?: number;
  latencyMean?: number;
  latencyP50?: number;
  latencyP95?: number;
}

/** A connection that was lost, or a try that failed. */
export interface Reconnect {
  /** When: milliseconds since 1970, as `Date.now()`. */
  at: number;
  /** The number of the try; 0 for a connection. */
  attempt: number;
  /** Why, in words. */
  reason: string;
  error: EverwireError;
}

/** Why a client ended. */
export interface Cause {
  type: 'by-user' | 'dropped' | 'by-server' | 'refused' | 'token-expired' | 'signed-out' | 'exhausted' | 'fatal';
  message: string;
  error?: EverwireError;
}

/** What happens to the connection, step by step. */
export type Lifecycle =
  | { type: 'state'; old: State; new: State }
  | { type: 'connecting'; url: string; attempt: number }
  | { type: 'connected'; connectionId?: string; attempt: number; downtime?: number }
  | { type: 'disconnected'; error: EverwireError }
  | { type: 'backing-off'; attempt: number; delay: number; error: EverwireError }
  | { type: 'error'; error: EverwireError }
  | { type: 'ping' }
  | { type: 'pong'; latency: number }
  | { type: 'closing'; code: number; reason: string; by: 'client' | 'server' }
  | { type: 'token-renewed'; validFor?: number }
  | { type: 'breaker'; state: 'closed' | 'open' | 'half-open'; wait?: number }
  | { type: 'renewing'; age: number }
  | { type: 'replay-started'; mode: 'sequence' | 'full-buffer'; last?: number; count?: number }
  | { type: 'replay-completed'; mode: 'sequence' | 'full-buffer'; count: number; duration: number }
  /** Events are lost, from this number on; without `to` nobody knows up to which one. A tab that was away counts what the others heard. */
  | { type: 'gap'; from: number; to?: number }
  /** A queue was full; `outbox-bytes` is the outbox where not the messages but their bytes are too many, and counts in bytes. */
  | { type: 'overflow'; queue: string; capacity: number; dropped: number; policy: string }
  | { type: 'clamped'; setting: string; asked: number; used: number }
  | { type: 'closed'; cause: Cause };

export type ErrorCode =
  | 'config'
  | 'invalid-state'
  | 'invalid-input'
  | 'unsupported'
  | 'connect'
  | 'handshake'
  | 'auth'
  | 'server'
  | 'token'
  | 'signed-out'
  | 'protocol'
  | 'decode'
  | 'too-large'
  | 'timeout'
  | 'closed'
  | 'overflow'
  | 'listener'
  | 'load';

/** Every error of everwire. Its text never contains a token. */
export declare class EverwireError extends Error {
  /** For a token function whose user is signed out to throw; all others are made by everwire. */
  constructor(code: 'signed-out', message?: string);
  readonly name: 'EverwireError';
  /** What kind of error it is. */
  readonly code: ErrorCode;
  /** Whether the same call may work later without a change. */
  readonly retryable: boolean;
  /** The option or field that is wrong, as a dotted path. */
  readonly path?: string;
  /** The code the server gave, such as 40 for an expired token. */
  readonly serverCode?: number;
  readonly closeCode?: number;
  readonly closeReason?: string;
  /** The server's answer that caused the error, as it came. */
  readonly response?: string;
  /** What was thrown, by a function of yours for example. */
  readonly cause?: unknown;
}

/** A method by a symbol of the language's, where the library that a program is compiled with knows it (`lib: ["esnext.disposable"]`). */
type Symbolic<Symbols, Name extends string, Method> = Symbols extends { readonly [N in Name]: infer S extends PropertyKey }
  ? { [K in S]: Method }
  : {};
type Disposes = Symbolic<SymbolConstructor, 'dispose', () => void>;
type DisposesAsync = Symbolic<SymbolConstructor, 'asyncDispose', () => Promise<void>>;

/** What can be listened to: a client, or one of its channels. */
export interface Source<Events extends object = AnyEvents> {
  /** Calls a function for every event of a type. Gives back a function that ends this. */
  on<P extends Pattern<Events>>(type: P, listener: Listener<Events, P>, options?: ListenerOptions): () => void;
  /** Calls a function for the next event of a type. */
  once<P extends Pattern<Events>>(type: P, listener: Listener<Events, P>, options?: ListenerOptions): () => void;
  /** The next event of a type. Rejects with the cause if the client ends first, and with the signal's reason. */
  once<P extends Pattern<Events>>(type: P, options?: ListenerOptions): Promise<Events[Matching<Events, P>]>;
  /** Calls a function for every event. */
  onAny(listener: Listener<Events, '**'>, options?: ListenerOptions): () => void;
  /** Takes a function off that `on` or `once` put there; says whether it was there. */
  off<P extends Pattern<Events>>(type: P, listener: Listener<Events, P>): boolean;
  /** The events of a type, or of all, as `for await` reads them: the first one that comes after this call is the first. */
  events<P extends Pattern<Events> = '**'>(type?: P, options?: EventsOptions): EventStream<Typed<Events, P>>;
  /** All events, as `events()`. */
  [Symbol.asyncIterator](): EventStream<Typed<Events, '**'>>;
}

/** The events of one channel. The first handle of a channel subscribes to it, and closing the last one unsubscribes. */
export interface Channel<Events extends object = AnyEvents> extends Source<Events>, Disposes {
  readonly name: string;
  /** Takes its listeners off, and unsubscribes if no other handle has the channel. */
  close(): void;
}

/** A client: one connection that is kept alive. */
export declare class Client<Events extends object = AnyEvents> {
  /** `connect` and `createClient` make clients. */
  private constructor();
}

export interface Client<Events extends object = AnyEvents> extends Source<Events>, DisposesAsync {
  /** Where it stands. */
  readonly state: State;
  /** The id the server gave this connection, while connected. */
  readonly connectionId: string | undefined;
  /** Settles at the end, with the cause of it. Never rejects. */
  readonly closed: Promise<Cause>;
  /** Connects; settles at the hello, or rejects with the cause of the end. An error while connected already. */
  connect(): Promise<void>;
  /** Settles at the hello of a connection on its way, at once while connected; rejects with the cause if it ends. */
  ready(): Promise<void>;
  /** Calls a function for every step in the life of the connection. Gives back a function that ends this. */
  onLifecycle(listener: (step: Lifecycle) => void): () => void;
  /**
   * Sends a message: text and bytes as they are, a `Blob` once it is read (nothing overtakes it), everything else as JSON, or with a `codec`
   * text and the rest by that; what JSON
   * would lose, such as a `Map` or a forgotten `await`, is refused with `invalid-input`. Without a connection it waits for one in the outbox,
   * before `connect` too (do not await it there). Settles when the browser has taken it.
   */
  send(message: string | ArrayBuffer | ArrayBufferView | Blob | object | number | boolean | null, options?: SendOptions): Promise<void>;
  /**
   * Sends a request, and settles with its reply. The dialect says where the id of both stands; one is put in where there is none.
   * The reply goes to the caller alone; one that comes too late is an event as any other.
   */
  request<Reply = any>(message: object, options?: RequestOptions): Promise<Reply>;
  /** The events of a channel, if the dialect knows any: on this connection and on every one that follows. */
  channel<E extends object = Events>(name: string): Channel<E>;
  /** Where another client would go on, where the dialect can resume. */
  readonly resumePoint: ResumePoint | undefined;
  /** Closes for good: 1000 or 3000 to 4999, and a reason of at most 123 bytes. Settles when closed. */
  close(code?: number, reason?: string): Promise<void>;
  /** What was counted so far. */
  stats(): Stats;
  /** Why connections were lost and tries failed: the last 16 times, the oldest first. */
  reconnectLog(): Reconnect[];
}

/** Connects, and settles at the server's hello, or rejects with the cause of the end. */
export declare function connect<Events extends object = AnyEvents>(options: Options): Promise<Client<Events>>;

/** Makes a client that does not connect yet, so that listeners can be there before the first event. */
export declare function createClient<Events extends object = AnyEvents>(options: Options): Promise<Client<Events>>;
