#!/usr/bin/env python3
"""Three booted Debian hosts on this machine: matterhorn, brummer1 and brummer2 of the original test.

Each is a system of its own, booted by systemd-nspawn from an overlay over one bare Debian root. They share a bridge in a network
namespace that only exists for them, so that nothing else can be reached from there, and nothing of it stays behind. What a
test machine room has besides hosts is here too: names, an SSH key for root, and a mirror of the Debian packages that are
needed (the hosts reach nothing outside).

    tests/lab/lab.py up        boots them
    tests/lab/lab.py ssh HOST [COMMAND]
    tests/lab/lab.py enter COMMAND ...   runs something on their network, ansible-playbook for example
    tests/lab/lab.py down      ends them and removes every trace
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "target/lab"
RUN = LAB / "run"
BASE = LAB / "base"
MIRROR = LAB / "mirror"

NAMESPACE = "crossbar-lab"
BRIDGE = "lab0"
# Addresses that are for documentation, which no real network has.
GATEWAY = "192.0.2.1"
HOSTS = {"matterhorn": "192.0.2.10", "brummer1": "192.0.2.11", "brummer2": "192.0.2.12"}

SUITE = "bookworm"
BARE = ["systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "iproute2"]
# What the playbook installs on them, and what installing from Ansible takes.
WANTED = ["adduser", "haproxy", "python3-apt"]
TOOLS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "ip": "iproute2", "ssh": "openssh-client",
         "dpkg-scanpackages": "dpkg-dev", "nsenter": "util-linux", "lintian": "lintian", "pgrep": "procps"}

BOOT_PATIENCE_S = 60


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, **options)


def output(*command, **options):
    return run(*command, stdout=subprocess.PIPE, text=True, **options).stdout


def quietly(*command):
    subprocess.run([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def within(*command):
    """A command as it is to be started on the lab's network. Only the network is another; the files are those of here."""
    return ["nsenter", f"--net=/run/netns/{NAMESPACE}", "--", *[str(part) for part in command]]


def ssh_command(host, *command):
    return within("ssh", "-F", RUN / "ssh_config", host, *command)


