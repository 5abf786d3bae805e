"""The sentences of the original's "Test configuration": edges and boxes die and come back, and cables are cut."""

import time

import lab
from cluster import EDGES, EDGES_OF, DirectProbe, Probe, Remote, eventually, haproxy, info, is_meshed, on, sessions

BACK_WITHIN_S = 5
FOUND_WITHIN_S = 3


def check_others_noticed_nothing(outcome, lost):
    """Only clients of these edges lost their connection, all of them came back, elsewhere, and nobody missed an event."""
    outages = outcome["reconnects"]["outages"]
    assert {outage["from"] for outage in outages} <= set(lost), outages
    assert all(outage["to"] and outage["to"] not in lost for outage in outages), outages
    assert outcome["sessions_absent"] == 0
    events = outcome["events"]
    assert {name: events[name] for name in ("lost", "duplicated", "reordered", "corrupted", "unanswered")} == dict.fromkeys(
        ("lost", "duplicated", "reordered", "corrupted", "unanswered"), 0
    )
    return outages


def describe(outcome):
    again = outcome["reconnects"]
    return (
        f"{again['back']} of {again['lost']} back, away {again['away_median']:.0f} ms in the middle, {again['away_max']:.0f} at most; "
        f"without events {again['gap_max']:.0f} ms at most"
    )


def comeback(edge):
    host, number = EDGES[edge]
    return Remote("matterhorn", "comeback.py", edge, lab.HOSTS[host], 8080 + number, 8080)


def test_edge_is_killed(whole, figure):
    """Exactly its 25 % of clients reconnect, to the other three; when it returns it gets new connections."""
    probe = Probe(duration=15)
    before = probe.publishing()
    on("edge1", "systemctl kill --signal=KILL {unit}; systemctl stop {unit}")
    outcome = probe.outcome()
    outages = check_others_noticed_nothing(outcome, ["edge1"])
    assert len(outages) == before["edge1"] == probe.n_sessions / 4, (len(outages), before)
    figure("clients", f"{len(outages)} of {probe.n_sessions} reconnected; {describe(outcome)}")
    watch = comeback("edge1")
    on("edge1", "systemctl start {unit}")
    seconds = watch.finish()["seconds"]
    figure("ready until the next new connection", f"{seconds:.2f} s")
    assert seconds < FOUND_WITHIN_S


def lose_box(box, take_away, figure):
    """A box is gone under load. Its clients, half of all, are back on the other box in time, and nobody else notices."""
    probe = Probe(duration=20)
    before = probe.publishing()
    take_away(box)
    outcome = probe.outcome()
    outages = check_others_noticed_nothing(outcome, EDGES_OF[box])
    its_clients = sum(before[edge] for edge in EDGES_OF[box])
    assert len(outages) == its_clients == probe.n_sessions / 2, (len(outages), before)
    figure("clients", f"{len(outages)} of {probe.n_sessions} reconnected; {describe(outcome)}")
    assert outcome["reconnects"]["gap_max"] < BACK_WITHIN_S * 1000


def test_box_loses_power(whole, figure):
    """No FIN and no RST: its half of the clients is back on the other box within five seconds. Then the box returns."""
    lose_box("brummer1", lab.power_off, figure)
    watch = comeback("edge1")
    started = time.monotonic()
    lab.boot("brummer1")
    seconds = watch.finish()["seconds"]
    figure("switched on until it gets connections", f"{time.monotonic() - started:.1f} s")
    figure("ready until the next new connection", f"{seconds:.2f} s")
    assert seconds < FOUND_WITHIN_S


def test_box_is_cut_off(whole, figure):
    """A cable is pulled, and the box lives on behind it."""
    lose_box("brummer2", lab.cut, figure)
    lab.mend("brummer2")
    started = time.monotonic()
    eventually("the mesh to be complete", is_meshed)
    figure("mended until the mesh is complete", f"{time.monotonic() - started:.1f} s")
    # Clients that it had and that went elsewhere are forgotten.
    eventually("the box to have no sessions left", lambda: sessions() == dict.fromkeys(EDGES, 0))


def isolate(is_on):
    """Whether the two boxes can reach each other. Both still reach matterhorn."""
    for host in EDGES_OF:
        lab.run(*lab.within("bridge", "link", "set", "dev", lab.link_of(host), "isolated", "on" if is_on else "off"))


