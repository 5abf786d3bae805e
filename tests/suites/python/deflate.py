"""Six WebSocket libraries of Python with every offer of permessage-deflate that each can make.

A scenario joins, subscribes, publishes to itself, small and large, and leaves: over one connection, so that the windows of both
directions are carried on from message to message. Libraries that are strict refuse a response that does not fit their offer.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import random
import sys

import cbor2
import scenarios

URL = sys.argv[1]
REALM = "realm1"
ROLES = {"roles": {"publisher": {}, "subscriber": {}}}
CODERS = {
    "json": (lambda message: json.dumps(message), json.loads),
    "cbor": (cbor2.dumps, cbor2.loads),
}
# Compressible and not, below and above what a frame, a window and a socket buffer take.
TEXTS = ["", "a", "tell me " * 4000, random.Random(7).randbytes(60_000).hex(), "tell me " * 4000, "z" * 500_000]


async def websockets_client(protocol, offer):
    import websockets.asyncio.client
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    extensions = None if offer is None else [ClientPerMessageDeflateFactory(**offer)]
    connection = await websockets.asyncio.client.connect(
        URL, subprotocols=[protocol], extensions=extensions, compression=None, max_size=None
    )
    assert connection.subprotocol == protocol
    agreed = [extension.name for extension in connection.protocol.extensions]
    return connection.send, connection.recv, connection.close, "permessage-deflate" in agreed


async def aiohttp_client(protocol, offer):
    import aiohttp

    session = aiohttp.ClientSession()
    connection = await session.ws_connect(URL, protocols=[protocol], compress=(offer or {}).get("compress", 0), max_msg_size=0)
    assert connection.protocol == protocol

    async def send(data):
        await (connection.send_str(data) if isinstance(data, str) else connection.send_bytes(data))

    async def receive():
        return (await connection.receive()).data

    async def close():
        await connection.close()
        await session.close()

    return send, receive, close, connection.compress > 0


async def tornado_client(protocol, offer):
    from tornado.websocket import websocket_connect

    connection = await websocket_connect(
        URL, subprotocols=[protocol], compression_options=offer, max_message_size=1 << 24
    )
    assert connection.selected_subprotocol == protocol

    async def send(data):
        await connection.write_message(data, binary=isinstance(data, bytes))

    async def close():
        connection.close()
        assert await connection.read_message() is None

    agreed = "permessage-deflate" in connection.headers.get("Sec-WebSocket-Extensions", "")
    return send, connection.read_message, close, agreed


async def websocket_client_client(protocol, _):
    """This library knows no compression."""
    import websocket

    connection = await asyncio.to_thread(websocket.create_connection, URL, subprotocols=[protocol])
    assert connection.getsubprotocol() == protocol

    async def send(data):
        sends = connection.send_binary if isinstance(data, bytes) else connection.send
        await asyncio.to_thread(sends, data)

    receive = functools.partial(asyncio.to_thread, connection.recv)
    return send, receive, functools.partial(asyncio.to_thread, connection.close), False


async def autobahn_client(protocol, offer):
    import txaio

    txaio.use_asyncio()
    from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
    from autobahn.websocket import compress

    class Protocol(WebSocketClientProtocol):
        def __init__(self):
            super().__init__()
            self.opened, self.closed, self.inbox = asyncio.Future(), asyncio.Future(), asyncio.Queue()

        def onConnect(self, response):
            self.agreed = bool(response.extensions)
            assert response.protocol == protocol

        def onOpen(self):
            self.opened.set_result(None)

        def onMessage(self, payload, isBinary):
            self.inbox.put_nowait(payload if isBinary else payload.decode())

        def onClose(self, wasClean, code, reason):
            if not self.opened.done():
                self.opened.set_exception(ConnectionError(reason))
            self.inbox.put_nowait(None)
            self.closed.set_result(wasClean)

    loop = asyncio.get_running_loop()
    txaio.config.loop = loop
    factory = WebSocketClientFactory(URL, protocols=[protocol])
    factory.protocol = Protocol
    if offer is not None:
        accept = {key: value for key, value in offer.items() if key in ("no_context_takeover", "window_bits")}
        factory.setProtocolOptions(
            perMessageCompressionOffers=[compress.PerMessageDeflateOffer(**{k: v for k, v in offer.items() if k not in accept})],
            perMessageCompressionAccept=lambda response: compress.PerMessageDeflateResponseAccept(response, **accept),
        )
    _, connection = await loop.create_connection(factory, factory.host, factory.port)
    await connection.opened

    async def send(data):
        connection.sendMessage(data.encode() if isinstance(data, str) else data, isBinary=isinstance(data, bytes))

    async def close():
        connection.sendClose(1000)
        await connection.closed

    return send, connection.inbox.get, close, connection.agreed


async def wsproto_client(protocol, offer):
    from urllib.parse import urlsplit

    from wsproto import ConnectionType, WSConnection, events
    from wsproto.extensions import PerMessageDeflate

    where = urlsplit(URL)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    deflate = None if offer is None else PerMessageDeflate(**offer)
    machine = WSConnection(ConnectionType.CLIENT)
    request = events.Request(host=where.netloc, target=where.path, subprotocols=[protocol], extensions=[deflate] if deflate else [])
    writer.write(machine.send(request))
    parts, told = [], []

    async def event():
        """The next event, when all bytes that are needed for it have come."""
        while not told:
            data = await reader.read(65536)
            machine.receive_data(data or None)
            told.extend(machine.events())
        return told.pop(0)

    async def send(data):
        sent = events.TextMessage(data=data) if isinstance(data, str) else events.BytesMessage(data=data)
        writer.write(machine.send(sent))
        await writer.drain()

    async def receive():
        while True:
            part = await event()
            if isinstance(part, events.Ping):
                writer.write(machine.send(part.response()))
                continue
            assert isinstance(part, events.Message), part
            parts.append(part.data)
            if part.message_finished:
                whole = type(part.data)().join(parts)
                parts.clear()
                return whole

    async def close():
        writer.write(machine.send(events.CloseConnection(code=1000)))
        assert isinstance(await event(), events.CloseConnection)
        writer.close()

    accepted = await event()
    assert isinstance(accepted, events.AcceptConnection), accepted
    assert accepted.subprotocol == protocol
    return send, receive, close, bool(accepted.extensions)


def combinations(**choices):
    """Every choice of these keyword arguments; one that is None is left out."""
    for values in itertools.product(*choices.values()):
        yield {key: value for key, value in zip(choices, values) if value is not None}


# zlib, and so every library here, takes no window of 8 bits.
OFFERS = {
    "websockets": (websockets_client, [
        *combinations(server_max_window_bits=[None, 9, 12, 15], client_max_window_bits=[None, True, 9, 15]),
        *combinations(server_no_context_takeover=[None, True], client_no_context_takeover=[None, True]),
    ]),
    "wsproto": (wsproto_client, [
        *combinations(server_max_window_bits=[None, 9, 12, 15], client_max_window_bits=[None, 9, 15]),
        *combinations(server_no_context_takeover=[None, True], client_no_context_takeover=[None, True]),
    ]),
    "autobahn": (autobahn_client, [
        *combinations(request_max_window_bits=[0, 9, 12, 15], request_no_context_takeover=[False, True]),
        *combinations(accept_max_window_bits=[True], window_bits=[9, 15], no_context_takeover=[None, True]),
    ]),
    "aiohttp": (aiohttp_client, [{"compress": bits} for bits in (9, 12, 15)]),
    "tornado": (tornado_client, [{}, {"compression_level": 9}]),
    "websocket-client": (websocket_client_client, []),
}


def scenario(connect, offer, serializer):
    encode, decode = CODERS[serializer]

    async def ask(send, receive, message):
        await send(encode(message))
        return decode(await receive())

    async def play():
        send, receive, close, agreed = await connect(f"wamp.2.{serializer}", offer)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(close)
            assert agreed == (offer is not None), "the router did not agree to compress"
            welcome = await ask(send, receive, [1, REALM, ROLES])
            assert welcome[0] == 2, welcome
            subscribed = await ask(send, receive, [32, 1, {}, f"com.example.deflate.{welcome[1]}"])
            assert subscribed[0] == 33, subscribed
            for request, text in enumerate(TEXTS, start=2):
                await send(encode([16, request, {"exclude_me": False}, f"com.example.deflate.{welcome[1]}", [text], {"again": text}]))
                event = decode(await receive())
                assert event[:2] == [36, subscribed[2]] and event[4:] == [[text], {"again": text}], "another event than published"
            assert (await ask(send, receive, [6, {}, "wamp.close.normal"]))[0] == 6

    return play


def all_scenarios():
    for library, (connect, offers) in OFFERS.items():
        for offer in [None, *offers]:
            said = "no offer" if offer is None else " ".join(f"{key}={value}" for key, value in offer.items()) or "plain offer"
            for serializer in CODERS:
                yield f"{library} {said} [{serializer}]", scenario(connect, offer, serializer)


scenarios.run(all_scenarios())
