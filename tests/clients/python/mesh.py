"""Two autobahn-python components on different edges of one cluster use every feature that a mesh has to carry.

`near` is on the first edge and `far` on the second; every scenario is one feature, and is told by its name. The third
edge is there to die.

Where autobahn's API lacks something its own messages are used: the modes of CANCEL, and the messages that tell a
session of a revocation (`revocations`). Progressive call invocations it does not know at all, neither in CALL nor in
INVOCATION: these are for the raw client of `tests/mesh/calls.rs`, and so is `ppt_scheme` and its like, of which it has
the older form only, `enc_algo`.
"""

import argparse
import asyncio
import itertools
import json
import os
import signal
import sys

from autobahn.wamp import auth, message
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import CallOptions, EncodedPayload, RegisterOptions

from meta import ask, event_about
from rpc import Slow
from support import Credentials, Router, call, patiently, publish, refused, register, run, subscribe


class Mesh:
    """The edges as one scenario sees them, each of them a `Router` of `support`."""

    def __init__(self, options, serializer_id, name):
        self.options = options
        self.edges = [Router(url, serializer_id, options.realm, name, options) for url in options.edge]
        self.uri = self.edges[0].uri
        self.name = name

    async def near(self, user=None):
        return await self.edges[0].join(user and ticket(user))

    async def far(self, user=None):
        return await self.edges[1].join(user and ticket(user))

    async def doomed(self):
        return await self.edges[2].join()

    async def close(self):
        for edge in self.edges:
            await edge.close()


def ticket(user):
    """The users of the test harness: alice (frontend), bob (backend), carol (known, which is disclosed)."""
    return Credentials(auth.create_authenticator("ticket", authid=user, ticket=f"{user}-ticket"), authid=user)


async def heard_by(mesh, sender, inboxes, **options):
    """Which of the inboxes get an event that is published with these options."""
    await publish(sender, mesh.uri("topic"), "maybe", **options)
    await publish(sender, mesh.uri("topic"), "fence")
    return [bool(await inbox.until("fence")) for inbox in inboxes]


async def audience(mesh):
    """A publisher on the near edge; alice and bob on the far one, listening."""
    near, alice, bob = await mesh.near(), await mesh.far("alice"), await mesh.far("bob")
    return near, alice, bob, [await subscribe(session, mesh.uri("topic")) for session in (alice, bob)]


async def eligible_sessions(mesh):
    near, alice, bob, inboxes = await audience(mesh)
    assert await heard_by(mesh, near, inboxes) == [True, True]
    assert await heard_by(mesh, near, inboxes, _eligible=[alice.id]) == [True, False]
    assert await heard_by(mesh, near, inboxes, _eligible=[alice.id, bob.id]) == [True, True]
    assert await heard_by(mesh, near, inboxes, _eligible=[]) == [False, False]


async def eligible_authids(mesh):
    near, _, _, inboxes = await audience(mesh)
    assert await heard_by(mesh, near, inboxes, _eligible_authid=["bob"]) == [False, True]


async def eligible_authroles(mesh):
    near, _, _, inboxes = await audience(mesh)
    assert await heard_by(mesh, near, inboxes, _eligible_authrole=["frontend"]) == [True, False]


async def exclude_sessions(mesh):
    near, alice, _, inboxes = await audience(mesh)
    assert await heard_by(mesh, near, inboxes, _exclude=[alice.id]) == [False, True]
    assert await heard_by(mesh, near, inboxes, _eligible=[alice.id], _exclude=[alice.id]) == [False, False]


async def exclude_authids(mesh):
    near, _, _, inboxes = await audience(mesh)
    assert await heard_by(mesh, near, inboxes, _exclude_authid=["alice"]) == [False, True]


async def exclude_authroles(mesh):
    near, _, _, inboxes = await audience(mesh)
    assert await heard_by(mesh, near, inboxes, _exclude_authrole=["frontend", "backend"]) == [False, False]
    assert await heard_by(mesh, near, inboxes, _exclude_authrole=["backend"]) == [True, False]


