"""Every kind of payload, from a client of each serializer to a client of each other, by event and by call.

What arrives must be what was sent, type and all: 1.0 is not 1, true is not 1, text is not bytes. With `--node` the far
end is a client in Node, which has only the kinds that JavaScript can tell apart.
"""

import asyncio
import itertools
import json
import math
import os
import pathlib

import cbor2
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import CallOptions, CallResult, PublishOptions

from support import PATIENCE_S, SERIALIZERS, call, main, patiently, publish, refused, register, subscribe

PLAIN = ["cbor", "msgpack", "json"]

INTEGERS = [
    *[0, 1, 23, 24, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32],
    *[2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1],
    *[-1, -24, -25, -32, -33, -128, -129, -256, -257, -32768, -32769, -65537, -(2**31), -(2**31) - 1],
    *[-(2**32) - 1, -(2**53), -(2**53) - 1, -(2**63)],
]
FLOATS = [0.0, -0.0, 1.0, -1.0, 1.5, 0.1, 1 / 3, 65504.0, 1e10, 2.0**53, 1e300, -1e300, 5e-324, 2.2250738585072014e-308]
STRINGS = [
    *["", "a", "text", "äöüß €", "日本語", "😀 𝄞 astral", "\U0010ffff", "e\u0301 combining", "\ufeff mark"],
    *["quote \" backslash \\ slash /", "\b\f\n\r\t", "\x01\x1f\x7f", "inner \x00 zero", "\u2028\u2029", "</script>"],
    *["a" * 31, "a" * 32, "a" * 255, "a" * 256, "ü" * 70_000, "0x00ff", "null", "1"],
]
BINARIES = [b"", b"\x00", b"\xff", b"text", bytes(range(256)), b"\x80" * 255, b"\x80" * 256, b"\x01\x02" * 40_000]
NESTED = [
    *[[], {}, [[]], [{}], {"": ""}, {"list": []}, {"dict": {}}, [None], [[], {}, None, False, 0, ""]],
    *[list(range(15)), list(range(16)), list(range(1000))],
    *[{f"key {n}": n for n in range(15)}, {f"key {n}": n for n in range(16)}, {f"key {n}": n for n in range(1000)}],
    {"ключ": "значение", "😀": 1, "with space": 2, "quote\"": 3, "b": 1, "a": 2},
    {"a": [1, {"b": [2.5, {"c": [None, True, b"\x00\x01", "\x01", {"d": {}}]}]}]},
]
DEEP = []
for _ in range(50):
    DEEP = [DEEP, {"deeper": None}]
ALL = [None, True, False, *INTEGERS, *FLOATS, *STRINGS, *BINARIES, *NESTED, DEEP]
# Too many items for a length of 16 bits; in events only, because Python takes its time for them.
WITH_LONGEST = [*ALL, list(range(70_000))]


