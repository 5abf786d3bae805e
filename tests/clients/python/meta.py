"""The meta API as autobahn-python uses it: sessions, registrations, subscriptions, testaments and event history."""

import datetime

from support import call, main, patiently, publish, refused, register, subscribe


async def ask(session, procedure, *args, **kwargs):
    """Calls a meta procedure and returns its single positional result."""
    args, kwargs = await call(session, procedure, *args, **kwargs)
    assert len(args) == 1 and not kwargs, (procedure, args, kwargs)
    return args[0]


async def sessions_are_counted_and_listed(router):
    alice, bob = await router.join(), await router.join()
    listed = await ask(alice, "wamp.session.list")
    assert {alice.id, bob.id} <= set(listed), listed
    assert await ask(alice, "wamp.session.count") == len(listed)
    role = alice.details.authrole
    assert {alice.id, bob.id} <= set(await ask(alice, "wamp.session.list", [role]))
    assert await ask(alice, "wamp.session.list", ["nobody"]) == []
    assert await ask(alice, "wamp.session.count", ["nobody"]) == 0
    await bob.finish()
    assert bob.id not in await ask(alice, "wamp.session.list")


async def session_details_can_be_asked(router):
    alice, bob = await router.join(), await router.join()
    details = await ask(alice, "wamp.session.get", bob.id)
    assert details["session"] == bob.id
    assert details["authid"] == bob.details.authid and details["authrole"] == bob.details.authrole
    assert details["authmethod"] == "anonymous"
    assert isinstance(details["authprovider"], str)
    await refused(alice.call("wamp.session.get", 1), "wamp.error.no_such_session")


async def joining_and_leaving_are_told(router):
    alice = await router.join()
    on_join = await subscribe(alice, "wamp.session.on_join")
    on_leave = await subscribe(alice, "wamp.session.on_leave")
    bob = await router.join()
    joined = await event_about(on_join, lambda event: event.args[0]["session"] == bob.id)
    assert joined.args[0]["authid"] == bob.details.authid
    assert joined.args[0]["authrole"] == bob.details.authrole
    assert joined.args[0]["authmethod"] == "anonymous"
    bob_id, bob_authid, bob_authrole = bob.id, bob.details.authid, bob.details.authrole
    await bob.finish()
    left = await event_about(on_leave, lambda event: event.args[0] == bob_id)
    assert left.args == (bob_id, bob_authid, bob_authrole), left


async def event_about(inbox, wanted):
    """The first event that is wanted; other sessions of this realm make meta events too."""
    while not wanted(event := await inbox.take()):
        pass
    return event


async def session_is_killed(router):
    alice, bob, carol = await router.join(), await router.join(), await router.join()
    on_leave = await subscribe(alice, "wamp.session.on_leave")
    bob_id = bob.id
    await call(alice, "wamp.session.kill", bob_id)
    assert (await patiently(bob.left)).reason == "wamp.close.killed"
    await event_about(on_leave, lambda event: event.args[0] == bob_id)
    await call(alice, "wamp.session.kill", carol.id, reason="com.example.closed", message="time to go")
    left = await patiently(carol.left)
    assert left.reason == "com.example.closed" and left.message == "time to go", left
    await refused(alice.call("wamp.session.kill", bob_id), "wamp.error.no_such_session")
    await refused(alice.call("wamp.session.kill", alice.id), "wamp.error.no_such_session")
    assert alice.id in await ask(alice, "wamp.session.list")


async def bad_kill_reason_is_refused(router):
    alice, bob = await router.join(), await router.join()
    await refused(alice.call("wamp.session.kill", bob.id, reason="not a uri"), "wamp.error.invalid_uri")
    assert bob.id in await ask(alice, "wamp.session.list")


async def sessions_are_killed_by_authid(router):
    alice, bob, carol = await router.join(), await router.join(), await router.join()
    bob_id = bob.id
    assert await ask(alice, "wamp.session.kill_by_authid", bob.details.authid) == [bob_id]
    await patiently(bob.left)
    assert await ask(alice, "wamp.session.kill_by_authid", "nobody at all") == []
    assert await ask(alice, "wamp.session.kill_by_authid", alice.details.authid) == []
    assert carol.id in await ask(alice, "wamp.session.list")


