"""Opens one connection after the other and asks for a page on each, until its input ends: who was refused, how long others
waited, and who answered. Runs on a host of the lab."""

import json
import re
import select
import socket
import sys
import time


def ask(address):
    """Who answers: `edge1`, or why nobody does."""
    try:
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(b"GET /info HTTP/1.0\r\nAccept: application/json\r\n\r\n")
            text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    except OSError as error:
        return None, f"{type(error).__name__}: {error}"
    found = re.search(r'"node": "([^"]+)"', text)
    return (found[1], None) if found else (None, f"an answer without a node: {text[:80]!r}")


def main(host, port):
    asked, errors, waits, nodes, times = 0, {}, [], {}, {}
    print("ready", flush=True)
    began = time.monotonic()
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        started = time.monotonic()
        node, error = ask((host, int(port)))
        waits.append(time.monotonic() - started)
        asked += 1
        if error:
            errors[error] = errors.get(error, 0) + 1
        else:
            nodes[node] = nodes.get(node, 0) + 1
            times.setdefault(node, []).append(round(time.monotonic() - began, 3))
    waits.sort()
    figures = {"asked": asked, "errors": errors, "nodes": nodes, "times": times}
    print(json.dumps({**figures, "wait_median_s": waits[len(waits) // 2], "wait_max_s": waits[-1]}))


main(*sys.argv[1:])
