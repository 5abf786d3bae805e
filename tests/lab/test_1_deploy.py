"""From three bare hosts to the running cluster, and what a playbook does when it has nothing to do or should do nothing."""

import json
import os
import re
import subprocess
import time

import lab
import pytest
from cluster import ANSIBLE, BIN, EDGES, Probe, Remote, changed_inventory, eventually, haproxy, info, is_whole, on, page, playbook

UP_WITHIN_S = 180


def test_playbooks_are_clean():
    """ansible-lint's strictest profile has nothing to say."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run([BIN / "ansible-lint"], cwd=ANSIBLE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failure(s), 0 warning(s)" in done.stderr, done.stderr


def test_checking_bare_hosts_changes_nothing(booted):
    before = {host: lab.ssh(host, "dpkg-query -W | sha256sum; find /etc -newer /etc/hostname -type f | sort") for host in lab.HOSTS}
    play = playbook("site", "--check").succeeded()
    assert "would configure and start edge1, edge2" in play.text
    after = {host: lab.ssh(host, "dpkg-query -W | sha256sum; find /etc -newer /etc/hostname -type f | sort") for host in lab.HOSTS}
    assert before == after


def test_cluster_from_bare_hosts(booted, figure):
    started = time.monotonic()
    play = playbook("site").succeeded()
    eventually("the cluster to be whole", is_whole)
    seconds = booted + time.monotonic() - started
    figure("hosts booted", f"{booted:.1f} s")
    figure("playbook", f"{play.seconds:.1f} s")
    figure("from nothing to a whole cluster", f"{seconds:.1f} s")
    assert seconds < UP_WITHIN_S
    assert all(changed > 0 for changed in play.changed.values()), play.changed
    # Only public keys travel: what makes a node is on its own host, and readable by its user alone.
    for edge, (_, number) in EDGES.items():
        assert on(edge, f"stat -c '%a %U' /var/lib/crossbar/edge-{number}/node.key") == "600 crossbar\n"
    seeds = {on(edge, f"cat /var/lib/crossbar/edge-{number}/node.key").strip() for edge, (_, number) in EDGES.items()}
    assert len(seeds) == 4
    assert not any(seed in play.text for seed in seeds)


def test_second_run_changes_nothing(whole, figure):
    play = playbook("site").succeeded()
    figure("seconds", f"{play.seconds:.1f} s")
    assert play.changed == {host: 0 for host in lab.HOSTS}
    play = playbook("site", "--check").succeeded()
    assert play.changed == {host: 0 for host in lab.HOSTS}


def test_descriptors(whole, figure):
    """Each unit asks for 1048576, and each process has the most that its host grants, and says so."""
    for edge in EDGES:
        assert on(edge, "systemctl show --property=LimitNOFILE --value {unit}").strip() == "1048576"
        granted = on(edge, "awk '/Max open files/ {print $5}' /proc/1/limits").strip()
        pid = on(edge, "systemctl show --property=MainPID --value {unit}").strip()
        soft, hard = on(edge, f"awk '/Max open files/ {{print $4, $5}}' /proc/{pid}/limits").split()
        assert soft == hard == granted
        assert f"up to {granted} descriptors may be open" in on(edge, "journalctl --no-pager --output=cat --unit {unit}")
        figure(edge, f"asked for 1048576, has {soft} of the {granted} that the host grants")
    assert lab.ssh("matterhorn", "systemctl show --property=LimitNOFILE --value haproxy").strip() == "1048576"
    for host in lab.HOSTS:
        # A login gets what the host grants as well, and is still possible.
        assert lab.ssh(host, "ulimit -n").strip() == lab.ssh(host, "awk '/Max open files/ {print $5}' /proc/1/limits").strip()


def test_units_are_closed(whole, figure):
    for name in ("crossbar-edge@1.service", "crossbar-master.service"):
        path = f"/lib/systemd/system/{name.replace('@1', '@')}"
        text = lab.ssh("brummer1", f"systemd-analyze security --no-pager --offline=yes {path}; systemd-analyze security --no-pager {name}")
        levels = [float(level) for level in re.findall(r"exposure level for \S+: ([\d.]+)", text)]
        assert levels and max(levels) <= 1.5, text
        figure(name, f"exposure {max(levels)}")


def test_first_original_load(whole, figure):
    """The probe on matterhorn through localhost:8080: eight processes with 40 connections each."""
    probe = Probe(clients=8, connections=40, duration=20)
    spread = probe.publishing()
    outcome = probe.outcome()
    events = outcome["events"]
    figure("sessions", ", ".join(f"{edge} {n}" for edge, n in spread.items()))
    figure("events", f"{events['received']:,} of {events['expected']:,}, {events['received_per_second']:,.0f} a second")
    figure("latency", ", ".join(f"{name} {outcome['latency_ms'][name]:.0f}" for name in ("p50", "p99", "max")) + " ms")
    assert outcome["ok"] and events["received"] == events["expected"]
    assert sum(spread.values()) == 320 and max(spread.values()) - min(spread.values()) <= 2, spread


BAD = {
    "duplicate node": (
        lambda hosts: hosts["edges"]["hosts"]["brummer2"]["crossbar_edges"].append({"id": "edge1", "number": 5}),
        r"brummer2: \S*hosts.yml: crossbar_edges\[2\].id = 'edge1', but brummer1 has a node of that name",
    ),
    "port clash": (
        lambda hosts: hosts["edges"]["hosts"]["brummer1"]["crossbar_edges"][1].update(client_port=8081),
        r"brummer1: \S*hosts.yml: crossbar_edges\[1\].client_port = 8081 is the port of crossbar_edges\[0\].client_port too",
    ),
    "unknown key of an edge": (
        lambda hosts: hosts["edges"]["hosts"]["brummer1"]["crossbar_edges"][0].update(client_prt=8099),
        r"brummer1: \S*hosts.yml: unknown key 'client_prt' in crossbar_edges\[0\], did you mean 'client_port'\?",
    ),
    "unknown variable": (
        lambda hosts: hosts["masters"]["hosts"].update(matterhorn={"crossbar_frontend_prt": 8080}),
        r"matterhorn: \S*hosts.yml: unknown key 'crossbar_frontend_prt', did you mean 'crossbar_frontend_port'\?",
    ),
    "missing key file": (
        lambda hosts: hosts["edges"].update(vars={"crossbar_tls_certificate": "/dev/null", "crossbar_tls_key": "/nowhere/key.pem"}),
        r"brummer1: \S*hosts.yml: crossbar_tls_key = '/nowhere/key.pem': there is no such file on this machine",
    ),
    "unreachable master": (
        lambda hosts: hosts["masters"]["hosts"].update(matterhorn={"ansible_host": "192.0.2.99", "ansible_timeout": 3}),
        r"matterhorn: \S*hosts.yml: the master cannot be reached as\s+192.0.2.99",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_inventory(whole, tmp_path, name):
    """It is refused before anything is changed, with host, file and key."""
    spoil, expected = BAD[name]
    inventory = changed_inventory(tmp_path, spoil)
    before = snapshot()
    play = playbook("site", inventory=inventory)
    assert play.code != 0, play.text
    assert re.search(expected, " ".join(play.text.split("\n"))), play.text
    assert set(play.changed.values()) <= {0}, play.changed
    assert snapshot() == before


def test_key_that_others_can_read(whole):
    key = "/var/lib/crossbar/edge-3/node.key"
    before = snapshot()
    lab.ssh("brummer2", f"chmod 0644 {key}")
    play = playbook("site")
    lab.ssh("brummer2", f"chmod 0600 {key}")
    assert play.code != 0
    assert re.search(rf"brummer2: {key}: the key of edge3 has mode\s+0644", play.text), play.text
    assert set(play.changed.values()) <= {0}, play.changed
    assert snapshot() == before


def test_configuration_with_a_mistake(whole):
    """What is rendered is checked before it replaces what was good; the edge goes on with that."""
    play = playbook("site", "-e", '{"crossbar_limits": {"message_bytes_mx": "1MiB"}}')
    assert play.code != 0
    assert "unknown key 'message_bytes_mx' in [limits], did you mean 'message_bytes_max'?" in play.text, play.text
    assert playbook("site").succeeded().changed == {host: 0 for host in lab.HOSTS}
    # An operator's own slip does not reach the running edge either.
    lab.ssh("brummer1", "cp -p /etc/crossbar/edge-1.toml /root/good; sed -i 's/^level = .*/level = 7/' /etc/crossbar/edge-1.toml")
    pid = on("edge1", "systemctl show --property=MainPID --value {unit}")
    assert "Control process exited" in on("edge1", "! systemctl reload {unit}; systemctl status --no-pager --full {unit} | cat")
    lab.ssh("brummer1", "cp -p /root/good /etc/crossbar/edge-1.toml")
    on("edge1", "systemctl reload {unit}")
    assert on("edge1", "systemctl show --property=MainPID --value {unit}") == pid


def snapshot():
    """What a playbook could change: files, packages, processes."""
    command = (
        "find /etc /var/lib/crossbar -type f -printf '%p %m %U %T@\\n' | sort | sha256sum; dpkg-query -W | sha256sum; "
        "systemctl show --property=MainPID --value 'crossbar-edge@*' haproxy 2>/dev/null"
    )
    return {host: lab.ssh(host, command) for host in lab.HOSTS}


def test_haproxy_knows_all(whole):
    assert {edge: state for edge, (state, _) in haproxy().items()} == {edge: "UP" for edge in EDGES}


USERS = """
[listen.auth.anonymous]
role = "anonymous"

