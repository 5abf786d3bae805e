"""What the scenarios share: joining a session over any transport, collecting events, running and reporting.

A scenario is an `async def` that takes a `Router` and asserts. It runs once for every transport and serializer that
the command line names, and prints one line each time. Nothing here sleeps: what must arrive is awaited, and what must
not arrive is fenced by a later message that takes the same way.
"""

import argparse
import asyncio
import contextlib
import itertools
import ssl
import sys
import time
import traceback
import urllib.parse

import txaio

txaio.use_asyncio()

from autobahn.asyncio.rawsocket import WampRawSocketClientFactory  # noqa: E402
from autobahn.asyncio.wamp import ApplicationSession  # noqa: E402
from autobahn.asyncio.websocket import WampWebSocketClientFactory  # noqa: E402
from autobahn.wamp import message, serializer  # noqa: E402
from autobahn.wamp.exception import ApplicationError  # noqa: E402
from autobahn.wamp.types import (  # noqa: E402
    CallOptions,
    ComponentConfig,
    PublishOptions,
    RegisterOptions,
    SubscribeOptions,
)
from autobahn.websocket.compress import (  # noqa: E402
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)

# How long anything that must come may take. It only bounds a failure, so it is generous.
PATIENCE_S = 20.0

SERIALIZERS = {
    "cbor": lambda: serializer.CBORSerializer(),
    "msgpack": lambda: serializer.MsgPackSerializer(),
    "json": lambda: serializer.JsonSerializer(),
    "cbor.batched": lambda: serializer.CBORSerializer(batched=True),
    "msgpack.batched": lambda: serializer.MsgPackSerializer(batched=True),
    "json.batched": lambda: serializer.JsonSerializer(batched=True),
}


class Refused(Exception):
    """The router did not let the session in. `reason` is the URI of its ABORT."""

    def __init__(self, reason, text):
        super().__init__(f"{reason}: {text}")
        self.reason = reason


class Credentials:
    """What a session says about itself in HELLO, and how it answers a challenge: autobahn's own authenticators."""

    def __init__(self, *authenticators, authid=None, methods=None):
        self.authenticators = authenticators
        self.authid = authid
        self.methods = methods or [authenticator.name for authenticator in authenticators] or None

    def hello(self):
        extra = {}
        for authenticator in self.authenticators:
            extra.update(authenticator.authextra)
        return {"authmethods": self.methods, "authid": self.authid, "authextra": extra or None}

    def answer(self, session, challenge):
        for authenticator in self.authenticators:
            if authenticator.name == challenge.method:
                return authenticator.on_challenge(session, challenge)
        raise RuntimeError(f"challenged by {challenge.method}, which was not offered")


ANONYMOUS = Credentials(methods=["anonymous"])


class Session(ApplicationSession):
    """A session whose states can be awaited: `joined` (the details), `left` (the reason) and `gone` (no transport)."""

    def __init__(self, realm, credentials):
        super().__init__(ComponentConfig(realm))
        loop = asyncio.get_running_loop()
        self.credentials = credentials
        self.joined = loop.create_future()
        self.left = loop.create_future()
        self.gone = loop.create_future()
        # Those that nobody awaits must not complain when they are dropped.
        self.joined.add_done_callback(lambda future: future.exception())

    def onConnect(self):
        self.join(self.config.realm, **self.credentials.hello())

    def onChallenge(self, challenge):
        return self.credentials.answer(self, challenge)

    def onJoin(self, details):
        self.joined.set_result(details)

    def onLeave(self, details):
        if not self.joined.done():
            self.joined.set_exception(Refused(details.reason, details.message))
        if not self.left.done():
            self.left.set_result(details)
        return super().onLeave(details)

    def onDisconnect(self):
        if not self.joined.done():
            self.joined.set_exception(Refused("transport lost", "the connection was closed before WELCOME"))
        if not self.gone.done():
            self.gone.set_result(None)
        return super().onDisconnect()

    def onUserError(self, fail, msg):
        """Errors that a scenario raises on purpose need no log."""

    @property
    def id(self):
        return self._session_id

    def cancel(self, mode=None):
        """Sends CANCEL for the call that was made last; autobahn's own cancel knows no modes."""
        self._transport.send(message.Cancel(max(self._call_reqs), mode=mode))

    def cut(self):
        """Loses the transport without a GOODBYE or a closing handshake, as a pulled cable does."""
        self._transport.transport.abort()

    async def finish(self):
        if self.id and self._transport:
            self.leave()
        elif self._transport:
            self.disconnect()
        await patiently(self.gone)


class Inbox:
    """The handler of a subscription: keeps what arrives, in order. Subscribe it with `details=True`."""

    def __init__(self):
        self.queue = asyncio.Queue()

    def __call__(self, *args, details=None, **kwargs):
        self.queue.put_nowait(Event(args, kwargs, details))

    async def take(self):
        return await patiently(self.queue.get())

    async def until(self, last):
        """All events before the one whose only argument is `last`."""
        events = []
        while (event := await self.take()).args != (last,):
            events.append(event)
        return events


class Event:
    def __init__(self, args, kwargs, details):
        self.args = args
        self.kwargs = kwargs
        self.details = details

    def __repr__(self):
        return f"Event({self.args}, {self.kwargs})"


