// The filter of the stream: with a star it is a pattern, as `client.on` takes it, else words to be looked for.

/** Gives a function that says whether an event is wanted, by its type and the one line about it. */
export function compile(text) {
  const wanted = text.trim();
  if (wanted === '') return () => true;
  if (wanted.includes('*')) return (type) => matches(wanted.split('.'), type.split('.'));
  const words = wanted.toLowerCase().split(/\s+/);
  return (type, about) => {
    const searched = `${type} ${about}`.toLowerCase();
    return words.every((word) => searched.includes(word));
  };
}

/** Level by level: `*` is one level, `**` at the end one or more; a lone star is everything. */
function matches(pattern, type) {
  if (pattern.length === 1 && /^\*\*?$/.test(pattern[0])) return true;
  for (const [place, level] of pattern.entries()) {
    if (place >= type.length) return false;
    if (level === '**' && place === pattern.length - 1) return true;
    if (level !== '*' && level !== type[place]) return false;
  }
  return pattern.length === type.length;
}
