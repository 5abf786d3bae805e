"""What an operator does to a cluster that is used: restarts, upgrades, one more edge. Nobody is refused, and no call fails."""

import json
import os
import re
import shutil
import time

import lab
import pytest
from cluster import EDGES, PLAY_MAX_S, Backends, Probe, Remote, changed_inventory, eventually, haproxy, info, on, playbook, sessions


def check_nothing_failed(outcome, restarted):
    """Clients of the restarted edges came back; nothing else happened to anybody."""
    outages = outcome["reconnects"]["outages"]
    assert outages and {outage["from"] for outage in outages} <= set(restarted), outages
    assert {outage["reason"] for outage in outages} == {"wamp.close.system_shutdown"}, outages
    assert outcome["sessions_absent"] == 0
    events = outcome["events"]
    assert not events["refused"] and events["unanswered"] == events["lost"] == events["duplicated"] == events["reordered"] == 0, events
    calls = outcome["calls"]
    assert calls["issued"] > 0 and calls["answered"] == calls["issued"] and not calls["errors"], json.dumps(calls)


def describe(outcome):
    again, calls = outcome["reconnects"], outcome["calls"]
    return (
        f"{again['back']} of {again['lost']} back, away {again['away_max']:.0f} ms at most; "
        f"{calls['answered']:,} of {calls['issued']:,} calls answered, {calls['repeated']} of them made again after a GOODBYE"
    )


def test_restart_under_load(whole, figure):
    """`systemctl restart crossbar-edge@1`: no connection is refused, calls in flight are answered, clients are back at once."""
    with Backends():
        direct = Remote("matterhorn", "knock.py", lab.HOSTS["brummer1"], 8081)
        balanced = Remote("matterhorn", "knock.py", "127.0.0.1", 8080)
        probe = Probe(duration=30)
        probe.publishing()
        pid = info("edge1")["pid"]
        on("edge1", "systemctl restart {unit}")
        assert info("edge1")["pid"] != pid
        outcome = probe.outcome()
    for name, knocks in (("directly", direct.finish()), ("through HAProxy", balanced.finish())):
        figure(f"connections {name}", f"{knocks['asked']} asked for, {sum(knocks['errors'].values())} refused, longest wait {knocks['wait_max_s'] * 1000:.0f} ms")
        assert not knocks["errors"], knocks["errors"]
    check_nothing_failed(outcome, ["edge1"])
    figure("clients", describe(outcome))


def test_failures_are_backed_off(whole, figure):
    """An edge that cannot be started is tried again, later each time, and runs as soon as it can."""
    spoil = "[Service]\nExecStart=\nExecStart=/bin/false\n"
    on("edge2", "mkdir -p /run/systemd/system/{unit}.d; cat >/run/systemd/system/{unit}.d/spoil.conf; systemctl daemon-reload", input=spoil)
    on("edge2", "systemctl kill --signal=KILL {unit}")
    times = lambda: re.findall(r"the next start waits (\d+) s", on("edge2", "journalctl --no-pager --output=cat --unit {unit} --since=-5min"))
    eventually("three failures", lambda: len(times()) >= 3, pause_s=0.5)
    figure("waits", ", ".join(f"{seconds} s" for seconds in times()[-3:]))
    assert times()[-3:] == ["1", "2", "4"]
    on("edge2", "rm -r /run/systemd/system/{unit}.d; systemctl daemon-reload; systemctl restart {unit}", timeout=60)


def test_rolling_restart(whole, figure):
    with Backends():
        probe = Probe(duration=PLAY_MAX_S)
        probe.publishing()
        pids = {edge: info(edge)["pid"] for edge in EDGES}
        play = playbook("rolling-restart").succeeded()
        assert all(info(edge)["pid"] != pids[edge] for edge in EDGES)
        probe.end()
        outcome = probe.outcome()
    assert re.findall(r"crossbar-edge@(\d)\.service: back, linked with 3 nodes", play.text) == ["1", "2", "3", "4"]
    figure("seconds", f"{play.seconds:.0f} s")
    check_nothing_failed(outcome, EDGES)
    figure("clients", describe(outcome))


