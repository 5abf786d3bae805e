"""Remote procedure calls as autobahn-python makes them: results, errors, progress, cancel, timeout, sharing, order."""

import asyncio
import collections

from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import CallOptions, CallResult, RegisterOptions

from support import call, main, patiently, refused, register


async def result_arrives_whole(router):
    caller, callee = await router.join(), await router.join()
    seen = []

    def procedure(*args, **kwargs):
        seen.append((args, kwargs))
        return CallResult(*reversed(args), **{name.upper(): value for name, value in kwargs.items()})

    await register(callee, router.uri("swap"), procedure)
    args, kwargs = await call(caller, router.uri("swap"), 1, "two", [3], colour="red")
    assert seen == [((1, "two", [3]), {"colour": "red"})], seen
    assert (args, kwargs) == ([[3], "two", 1], {"COLOUR": "red"})


async def result_without_payload(router):
    caller, callee = await router.join(), await router.join()
    await register(callee, router.uri("nothing"), lambda: CallResult())
    assert await call(caller, router.uri("nothing")) == ([], {})
    await register(callee, router.uri("none"), lambda: None)
    assert await call(caller, router.uri("none")) == ([None], {})


async def calling_oneself(router):
    session = await router.join()
    await register(session, router.uri("add"), lambda a, b: a + b)
    assert await call(session, router.uri("add"), 2, 3) == ([5], {})


async def no_such_procedure(router):
    caller = await router.join()
    await refused(caller.call(router.uri("nowhere")), "wamp.error.no_such_procedure")


async def application_error_arrives_whole(router):
    caller, callee = await router.join(), await router.join()

    def procedure():
        raise ApplicationError("com.example.error.broken", "pieces", 3, colour="red", sizes=[1, 2])

    await register(callee, router.uri("break"), procedure)
    error = await refused(caller.call(router.uri("break")), "com.example.error.broken")
    assert error.args == ("pieces", 3) and error.kwargs == {"colour": "red", "sizes": [1, 2]}, error


async def error_without_payload(router):
    caller, callee = await router.join(), await router.join()

    def procedure():
        raise ApplicationError("com.example.error.bare")

    await register(callee, router.uri("break"), procedure)
    error = await refused(caller.call(router.uri("break")), "com.example.error.bare")
    assert error.args == () and not error.kwargs


async def runtime_error_arrives(router):
    caller, callee = await router.join(), await router.join()
    await register(callee, router.uri("break"), lambda: {}["missing"])
    error = await refused(caller.call(router.uri("break")), "wamp.error.runtime_error")
    assert error.args == ("missing",)


async def procedure_already_exists(router):
    one, two = await router.join(), await router.join()
    await register(one, router.uri("only"), lambda: 1)
    await refused(two.register(lambda: 2, router.uri("only")), "wamp.error.procedure_already_exists")
    assert await call(two, router.uri("only")) == ([1], {})


async def unregistered_is_gone(router):
    caller, callee = await router.join(), await router.join()
    registration = await register(callee, router.uri("brief"), lambda: 1)
    assert await call(caller, router.uri("brief")) == ([1], {})
    await patiently(registration.unregister())
    await refused(caller.call(router.uri("brief")), "wamp.error.no_such_procedure")
    await register(caller, router.uri("brief"), lambda: 2)
    assert await call(callee, router.uri("brief")) == ([2], {})


async def callee_that_leaves_is_unregistered(router):
    caller, callee = await router.join(), await router.join()
    await register(callee, router.uri("brief"), lambda: 1)
    await callee.finish()
    await refused(caller.call(router.uri("brief")), "wamp.error.no_such_procedure")


async def reserved_procedures_are_refused(router):
    callee = await router.join()
    await refused(callee.register(lambda: 1, "wamp.session.mine"), "wamp.error.invalid_uri")
    await refused(callee.register(lambda: 1, router.uri("a..b")), "wamp.error.invalid_uri")