def ssh(host, command, check=True, **options):
    """Runs a shell command on a host and returns what it printed."""
    options.setdefault("timeout", 120)
    done = subprocess.run(ssh_command(host, command), text=True, capture_output=True, check=False, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{host}: {command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


# What is made once and kept.


def install_tools():
    missing = [package for program, package in TOOLS.items() if shutil.which(program) is None]
    if missing:
        run("apt-get", "update", "-q")
        run("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing)


def make_base():
    """One bare Debian: what debootstrap calls minbase, an init, SSH and Python."""
    stamp = LAB / "base.stamp"
    wanted = f"{SUITE} {' '.join(BARE)}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(BASE, ignore_errors=True)
    LAB.mkdir(parents=True, exist_ok=True)
    run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(BARE)}", SUITE, BASE)
    stamp.write_text(wanted)


def make_mirror():
    """The packages that the hosts install, as the mirror of a machine room without a way out has them."""
    stamp = LAB / "mirror.stamp"
    wanted = f"{SUITE} {' '.join(WANTED)}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(MIRROR, ignore_errors=True)
    MIRROR.mkdir(parents=True)
    options = {
        "Dir::State::status": BASE / "var/lib/dpkg/status",
        "Dir::Cache::archives": MIRROR,
        "Debug::NoLocking": 1,
        "Binary::apt-get::APT::Keep-Downloaded-Packages": "true",
        "APT::Keep-Downloaded-Packages": "true",
    }
    flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    quietly("apt-get", "update", "-q")
    run("apt-get", "-qq", "-y", *flags, "--no-install-recommends", "--download-only", "install", *WANTED)
    shutil.rmtree(MIRROR / "partial", ignore_errors=True)
    index = output("dpkg-scanpackages", "--multiversion", ".", cwd=MIRROR, stderr=subprocess.DEVNULL)
    (MIRROR / "Packages").write_text(index)
    stamp.write_text(wanted)


# Networks, hosts.


def make_network():
    run("ip", "netns", "add", NAMESPACE)
    for command in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0", "stp_state", "0"],
        ["ip", "addr", "add", f"{GATEWAY}/24", "dev", BRIDGE],
        ["ip", "link", "set", BRIDGE, "up"],
    ):
        run(*within(*command))


def write(root, path, text, mode=0o644):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


def make_host(name):
    """Mounts a root for it and gives it a name, an address and our key."""
    place = RUN / name
    for part in ("upper", "work", "root"):
        (place / part).mkdir(parents=True)
    layers = f"lowerdir={BASE},upperdir={place / 'upper'},workdir={place / 'work'}"
    run("mount", "-t", "overlay", f"{NAMESPACE}-{name}", "-o", layers, place / "root")
    root = place / "root"
    write(root, "etc/hostname", f"{name}\n")
    hosts = "".join(f"{address} {host}\n" for host, address in HOSTS.items())
    write(root, "etc/hosts", f"127.0.0.1 localhost\n{hosts}")
    network = f"[Match]\nName=host0\n\n[Network]\nAddress={HOSTS[name]}/24\nLinkLocalAddressing=no\n"
    write(root, "etc/systemd/network/10-host0.network", network)
    write(root, "etc/systemd/journald.conf.d/lab.conf", "[Journal]\nStorage=persistent\nRateLimitBurst=0\n")
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    write(root, "root/.ssh/authorized_keys", (RUN / "key.pub").read_text(), 0o600)
    for old in (root / "etc/apt/sources.list", *(root / "etc/apt/sources.list.d").glob("*")):
        old.unlink(missing_ok=True)
    write(root, "etc/apt/sources.list", "deb [trusted=yes] file:/srv/mirror ./\n")
    (root / "srv/mirror").mkdir(exist_ok=True)
    run("systemctl", f"--root={root}", "enable", "systemd-networkd.service", "ssh.service", stderr=subprocess.DEVNULL)


def control_groups():
    """The hierarchies in which systemd, of whichever version, looks for its group."""
    top = Path("/sys/fs/cgroup")
    found = [path for path in (top / "systemd", top / "unified") if (path / "cgroup.procs").exists()]
    return found or [top]


def boot(name):
    """Switches a host on."""
    groups = [group / NAMESPACE / name for group in control_groups()]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    # Each host in a control group of its own, or they would take each other's services for theirs.
    enter = "".join(f"echo $$ >{shlex.quote(str(group / 'cgroup.procs'))}; " for group in groups)
    nspawn = within(
        "systemd-nspawn", "--quiet", f"--directory={RUN / name / 'root'}", "--boot", "--register=no", "--keep-unit",
        f"--network-bridge={BRIDGE}", f"--machine={name}", f"--hostname={name}", f"--bind-ro={MIRROR}:/srv/mirror",
        "--console=pipe", "--link-journal=no",
    )
    with open(RUN / name / "console.log", "ab") as console:
        process = subprocess.Popen(
            ["sh", "-c", f"{enter}exec {shlex.join(nspawn)}"],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
        )
    (RUN / name / "pid").write_text(str(process.pid))


def await_up(name):
    deadline = time.monotonic() + BOOT_PATIENCE_S
    while time.monotonic() < deadline:
        asked = subprocess.run(ssh_command(name, "systemctl is-system-running --wait"), capture_output=True, text=True, check=False)
        if asked.stdout.strip() in ("running", "degraded"):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{name}: not up within {BOOT_PATIENCE_S} s, see {RUN / name / 'console.log'}")


def link_of(name):
    return f"vb-{name}"


def cut(name):
    """Pulls the cable out."""
    run(*within("ip", "link", "set", link_of(name), "down"))


def mend(name):
    run(*within("ip", "link", "set", link_of(name), "up"))


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def power_off(name):
    """Pulls the plug: the host is gone without a word to anybody."""
    quietly(*within("ip", "link", "set", link_of(name), "down"))
    file = RUN / name / "pid"
    if not file.exists():
        return
    pid = int(file.read_text())
    # The host's init is the child of nspawn; with it everything in the host ends at once.
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    for victim in [*map(int, children), pid]:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if victim != pid:
            await_end(pid)
    await_end(pid)
    file.unlink()


def await_end(pid):
    deadline = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def write_ssh_files():
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", NAMESPACE, "-f", RUN / "key")
    key = " ".join((BASE / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2])
    known = "".join(f"{host},{address} {key}\n" for host, address in HOSTS.items())
    (RUN / "known_hosts").write_text(known)
    sections = "".join(f"Host {host}\n  HostName {address}\n" for host, address in HOSTS.items())
    (RUN / "ssh_config").write_text(
        f"{sections}Host *\n  User root\n  IdentityFile {RUN / 'key'}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {RUN / 'known_hosts'}\n  StrictHostKeyChecking yes\n  HostKeyAlgorithms ssh-ed25519\n"
        "  ConnectTimeout 3\n  LogLevel ERROR\n"
    )


def up():
    """From nothing to three hosts that answer. Returns the seconds that it took, without what is kept for next time."""
    install_tools()
    make_base()
    make_mirror()
    down()
    started = time.monotonic()
    RUN.mkdir(parents=True)
    write_ssh_files()
    make_network()
    for name in HOSTS:
        make_host(name)
        boot(name)
    for name in HOSTS:
        await_up(name)
    return time.monotonic() - started


def down():
    """Ends the hosts and removes everything that was made for them, also of a lab that was not ended well."""
    for name in HOSTS:
        power_off(name)
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if line.startswith(f"{NAMESPACE}-"):
            run("umount", line.split()[1])
    if (Path("/run/netns") / NAMESPACE).exists():
        run("ip", "netns", "del", NAMESPACE)
    for top in control_groups():
        for directory, _, _ in os.walk(top / NAMESPACE, topdown=False):
            os.rmdir(directory)
    shutil.rmtree(RUN, ignore_errors=True)


def traces():
    """What is left of the lab on this machine."""
    found = [line for line in Path("/proc/self/mounts").read_text().splitlines() if NAMESPACE in line]
    found += [str(top / NAMESPACE) for top in control_groups() if (top / NAMESPACE).exists()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if "systemd-nspawn" in words[0] and any(str(RUN) in word for word in words):
            found.append(f"process {process.name}")
    found += [str(path) for path in (Path("/run/netns") / NAMESPACE, RUN) if path.exists()]
    links = output("ip", "-brief", "link")
    return found + [line for line in links.splitlines() if BRIDGE in line or "vb-" in line]


def main(arguments):
    match arguments:
        case ["up"]:
            print(f"three hosts are up after {up():.1f} s")
        case ["down"]:
            down()
        case ["ssh", host, *command]:
            os.execvp("nsenter", ssh_command(host, *command))
        case ["enter", *command] if command:
            os.execvp("nsenter", within(*command))
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
