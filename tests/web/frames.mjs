// The events of the browser's benchmarks: eight types of chat events, 150 B or 1 KB each, the type first.
const TYPES = ['message.new', 'message.read', 'message.updated', 'typing.start', 'typing.stop', 'user.presence', 'reaction.new', 'channel.updated'];

export const FRAMES = { '150 B': TYPES.map((type, index) => frame(type, index, 150)), '1 KB': TYPES.map((type, index) => frame(type, index, 1024)) };

function frame(type, index, size) {
  const event = { type, cid: `messaging:room-${index}`, user: { id: `user-${index}`, name: 'Someone' }, at: 1_700_000_000 + index, items: [] };
  while (JSON.stringify(event).length < size - 40) event.items.push({ id: event.items.length, text: 'some words', ok: true });
  event.pad = '';
  event.pad = 'x'.repeat(Math.max(0, size - JSON.stringify(event).length));
  return JSON.stringify(event);
}
