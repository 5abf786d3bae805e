//! One realm of the whole cluster, as one shard of this node sees it: the realm's routing truth and the links that join
//! it to the same realm on other nodes. Pure, like the two that meet here.
//!
//! Whoever drives it treats links as he treats clients: a link is a member with a key, it joins and leaves, its
//! messages go in through `handle_message`, and what `Effect`s address to its key is ready to be sent.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod afterlife;
mod burial;
mod gather;
mod holdings;
mod merge;
mod notices;
mod page;
mod parts;
mod presence;
mod remote;
mod replay;
mod settling;
mod trust;
mod upkeep;

use crate::drop::DropReason;
use crate::kept::{Account, Kind as Bytes};
use crate::mesh::{CallOwner, Input, Kind, Pattern, Uplink, Want, frames};
use crate::realm::broker::Broker;
use crate::realm::dealer::{Dealer, Farewell};
use crate::realm::ids::IdKind;
use crate::realm::ledger::Ledger;
use crate::realm::{Effect, Ending, Forgetting, MemberKind, Members, Realm, RealmConfig};
use crate::time::Now;
use crate::wamp::feature::Features;
use crate::wamp::message::code;
use crate::wamp::{Id, Identity, Message, SessionKey, error};
use crate::wire::{Payload, Value};
use afterlife::Afterlife;
use burial::Burials;
use gather::Gathering;
pub use replay::Heard;
use settling::Settling;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// A realm and its links.
#[derive(Debug)]
pub struct ClusteredRealm {
    /// The id of this node.
    node: String,
    realm: Realm,
    /// The links that we have dialed and that are up.
    uplinks: BTreeMap<SessionKey, Uplink>,
    /// What clients have asked for and the peers have not agreed to yet.
    settling: Settling,
    /// Calls of the meta API that wait for peers.
    gathering: Gathering,
    /// The sessions of the peers, for the time when these are dead.
    afterlife: Afterlife,
    burials: Burials,
    /// The links whose peers have missed notices, know of it, and have not begun to fetch them.
    overrun: BTreeSet<SessionKey>,
    /// What the peers that have dialed in have said of what they want.
    heard: BTreeMap<SessionKey, Heard>,
}

impl ClusteredRealm {
    /// An empty realm on the node with this id. All that it ever chooses at random comes from `seed`.
    pub fn new(now: Now, node: &str, config: RealmConfig, seed: [u8; 32]) -> ClusteredRealm {
        ClusteredRealm {
            node: node.to_owned(),
            realm: Realm::new(now, config, seed),
            uplinks: BTreeMap::new(),
            settling: Settling::default(),
            gathering: Gathering::default(),
            afterlife: Afterlife::default(),
            burials: Burials::default(),
            overrun: BTreeSet::new(),
            heard: BTreeMap::new(),
        }
    }

    /// Counts what is kept here in the account of this node. To be called before anybody joins.
    pub fn use_account(&mut self, account: Rc<Account>) {
        self.realm.ledger_mut().join(account);
    }

    /// See `Realm::trim_history`.
    pub fn trim_history(&mut self, bytes: usize) {
        self.realm.trim_history(bytes);
    }

    /// What is kept for the clients of this realm.
    pub fn ledger(&self) -> &Ledger {
        self.realm.ledger()
    }

    /// Takes over a changed configuration, see `Realm::reconfigure`.
    pub fn reconfigure(&mut self, now: Now, config: RealmConfig, out: &mut Vec<Effect>) {
        let first = out.len();
        self.realm.reconfigure(now, config);
        self.realm.revoke_unpermitted(now, out);
        self.finish(now, out, first);
    }

    /// See `Realm::forget_answers`.
    pub fn forget_answers(&mut self, now: Now, which: &Forgetting, out: &mut Vec<Effect>) -> usize {
        let first = out.len();
        let n = self.realm.forget_answers(now, which, out);
        self.finish(now, out, first);
        n
    }

    /// A session has been welcomed: a client's, a peer's that has dialed in (`Peer`), or ours at a peer that we have
    /// dialed (`Uplink`). Of links, `identity.authid` is the id of the other node.
    pub fn join(&mut self, now: Now, key: SessionKey, kind: MemberKind, mut identity: Identity, out: &mut Vec<Effect>) {
        let first = out.len();
        if kind != MemberKind::Client {
            // Whatever its client can do, a node can carry.
            identity.features = Features::EVERYTHING;
        }
        match kind {
            MemberKind::Client => {}
            MemberKind::Peer => {
                self.dismiss_namesakes(&identity, out);
                self.heard.insert(key, Heard::default());
            }
            MemberKind::Uplink => {
                self.uplinks.insert(key, Uplink::new(&identity));
            }
        }
        self.realm.join(now, key, kind, identity, out);
        match kind {
            MemberKind::Client => self.notify_session(key, out),
            MemberKind::Peer => {}
            MemberKind::Uplink => {
                self.begin_upkeep(now, key, out);
                self.begin_replay(key, out);
            }
        }
        self.finish(now, out, first);
    }