async def exclude_me(mesh):
    near, far = await mesh.near(), await mesh.far()
    mine, theirs = [await subscribe(session, mesh.uri("topic")) for session in (near, far)]
    await publish(near, mesh.uri("topic"), "not to me")
    await publish(near, mesh.uri("topic"), "to me", _exclude_me=False)
    # What comes from the far edge comes after what came from the near one, because its publisher has heard that.
    assert [(await theirs.take()).args[0] for _ in range(2)] == ["not to me", "to me"]
    await publish(far, mesh.uri("topic"), "fence")
    assert [event.args[0] for event in await mine.until("fence")] == ["to me"]


async def publisher_disclosure(mesh):
    """Carol's role discloses publishers, that of the anonymous does not."""
    carol, nobody, far = await mesh.near("carol"), await mesh.near(), await mesh.far()
    inbox = await subscribe(far, mesh.uri("topic"))
    await publish(carol, mesh.uri("topic"), "signed")
    details = (await inbox.take()).details
    assert (details.publisher, details.publisher_authid, details.publisher_authrole) == (carol.id, "carol", "known")
    await publish(nobody, mesh.uri("topic"), "unsigned")
    details = (await inbox.take()).details
    assert (details.publisher, details.publisher_authid, details.publisher_authrole) == (None, None, None)
    assert nobody.details.authid not in repr(details.forward_for), details.forward_for


async def caller_disclosure(mesh):
    carol, nobody, far = await mesh.near("carol"), await mesh.near(), await mesh.far()

    def procedure(details=None):
        return [details.caller, details.caller_authid, details.caller_authrole]

    await register(far, mesh.uri("who"), procedure, details=True)
    assert await call(carol, mesh.uri("who")) == ([[carol.id, "carol", "known"]], {})
    assert await call(nobody, mesh.uri("who")) == ([[None, None, None]], {})


async def retained_events(mesh):
    near, far = await mesh.near(), await mesh.far()
    await publish(near, mesh.uri("state"), "old", _retain=True)
    last = await publish(near, mesh.uri("state"), "last", _retain=True)
    fence = await subscribe(far, mesh.uri("fence"))
    await publish(near, mesh.uri("fence"), "fence")
    await fence.until("fence")
    inbox = await subscribe(far, mesh.uri("state"), get_retained=True)
    event = await inbox.take()
    assert event.args == ("last",) and event.details.retained and event.details.publication == last, event


async def event_history(mesh):
    """Published on both edges, read alike from both."""
    near, far = await mesh.near(), await mesh.far()
    topic = f"com.history.{mesh.name}"
    inbox = await subscribe(near, topic)
    published = [await publish(near, topic, 0, unit="m")]
    for number in (1, 2):
        # Nodes put events in order by their times, which are told in milliseconds.
        await asyncio.sleep(0.002)
        published.append(await publish(far, topic, number))
        await inbox.take()
    subscription = await ask(near, "wamp.subscription.lookup", "com.history.", {"match": "prefix"})
    for reader in (near, far):
        events, _ = await call(reader, "wamp.subscription.get_events", subscription, topic=topic)
        assert [event["publication"] for event in events] == published, events
        assert [event["args"] for event in events] == [[0], [1], [2]] and events[0]["kwargs"] == {"unit": "m"}
        events, _ = await call(reader, "wamp.subscription.get_events", subscription, topic=topic, reverse=True, limit=1)
        assert [event["args"] for event in events] == [[2]], events


async def testaments(mesh):
    """Of a session that says goodbye, that is cut off, and that is killed from another edge."""
    near = await mesh.near()
    heard = await subscribe(near, mesh.uri("will"))
    for end in ("goodbye", "lost", "killed"):
        far = await mesh.far()
        await call(far, "wamp.session.add_testament", mesh.uri("will"), [end], {"of": "far"})
        if end == "goodbye":
            await far.finish()
        elif end == "lost":
            far.cut()
        else:
            await call(near, "wamp.session.kill", far.id)
        event = await heard.take()
        assert event.args == (end,) and event.kwargs == {"of": "far"}, event


async def meta_api_of_sessions(mesh):
    near, far = await mesh.near(), await mesh.far("carol")
    for asker in (near, far):
        listed = await ask(asker, "wamp.session.list")
        assert {near.id, far.id} <= set(listed) and await ask(asker, "wamp.session.count") == len(listed)
        details = await ask(asker, "wamp.session.get", far.id)
        assert details["authid"] == "carol" and details["authrole"] == "known", details
        assert await ask(asker, "wamp.session.list", ["known"]) == [far.id]


