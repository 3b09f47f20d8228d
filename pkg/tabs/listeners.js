// What happened, on its way between tabs, and how it is told to the listeners of a tab.
import { EverwireError, call } from '../dist/everwire.js';

/** Gives an event to its listeners, as text that is parsed if there are any, or as a codec decoded it; says what goes wrong. */
export function deliver(listeners, [type, data], codec, wrong) {
  const places = listeners.of(type);
  if (places.length === 0) return;
  let event = data;
  if (typeof data === 'string' && !codec) {
    try {
      event = JSON.parse(data);
    } catch {
      // Where any text may come, text that is no JSON has no type.
      if (type !== 'unknown') return wrong(new EverwireError('decode', 'an event is not JSON', false, {}));
    }
  }
  const threw = (cause) => wrong(new EverwireError('listener', 'a listener threw', false, { cause }));
  call(places, event, type, threw).forEach(threw);
}

/** What another tab is told of an error. Its cause, which anybody may have thrown, stays where it is. */
export function plain(error) {
  const { code, message, retryable, path, serverCode, closeCode, closeReason, response } = error;
  const details = Object.entries({ path, serverCode, closeCode, closeReason, response }).filter(([, value]) => value !== undefined);
  return { code, message, retryable, details: Object.fromEntries(details) };
}

/** The error that another tab has told of. */
export function revived({ code, message, retryable, details }) {
  return new EverwireError(code, message, retryable, { ...details });
}

/** What happened, as it goes over the channel, where errors lose what they are; and back. */
export const posted = (item) => converted(item, plain);
export const taken = (item) => converted(item, revived);

function converted(item, convert) {
  const { step, end } = item;
  if (step?.error) return { ...item, step: { ...step, error: convert(step.error) } };
  if (end?.error) return { ...item, end: { ...end, error: convert(end.error) } };
  return item;
}