async def patterns_and_their_precedence(router):
    """Exact before the longest prefix before the wildcard, and the called procedure is told to pattern callees."""
    caller, callee = await router.join(), await router.join()

    async def offer(name, uri, **options):
        def procedure(details=None):
            return [name, details.procedure]

        await register(callee, router.uri(uri), procedure, details=True, **options)

    await offer("exact", "a1.b2.c3.d4.e55")
    await offer("short prefix", "a1.b2.c3", match="prefix")
    await offer("long prefix", "a1.b2.c3.d4", match="prefix")
    await offer("wildcard 1", "a1.b2..d4.e5", match="wildcard")
    await offer("wildcard 2", "a1.b2.c33..e5", match="wildcard")
    await offer("wildcard 3", "a1.b2..d4.e5..g7", match="wildcard")
    await offer("wildcard 4", "a1.b2..d4..f6.g7", match="wildcard")
    for uri, name in [
        ("a1.b2.c3.d4.e55", "exact"),
        ("a1.b2.c3.d98.e74", "short prefix"),
        ("a1.b2.c3.d4.e325", "long prefix"),
        ("a1.b2.c55.d4.e5", "wildcard 1"),
        ("a1.b2.c44.d4.e5", "wildcard 1"),
        ("a1.b2.c88.d4.e5.f6.g7", "wildcard 3"),
    ]:
        assert await call(caller, router.uri(uri)) == ([[name, router.uri(uri)]], {}), (uri, name)
    await refused(caller.call(router.uri("a2.b2.c2.d2.e2")), "wamp.error.no_such_procedure")


async def progressive_results(router):
    caller, callee = await router.join(), await router.join()

    def procedure(count, details=None):
        for number in range(count):
            details.progress(number, of=count)
        return "done"

    await register(callee, router.uri("count"), procedure, details=True)
    heard = []
    options = CallOptions(on_progress=lambda *args, **kwargs: heard.append((args, kwargs)))
    result = await patiently(caller.call(router.uri("count"), 5, options=options))
    assert result == "done", result
    assert heard == [((number,), {"of": 5}) for number in range(5)], heard


async def progress_only_when_wanted(router):
    caller, callee = await router.join(), await router.join()
    await register(callee, router.uri("count"), lambda details=None: details.progress is None, details=True)
    assert await call(caller, router.uri("count")) == ([True], {})


class Slow:
    """A procedure that runs until it is released or interrupted, and says what happened to it."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.begun, self.release, self.interrupted = loop.create_future(), loop.create_future(), loop.create_future()

    async def __call__(self):
        self.begun.set_result(None)
        try:
            return await self.release
        except asyncio.CancelledError:
            self.interrupted.set_result(None)
            raise ApplicationError("com.example.error.interrupted", "half done") from None


async def slow_call(router):
    caller, callee = await router.join(), await router.join()
    slow = Slow()
    await register(callee, router.uri("slow"), slow)
    pending = caller.call(router.uri("slow"))
    await patiently(slow.begun)
    return caller, callee, slow, pending


async def works_still(router, *sessions):
    """After all that, each of the sessions can still call a procedure of the last."""
    await register(sessions[-1], router.uri("still"), lambda: "works")
    for session in sessions:
        assert await call(session, router.uri("still")) == (["works"], {})


async def cancel_kill_waits_for_the_callee(router):
    caller, callee, slow, pending = await slow_call(router)
    caller.cancel("kill")
    await patiently(slow.interrupted)
    error = await refused(pending, "com.example.error.interrupted")
    assert error.args == ("half done",)
    await works_still(router, caller, callee)


async def cancel_killnowait_answers_at_once(router):
    caller, callee, slow, pending = await slow_call(router)
    caller.cancel("killnowait")
    await refused(pending, "wamp.error.canceled")
    await patiently(slow.interrupted)
    await works_still(router, caller, callee)


async def cancel_skip_leaves_the_callee_alone(router):
    caller, callee, slow, pending = await slow_call(router)
    caller.cancel("skip")
    await refused(pending, "wamp.error.canceled")
    # What the callee says now is for nobody, and must hurt nobody.
    slow.release.set_result("late")
    await works_still(router, caller, callee)
    assert not slow.interrupted.done()


async def cancel_without_mode(router):
    """autobahn's own cancel of the future sends CANCEL with no mode at all."""
    caller, callee, slow, pending = await slow_call(router)
    caller.cancel()
    await refused(pending, "wamp.error.canceled", "com.example.error.interrupted")
    if not slow.interrupted.done():
        slow.release.cancel()
    await works_still(router, caller, callee)


async def cancel_of_a_finished_call_is_ignored(router):
    caller, callee = await router.join(), await router.join()
    await register(callee, router.uri("quick"), lambda: 1)
    pending = caller.call(router.uri("quick"))
    await patiently(pending)
    caller._transport.send(cancel_of_request(1))
    await works_still(router, caller, callee)