async def sessions_are_killed_by_authrole(router):
    alice, bob = await router.join(), await router.join()
    assert await ask(alice, "wamp.session.kill_by_authrole", "nobody") in (0, [])
    killed = await ask(alice, "wamp.session.kill_by_authrole", bob.details.authrole)
    await patiently(bob.left)
    # The specification gives a number, the older interface description a list.
    assert killed in (1, [bob.id]) or isinstance(killed, int) and killed >= 1, killed
    assert alice.id in await ask(alice, "wamp.session.list")


async def all_other_sessions_are_killed(router):
    alice, bob, carol = await router.join(), await router.join(), await router.join()
    assert await ask(alice, "wamp.session.kill_all") >= 2
    for session in (bob, carol):
        assert (await patiently(session.left)).reason == "wamp.close.killed"
    assert await ask(alice, "wamp.session.list") == [alice.id]


async def registrations_can_be_asked(router):
    await ask_about_registration(router, {}, "exact", "a.b", "a.b")
    await ask_about_registration(router, {"match": "prefix"}, "prefix", "p.q", "p.q.r")
    await ask_about_registration(router, {"match": "wildcard"}, "wildcard", "w..x", "w.1.x")


async def ask_about_registration(router, options, match, pattern, covered):
    alice, bob = await router.join(), await router.join()
    uri = router.uri(pattern)
    registration = await register(bob, uri, lambda: 1, invoke="roundrobin", **options)
    assert registration.id in (await ask(alice, "wamp.registration.list"))[match]
    assert await ask(alice, "wamp.registration.lookup", uri, options) == registration.id
    assert await ask(alice, "wamp.registration.match", router.uri(covered)) == registration.id
    details = await ask(alice, "wamp.registration.get", registration.id)
    assert details["id"] == registration.id and details["uri"] == uri
    assert details["match"] == match and details["invoke"] == "roundrobin", details
    assert is_recent(details["created"])
    assert await ask(alice, "wamp.registration.list_callees", registration.id) == [bob.id]
    await register(alice, uri, lambda: 2, invoke="roundrobin", **options)
    assert sorted(await ask(alice, "wamp.registration.list_callees", registration.id)) == sorted([alice.id, bob.id])
    assert await ask(alice, "wamp.registration.count_callees", registration.id) == 2


async def unknown_registrations(router):
    alice = await router.join()
    assert await ask(alice, "wamp.registration.lookup", router.uri("nowhere")) is None
    assert await ask(alice, "wamp.registration.match", router.uri("nowhere")) is None
    for procedure in ("get", "list_callees", "count_callees"):
        await refused(alice.call(f"wamp.registration.{procedure}", 2**50), "wamp.error.no_such_registration")


def is_recent(stamp):
    """Whether the RFC 3339 time is within an hour of now; the clock of the router is the clock of the test."""
    moment = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    return abs(datetime.datetime.now(datetime.timezone.utc) - moment) < datetime.timedelta(hours=1)


async def subscriptions_can_be_asked(router):
    await ask_about_subscription(router, {}, "exact", "a.b", "a.b")
    await ask_about_subscription(router, {"match": "prefix"}, "prefix", "p.q", "p.q.r")
    await ask_about_subscription(router, {"match": "wildcard"}, "wildcard", "w..x", "w.1.x")


async def ask_about_subscription(router, options, match, pattern, covered):
    alice, bob = await router.join(), await router.join()
    topic = router.uri(pattern)
    subscription = (await subscribe(bob, topic, **options)).subscription
    assert subscription.id in (await ask(alice, "wamp.subscription.list"))[match]
    assert await ask(alice, "wamp.subscription.lookup", topic, options) == subscription.id
    assert await ask(alice, "wamp.subscription.match", router.uri(covered)) == [subscription.id]
    details = await ask(alice, "wamp.subscription.get", subscription.id)
    assert details["id"] == subscription.id and details["uri"] == topic and details["match"] == match, details
    assert is_recent(details["created"])
    assert await ask(alice, "wamp.subscription.list_subscribers", subscription.id) == [bob.id]
    await subscribe(alice, topic, **options)
    listed = await ask(alice, "wamp.subscription.list_subscribers", subscription.id)
    assert sorted(listed) == sorted([alice.id, bob.id])
    assert await ask(alice, "wamp.subscription.count_subscribers", subscription.id) == 2