async def meta_api_of_subscriptions(mesh):
    near, far = await mesh.near(), await mesh.far()
    for policy, pattern, topic in [("exact", "e", "e"), ("prefix", "p.", "p.x"), ("wildcard", "w..x", "w.1.x")]:
        subscription = (await subscribe(far, mesh.uri(pattern), match=policy)).subscription.id
        assert await ask(near, "wamp.subscription.lookup", mesh.uri(pattern), {"match": policy}) == subscription
        assert await ask(near, "wamp.subscription.match", mesh.uri(topic)) == [subscription]
        assert subscription in (await ask(near, "wamp.subscription.list"))[policy]
        details = await ask(near, "wamp.subscription.get", subscription)
        assert details["uri"] == mesh.uri(pattern) and details["match"] == policy, details
        assert await ask(near, "wamp.subscription.list_subscribers", subscription) == [far.id]
        assert await ask(near, "wamp.subscription.count_subscribers", subscription) == 1


async def meta_api_of_registrations(mesh):
    near, far = await mesh.near(), await mesh.far()
    for session in (near, far):
        registration = await register(session, mesh.uri("shared"), lambda: 1, invoke="random")
    for asker in (near, far):
        assert await ask(asker, "wamp.registration.lookup", mesh.uri("shared")) == registration.id
        assert await ask(asker, "wamp.registration.match", mesh.uri("shared")) == registration.id
        assert registration.id in (await ask(asker, "wamp.registration.list"))["exact"]
        assert (await ask(asker, "wamp.registration.get", registration.id))["invoke"] == "random"
        callees = await ask(asker, "wamp.registration.list_callees", registration.id)
        assert sorted(callees) == sorted([near.id, far.id])
        assert await ask(asker, "wamp.registration.count_callees", registration.id) == 2


async def meta_events_of_sessions(mesh):
    near = await mesh.near()
    on_join, on_leave = [await subscribe(near, f"wamp.session.{name}") for name in ("on_join", "on_leave")]
    far = await mesh.far("carol")
    joined = await event_about(on_join, lambda event: event.args[0]["session"] == far.id)
    assert joined.args[0]["authid"] == "carol"
    far_id = far.id
    await far.finish()
    left = await event_about(on_leave, lambda event: event.args[0] == far_id)
    assert left.args == (far_id, "carol", "known"), left


def topics_about(id):
    return lambda event: event.args[1] == id or isinstance(event.args[1], dict) and event.args[1]["id"] == id


async def life(told, id, count):
    """What was told of an object, in order."""
    events = [await event_about(told, topics_about(id)) for _ in range(count)]
    return [(event.details.topic.rsplit(".")[-1], event.args[0]) for event in events]


async def meta_events_of_subscriptions(mesh):
    """Both components hear the same of a subscription that one of each edge has."""
    near, far = await mesh.near(), await mesh.far()
    watchers = [await mesh.near(), await mesh.far()]
    told = [await subscribe(watcher, "wamp.subscription.", match="prefix") for watcher in watchers]
    first = (await subscribe(near, mesh.uri("topic"))).subscription
    await heard(told, first.id, [("on_create", near.id), ("on_subscribe", near.id)])
    second = (await subscribe(far, mesh.uri("topic"))).subscription
    await heard(told, first.id, [("on_subscribe", far.id)])
    await patiently(first.unsubscribe())
    await heard(told, first.id, [("on_unsubscribe", near.id)])
    await patiently(second.unsubscribe())
    await heard(told, first.id, [("on_unsubscribe", far.id), ("on_delete", far.id)])


async def meta_events_of_registrations(mesh):
    near, far = await mesh.near(), await mesh.far()
    watchers = [await mesh.near(), await mesh.far()]
    told = [await subscribe(watcher, "wamp.registration.", match="prefix") for watcher in watchers]
    first = await register(near, mesh.uri("procedure"), lambda: 1, invoke="first")
    await heard(told, first.id, [("on_create", near.id), ("on_register", near.id)])
    await register(far, mesh.uri("procedure"), lambda: 2, invoke="first")
    await heard(told, first.id, [("on_register", far.id)])
    await patiently(first.unregister())
    await heard(told, first.id, [("on_unregister", near.id)])
    far_id = far.id
    await far.finish()
    await heard(told, first.id, [("on_unregister", far_id), ("on_delete", far_id)])


