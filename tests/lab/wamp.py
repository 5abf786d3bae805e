"""A WAMP session over WebSocket and JSON, by hand: the hosts of the lab have nothing but Python."""

import json
import os
import socket
import struct

PATIENCE_S = 30
ROLES = {
    "caller": {},
    "callee": {"features": {"registration_revocation": True, "shared_registration": True}},
    "publisher": {},
    "subscriber": {},
}


class Client:
    """A session of the realm `realm1`: of anybody, or of somebody with a ticket. `tls` is a context of `ssl`, for the host that the
    address names."""

    def __init__(self, address, tls=None, authid=None, ticket=None):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        self.input = self.socket.makefile("rb")
        self.socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n".encode()
        )
        while self.input.readline().strip():
            pass
        self.requests = 0
        self.waiting = []
        details = {"roles": ROLES}
        if authid is not None:
            details.update(authmethods=["ticket"], authid=authid)
        self.send([1, "realm1", details])
        if authid is not None:
            self.receive(4)
            self.send([5, ticket, {}])
        _, self.session, self.details = self.receive(2)

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
                # Whoever calls learns who has answered.
                self.send([70, message[1], {}, [self.session]])
            elif message[0] == code:
                return message
            elif message[0] in (3, 8):
                raise ValueError(message)
            else:
                self.waiting.append(message)

    def request(self, code, *rest):
        self.requests += 1
        self.send([code, self.requests, {}, *rest])

    def ask(self, procedure, *args):
        self.request(48, procedure, list(args))
        return self.receive(50)[3][0]
