//! The meta API of the whole cluster: the node that is called answers for its own clients, asks all peers for theirs,
//! and puts the answers together. A peer that does not answer in time is left out.
//!
//! What one session asks fills no link: from a number of questions on, the next messages of the session wait.

use super::merge::{Answer, merge, most_telling};
use super::{ClusteredRealm, parts};
use crate::kept::Kind;
use crate::limits::{ANSWERS_BYTES_MAX, GATHER_TIMEOUT, GATHERS_PER_SESSION_MAX};
use crate::mesh::CallOwner;
use crate::realm::Effect;
use crate::realm::effect::SharedCall;
use crate::realm::ledger::Ledger;
use crate::realm::meta::Merge;
use crate::time::Now;
use crate::wamp::message::code;
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::{Dict, Payload, Value, allocated};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The calls that wait for peers, by token: in the order in which their time ends.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    by_token: BTreeMap<u64, Gather>,
    n_begun: u64,
    /// How many of them each session has.
    n_of_session: BTreeMap<SessionKey, usize>,
}

#[derive(Debug)]
struct Gather {
    session: SessionKey,
    request: Id,
    procedure: String,
    how: Merge,
    /// Those of `wamp.subscription.get_events` matter after the answers have come, too.
    payload: Payload,
    /// The id of this node.
    node: String,
    /// By node.
    answers: BTreeMap<String, Answer>,
    /// The node of the session that the call is about, where that is known. What others say of it does not count.
    owner: Option<String>,
    /// What all answers have together, as they were sent.
    told_bytes: usize,
    /// What has come of the answers that come in parts.
    parts: BTreeMap<SessionKey, Vec<Value>>,
    waiting: BTreeSet<SessionKey>,
    deadline: Duration,
    /// The bytes that the ledger has charged its session with for this gathering.
    charged: usize,
}

impl Gathering {
    fn insert(&mut self, token: u64, gather: Gather, out: &mut Vec<Effect>) {
        let n = self.n_of_session.entry(gather.session).or_default();
        *n += 1;
        if *n == GATHERS_PER_SESSION_MAX {
            out.push(Effect::Suspend { session: gather.session });
        }
        self.by_token.insert(token, gather);
    }

    /// Takes a call out. Gives also whether its session has waited for that.
    fn remove(&mut self, token: u64) -> Option<(Gather, bool)> {
        let gather = self.by_token.remove(&token)?;
        let n = self.n_of_session.get_mut(&gather.session)?;
        let has_waited = *n == GATHERS_PER_SESSION_MAX;
        *n -= 1;
        if *n == 0 {
            self.n_of_session.remove(&gather.session);
        }
        Some((gather, has_waited))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_token.is_empty()
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.by_token.values().next().map(|gather| gather.deadline)
    }
}

impl ClusteredRealm {
    /// Answers a call of the meta API that a client may make.
    pub(super) fn begin_gather(&mut self, now: Now, call: SharedCall, out: &mut Vec<Effect>) {
        let SharedCall { session, request, procedure, payload, how } = call;
        let caller = self.members().member(session).map(|member| member.identity.clone());
        let own = self.realm.answer_meta(now, session, &procedure, &payload, out);
        let own = own.map_err(|refusal| {
            (refusal.error.to_owned(), Payload::from_values(vec![refusal.sentence.into()], Dict::new()))
        });
        if how == Merge::Any && own.is_ok() {
            return answer(session, request, &procedure, own, out);
        }
        let hop = caller.map(|caller| {
            Dict::new()
                .with("session", caller.session)
                .with("authid", caller.authid)
                .with("authrole", caller.authrole)
                .into()
        });
        let options = Dict::new().with("forward_for", Value::List(hop.into_iter().collect()));
        let token = self.gathering.n_begun;
        self.gathering.n_begun += 1;
        let mut waiting = BTreeSet::new();
        for (to, uplink) in &mut self.uplinks {
            let message = uplink.call(CallOwner::Meta(token), &procedure, options.clone(), payload.clone());
            out.push(Effect::Send { to: *to, message });
            waiting.insert(*to);
        }
        let deadline = now.uptime + GATHER_TIMEOUT;
        let (node, parts) = (self.node.clone(), BTreeMap::new());
        let answers = BTreeMap::from([(node.clone(), own)]);
        let owner = session_in_question(&procedure, &payload).and_then(|id| self.afterlife.owner(id));
        let owner = owner.map(str::to_owned);
        let bytes = GATHER_BYTES
            + allocated(procedure.len())
            + payload.heap_bytes()
            + answers.values().map(answer_bytes).sum::<usize>();
        let (told_bytes, charged) = (0, 0);
        let mut gather = Gather {
            session,
            request,
            procedure,
            how,
            payload,
            node,
            answers,
            owner,
            told_bytes,
            parts,
            waiting,
            deadline,
            charged,
        };
        gather.charge(self.realm.ledger_mut(), bytes);
        self.gathering.insert(token, gather, out);
        self.finish_gather_if_whole(token, out);
    }