def cancel_of_request(request):
    from autobahn.wamp import message

    return message.Cancel(request, mode="kill")


async def call_timeout_is_enforced(router):
    caller, callee = await router.join(), await router.join()
    slow = Slow()
    await register(callee, router.uri("slow"), slow)
    await refused(caller.call(router.uri("slow"), options=CallOptions(timeout=50)), "wamp.error.timeout")
    # autobahn can be interrupted, so the dealer tells it.
    await patiently(slow.interrupted)
    await works_still(router, caller, callee)


async def call_in_time_is_not_timed_out(router):
    caller, callee = await router.join(), await router.join()
    await register(callee, router.uri("quick"), lambda: "in time")
    assert await call(caller, router.uri("quick"), options=CallOptions(timeout=60_000)) == (["in time"], {})


async def callee_leaves_in_the_middle(router):
    caller, callee, _, pending = await slow_call(router)
    callee.cut()
    await refused(pending, "wamp.error.canceled")
    assert caller.id


async def caller_leaves_in_the_middle(router):
    caller, callee, slow, _ = await slow_call(router)
    caller.cut()
    await patiently(slow.interrupted)
    await works_still(router, callee)


async def shared(router, count, invoke):
    """`count` callees of one procedure that answers with the number of the callee; and a caller."""
    callees = [await router.join() for _ in range(count)]
    registrations = []
    for number, callee in enumerate(callees):
        registrations.append(await register(callee, router.uri("who"), lambda n=number: n, invoke=invoke))
    assert len({registration.id for registration in registrations}) == 1, "a shared registration has one id"
    return await router.join(), callees, registrations


async def who(router, caller):
    return (await call(caller, router.uri("who")))[0][0]


async def shared_roundrobin(router):
    caller, callees, registrations = await shared(router, 3, "roundrobin")
    first = await who(router, caller)
    answers = [first] + [await who(router, caller) for _ in range(8)]
    assert answers == [(first + turn) % 3 for turn in range(9)], answers
    await patiently(registrations[1].unregister())
    assert collections.Counter([await who(router, caller) for _ in range(6)]) == {0: 3, 2: 3}
    await callees[0].finish()
    assert [await who(router, caller) for _ in range(3)] == [2, 2, 2]


async def shared_first_and_last(router):
    caller, _, registrations = await shared(router, 3, "first")
    assert [await who(router, caller) for _ in range(3)] == [0, 0, 0]
    await patiently(registrations[0].unregister())
    assert await who(router, caller) == 1
    for registration in registrations[1:]:
        await patiently(registration.unregister())
    caller, _, registrations = await shared(router, 3, "last")
    assert [await who(router, caller) for _ in range(3)] == [2, 2, 2]
    await patiently(registrations[2].unregister())
    assert await who(router, caller) == 1


async def shared_random(router):
    caller, _, _ = await shared(router, 3, "random")
    # That one of three is never drawn in 100 has a chance of about 1 in 10^17.
    assert {await who(router, caller) for _ in range(100)} == {0, 1, 2}


async def shared_policies_must_agree(router):
    _, _, _ = await shared(router, 1, "roundrobin")
    other = await router.join()
    for invoke in ("random", "single", None):
        await refused(
            other.register(lambda: 1, router.uri("who"), RegisterOptions(invoke=invoke)),
            "wamp.error.procedure_exists_with_different_invocation_policy",
            "wamp.error.procedure_already_exists",
        )


async def force_reregister_takes_over(router):
    caller, old, new = await router.join(), await router.join(), await router.join()
    await register(old, router.uri("throne"), lambda: "old", force_reregister=True)
    assert await call(caller, router.uri("throne")) == (["old"], {})
    await register(new, router.uri("throne"), lambda: "new", force_reregister=True)
    assert await call(caller, router.uri("throne")) == (["new"], {})
    await works_still(router, caller, new, old)


