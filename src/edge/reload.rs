//! SIGHUP: the configuration is read again; what can change live does, what cannot is named.

use super::run::Edge;
use crate::config::{self, Config};
use crate::router::listen::load_tls;

/// Applies the configuration file as it is now. A file with mistakes changes nothing.
pub(super) fn reload(edge: &mut Edge) {
    let new = match config::load(&edge.config.path) {
        Ok(new) => new,
        Err(mistakes) => {
            tracing::error!("the configuration was not reloaded: {mistakes}");
            return;
        }
    };
    let diff = edge.config.diff_live(&new);
    for name in &diff.needs_restart {
        tracing::warn!("{name} has changed and needs a restart to take effect");
    }
    apply(edge, &new);
    tracing::info!(applied = diff.applied.join(", "), "configuration reloaded");
    edge.config.take_live(new);
}

fn apply(edge: &mut Edge, new: &Config) {
    let mut shard = edge.shard.borrow_mut();
    let now = shard.now();
    for settings in &new.realms {
        match shard.realm_names.get(&settings.core.name).copied() {
            Some(index) => {
                let core = (*settings.core).clone();
                shard.with_realm(index, |realm, effects| realm.reconfigure(now, core, effects));
                shard.work_off(now);
                let Some(slot) = shard.realms.get_mut(index.0).and_then(Option::as_mut) else { continue };
                slot.settings = settings.clone();
            }
            None => {
                shard.add_realm(settings);
            }
        }
    }
    shard.limits = new.limits.clone();
    *edge.control.config_digest.borrow_mut() = new.digest();
    let states = shard.listeners.clone();
    drop(shard);
    edge.peers.reconfigure(new);
    // Listeners cannot move live; the one with the same address gets its new certificates and principals.
    for (n, state) in states.into_iter().enumerate() {
        let Some(settings) = config::counterpart(&edge.config.listeners, n, &new.listeners) else { continue };
        let admission = edge.peers.admission(new, settings);
        edge.shard.borrow_mut().set_admission(&state, admission);
        *state.accepting.limits.borrow_mut() = settings.limits.clone();
        match load_tls(settings) {
            Ok(tls) => *state.accepting.tls.borrow_mut() = tls,
            Err(error) => tracing::error!("the old certificates stay in use: {error}"),
        }
    }
}
