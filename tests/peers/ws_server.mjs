// A server that speaks the dialect `stream`, built on the npm package `ws`. `websockets_server.py` behaves the same.
//
// The query parameter `api_key` names the scene to play; see `SCENES`. Scenes that go wrong do so on the first
// connection of each key alone, so that a client which comes back finds a server that works. What happens is written
// to the standard output, one JSON object a line, the first of them `{"port": …}`. It ends with its standard input.

import { createServer } from 'node:http'
import { createRequire } from 'node:module'

// `ws` is installed beside the browser tests.
const { WebSocketServer } = createRequire(new URL('../web/package.json', import.meta.url))('ws')

const tell = (what) => process.stdout.write(JSON.stringify(what) + '\n')
const say = (socket, what) => socket.send(JSON.stringify(what))
const event = (seq) => ({ type: 'message.new', seq })
const error = (code) => ({ type: 'connection.error', error: { code, message: 'said the server', StatusCode: 401 } })

const SCENES = {
  drop: (socket) => {
    say(socket, event(1))
    socket.removeAllListeners('message')
    socket.once('message', () => socket.terminate())
  },
  'close-1011': (socket) => socket.close(1011, 'out of order'),
  'close-1000': (socket) => socket.close(1000, 'go away'),
  'close-4000': (socket) => socket.close(4000, 'ours'),
  expires: (socket) => say(socket, error(40)),
  large: (socket) => say(socket, { type: 'large', filler: 'x'.repeat(2 << 20) }),
  mute: (socket) => socket.removeAllListeners('message'),
  ping: (socket) => {
    socket.on('pong', (payload) => tell({ pong: payload.toString() }))
    socket.ping('are you there')
  },
  bad: (socket) => {
    socket.send('no JSON')
    socket.send(Buffer.from([0, 255]))
    events(socket)
  },
}

function events(socket) {
  for (const seq of [1, 2, 3]) say(socket, event(seq))
}

function welcome(socket, scene, id) {
  say(socket, { type: 'connection.ok', connection_id: id, me: { id: 'someone' }, created_at: '2026-01-01T00:00:00Z' })
  socket.on('message', (data, binary) => {
    if (binary) return tell({ binary: [...data] })
    const message = JSON.parse(data)
    tell({ message })
    if (Array.isArray(message)) say(socket, { type: 'health.check', connection_id: id })
    else say(socket, { type: 'echo', message })
  })
  scene(socket)
}

const seen = new Map()
function play(socket, request) {
  const url = new URL(request.url, 'http://localhost')
  const key = url.searchParams.get('api_key')
  const count = (seen.get(key) ?? 0) + 1
  seen.set(key, count)
  tell({ open: url.pathname })
  socket.on('close', (code, reason) => tell({ close: code, reason: reason.toString() }))
  socket.on('error', () => {})
  socket.once('message', (data) => {
    const auth = JSON.parse(data)
    tell({ auth })
    if (auth.token === 'stale') {
      say(socket, error(40))
      return socket.close(1008, 'expired')
    }
    welcome(socket, (count === 1 && SCENES[key]) || events, `${key}-${count}`)
  })
}

const http = createServer()
const server = new WebSocketServer({ noServer: true })
http.on('upgrade', (request, tcp, head) => {
  const status = /api_key=status-(\d+)/.exec(request.url)?.[1]
  if (status) return tcp.end(`HTTP/1.1 ${status} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  server.handleUpgrade(request, tcp, head, (socket) => play(socket, request))
})
http.listen(0, '127.0.0.1', () => tell({ port: http.address().port }))
process.stdin.on('end', () => process.exit(0)).resume()
