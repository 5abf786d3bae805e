//! From router links and the keys that may link to this node to a `[mesh]`: which peer is where, and which listener is
//! for them.

use super::document::{Item, Report};
use super::draft::Draft;
use super::listeners::{address_of_url, connecting_address};
use super::realms::Realms;
use serde_json::Value;

/// The mesh that a file describes.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    /// The path of the transport that links come in by.
    pub(super) transport: Option<String>,
    /// The name that the other nodes know this one by.
    pub(super) own: Option<String>,
    /// What sessions of links were granted.
    role: Option<String>,
    pub(super) draft: Draft,
}

/// A node that may link to this one.
#[derive(Clone, Debug)]
struct Principal<'d> {
    name: &'d str,
    role: &'d str,
    path: String,
    keys: Vec<&'d str>,
}

/// A node that this one links to.
#[derive(Clone, Debug)]
struct Link<'d> {
    path: String,
    id: Option<&'d str>,
    address: String,
}

/// What is known of this node itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'o> {
    /// The name that the operator or the controller's configuration gives it.
    pub(super) name: Option<&'o str>,
    /// The public half of the key that lies beside the file.
    pub(super) public_key: Option<&'o str>,
}

impl Mesh {
    pub(super) fn plan<'d>(links: &[Item<'d>], transports: &[Item<'d>], own: Own<'_>, report: &mut Report) -> Mesh {
        let mut names = Vec::new();
        let links: Vec<Link<'d>> = links.iter().filter_map(|item| link(item, &mut names, report)).collect();
        if links.is_empty() {
            return Mesh::default();
        }
        let Some((transport, mut nodes)) = mesh_transport(transports) else {
            for link in &links {
                let sentence = "not carried over: no rawsocket transport has the keys of the other nodes (cryptosign)";
                report.remark(&link.path, sentence);
            }
            return Mesh::default();
        };
        let holds = |key: &str, node: &Principal<'_>| node.keys.iter().any(|known| known.eq_ignore_ascii_case(key));
        let own_principal = [
            nodes.iter().position(|node| own.public_key.is_some_and(|key| holds(key, node))),
            nodes.iter().position(|node| names.contains(&node.name)),
            nodes.iter().position(|node| own.name == Some(node.name)),
        ];
        let role = nodes.first().map(|node| node.role.to_owned());
        let mut found = own_principal.into_iter().flatten().next().map(|at| nodes.remove(at).name);
        let mut matched = pair(&links, &mut nodes);
        // Every node lists all, itself too: the one that no link leads to.
        if found.is_none() && matched.len() == links.len() && nodes.len() == 1 {
            found = nodes.pop().map(|node| node.name);
        }
        matched.sort_by_key(|(link, _)| *link);
        let mut mesh =
            Mesh { transport: Some(transport), own: found.map(str::to_owned), role, draft: Draft::default() };
        for (n, link) in links.iter().enumerate() {
            match matched.iter().find(|(of, _)| *of == n) {
                Some((_, node)) => mesh.peer(link, node, report),
                None => {
                    let address = &link.address;
                    let sentence = format!("not carried over: which key the node at {address} has cannot be told");
                    report.remark(&link.path, sentence);
                }
            }
        }
        for node in &nodes {
            report.remark(&node.path, "not carried over: no router link leads to this node, so its address is unknown");
        }
        mesh
    }

    /// Says what links were in Crossbar.io and are not here: they had a role, and a realm each.
    pub(super) fn compare(&self, realms: &Realms<'_>, report: &mut Report) {
        if self.transport.is_none() {
            return;
        }
        for realm in &realms.known {
            if !realm.is_linked {
                report.remark(&realm.path, "it was not linked, but here links carry every realm that both nodes have");
            }
            for (_, path) in realm.roles.iter().filter(|(name, _)| Some(*name) == self.role.as_deref()) {
                report.remark(path, "links need no role here; remove it where nobody else has it");
            }
        }
    }

    fn peer(&mut self, link: &Link<'_>, node: &Principal<'_>, report: &mut Report) {
        let keys = format!("{}.authorized_keys", node.path);
        let Some((key, others)) = node.keys.split_first() else {
            report.mistake(&keys, "the node has no key");
            return;
        };
        if !others.is_empty() {
            report.remark(&keys, "only the first key is carried over: a node has one");
        }
        self.draft.table("[[mesh.peer]]", &link.path);
        self.draft.set("id", node.name, &node.path);
        self.draft.set("address", link.address.as_str(), &link.path);
        self.draft.set("public_key", *key, &keys);
    }
}

fn link<'d>(item: &Item<'d>, names: &mut Vec<&'d str>, report: &mut Report) -> Option<Link<'d>> {
    let mut section = item.section(report)?;
    let id = section.take_text("id", report);
    section.take("realm");
    names.extend(section.take_text("authid", report));
    let mut transport = section.need("transport", report)?.section(report)?;
    let url = transport.take("url");
    let address = match (transport.take("endpoint"), &url) {
        (Some(endpoint), _) => connecting_address(&endpoint, report)?,
        (None, Some(url)) => match address_of_url(url.text(report)?) {
            Some(address) => address,
            None => {
                report.mistake(&url.path, "it must be a URL such as \"rs://host:port\"");
                return None;
            }
        },
        (None, None) => {
            report.mistake(&item.path, "it has neither transport.endpoint nor transport.url");
            return None;
        }
    };
    for key in ["type", "serializer", "serializers", "options"] {
        transport.take(key);
    }
    transport.finish(report);
    let flags = FLAGS.map(|flag| section.take(flag)).into_iter().flatten();
    if flags.filter(|flag| flag.value == &Value::Bool(false)).count() > 0 {
        let sentence = "the forward_ switches are not needed: links of this mesh carry all events and calls, once";
        report.remark(&item.path, sentence);
    }
    section.finish(report);
    Some(Link { path: item.path.clone(), id, address })
}

