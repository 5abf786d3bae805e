"""What the documentation shows an operator, as it is written there, on a cluster that is used: tests/docs/commands.toml."""

import dataclasses
import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess

import lab
import pytest
from cluster import ANSIBLE, BIN, Backends, Probe, changed_inventory, eventually, is_whole

LOADER = importlib.machinery.SourceFileLoader("shown", str(lab.ROOT / "tests/docs/run"))
shown = importlib.util.module_from_spec(importlib.util.spec_from_loader("shown", LOADER))
LOADER.exec_module(shown)


def run_on(host, command):
    """Has it run on a host, by root in the folder where root comes in."""
    lab.ssh(host, "cat >/root/documented", input=(lab.ROOT / "tests/docs/run").read_text())
    row = lab.shlex.quote(json.dumps(dataclasses.asdict(command)))
    return lab.ssh(host, f"python3 /root/documented {row}", timeout=shown.PATIENCE_S)


@pytest.fixture(scope="module")
def controller(booted, tmp_path_factory):
    """A copy of the playbooks, with what an operator writes into the inventory at hand."""
    checkout = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ANSIBLE, checkout / "ansible", ignore=shutil.ignore_patterns(".ansible"))
    wanted = changed_inventory(checkout, lambda groups: None)
    shutil.copy(wanted / "group_vars/all.yml", checkout / "ansible/inventories/production/group_vars/all.yml")
    environment = {"EDITOR": f"cp {wanted}/hosts.yml", "PATH": f"{BIN}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"}
    return checkout, environment


@pytest.mark.parametrize("command", shown.table("controller"), ids=lambda command: command.text)
def test_playbooks_as_documented(whole, controller, command):
    checkout, environment = controller
    folder = checkout / "ansible" if command.text.startswith("ansible") else checkout
    command.environment.update(environment)
    row = json.dumps(dataclasses.asdict(command))
    done = subprocess.run(
        lab.within("python3", lab.ROOT / "tests/docs/run", row),
        cwd=folder, capture_output=True, text=True, check=False, timeout=shown.PATIENCE_S, stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]


@pytest.fixture(scope="module")
def load(booted):
    """Clients that publish, subscribe and call as long as commands are run."""
    eventually("the cluster to be whole", is_whole)
    with Backends():
        probe = Probe(clients=2, connections=10, duration=600)
        probe.publishing()
        yield
        probe.end()
        probe.outcome()


@pytest.mark.parametrize("command", shown.table("matterhorn", "brummer1", "brummer2"), ids=lambda command: command.text)
def test_commands_as_documented(load, command):
    run_on(command.on, command)
