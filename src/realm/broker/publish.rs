//! PUBLISH: one publication, and everybody who gets it.

use super::{Broker, Subscription, filter::Filter};
use crate::kept::Kind;
use crate::limits::{CLOCK_SKEW_MAX, ID_MAX};
use crate::realm::carriage;
use crate::realm::effect::Receivers;
use crate::realm::ids::{IdKind, id_of, random_id};
use crate::realm::{Context, Effect, Member, MemberKind, Members, MetaEvent, Origin};
use crate::time::Now;
use crate::wamp::message::code;
use crate::wamp::uri::Match;
use crate::wamp::{Id, Identity, Message, SessionKey, error};
use crate::wire::{Dict, Payload, Value};
use std::sync::Arc;
use std::time::Duration;

/// One publication, as the broker routes it: what a client has published, or what a link has brought.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The same on every node that it reaches.
    pub id: Id,
    pub origin: Origin,
    /// The member that is left out although it may have subscribed.
    pub excluded: Option<SessionKey>,
    pub topic: &'a str,
    pub options: &'a Dict,
    /// What EVENT.Details says to every receiver; of the publisher, where the receivers may know.
    pub(super) details: Dict,
    /// Wall time on the node where it was published, as precise as links carry it.
    pub(super) published: Duration,
    pub payload: Payload,
    pub(super) filter: Option<Arc<Filter>>,
    /// The last will of a session that has left.
    pub(super) is_testament: bool,
}

/// Who has published, where the receivers may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    pub session: Id,
    pub authid: String,
    pub authrole: String,
}

impl Publisher {
    pub fn of(identity: &Identity) -> Publisher {
        Publisher { session: identity.session, authid: identity.authid.clone(), authrole: identity.authrole.clone() }
    }

    /// As an entry of `forward_for`.
    fn hop(&self) -> Dict {
        Dict::new()
            .with("session", self.session)
            .with("authid", self.authid.as_str())
            .with("authrole", self.authrole.as_str())
    }
}

/// Who publishes, and so what is believed of the publication.
#[derive(Debug)]
pub enum Source {
    /// A client of this node, or this node itself.
    Client { publication: Id, publisher: Option<Publisher> },
    /// A client of another node, whose link has brought the publication.
    Link(Forwarded),
}

/// What the link of another node says of a publication, and nobody else can say.
#[derive(Debug)]
pub struct Forwarded {
    pub publication: Id,
    /// Where the publisher's node discloses it.
    pub publisher: Option<Publisher>,
    /// Wall time on the publisher's node, of what is to be retained.
    pub published: Option<Duration>,
    /// The way of the publication, for its receivers.
    pub forward_for: Option<Value>,
}

impl Forwarded {
    /// Reads the options that `mesh::frames::publish_options` has made of a link's EVENT. None without an id.
    fn read(options: &Dict) -> Option<Forwarded> {
        Some(Forwarded {
            publication: options.uint("publication").filter(|id| (1..=ID_MAX).contains(id))?,
            publisher: publisher_in(options),
            published: options.uint("published_us").map(Duration::from_micros),
            forward_for: options.get("forward_for").cloned(),
        })
    }

    /// A publication of this node's own for its own clients.
    fn of_nobody(publication: Id) -> Forwarded {
        Forwarded { publication, publisher: None, published: None, forward_for: None }
    }
}

