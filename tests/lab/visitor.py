"""Opens a session over TLS with a ticket, and one without; prints what each of them was told. Runs on a host of the lab.

  visitor.py HOST:PORT CERTIFICATE AUTHID TICKET    the certificate is the one that the router has to have
"""

import json
import ssl
import sys

from wamp import Client


def main(address, certificate, authid, ticket):
    tls = ssl.create_default_context(cafile=certificate)
    known = Client(address, tls=tls, authid=authid, ticket=ticket)
    print("ready", flush=True)
    sys.stdin.read()
    try:
        Client(address, tls=tls, authid=authid, ticket="another")
        refusal = None
    except ValueError as refused:
        refusal = refused.args[0]
    told = {"details": known.details, "sessions": known.ask("wamp.session.count"), "refusal": refusal}
    print(json.dumps(told))


main(*sys.argv[1:])
