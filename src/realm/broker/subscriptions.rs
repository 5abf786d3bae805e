//! SUBSCRIBE and UNSUBSCRIBE.

use super::{Broker, receivers};
use crate::kept::Kind;
use crate::realm::holdings::Holding;
use crate::realm::ids::{Asked, IdKind, id_of};
use crate::realm::ledger::Ledger;
use crate::realm::pattern::{PatternTable, hashed};
use crate::realm::{Context, Effect, MemberKind, Members, timestamp};
use crate::time::Now;
use crate::wamp::message::code;
use crate::wamp::uri::{Match, is_reserved};
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::{Dict, allocated};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A topic, or a pattern of topics, that somebody listens to.
#[derive(Debug)]
pub struct Subscription {
    pub id: Id,
    pub uri: String,
    pub policy: Match,
    /// Which of its ids it has, see `id_of`.
    pub generation: u32,
    /// Wall time since the Unix epoch.
    pub created: Duration,
    /// In no particular order. Publications that are on their way share it.
    pub(super) clients: Rc<Vec<SessionKey>>,
    pub(super) peers: Vec<SessionKey>,
}

impl Subscription {
    /// The clients that listen. Links to other nodes are not subscribers to anybody who asks.
    pub fn clients(&self) -> &[SessionKey] {
        &self.clients
    }

    /// As `wamp.subscription.get` and `on_create` tell it.
    pub fn details(&self) -> Dict {
        Dict::new()
            .with("id", self.id)
            .with("created", timestamp::to_text(self.created))
            .with("uri", self.uri.as_str())
            .with("match", self.policy.name())
    }
}

impl Broker {
    /// Makes `key` a subscriber of `topic`. URI, reserved names and authorization have been checked.
    pub fn handle_subscribe(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        request: Id,
        options: &Dict,
        topic: &str,
        asked: Asked,
    ) {
        let policy = Match::of(options);
        let Some(member) = cx.members.member(key) else { return };
        let kind = member.kind;
        let held = self.held.get(&key);
        let known = self.by_pattern.value(topic, policy).copied();
        let again = known.is_some_and(|place| held.is_some_and(|held| held.contains_key(&place)));
        if !again
            && kind == MemberKind::Client
            && let Err(sentence) = self.admit(cx, key, topic, policy)
        {
            cx.out.extend(Effect::refused(key, "subscribe", topic, error::LIMIT_EXCEEDED, &sentence));
            let message = Message::error(code::SUBSCRIBE, request, error::LIMIT_EXCEEDED, sentence);
            cx.out.push(Effect::Send { to: key, message });
            return;
        }
        let generation = match kind {
            MemberKind::Client => self.generation_for(cx.members, key, topic, policy, asked.generation),
            MemberKind::Peer | MemberKind::Uplink => generation(options),
        };
        let again = again && !self.give_way_to_generation(cx, key, kind, known, generation);
        let place = known.filter(|_| again);
        let place = place.unwrap_or_else(|| self.add(cx, key, kind, topic, policy, generation));
        let Some(subscription) = self.subscriptions.get(place).map(|subscription| subscription.id) else { return };
        cx.out.push(Effect::Send { to: key, message: Message::Subscribed { request, subscription } });
        if options.bool("get_retained") == Some(true) {
            self.send_retained(cx, key, place);
        }
    }

    /// Whether a client may have one more subscription. The error is a sentence for it.
    fn admit(&self, cx: &Context, key: SessionKey, topic: &str, policy: Match) -> Result<(), String> {
        let count_max = cx.config.limits.subscriptions_per_session_max;
        if self.held.get(&key).is_some_and(|held| held.len() >= count_max) {
            return Err(format!("the session has subscriptions_per_session_max = {count_max} subscriptions"));
        }
        cx.ledger.admit(&cx.config.limits, Some(key), bytes_alone(topic, policy))
    }

    /// Tells the ledger what all subscriptions take.
    pub(super) fn post_subscriptions(&self, ledger: &mut Ledger) {
        let objects = self.subscriptions.len() * SUBSCRIPTION_BYTES + self.uri_bytes + self.by_pattern.heap_bytes();
        let held = self.held.len() * HOLDER_BYTES + self.n_held * HELD_BYTES;
        ledger.post(Kind::Subscriptions, objects + held);
    }