async def unknown_subscriptions(router):
    alice = await router.join()
    assert await ask(alice, "wamp.subscription.lookup", router.uri("nowhere")) is None
    assert await ask(alice, "wamp.subscription.match", router.uri("nowhere")) in (None, [])
    for procedure in ("get", "list_subscribers", "count_subscribers"):
        await refused(alice.call(f"wamp.subscription.{procedure}", 2**50), "wamp.error.no_such_subscription")


async def life_of_a_registration_is_told(router):
    alice, bob, carol = await router.join(), await router.join(), await router.join()
    told = await subscribe(alice, "wamp.registration.", match="prefix")
    uri = router.uri("procedure")
    first = await register(bob, uri, lambda: 1, invoke="roundrobin")
    events = [await event_about(told, about(first.id)) for _ in range(2)]
    # Each step is heard before the next: what sessions of several nodes do is told in any order.
    second = await register(carol, uri, lambda: 2, invoke="roundrobin")
    events.append(await event_about(told, about(first.id)))
    await patiently(first.unregister())
    events.append(await event_about(told, about(first.id)))
    carol_id = carol.id
    await carol.finish()
    events += [await event_about(told, about(first.id)) for _ in range(2)]
    said = [(event.details.topic.rsplit(".")[-1], event.args[0]) for event in events]
    assert said == [
        ("on_create", bob.id),
        ("on_register", bob.id),
        ("on_register", carol_id),
        ("on_unregister", bob.id),
        ("on_unregister", carol_id),
        ("on_delete", carol_id),
    ], said
    created = events[0].args[1]
    assert created["id"] == first.id == second.id and created["uri"] == uri
    assert created["match"] == "exact" and created["invoke"] == "roundrobin", created
    assert is_recent(created["created"])


def about(id):
    """Whether a meta event concerns the registration or subscription with this id."""
    return lambda event: event.args[1] == id or isinstance(event.args[1], dict) and event.args[1]["id"] == id


async def life_of_a_subscription_is_told(router):
    alice, bob, carol = await router.join(), await router.join(), await router.join()
    told = await subscribe(alice, "wamp.subscription.", match="prefix")
    topic = router.uri("topic")
    first = (await subscribe(bob, topic, match="prefix")).subscription
    events = [await event_about(told, about(first.id)) for _ in range(2)]
    # Each step is heard before the next, as above.
    second = (await subscribe(carol, topic, match="prefix")).subscription
    events.append(await event_about(told, about(first.id)))
    await patiently(first.unsubscribe())
    events.append(await event_about(told, about(first.id)))
    carol_id = carol.id
    await carol.finish()
    events += [await event_about(told, about(first.id)) for _ in range(2)]
    said = [(event.details.topic.rsplit(".")[-1], event.args[0]) for event in events]
    assert said == [
        ("on_create", bob.id),
        ("on_subscribe", bob.id),
        ("on_subscribe", carol_id),
        ("on_unsubscribe", bob.id),
        ("on_unsubscribe", carol_id),
        ("on_delete", carol_id),
    ], said
    created = events[0].args[1]
    assert created["id"] == first.id == second.id and created["uri"] == topic and created["match"] == "prefix"


async def testament_is_published_however_the_session_ends(router):
    alice = await router.join()
    heard = await subscribe(alice, router.uri("will"))
    for end in ("goodbye", "lost", "killed"):
        bob = await router.join()
        for number in (1, 2):
            await call(bob, "wamp.session.add_testament", router.uri("will"), [end, number], {"of": "bob"})
        if end == "goodbye":
            await bob.finish()
        elif end == "lost":
            bob.cut()
        else:
            await call(alice, "wamp.session.kill", bob.id)
        for number in (1, 2):
            event = await heard.take()
            assert event.args == (end, number) and event.kwargs == {"of": "bob"}, event


