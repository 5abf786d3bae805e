//! Every command of `crossbarctl`, once: parsing, help, completions and man pages come from this table.

use crate::admin::arguments::EXIT_CODES;
use crate::auth::cryptosign::PublicKey;
use crate::drop::DropReason;
use crate::limits::ID_MAX;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Shows and steers a crossbar-cluster.
#[derive(Debug, Parser)]
#[command(name = "crossbarctl", version, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    pub target: Target,
    /// Print JSON for programs instead of tables for people.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// Who is asked.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// The master: ws://host:port/ws, or on its own host its configuration file; by default
    /// /etc/crossbar/master.toml. CROSSBAR_MASTER in the environment says the same, unless an edge is asked.
    #[arg(long, global = true, value_name = "URL_OR_CONFIG")]
    pub master: Option<String>,
    /// The file with the key that the master knows you by, or else CROSSBAR_KEY; with --edge that edge's node key.
    #[arg(long, global = true, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The name that goes with the key: that of an `[[operator]]` of the master, or else CROSSBAR_OPERATOR; by default
    /// the operator of the master's own host.
    #[arg(long = "as", global = true, value_name = "ID")]
    pub operator: Option<String>,
    /// Ask a single edge on its admin port instead: its configuration file, or the address.
    #[arg(long, global = true, value_name = "CONFIG_OR_ADDRESS", conflicts_with = "master")]
    pub edge: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(flatten)]
    Remote(Remote),
    #[command(flatten)]
    Local(Local),
}

/// What needs a running cluster.
#[derive(Debug, Subcommand)]
pub enum Remote {
    /// Whether the cluster is whole, and what is wrong when it is not.
    Status,
    /// The nodes: state, version, sessions, load.
    Nodes,
    /// The links between the nodes as a matrix, with round-trip times.
    Links,
    /// The sessions of all nodes.
    Sessions(OfRealm),
    /// The registrations of all nodes.
    Registrations(OfRealm),
    /// The subscriptions of all nodes.
    Subscriptions(OfRealm),
    /// Who was refused lately by the nodes or the master, and why; what was lost, and which sessions were ended.
    Refusals(OfRefusals),
    /// Admit a node, or remove one.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Send the sessions of a node away, spread over some time, and let no new ones come.
    Drain {
        /// The node.
        id: String,
        /// Over how many seconds; by default what the node's `drain_time` says.
        #[arg(long, value_name = "N")]
        seconds: Option<u32>,
        /// Do not wait until the sessions are gone.
        #[arg(long)]
        no_wait: bool,
        /// Also when no other node takes clients.
        #[arg(long)]
        last: bool,
    },
    /// Let clients come to a drained node again.
    Undrain {
        /// The node.
        id: String,
    },
    /// Close sessions of nodes that have more than their fair share, so that they come back elsewhere.
    Rebalance {
        /// How many sessions are closed per second.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        rate: Option<u32>,
        /// Do not wait until it is done.
        #[arg(long)]
        no_wait: bool,
    },
    /// Close a session.
    Kick {
        /// Its id.
        #[arg(value_parser = clap::value_parser!(u64).range(1..=ID_MAX))]
        session: u64,
        /// The realm that it is in.
        #[arg(long)]
        realm: Option<String>,
    },
    /// Forget what authorizers have answered, on all nodes, and ask them again about the subscriptions and
    /// registrations that rest on it: what they refuse now is taken away.
    ForgetAnswers(OfAnswers),
    /// Show messages as they pass: those of one session, or of one topic or procedure.
    Trace(Trace),
    /// The nodes and their figures, live; `q` ends it.
    Top {
        /// End after so many looks.
        #[arg(long, value_name = "N", hide = true)]
        iterations: Option<u32>,
    },
    /// Change what a node logs, until it is started again.
    LogLevel {
        /// The node.
        id: String,
        /// error, warn, info, debug or trace, or a list of module=level.
        level: String,
    },
    /// Wait until the cluster is whole: between the steps of a rolling restart.
    Gate {
        /// Give up, and fail, after this many seconds.
        #[arg(long, value_name = "N")]
        seconds: Option<u32>,
        /// Begin a rebalance when nothing but load is missing.
        #[arg(long)]
        rebalance: bool,
    },
}