    /// The generation of the id that a client's subscription is to have: that of the subscription which exists, if one
    /// does, else the one that the peers were told, else the first that the client has not given up.
    pub fn generation_for(
        &self,
        members: &Members,
        key: SessionKey,
        topic: &str,
        policy: Match,
        told: Option<u32>,
    ) -> u32 {
        let existing = self.by_pattern.value(topic, policy).and_then(|place| self.subscriptions.get(*place));
        let given_up = members.member(key).map(|member| &member.given_up);
        let next = || given_up.map_or(0, |it| it.next_generation(IdKind::Subscription, policy, topic));
        existing.map(|existing| existing.generation).or(told).unwrap_or_else(next)
    }

    /// Takes a subscription away from a link that has it alone and now says that it has another id. Returns whether it
    /// did.
    fn give_way_to_generation(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        kind: MemberKind,
        known: Option<usize>,
        generation: u32,
    ) -> bool {
        let Some((place, subscription)) = known.and_then(|place| Some((place, self.subscriptions.get(place)?))) else {
            return false;
        };
        let is_alone = subscription.clients.is_empty() && subscription.peers == [key];
        let gives_way = kind == MemberKind::Peer && subscription.generation != generation && is_alone;
        if gives_way {
            self.take_away(cx, key, place);
        }
        gives_way
    }

    /// A subscription that a client loses is not to have the same id when the client gets it again.
    fn note_given_up(&self, cx: &mut Context, key: SessionKey, place: usize) {
        let Some(member) = cx.members.member_mut(key).filter(|member| member.kind == MemberKind::Client) else {
            return;
        };
        if let Some(Subscription { policy, uri, generation, .. }) = self.subscriptions.get(place) {
            member.given_up.note(IdKind::Subscription, *policy, uri, *generation);
        }
    }

    /// Ends a subscription of `key`.
    pub fn handle_unsubscribe(&mut self, cx: &mut Context, key: SessionKey, request: Id, subscription: Id) {
        let place = self.by_id.get(&subscription).copied().filter(|place| self.holds(key, *place));
        let message = match place {
            Some(place) => {
                self.note_given_up(cx, key, place);
                self.take_away(cx, key, place);
                Message::Unsubscribed { request, details: Dict::new() }
            }
            None => {
                let sentence = format!("the session has no subscription {subscription}");
                Message::error(code::UNSUBSCRIBE, request, error::NO_SUCH_SUBSCRIPTION, sentence)
            }
        };
        cx.out.push(Effect::Send { to: key, message });
    }

    /// Ends all subscriptions of `key`, which must still be in `cx.members`. Nothing is sent to it.
    pub fn handle_leave(&mut self, cx: &mut Context, key: SessionKey) {
        let places: Vec<usize> = self.held.get(&key).into_iter().flat_map(|held| held.keys().copied()).collect();
        for place in places {
            self.take_away(cx, key, place);
        }
    }

    /// Takes a subscription away from one subscriber, which hears of it (UNSUBSCRIBED with request 0) if it announced
    /// that it understands. `false` when it was not a subscriber.
    pub fn revoke(&mut self, cx: &mut Context, subscription: Id, key: SessionKey, reason: Option<&str>) -> bool {
        let Some(place) = self.by_id.get(&subscription).copied().filter(|place| self.holds(key, *place)) else {
            return false;
        };
        if cx.members.member(key).is_some_and(|member| member.identity.features.subscriber_subscription_revocation) {
            let mut details = Dict::new().with("subscription", subscription);
            if let Some(reason) = reason {
                details.set("reason", reason);
            }
            cx.out.push(Effect::Send { to: key, message: Message::Unsubscribed { request: 0, details } });
        }
        self.note_given_up(cx, key, place);
        self.take_away(cx, key, place);
        true
    }

    pub(super) fn holds(&self, key: SessionKey, place: usize) -> bool {
        self.held.get(&key).is_some_and(|held| held.contains_key(&place))
    }

    /// The place of the subscription of this pattern.
    pub(super) fn place_or_create(&mut self, now: Now, uri: &str, policy: Match, generation: u32) -> usize {
        if let Some(place) = self.by_pattern.value(uri, policy) {
            return *place;
        }
        let id = id_of(IdKind::Subscription, policy, uri, generation, |id| self.by_id.contains_key(&id));
        let place = self.subscriptions.insert(Subscription {
            id,
            uri: uri.to_owned(),
            policy,
            generation,
            created: now.wall,
            clients: Rc::default(),
            peers: Vec::new(),
        });
        self.uri_bytes += allocated(uri.len());
        self.by_id.insert(id, place);
        self.by_pattern.insert(uri, policy, place);
        place
    }

