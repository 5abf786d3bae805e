"""Publish and subscribe as autobahn-python does it: patterns, exclusion, retention, disclosure, order."""

from support import SubscribeOptions, call, main, patiently, publish, refused, subscribe
from autobahn.wamp.types import PublishOptions


async def exact_event_arrives_whole(router):
    alice, bob = await router.join(), await router.join()
    inbox = await subscribe(bob, router.uri("topic"))
    publication = await publish(alice, router.uri("topic"), 1, "two", [3], colour="red", size={"w": 4})
    event = await inbox.take()
    assert event.args == (1, "two", [3]), event
    assert event.kwargs == {"colour": "red", "size": {"w": 4}}, event
    assert event.details.publication == publication
    assert event.details.topic == router.uri("topic")
    assert not event.details.retained


async def event_without_payload(router):
    alice, bob = await router.join(), await router.join()
    inbox = await subscribe(bob, router.uri("topic"))
    await publish(alice, router.uri("topic"))
    event = await inbox.take()
    assert event.args == () and event.kwargs == {}, event


async def publication_without_acknowledge(router):
    alice, bob = await router.join(), await router.join()
    inbox = await subscribe(bob, router.uri("topic"))
    assert alice.publish(router.uri("topic"), "quick") is None
    assert (await inbox.take()).args == ("quick",)


async def prefix_subscription(router):
    alice, bob = await router.join(), await router.join()
    inbox = await subscribe(bob, router.uri("house"), match="prefix")
    for topic in ["house", "house.roof", "houseboat", "garden", "house.cellar.door"]:
        await publish(alice, router.uri(topic), topic)
    await publish(alice, router.uri("house"), "fence")
    events = await inbox.until("fence")
    # A prefix is a prefix of the string, not of the components.
    assert [event.args[0] for event in events] == ["house", "house.roof", "houseboat", "house.cellar.door"], events
    assert [event.details.topic for event in events] == [router.uri(event.args[0]) for event in events]


async def wildcard_subscription(router):
    alice, bob = await router.join(), await router.join()
    inbox = await subscribe(bob, router.uri("floor..lamp"), match="wildcard")
    for topic in ["floor.1.lamp", "floor.2.lamp", "floor.lamp", "floor.1.2.lamp", "floor.1.lamp.left", "floor.1.door"]:
        await publish(alice, router.uri(topic), topic)
    await publish(alice, router.uri("floor.9.lamp"), "fence")
    events = await inbox.until("fence")
    assert [event.args[0] for event in events] == ["floor.1.lamp", "floor.2.lamp"], events
    assert [event.details.topic for event in events] == [router.uri("floor.1.lamp"), router.uri("floor.2.lamp")]


async def one_event_per_matching_subscription(router):
    alice, bob = await router.join(), await router.join()
    exact = await subscribe(bob, router.uri("a.b"))
    prefix = await subscribe(bob, router.uri("a"), match="prefix")
    wildcard = await subscribe(bob, router.uri(".b"), match="wildcard")
    publication = await publish(alice, router.uri("a.b"), "thrice")
    for inbox in (exact, prefix, wildcard):
        event = await inbox.take()
        assert event.args == ("thrice",)
        assert event.details.publication == publication
    await publish(alice, router.uri("a.b"), "fence")
    for inbox in (exact, prefix, wildcard):
        assert await inbox.until("fence") == []


async def subscribing_twice_is_one_subscription(router):
    alice, bob = await router.join(), await router.join()
    first, second = await subscribe(bob, router.uri("topic")), await subscribe(bob, router.uri("topic"))
    assert first.subscription.id == second.subscription.id
    await publish(alice, router.uri("topic"), "once")
    await publish(alice, router.uri("topic"), "fence")
    # autobahn hands one EVENT to both handlers, so one each means that one came.
    assert len(await first.until("fence")) == 1
    assert len(await second.until("fence")) == 1


async def unsubscribed_hears_nothing(router):
    alice, bob = await router.join(), await router.join()
    inbox = await subscribe(bob, router.uri("topic"))
    fence = await subscribe(bob, router.uri("fence"))
    await publish(alice, router.uri("topic"), "heard")
    assert (await inbox.take()).args == ("heard",)
    await patiently(inbox.subscription.unsubscribe())
    await publish(alice, router.uri("topic"), "unheard")
    await publish(alice, router.uri("fence"), "fence")
    await fence.until("fence")
    assert inbox.queue.empty()


async def publisher_is_excluded_unless_it_asks(router):
    alice = await router.join()
    inbox = await subscribe(alice, router.uri("topic"))
    await publish(alice, router.uri("topic"), "not to me")
    await publish(alice, router.uri("topic"), "to me", _exclude_me=False)
    await publish(alice, router.uri("topic"), "fence", _exclude_me=False)
    assert [event.args[0] for event in await inbox.until("fence")] == ["to me"]