/// What needs none.
#[derive(Debug, Subcommand)]
pub enum Local {
    /// Turn a Crossbar.io configuration (JSON or YAML) into one of ours, and say what is not carried over.
    Import {
        /// The configuration.
        file: PathBuf,
        /// Write ID.toml into this directory, and the node key into its state directory where Crossbar.io's key.priv is
        /// beside the configuration. Without it the result is printed.
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// The name of the node; by default what the file tells.
        #[arg(long)]
        id: Option<String>,
        /// Where the node will keep its key and the membership; by default /var/lib/crossbar/ID.
        #[arg(long, value_name = "DIR")]
        state_dir: Option<PathBuf>,
        /// Replace a file that is there.
        #[arg(long)]
        force: bool,
    },
    /// Say everything that is wrong with a configuration: one of ours, or Crossbar.io's.
    Check {
        /// The configuration.
        file: PathBuf,
    },
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: Shell,
        /// The program to complete.
        #[arg(long, value_name = "NAME", default_value = "crossbarctl")]
        program: String,
    },
    /// Write the man pages of all programs.
    Man {
        /// Where to; without it the page of crossbarctl is printed.
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// Narrows a list.
#[derive(Clone, Debug, Args)]
pub struct OfRealm {
    /// Only of this realm.
    #[arg(long)]
    pub realm: Option<String>,
}

/// Narrows what is forgotten.
#[derive(Clone, Debug, Args)]
pub struct OfAnswers {
    /// Only in this realm.
    #[arg(long)]
    pub realm: Option<String>,
    /// Only what the principal of this session has been told.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=ID_MAX))]
    pub session: Option<u64>,
    /// Only what this principal has been told.
    #[arg(long, value_name = "ID")]
    pub authid: Option<String>,
    /// Only what those of this role have been told.
    #[arg(long, value_name = "NAME")]
    pub role: Option<String>,
    /// Only about this topic, procedure or pattern, and patterns that cover it.
    #[arg(long)]
    pub uri: Option<String>,
}

/// Narrows the list of refusals.
#[derive(Clone, Debug, Args)]
pub struct OfRefusals {
    /// Only by this node.
    #[arg(long, value_name = "ID")]
    pub node: Option<String>,
    /// Only in this realm, or of peers that wanted to join it.
    #[arg(long)]
    pub realm: Option<String>,
    /// Only of this principal, or of peers that said that they are it.
    #[arg(long, value_name = "ID")]
    pub authid: Option<String>,
    /// Only for this reason, such as not_authorized.
    #[arg(long, value_name = "NAME", value_parser = reasons(), hide_possible_values = true)]
    pub reason: Option<String>,
    /// The latest so many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(DropReason::ALL.iter().map(|reason| reason.name()))
}

#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Admit a node: from now on all others link with it.
    Add {
        /// Its name.
        id: String,
        /// Where the other nodes reach it: host:port.
        address: String,
        /// The public half of its key, which its `keygen` prints.
        public_key: PublicKey,
        /// Give this address and key to a node that is there with others: its links and its session with the master
        /// end, until it runs with them.
        #[arg(long)]
        replace: bool,
        /// Do not ask; needed with --replace where there is no terminal.
        #[arg(long)]
        yes: bool,
    },
    /// Remove a node: all others end their links with it and refuse it.
    Remove {
        /// Its name.
        id: String,
        /// Do not ask; needed where there is no terminal.
        #[arg(long)]
        yes: bool,
        /// Also when no other node takes clients.
        #[arg(long)]
        last: bool,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Trace {
    #[command(flatten)]
    pub subject: Subject,
    /// Only on this node.
    #[arg(long, value_name = "ID")]
    pub node: Option<String>,
    /// Stop after this many lines.
    #[arg(long, value_name = "N")]
    pub lines: Option<u32>,
    /// Stop after this many seconds.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u32>,
}

/// Of which messages: one of these.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Subject {
    /// All messages of this session.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=ID_MAX))]
    pub session: Option<u64>,
    /// All messages about this topic.
    #[arg(long, value_name = "URI")]
    pub topic: Option<String>,
    /// All messages about this procedure.
    #[arg(long, value_name = "URI")]
    pub procedure: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    const KEY: &str = "b45d9693346a5327f2b7f59b9fc04f2822b18c2be970938ea53564003aa2083d";

    fn is_accepted(line: &str) -> bool {
        Arguments::try_parse_from(format!("crossbarctl {line}").split_whitespace()).is_ok()
    }

    #[test]
    fn the_table_is_consistent_and_every_command_has_a_sentence() {
        Arguments::command().debug_assert();
        let command = Arguments::command();
        for sub in command.get_subcommands() {
            assert!(sub.get_about().is_some(), "{}", sub.get_name());
        }
    }

    #[test]
    fn commands_are_taken_as_they_are_documented() {
        let key = format!("node add edge5 brummer3:5085 {KEY}");
        let key_again = format!("{key} --replace --yes");
        for line in [
            "status",
            "status --as alice --key alice.key --master /etc/crossbar/master.toml",
            "nodes --json",
            "--master ws://matterhorn:9000/ws --key operator.key links",
            "--edge /etc/crossbar/edge-1.toml sessions --realm realm1",
            "registrations",
            "subscriptions",
            "refusals --node edge1 --realm realm1 --authid alice --reason not_authorized --limit 10",
            key.as_str(),
            key_again.as_str(),
            "node remove edge5",
            "node remove edge5 --yes --last",
            "drain edge1 --seconds 30 --no-wait --last",
            "undrain edge1",
            "rebalance --rate 50 --no-wait",
            "kick 1234 --realm realm1",
            "forget-answers --realm realm1 --session 1234 --authid alice --role user --uri com.example.topic1",
            "trace --session 1234 --node edge1 --lines 10 --seconds 5",
            "trace --topic com.example.topic1",
            "trace --procedure com.example.proc1",
            "top",
            "log-level edge1 debug",
            "gate --seconds 60 --rebalance",
            "import config.json --output /etc/crossbar",
            "check edge-1.toml",
            "completions bash",
            "man /usr/share/man/man1",
        ] {
            assert!(is_accepted(line), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "",
            "node add edge5 brummer3:5085 b45d",
            "trace",
            "trace --session 1 --topic com.example.topic1",
            "kick 0",
            "refusals --reason bad_mood",
            "rebalance --rate 0",
            "status --master ws://a/ws --edge b:9081",
            "completions cmd",
            "import",
        ] {
            assert!(!is_accepted(line), "{line}");
        }
    }
}
