//! The way of a message through the realm: is its URI one, may its sender do this, and who handles it.
//!
//! Where a dynamic authorizer has to be asked, the message is kept and its session suspended; it goes on from the same
//! place when the answer has come. The sessions that answer for an authorizer need a role of their own with static
//! rules.

use super::authorize::{Demand, Question, Verdict};
use super::dealer::{Answer, Caller, send_answer};
use super::effect::{CallError, SharedCall};
use super::ids::Asked;
use super::meta::{self, Reply};
use super::{Action, Context, Desks, Effect, MemberKind};
use crate::wamp::message::code;
use crate::wamp::uri::{Match, is_reserved, n_components};
use crate::wamp::{Identity, Message, SessionKey, error, options};
use crate::wire::{Dict, Payload};
use std::time::Duration;

impl Desks {
    pub(super) fn handle_message(&mut self, cx: &mut Context, key: SessionKey, message: Message) {
        let Some(member) = cx.members.member(key) else { return };
        if member.ending.is_some() {
            return;
        }
        let kind = member.kind;
        match message {
            Message::Publish { .. } | Message::Subscribe { .. } | Message::Register { .. } => {
                self.handle_request(cx, key, kind, message);
            }
            Message::Call { request, options, procedure, payload } => {
                if self.dealer.begins_call(key, request, &options) {
                    if self.dealer.is_departing(key) {
                        return;
                    }
                    self.handle_request(cx, key, kind, Message::Call { request, options, procedure, payload });
                } else {
                    self.dealer.handle_continuation(cx, key, request, options, procedure, payload);
                }
            }
            Message::Unsubscribe { request, subscription, .. } => {
                self.broker.handle_unsubscribe(cx, key, request, subscription);
            }
            Message::Unregister { request, registration, .. } => {
                self.dealer.handle_unregister(cx, key, request, registration);
            }
            Message::Cancel { request, options } => self.dealer.handle_cancel(cx, key, request, options),
            Message::Yield { request, options, payload } => {
                self.dealer.handle_yield(cx, key, request, options, payload)
            }
            Message::Error { request_type: code::INVOCATION, request, details, error, payload } => {
                self.dealer.handle_error(cx, key, request, details, error, payload);
            }
            // Acknowledgement by receivers is not announced; deployed clients send it all the same.
            Message::EventReceived { .. } => {}
            _ => {
                let sentence = format!("message {} is not for a client to send in a realm", message.code());
                cx.out.push(Effect::Abort { session: key, reason: error::PROTOCOL_VIOLATION, sentence });
            }
        }
    }

    /// A call that the router makes itself: one of the program, or a question of the realm to an authorizer.
    pub(super) fn handle_router_call(
        &mut self,
        cx: &mut Context,
        caller: Caller,
        procedure: &str,
        payload: Payload,
        timeout: Duration,
    ) {
        if is_reserved(procedure) {
            let result = meta::answer(self, cx, meta::Asker::default(), procedure, &payload);
            let answer = match result {
                Ok(args) => Answer::result(args),
                Err(refusal) => Answer::error(refusal.error, &refusal.sentence),
            };
            send_answer(cx, caller, 1, answer);
        } else {
            let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            let options = Dict::new().with("timeout", timeout_ms);
            self.dealer.handle_call(cx, caller, 1, options, procedure.to_owned(), payload, false);
        }
    }

    /// An authorizer has answered (or failed): the message that waited goes on.
    pub(super) fn handle_authorizer_answer(
        &mut self,
        cx: &mut Context,
        token: u64,
        result: Result<Payload, CallError>,
    ) {
        let Some(result) = self.handle_reviewed(cx, token, result) else { return };
        let Some((question, verdict)) = self.authority.handle_answer(cx, token, result) else { return };
        let Question { session, asker, mut message, options, demand } = question;
        // What was encoded here can be read.
        swap_options(&mut message, options.kwargs().unwrap_or_default());
        match verdict {
            Verdict::Granted { disclosed } if demand.action == first_action(&message) => {
                self.handle_granted(cx, session, asker, message, disclosed);
            }
            verdict => self.handle_verdict(cx, session, asker, message, verdict),
        }
        if !self.authority.is_asking(session) {
            cx.out.push(Effect::Resume { session });
        }
    }