    /// A peer has answered.
    pub(super) fn handle_gathered(
        &mut self,
        token: u64,
        peer: SessionKey,
        result: Result<Payload, (String, Payload)>,
        out: &mut Vec<Effect>,
    ) {
        let Some(gather) = self.gathering.by_token.get_mut(&token) else { return };
        if gather.waiting.remove(&peer) {
            let Some(node) = self.uplinks.get(&peer).map(|uplink| uplink.node.clone()) else { return };
            let before = gather.parts.remove(&peer);
            let is_flat = gather.how == Merge::Events;
            let answer = result.and_then(|payload| {
                gather.count(&payload)?;
                let mut whole = before.unwrap_or_default();
                parts::join(&mut whole, payload.args().unwrap_or_default(), is_flat);
                Ok(whole)
            });
            gather.charge(self.realm.ledger_mut(), answer_bytes(&answer));
            if gather.owner.as_ref().is_none_or(|owner| *owner == node) {
                gather.answers.insert(node, answer);
            }
            self.finish_gather_if_whole(token, out);
        }
    }

    /// A peer has sent a part of its answer.
    pub(super) fn handle_gathered_part(
        &mut self,
        token: u64,
        peer: SessionKey,
        payload: &Payload,
        out: &mut Vec<Effect>,
    ) {
        let gather = self.gathering.by_token.get_mut(&token);
        let Some(gather) = gather.filter(|gather| gather.waiting.contains(&peer)) else { return };
        match gather.count(payload) {
            Ok(()) => {
                gather.charge(self.realm.ledger_mut(), payload.heap_bytes());
                let whole = gather.parts.entry(peer).or_default();
                parts::join(whole, payload.args().unwrap_or_default(), gather.how == Merge::Events);
            }
            Err(refusal) => self.handle_gathered(token, peer, Err(refusal), out),
        }
    }

    /// A peer is gone, or a client: nobody waits for the one nor answers the other.
    pub(super) fn forget_in_gathers(&mut self, key: SessionKey, out: &mut Vec<Effect>) {
        let ledger = self.realm.ledger_mut();
        self.gathering.by_token.retain(|_, gather| {
            if gather.session == key {
                gather.discharge(ledger);
            }
            gather.session != key
        });
        self.gathering.n_of_session.remove(&key);
        let waits = |gather: &mut Gather| gather.waiting.remove(&key);
        let with = self.gathering.by_token.iter_mut().filter_map(|(token, gather)| waits(gather).then_some(*token));
        for token in with.collect::<Vec<_>>() {
            self.finish_gather_if_whole(token, out);
        }
    }

    /// Answers with what there is when the time has come.
    pub(super) fn finish_overdue_gathers(&mut self, now: Now, out: &mut Vec<Effect>) {
        while let Some((token, gather)) = self.gathering.by_token.first_key_value()
            && gather.deadline <= now.uptime
        {
            self.finish_gather(*token, out);
        }
    }

    fn finish_gather_if_whole(&mut self, token: u64, out: &mut Vec<Effect>) {
        if self.gathering.by_token.get(&token).is_some_and(|gather| gather.waiting.is_empty()) {
            self.finish_gather(token, out);
        }
    }

    fn finish_gather(&mut self, token: u64, out: &mut Vec<Effect>) {
        let Some((gather, has_waited)) = self.gathering.remove(token) else { return };
        let session = gather.session;
        gather.discharge(self.realm.ledger_mut());
        gather.finish(out);
        if has_waited && !self.realm.is_asking(session) {
            out.push(Effect::Resume { session });
        }
    }
}

impl Gather {
    fn charge(&mut self, ledger: &mut Ledger, bytes: usize) {
        ledger.recount(Kind::Requests, Some(self.session), 0, bytes);
        self.charged += bytes;
    }

    fn discharge(&self, ledger: &mut Ledger) {
        ledger.recount(Kind::Requests, Some(self.session), self.charged, 0);
    }

    /// Counts what a peer has sent. The error says that it is too much to be put together.
    fn count(&mut self, payload: &Payload) -> Result<(), (String, Payload)> {
        self.told_bytes += payload.len();
        match self.told_bytes > ANSWERS_BYTES_MAX {
            true => {
                let sentence = format!("the nodes answer with more than {ANSWERS_BYTES_MAX} bytes");
                let payload = Payload::from_values(vec![sentence.into()], Dict::new());
                Err((error::PAYLOAD_SIZE_EXCEEDED.to_owned(), payload))
            }
            false => Ok(()),
        }
    }