def test_rolling_upgrade(whole, figure):
    """From this package to a later one."""
    shutil.copy(os.environ["LAB_LATER_PACKAGE"], lab.RUN / "crossbar-cluster.deb")
    with Backends():
        probe = Probe(duration=PLAY_MAX_S)
        probe.publishing()
        pids = {edge: info(edge)["pid"] for edge in EDGES}
        play = playbook("rolling-upgrade").succeeded()
        assert all(info(edge)["pid"] != pids[edge] for edge in EDGES)
        probe.end()
        outcome = probe.outcome()
    for host in lab.HOSTS:
        assert lab.ssh(host, "dpkg-query --show --showformat '${Version}' crossbar-cluster").endswith("+later")
    for edge in EDGES:
        # Not the program that was replaced.
        assert "deleted" not in on(edge, "readlink /proc/$(systemctl show --property=MainPID --value {unit})/exe")
    figure("seconds", f"{play.seconds:.0f} s")
    check_nothing_failed(outcome, EDGES)
    figure("clients", describe(outcome))
    assert playbook("rolling-upgrade").succeeded().changed == {host: 0 for host in lab.HOSTS}


def test_drain_and_back(whole, figure):
    """drain.yml empties an edge that goes on running, HAProxy shows it, and the way back."""
    with Backends():
        probe = Probe(duration=50)
        probe.publishing()
        started = time.monotonic()
        playbook("drain", "-e", "edge=edge2").succeeded()
        eventually("HAProxy to know", lambda: haproxy()["edge2"][0] == "DRAIN")
        eventually("the clients to be elsewhere", lambda: info("edge2")["sessions"] == 0)
        figure("clients gone", f"{time.monotonic() - started:.0f} s after the playbook was started")
        assert haproxy()["edge2"][0] == "DRAIN"
        playbook("drain", "-e", "edge=edge2", "-e", "undo=true").succeeded()
        eventually("HAProxy to give it clients again", lambda: haproxy()["edge2"][0] == "UP")
        outcome = probe.outcome()
    check_nothing_failed(outcome, ["edge2"])
    figure("clients", describe(outcome))


def test_rebalance(whole, figure):
    """After an edge has returned, one command spreads the clients evenly again."""
    probe = Probe(duration=45)
    probe.publishing()
    on("edge3", "systemctl stop {unit}")
    eventually("its clients to be elsewhere", lambda: sum(sessions().values()) == probe.n_sessions)
    on("edge3", "systemctl start {unit}")
    eventually("HAProxy to know", lambda: haproxy()["edge3"][0] == "UP")
    is_up = lambda: re.search(r"^edge3 .*\bup\b", lab.ssh("matterhorn", "crossbarctl nodes"), re.M)
    eventually("the master to know", is_up)
    fair = probe.n_sessions / len(EDGES)
    figure("before", ", ".join(f"{edge} {n}" for edge, n in sessions().items()))
    started = time.monotonic()
    lab.ssh("matterhorn", "crossbarctl rebalance")
    even = lambda: sum(sessions().values()) == probe.n_sessions and all(abs(n - fair) <= fair * 0.05 for n in sessions().values())
    eventually("the clients to be spread evenly", even, patience_s=30)
    figure("after", ", ".join(f"{edge} {n}" for edge, n in sessions().items()) + f", {time.monotonic() - started:.0f} s later")
    outcome = probe.outcome()
    assert outcome["sessions_absent"] == 0 and outcome["events"]["lost"] == 0, outcome["events"]


@pytest.fixture
def larger(tmp_path):
    """The lab's inventory with a fifth edge, on brummer2."""
    more = {"id": "edge5", "number": 5}
    inventory = changed_inventory(tmp_path, lambda groups: groups["edges"]["hosts"]["brummer2"]["crossbar_edges"].append(more))
    yield inventory
    EDGES.pop("edge5", None)
    # What a playbook does not do: to end an edge that the inventory does not name any more is a decision.
    lab.ssh("brummer2", "systemctl disable --now crossbar-edge@5; rm -rf /etc/crossbar/edge-5.toml /var/lib/crossbar/edge-5")
    playbook("site").succeeded()
    assert "edge5" not in lab.ssh("matterhorn", "crossbarctl nodes")


def test_edge_is_added_by_inventory_alone(whole, larger, figure):
    pids = {edge: info(edge)["pid"] for edge in EDGES}
    play = playbook("site", inventory=larger).succeeded()
    figure("playbook", f"{play.seconds:.0f} s")
    assert {edge: info(edge)["pid"] for edge in pids} == pids, "nobody else is restarted: the master tells them"
    EDGES["edge5"] = ("brummer2", 5)
    eventually("five edges to be one router", lambda: all((info(edge) or {}).get("mesh", {}).get("is_complete") for edge in EDGES))
    assert len(info("edge1")["mesh"]["links"]) == 4
    probe = Probe(clients=2, connections=25, duration=5)
    spread = probe.publishing()
    assert set(spread.values()) == {10}, spread
    assert probe.outcome()["ok"]
    assert playbook("site", inventory=larger).succeeded().changed == {host: 0 for host in lab.HOSTS}