async def testaments_have_scopes_and_can_be_flushed(router):
    alice, bob = await router.join(), await router.join()
    heard = await subscribe(alice, router.uri("will"))
    add = "wamp.session.add_testament"
    await call(bob, add, router.uri("will"), ["destroyed"], {}, scope="destroyed")
    await call(bob, add, router.uri("will"), ["detached"], {}, scope="detached")
    await bob.finish()
    # Sessions cannot be resumed, so the one ends with the other.
    assert [(await heard.take()).args for _ in range(2)] == [("detached",), ("destroyed",)]
    carol = await router.join()
    await call(carol, add, router.uri("will"), ["flushed"], {}, scope="detached")
    await call(carol, add, router.uri("will"), ["kept"], {})
    await call(carol, "wamp.session.flush_testaments", scope="detached")
    await carol.finish()
    assert (await heard.take()).args == ("kept",)
    await publish(await router.join(), router.uri("will"), "fence")
    assert await heard.until("fence") == []


async def testament_honours_publish_options(router):
    alice, bob, carol = await router.join(), await router.join(), await router.join()
    to_alice, to_bob = [await subscribe(session, router.uri("will")) for session in (alice, bob)]
    options = {"exclude": [bob.id]}
    await call(carol, "wamp.session.add_testament", router.uri("will"), ["gone"], {}, publish_options=options)
    await carol.finish()
    assert (await to_alice.take()).args == ("gone",)
    await publish(alice, router.uri("will"), "fence")
    assert await to_bob.until("fence") == []


async def history_of(router):
    """How to publish to a topic with a history, and to ask for it. The history belongs to the subscription of its rule."""
    alice, bob = await router.join(), await router.join()
    topic = f"com.example.history.{router.name}.{router.serializer_id}"
    heard = await subscribe(bob, "com.example.history.", match="prefix")
    subscription = heard.subscription.id

    async def ask_history(**filters):
        events, kwargs = await call(bob, "wamp.subscription.get_events", subscription, topic=topic, **filters)
        assert not kwargs
        return events

    async def publish_five():
        """Publishes five numbers, and waits until they have come to where the history is asked for."""
        published = [await publish(alice, topic, number, of=5) for number in range(5)]
        while (await heard.take()).details.publication != published[-1]:
            pass
        return published

    return publish_five, subscription, ask_history


async def history_is_kept_where_configured(router):
    publish_five, subscription, ask_history = await history_of(router)
    published = await publish_five()
    events = await ask_history()
    assert [event["publication"] for event in events] == published, events
    assert [event["args"] for event in events] == [[number] for number in range(5)]
    assert [event["kwargs"] for event in events] == [{"of": 5}] * 5
    assert all(is_recent(event["timestamp"]) for event in events)
    assert all(event["subscription"] == subscription for event in events)


async def history_is_filtered(router):
    publish_five, _, ask_history = await history_of(router)
    published = await publish_five()

    async def numbers(**filters):
        return [event["args"][0] for event in await ask_history(**filters)]

    assert await numbers(limit=2, reverse=True) == [4, 3]
    assert await numbers(from_publication=published[2]) == [2, 3, 4]
    assert await numbers(after_publication=published[2]) == [3, 4]
    assert await numbers(before_publication=published[2]) == [0, 1]
    assert await numbers(until_publication=published[2]) == [0, 1, 2]
    assert await numbers(from_time="2000-01-01T00:00:00.000Z") == [0, 1, 2, 3, 4]
    assert await numbers(before_time="2000-01-01T00:00:00.000Z") == []


async def history_is_not_kept_elsewhere(router):
    alice = await router.join()
    subscription = (await subscribe(alice, router.uri("topic"))).subscription.id
    await refused(alice.call("wamp.subscription.get_events", subscription), "wamp.error.history_unavailable")
    await refused(alice.call("wamp.subscription.get_events", 2**50), "wamp.error.no_such_subscription")


SCENARIOS = [
    sessions_are_counted_and_listed,
    session_details_can_be_asked,
    joining_and_leaving_are_told,
    session_is_killed,
    bad_kill_reason_is_refused,
    sessions_are_killed_by_authid,
    sessions_are_killed_by_authrole,
    all_other_sessions_are_killed,
    registrations_can_be_asked,
    unknown_registrations,
    subscriptions_can_be_asked,
    unknown_subscriptions,
    life_of_a_registration_is_told,
    life_of_a_subscription_is_told,
    testament_is_published_however_the_session_ends,
    testaments_have_scopes_and_can_be_flushed,
    testament_honours_publish_options,
    history_is_kept_where_configured,
    history_is_filtered,
    history_is_not_kept_elsewhere,
]

if __name__ == "__main__":
    main(SCENARIOS)
