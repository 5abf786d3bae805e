"""Waits until an edge says that it is ready, and then until the load balancer on this host gives it a new connection. Runs on a
host of the lab. Arguments: the edge's name, its address and port, the load balancer's port."""

import json
import re
import socket
import sys
import time


def ask(address, path):
    try:
        with socket.create_connection(address, timeout=0.5) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nAccept: application/json\r\n\r\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    except OSError:
        return ""


def wait_for(condition, patience_s):
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("it did not happen in time")
        time.sleep(0.02)
    return time.monotonic()


def is_served_by(name, port):
    found = re.search(r'"node": "([^"]+)"', ask(("127.0.0.1", port), "/info"))
    return found is not None and found[1] == name


def main(name, host, port, balancer):
    print("ready", flush=True)
    ready = wait_for(lambda: " 200 " in ask((host, int(port)), "/readyz")[:20], 120)
    served = wait_for(lambda: is_served_by(name, int(balancer)), 30)
    print(json.dumps({"seconds": served - ready}))


main(*sys.argv[1:])