    fn finish(self, out: &mut Vec<Effect>) {
        let Gather { session, request, procedure, how, payload, node, mut answers, parts, .. } = self;
        if !parts.is_empty() {
            let refusal = Payload::from_values(vec!["an answer did not come to its end in time".into()], Dict::new());
            answers.insert(String::new(), Err((error::NETWORK_FAILURE.to_owned(), refusal)));
        }
        let own = answers.get(&node).and_then(|own| own.as_ref().ok()).filter(|_| how.prefers_own());
        let own = own.cloned().unwrap_or_default();
        let (good, mut bad): (Vec<Answer>, Vec<Answer>) = answers.into_values().partition(Result::is_ok);
        if let Some(index) = bad.iter().position(is_missing).filter(|_| how.joins()) {
            // What could not be brought here is part of the answer, which must not look as if it were whole.
            return answer(session, request, &procedure, bad.swap_remove(index), out);
        }
        let good: Vec<Vec<Value>> = good.into_iter().flatten().collect();
        let merged = if good.is_empty() { Err(most_telling(bad)) } else { Ok(merge(how, &own, good, &payload)) };
        answer(session, request, &procedure, merged, out);
    }
}

/// The memory that an answer takes.
fn answer_bytes(answer: &Answer) -> usize {
    match answer {
        Ok(args) => args.iter().map(|arg| size_of::<Value>() + arg.heap_bytes()).sum(),
        Err((error, payload)) => allocated(error.len()) + payload.heap_bytes(),
    }
}

/// A gathering's place, and those of the first answers and of the peers that are waited for.
const GATHER_BYTES: usize = 1 << 10;

/// Whether a node had an answer that its link did not carry.
fn is_missing(answer: &Answer) -> bool {
    matches!(answer, Err((error, _)) if error == error::PAYLOAD_SIZE_EXCEEDED || error == error::NETWORK_FAILURE)
}

/// The session that a call is about.
fn session_in_question(procedure: &str, payload: &Payload) -> Option<Id> {
    let place = match procedure {
        "wamp.session.get" | "wamp.session.kill" => 0,
        "wamp.registration.remove_callee" | "wamp.subscription.remove_subscriber" => 1,
        _ => return None,
    };
    payload.args().ok()?.get(place)?.as_uint()
}

/// Answers a call. Of a refusal the operator of the caller's node is told, too.
fn answer(to: SessionKey, request: Id, procedure: &str, answer: Answer, out: &mut Vec<Effect>) {
    if let Err((error, payload)) = &answer {
        let args = payload.args().unwrap_or_default();
        let sentence = args.first().and_then(Value::as_str).unwrap_or(error);
        out.extend(Effect::refused(to, "call", procedure, error, sentence));
    }
    let details = Dict::new();
    let message = match answer {
        Ok(args) => Message::Result { request, details, payload: Payload::from_values(args, Dict::new()) },
        Err((error, payload)) => Message::Error { request_type: code::CALL, request, details, error, payload },
    };
    out.push(Effect::Send { to, message });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a caller hears of a listing for which another node says this.
    fn answered(how: Merge, other: Answer) -> Message {
        let own = Ok(vec![Value::List(vec![7u64.into()])]);
        let answers = BTreeMap::from([("edge1".to_owned(), own), ("edge2".to_owned(), other)]);
        let gather = Gather {
            session: SessionKey(1),
            request: 1,
            procedure: "wamp.session.list".to_owned(),
            how,
            payload: Payload::empty(),
            node: "edge1".to_owned(),
            answers,
            owner: None,
            told_bytes: 0,
            parts: BTreeMap::new(),
            waiting: BTreeSet::new(),
            deadline: Duration::ZERO,
            charged: 0,
        };
        let mut out = Vec::new();
        gather.finish(&mut out);
        let Some(Effect::Send { message, .. }) = out.pop() else { panic!("a caller is answered") };
        message
    }

    #[test]
    fn a_listing_without_a_part_that_no_link_carried_is_an_error() {
        let refused = |error: &str| Err((error.to_owned(), Payload::empty()));
        let too_large = answered(Merge::List, refused(error::PAYLOAD_SIZE_EXCEEDED));
        assert!(matches!(too_large, Message::Error { error, .. } if error == error::PAYLOAD_SIZE_EXCEEDED));
        let unknown = answered(Merge::List, refused(error::NO_SUCH_SUBSCRIPTION));
        assert!(matches!(unknown, Message::Result { .. }), "whoever has none adds nothing");
        let found = answered(Merge::NotNull, refused(error::NETWORK_FAILURE));
        assert!(matches!(found, Message::Result { .. }), "one answer is enough");
    }
}