impl Broker {
    /// Publishes for a member. URI, reserved names and authorization have been checked; `disclosed` says that the
    /// publisher's role discloses publishers, which a client may also ask for itself.
    #[allow(clippy::too_many_arguments)]
    pub fn handle_publish(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        request: Id,
        options: &Dict,
        topic: &str,
        payload: Payload,
        disclosed: bool,
    ) {
        let Some(member) = cx.members.member(key) else { return };
        let publication = match member.kind {
            MemberKind::Client => {
                let disclosed = disclosed || options.bool("disclose_me") == Some(true);
                let publisher = disclosed.then(|| Publisher::of(&member.identity));
                let source = Source::Client { publication: random_id(cx.rng), publisher };
                let excluded = (options.bool("exclude_me") != Some(false)).then_some(key);
                Publication { excluded, ..Publication::new(cx.now, source, topic, options, payload) }
            }
            MemberKind::Peer | MemberKind::Uplink => {
                let forwarded = Forwarded::read(options).unwrap_or_else(|| Forwarded::of_nobody(random_id(cx.rng)));
                Publication::new(cx.now, Source::Link(forwarded), topic, options, payload)
            }
        };
        let acknowledge = options.bool("acknowledge") == Some(true);
        let accepted = match self.is_too_large_for_peers(cx.members, &publication) {
            true => Err((error::PAYLOAD_SIZE_EXCEEDED, carriage::sentence())),
            false => self.accept(cx, publication).map_err(|sentence| (error::LIMIT_EXCEEDED, sentence)),
        };
        if let Err((error, sentence)) = &accepted {
            cx.out.extend(match acknowledge {
                true => Effect::refused(key, "publish", topic, error, sentence),
                false => Some(Effect::publish_refused(key, topic, sentence)),
            });
        }
        let answer = match &accepted {
            Ok(publication) => Message::Published { request, publication: publication.id },
            Err((error, sentence)) => Message::error(code::PUBLISH, request, error, sentence.as_str()),
        };
        if acknowledge {
            cx.out.push(Effect::Send { to: key, message: answer });
        }
        if let Ok(publication) = accepted {
            self.route(cx, publication);
        }
    }

    /// Keeps an event that another node has retained, unless there is a newer one here.
    pub fn merge_retained(
        &mut self,
        cx: &mut Context,
        topic: &str,
        options: &Dict,
        payload: Payload,
    ) -> Result<(), String> {
        let source = Source::Link(Forwarded::read(options).ok_or("it has no id")?);
        self.accept(cx, Publication::new(cx.now, source, topic, options, payload))?;
        Ok(())
    }

    /// Publishes a testament. The error says which limit was in the way; nobody waits to hear of it.
    pub fn publish_testament(
        &mut self,
        cx: &mut Context,
        source: Source,
        topic: &str,
        options: &Dict,
        payload: Payload,
    ) -> Result<(), String> {
        let publication = Publication::new(cx.now, source, topic, options, payload);
        let publication = self.accept(cx, Publication { is_testament: true, ..publication })?;
        self.route(cx, publication);
        Ok(())
    }

    /// Publishes what has happened to a client, of this node to whoever listens on any, of another to those on this.
    pub fn publish_meta(&mut self, cx: &mut Context, event: MetaEvent, origin: Origin) {
        let mut heard = false;
        self.for_each_match(event.topic, |_| heard = true);
        if heard {
            let payload = Payload::from_values(event.args, Dict::new());
            let (publication, options) = (random_id(cx.rng), Dict::new());
            let source = match origin {
                Origin::Client => Source::Client { publication, publisher: None },
                Origin::Shard | Origin::Node => Source::Link(Forwarded::of_nobody(publication)),
            };
            let publication = Publication::new(cx.now, source, event.topic, &options, payload);
            self.route(cx, publication);
        }
    }

