//! SIGHUP: the configuration is read again. It is resolved against the running one, and only the result is passed on:
//! what can change live does, what needs a restart stays as it is. The log names both.

use super::control;
use super::run::Edge;
use crate::admin::command::NODE_REALM;
use crate::config::{self, Config, Host, Listener, RunningFile};
use crate::router::listen::tls_config;
use crate::router::shard::{ListenerState, Shard};
use rustls::ServerConfig;
use std::rc::Rc;
use std::sync::Arc;

/// Applies the configuration file as it is now. Where anything is wrong with it, nothing changes.
pub(super) fn reload(edge: &mut Edge) {
    edge.shard.borrow_mut().note_file(RunningFile::begin);
    let read = config::load(&edge.config.path);
    let resolved = read.and_then(|new| edge.config.reload(&new, &Host::SYSTEM));
    let resolved = resolved.map_err(|mistakes| mistakes.to_string());
    match resolved.and_then(|(config, changes)| Ok((listeners(edge, &config)?, config, changes))) {
        Ok((listeners, config, changes)) => {
            apply(edge, listeners, config);
            changes.log();
            edge.shard.borrow_mut().note_file(|file| file.take(&changes));
        }
        Err(sentence) => {
            tracing::error!("the configuration was not reloaded: {sentence}");
            edge.shard.borrow_mut().note_file(|file| file.refuse(&sentence));
        }
    }
}

/// A running listener, and what it is to be.
struct Reloaded {
    state: Rc<ListenerState>,
    settings: Listener,
    tls: Option<Arc<ServerConfig>>,
}

/// Makes everything that can fail, before anything is applied. The error is one sentence.
fn listeners(edge: &Edge, config: &Config) -> Result<Vec<Reloaded>, String> {
    let states = edge.shard.borrow().listeners.clone();
    let known = states.into_iter().filter_map(|state| Some((config.listener(state.id.as_ref()?)?.clone(), state)));
    known.map(|(settings, state)| Ok(Reloaded { tls: tls_config(&settings)?, state, settings })).collect()
}

fn apply(edge: &mut Edge, listeners: Vec<Reloaded>, config: Config) {
    let mut shard = edge.shard.borrow_mut();
    apply_realms(&mut shard, &config);
    shard.set_limits(config.limits.clone());
    drop(shard);
    *edge.control.config_digest.borrow_mut() = config.digest();
    if let Some(operators) = &edge.operators {
        operators.set_limits(&config.limits);
    }
    // After the realms: each of them is linked.
    edge.peers.reconfigure(&config);
    for Reloaded { state, settings, tls } in listeners {
        state.set_limits(&settings.limits);
        let admission = edge.peers.admission(&config, &settings);
        edge.shard.borrow_mut().set_admission(&state, admission);
        // On ports for the mesh the peers decide, see above.
        if !state.is_mesh {
            *state.accepting.tls.borrow_mut() = tls;
        }
    }
    edge.config = config;
}

fn apply_realms(shard: &mut Shard, config: &Config) {
    let now = shard.now();
    let own = Some(control::realm(config)).filter(|_| shard.realm_names.contains_key(NODE_REALM));
    for settings in config.realms.iter().chain(&own) {
        let Some(index) = shard.realm_names.get(&settings.core.name).copied() else {
            shard.add_realm(settings);
            continue;
        };
        let core = (*settings.core).clone();
        shard.with_realm(index, |realm, effects| realm.reconfigure(now, core, effects));
        shard.work_off(now);
        if let Some(slot) = shard.realms.get_mut(index.0) {
            slot.settings = settings.clone();
        }
        shard.measure_all(index);
    }
}