async def heard(inboxes, id, expected):
    for inbox in inboxes:
        said = await life(inbox, id, len(expected))
        assert said == expected, said


async def session_kill(mesh):
    near, far, alice, bob = await mesh.near(), await mesh.far(), await mesh.far("alice"), await mesh.far("bob")
    await call(near, "wamp.session.kill", far.id, reason="com.example.closed", message="time to go")
    left = await patiently(far.left)
    assert left.reason == "com.example.closed" and left.message == "time to go", left
    alice_id = alice.id
    assert await ask(near, "wamp.session.kill_by_authid", "alice") == [alice_id]
    assert (await patiently(alice.left)).reason == "wamp.close.killed"
    assert await ask(near, "wamp.session.kill_by_authrole", "backend") == 1
    await patiently(bob.left)
    other = await mesh.far()
    assert await ask(near, "wamp.session.kill_all") >= 1
    await patiently(other.left)
    assert await ask(near, "wamp.session.list") == [near.id]


async def shared(mesh, invoke):
    """Callees 0 on the near, 1 on the far and 2 on the near edge; and a caller on each."""
    callees = [await mesh.near(), await mesh.far(), await mesh.near()]
    for number, callee in enumerate(callees):
        await register(callee, mesh.uri("who"), lambda n=number: n, invoke=invoke)
    for number, callee in enumerate(callees):
        # Confirmed by the other edges after they have heard how many callees there are.
        await subscribe(callee, mesh.uri(f"barrier{number}"))
    return callees, [await mesh.near(), await mesh.far()]


async def who(mesh, caller, count):
    return [(await call(caller, mesh.uri("who")))[0][0] for _ in range(count)]


async def shared_single(mesh):
    near, far = await mesh.near(), await mesh.far()
    await register(near, mesh.uri("who"), lambda: 0)
    await refused(far.register(lambda: 1, mesh.uri("who")), "wamp.error.procedure_already_exists")
    await refused(
        far.register(lambda: 1, mesh.uri("who"), RegisterOptions(invoke="random")),
        "wamp.error.procedure_exists_with_different_invocation_policy",
    )
    assert await who(mesh, far, 1) == [0]


async def shared_first(mesh):
    callees, callers = await shared(mesh, "first")
    for caller in callers:
        assert await who(mesh, caller, 3) == [0, 0, 0]
    await callees[0].finish()
    for caller in callers:
        await become(mesh, caller, 1)


async def shared_last(mesh):
    callees, callers = await shared(mesh, "last")
    for caller in callers:
        assert await who(mesh, caller, 3) == [2, 2, 2]
    await callees[2].finish()
    for caller in callers:
        await become(mesh, caller, 1)


async def become(mesh, caller, expected):
    """The edges hear of who leaves one after the other; a call meanwhile is answered by a living callee or refused."""
    for _ in range(1_000):
        try:
            if await who(mesh, caller, 1) == [expected]:
                return
        except ApplicationError as error:
            assert error.error in ("wamp.error.canceled", "wamp.error.no_available_callee"), error
    raise AssertionError(f"callee {expected} is never called")


async def shared_roundrobin(mesh):
    _, callers = await shared(mesh, "roundrobin")
    for caller in callers:
        for _ in range(3):
            assert sorted(await who(mesh, caller, 3)) == [0, 1, 2]


async def shared_random(mesh):
    _, callers = await shared(mesh, "random")
    for caller in callers:
        # That one of three is never drawn in 100 has a chance of about 1 in 10^17.
        assert set(await who(mesh, caller, 100)) == {0, 1, 2}


async def slow_call(mesh):
    near, far, slow = await mesh.near(), await mesh.far(), Slow()
    await register(far, mesh.uri("slow"), slow)
    pending = near.call(mesh.uri("slow"))
    await patiently(slow.begun)
    return near, far, slow, pending