def test_boxes_lose_each_other(whole, figure):
    """For 30 s the two boxes cannot reach each other, while both reach matterhorn: both sides serve their clients."""
    probe = Probe(duration=50)
    before = probe.publishing()
    isolate(True)
    try:
        started = time.monotonic()
        eventually("the links to be gone", lambda: not is_meshed(["edge1"]) and not is_meshed(["edge3"]))
        # Each side has one that may be there only once.
        rivals = Remote("matterhorn", "rivals.py", *(f"{lab.HOSTS[host]}:{8080 + number}" for host, number in EDGES.values()))
        figure("parted until the links are given up", f"{time.monotonic() - started:.1f} s")
        while time.monotonic() < started + 30:
            assert sum(sessions().values()) == probe.n_sessions + len(EDGES)
            assert all(state == "UP" for state, _ in haproxy().values())
            time.sleep(1)
    finally:
        # Whatever has failed: the next test wants its network whole.
        isolate(False)
    started = time.monotonic()
    eventually("the mesh to be complete", is_meshed)
    figure("healed until the mesh is complete", f"{time.monotonic() - started:.1f} s")
    found = rivals.finish()
    assert found["revoked"] == 1, found
    first, *others = found["told"]
    assert first["callees"] == [found["winner"]], "one of the two has it"
    assert all(other == first for other in others), "every edge says the same of the whole cluster"
    assert len(first["sessions"]) == probe.n_sessions + len(EDGES)
    outcome = probe.outcome()
    assert outcome["reconnects"]["lost"] == 0, "no client noticed more than missing events"
    events = outcome["events"]
    assert events["duplicated"] == events["reordered"] == events["corrupted"] == events["unanswered"] == 0
    figure("events", f"{events['received']:,} of {events['expected']:,}; the others were published while the boxes were parted")
    # At the end everybody hears everybody again.
    last = [moment for moment in outcome["timeline"] if moment["published"]][-4:-1]
    per_second = [moment["received"] / moment["published"] for moment in last]
    assert all(abs(each - probe.n_sessions) < probe.n_sessions / 10 for each in per_second), per_second
    assert sum(before.values()) == probe.n_sessions


def test_matterhorn_loses_power(whole, figure):
    """Master and load balancer are gone: no client that is connected to an edge directly notices."""
    probe = DirectProbe(clients=2, connections=5, duration=20)
    eventually("the probe's sessions", lambda: sum(sessions().values()) >= probe.n_sessions, pause_s=0.2)
    lab.power_off("matterhorn")
    time.sleep(10)
    lab.boot("matterhorn")
    outcome = probe.outcome()
    figure("events", f"{outcome['events']['received']:,} of {outcome['events']['expected']:,}, {outcome['reconnects']['lost']} connections lost")
    assert outcome["ok"] and outcome["reconnects"]["lost"] == 0
    lab.await_up("matterhorn")


def test_hung_edge_is_restarted(whole, figure):
    """It still accepts connections, because the kernel does that, and answers nothing: the watchdog ends it."""
    probe = Probe(duration=30)
    before = probe.publishing()
    restarts = int(on("edge4", "systemctl show --property=NRestarts --value {unit}"))
    on("edge4", "kill -STOP $(systemctl show --property=MainPID --value {unit})")
    started = time.monotonic()
    eventually("HAProxy to take it out", lambda: haproxy()["edge4"][0] != "UP")
    figure("stopped until HAProxy sends its clients elsewhere", f"{time.monotonic() - started:.1f} s")
    eventually("systemd to restart it", lambda: int(on("edge4", "systemctl show --property=NRestarts --value {unit}")) == restarts + 1)
    eventually("it to answer", lambda: info("edge4"))
    figure("stopped until it serves again", f"{time.monotonic() - started:.1f} s")
    assert "watchdog" in on("edge4", "journalctl --no-pager --output=cat --unit {unit} --since=-1min").lower()
    outcome = probe.outcome()
    outages = [outage for outage in outcome["reconnects"]["outages"]]
    assert {outage["from"] for outage in outages} == {"edge4"} and len(outages) == before["edge4"], outages
    assert outcome["sessions_absent"] == 0 and outcome["events"]["lost"] == 0
    figure("clients", f"{len(outages)} of {probe.n_sessions} reconnected; {describe(outcome)}")
