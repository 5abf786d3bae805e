"""Two clients on boxes that have lost each other register the same procedure, which only one can have. When the boxes have
found each other again, one of the two has it on every edge, and every edge says the same of the whole cluster.

  rivals.py HOST:PORT HOST:PORT HOST:PORT HOST:PORT    the first and the third are those of the rivals
"""

import json
import os
import select
import socket
import struct
import sys
import time

PROCEDURE = "com.example.lab.single"
PATIENCE_S = 30
ROLES = {
    "caller": {},
    "callee": {"features": {"registration_revocation": True, "shared_registration": True}},
    "publisher": {},
    "subscriber": {},
}


class Client:
    """A WAMP session over WebSocket and JSON, by hand: the host has nothing but Python."""

    def __init__(self, address):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        self.input = self.socket.makefile("rb")
        self.socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n".encode()
        )
        while self.input.readline() != b"\r\n":
            pass
        self.requests = 0
        self.waiting = []
        self.send([1, "realm1", {"roles": ROLES}])
        self.session = self.receive(2)[1]

    def send(self, message, opcode=1):
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        head = bytes([0x80 | opcode]) + (bytes([0x80 | len(body)]) if len(body) < 126 else struct.pack("!BH", 0xFE, len(body)))
        mask = os.urandom(4)
        self.socket.sendall(head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(body)))

    def read(self):
        """The next WAMP message; pings are answered on the way."""
        while True:
            first, length = self.input.read(2)
            if length == 126:
                (length,) = struct.unpack("!H", self.input.read(2))
            body = self.input.read(length)
            if first & 15 == 9:
                self.send(body, opcode=10)
            elif first & 15 == 1:
                return json.loads(body)
            else:
                raise ConnectionError(f"frame {first:#x} {body!r}")

    def receive(self, code):
        """The next message of this type; others wait for their turn."""
        for message in self.waiting:
            if message[0] == code:
                self.waiting.remove(message)
                return message
        while True:
            message = self.read()
            if message[0] == 68 and code != 68:
                # Whoever calls learns which of the two has answered.
                self.send([70, message[1], {}, [self.session]])
            elif message[0] == code:
                return message
            elif message[0] == 8:
                raise ValueError(message)
            else:
                self.waiting.append(message)

    def request(self, code, *rest):
        self.requests += 1
        self.send([code, self.requests, {}, *rest])

    def register(self):
        self.request(64, PROCEDURE)
        self.receive(65)

    def ask(self, procedure, *args):
        self.request(48, procedure, list(args))
        return self.receive(50)[3][0]

    def is_revoked(self):
        """Whether the router has taken the procedure away. What is called meanwhile is answered."""
        self.ask("wamp.session.count")
        return any(message[0] == 67 and message[1] == 0 for message in self.waiting)


def main(addresses):
    clients = [Client(address) for address in addresses]
    rivals = [clients[0], clients[2]]
    for rival in rivals:
        rival.register()
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 1)[0]:
        # Who reads nothing answers no ping, and loses its session.
        for client in clients:
            client.ask("wamp.session.count")
    deadline = time.monotonic() + PATIENCE_S
    while not any(rival.is_revoked() for rival in rivals):
        assert time.monotonic() < deadline, "both still have it"
        time.sleep(0.05)
    revoked = [rival.is_revoked() for rival in rivals]
    winner = rivals[revoked.index(False)].session
    told = [
        {
            "registration": client.ask("wamp.registration.lookup", PROCEDURE),
            "callees": client.ask("wamp.registration.list_callees", client.ask("wamp.registration.lookup", PROCEDURE)),
            "registrations": client.ask("wamp.registration.list"),
            "sessions": client.ask("wamp.session.list"),
            "subscriptions": client.ask("wamp.subscription.list"),
        }
        for client in clients
    ]
    print(json.dumps({"revoked": sum(revoked), "winner": winner, "told": told}))


main(sys.argv[1:])