def same(a, b):
    """Equal in type and value, all the way down; 0.0 and -0.0 are two, and a tuple is a list."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        # The order of the keys is kept too: nothing on the way has a reason to sort.
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, float):
        return math.copysign(1, a) == math.copysign(1, b) and (a == b or math.isnan(a) and math.isnan(b))
    return a == b


def brief(value):
    text = f"{type(value).__name__} {value!r}"
    return text if len(text) < 120 else f"{text[:100]}… ({len(text)} characters)"


def check(sent, arrived):
    assert same(sent, arrived), f"sent {brief(sent)}, and {brief(arrived)} arrived"


def other_ends(router):
    """A serializer and a URL for each far end: each serializer over each transport."""
    return list(itertools.product(PLAIN, router.options.url))


async def events_carry_every_kind(router):
    alice = await router.join()
    inboxes = []
    for serializer_id, url in other_ends(router):
        session = await router.join(serializer_id=serializer_id, url=url)
        inboxes.append(await subscribe(session, router.uri("topic")))
    for value in WITH_LONGEST:
        alice.publish(router.uri("topic"), value, "beside", kept=value)
    await publish(alice, router.uri("topic"), "fence")
    for inbox in inboxes:
        for value in WITH_LONGEST:
            event = await inbox.take()
            check((value, "beside"), event.args)
            check({"kept": value}, event.kwargs)


async def calls_and_results_carry_every_kind(router):
    caller = await router.join()
    for number, (serializer_id, url) in enumerate(other_ends(router)):
        callee = await router.join(serializer_id=serializer_id, url=url)
        arrived = []

        def procedure(*args, arrived=arrived, **kwargs):
            arrived.append((args, kwargs))
            return CallResult(*args, **kwargs)

        uri = router.uri(f"echo.{number}")
        await register(callee, uri, procedure)
        pending = [caller.call(uri, value, options=CallOptions(details=True), kept=value) for value in ALL]
        for value, future in zip(ALL, pending):
            result = await patiently(future)
            check([value], result.results)
            check({"kept": value}, result.kwresults)
        for value, (args, kwargs) in zip(ALL, arrived):
            check([value], args)
            check({"kept": value}, kwargs)


async def errors_carry_every_kind(router):
    caller = await router.join()
    for number, (serializer_id, url) in enumerate(other_ends(router)):
        callee = await router.join(serializer_id=serializer_id, url=url)

        def procedure(index):
            # autobahn's errors take None, False and friends in args as they are.
            raise ApplicationError("com.example.error.kind", ALL[index], kept=ALL[index])

        uri = router.uri(f"break.{number}")
        await register(callee, uri, procedure)
        for index, value in enumerate(ALL):
            error = await refused(caller.call(uri, index), "com.example.error.kind")
            check([value], error.args)
            check({"kept": value}, error.kwargs)


async def progress_carries_every_kind(router):
    caller = await router.join()
    for number, (serializer_id, url) in enumerate(other_ends(router)):
        callee = await router.join(serializer_id=serializer_id, url=url)

        def procedure(details=None):
            for value in ALL:
                details.progress(value, kept=value)

        uri = router.uri(f"progress.{number}")
        await register(callee, uri, procedure, details=True)
        arrived = []
        options = CallOptions(on_progress=lambda *args, **kwargs: arrived.append((args, kwargs)))
        await patiently(caller.call(uri, options=options))
        assert len(arrived) == len(ALL)
        for value, (args, kwargs) in zip(ALL, arrived):
            check([value], args)
            check({"kept": value}, kwargs)


async def retained_events_carry_every_kind(router):
    """They are kept by the router and given to receivers of any serializer later."""
    alice = await router.join()
    for number, value in enumerate(ALL):
        alice.publish(router.uri(f"kept.{number}"), value, options=PublishOptions(retain=True))
    await publish(alice, router.uri("done"))
    for serializer_id in PLAIN:
        session = await router.join(serializer_id=serializer_id)
        for number, value in enumerate(ALL):
            inbox = await subscribe(session, router.uri(f"kept.{number}"), get_retained=True)
            check([value], (await inbox.take()).args)


async def odd_floats_between_binary_serializers(router):
    """JSON has no infinities and no NaN; CBOR and MessagePack do."""
    if router.serializer_id == "json":
        return
    alice = await router.join()
    for serializer_id in ("cbor", "msgpack"):
        bob = await router.join(serializer_id=serializer_id)
        inbox = await subscribe(bob, router.uri(f"topic.{serializer_id}"))
        for value in (math.inf, -math.inf, math.nan):
            await publish(alice, router.uri(f"topic.{serializer_id}"), value)
            check([value], (await inbox.take()).args)


# What JavaScript can hold without mistaking it for something else: its numbers are all floats, so an integral float is
# an integer there. wampy's CBOR and MessagePack even send integers beyond 32 bits as floats.
NODE_KINDS = [
    *[None, True, False, 0, 1, -1, 255, 65536, 2**31 - 1, -(2**31), 1.5, -0.1, 1e300],
    *STRINGS,
    # The last has bytes in it, which their JSON cannot hold.
    *NESTED[:-1],
    {"a": [1, {"b": [2.5, {"c": [None, True, "\x01", {"d": {}}]}]}]},
]
# As clients of Node name them.
NODE_PEERS = [(library, serializer_id) for library in ("autobahn", "wampy") for serializer_id in PLAIN]


class NodePeer:
    """An echo in Node: a callee that returns its arguments, and a subscriber that publishes what it gets."""

    def __init__(self, process, uri):
        self.process = process
        self.uri = uri

    @classmethod
    async def start(cls, router, library, serializer_id):
        url = next(url for url in router.options.url if url.startswith("ws"))
        uri = router.uri(f"{library}.{serializer_id}")
        script = pathlib.Path(__file__).parent.parent / "node" / "echo.mjs"
        arguments = ["--library", library, "--serializer", serializer_id, "--url", url, "--uri", uri]
        process = await asyncio.create_subprocess_exec(
            "node",
            script,
            *arguments,
            "--realm",
            router.realm,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ,
        )
        line = await patiently(process.stdout.readline())
        assert line == b"ready\n", f"the echo in Node says {line!r}"
        return cls(process, uri)

    async def stop(self):
        # It ends when its standard input does, so also when this script dies.
        self.process.stdin.close()
        await asyncio.wait_for(self.process.wait(), PATIENCE_S)


async def node_clients_exchange_every_kind(router):
    if not (router.options.node and router.url.startswith("ws")):
        return
    for library, serializer_id in NODE_PEERS:
        peer = await NodePeer.start(router, library, serializer_id)
        try:
            await exchange_with(router, peer, binaries=serializer_id != "json")
        except AssertionError as error:
            raise AssertionError(f"{library} {serializer_id}: {error}") from error
        finally:
            await peer.stop()


async def exchange_with(router, peer, binaries):
    alice = await router.join()
    inbox = await subscribe(alice, f"{peer.uri}.back")
    kinds = NODE_KINDS + (BINARIES if binaries else [])
    results = [call(alice, f"{peer.uri}.call", value, kept=value) for value in kinds]
    for value, (args, kwargs) in zip(kinds, await asyncio.gather(*results)):
        check([value], untagged(args))
        check({"kept": value}, untagged(kwargs))
    for value in kinds:
        alice.publish(f"{peer.uri}.event", value, kept=value)
    for value in kinds:
        event = await inbox.take()
        check([value], untagged(event.args))
        check({"kept": value}, untagged(event.kwargs))
    errors = [refused(alice.call(f"{peer.uri}.break", value, kept=value), "com.example.error.echo") for value in kinds]
    for value, error in zip(kinds, await asyncio.gather(*errors)):
        check([value], untagged(error.args))
        check({"kept": value}, untagged(error.kwargs))
    # What went through unread might have been misread there: its own JSON of it says that it was not.
    told = [call(alice, f"{peer.uri}.json", value) for value in NODE_KINDS]
    for value, (args, _) in zip(NODE_KINDS, await asyncio.gather(*told)):
        check(value, json.loads(args[0]))


def untagged(value):
    """wampy's CBOR tags bytes as a typed array of bytes (RFC 8746), and between two CBOR sessions that is kept."""
    if isinstance(value, cbor2.CBORTag) and value.tag == 64:
        return value.value
    if isinstance(value, (list, tuple)):
        return [untagged(item) for item in value]
    if isinstance(value, dict):
        return {key: untagged(item) for key, item in value.items()}
    return value


SCENARIOS = [
    events_carry_every_kind,
    calls_and_results_carry_every_kind,
    errors_carry_every_kind,
    progress_carries_every_kind,
    retained_events_carry_every_kind,
    odd_floats_between_binary_serializers,
    node_clients_exchange_every_kind,
]

assert set(PLAIN) < set(SERIALIZERS)

if __name__ == "__main__":
    main(SCENARIOS, lambda parser: parser.add_argument("--node", action="store_true", help="exchange with Node too"))