async def concurrency_is_limited(router):
    caller, callee = await router.join(), await router.join()
    begun = asyncio.Queue()

    async def procedure(number):
        release = asyncio.get_running_loop().create_future()
        begun.put_nowait((number, release))
        return await release

    await register(callee, router.uri("narrow"), procedure, concurrency=2)
    await register(callee, router.uri("fence"), lambda: None)
    pending = [caller.call(router.uri("narrow"), number) for number in range(4)]
    first, second = [await patiently(begun.get()) for _ in range(2)]
    assert (first[0], second[0]) == (0, 1)
    await call(caller, router.uri("fence"))
    assert begun.empty(), "more calls were begun than the callee allows"
    # The next in line begins when one is done, and not before.
    for number, (done, release) in ((2, first), (3, second)):
        release.set_result("through")
        waited, next_release = await patiently(begun.get())
        assert waited == number
        next_release.set_result("through")
    assert [await patiently(future) for future in pending] == ["through"] * 4


async def caller_is_disclosed_where_configured(router):
    caller, callee = await router.join(), await router.join()

    def procedure(details=None):
        return [details.caller, details.caller_authid, details.caller_authrole]

    await register(callee, f"com.example.disclosed.{router.name}", procedure, details=True)
    ((session, authid, authrole),), _ = await call(caller, f"com.example.disclosed.{router.name}")
    assert session == caller.id
    assert authid in (None, caller.details.authid) and authrole in (None, caller.details.authrole)
    await register(callee, router.uri("hidden"), procedure, details=True)
    assert await call(caller, router.uri("hidden")) == ([[None, None, None]], {})


async def calls_arrive_in_order(router):
    caller, callee = await router.join(), await router.join()
    seen = []
    for number in range(3):
        await register(callee, router.uri(f"order.{number}"), seen.append)
    count = 300
    pending = [caller.call(router.uri(f"order.{number % 3}"), number) for number in range(count)]
    await patiently(asyncio.gather(*pending))
    assert seen == list(range(count))


async def answers_find_their_calls(router):
    """Many calls at once, answered in the opposite order."""
    caller, callee = await router.join(), await router.join()
    waiting = []
    count = 100

    async def procedure(number):
        future = asyncio.get_running_loop().create_future()
        waiting.append((future, number))
        if len(waiting) == count:
            for waiter, own in reversed(waiting):
                waiter.set_result(own * own)
        return await future

    await register(callee, router.uri("square"), procedure)
    answers = await patiently(asyncio.gather(*[caller.call(router.uri("square"), n) for n in range(count)]))
    assert answers == [number * number for number in range(count)]


async def large_call(router):
    caller, callee = await router.join(), await router.join()
    await register(callee, router.uri("echo"), lambda value: value)
    text = "".join(chr(ord("a") + number % 26) for number in range(700_000))
    assert await call(caller, router.uri("echo"), text) == ([text], {})


async def calls_cross_serializers_and_transports(router):
    callee = await router.join()
    await register(callee, router.uri("echo"), lambda *args, **kwargs: CallResult(*args, **kwargs))
    value = {"a": [1, -2, 1.5, None, True, "ü😀"]}
    for url in router.options.url:
        for serializer_id in ("cbor", "msgpack", "json"):
            caller = await router.join(url=url, serializer_id=serializer_id)
            assert await call(caller, router.uri("echo"), value, raw=b"\x00\xff") == ([value], {"raw": b"\x00\xff"})


SCENARIOS = [
    result_arrives_whole,
    result_without_payload,
    calling_oneself,
    no_such_procedure,
    application_error_arrives_whole,
    error_without_payload,
    runtime_error_arrives,
    procedure_already_exists,
    unregistered_is_gone,
    callee_that_leaves_is_unregistered,
    reserved_procedures_are_refused,
    patterns_and_their_precedence,
    progressive_results,
    progress_only_when_wanted,
    cancel_kill_waits_for_the_callee,
    cancel_killnowait_answers_at_once,
    cancel_skip_leaves_the_callee_alone,
    cancel_without_mode,
    cancel_of_a_finished_call_is_ignored,
    call_timeout_is_enforced,
    call_in_time_is_not_timed_out,
    callee_leaves_in_the_middle,
    caller_leaves_in_the_middle,
    shared_roundrobin,
    shared_first_and_last,
    shared_random,
    shared_policies_must_agree,
    force_reregister_takes_over,
    concurrency_is_limited,
    caller_is_disclosed_where_configured,
    calls_arrive_in_order,
    answers_find_their_calls,
    large_call,
    calls_cross_serializers_and_transports,
]

if __name__ == "__main__":
    main(SCENARIOS)
