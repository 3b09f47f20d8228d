// The official client `stream-chat` from npm, unchanged, against a server of ours.
//
// usage: node stream_chat.mjs '{"url":"http://…","key":"…","user":"…","tokens":["…"],"ping":200}'
// The tokens are handed out one after the other, the last one again and again; `ping` is its health check interval in ms.
// What happens is written to the standard output, one JSON object a line. It disconnects and ends with its standard input.

import { createRequire } from 'node:module'

// It is installed beside the browser tests.
const { StreamChat, StableWSConnection } = createRequire(new URL('../web/package.json', import.meta.url))('stream-chat')

const { url, key, user, tokens, ping } = JSON.parse(process.argv[2])
const tell = (what) => process.stdout.write(JSON.stringify(what) + '\n')

let fetches = 0
const nextToken = async () => {
  const token = tokens[Math.min(fetches, tokens.length - 1)]
  fetches += 1
  tell({ token: fetches })
  return token
}

const client = new StreamChat(key, { allowServerSideConnect: true, baseURL: url })
client.wsBaseURL = url.replace('http', 'ws')
// The client lets a connection be handed in; this one checks its health more often than every 25 s.
const connection = new StableWSConnection({ client })
connection.pingInterval = ping
connection.connectionCheckTimeout = ping * 7
client.options.wsConnection = connection

client.on((event) => tell({ event: event.type, connection: event.connection_id, me: event.me?.id, online: event.online, error: event.error }))

process.stdin.resume()
process.stdin.on('end', async () => {
  await client.disconnectUser()
  process.exit()
})

try {
  const hello = await client.connectUser({ id: user, name: 'Alice' }, nextToken)
  tell({ connected: hello.connection_id })
} catch (error) {
  tell({ refused: JSON.parse(error.message) })
}