    /// Forgets a subscription that nobody has and that keeps no history.
    pub(super) fn release_if_unused(&mut self, place: usize) {
        let Some(subscription) = self.subscriptions.get(place) else { return };
        if subscription.clients.is_empty() && subscription.peers.is_empty() && !self.histories.has(place) {
            let subscription = self.subscriptions.remove(place);
            self.uri_bytes -= allocated(subscription.uri.len());
            self.by_id.remove(&subscription.id);
            self.by_pattern.remove(&subscription.uri, subscription.policy);
        }
    }

    fn add(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        kind: MemberKind,
        topic: &str,
        policy: Match,
        generation: u32,
    ) -> usize {
        let place = self.place_or_create(cx.now, topic, policy, generation);
        let was_visible = self.is_visible(place);
        let Some(subscription) = self.subscriptions.get_mut(place) else { return place };
        let receivers = receivers(subscription, kind);
        self.held.entry(key).or_default().insert(place, receivers.len());
        self.n_held += 1;
        receivers.push(key);
        cx.ledger.charge(key, bytes_alone(topic, policy));
        if !was_visible && kind == MemberKind::Client {
            self.changed.insert((policy, topic.to_owned()));
        }
        if !was_visible {
            // Links may have had it before, but for those who ask it begins now.
            subscription.created = cx.now.wall;
        }
        if let Some(session) = teller(cx, key, kind, topic) {
            let (id, details) = (subscription.id, Some(subscription.details()));
            cx.tell_holding(Holding { session, kind: IdKind::Subscription, id, details }, !was_visible);
        }
        self.post_subscriptions(cx.ledger);
        place
    }

    fn take_away(&mut self, cx: &mut Context, key: SessionKey, place: usize) {
        let Some(kind) = cx.members.member(key).map(|member| member.kind) else { return };
        let Some(held) = self.held.get_mut(&key) else { return };
        let Some(position) = held.remove(&place) else { return };
        self.n_held = self.n_held.saturating_sub(1);
        if held.is_empty() {
            self.held.remove(&key);
        }
        let Some(subscription) = self.subscriptions.get_mut(place) else { return };
        cx.ledger.discharge(key, bytes_alone(&subscription.uri, subscription.policy));
        let receivers = receivers(subscription, kind);
        if position < receivers.len() {
            receivers.swap_remove(position);
        }
        // The last receiver has moved to the place that became free.
        if let Some(moved) = receivers.get(position)
            && let Some(held) = self.held.get_mut(moved)
        {
            held.insert(place, position);
        }
        if let Some(session) = teller(cx, key, kind, &subscription.uri) {
            let id = subscription.id;
            let holding = Holding { session, kind: IdKind::Subscription, id, details: None };
            cx.tell_holding(holding, !self.is_visible(place));
        }
        if kind == MemberKind::Client
            && !self.is_visible(place)
            && let Some(subscription) = self.subscriptions.get(place)
        {
            self.changed.insert((subscription.policy, subscription.uri.clone()));
        }
        self.release_if_unused(place);
        self.post_subscriptions(cx.ledger);
    }
}

/// The memory that a subscription would take if its pattern were new.
fn bytes_alone(uri: &str, policy: Match) -> usize {
    SUBSCRIPTION_BYTES + HELD_BYTES + allocated(uri.len()) + PatternTable::<usize>::bytes_alone(uri, policy)
}

/// A subscription's place, that of its id, that of its list of receivers, and a first receiver.
const SUBSCRIPTION_BYTES: usize = size_of::<Subscription>() * 3 / 2
    + hashed(size_of::<(Id, usize)>())
    + allocated(size_of::<Vec<SessionKey>>() + 16)
    + allocated(4 * size_of::<SessionKey>());
/// One entry of the map in which a member's subscriptions are found.
const HELD_BYTES: usize = 2 * size_of::<(usize, usize)>();
/// A member's place in the table of members, with the first node of its map.
const HOLDER_BYTES: usize =
    hashed(size_of::<(SessionKey, BTreeMap<usize, usize>)>()) + 12 * size_of::<(usize, usize)>();

/// Which of its ids a subscription has on the node that a link is of.
fn generation(options: &Dict) -> u32 {
    options.uint("generation").and_then(|generation| u32::try_from(generation).ok()).unwrap_or(0)
}

/// The session that meta events about a subscription to `uri` name; None when there are to be none: interest of links
/// is told where it comes from, and events about the subscriptions to such events would never end.
fn teller(cx: &Context, key: SessionKey, kind: MemberKind, uri: &str) -> Option<Id> {
    let told = kind == MemberKind::Client && !is_reserved(uri);
    cx.members.member(key).filter(|_| told).map(|member| member.identity.session)
}
