"""Runs scenarios and prints a line for each, which tests/suites/main.rs reads: `ok NAME` or `FAIL NAME: why`."""

import asyncio
import os
import sys
import traceback

# How long a scenario may take. It only bounds a failure, so it is generous.
PATIENCE_S = 60


def run(scenarios):
    """Runs each of the (name, coroutine function or function) pairs, and ends with 1 when one has failed."""
    failures = sum(not passes(name, scenario) for name, scenario in scenarios)
    sys.stdout.flush()
    # Threads that a failed scenario has left would keep an orderly end waiting.
    os._exit(1 if failures else 0)


def passes(name, scenario):
    try:
        if asyncio.iscoroutinefunction(scenario):
            asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))
        else:
            scenario()
    except Exception as error:  # noqa: BLE001, whatever it is belongs to this scenario
        print(f"FAIL {name}: {why(error)}", flush=True)
        return False
    print(f"ok {name}", flush=True)
    return True


def why(error):
    """The reason in one line."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(str(error).split()) or frame.line
    return f"{type(error).__name__}: {said[:300]} ({frame.filename.rsplit('/')[-1]}:{frame.lineno})"
