"""Finds what is wrong with the inventory of a cluster, all of it at once, before any host is touched.

Each mistake is one sentence that names the host, the file and the key. What a role takes is read from its
meta/argument_specs.yml, so a key that is not declared there is unknown here as well.
"""

import difflib
import os
import re
import stat

import yaml
from ansible.plugins.action import ActionBase

# Keys of an edge that are ports, and the variables that they are counted from.
PORTS = {
    "client_port": ("crossbar_client_port_base", 8080),
    "mesh_port": ("crossbar_mesh_port_base", 5080),
    "admin_port": ("crossbar_admin_port_base", 9080),
    "agent_port": ("crossbar_agent_port_base", 9180),
}
# Ports of the other programs, by the group of hosts that they run on.
OTHER_PORTS = {
    "balancers": {"crossbar_frontend_port": 8080, "crossbar_stats_port": 1936},
    "masters": {"crossbar_master_port": 9000},
}
# What the playbooks set themselves.
SET_BY_US = {"crossbar_public_keys", "crossbar_master_public_key"}


class ActionModule(ActionBase):
    """`crossbar_inventory:` without arguments, once per play."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        inventory = Inventory(task_vars, self._loader.get_basedir())
        mistakes = list(dict.fromkeys(inventory.mistakes()))
        if mistakes:
            result.update(failed=True, msg="\n".join(mistakes), mistakes=mistakes)
        else:
            # Where each host stands, for whoever finds something wrong with the host itself.
            places = {host: inventory.at(host, host) for host in inventory.hosts}
            result.update(changed=False, msg="no mistakes", places=places)
        return result


class Inventory:
    def __init__(self, task_vars, playbook_dir):
        self.playbook_dir = playbook_dir
        self.groups = task_vars["groups"]
        self.hostvars = task_vars["hostvars"]
        self.hosts = [host for group in ("edges", "masters", "balancers") for host in self.groups.get(group, [])]
        self.hosts = list(dict.fromkeys(self.hosts))
        self.options = known_options(os.path.join(playbook_dir, "roles"))
        sources = task_vars.get("ansible_inventory_sources") or [task_vars.get("inventory_dir")]
        self.files = list(inventory_files([source for source in sources if source]))

    def mistakes(self):
        if not any(self.edges(host) for host in self.groups.get("edges", [])):
            yield f"{self.named(self.files[:1])}: no host in the group 'edges' has crossbar_edges"
        if len(self.groups.get("masters", [])) > 1:
            yield f"{self.named(self.files[:1])}: the group 'masters' has {len(self.groups['masters'])} hosts, one is needed"
        for host in self.hosts:
            yield from self.unknown_keys(host)
            yield from self.tls(host)
        yield from self.duplicate_ids()
        for host in self.hosts:
            yield from self.clashes(host)

    def edges(self, host):
        edges = self.hostvars[host].get("crossbar_edges")
        return [edge for edge in edges if isinstance(edge, dict)] if isinstance(edges, list) else []

    def unknown_keys(self, host):
        for name in self.hostvars[host]:
            if name.startswith("crossbar_") and name not in self.options and name not in SET_BY_US:
                yield f"{self.at(host, name)}: unknown key '{name}'{nearest(name, self.options)}"
            elif name in self.options:
                yield from self.unknown_options(host, name, name, self.hostvars[host][name], self.options[name])

    def unknown_options(self, host, key, place, value, spec):
        """Of dictionaries that have declared keys, at any depth."""
        if isinstance(value, list):
            for n, entry in enumerate(value):
                yield from self.unknown_options(host, key, f"{place}[{n}]", entry, spec)
            return
        if not isinstance(value, dict) or "options" not in spec:
            return
        for name in value:
            if name not in spec["options"]:
                yield f"{self.at(host, key, name)}: unknown key '{name}' in {place}{nearest(name, spec['options'])}"
            else:
                yield from self.unknown_options(host, key, f"{place}.{name}", value[name], spec["options"][name])
        for name, option in spec["options"].items():
            if option.get("required") and name not in value:
                yield f"{self.at(host, key)}: {place} has no '{name}'"
            if option.get("type") == "int" and name in value and not is_whole(value[name]):
                yield f"{self.at(host, key, name)}: {place}.{name} = '{value[name]}' is not a whole number"

    def duplicate_ids(self):
        seen = {}
        for host in self.groups.get("edges", []):
            numbers = {}
            for n, edge in enumerate(self.edges(host)):
                place = f"crossbar_edges[{n}]"
                name, number = edge.get("id"), edge.get("number")
                if name in seen:
                    other = f"{seen[name]} has" if seen[name] != host else "the same host has"
                    yield f"{self.at(host, 'crossbar_edges', name)}: {place}.id = '{name}', but {other} a node of that name"
                if number in numbers:
                    yield f"{self.at(host, 'crossbar_edges')}: {place}.number = {number} is the number of {numbers[number]} too"
                seen.setdefault(name, host)
                numbers.setdefault(number, name)

    def clashes(self, host):
        variables, taken = self.hostvars[host], {}
        for group, ports in OTHER_PORTS.items():
            if host in self.groups.get(group, []):
                for key, default in ports.items():
                    yield from self.take(taken, host, variables.get(key, default), key, key)
        for n, edge in enumerate(self.edges(host)):
            for key, (base, default) in PORTS.items():
                number = edge.get("number")
                port = edge.get(key, int(variables.get(base, default)) + int(number) if is_whole(number) else None)
                yield from self.take(taken, host, port, f"crossbar_edges[{n}].{key}", "crossbar_edges")

    def take(self, taken, host, port, place, key):
        if not is_whole(port):
            return
        if int(port) in taken:
            yield f"{self.at(host, key)}: {place} = {port} is the port of {taken[int(port)]} too"
        taken.setdefault(int(port), place)

    def tls(self, host):
        variables = self.hostvars[host]
        names = ("crossbar_tls_certificate", "crossbar_tls_key")
        given = {name: variables.get(name) for name in names if variables.get(name)}
        for name in names if given else ():
            path = given.get(name)
            if not path:
                yield f"{self.at(host, next(iter(given)))}: {next(iter(given))} is set and {name} is not"
                continue
            full = os.path.join(self.playbook_dir, os.path.expanduser(path))
            if not os.path.isfile(full):
                yield f"{self.at(host, name)}: {name} = '{path}': there is no such file on this machine"
            elif name == "crossbar_tls_key" and stat.S_IMODE(os.stat(full).st_mode) & 0o077:
                mode = stat.S_IMODE(os.stat(full).st_mode)
                yield f"{self.at(host, name)}: {name} = '{path}' has mode {mode:04o}, others can read it; it must be 0600"
        package = variables.get("crossbar_package")
        if package and not os.path.isfile(os.path.join(self.playbook_dir, os.path.expanduser(package))):
            yield f"{self.at(host, 'crossbar_package')}: crossbar_package = '{package}': there is no such file on this machine"

    def at(self, host, key, word=None):
        """The host, and the file in which this key is given to it."""
        own = [path for path in self.files if f"{os.sep}host_vars{os.sep}{host}" in path]
        groups = [name for name, members in self.groups.items() if host in members and name != "all"] + ["all"]
        shared = [
            path
            for group in groups
            for path in self.files
            if re.search(rf"{os.sep}group_vars{os.sep}{re.escape(group)}([.{os.sep}]|$)", path)
        ]
        rest = [path for path in self.files if path not in own and path not in shared]
        for path in own + rest + shared:
            text = open(path, encoding="utf-8", errors="replace").read()
            if re.search(rf"(^|[\s,{{\[])['\"]?{re.escape(key)}['\"]?\s*[:=]", text) and (word is None or str(word) in text):
                return f"{host}: {self.named([path])}"
        return f"{host}: the command line"

    def named(self, paths):
        return ", ".join(os.path.relpath(path, self.playbook_dir) for path in paths) or "the inventory"


def inventory_files(sources):
    for source in sources:
        if os.path.isfile(source):
            yield source
            source = os.path.dirname(source)
        for directory, _, names in sorted(os.walk(source)):
            for name in sorted(names):
                path = os.path.join(directory, name)
                if name.endswith((".yml", ".yaml", ".ini")) or "." not in name:
                    yield path


def known_options(roles):
    """The options of all roles, by name."""
    known = {}
    for role in sorted(os.listdir(roles)):
        path = os.path.join(roles, role, "meta", "argument_specs.yml")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                for spec in yaml.safe_load(file)["argument_specs"].values():
                    known.update(spec.get("options", {}))
    return known


def nearest(word, known):
    found = difflib.get_close_matches(str(word), list(known), 1)
    return f", did you mean '{found[0]}'?" if found else ""


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool) or isinstance(value, str) and value.isdigit()