class Router:
    """The router as one scenario sees it: where it is, how it is spoken to, and which sessions were opened there."""

    def __init__(self, url, serializer_id, realm, name, options):
        self.url = url
        self.serializer_id = serializer_id
        self.realm = realm
        self.name = name
        self.options = options
        self.sessions = []

    def uri(self, suffix):
        """A URI that no other run of a scenario uses."""
        return f"com.example.{self.name}.{suffix}"

    async def join(self, credentials=None, **where):
        """Opens a session. `where` overrides `url`, `serializer_id`, `realm` or `deflate` for this one."""
        session = Session(where.get("realm", self.realm), credentials or ANONYMOUS)
        connection = await connect(
            session,
            where.get("url", self.url),
            where.get("serializer_id", self.serializer_id),
            where.get("deflate", False),
        )
        try:
            session.details = await patiently(session.joined)
        except BaseException:
            connection.abort()
            raise
        self.sessions.append(session)
        return session

    async def close(self):
        for session in self.sessions:
            with contextlib.suppress(Exception):
                await session.finish()


async def connect(session, url, serializer_id, deflate):
    """Opens the transport of a session and returns asyncio's side of it."""
    loop = asyncio.get_running_loop()
    txaio.config.loop = loop
    coder = SERIALIZERS[serializer_id]()
    if url.startswith("rs+unix:"):
        factory = WampRawSocketClientFactory(lambda: session, serializer=coder)
        opening = loop.create_unix_connection(factory, url.removeprefix("rs+unix:"))
    elif url.startswith("rs"):
        where = urllib.parse.urlsplit(url)
        factory = WampRawSocketClientFactory(lambda: session, serializer=coder)
        opening = loop.create_connection(factory, where.hostname, where.port, ssl=trusting(where.scheme == "rss"))
    else:
        where = urllib.parse.urlsplit(url)
        factory = WampWebSocketClientFactory(lambda: session, url=url, serializers=[coder])
        factory.setProtocolOptions(failByDrop=False, closeHandshakeTimeout=PATIENCE_S, autoFragmentSize=65536)
        if deflate:
            factory.setProtocolOptions(
                perMessageCompressionOffers=[PerMessageDeflateOffer()], perMessageCompressionAccept=accept_deflate
            )
        opening = loop.create_connection(factory, where.hostname, where.port, ssl=trusting(where.scheme == "wss"))
    connection, _ = await patiently(opening)
    return connection


def accept_deflate(response):
    if isinstance(response, PerMessageDeflateResponse):
        return PerMessageDeflateResponseAccept(response)


def trusting(wanted):
    """A TLS context that trusts the throw-away certificate of the test, or None for no TLS."""
    if not wanted:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def patiently(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def refused(awaitable, *uris):
    """Asserts that the request is answered with an ERROR of one of these URIs, and returns it."""
    try:
        answer = await patiently(awaitable)
    except ApplicationError as error:
        assert error.error in uris, f"the ERROR is {error.error} {error.args}, not one of {uris}"
        return error
    raise AssertionError(f"the answer is {answer!r}, not the ERROR {uris}")


async def call(session, procedure, *args, **kwargs):
    """Calls, and returns args and kwargs of the RESULT apart."""
    options = kwargs.pop("options", None) or CallOptions()
    options.details = True
    result = await patiently(session.call(procedure, *args, options=options, **kwargs))
    return list(result.results or []), result.kwresults or {}


async def subscribe(session, topic, **options):
    """Subscribes a new inbox to the topic, and returns it with its `subscription`."""
    inbox = Inbox()
    inbox.subscription = await patiently(session.subscribe(inbox, topic, SubscribeOptions(details=True, **options)))
    return inbox


async def register(session, procedure, endpoint, **options):
    return await patiently(session.register(endpoint, procedure, RegisterOptions(**options)))


async def publish(session, topic, *args, **kwargs):
    """Publishes with acknowledgement, and returns the publication id. Options have a leading underscore."""
    options = {name[1:]: kwargs.pop(name) for name in list(kwargs) if name.startswith("_")}
    publication = await patiently(
        session.publish(topic, *args, options=PublishOptions(acknowledge=True, **options), **kwargs)
    )
    return publication.id


def main(scenarios, more_arguments=lambda parser: None):
    """Runs the scenarios as the command line says, prints a line for each, and ends with 1 when one failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", action="append", required=True, help="ws://, wss://, rs://host:port or rs+unix:PATH")
    parser.add_argument("--serializer", default="cbor,msgpack,json", help="one or several, with commas")
    parser.add_argument("--realm", default="realm1")
    parser.add_argument("--only", help="run the scenarios whose name contains this")
    more_arguments(parser)
    options = parser.parse_args()
    failures = asyncio.run(run_all(scenarios, options))
    sys.exit(1 if failures else 0)


async def run_all(scenarios, options):
    failures = 0
    serials = itertools.count()
    begin = time.monotonic()
    for url, serializer_id in itertools.product(options.url, options.serializer.split(",")):
        if serializer_id.endswith(".batched") and not url.startswith("ws"):
            continue
        for scenario in scenarios:
            if options.only and options.only not in scenario.__name__:
                continue
            name = f"{scenario.__name__} [{url.split(':')[0]} {serializer_id}]"
            router = Router(url, serializer_id, options.realm, f"s{next(serials)}", options)
            failures += not await run(scenario, router, name)
    print(f"ran {next(serials)} scenarios in {time.monotonic() - begin:.1f} s, {failures} failed", flush=True)
    return failures


def why(error):
    """The reason in one line: what the error says, or the assertion that did not hold."""
    if said := str(error).replace("\n", " "):
        return said
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {frame.filename.rsplit('/')[-1]}:{frame.lineno}: {frame.line}"


async def run(scenario, router, name):
    try:
        await asyncio.wait_for(scenario(router), 3 * PATIENCE_S)
    except Exception as error:
        print(f"FAIL {name}: {why(error)}", flush=True)
        traceback.print_exception(error, file=sys.stdout)
        return False
    else:
        print(f"ok {name}", flush=True)
        return True
    finally:
        await router.close()
