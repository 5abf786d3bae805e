//! The commands that ask a running cluster: the master, or a single edge.

use super::commands::{Remote, Target};
use anyhow::bail;

/// Carries out one command and prints what came of it.
pub(super) fn run(command: &Remote, _target: &Target, _json: bool) -> anyhow::Result<()> {
    bail!("{command:?} asks a running cluster, which is not part of this build")
}
