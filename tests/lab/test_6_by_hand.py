"""What the documentation shows for a host without playbooks, as it is written there: tests/docs/commands.toml."""

import os

import lab
from test_4_documents import run_on, shown

HOST = "brummer2"


def test_by_hand_as_documented(booted):
    """From the package to the running service, by root, on a host that has nothing of it."""
    lab.ssh(HOST, "systemctl stop 'crossbar-*'; apt-get purge -q -y crossbar-cluster; rm -rf /etc/crossbar /var/lib/crossbar", check=False)
    with open(os.environ["LAB_PACKAGE"], "rb") as file:
        lab.run(*lab.ssh_command(HOST, "rm -f /root/*.deb; cat >/root/crossbar-cluster_1_amd64.deb"), stdin=file)
    for command in shown.table("bare host"):
        run_on(HOST, command)
