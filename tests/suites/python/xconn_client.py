"""xconn-python, another implementation of WAMP: every serializer, every way to come in, blocking and with asyncio, and callers,
publishers and subscribers on many threads of one session, whose request ids leave in any order.
"""

import asyncio
import itertools
import sys
import threading
from queue import Empty, Queue

import scenarios
from wampproto import auth, serializers
from xconn import types
from xconn.async_client import AsyncClient
from xconn.client import Client
from xconn.exception import ApplicationError

URLS = sys.argv[1:]
REALM = "realm1"
THREADS = 16
CALLS_PER_THREAD = 100
PATIENCE_S = 20

SERIALIZERS = {
    "json": serializers.JSONSerializer,
    "cbor": serializers.CBORSerializer,
    "msgpack": serializers.MsgPackSerializer,
}
# The users of tests/clients/edge.toml. The key is the secret half of RFC 8032, section 7.1, test 1.
METHODS = {
    "anonymous": lambda: auth.AnonymousAuthenticator(""),
    "ticket": lambda: auth.TicketAuthenticator("joe", "secret!!!"),
    "wampcra": lambda: auth.WAMPCRAAuthenticator("peter", "secret1"),
    "salted wampcra": lambda: auth.WAMPCRAAuthenticator("petra", "secret123"),
    "cryptosign": lambda: auth.CryptoSignAuthenticator("client01", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
}
VALUES = [None, True, 0, -1, 2**53, 1.5, "", "ü", "long " * 20_000, [], [1, [2]], {}, {"a": {"b": [None]}}]
numbers = itertools.count()


def uri(name):
    """A URI that no other scenario uses."""
    return f"com.example.xconn.{next(numbers)}.{name}"


class Sessions:
    """Blocking sessions, which all leave in the end; else their threads would keep the program running."""

    def __init__(self, url, serializer, method="anonymous"):
        self.where = url, serializer, method
        self.joined = []

    def join(self):
        url, serializer, method = self.where
        # Pings of its own would be one more thread.
        config = types.TransportConfig(ping_interval=None)
        session = Client(METHODS[method](), SERIALIZERS[serializer](), config).connect(url, REALM)
        self.joined.append(session)
        return session

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for session in self.joined:
            session.leave()


def echo(invocation):
    return types.Result(invocation.args, invocation.kwargs)


def given(result):
    """Arguments and keyword arguments, where absent and empty are the same."""
    return result.args or [], result.kwargs or {}


def calls(sessions):
    callee, caller = sessions.join(), sessions.join()
    registration = callee.register(uri("echo"), echo)
    procedure = f"com.example.xconn.{next(numbers) - 1}.echo"
    for value in VALUES:
        assert given(caller.call(procedure, [value], {"named": value})) == ([value], {"named": value})
    assert given(caller.call(procedure)) == ([], {})
    assert given(caller.call(procedure, kwargs={"only": "named"})) == ([], {"only": "named"})
    registration.unregister()
    refused(lambda: caller.call(procedure), "wamp.error.no_such_procedure")


def refused(call, error):
    try:
        answer = call()
    except ApplicationError as raised:
        assert error in str(raised.args) + str(raised), f"{raised!r}, not {error}"
    else:
        raise AssertionError(f"the answer is {answer}, not {error}")


def errors(sessions):
    callee, caller = sessions.join(), sessions.join()
    procedure = uri("fails")

    def fails(_):
        raise ApplicationError("com.example.error.broken", "why", 7)

    callee.register(procedure, fails)
    refused(lambda: callee.register(procedure, echo), "wamp.error.procedure_already_exists")
    refused(lambda: caller.call(procedure), "com.example.error.broken")
    refused(lambda: caller.call(uri("absent")), "wamp.error.no_such_procedure")


def events(sessions):
    publisher, subscriber = sessions.join(), sessions.join()
    topic, inbox = uri("topic"), Queue()
    subscription = subscriber.subscribe(topic, inbox.put)
    for value in VALUES:
        publisher.publish(topic, [value], {"named": value}, {"acknowledge": True})
        assert given(inbox.get(timeout=PATIENCE_S)) == ([value], {"named": value})
    subscription.unsubscribe()
    publisher.publish(topic, ["nobody"], options={"acknowledge": True})
    subscriber.subscribe(topic, inbox.put)
    publisher.publish(topic, ["again"], options={"acknowledge": True})
    assert given(inbox.get(timeout=PATIENCE_S)) == (["again"], {})


class Guarded:
    """Gives each request an id of its own. The library's own generator can give two threads the same one."""

    def __init__(self):
        self.lock = threading.Lock()
        self.ids = itertools.count(1)

    def next(self):
        with self.lock:
            return next(self.ids)


def on_all_threads(work):
    """Runs work(thread) on every thread at once, and raises what one of them has raised. The library waits for an answer
    without end, so the threads are left to themselves when one does not come."""
    ready, ended = threading.Barrier(THREADS), Queue()

    def begin(thread):
        ready.wait()
        try:
            work(thread)
        except BaseException as error:  # noqa: BLE001, it is raised again below
            ended.put(error)
        else:
            ended.put(None)

    for thread in range(THREADS):
        threading.Thread(target=begin, args=[thread], daemon=True).start()
    for done in range(THREADS):
        try:
            error = ended.get(timeout=PATIENCE_S)
        except Empty:
            raise AssertionError(f"{THREADS - done} of {THREADS} threads wait for an answer") from None
        if error:
            raise error


def threads_of_one_caller(sessions):
    callee, caller = sessions.join(), sessions.join()
    procedure = uri("echo")
    callee.register(procedure, echo)
    caller._idgen = Guarded()

    def call_often(thread):
        for number in range(CALLS_PER_THREAD):
            sent = [thread, number]
            assert given(caller.call(procedure, sent)) == (sent, {})

    on_all_threads(call_often)


def threads_of_one_publisher(sessions):
    publisher, subscriber = sessions.join(), sessions.join()
    topic, inbox = uri("topic"), Queue()
    subscriber.subscribe(topic, inbox.put)
    publisher._idgen = Guarded()

    def publish_often(thread):
        for number in range(CALLS_PER_THREAD):
            publisher.publish(topic, [thread, number], options={"acknowledge": True})

    on_all_threads(publish_often)
    arrived = [tuple(inbox.get(timeout=PATIENCE_S).args) for _ in range(THREADS * CALLS_PER_THREAD)]
    assert sorted(arrived) == [(thread, number) for thread in range(THREADS) for number in range(CALLS_PER_THREAD)]


def threads_that_do_everything(sessions):
    """Registers, calls, subscribes, publishes and takes back, all on one session at once."""
    session, other = sessions.join(), sessions.join()
    session._idgen = Guarded()

    def live(thread):
        for number in range(10):
            procedure, topic, inbox = uri(f"echo{thread}"), uri(f"topic{thread}"), Queue()
            registration = session.register(procedure, echo)
            subscription = session.subscribe(topic, inbox.put)
            # Only the other session may ask: a session's one reading thread is the one that answers.
            other.call(procedure, [number])
            session.publish(topic, [number], options={"acknowledge": True, "exclude_me": False})
            assert inbox.get(timeout=PATIENCE_S).args == [number]
            subscription.unsubscribe()
            registration.unregister()

    other._idgen = Guarded()
    on_all_threads(live)


async def with_asyncio(url, serializer, method):
    async def join():
        return await AsyncClient(METHODS[method](), SERIALIZERS[serializer]()).connect(url, REALM)

    one, two = await join(), await join()
    procedure, topic, inbox = uri("echo"), uri("topic"), asyncio.Queue()

    async def answer(invocation):
        return types.Result(invocation.args, invocation.kwargs)

    async def put(event):
        await inbox.put(event)

    await one.register(procedure, answer)
    results = await asyncio.gather(*(two.call(procedure, [value], {"named": value}) for value in VALUES))
    assert [given(result) for result in results] == [([value], {"named": value}) for value in VALUES]
    subscription = await one.subscribe(topic, put)
    for value in VALUES:
        await two.publish(topic, [value], {"named": value}, {"acknowledge": True})
        assert given(await inbox.get()) == ([value], {"named": value})
    await subscription.unsubscribe()
    await one.leave()
    await two.leave()


def blocking(scene, *where):
    def play():
        with Sessions(*where) as sessions:
            scene(sessions)

    return play


def asynchronous(*where):
    async def play():
        await with_asyncio(*where)

    return play


def all_scenarios():
    for url, serializer in itertools.product(URLS, SERIALIZERS):
        is_websocket = url.startswith("ws")
        how = f"{url.split(':')[0]} {serializer}"
        # The RawSocket listener of the tests lets everybody in.
        for method in METHODS if is_websocket else ["anonymous"]:
            yield f"blocking {method} [{how}]", blocking(calls, url, serializer, method)
            yield f"asyncio {method} [{how}]", asynchronous(url, serializer, method)
        for scene in (errors, events):
            yield f"{scene.__name__} [{how}]", blocking(scene, url, serializer)
        # Over RawSocket the library writes head and payload apart, and its threads mix them up.
        for scene in (threads_of_one_caller, threads_of_one_publisher, threads_that_do_everything) if is_websocket else ():
            yield f"{scene.__name__} [{how}]", blocking(scene, url, serializer)


scenarios.run(all_scenarios())
