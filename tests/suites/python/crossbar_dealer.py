"""Crossbar.io's own tests of its dealer, as its package has them, with this router in the dealer's place.

They are read from the installed package. What they import of Crossbar.io is replaced: a session that they attach gets a connection, a
message that they have processed is sent, and what comes back is given to the session. Tests that look at tables which only
Crossbar.io has inside, and those that it skips itself, are left out.
"""

import importlib.util
import itertools
import sys
import time
import types
import unittest
from pathlib import Path
from unittest import mock

import scenarios
import txaio

txaio.use_twisted()

from autobahn.wamp import message, role  # noqa: E402
from autobahn.wamp.exception import ProtocolError  # noqa: E402
from autobahn.wamp.serializer import CBORSerializer  # noqa: E402
from websockets.exceptions import ConnectionClosed  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

URL = sys.argv[1]
REALM = "realm1"
PATIENCE_S = 20
TIMEOUT_MS = 200

TESTS = [
    "test_call_cancel",
    "test_call_cancel_two_sessions",
    "test_call_cancel_without_callee_support",
    "test_call_timeout_without_callee_support",
    "test_call_timeout_without_caller_support",
    "test_call_timeout_without_callee_or_caller_support",
    "test_call_timeout_with_callee_and_caller_support",
    "test_yield_on_unowned_invocation",
    "test_caller_detach_interrupt_cancel_supported",
    "test_caller_detach_interrupt_cancel_not_supported",
]
# Above the ids that the tests use.
own_ids = itertools.count(1_000_000)
connections = []


class Connection:
    """A session with the router. What it receives, but for what it has asked itself, goes to `deliver`."""

    def __init__(self, roles, deliver):
        self.deliver = deliver
        self.serializer = CBORSerializer()
        self.socket = connect(URL, subprotocols=["wamp.2.cbor"])
        self.send(message.Hello(REALM, roles))
        self.gate = f"com.example.gate.{self.receive().session}"
        self.ask(message.Subscribe(next(own_ids), self.gate))
        connections.append(self)

    def send(self, sent):
        self.socket.send(self.serializer.serialize(sent)[0])

    def receive(self):
        [received] = self.serializer.unserialize(self.socket.recv(timeout=PATIENCE_S), True)
        return received

    def ask(self, request):
        """Sends a request of its own, and returns when everything before its answer is delivered."""
        self.send(request)
        self.until(lambda received: getattr(received, "request", None) == request.request)

    def until(self, is_last):
        while not is_last(received := self.receive()):
            # The tests have no topics; events are the marks of `hear`.
            if not isinstance(received, message.Event):
                self.deliver(received)

    def hear(self, other):
        """Delivers what another session has caused before this. Fails when that has lost its session."""
        mark = next(own_ids)
        other.ask(message.Publish(mark, self.gate, args=[mark], acknowledge=True, exclude_me=False))
        if other is not self:
            self.until(lambda received: isinstance(received, message.Event) and received.args == [mark])

    def close(self):
        connections.remove(self)
        self.deliver = lambda received: None
        self.send(message.Goodbye("wamp.close.normal"))
        self.until(lambda received: isinstance(received, message.Goodbye))
        self.socket.close()


def settle():
    """When this returns, everything that has happened has been told to everybody."""
    for hearer, other in itertools.product(connections, connections):
        hearer.hear(other)


class Dealer:
    """What the tests use of Crossbar.io's."""

    def __init__(self):
        self.connection_of = {}
        self._cancel_timers = types.SimpleNamespace(call_later=None)

    def attach(self, session):
        announced = session._session_roles if isinstance(session._session_roles, dict) else {}
        roles = {
            "caller": role.RoleCallerFeatures(call_canceling=True),
            "callee": role.RoleCalleeFeatures(),
            "publisher": role.RolePublisherFeatures(),
            "subscriber": role.RoleSubscriberFeatures(),
        }
        self.connection_of[id(session)] = Connection({**roles, **announced}, session._transport.send)

    def detach(self, session):
        self.connection_of.pop(id(session)).close()
        settle()

    def process(self, session, sent):
        self.connection_of[id(session)].send(sent)
        try:
            settle()
        except ConnectionClosed as closed:
            raise ProtocolError(str(closed)) from closed

    processCancel = processYield = processInvocationError = process

    def processRegister(self, session, register):
        """The answer comes when all edges have agreed, however much else has been answered before."""
        answers = []
        connection = self.connection_of[id(session)]
        connection.send(register)
        connection.until(lambda received: getattr(received, "request", None) == register.request and answers.append(received) is None)
        connection.deliver(answers[0])

    def processCall(self, session, call):
        if not call.timeout:
            return self.process(session, call)
        # Crossbar.io's tests play the clock; this one runs.
        call.timeout = TIMEOUT_MS
        self.process(session, call)
        return self._cancel_timers.call_later(call.timeout, lambda: await_error(self.connection_of[id(session)]))


def await_error(caller):
    """Waits until the router has answered the call whose time is over."""
    deadline = time.monotonic() + PATIENCE_S
    with mock.patch.object(caller, "deliver", side_effect=caller.deliver) as deliver:
        while not any(isinstance(one.args[0], message.Error) for one in deliver.call_args_list):
            assert time.monotonic() < deadline, "the call is not answered"
            settle()


def load():
    """Their tests, with ours where they import theirs."""
    folder = Path(importlib.util.find_spec("crossbar").origin).parent
    router = mock.MagicMock(_dealer=Dealer())
    routers = mock.MagicMock()
    routers.return_value.get.return_value = router
    for name in ("crossbar", "crossbar.router", "crossbar.router.role", "crossbar.router.session", "crossbar.worker", "crossbar.worker.types"):
        sys.modules[name] = mock.MagicMock(__path__=[], __spec__=None)
    sys.modules["crossbar.router.router"] = mock.MagicMock(RouterFactory=routers)
    spec = importlib.util.spec_from_file_location("test_dealer", folder / "router/test/test_dealer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scenario(case):
    def play():
        result = unittest.TestResult()
        case.run(result)
        while connections:
            connections.pop().socket.close()
        for _, text in result.failures + result.errors:
            raise AssertionError(text.strip().splitlines()[-1])
        assert not result.skipped, result.skipped

    return play


MODULE = load()
scenarios.run((name, scenario(MODULE.TestDealer(name))) for name in TESTS)
