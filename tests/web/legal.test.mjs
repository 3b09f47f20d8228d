// What is legal in JSON (`src/proto/json/legal.json`), and what each of it comes to in the npm package: in a hello, in an error, in the
// type of an event and in its document. `tests/core/legal.rs` has the same of the Rust client.
import { readFile } from 'node:fs/promises';
import { assert, inPage, options, test } from './harness.mjs';

const { values, messages, illegal } = JSON.parse(await readFile(new URL('../../src/proto/json/legal.json', import.meta.url), 'utf8'));
const deep = (levels) => '['.repeat(levels) + ']'.repeat(levels);
/** Compares as JSON: in JavaScript half a surrogate pair stays one, and JSON has it as an escape. */
const wellFormed = (json) => json.replace(/(?<!\\)(?:\\\\)*\\ud[89a-f]../g, (escape) => escape.slice(0, -6) + '\\ufffd');
const same = (text) => text && JSON.stringify(JSON.parse(wellFormed(text)));
const json = (value) => same(JSON.stringify(value));

/** A dialect whose hello is told to the peer, which sends it. */
const saying = (hello) => ({
  name: 'legal',
  first_frame: { cmd: 'emit', frames: [hello], param: '${param?}' },
  hello: { types: ['hello'], requires: ['id'], connection_id: 'id' },
  errors: { types: ['error'], code: ['code'], message: ['message'], default: 'fatal' },
  requests: { id: 'id', error: 'error' },
});

test('a hello is a hello, and an error an error, whatever legal JSON is in it', async (t) => {
  const hellos = [];
  const errors = [];
  for (const { text, value } of [...values, ...[127, 128, 129, 5_000].map((levels) => ({ text: deep(levels) }))]) {
    hellos.push([`{"type":"hello","id":"c","me":${text}}`, 'c'], [`\ufeff{"me":[${text}], "id":"c", "type":"hello"}`, 'c']);
    const isText = typeof value === 'string';
    // As a name, and as the id itself.
    if (isText) hellos.push([`{"type":"hello",${text}:1,"id":${text}}`, value]);
    errors.push([`{"type":"error","code":7,"more":[${text}],"message":${isText ? text : '"no"'}}`, [7, `${isText ? value : 'no'} (code 7)`]]);
  }
  hellos.push(['{"type":"hello","id":"a","\\u0069d":"b"}', 'b']);
  for (const [code, wanted] of [['-0', 0], ['7.0', 7], ['7.5', undefined], ['1e400', undefined]]) {
    errors.push([`{"type":"error","code":${code},"message":"no"}`, [wanted, wanted === undefined ? 'no' : `no (code ${wanted})`]]);
  }
  const given = [...hellos, ...errors].map(([text]) => saying(text));
  const seen = await inPage(t, async ({ connect }, { given, ...options }) => {
    const seen = [];
    for (const dialect of given) {
      try {
        const client = await connect({ ...options, dialect });
        seen.push(client.connectionId);
        await client.close();
      } catch (error) {
        seen.push([error.serverCode, error.message]);
      }
    }
    return seen;
  }, options(t.peer, { given }));
  seen.forEach((result, place) => {
    const [text, wanted] = [...hellos, ...errors][place];
    assert.deepEqual(result, wanted, text.slice(0, 100));
  });
});

test('an event has its type and its document, whatever legal JSON is in it', async (t) => {
  const rows = [];
  const comesTo = ({ text, value, beyond }) => (beyond || value === undefined ? json(JSON.parse(text)) : json(value));
  for (const row of values) {
    const { text, value } = row;
    const wanted = comesTo(row);
    rows.push([`{"x":${text},"type":"a"}`, 'a', `{"x":${wanted},"type":"a"}`], [`{"type":"a","x":${text}}`, 'a', `{"type":"a","x":${wanted}}`]);
    rows.push([text, 'unknown', wanted], [`\ufeff[${text}]`, 'unknown', `[${wanted}]`]);
    if (typeof value === 'string') rows.push([`{"x":1, "type" : ${text} }`, value, `{"x":1,"type":${wanted}}`]);
  }
  for (const row of messages) rows.push([row.text, row.type ?? 'unknown', comesTo(row)]);
  const nested = [129, 100_000];
  const seen = await inPage(t, async ({ connect }, { texts, deep, illegal, ...options }) => {
    const client = await connect({ ...options, maxMessageSize: 1 << 20 });
    const seen = [];
    const off = client.on('**', (event, type) => type !== 'emitted' && seen.push([type, JSON.stringify(event)]));
    await emit(client, ...texts);
    off();
    const levels = [];
    client.on('deep', ({ x }) => {
      let depth = 0;
      for (let inner = x; inner !== undefined; inner = inner[0]) depth += 1;
      levels.push(depth);
    });
    await emit(client, ...deep);
    const before = client.stats().malformed;
    await emit(client, ...illegal);
    await client.close();
    return { seen, levels, malformed: client.stats().malformed - before };
  }, options(t.peer, {
    texts: rows.map(([text]) => text),
    deep: nested.map((levels, place) => (place === 0 ? `{"type":"deep","x":${deep(levels)}}` : `{"x":${deep(levels)},"type":"deep"}`)),
    illegal,
  }));
  rows.forEach(([text, type, wanted], place) => {
    const [seenType, document] = seen.seen[place];
    assert.deepEqual([json(seenType), same(document)], [json(type), same(wanted)], text.slice(0, 100));
  });
  assert.deepEqual([seen.seen.length, seen.levels, seen.malformed], [rows.length, nested, illegal.length]);
});

test('half a surrogate pair goes out as U+FFFD, and what is nested too deeply is refused', async (t) => {
  const seen = await inPage(t, async ({ connect }, { dialect, ...options }) => {
    const client = await connect({ ...options, dialect, params: { param: { 'name\ud83d': 'Alice \ud83d' } } });
    const reply = await client.request({ cmd: 'emit', frames: ['{"id":1,"text":"\\ude80"}'], text: '\ude80' });
    let nested = 0;
    for (let levels = 0; levels < 200; levels += 1) nested = [nested];
    const refused = [
      await failure(() => client.request({ nested })),
      await failure(() => connect({ ...options, dialect, params: { nested } })),
    ];
    await client.send('\ud83d');
    await client.close();
    return { reply, refused: refused.map(({ code, path }) => [code, path]) };
  }, options(t.peer, { dialect: saying('{"type":"hello","id":"c"}') }));
  const { received } = t.peer.connections.at(-1);
  assert.deepEqual(JSON.parse(received[0]).param, { 'name\ufffd': 'Alice \ufffd' });
  assert.deepEqual([JSON.parse(received[1]).text, received[2], json(seen.reply)], ['\ufffd', '\ufffd', json({ id: 1, text: '\ufffd' })]);
  assert.deepEqual(seen.refused, [['invalid-input', undefined], ['config', 'options']]);
});
