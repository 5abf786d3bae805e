"""The package by itself: what an installation, an upgrade, a removal and a purge do. brummer2 is not needed any more."""

import os
import shutil
import subprocess

import lab
from cluster import EDGES, info, on, page

LATER = "/root/later.deb"
PACKAGE = "/root/package.deb"


def test_it_installs_on_a_bare_debian(booted, tmp_path, figure):
    """No init, no compiler: only what Debian's minimal variant has."""
    root = tmp_path / "root"
    lab.run("mmdebstrap", "--quiet", "--variant=minbase", "--include=adduser", lab.SUITE, root)
    shutil.copy(os.environ["LAB_PACKAGE"], root / "root/package.deb")
    inside = lambda *command: lab.output("chroot", root, *command)
    inside("apt-get", "install", "-q", "-y", "--no-install-recommends", "/root/package.deb")
    assert "crossbar-edge" in inside("crossbar-edge", "--version")
    assert inside("stat", "-c", "%U %G %a", "/etc/crossbar", "/var/lib/crossbar") == "root crossbar 750\ncrossbar crossbar 750\n"
    example = "/usr/share/doc/crossbar-cluster/examples/edge-minimal.toml"
    assert "no mistakes" in inside("crossbar-edge", "check", "--config", example)
    assert not list(root.glob("usr/bin/*gcc*")) and not list(root.glob("usr/bin/cargo*"))
    megabytes = int(inside("dpkg-query", "--show", "--showformat", "${Installed-Size}", "crossbar-cluster")) / 1024
    figure("installed", f"{megabytes:.1f} MiB, the package has {os.path.getsize(os.environ['LAB_PACKAGE']) / 2**20:.1f} MiB")


def test_lintian_finds_no_errors():
    done = subprocess.run(["lintian", "--fail-on", "error", "--allow-root", os.environ["LAB_PACKAGE"]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def install(file, **settings):
    words = " ".join(f"{name}={value}" for name, value in settings.items())
    return lab.ssh("brummer2", f"{words} DEBIAN_FRONTEND=noninteractive apt-get install -q -y --allow-downgrades {file} 2>&1", timeout=240)


def pids():
    return [info(edge)["pid"] for edge in ("edge3", "edge4")]


def test_upgrade_restarts_one_after_the_other(whole):
    for source, target in ((os.environ["LAB_PACKAGE"], PACKAGE), (os.environ["LAB_LATER_PACKAGE"], LATER)):
        with open(source, "rb") as file:
            lab.run(*lab.ssh_command("brummer2", f"cat >{target}"), stdin=file)
    before = pids()
    text = install(PACKAGE)
    assert "crossbar-edge@3.service: back, linked with 3 nodes" in text and "crossbar-edge@4.service: back, linked with 3 nodes" in text, text
    assert text.index("edge@3.service: back") < text.index("edge@4.service: restarting"), text
    assert not set(before) & set(pids())


def test_upgrade_restarts_nothing_when_told(whole):
    before = pids()
    lab.ssh("brummer2", "sed -i 's/^RESTART_ON_UPGRADE=.*/RESTART_ON_UPGRADE=no/' /etc/default/crossbar-cluster")
    text = install(LATER)
    assert "goes on with the old programs" in text, text
    assert pids() == before
    assert "RESTART_ON_UPGRADE=no" in lab.ssh("brummer2", "cat /etc/default/crossbar-cluster"), "a setting outlives an upgrade"
    lab.ssh("brummer2", "/usr/lib/crossbar-cluster/restart-edges --outdated", timeout=120)
    assert not set(before) & set(pids())


def test_removal_keeps_configuration_and_purge_leaves_nothing(booted):
    lab.ssh("brummer2", "DEBIAN_FRONTEND=noninteractive apt-get remove -q -y crossbar-cluster", timeout=120)
    assert page("brummer2", 8083, "/info") is None
    assert lab.ssh("brummer2", "ls /etc/crossbar /var/lib/crossbar/edge-3 /etc/default/crossbar-cluster").split()
    assert lab.ssh("brummer2", "cat /etc/crossbar/edge-3.toml").startswith("#")
    # What Crossbar.io keeps in directories of the same names is none of this package's business.
    foreign = "/etc/crossbar/config.json /var/lib/crossbar/.crossbar/key.priv"
    lab.ssh("brummer2", f"mkdir -p /var/lib/crossbar/.crossbar && touch {foreign}")
    lab.ssh("brummer2", "DEBIAN_FRONTEND=noninteractive apt-get purge -q -y crossbar-cluster", timeout=120)
    lab.ssh("brummer2", f"ls {foreign} && rm -r /etc/crossbar /var/lib/crossbar")
    left = lab.ssh(
        "brummer2",
        "find / -xdev -iname '*crossbar*' -not -path '/proc/*' -not -path '/root/*' -not -path '/var/log/*' -not -path '/var/cache/*'; "
        "getent passwd crossbar; getent group crossbar; systemctl list-units --all --no-legend 'crossbar*'; dpkg-query -W crossbar-cluster",
        check=False,
    )
    # What the playbook has put there is the playbook's.
    assert [line for line in left.splitlines() if not line.startswith("/etc/security/limits.d/")] == []
    assert set(EDGES) == {"edge1", "edge2", "edge3", "edge4"}
    assert on("edge1", "systemctl is-active {unit}").strip() == "active"