/// The transport that is for links, and who may come in by it: a rawsocket with nothing but static keys, and of several
/// the one whose roles are named as Crossbar.io names them for links.
fn mesh_transport<'d>(transports: &[Item<'d>]) -> Option<(String, Vec<Principal<'d>>)> {
    let candidate = |item: &Item<'d>| {
        let auth = item.value.get("auth")?.as_object()?;
        let is_rawsocket = item.value.get("type")?.as_str()? == "rawsocket";
        let principals = auth.get("cryptosign")?.get("principals")?.as_object()?;
        if !is_rawsocket || auth.len() != 1 || principals.is_empty() {
            return None;
        }
        let path = format!("{}.auth.cryptosign.principals", item.path);
        let principal = |(name, value): (&'d String, &'d Value)| Principal {
            name,
            role: value.get("role").and_then(Value::as_str).unwrap_or_default(),
            path: format!("{path}.{name}"),
            keys: value
                .get("authorized_keys")
                .and_then(Value::as_array)
                .map_or_else(Vec::new, |keys| keys.iter().filter_map(Value::as_str).collect()),
        };
        Some((item.path.clone(), principals.iter().map(principal).collect::<Vec<_>>()))
    };
    let is_for_links =
        |nodes: &[Principal<'_>]| nodes.iter().any(|node| ["router2router", "rlink"].contains(&node.role));
    let candidates = transports.iter().filter_map(candidate);
    candidates.max_by_key(|(path, nodes)| (is_for_links(nodes), nodes.len(), std::cmp::Reverse(path.clone())))
}

/// Which link leads to which node: by the name of the host, else by the number at the end of both names, and the one
/// that is left over goes to the one that is left over. Takes the nodes out that were found.
fn pair<'d>(links: &[Link<'d>], nodes: &mut Vec<Principal<'d>>) -> Vec<(usize, Principal<'d>)> {
    let by_host = |link: &Link<'_>, node: &Principal<'_>| {
        let host = link.address.rsplit_once(':').map_or(link.address.as_str(), |(host, _)| host);
        host == node.name || host.split('.').next() == Some(node.name)
    };
    let by_number = |link: &Link<'_>, node: &Principal<'_>| {
        link.id.and_then(number_at_end).is_some_and(|number| number_at_end(node.name) == Some(number))
    };
    let mut found: Vec<(usize, Principal<'d>)> = Vec::new();
    for fits in [&by_host as &dyn Fn(&Link<'_>, &Principal<'_>) -> bool, &by_number, &|_, _| true] {
        for (n, link) in links.iter().enumerate() {
            if found.iter().any(|(of, _)| *of == n) {
                continue;
            }
            let other_fits = |node: &Principal<'_>| {
                let others = links.iter().enumerate().filter(|(m, _)| *m != n && !found.iter().any(|(of, _)| of == m));
                others.into_iter().any(|(_, other)| fits(other, node))
            };
            let fitting: Vec<usize> = (0..nodes.len()).filter(|at| fits(link, &nodes[*at])).collect();
            if let [only] = fitting[..]
                && !other_fits(&nodes[only])
            {
                found.push((n, nodes.remove(only)));
            }
        }
    }
    found
}

fn number_at_end(name: &str) -> Option<&str> {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    (digits > 0).then(|| name[name.len() - digits..].trim_start_matches('0'))
}

const FLAGS: [&str; 4] =
    ["forward_local_events", "forward_remote_events", "forward_local_invocations", "forward_remote_invocations"];

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(links: &[(&str, &str)], nodes: &[&str]) -> (Vec<(usize, String)>, Vec<String>) {
        let links: Vec<Link<'_>> = links
            .iter()
            .map(|(id, address)| Link { path: String::new(), id: Some(id), address: (*address).to_owned() })
            .collect();
        let mut nodes: Vec<Principal<'_>> =
            nodes.iter().map(|name| Principal { name, role: "", path: String::new(), keys: Vec::new() }).collect();
        let mut found: Vec<_> =
            pair(&links, &mut nodes).into_iter().map(|(n, node)| (n, node.name.to_owned())).collect();
        found.sort();
        (found, nodes.iter().map(|node| node.name.to_owned()).collect())
    }

    #[test]
    fn links_are_paired_with_nodes_by_number() {
        let links = [("rlink_1_2", "localhost:5082"), ("rlink_1_3", "localhost:5083"), ("rlink_1_4", "localhost:5084")];
        let (found, left) = paired(&links, &["node1", "node4", "node3", "node2"]);
        assert_eq!(found, [(0, "node2".to_owned()), (1, "node3".to_owned()), (2, "node4".to_owned())]);
        assert_eq!(left, ["node1"]);
    }

    #[test]
    fn links_are_paired_with_nodes_by_host_before_all_else() {
        let links = [("to2", "berlin.example.com:5081"), ("to1", "paris:5081")];
        let (found, left) = paired(&links, &["paris", "berlin", "node1"]);
        assert_eq!(found, [(0, "berlin".to_owned()), (1, "paris".to_owned())]);
        assert_eq!(left, ["node1"]);
    }

    #[test]
    fn what_is_left_over_is_paired_only_when_it_is_one() {
        assert_eq!(paired(&[("uplink", "10.0.0.1:5081")], &["berlin"]).0, [(0, "berlin".to_owned())]);
        let (found, left) = paired(&[("a", "10.0.0.1:5081"), ("b", "10.0.0.2:5081")], &["berlin", "paris"]);
        assert!(found.is_empty() && left.len() == 2);
    }
}