[listen.auth.ticket.principals.alice]
ticket = "open sesame"
role = "anonymous"
"""


def test_tls_and_users(whole, tmp_path):
    """Variables of the inventory give the listeners a certificate and users; HAProxy passes TLS on and its checks speak it."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    lab.run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=matterhorn", "-addext", "subjectAltName=DNS:matterhorn", "-keyout", key, "-out", certificate, stderr=subprocess.DEVNULL,
    )
    wanted = {"crossbar_tls_certificate": str(certificate), "crossbar_tls_key": str(key), "crossbar_listen_auth": USERS}
    try:
        told = playbook("site", "-v", "--diff", "-e", json.dumps(wanted)).succeeded().text
        assert "crossbar-edge@1" in told and "open sesame" not in told, "a playbook prints no tickets"
        eventually("HAProxy to reach all edges by TLS", lambda: all(state == "UP" for state, _ in haproxy().values()))
        lab.ssh("matterhorn", "cat >/root/certificate.pem", input=certificate.read_text())
        visitor = Remote("matterhorn", "visitor.py", "matterhorn:8080", "/root/certificate.pem", "alice", "'open sesame'")
        found = visitor.finish()
        assert (found["details"]["authid"], found["details"]["authmethod"]) == ("alice", "ticket"), found
        assert found["details"]["x_cb_node"] in EDGES and found["sessions"] == 1, found
        assert found["refusal"][0] == 3 and found["refusal"][2] == "wamp.error.authentication_failed", found
        assert page("brummer1", 8081, "/info") is None, "nobody is served without TLS"
        assert playbook("site", "-e", json.dumps(wanted)).succeeded().changed == {host: 0 for host in lab.HOSTS}
    finally:
        playbook("site").succeeded()
    eventually("the cluster to be whole without TLS", is_whole)


def test_without_a_master(whole, tmp_path):
    """Edges of an inventory that has no master know each other by their configurations, and need no master to be one router."""
    inventory = changed_inventory(tmp_path, lambda groups: groups.pop("masters"))
    try:
        playbook("site", inventory=inventory).succeeded()
        lab.ssh("matterhorn", "systemctl stop crossbar-master")
        eventually("the edges to be one router", is_whole)
        assert "[master]" not in on("edge1", "cat /etc/crossbar/edge-1.toml")
        assert playbook("site", inventory=inventory).succeeded().changed == {host: 0 for host in lab.HOSTS}
    finally:
        lab.ssh("matterhorn", "systemctl start crossbar-master")
        playbook("site").succeeded()
    eventually("the master to know all", lambda: lab.ssh("matterhorn", "crossbarctl nodes").count(" up ") == len(EDGES))
