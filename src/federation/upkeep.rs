//! What links ask one another on their own account: what is retained and who is there when a link comes up, and from
//! time to time whether both ends agree on what is mirrored.

use super::ClusteredRealm;
use super::afterlife::{read_payload, write_payload};
use super::page::Page;
use super::trust::forged;
use crate::limits::DIGEST_PERIOD;
use crate::mesh::{CallOwner, Kind, LinkCall, Pattern, frames, interest};
use crate::realm::Effect;
use crate::realm::broker::{RetainedForPeers, RetainedPlace, micros};
use crate::time::Now;
use crate::wamp::message::code;
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::{Dict, Payload, Value};
use std::time::Duration;

impl ClusteredRealm {
    /// A link that we have dialed has come up.
    pub(super) fn begin_upkeep(&mut self, now: Now, key: SessionKey, out: &mut Vec<Effect>) {
        if let Some(uplink) = self.uplinks.get_mut(&key) {
            uplink.digest_at = now.uptime + DIGEST_PERIOD;
        }
        self.fetch_sessions(key, out);
        self.ask_peer(key, LinkCall::Retained, Vec::new(), out);
    }

    pub(super) fn ask_peer(&mut self, key: SessionKey, call: LinkCall, args: Vec<Value>, out: &mut Vec<Effect>) {
        if let Some(uplink) = self.uplinks.get_mut(&key) {
            let payload = Payload::from_values(args, Dict::new());
            let message = uplink.call(CallOwner::Link(call), call.procedure(), Dict::new(), payload);
            out.push(Effect::Send { to: key, message });
        }
    }

    /// Asks peers for their digests, where it is time.
    pub(super) fn compare_digests(&mut self, now: Now, out: &mut Vec<Effect>) {
        let due: Vec<SessionKey> = self
            .uplinks
            .iter_mut()
            .filter(|(_, uplink)| uplink.digest_at <= now.uptime)
            .map(|(key, uplink)| {
                uplink.digest_at = now.uptime + DIGEST_PERIOD;
                // What is said before the question has arrived before it; what is said after it does not count.
                uplink.digest_asked = Some(uplink.mirror.digest()).filter(|_| uplink.mirror.is_quiet());
                *key
            })
            .collect();
        for key in due {
            self.fetch_if_stale(key, out);
            self.ask_peer(key, LinkCall::Digest, Vec::new(), out);
        }
    }

    /// A call of a peer that is none of the clients' business.
    pub(super) fn handle_link_call(
        &mut self,
        now: Now,
        key: SessionKey,
        request: Id,
        procedure: &str,
        payload: &Payload,
        out: &mut Vec<Effect>,
    ) {
        let args = match procedure {
            frames::DIGEST => {
                vec![interest::digest(self.held_by(key).iter()).into(), self.broker().retained_digest().into()]
            }
            frames::RESET => {
                self.realm.reset_link(now, key, out);
                Vec::new()
            }
            frames::SESSIONS => self.sessions_page(key, payload, out),
            frames::HOLDINGS => self.holdings_page(payload, out),
            frames::RETAINED => self.retained_page(payload, out),
            frames::REPLAYED => {
                self.note_all_heard(key);
                Vec::new()
            }
            _ => {
                let sentence = format!("{procedure} is unknown to this version");
                let message = Message::error(code::CALL, request, error::NO_SUCH_PROCEDURE, sentence);
                return out.push(Effect::Send { to: key, message });
            }
        };
        let payload = Payload::from_values(args, Dict::new());
        out.push(Effect::Send { to: key, message: Message::Result { request, details: Dict::new(), payload } });
    }