async def cancel_kill(mesh):
    near, _, slow, pending = await slow_call(mesh)
    near.cancel("kill")
    await patiently(slow.interrupted)
    error = await refused(pending, "com.example.error.interrupted")
    assert error.args == ("half done",)


async def cancel_killnowait(mesh):
    near, _, slow, pending = await slow_call(mesh)
    near.cancel("killnowait")
    await refused(pending, "wamp.error.canceled")
    await patiently(slow.interrupted)


async def cancel_skip(mesh):
    near, far, slow, pending = await slow_call(mesh)
    near.cancel("skip")
    await refused(pending, "wamp.error.canceled")
    slow.release.set_result("late")
    await register(far, mesh.uri("still"), lambda: "works")
    assert await call(near, mesh.uri("still")) == (["works"], {})
    assert not slow.interrupted.done()


async def call_timeout(mesh):
    near, far, slow = await mesh.near(), await mesh.far(), Slow()
    await register(far, mesh.uri("slow"), slow)
    await refused(near.call(mesh.uri("slow"), options=CallOptions(timeout=50)), "wamp.error.timeout")
    await patiently(slow.interrupted)
    await register(far, mesh.uri("quick"), lambda: "in time")
    assert await call(near, mesh.uri("quick"), options=CallOptions(timeout=60_000)) == (["in time"], {})


async def progressive_results(mesh):
    near, far = await mesh.near(), await mesh.far()

    def procedure(count, details=None):
        for number in range(count):
            details.progress(number, of=count)
        return "done"

    await register(far, mesh.uri("count"), procedure, details=True)
    parts = []
    options = CallOptions(on_progress=lambda *args, **kwargs: parts.append((args, kwargs)))
    assert await patiently(near.call(mesh.uri("count"), 50, options=options)) == "done"
    assert parts == [((number,), {"of": 50}) for number in range(50)], parts


async def pattern_subscriptions(mesh):
    near, far = await mesh.near(), await mesh.far()
    patterns = {"a.b": "exact", "a": "prefix", ".b": "wildcard"}
    inboxes = {uri: await subscribe(far, mesh.uri(uri), match=policy) for uri, policy in patterns.items()}
    publication = await publish(near, mesh.uri("a.b"), "thrice")
    for inbox in inboxes.values():
        event = await inbox.take()
        assert event.args == ("thrice",) and event.details.publication == publication, event
    await publish(near, mesh.uri("a.c"), "by prefix")
    await publish(near, mesh.uri("c.b"), "by wildcard")
    for uri, topic, word in [("a", "a.c", "by prefix"), (".b", "c.b", "by wildcard")]:
        event = await inboxes[uri].take()
        assert event.args == (word,) and event.details.topic == mesh.uri(topic), event
    await publish(near, mesh.uri("a.b"), "fence")
    for inbox in inboxes.values():
        assert await inbox.until("fence") == []


async def pattern_registrations(mesh):
    """The best match of the cluster, whichever edge has it: exact, then the longest prefix, then the wildcard."""
    near, far = await mesh.near(), await mesh.far()

    async def offer(session, name, uri, match):
        def procedure(details=None):
            return [name, details.procedure]

        await register(session, mesh.uri(uri), procedure, details=True, match=match)

    await offer(near, "wildcard", "a..c", "wildcard")
    await offer(far, "short", "a.b", "prefix")
    await offer(near, "long", "a.b.d", "prefix")
    await offer(far, "exact", "a.b.d.e", "exact")
    calls = [("a.b.d.e", "exact"), ("a.b.d.f", "long"), ("a.b.c", "short"), ("a.x.c", "wildcard")]
    for caller in (near, far):
        for uri, name in calls:
            assert await call(caller, mesh.uri(uri)) == ([[name, mesh.uri(uri)]], {}), (uri, name)


def revocations(session):
    """The revocations that this session is told of from now on.

    autobahn makes nothing of UNREGISTERED with request 0, and takes UNSUBSCRIBED with request 0 for a violation of the
    protocol although it announces subscription_revocation. So they are taken from the messages that it reads.
    """
    told, handle = asyncio.Queue(), session.onMessage

    def on_message(msg):
        if isinstance(msg, message.Unsubscribed | message.Unregistered) and msg.request == 0:
            told.put_nowait(msg)
        else:
            handle(msg)

    session.onMessage = on_message
    return told