async def heard_by(router, sender, inboxes, **options):
    """Which of the inboxes get an event that is published with these options."""
    await publish(sender, router.uri("topic"), "maybe", **options)
    await publish(sender, router.uri("topic"), "fence")
    return [bool(await inbox.until("fence")) for inbox in inboxes]


async def eligible_and_excluded_sessions(router):
    alice, bob, carol = await router.join(), await router.join(), await router.join()
    inboxes = [await subscribe(session, router.uri("topic")) for session in (bob, carol)]
    assert await heard_by(router, alice, inboxes) == [True, True]
    assert await heard_by(router, alice, inboxes, _eligible=[bob.id]) == [True, False]
    assert await heard_by(router, alice, inboxes, _eligible=[bob.id, carol.id]) == [True, True]
    assert await heard_by(router, alice, inboxes, _eligible=[]) == [False, False]
    assert await heard_by(router, alice, inboxes, _exclude=[bob.id]) == [False, True]
    assert await heard_by(router, alice, inboxes, _exclude=[]) == [True, True]
    assert await heard_by(router, alice, inboxes, _eligible=[bob.id], _exclude=[bob.id]) == [False, False]


async def eligible_and_excluded_authids(router):
    alice, bob, carol = await router.join(), await router.join(), await router.join()
    inboxes = [await subscribe(session, router.uri("topic")) for session in (bob, carol)]
    bob_authid = bob.details.authid
    assert bob_authid != carol.details.authid
    assert await heard_by(router, alice, inboxes, _eligible_authid=[bob_authid]) == [True, False]
    assert await heard_by(router, alice, inboxes, _eligible_authid=[]) == [False, False]
    assert await heard_by(router, alice, inboxes, _exclude_authid=[bob_authid]) == [False, True]


async def eligible_and_excluded_authroles(router):
    alice, bob, carol = await router.join(), await router.join(), await router.join()
    inboxes = [await subscribe(session, router.uri("topic")) for session in (bob, carol)]
    role = bob.details.authrole
    assert await heard_by(router, alice, inboxes, _eligible_authrole=[role]) == [True, True]
    assert await heard_by(router, alice, inboxes, _eligible_authrole=["nobody"]) == [False, False]
    assert await heard_by(router, alice, inboxes, _exclude_authrole=[role]) == [False, False]
    assert await heard_by(router, alice, inboxes, _exclude_authrole=["nobody"]) == [True, True]


async def retained_event_reaches_late_subscribers(router):
    alice, bob = await router.join(), await router.join()
    await publish(alice, router.uri("topic"), "old", _retain=True)
    last = await publish(alice, router.uri("topic"), "last", _retain=True, unit="m")
    await publish(alice, router.uri("topic"), "passing")
    inbox = await subscribe(bob, router.uri("topic"), get_retained=True)
    event = await inbox.take()
    assert event.args == ("last",) and event.kwargs == {"unit": "m"}, event
    assert event.details.retained is True
    assert event.details.publication == last
    await publish(alice, router.uri("topic"), "fence")
    assert await inbox.until("fence") == []


async def retained_event_only_when_asked(router):
    alice, bob = await router.join(), await router.join()
    await publish(alice, router.uri("topic"), "kept", _retain=True)
    inbox = await subscribe(bob, router.uri("topic"))
    await publish(alice, router.uri("topic"), "fence")
    assert await inbox.until("fence") == []


async def retained_event_only_to_the_eligible(router):
    alice, bob, carol = await router.join(), await router.join(), await router.join()
    await publish(alice, router.uri("topic"), "for bob", _retain=True, _eligible=[bob.id])
    to_bob = await subscribe(bob, router.uri("topic"), get_retained=True)
    to_carol = await subscribe(carol, router.uri("topic"), get_retained=True)
    await publish(alice, router.uri("topic"), "fence")
    assert [event.args[0] for event in await to_bob.until("fence")] == ["for bob"]
    assert await to_carol.until("fence") == []


async def publisher_is_disclosed_where_configured(router):
    alice, bob = await router.join(), await router.join()
    topic = f"com.example.disclosed.{router.name}"
    inbox = await subscribe(bob, topic)
    await publish(alice, topic, "signed")
    event = await inbox.take()
    assert event.details.publisher == alice.id
    assert event.details.publisher_authid in (None, alice.details.authid)
    assert event.details.publisher_authrole in (None, alice.details.authrole)
    hidden = await subscribe(bob, router.uri("topic"))
    await publish(alice, router.uri("topic"), "unsigned")
    event = await hidden.take()
    assert event.details.publisher is None and event.details.publisher_authid is None


async def events_keep_the_order_of_their_publisher(router):
    alice, bob = await router.join(), await router.join()
    inbox = await subscribe(bob, router.uri("order"), match="prefix")
    count = 300
    for number in range(count):
        alice.publish(router.uri(f"order.{number % 3}"), number)
    await publish(alice, router.uri("order.0"), "fence")
    events = await inbox.until("fence")
    assert [event.args[0] for event in events] == list(range(count))