    /// Reads the lists and retains the event where the options ask for it. After this the publication takes place.
    fn accept<'a>(&mut self, cx: &mut Context, mut publication: Publication<'a>) -> Result<Publication<'a>, String> {
        publication.filter = Filter::from_options(publication.options, &cx.config.limits)?;
        if publication.options.bool("retain") == Some(true) {
            match publication.origin {
                Origin::Client => publication.published = self.retained.next_moment(publication.published),
                Origin::Shard | Origin::Node => self.retained.note_moment(publication.published),
            }
            self.retained.retain(&publication, &cx.config.limits, cx.ledger)?;
        }
        Ok(publication)
    }

    /// Whether a publication would have to go to other nodes, and no link can carry it.
    fn is_too_large_for_peers(&mut self, members: &Members, publication: &Publication) -> bool {
        if publication.origin != Origin::Client
            || members.peers().is_empty()
            || carriage::is_carried(publication.options, &publication.payload)
        {
            return false;
        }
        let mut is_heard = publication.options.bool("retain") == Some(true);
        let subscriptions = &self.subscriptions;
        self.by_pattern.for_each_match(publication.topic, |place| {
            is_heard |= subscriptions.get(*place).is_some_and(|subscription| !subscription.peers.is_empty());
        });
        is_heard
    }

    /// Records a publication and sends it to all receivers: one effect per subscription.
    fn route(&mut self, cx: &mut Context, mut publication: Publication) {
        let mut matches = std::mem::take(&mut self.matches);
        self.for_each_match(publication.topic, |place| matches.push(place));
        // What came from elsewhere has come to its last stop.
        let has_peers = publication.origin == Origin::Client && !cx.members.peers().is_empty();
        let mut peers_served = Vec::new();
        let mut left = matches.len();
        for place in matches.drain(..) {
            left -= 1;
            let Some(subscription) = self.subscriptions.get(place) else { continue };
            if self.histories.has(place) {
                let details = publication.details_for(subscription.policy, false);
                let room = self.histories.bytes().saturating_add(cx.ledger.room(&cx.config.limits));
                let bytes_max = cx.config.limits.history_bytes_max.min(room);
                self.histories.record(place, &publication, &details, cx.now.wall, bytes_max);
                cx.ledger.post(Kind::History, self.histories.bytes());
            }
            let to = self.receiving_clients(cx.members, subscription, place, &publication);
            if !to.is_empty() {
                let is_last = left == 0 && !has_peers;
                let details = publication.details_for(subscription.policy, is_last);
                let message = publication.event(subscription.id, details, is_last);
                cx.out.push(Effect::Fanout { to, message });
            }
            if has_peers {
                let to = receiving_peers(subscription, &mut peers_served);
                if !to.is_empty() {
                    let details = publication.details_for_peers();
                    let message = publication.event(subscription.id, details, false);
                    cx.out.push(Effect::Fanout { to: to.into(), message });
                }
            }
        }
        self.matches = matches;
        if has_peers && publication.options.bool("retain") == Some(true) {
            // A subscriber who comes later may come to any node.
            let to: Vec<SessionKey> =
                cx.members.peers().iter().copied().filter(|peer| !peers_served.contains(peer)).collect();
            if !to.is_empty() {
                let subscription = id_of(IdKind::Subscription, Match::Exact, publication.topic, 0, |_| false);
                let details = publication.details_for_peers();
                let message = publication.event(subscription, details, true);
                cx.out.push(Effect::Fanout { to: to.into(), message });
            }
        }
    }

    /// The clients of one subscription that get the publication. Without lists they are all who have subscribed.
    fn receiving_clients(
        &self,
        members: &Members,
        subscription: &Subscription,
        place: usize,
        publication: &Publication,
    ) -> Receivers {
        let clients = &subscription.clients;
        let is_held_by = |key: SessionKey| self.held.get(&key).is_some_and(|held| held.contains_key(&place));
        let Some(filter) = &publication.filter else {
            let without = publication.excluded.filter(|key| is_held_by(*key));
            return Receivers::all(clients.clone(), without);
        };
        let admitted = |key: &SessionKey| {
            let admits = |member: &Member| member.kind == MemberKind::Client && filter.admits(&member.identity);
            publication.excluded != Some(*key) && members.member(*key).is_some_and(admits)
        };
        match filter.eligible_sessions() {
            // A message to few of very many: to look for those few is quicker than to look at everybody.
            Some(sessions) if sessions.len() < clients.len() => {
                let keys = sessions.iter().filter_map(|session| members.key_of(*session));
                keys.filter(|key| is_held_by(*key)).filter(admitted).collect::<Vec<_>>().into()
            }
            _ => clients.iter().copied().filter(admitted).collect::<Vec<_>>().into(),
        }
    }
}

/// The peers of one subscription that have not got the publication through another: each gets one copy.
fn receiving_peers(subscription: &Subscription, served: &mut Vec<SessionKey>) -> Vec<SessionKey> {
    let to: Vec<SessionKey> = subscription.peers.iter().copied().filter(|peer| !served.contains(peer)).collect();
    served.extend(&to);
    to
}