async def register_when_free(session, procedure, endpoint):
    """That a procedure is free has to be heard of by the edge of who wants it next."""
    for _ in range(1_000):
        try:
            return await register(session, procedure, endpoint)
        except ApplicationError as error:
            assert error.error == "wamp.error.procedure_already_exists", error
    raise AssertionError(f"{procedure} is never free")


async def registration_revocation(mesh):
    near, far = await mesh.near(), await mesh.far()
    told = revocations(far)
    registration = (await register(far, mesh.uri("brief"), lambda: 1)).id
    await call(near, "wamp.registration.remove_callee", registration, far.id, reason="com.example.revoked")
    revoked = await patiently(told.get())
    assert revoked.registration == registration and revoked.reason == "com.example.revoked", revoked
    await register_when_free(near, mesh.uri("brief"), lambda: 2)
    assert await call(far, mesh.uri("brief")) == ([2], {})
    await refused(
        near.call("wamp.registration.remove_callee", registration, far.id),
        "wamp.error.no_such_session",
        "wamp.error.no_such_registration",
    )


async def subscription_revocation(mesh):
    near, far = await mesh.near(), await mesh.far()
    told = revocations(far)
    inbox, fence = await subscribe(far, mesh.uri("topic")), await subscribe(far, mesh.uri("fence"))
    subscription = inbox.subscription.id
    await call(near, "wamp.subscription.remove_subscriber", subscription, far.id, reason="com.example.revoked")
    revoked = await patiently(told.get())
    assert revoked.subscription == subscription and revoked.reason == "com.example.revoked", revoked
    await publish(near, mesh.uri("topic"), "unheard")
    await publish(near, mesh.uri("fence"), "fence")
    await fence.until("fence")
    assert inbox.queue.empty()


async def force_reregister(mesh):
    near, far = await mesh.near(), await mesh.far()
    told = revocations(near)
    old = (await register(near, mesh.uri("throne"), lambda: "old")).id
    await register(far, mesh.uri("throne"), lambda: "new", force_reregister=True)
    for caller in (near, far):
        assert await call(caller, mesh.uri("throne")) == (["new"], {})
    assert (await patiently(told.get())).registration == old


async def call_errors(mesh):
    near, far = await mesh.near(), await mesh.far()

    def procedure():
        raise ApplicationError("com.example.error.broken", "pieces", 3, colour="red", sizes=[1, 2])

    await register(far, mesh.uri("break"), procedure)
    error = await refused(near.call(mesh.uri("break")), "com.example.error.broken")
    assert error.args == ("pieces", 3) and error.kwargs == {"colour": "red", "sizes": [1, 2]}, error
    await refused(near.call(mesh.uri("nowhere")), "wamp.error.no_such_procedure")


async def call_results(mesh):
    near, far = await mesh.near(), await mesh.far()
    await register(far, mesh.uri("echo"), lambda *args, **kwargs: [list(args), kwargs])
    value = {"a": [1, -2, 1.5, None, True, "ü"]}
    assert await call(near, mesh.uri("echo"), value, raw=b"\x00\xff") == ([[[value], {"raw": b"\x00\xff"}]], {})


class Codec:
    """autobahn's payload codec: what it makes goes through the edges as opaque bytes, with `enc_algo` beside it."""

    def encode(self, is_originating, uri, args=None, kwargs=None):
        return EncodedPayload(json.dumps([args, kwargs]).encode()[::-1], "x_reversed", "json", "key1")

    def decode(self, is_originating, uri, encoded):
        assert (encoded.enc_algo, encoded.enc_serializer, encoded.enc_key) == ("x_reversed", "json", "key1")
        args, kwargs = json.loads(encoded.payload[::-1])
        return uri, args or [], kwargs or {}


