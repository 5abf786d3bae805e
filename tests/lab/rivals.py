"""Two clients on boxes that have lost each other register the same procedure, which only one can have. When the boxes have
found each other again, one of the two has it on every edge, and every edge says the same of the whole cluster.

  rivals.py HOST:PORT HOST:PORT HOST:PORT HOST:PORT    the first and the third are those of the rivals
"""

import json
import select
import sys
import time

import wamp
from wamp import PATIENCE_S

PROCEDURE = "com.example.lab.single"


class Client(wamp.Client):
    def register(self):
        self.request(64, PROCEDURE)
        self.receive(65)

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