impl<'a> Publication<'a> {
    fn new(now: Now, source: Source, topic: &'a str, options: &'a Dict, payload: Payload) -> Publication<'a> {
        let mut details = Dict::new();
        let (origin, id, publisher, told) = match source {
            Source::Client { publication, publisher } => (Origin::Client, publication, publisher, None),
            Source::Link(Forwarded { publication, publisher, published, forward_for }) => {
                if let Some(forward_for) = forward_for {
                    details.set("forward_for", forward_for);
                }
                (Origin::Node, publication, publisher, published)
            }
        };
        if let Some(publisher) = publisher {
            details = details
                .with("publisher", publisher.session)
                .with("publisher_authid", publisher.authid)
                .with("publisher_authrole", publisher.authrole);
        }
        for (key, value) in options.pairs().filter(|(key, _)| CARRIED.contains(&&**key)) {
            details.set(key.clone(), value.clone());
        }
        // What is of the future would stay retained until then.
        let told = told.filter(|told| *told <= now.wall.saturating_add(CLOCK_SKEW_MAX));
        let published = told.unwrap_or(Duration::from_micros(micros(now.wall)));
        let (excluded, filter, is_testament) = (None, None, false);
        Publication { id, origin, excluded, topic, options, details, published, payload, filter, is_testament }
    }

    /// The details for one subscription; a subscriber to a pattern is told which topic it was. The last one takes them
    /// along.
    fn details_for(&mut self, policy: Match, is_last: bool) -> Dict {
        let details = if is_last { std::mem::take(&mut self.details) } else { self.details.clone() };
        match policy {
            Match::Exact => details,
            Match::Prefix | Match::Wildcard => details.with("topic", self.topic),
        }
    }

    /// The EVENT for one subscription. The last one takes the payload along.
    fn event(&mut self, subscription: Id, details: Dict, is_last: bool) -> Message {
        let payload =
            if is_last { std::mem::replace(&mut self.payload, Payload::empty()) } else { self.payload.clone() };
        Message::Event { subscription, publication: self.id, details, payload }
    }

    /// A peer matches again against its own sessions, so it gets the topic and the options that say whom it is for.
    pub(super) fn details_for_peers(&self) -> Dict {
        let mut details = Dict::new().with("topic", self.topic);
        if let Some(publisher) = publisher_in(&self.details) {
            details.set("forward_for", Value::List(vec![publisher.hop().into()]));
        }
        for (key, value) in self.options.pairs() {
            if CARRIED.contains(&&**key) || FOR_PEERS.contains(&&**key) {
                details.set(key.clone(), value.clone());
            }
        }
        if self.options.bool("retain") == Some(true) {
            details.set("published_us", micros(self.published));
        }
        if self.is_testament {
            // Peers keep copies of testaments, which are of no use once they have been published.
            details.set("testament", true);
        }
        details
    }
}

/// The publisher that details name, or the options of a link, by which the origin node discloses it.
fn publisher_in(dict: &Dict) -> Option<Publisher> {
    let word = |key| dict.str(key).unwrap_or_default().to_owned();
    let session = dict.uint("publisher")?;
    Some(Publisher { session, authid: word("publisher_authid"), authrole: word("publisher_authrole") })
}

/// Wall time as it is written on links.
pub(crate) fn micros(wall: Duration) -> u64 {
    u64::try_from(wall.as_micros()).unwrap_or(u64::MAX)
}

/// What PUBLISH.Options says to the brokers of other nodes.
const FOR_PEERS: [&str; 7] =
    ["eligible", "eligible_authid", "eligible_authrole", "exclude", "exclude_authid", "exclude_authrole", "retain"];
/// What PUBLISH.Options says to the receivers and not to the router: payload passthru in its two forms, and what
/// deployed routers carry.
const CARRIED: [&str; 8] = [
    "ppt_scheme",
    "ppt_serializer",
    "ppt_cipher",
    "ppt_keyid",
    "enc_algo",
    "enc_key",
    "enc_serializer",
    "transaction_hash",
];
