"""The cluster in the lab as an operator sees it: playbooks, units, pages, HAProxy's statistics, and load from the probe."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import time

import lab
import yaml

EDGES = {"edge1": ("brummer1", 1), "edge2": ("brummer1", 2), "edge3": ("brummer2", 3), "edge4": ("brummer2", 4)}
EDGES_OF = {"brummer1": ["edge1", "edge2"], "brummer2": ["edge3", "edge4"]}
ANSIBLE = lab.ROOT / "ansible"
BIN = lab.ROOT / "target/tools/ansible/bin"
PATIENCE_S = 60
PLAY_MAX_S = 600


def eventually(what, condition, patience_s=PATIENCE_S, pause_s=0.05):
    """Waits until a condition holds, and returns what it gave."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {patience_s} s"
        time.sleep(pause_s)
    return found


class Play:
    """What came of a playbook."""

    def __init__(self, code, text, seconds):
        self.code, self.text, self.seconds = code, text, seconds
        recap = re.findall(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", text, re.M)
        self.changed = {host: int(changed) for host, _, changed, _, _ in recap}

    def succeeded(self):
        assert self.code == 0, self.text[-6000:]
        return self


def playbook(name, *options, inventory="inventories/lab"):
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    started = time.monotonic()
    done = subprocess.run(
        lab.within(BIN / "ansible-playbook", "-i", inventory, f"{name}.yml", *options),
        cwd=ANSIBLE, env=environment, capture_output=True, text=True, check=False, timeout=PLAY_MAX_S, stdin=subprocess.DEVNULL,
    )
    return Play(done.returncode, done.stdout + done.stderr, time.monotonic() - started)


def changed_inventory(directory, change):
    """A copy of the lab's inventory in which the groups are changed. Returns where it is."""
    inventory = directory / "inventory"
    shutil.copytree(ANSIBLE / "inventories/lab", inventory)
    everything = inventory / "group_vars/all.yml"
    everything.write_text(everything.read_text().replace("{{ inventory_dir }}/../../..", str(lab.ROOT)).replace(
        "inventory_dir ~ '/../../../", f"'{lab.ROOT}/"))
    file = inventory / "hosts.yml"
    hosts = yaml.safe_load(file.read_text())
    change(hosts["all"]["children"])
    file.write_text(yaml.safe_dump(hosts))
    return inventory


def unit(edge):
    return f"crossbar-edge@{EDGES[edge][1]}.service"


def on(edge, command, **options):
    """Runs a shell command on the host of an edge; {unit} in it is the edge's unit."""
    return lab.ssh(EDGES[edge][0], command.replace("{unit}", unit(edge)), **options)


def page(host, port, path):
    """The body of a page, or None when there is none. Asked on the lab's network, by bash."""
    script = (
        f"exec 3<>/dev/tcp/{lab.HOSTS[host]}/{port} || exit 1; "
        f"printf 'GET {path} HTTP/1.0\\r\\nHost: {lab.HOSTS[host]}\\r\\nAccept: application/json\\r\\n\\r\\n' >&3; cat <&3"
    )
    try:
        done = subprocess.run(lab.within("bash", "-c", script), capture_output=True, text=True, check=False, timeout=5)
    except subprocess.TimeoutExpired:
        return None
    head, _, body = done.stdout.partition("\n\n")
    return body if " 200 " in head.split("\n")[0] else None


def info(edge):
    """What an edge tells operators of itself, or None when it does not answer."""
    host, number = EDGES[edge]
    try:
        body = page_at_home(host, 9080 + number, "/info")
    except (RuntimeError, subprocess.TimeoutExpired):
        return None
    return json.loads(body)


def sessions():
    """Sessions per edge, of the edges that answer."""
    found = {edge: info(edge) for edge in EDGES}
    return {edge: state["sessions"] for edge, state in found.items() if state}


def is_meshed(edges=None):
    states = [info(edge) for edge in edges or EDGES]
    return all(state and state["mesh"]["is_complete"] for state in states)


def haproxy():
    """The state of each edge as HAProxy sees it, and its connections."""
    text = lab.ssh("matterhorn", f"python3 -c {lab.shlex.quote(SHOW_STAT)}")
    rows = csv.DictReader(io.StringIO(text.lstrip("# ")))
    servers = [row for row in rows if row["pxname"] == "crossbar_nodes" and row["svname"] != "BACKEND"]
    return {row["svname"]: (row["status"].split()[0], int(row["scur"])) for row in servers}


SHOW_STAT = """
import socket
with socket.socket(socket.AF_UNIX) as it:
    it.connect("/run/haproxy/admin.sock")
    it.sendall(b"show stat\\n")
    print(it.makefile().read())
"""


def page_at_home(host, port, path):
    """A page that only the host itself may see."""
    script = f"exec 3<>/dev/tcp/127.0.0.1/{port} || exit 1; printf 'GET {path} HTTP/1.0\\r\\nAccept: application/json\\r\\n\\r\\n' >&3; cat <&3"
    return lab.ssh(host, f"bash -c {lab.shlex.quote(script)}").partition("\n\n")[2]


def metric(edge, series):
    host, number = EDGES[edge]
    for line in page_at_home(host, 9080 + number, "/metrics").splitlines():
        if line.startswith(series + " "):
            return float(line.split()[-1])
    raise AssertionError(f"{edge} has no {series}")


def is_whole():
    """All edges are up, linked, and given connections by HAProxy."""
    return is_meshed() and all(state == "UP" for state, _ in haproxy().values())


class Probe:
    """`crossbar-probe` under way on matterhorn; what it has found is there when it is over, after `duration` seconds or when it
    is told to end."""

    def __init__(self, *options, url="ws://localhost:8080/ws", clients=4, connections=20, rate=2, size=128, duration=20):
        self.input = None
        self.n_sessions = clients * connections
        self.duration = duration
        command = (
            f"crossbar-probe --json --url {url} --clients {clients} --connections {connections} --rate {rate} --size {size} "
            f"--duration {duration} {' '.join(options)}"
        )
        self.process = self.start(command)

    def start(self, command):
        ends_with_input = f"exec 3<&0; {command} & probe=$!; {{ cat <&3; kill -INT $probe; }} >/dev/null 2>&1 & wait $probe"
        remote_input, self.input = os.pipe()
        try:
            return subprocess.Popen(
                lab.ssh_command("matterhorn", ends_with_input),
                stdin=remote_input, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        finally:
            os.close(remote_input)

    def publishing(self):
        """Waits until all its sessions are there and publish. Returns the sessions per edge."""
        eventually("the probe's sessions", lambda: sum(sessions().values()) >= self.n_sessions, pause_s=0.2)
        series = 'crossbar_messages_total{type="publish",direction="in"}'
        before = metric("edge3", series)
        eventually("the probe to publish", lambda: metric("edge3", series) > before + self.n_sessions / 4)
        return sessions()

    def end(self):
        """It publishes no longer than until now."""
        if self.input is not None:
            os.close(self.input)
            self.input = None

    def outcome(self):
        text, complaint = self.process.communicate(timeout=self.duration + 120)
        self.end()
        assert text, f"exit code {self.process.returncode}: {complaint}"
        return json.loads(text)


class DirectProbe(Probe):
    """The probe of this machine, on the lab's network, with a session to each edge per connection."""

    def start(self, command):
        config = lab.RUN / "client.ini"
        lines = [f"[{edge}]\nurl=ws://{lab.HOSTS[host]}:{8080 + number}/ws\n" for edge, (host, number) in EDGES.items()]
        config.write_text("\n".join(lines))
        self.n_sessions *= len(EDGES)
        command = re.sub(r"--url \S+", f"--config {config}", command)
        program, *arguments = command.split()
        started = lab.within(lab.ROOT / "target/release" / program, *arguments)
        return subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Backends:
    """Callees on every edge, as the original's backends, for a probe that then calls as well as it publishes."""

    def __enter__(self):
        command = (
            "crossbar-probe --backend --url ws://localhost:8080/ws --connections 8 >/dev/null & "
            # They end when our end of the pipe does.
            "cat; kill $!; wait"
        )
        before = sum(sessions().values())
        self.process = subprocess.Popen(lab.ssh_command("matterhorn", command), stdin=subprocess.PIPE)
        eventually("the backends", lambda: sum(sessions().values()) == before + 8)

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=PATIENCE_S)


class Remote:
    """A Python script of tests/lab under way on a host. It ends when its input does, and then prints what it has found."""

    def __init__(self, host, script, *arguments):
        for file in ("wamp.py", script):
            lab.ssh(host, f"cat >/root/{file}", input=(lab.ROOT / "tests/lab" / file).read_text())
        command = f"python3 /root/{script} {' '.join(map(str, arguments))}"
        self.process = subprocess.Popen(
            lab.ssh_command(host, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "ready\n", self.process.stderr.read()

    def finish(self):
        text, complaint = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, complaint
        return json.loads(text)
