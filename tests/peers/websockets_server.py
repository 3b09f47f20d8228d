"""A server that speaks the dialect `stream`, built on Python's `websockets`. `ws_server.mjs` behaves the same.

The query parameter `api_key` names the scene to play. Scenes that go wrong do so on the first connection of each key
alone, so that a client which comes back finds a server that works. What happens is written to the standard output,
one JSON object a line, the first of them `{"port": …}`. It ends with its standard input.
"""

import asyncio
import collections
import http
import json
import sys
import urllib.parse

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


def tell(**what):
    print(json.dumps(what), flush=True)


async def say(socket, **what):
    await socket.send(json.dumps(what))


async def events(socket):
    for seq in (1, 2, 3):
        await say(socket, type="message.new", seq=seq)


async def say_expired(socket):
    error = {"code": 40, "message": "said the server", "StatusCode": 401}
    await say(socket, type="connection.error", error=error)


async def drop(socket):
    await say(socket, type="message.new", seq=1)
    await socket.recv()
    socket.transport.abort()


async def large(socket):
    await say(socket, type="large", filler="x" * (2 << 20))


async def mute(socket):
    await socket.wait_closed()


async def ping(socket):
    pong = await socket.ping("are you there")
    await pong
    tell(pong="are you there")


async def bad(socket):
    await socket.send("no JSON")
    await socket.send(bytes([0, 255]))
    await events(socket)


def closing(code, reason):
    return lambda socket: socket.close(code, reason)


SCENES = {
    "drop": drop,
    "close-1011": closing(1011, "out of order"),
    "close-1000": closing(1000, "go away"),
    "close-4000": closing(4000, "ours"),
    "expires": say_expired,
    "large": large,
    "mute": mute,
    "ping": ping,
    "bad": bad,
}

seen = collections.Counter()


def api_key(request):
    return urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query).get("api_key", [""])[0]


async def welcome(socket, scene, connection_id):
    me = {"id": "someone"}
    created = "2026-01-01T00:00:00Z"
    await say(socket, type="connection.ok", connection_id=connection_id, me=me, created_at=created)
    # Read beside the scene: a pong is only seen by one who reads.
    playing = asyncio.ensure_future(scene(socket))
    if scene is not drop:
        await echo(socket, connection_id)
    await playing


async def echo(socket, connection_id):
    async for data in socket:
        if isinstance(data, bytes):
            tell(binary=list(data))
            continue
        message = json.loads(data)
        tell(message=message)
        if connection_id.startswith("mute-1"):
            continue
        if isinstance(message, list):
            await say(socket, type="health.check", connection_id=connection_id)
        else:
            await say(socket, type="echo", message=message)


async def play(socket):
    key = api_key(socket.request)
    seen[key] += 1
    tell(open=urllib.parse.urlsplit(socket.request.path).path)
    try:
        auth = json.loads(await socket.recv())
        tell(auth=auth)
        if auth["token"] == "stale":
            await say_expired(socket)
            await socket.close(1008, "expired")
        else:
            scene = SCENES.get(key, events) if seen[key] == 1 else events
            await welcome(socket, scene, f"{key}-{seen[key]}")
    except ConnectionClosed:
        pass
    await socket.wait_closed()
    tell(close=socket.close_code, reason=socket.close_reason or "")


def refuse(connection, request):
    key = api_key(request)
    if key.startswith("status-"):
        return connection.respond(http.HTTPStatus(int(key.removeprefix("status-"))), "no\n")
    return None


async def main():
    async with serve(play, "127.0.0.1", 0, process_request=refuse) as server:
        tell(port=server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        server.close(close_connections=True)


asyncio.run(main())