    /// PUBLISH, SUBSCRIBE, CALL and REGISTER: what needs a URI and a permission.
    fn handle_request(&mut self, cx: &mut Context, key: SessionKey, kind: MemberKind, message: Message) {
        let (action, uri, policy) = match demand_of(&message) {
            Ok(demand) => demand,
            Err(sentence) => return refuse(cx, key, &message, error::INVALID_ARGUMENT, sentence),
        };
        if let Err(sentence) = check_uri(cx, kind, action, uri, policy) {
            return refuse(cx, key, &message, error::INVALID_URI, sentence);
        }
        let asker = match (&message, kind) {
            (_, MemberKind::Client) => None,
            // What the meta API tells or does here, this node has to permit.
            (Message::Call { options, procedure, .. }, _) if is_reserved(procedure) => {
                match on_behalf_of(cx, key, options) {
                    None => {
                        let sentence = "forward_for of a link does not name the client that asks".to_owned();
                        return refuse(cx, key, &message, error::NOT_AUTHORIZED, sentence);
                    }
                    asker => asker,
                }
            }
            // The node at the other end has authorized what its clients publish and call.
            _ => return self.execute(cx, key, message, true),
        };
        if let Err(sentence) = self.check_shape(cx, action, uri, policy) {
            return refuse(cx, key, &message, error::LIMIT_EXCEEDED, sentence);
        }
        match self.judge(cx, key, asker.as_deref(), action, uri, policy) {
            Verdict::Granted { disclosed } => self.handle_granted(cx, key, asker, message, disclosed),
            verdict => self.handle_verdict(cx, key, asker, message, verdict),
        }
        if kind == MemberKind::Client && self.authority.is_asking(key) {
            cx.out.push(Effect::Suspend { session: key });
        }
    }

    /// Whether the realm has room for a pattern of this shape: each makes every search for a URI of as many components
    /// a little longer, so their number is bounded. The error is a sentence for the sender.
    fn check_shape(&self, cx: &Context, action: Action, uri: &str, policy: Match) -> Result<(), String> {
        let probes = match action {
            Action::Subscribe => self.broker.probes_with(uri, policy),
            Action::Register => self.dealer.probes_with(uri, policy),
            Action::Publish | Action::Call => 0,
        };
        let probes_max = cx.config.limits.wildcard_shapes_max;
        if probes > probes_max {
            return Err(format!(
                "the wildcard patterns of {} components have wildcard_shapes_max = {probes_max} different shapes",
                n_components(uri)
            ));
        }
        Ok(())
    }

    /// What the role of `asker`, the client for which a link asks, or else of the session itself says to a demand.
    pub(super) fn judge(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        asker: Option<&Identity>,
        action: Action,
        uri: &str,
        policy: Match,
    ) -> Verdict {
        let own = || cx.members.member(key).map(|member| &member.identity);
        self.authority.judge(cx.now, cx.ledger, asker.or_else(own), action, uri, policy)
    }

    /// The message's first demand was granted. Few calls of the meta API make a second one, on a URI in their
    /// arguments.
    fn handle_granted(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        asker: Option<Box<Identity>>,
        message: Message,
        disclosed: bool,
    ) {
        let further = match &message {
            Message::Call { procedure, payload, .. } if is_reserved(procedure) => {
                meta::further_demand(&self.broker, procedure, payload)
            }
            _ => None,
        };
        match further {
            None => self.execute(cx, key, message, disclosed),
            Some(demand) => {
                let verdict = self.judge(cx, key, asker.as_deref(), demand.action, &demand.uri, demand.policy);
                self.handle_verdict(cx, key, asker, message, verdict);
            }
        }
    }

    fn handle_verdict(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        asker: Option<Box<Identity>>,
        message: Message,
        verdict: Verdict,
    ) {
        match verdict {
            Verdict::Granted { disclosed } => self.execute(cx, key, message, disclosed),
            Verdict::Refused { error, sentence } => refuse(cx, key, &message, error, sentence),
            Verdict::Ask { procedure, demand } => self.ask(cx, key, asker, message, procedure, demand),
        }
    }