    /// The answer to a call of a link.
    pub(super) fn handle_peer_answer(
        &mut self,
        now: Now,
        key: SessionKey,
        call: LinkCall,
        result: Result<Payload, (String, Payload)>,
        out: &mut Vec<Effect>,
    ) {
        let payload = match result {
            Ok(payload) => payload,
            Err(_) => return self.handle_failed_page(key, call),
        };
        let args = payload.args().unwrap_or_default();
        match call {
            LinkCall::Sessions => self.handle_sessions_page(now, key, args, out),
            LinkCall::Holdings => self.handle_holdings_page(now, key, args, out),
            LinkCall::Retained => self.handle_retained_page(now, key, args, out),
            LinkCall::Digest => {
                self.compare_retained(key, args.get(1).and_then(Value::as_uint).unwrap_or_default(), out);
                let Some(uplink) = self.uplinks.get_mut(&key) else { return };
                let ours = uplink.digest_asked.take();
                if ours.is_some() && ours != args.first().and_then(Value::as_uint) {
                    self.ask_peer(key, LinkCall::Reset, Vec::new(), out);
                    if let Some(uplink) = self.uplinks.get_mut(&key) {
                        uplink.forget_mirror();
                    }
                    self.begin_replay(key, out);
                }
            }
            LinkCall::Reset | LinkCall::Replayed => {}
        }
    }

    /// One page of what is retained here, for a peer: what comes after the place that it names.
    fn retained_page(&self, payload: &Payload, out: &mut Vec<Effect>) -> Vec<Value> {
        let after = payload.args().ok().and_then(|args| read_place(&args));
        let (mut page, mut last) = (Page::default(), after.clone());
        for RetainedForPeers { place, details, payload } in self.broker().retained_after(after.as_ref()) {
            let entry = Value::List(vec![place.publication.into(), details.into(), write_payload(&payload)]);
            if !page.push(entry) {
                return page.finish(last.map_or(Value::Null, write_place), out);
            }
            last = Some(place);
        }
        page.finish(Value::Null, out)
    }

    /// A page of what a peer retains has come: the newer of the two stays, and the next page is asked for.
    fn handle_retained_page(&mut self, now: Now, key: SessionKey, args: Vec<Value>, out: &mut Vec<Effect>) {
        for event in args.first().and_then(Value::as_list).unwrap_or_default() {
            let Some([Value::Uint(publication), Value::Dict(details), payload]) = event.as_list() else { continue };
            let Some(payload) = read_payload(payload, details) else { continue };
            let Some(uplink) = self.uplinks.get(&key) else { return };
            let (topic, options) = uplink.publish_options(details.clone(), *publication);
            let node = uplink.node.clone();
            if !self.admits_retained(&node, &topic, &options) {
                let sentence = format!("an event that {node} retains is not of its clients");
                out.push(forged(key, "retain", &topic, sentence));
                continue;
            }
            self.realm.merge_retained(now, &topic, &options, payload, out);
        }
        if let Some(Value::List(more)) = args.into_iter().nth(1) {
            self.ask_peer(key, LinkCall::Retained, more, out);
        }
    }

    /// What both ends retain may differ for good: an event reached one of them only, and its own node is dead. If they
    /// differ, and have not changed since they were compared before, nothing is on its way that would mend it.
    fn compare_retained(&mut self, key: SessionKey, theirs: u64, out: &mut Vec<Effect>) {
        let ours = self.broker().retained_digest();
        let Some(uplink) = self.uplinks.get_mut(&key) else { return };
        let now = (ours, theirs);
        let before = std::mem::replace(&mut uplink.retained, now);
        // Where it has been fetched and the two still differ, one node refuses what the other retains.
        if ours != theirs && before == now && uplink.retained_fetched.replace(now) != Some(now) {
            self.ask_peer(key, LinkCall::Retained, Vec::new(), out);
        }
    }

    /// All that a peer has on this node.
    fn held_by(&self, key: SessionKey) -> Vec<Pattern> {
        let topics = self.realm.broker().held_by(key).map(|found| (Kind::Topic, found.policy, found.uri.clone()));
        let procedures =
            self.realm.dealer().held_by(key).map(|found| (Kind::Procedure, found.policy, found.uri.clone()));
        topics.chain(procedures).map(|(kind, policy, uri)| Pattern { kind, policy, uri }).collect()
    }
}

fn read_place(told: &[Value]) -> Option<RetainedPlace> {
    let [topic, published_us, publication] = told else { return None };
    let (topic, published) = (topic.as_str()?.to_owned(), Duration::from_micros(published_us.as_uint()?));
    Some(RetainedPlace { topic, published, publication: publication.as_uint()? })
}

fn write_place(RetainedPlace { topic, published, publication }: RetainedPlace) -> Value {
    Value::List(vec![topic.into(), micros(published).into(), publication.into()])
}
