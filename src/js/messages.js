// The messages that wait for the module, which knows them by their places; and their types, found on the text itself.

/** So many types are remembered: a server that makes up types without end cannot fill the memory. */
const MOST_TYPES = 4096;
/** And so many that look alike. */
const MOST_ALIKE = 64;

/** The types that are remembered, by a few of their letters: so one is found in a text without being cut out. */
const types = Array.from({ length: 256 }, () => []);
let remembered = 0;

/** The type that stands there in a text; none where it is not written as it is. */
export function typeAt(text, start, end) {
  const letters = text.charCodeAt(start) ^ (text.charCodeAt((start + end) >> 1) << 4) ^ (text.charCodeAt(end - 1) << 2);
  const alike = types[(letters ^ (end - start)) & 255];
  for (const type of alike) {
    if (type.length === end - start && text.startsWith(type, start)) return type;
  }
  const part = text.slice(start, end);
  if (part.includes('\\')) return undefined;
  // A part of a text keeps all of it in memory; the name of a member is a text of its own.
  const [type] = Object.keys({ [part]: 0 });
  if (remembered < MOST_TYPES && alike.length < MOST_ALIKE) {
    remembered += 1;
    alike.push(type);
  }
  return type;
}

/**
 * The messages; their types, where they have one; the documents of those that were parsed; and what the listeners threw of those
 * that were given to them already.
 */
const messages = [];
const messageTypes = [];
const documents = [];
const failed = [];
const free = [];

/** Keeps a message, and gives its place. */
export function keep(message, type, document, failures) {
  const place = free.pop() ?? messages.length;
  messages[place] = message;
  messageTypes[place] = type;
  documents[place] = document;
  failed[place] = failures;
  return place;
}

/** Lets go of a message. */
export function release(place) {
  messages[place] = messageTypes[place] = documents[place] = failed[place] = undefined;
  free.push(place);
}

/** A message as it came. */
export function raw(place) {
  return messages[place];
}

/** The type of a message, if it has one. */
export function typeOf(place) {
  return messageTypes[place];
}

/** What the listeners of a message threw, if it was given to them already. */
export function failuresOf(place) {
  return failed[place];
}

/** What a message says, which is parsed if it was not yet. */
export function open(place) {
  return documents[place] ?? JSON.parse(messages[place]);
}

/** The member at a path of a message. What is no JSON has no members. */
export function member(place, path) {
  let value;
  try {
    value = documents[place] = open(place);
  } catch {
    return undefined;
  }
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}