    /// Keeps the message and calls the authorizer.
    fn ask(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        asker: Option<Box<Identity>>,
        mut message: Message,
        procedure: String,
        demand: Demand,
    ) {
        let registration = self.dealer.best_match(&procedure);
        if registration.is_some_and(|registration| registration.client_callees().eq([key])) {
            // It would wait for its own answer, which is not read while it waits.
            let sentence = format!("the session is itself the authorizer {procedure:?} and cannot be asked");
            return refuse(cx, key, &message, error::AUTHORIZATION_FAILED, sentence);
        }
        let Some(member) = cx.members.member(key) else { return };
        let args = vec![
            meta::session_details(asker.as_deref().unwrap_or(&member.identity)).into(),
            demand.uri.as_str().into(),
            demand.action.name().into(),
            options_of(&message).into(),
        ];
        let options = Payload::from_values(Vec::new(), swap_options(&mut message, Dict::new()));
        let question = Question { session: key, asker, message, options, demand };
        let payer = (member.kind == MemberKind::Client).then_some(key);
        if let Err(sentence) = cx.ledger.admit(&cx.config.limits, payer, question.bytes()) {
            let Question { mut message, options, .. } = question;
            swap_options(&mut message, options.kwargs().unwrap_or_default());
            return refuse(cx, key, &message, error::LIMIT_EXCEEDED, sentence);
        }
        let token = self.authority.ask(cx.ledger, question);
        let timeout = cx.config.limits.authorizer_timeout;
        let payload = Payload::from_values(args, Dict::new());
        self.handle_router_call(cx, Caller::Authority(token), &procedure, payload, timeout);
    }

    /// Does what was asked. All checks have been passed.
    fn execute(&mut self, cx: &mut Context, key: SessionKey, message: Message, disclosed: bool) {
        match message {
            Message::Publish { request, options, topic, payload } => {
                self.broker.handle_publish(cx, key, request, &options, &topic, payload, disclosed);
            }
            Message::Subscribe { .. } if must_settle(cx, key) => cx.out.push(to_settle(key, message)),
            Message::Register { ref options, ref procedure, .. } if must_settle(cx, key) => {
                match self.dealer.admits(procedure, options) {
                    Ok(()) => cx.out.push(to_settle(key, message)),
                    Err((error, sentence)) => refuse(cx, key, &message, error, sentence),
                }
            }
            Message::Subscribe { .. } | Message::Register { .. } => {
                self.settle(cx, key, message, Asked { wall: cx.now.wall, generation: None });
            }
            Message::Call { request, options, procedure, payload } if is_reserved(&procedure) => {
                let asker =
                    meta::Asker { session: Some(key), on_behalf_of: on_behalf_of(cx, key, &options), disclosed };
                let is_shared = must_settle(cx, key);
                match meta::reply(self, cx, asker, &procedure, &payload, is_shared) {
                    Reply::Now(Ok(args)) => send_answer(cx, Caller::Session(key), request, Answer::result(args)),
                    Reply::Now(Err(meta::Refusal { error, sentence })) => {
                        cx.out.extend(Effect::refused(key, "call", &procedure, error, &sentence));
                        send_answer(cx, Caller::Session(key), request, Answer::error(error, &sentence));
                    }
                    Reply::Later(how) => {
                        let call = SharedCall { session: key, request, procedure, payload, how };
                        cx.out.push(Effect::Gather(call));
                    }
                }
            }
            Message::Call { request, options, procedure, payload } => {
                let caller = Caller::Session(key);
                self.dealer.handle_call(cx, caller, request, options, procedure, payload, disclosed);
            }
            // `demand_of` has let no other message pass.
            _ => {}
        }
    }

    /// Carries out a SUBSCRIBE or REGISTER.
    pub(super) fn settle(&mut self, cx: &mut Context, key: SessionKey, message: Message, asked: Asked) {
        if must_settle(cx, key)
            && let Ok((action, uri, policy)) = demand_of(&message)
            && let Err(sentence) = self.check_shape(cx, action, uri, policy)
        {
            // While the peers were asked, others have got what there was room for.
            return refuse(cx, key, &message, error::LIMIT_EXCEEDED, sentence);
        }
        let demand = |(action, uri, policy): (Action, &str, Match)| Demand { action, uri: uri.to_owned(), policy };
        let late = self.reviews.concern(asked.wall).then(|| demand_of(&message).map(demand).ok()).flatten();
        match message {
            Message::Subscribe { request, options, topic } => {
                self.broker.handle_subscribe(cx, key, request, &options, &topic, asked);
            }
            Message::Register { request, options, procedure } => {
                self.dealer.handle_register(cx, key, request, options, procedure, asked);
            }
            // `execute` has no other message settle.
            _ => {}
        }
        if let Some(demand) = late {
            self.review_late(cx, key, &demand);
        }
    }
}

/// For which client of another node a link asks.
fn on_behalf_of(cx: &Context, key: SessionKey, options: &Dict) -> Option<Box<Identity>> {
    let link = cx.members.member(key).filter(|member| member.kind != MemberKind::Client)?;
    let client = options.list("forward_for")?.first()?.as_dict()?;
    let mut identity = Box::new(link.identity.clone());
    identity.session = client.uint("session")?;
    identity.authid = client.str("authid")?.to_owned();
    identity.authrole = client.str("authrole")?.to_owned();
    Some(identity)
}