    /// A session or a link has ended, for whatever reason.
    pub fn leave(&mut self, now: Now, key: SessionKey, out: &mut Vec<Effect>) {
        let first = out.len();
        let client = self.members().member(key).filter(|member| member.kind == MemberKind::Client);
        let is_silent = client.is_some_and(|member| member.ending == Some(Ending::Silent));
        let session = client.map(|member| member.identity.session);
        if let Some(session) = session.filter(|_| !is_silent) {
            self.notify_held_no_more(key, session, out);
        }
        self.realm.leave(now, key, out);
        self.overrun.remove(&key);
        self.heard.remove(&key);
        self.forget_in_gathers(key, out);
        if let Some(session) = session {
            self.notify_session_gone(session, out);
            self.forget_session(key, out);
        } else if let Some(uplink) = self.uplinks.remove(&key) {
            self.note_agreed(&uplink);
            self.afterlife.handle_lost(now, &uplink.node);
            self.settle_all(now, out);
        }
        self.finish(now, out, first);
        debug_assert_eq!(self.ledger().of_session(key), 0, "who has left keeps nothing");
    }

    /// A message of a member.
    pub fn handle_message(&mut self, now: Now, key: SessionKey, message: Message, out: &mut Vec<Effect>) {
        let first = out.len();
        let kind = self.realm.members().member(key).map(|member| member.kind);
        if kind == Some(MemberKind::Peer) {
            self.note_heard(key);
            if !self.admits_of_dialer(key, &message, out) {
                return self.finish(now, out, first);
            }
        }
        match (kind, message) {
            (Some(MemberKind::Uplink), message) => {
                self.handle_uplink_message(now, key, message, out);
                self.go_on_replaying(key, out);
            }
            (Some(MemberKind::Peer), Message::Register { request, options, procedure }) => {
                self.handle_offer(now, key, request, options, procedure, out);
            }
            (Some(MemberKind::Peer), Message::Call { request, procedure, payload, .. })
                if procedure.starts_with(frames::NAMESPACE) =>
            {
                self.handle_link_call(now, key, request, &procedure, &payload, out);
            }
            (_, message) => self.realm.handle_message(now, key, message, out),
        }
        self.finish(now, out, first);
    }

    /// A result for this member could not be delivered, see `Dealer::refuse_answer`. For a link it is a result of a
    /// client of this node.
    pub fn refuse_answer(
        &mut self,
        now: Now,
        caller: SessionKey,
        request: Id,
        error: &str,
        sentence: &str,
        out: &mut Vec<Effect>,
    ) {
        let first = out.len();
        self.realm.refuse_answer(now, caller, request, error, sentence, out);
        self.finish(now, out, first);
    }

    /// An INVOCATION for this member could not be delivered, see `Dealer::refuse_invocation`.
    pub fn refuse_invocation(
        &mut self,
        now: Now,
        callee: SessionKey,
        id: Id,
        error: &str,
        sentence: &str,
        out: &mut Vec<Effect>,
    ) {
        let first = out.len();
        self.realm.refuse_invocation(now, callee, id, error, sentence, out);
        self.finish(now, out, first);
    }

