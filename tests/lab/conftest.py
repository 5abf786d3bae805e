"""One lab for all tests, brought up with the playbook and taken down at the end; and the figures that tests have measured,
printed after them."""

import os
import shutil

import lab
import pytest
from cluster import eventually, is_whole, sessions

FIGURES = []


@pytest.fixture(scope="session")
def booted():
    """Three bare hosts, and the seconds that they took."""
    if "LAB_KEEP" in os.environ and lab.RUN.exists():
        seconds = 0.0
    else:
        seconds = lab.up()
    shutil.copy(os.environ["LAB_PACKAGE"], lab.RUN / "crossbar-cluster.deb")
    yield seconds
    if "LAB_KEEP" in os.environ:
        print(f"\nthe lab is kept; end it with: {lab.ROOT}/tests/lab/lab.py down")
        return
    lab.down()
    left = lab.traces()
    assert not left, f"traces of the lab: {left}"


@pytest.fixture
def whole(booted):
    """A cluster in which everything is as it should be before a test breaks something, and after it."""
    eventually("the cluster to be whole", is_whole)
    eventually("former clients to be gone", lambda: sum(sessions().values()) == 0)
    yield
    eventually("the cluster to be whole again", is_whole)


@pytest.fixture
def figure(request):
    """Notes a figure that docs/operations.md is to have: figure('away', '812 ms at most')."""

    def note(name, value):
        FIGURES.append((request.node.name.removeprefix("test_").replace("_", " "), name, value))

    return note


def pytest_terminal_summary(terminalreporter):
    if not FIGURES:
        return
    terminalreporter.section("figures")
    rows = [f"| {test} | {name} | {value} |" for test, name, value in FIGURES]
    text = "\n".join(["| test | | |", "| --- | --- | --- |", *rows])
    terminalreporter.write_line(text)
    (lab.LAB / "figures.md").write_text(text + "\n")