/// Whether other nodes have to agree to what this member asks for.
fn must_settle(cx: &Context, key: SessionKey) -> bool {
    cx.members.is_linked() && cx.members.member(key).is_some_and(|member| member.kind == MemberKind::Client)
}

/// What a message asks to do: the action, the URI, and how that is to be taken.
fn demand_of(message: &Message) -> Result<(Action, &str, Match), String> {
    let action = first_action(message);
    match message {
        Message::Publish { topic, .. } => Ok((action, topic, Match::Exact)),
        Message::Subscribe { options, topic, .. } => Ok((action, topic, policy_of(options)?)),
        Message::Register { options, procedure, .. } => Ok((action, procedure, policy_of(options)?)),
        Message::Call { procedure, .. } => Ok((action, procedure, Match::Exact)),
        _ => Err(format!("message {} asks for nothing that needs a permission", message.code())),
    }
}

fn first_action(message: &Message) -> Action {
    match message {
        Message::Publish { .. } => Action::Publish,
        Message::Subscribe { .. } => Action::Subscribe,
        Message::Register { .. } => Action::Register,
        _ => Action::Call,
    }
}

fn policy_of(options: &Dict) -> Result<Match, String> {
    match options.str("match") {
        None => Ok(Match::Exact),
        Some(name) => {
            Match::from_name(name).ok_or_else(|| format!("match is {name:?}, expected exact, prefix or wildcard"))
        }
    }
}

fn options_of(message: &Message) -> Dict {
    match message {
        Message::Publish { options, .. }
        | Message::Subscribe { options, .. }
        | Message::Register { options, .. }
        | Message::Call { options, .. } => options.clone(),
        _ => Dict::new(),
    }
}

fn options_mut(message: &mut Message) -> Option<&mut Dict> {
    match message {
        Message::Publish { options, .. }
        | Message::Subscribe { options, .. }
        | Message::Register { options, .. }
        | Message::Call { options, .. } => Some(options),
        _ => None,
    }
}

/// The same message with other options, and those that it had.
fn swap_options(message: &mut Message, options: Dict) -> Dict {
    options_mut(message).map(|old| std::mem::replace(old, options)).unwrap_or_default()
}

/// A SUBSCRIBE or REGISTER that waits for peers, without what nobody looks at then.
fn to_settle(session: SessionKey, mut message: Message) -> Effect {
    let code = message.code();
    if let Some(options) = options_mut(&mut message) {
        options::forget_unknown(code, options);
    }
    Effect::Settle { session, message }
}

/// Whether the URI may stand where it stands. The error is a sentence for the sender.
fn check_uri(cx: &Context, kind: MemberKind, action: Action, uri: &str, policy: Match) -> Result<(), String> {
    let bytes_max = cx.config.limits.uri_bytes_max;
    if uri.len() > bytes_max {
        return Err(format!("the URI has {} bytes, uri_bytes_max is {bytes_max}", uri.len()));
    }
    let components_max = cx.config.limits.uri_components_max;
    if n_components(uri) > components_max {
        return Err(format!("the URI has {} components, uri_components_max is {components_max}", n_components(uri)));
    }
    if !cx.config.uri_check.is_pattern(uri, policy) {
        return Err(format!("{uri:?} is not a URI for match policy {}", policy.name()));
    }
    let makes = matches!(action, Action::Publish | Action::Register);
    if makes && is_reserved(uri) && kind == MemberKind::Client {
        return Err(format!("{uri:?} is reserved for the router"));
    }
    Ok(())
}

/// Answers a request with an ERROR; a PUBLISH only if it wants to know. The operator is told in any case.
fn refuse(cx: &mut Context, key: SessionKey, message: &Message, error: &str, sentence: String) {
    let (action, uri) = message.asks_for().unwrap_or_default();
    let request = match message {
        Message::Publish { options, .. } if options.bool("acknowledge") != Some(true) => {
            return cx.out.push(Effect::publish_refused(key, uri, &sentence));
        }
        Message::Publish { request, .. }
        | Message::Subscribe { request, .. }
        | Message::Register { request, .. }
        | Message::Call { request, .. } => *request,
        // Nobody waits for the answer to another message.
        _ => return,
    };
    cx.out.extend(Effect::refused(key, action, uri, error, &sentence));
    cx.out.push(Effect::Send { to: key, message: Message::error(message.code(), request, error, sentence) });
}