async def payload_passthru(mesh):
    """Events, calls and results whose payload only the two components can read."""
    near, far = await mesh.near(), await mesh.far()
    for session in (near, far):
        session.set_payload_codec(Codec())
    inbox = await subscribe(far, mesh.uri("topic"))
    await publish(near, mesh.uri("topic"), "secret", n=1)
    event = await inbox.take()
    assert event.args == ("secret",) and event.kwargs == {"n": 1}, event
    await register(far, mesh.uri("echo"), lambda word: word)
    assert await patiently(near.call(mesh.uri("echo"), "secret")) == "secret"


async def testaments_and_meta_events_of_a_dead_node(mesh):
    """The third edge is killed; the survivors publish the testament once each, and tell of all that has ended."""
    near, far, doomed = await mesh.near(), await mesh.far(), await mesh.doomed()
    wills = [await subscribe(session, mesh.uri("will")) for session in (near, far)]
    told = [await subscribe(session, "wamp.", match="prefix") for session in (near, far)]
    await call(doomed, "wamp.session.add_testament", mesh.uri("will"), ["gone"], {"of": "doomed"})
    subscription = (await subscribe(doomed, mesh.uri("topic"))).subscription.id
    registration = (await register(doomed, mesh.uri("procedure"), lambda: 1)).id
    await heard(told, subscription, [("on_create", doomed.id), ("on_subscribe", doomed.id)])
    await heard(told, registration, [("on_create", doomed.id), ("on_register", doomed.id)])
    doomed_id = doomed.id
    os.kill(mesh.options.doomed_pid, signal.SIGKILL)
    publications = []
    for inbox, life_of in zip(wills, told):
        event = await inbox.take()
        assert event.args == ("gone",) and event.kwargs == {"of": "doomed"}, event
        publications.append(event.details.publication)
        ended = [await event_about(life_of, lambda event: event.args[0] == doomed_id) for _ in range(5)]
        assert sorted((event.details.topic, event.args[1]) for event in ended) == sorted([
            ("wamp.subscription.on_unsubscribe", subscription),
            ("wamp.subscription.on_delete", subscription),
            ("wamp.registration.on_unregister", registration),
            ("wamp.registration.on_delete", registration),
            ("wamp.session.on_leave", doomed.details.authid),
        ]), ended
    assert len(set(publications)) == 1, "the testament has the same publication id on every node"
    await publish(near, mesh.uri("will"), "fence", _exclude_me=False)
    for inbox in wills:
        assert await inbox.until("fence") == [], "a testament was published twice"
    assert await ask(near, "wamp.session.list") == await ask(far, "wamp.session.list")


SCENARIOS = [
    eligible_sessions,
    eligible_authids,
    eligible_authroles,
    exclude_sessions,
    exclude_authids,
    exclude_authroles,
    exclude_me,
    publisher_disclosure,
    caller_disclosure,
    retained_events,
    event_history,
    testaments,
    meta_api_of_sessions,
    meta_api_of_subscriptions,
    meta_api_of_registrations,
    meta_events_of_sessions,
    meta_events_of_subscriptions,
    meta_events_of_registrations,
    session_kill,
    shared_single,
    shared_first,
    shared_last,
    shared_roundrobin,
    shared_random,
    cancel_kill,
    cancel_killnowait,
    cancel_skip,
    call_timeout,
    call_results,
    call_errors,
    progressive_results,
    pattern_subscriptions,
    pattern_registrations,
    registration_revocation,
    subscription_revocation,
    force_reregister,
    payload_passthru,
    # The last: after it there are two edges.
    testaments_and_meta_events_of_a_dead_node,
]


async def run_all(options):
    serials = itertools.count()
    failures = 0
    for scenario in SCENARIOS:
        if not options.only or options.only in scenario.__name__:
            mesh = Mesh(options, options.serializer, f"s{next(serials)}")
            failures += not await run(scenario, mesh, scenario.__name__)
    print(f"ran {next(serials)} scenarios, {failures} failed", flush=True)
    return failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--edge", action="append", required=True, help="URL of an edge; three of them")
    parser.add_argument("--doomed-pid", type=int, required=True, help="the process of the third edge")
    parser.add_argument("--serializer", default="cbor")
    parser.add_argument("--realm", default="realm1")
    parser.add_argument("--only", help="run the scenarios whose name contains this")
    options = parser.parse_args()
    sys.exit(1 if asyncio.run(run_all(options)) else 0)


if __name__ == "__main__":
    main()
