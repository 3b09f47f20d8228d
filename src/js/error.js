// Errors, as JavaScript sees them, and the values that the module knows by their numbers.

/** An error of everwire. `code` says what kind it is. */
export class EverwireError extends Error {
  constructor(code, message, retryable = false, details = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    delete details.cause;
    Object.assign(this, { code, retryable }, details);
  }
  get name() {
    return 'EverwireError';
  }
}

/** What was thrown, and other values that do not enter the module. It forgets each of them. */
const values = new Map();
let last = 0;

/** Keeps a value; gives its number, which is not 0. */
export function keep(value) {
  last = ((last + 1) >>> 0) || 1;
  values.set(last, value);
  return last;
}

export function kept(number) {
  return values.get(number);
}

export function forget(number) {
  values.delete(number);
}

/** The settings whose name in the options differs from that in the module. */
const OPTIONS = {
  __proto__: null,
  max_message_size: 'maxMessageSize',
  'backoff.base': 'backoffBase',
  'backoff.cap': 'backoffCap',
  'backoff.jitter': 'jitter',
  token_timeout: 'tokenTimeout',
  open_timeout: 'openTimeout',
  hello_timeout: 'helloTimeout',
  close_timeout: 'closeTimeout',
  probe_timeout: 'probeTimeout',
  health_check_interval: 'healthCheckInterval',
  silence_timeout: 'silenceTimeout',
  max_age: 'maxConnectionAge',
  resume_from: 'resumeFrom',
  on_resume: 'onResume',
};

/** A setting as it is called in the options. */
export const option = (path) => OPTIONS[path] ?? path;

/** What is there of an object's members: no number is `NaN` where the module has none. */
export function present(members) {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && !Number.isNaN(value)));
}

/** An error of the module's; `cause` is the number of what was thrown, or 0. */
export function failure(code, message, retryable, path, serverCode, closeCode, closeReason, response, cause) {
  const named = option(path);
  // The message of an error with a path begins with it.
  const text = path === named ? message : named + message.slice(path.length);
  const details = present({ path: named, serverCode, closeCode, closeReason, response });
  if (cause > 0) details.cause = kept(cause);
  return new EverwireError(code, text, retryable, details);
}