async def two_publishers_at_once(router):
    alice, bob, carol = await router.join(), await router.join(), await router.join()
    inbox = await subscribe(carol, router.uri("topic"))
    count = 100
    for number in range(count):
        alice.publish(router.uri("topic"), "alice", number)
        bob.publish(router.uri("topic"), "bob", number)
    events = [await inbox.take() for _ in range(2 * count)]
    for name in ("alice", "bob"):
        assert [event.args[1] for event in events if event.args[0] == name] == list(range(count))


async def many_subscribers(router):
    alice = await router.join()
    inboxes = [await subscribe(await router.join(), router.uri("topic")) for _ in range(20)]
    publication = await publish(alice, router.uri("topic"), "to all")
    for inbox in inboxes:
        event = await inbox.take()
        assert event.args == ("to all",) and event.details.publication == publication


async def large_event(router):
    alice, bob = await router.join(), await router.join()
    inbox = await subscribe(bob, router.uri("topic"))
    # Larger than one WebSocket fragment of the client and than any socket buffer, smaller than the default limit.
    text = "".join(chr(ord("a") + number % 26) for number in range(700_000))
    await publish(alice, router.uri("topic"), text)
    assert (await inbox.take()).args == (text,)


async def compressed_connection(router):
    """permessage-deflate on one side, on the other, and on both; large and small messages."""
    if not router.url.startswith("ws"):
        return
    plain, squeezed, other = await router.join(), await router.join(deflate=True), await router.join(deflate=True)
    for session in (squeezed, other):
        assert session._transport.websocket_extensions_in_use, "the router did not accept permessage-deflate"
    inboxes = [await subscribe(session, router.uri("topic")) for session in (plain, squeezed, other)]
    for number, sender in enumerate((plain, squeezed, other, squeezed)):
        text = f"{number} compresses well " * 5_000
        await publish(sender, router.uri("topic"), text, _exclude_me=False)
        await publish(sender, router.uri("topic"), number, _exclude_me=False)
        for inbox in inboxes:
            assert (await inbox.take()).args == (text,)
            assert (await inbox.take()).args == (number,)


async def bad_topics_are_refused(router):
    alice = await router.join()
    await refused(alice.subscribe(lambda: None, router.uri("a..b")), "wamp.error.invalid_uri")
    await refused(
        alice.publish("wamp.session.on_join", 1, options=PublishOptions(acknowledge=True)), "wamp.error.invalid_uri"
    )
    # And the session is none the worse for it.
    assert (await call(alice, "wamp.session.count"))[0][0] >= 1


async def events_cross_serializers_and_transports(router):
    """A subscriber of each serializer on each transport gets the same event."""
    alice = await router.join()
    inboxes = []
    for url in router.options.url:
        for serializer_id in ("cbor", "msgpack", "json"):
            session = await router.join(url=url, serializer_id=serializer_id)
            inboxes.append(await subscribe(session, router.uri("topic")))
    await publish(alice, router.uri("topic"), {"a": [1, -2, 1.5, None, True, "ü😀"]}, raw=b"\x00\xff")
    for inbox in inboxes:
        event = await inbox.take()
        assert event.args == ({"a": [1, -2, 1.5, None, True, "ü😀"]},) and event.kwargs == {"raw": b"\x00\xff"}, event


async def handler_without_details(router):
    """The plainest use: no options at all."""
    alice, bob = await router.join(), await router.join()
    heard = []
    done = await subscribe(bob, router.uri("done"))
    await patiently(bob.subscribe(lambda *args: heard.append(args), router.uri("topic"), SubscribeOptions()))
    await publish(alice, router.uri("topic"), 1, 2)
    await publish(alice, router.uri("done"), "fence")
    await done.until("fence")
    assert heard == [(1, 2)]


SCENARIOS = [
    exact_event_arrives_whole,
    event_without_payload,
    publication_without_acknowledge,
    prefix_subscription,
    wildcard_subscription,
    one_event_per_matching_subscription,
    subscribing_twice_is_one_subscription,
    unsubscribed_hears_nothing,
    publisher_is_excluded_unless_it_asks,
    eligible_and_excluded_sessions,
    eligible_and_excluded_authids,
    eligible_and_excluded_authroles,
    retained_event_reaches_late_subscribers,
    retained_event_only_when_asked,
    retained_event_only_to_the_eligible,
    publisher_is_disclosed_where_configured,
    events_keep_the_order_of_their_publisher,
    two_publishers_at_once,
    many_subscribers,
    large_event,
    compressed_connection,
    bad_topics_are_refused,
    events_cross_serializers_and_transports,
    handler_without_details,
]

if __name__ == "__main__":
    main(SCENARIOS)