    /// Does what is due at this time.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<Effect>) {
        let first = out.len();
        self.realm.handle_timeout(now, out);
        self.settle_overdue(now, out);
        self.finish_overdue_gathers(now, out);
        self.compare_digests(now, out);
        self.bury_dead_nodes(now, out);
        self.continue_burials(now, out);
        self.finish(now, out, first);
    }

    /// The uptime at which `handle_timeout` has something to do.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let times = [
            self.realm.poll_timeout(),
            self.settling.poll_timeout(),
            self.gathering.poll_timeout(),
            self.afterlife.poll_timeout(),
            self.burials.poll_timeout(),
            self.uplinks.values().map(|uplink| uplink.digest_at).min(),
        ];
        times.into_iter().flatten().min()
    }

    /// A call that the router itself makes, see `Realm::call`.
    pub fn call(
        &mut self,
        now: Now,
        token: u64,
        procedure: &str,
        payload: Payload,
        timeout: Duration,
        out: &mut Vec<Effect>,
    ) {
        let first = out.len();
        self.realm.call(now, token, procedure, payload, timeout, out);
        self.finish(now, out, first);
    }

    /// Publishes an event of the router itself, see `Realm::publish`.
    pub fn publish(&mut self, now: Now, topic: &'static str, args: Vec<Value>, out: &mut Vec<Effect>) {
        let first = out.len();
        self.realm.publish(now, topic, args, out);
        self.finish(now, out, first);
    }

    /// The clients of this node are being let go, or stay after all, see `Dealer::set_leaving`; the peers are told.
    pub fn set_leaving(&mut self, now: Now, is_leaving: bool, out: &mut Vec<Effect>) {
        let first = out.len();
        self.realm.set_leaving(is_leaving);
        self.finish(now, out, first);
    }

    /// The turn of a session has come to be sent away, see `Dealer::depart`.
    pub fn depart(&mut self, now: Now, key: SessionKey, farewell: Farewell, out: &mut Vec<Effect>) {
        let first = out.len();
        self.realm.depart(now, key, farewell, out);
        self.finish(now, out, first);
    }

    /// The id of this node.
    pub fn node(&self) -> &str {
        &self.node
    }

    pub fn name(&self) -> &str {
        self.realm.name()
    }

    pub fn config(&self) -> &RealmConfig {
        self.realm.config()
    }

    pub fn members(&self) -> &Members {
        self.realm.members()
    }

    pub fn broker(&self) -> &Broker {
        self.realm.broker()
    }

    pub fn dealer(&self) -> &Dealer {
        self.realm.dealer()
    }

    /// The link by which a node has dialed in, if it is up.
    pub fn peer_key(&self, node: &str) -> Option<SessionKey> {
        let is_of =
            |key: &&SessionKey| self.realm.members().member(**key).is_some_and(|member| member.identity.authid == node);
        // While a node has two, the earlier one is on its way out.
        self.realm.members().peers().iter().rev().find(is_of).copied()
    }

    /// The links that this node has dialed and that are up.
    pub fn uplinks(&self) -> impl Iterator<Item = (SessionKey, &Uplink)> {
        self.uplinks.iter().map(|(key, uplink)| (*key, uplink))
    }

    /// How many clients of other nodes hold a subscription or registration, as far as this node has heard.
    pub fn n_elsewhere(&self, kind: IdKind, id: Id) -> usize {
        self.realm.n_elsewhere(kind, id)
    }

    /// How many clients of this node have joined.
    pub fn n_sessions(&self) -> usize {
        self.realm.n_sessions()
    }

    /// How many subscriptions clients of this node have.
    pub fn n_subscriptions(&self) -> usize {
        self.realm.n_subscriptions()
    }

    /// How many registrations clients of this node have.
    pub fn n_registrations(&self) -> usize {
        self.realm.n_registrations()
    }

    /// Asserts that all tables agree with one another. For tests and simulations.
    pub fn check(&self) {
        self.realm.dealer().check();
        self.settling.check();
        self.realm.check_kept();
        assert!(
            !self.settling.is_empty() || !self.gathering.is_empty() || self.ledger().tally().of(Bytes::Requests) == 0
        );
    }

    /// Completes what the effects from `first` on have begun: what goes to links is translated, what has to settle is
    /// put to the peers, and they are told what has changed.
    fn finish(&mut self, now: Now, out: &mut Vec<Effect>, first: usize) {
        if self.uplinks.is_empty() && self.settling.is_empty() && self.members().peers().is_empty() {
            for (policy, uri) in self.realm.take_changes().registrations {
                self.mirror(&Pattern { kind: Kind::Procedure, policy, uri }, out);
            }
            return self.post_elsewhere();
        }
        let mut start = first;
        loop {
            let uplinks = &self.uplinks;
            let own = |effect: &mut Effect| match effect {
                Effect::Settle { .. } | Effect::Gather(_) => true,
                Effect::Send { to, message } if uplinks.contains_key(to) => {
                    !is_of_link(message) && !frames::translate(message)
                }
                _ => false,
            };
            let asked: Vec<Effect> = out.extract_if(start.., own).collect();
            start = out.len();
            if asked.is_empty() {
                break;
            }
            for effect in asked {
                match effect {
                    Effect::Settle { session, message } => self.begin_settling(now, session, message, out),
                    Effect::Gather(call) => self.begin_gather(now, call, out),
                    _ => {}
                }
            }
        }
        let changes = self.realm.take_changes();
        self.notify_testaments(changes.testaments, out);
        self.notify_holdings(changes.holdings, out);
        let topics = changes.subscriptions.into_iter().map(|change| (Kind::Topic, change));
        let procedures = changes.registrations.into_iter().map(|change| (Kind::Procedure, change));
        for (kind, (policy, uri)) in topics.chain(procedures) {
            self.mirror(&Pattern { kind, policy, uri }, out);
        }
        parts::cut_answers(self.members(), out, first);
        self.post_elsewhere();
    }

    /// Tells the ledger what is kept of and for other nodes.
    fn post_elsewhere(&mut self) {
        let mirrors: usize = self.uplinks.values().map(|uplink| uplink.mirror.bytes()).sum();
        let bytes = mirrors + self.afterlife.bytes() + self.burials.bytes() + self.realm.elsewhere_bytes();
        self.realm.ledger_mut().post(Bytes::Elsewhere, bytes);
    }

    /// Says to every peer what is wanted of a pattern now.
    fn mirror(&mut self, pattern: &Pattern, out: &mut Vec<Effect>) {
        let want = self.want(pattern);
        if want.is_none() {
            self.settling.agreed.remove(pattern);
        }
        for (to, uplink) in &mut self.uplinks {
            if let Some(message) = uplink.want(pattern, want) {
                out.push(Effect::Send { to: *to, message });
            }
        }
    }

    /// What the clients of this node want of a pattern: those who have it, or those who are asking for it.
    fn want(&self, pattern: &Pattern) -> Option<Want> {
        let Pattern { kind, policy, uri } = pattern;
        let asked = self.settling.want(pattern);
        match kind {
            Kind::Topic => {
                let found = self.realm.broker().lookup(uri, *policy);
                found.map(|found| Want::Listen { generation: found.generation }).or(asked)
            }
            Kind::Procedure if matches!(asked, Some(Want::Answer(offer)) if offer.force) => asked,
            Kind::Procedure => {
                let local = self.realm.dealer().lookup(uri, *policy).and_then(|found| found.local_callees());
                local.map(|local| Want::Answer(settling::offer(local))).or(asked)
            }
        }
    }

    fn handle_uplink_message(&mut self, now: Now, key: SessionKey, message: Message, out: &mut Vec<Effect>) {
        let Some(uplink) = self.uplinks.get_mut(&key).filter(|uplink| !uplink.is_ended) else { return };
        let (input, reply) = uplink.handle_message(message);
        out.extend(reply.map(|message| Effect::Send { to: key, message }));
        match input {
            Some(Input::Route(message)) => {
                if !self.admits(key, &message, out) {
                    return;
                }
                let Some(Uplink { node, .. }) = self.uplinks.get(&key) else { return };
                if let Message::Publish { options, .. } = &message
                    && options.get("testament").is_some()
                    && self.afterlife.is_repeated(node, options.uint("publication").unwrap_or_default())
                {
                    return;
                }
                if let Message::Publish { topic, payload, .. } = &message
                    && topic.starts_with(SESSION_EVENTS)
                {
                    let node = node.clone();
                    self.note_meta_event(&node, topic, payload);
                    if self.end_if_excessive(now, key, out) {
                        return;
                    }
                }
                self.realm.handle_message(now, key, message, out);
            }
            Some(Input::Settled(pattern)) => {
                if matches!(self.settling.want(&pattern), Some(Want::Answer(offer)) if offer.force) {
                    uplink.take(pattern.clone());
                }
                self.settle_if_agreed(now, &pattern, out);
            }
            Some(Input::Refused { pattern, said, error, payload }) => {
                self.handle_refusal(now, pattern, said, &error, payload, out);
            }
            Some(Input::Answer { owner: CallOwner::Link(call), result }) => {
                self.handle_peer_answer(now, key, call, result, out);
            }
            Some(Input::Answer { owner: CallOwner::Meta(token), result }) => {
                self.handle_gathered(token, key, result, out);
            }
            Some(Input::Part { owner: CallOwner::Meta(token), payload }) => {
                self.handle_gathered_part(token, key, &payload, out);
            }
            // A link is answered in pages, not in parts.
            Some(Input::Part { owner: CallOwner::Link(_), .. }) => {}
            Some(Input::Notice { topic, payload }) => self.handle_notice(now, key, &topic, &payload, out),
            None => {}
        }
    }

    /// A node that dials in again has lost its earlier link, whether we have noticed or not.
    fn dismiss_namesakes(&self, identity: &Identity, out: &mut Vec<Effect>) {
        for key in self.realm.members().peers() {
            let earlier = self.realm.members().member(*key);
            if earlier.is_some_and(|earlier| earlier.identity.authid == identity.authid) {
                let message = Some("the node has dialed in anew".to_owned());
                let (reason, drop_reason) = (error::CLOSE_NORMAL.to_owned(), DropReason::Killed);
                out.push(Effect::Goodbye { session: *key, reason, message, drop_reason });
            }
        }
    }
}

/// The topics of the meta events of sessions.
const SESSION_EVENTS: &str = "wamp.session.";

/// Whether a message to a link was made for it, rather than by the realm for the link's stand-in.
fn is_of_link(message: &Message) -> bool {
    !matches!(
        message,
        Message::Result { .. } | Message::Published { .. } | Message::Event { .. } | Message::Invocation { .. }
    ) && !matches!(message, Message::Error { request_type, .. } if *request_type != code::INVOCATION)
}
