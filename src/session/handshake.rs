//! From HELLO on: which method, and whose turn it is. What has to be proved is `challenge`'s business, and what comes
//! of it then is `welcome`'s.

use super::admission::{Anonymous, Authenticator, Grant, Principal, Source};
use super::authenticator::{Answer, Question};
use super::challenge::{Challenge, Claim, Introduction, Proof, cryptosign_principal, wampcra_principal};
use super::penalties::Culprit;
use super::standing::{DYNAMIC, Fingerprint, STATIC};
use super::{Context, Session, State, Step};
use crate::auth::{Secret, mutual, wampcra};
use crate::drop::{DropReason, Refused};
use crate::limits::{AUTHEXTRA_BYTES_MAX, AUTHEXTRA_MEMORY_MAX, ID_MAX};
use crate::wamp::{Id, Message, error, feature::Features, uri::UriCheck};
use crate::wire::{Dict, Value};
use rand::{CryptoRng, RngExt};
use std::time::Duration;

/// What is known of a peer that has said HELLO and is not admitted yet.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) realm: String,
    /// Chosen at HELLO, because it is part of what is signed.
    pub(super) session: Id,
    pub(super) method: Method,
    /// Who the peer says it is; cryptosign also finds it by the key.
    pub(super) authid: Option<String>,
    pub(super) authprovider: &'static str,
    pub(super) authextra: Dict,
    pub(super) features: Features,
    /// What was proved, of a principal.
    pub(super) proved: Option<Box<Fingerprint>>,
    stage: Stage,
}

/// Whose turn it is.
#[derive(Debug)]
enum Stage {
    /// HELLO is being looked at.
    Fresh,
    /// The peer's: AUTHENTICATE is expected.
    Challenged { proof: Proof, grant: Option<Grant> },
    /// The authenticator's: its answer to this attempt is expected. With the ticket that it was asked about.
    Asking { attempt: u32, ticket: Option<Secret> },
}

/// How a peer can prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Anonymous,
    Ticket,
    Wampcra,
    Cryptosign,
    Mutual,
}

/// Why a method of the client cannot be used.
enum Unusable {
    NotOffered,
    /// HELLO lacks this.
    Lacks(&'static str),
}

/// Why a HELLO leads nowhere: the URI and the sentence of the ABORT.
pub(super) struct Refusal(pub(super) &'static str, pub(super) String);

/// What follows from what the peer, or the authenticator, has said.
enum Next {
    Challenge(Challenge),
    /// An authenticator decides, or knows what to prove; about this ticket, if there is one already.
    Ask {
        authenticator: Authenticator,
        ticket: Option<Secret>,
    },
    Admit(Grant),
    /// The peer could not prove who it is, or is nobody we know: the same to the outside.
    Fail,
    /// The authenticator does not want the peer: in the way that the sentence for the operator says.
    Deny(String),
    /// The authenticator did not work, likewise.
    GoUnasked(String),
    /// Logins have failed before, and the next is looked at only after this time.
    Wait(Duration),
}

impl Session {
    pub(super) fn handle_hello(
        &mut self,
        cx: &Context,
        realm: String,
        details: Dict,
        rng: &mut dyn CryptoRng,
        out: &mut Vec<Step>,
    ) {
        let features = details.dict("roles").map(Features::from_roles).unwrap_or_default();
        if !(features.publisher || features.subscriber || features.caller || features.callee) {
            let sentence = "HELLO.Details.roles has none of publisher, subscriber, caller and callee";
            return self.violation(sentence, out);
        }
        let claimed = |refused: Refused| refused.claimed(&realm, details.str("authid"), None);
        match Handshake::begin(cx, &realm, &details, features, rng) {
            Ok((handshake, next)) => self.proceed(cx, handshake, next, rng, out),
            Err(refusal) => self.refuse(refusal, claimed, out),
        }
    }

    pub(super) fn handle_authenticate(
        &mut self,
        cx: &Context,
        signature: String,
        rng: &mut dyn CryptoRng,
        out: &mut Vec<Step>,
    ) {
        match std::mem::replace(&mut self.state, State::Opening) {
            State::Handshake(mut handshake) if matches!(handshake.stage, Stage::Challenged { .. }) => {
                let next = handshake.take_authenticate(cx, signature);
                self.proceed(cx, handshake, next, rng, out);
            }
            _ => self.violation("AUTHENTICATE came without a CHALLENGE", out),
        }
    }

    /// An authenticator has answered `Step::Authenticate`: with the first argument of its RESULT, or with the URI of
    /// its ERROR, also when it took too long or is not there. Answers to attempts that are over are ignored.
    pub fn handle_authenticator_answer(
        &mut self,
        cx: &Context,
        attempt: u32,
        answer: Result<Value, String>,
        rng: &mut dyn CryptoRng,
        out: &mut Vec<Step>,
    ) {
        match std::mem::replace(&mut self.state, State::Opening) {
            State::Handshake(mut handshake) if handshake.asks(attempt) => {
                let next = handshake.take_answer(cx, answer, rng);
                self.proceed(cx, handshake, next, rng, out);
            }
            state => self.state = state,
        }
    }

    fn proceed(
        &mut self,
        cx: &Context,
        mut handshake: Box<Handshake>,
        next: Next,
        rng: &mut dyn CryptoRng,
        out: &mut Vec<Step>,
    ) {
        match next {
            Next::Challenge(Challenge { extra, proof, grant }) => {
                out.push(Step::Send(Message::Challenge { method: handshake.method.name().to_owned(), extra }));
                handshake.stage = Stage::Challenged { proof, grant };
                self.state = State::Handshake(handshake);
            }
            Next::Ask { authenticator, ticket } => {
                self.attempt = self.attempt.wrapping_add(1);
                let question = handshake.question(cx, self.attempt, authenticator, ticket.clone());
                out.push(Step::Authenticate(Box::new(question)));
                handshake.stage = Stage::Asking { attempt: self.attempt, ticket };
                self.state = State::Handshake(handshake);
            }
            Next::Admit(grant) => {
                handshake.forgive(cx);
                let (realm, authid, method) = (handshake.realm.clone(), handshake.authid.clone(), handshake.method);
                match handshake.admit(cx, grant, rng) {
                    Ok((established, join)) => {
                        (self.state, self.deadline) = (State::Established(established), None);
                        out.push(Step::Join(join));
                    }
                    Err(refusal) => {
                        let claimed =
                            |refused: Refused| refused.claimed(&realm, authid.as_deref(), Some(method.name()));
                        self.refuse(refusal, claimed, out);
                    }
                }
            }
            Next::Fail => {
                handshake.note_failure(cx);
                let sentence = format!("it did not prove by {} who it is", handshake.method.name());
                out.push(handshake.refused(DropReason::AuthenticationFailed, &sentence));
                self.fail(cx, error::AUTHENTICATION_FAILED, "authentication failed");
            }
            Next::Deny(why) => {
                handshake.note_failure(cx);
                self.deny(cx, &handshake, &why, out);
            }
            Next::GoUnasked(why) => self.deny(cx, &handshake, &why, out),
            Next::Wait(wait) => {
                self.state = State::Handshake(handshake);
                self.send_away(wait, out);
            }
        }
    }

    /// The authenticator does not admit the peer, which is told so later.
    fn deny(&mut self, cx: &Context, handshake: &Handshake, why: &str, out: &mut Vec<Step>) {
        let sentence = format!("the authenticator does not admit it: {why}");
        out.push(handshake.refused(DropReason::AuthenticationFailed, &sentence));
        self.fail(cx, error::AUTHENTICATION_DENIED, "the authenticator did not admit this peer");
    }

    /// Whether a question to an authenticator that has waited is still to be asked. Logins of the same principal may
    /// have failed meanwhile; then the peer is told so.
    pub fn may_ask(&mut self, cx: &Context, out: &mut Vec<Step>) -> bool {
        let State::Handshake(handshake) = &self.state else { return false };
        match handshake.wait(cx) {
            None => true,
            Some(wait) => {
                self.send_away(wait, out);
                false
            }
        }
    }

    /// The next login of this principal from this address is looked at after this time.
    fn send_away(&mut self, wait: Duration, out: &mut Vec<Step>) {
        self.abort(error::AUTHENTICATION_DENIED, &sentence_for(wait), DropReason::LoginPenalty, out);
    }

    /// This HELLO leads nowhere, but another one may; what is left of `hello_timeout` goes on running.
    fn refuse(
        &mut self,
        Refusal(reason, sentence): Refusal,
        claimed: impl FnOnce(Refused) -> Refused,
        out: &mut Vec<Step>,
    ) {
        let refused = claimed(Refused::new(DropReason::HelloRefused, sentence.as_str()));
        out.push(Step::Refused(Box::new(refused)));
        out.push(Step::Send(Message::abort(reason, sentence)));
        self.state = State::Opening;
    }

    /// The peer is told later, so that guessing takes its time.
    fn fail(&mut self, cx: &Context, reason: &str, sentence: &str) {
        self.state = State::Refused(Box::new(Message::abort(reason, sentence)));
        self.deadline = Some(cx.now.uptime.saturating_add(cx.admission.limits.authentication_delay));
    }
}

impl Handshake {
    /// Takes the first of the client's methods that is offered here and for which HELLO has what it needs.
    fn begin(
        cx: &Context,
        realm: &str,
        details: &Dict,
        features: Features,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Box<Handshake>, Next), Refusal> {
        if realm.len() > cx.admission.limits.uri_bytes_max || !UriCheck::Loose.is_name(realm) {
            return Err(Refusal(error::INVALID_URI, "the realm is not a valid URI, or too long".to_owned()));
        }
        if !cx.admission.realms.contains_key(realm) {
            return Err(no_such_realm(realm));
        }
        let authid = details.str("authid").filter(|authid| !authid.is_empty());
        let authextra = details.dict("authextra").cloned().unwrap_or_default();
        let is_bulky = authextra.heap_bytes() > AUTHEXTRA_MEMORY_MAX;
        if is_bulky || size_of_dict(&authextra).saturating_add(authid.map_or(0, str::len)) > AUTHEXTRA_BYTES_MAX {
            let sentence = format!("authid and authextra of HELLO take more than {AUTHEXTRA_BYTES_MAX} bytes");
            return Err(Refusal(error::LIMIT_EXCEEDED, sentence));
        }
        let mut handshake = Box::new(Handshake {
            realm: realm.to_owned(),
            session: rng.random_range(1..=ID_MAX),
            method: Method::Anonymous,
            authid: authid.map(str::to_owned),
            authprovider: STATIC,
            authextra,
            features,
            proved: None,
            stage: Stage::Fresh,
        });
        let offered = details.list("authmethods").filter(|methods| !methods.is_empty());
        let anonymous = [Value::from(Method::Anonymous.name())];
        let mut hint = String::new();
        for method in offered.unwrap_or(&anonymous).iter().filter_map(Value::as_str).filter_map(Method::from_name) {
            handshake.method = method;
            match handshake.begin_method(cx, rng) {
                Ok(next) => {
                    let next = handshake.wait_before(cx, &next).map_or(next, Next::Wait);
                    return Ok((handshake, next));
                }
                Err(Unusable::NotOffered) => {}
                Err(Unusable::Lacks(what)) => hint = format!(": {} needs {what}", method.name()),
            }
        }
        let sentence = format!("no authentication method of this client can be used here{hint}");
        Err(Refusal(error::NO_MATCHING_AUTH_METHOD, sentence))
    }

    fn begin_method(&mut self, cx: &Context, rng: &mut dyn CryptoRng) -> Result<Next, Unusable> {
        let methods = &cx.admission.methods;
        match self.method {
            Method::Anonymous => {
                let source = offered(&methods.anonymous)?;
                // Who proves nothing does not choose a name.
                self.authid = None;
                Ok(match source {
                    Anonymous::Static(grant) => Next::Admit(grant.clone()),
                    Anonymous::Dynamic(authenticator) => self.ask(authenticator),
                })
            }
            Method::Ticket => {
                let (source, authid) = (offered(&methods.ticket)?, self.authid()?);
                Ok(Next::Challenge(match source {
                    Source::Static(principals) => Challenge::ticket(principals, authid),
                    Source::Dynamic(authenticator) => {
                        self.authprovider = DYNAMIC;
                        Challenge::ticket_at(authenticator.clone())
                    }
                }))
            }
            Method::Wampcra => {
                let (source, authid) = (offered(&methods.wampcra)?, self.authid()?);
                Ok(match source {
                    Source::Static(principals) => {
                        let (principal, known) = wampcra_principal(&cx.admission.decoy_key, principals, authid);
                        Next::Challenge(self.challenge_wampcra(cx, principal, known, rng))
                    }
                    Source::Dynamic(authenticator) => self.ask(authenticator),
                })
            }
            Method::Cryptosign => {
                let source = offered(&methods.cryptosign)?;
                let claim = Claim::read(cx, &self.authextra).map_err(Unusable::Lacks)?;
                let principals = match source {
                    Source::Static(principals) => principals,
                    Source::Dynamic(authenticator) => return Ok(self.ask(authenticator)),
                };
                let found = cryptosign_principal(principals, self.authid.as_deref(), claim.key);
                if let Some((authid, _)) = found {
                    self.authid = Some(authid.clone());
                }
                let grant = found.map(|(_, principal)| principal.grant.clone());
                Ok(Next::Challenge(Challenge::cryptosign(claim, grant, rng)))
            }
            Method::Mutual => {
                let mutual = offered(&methods.mutual)?;
                let introduction = Introduction::read(self.authid()?, &self.authextra).map_err(Unusable::Lacks)?;
                Ok(Next::Challenge(Challenge::mutual(cx, mutual, &self.realm, introduction, rng)))
            }
        }
    }

    /// For the operator: the peer of this handshake is refused.
    pub(super) fn refused(&self, reason: DropReason, sentence: &str) -> Step {
        let refused = Refused::new(reason, sentence);
        let method = Some(self.method.name());
        Step::Refused(Box::new(refused.claimed(&self.realm, self.authid.as_deref(), method)))
    }

    fn authid(&self) -> Result<&str, Unusable> {
        self.authid.as_deref().ok_or(Unusable::Lacks("an authid"))
    }

    fn ask(&mut self, authenticator: &Authenticator) -> Next {
        self.authprovider = DYNAMIC;
        Next::Ask { authenticator: authenticator.clone(), ticket: None }
    }

    fn challenge_wampcra(
        &self,
        cx: &Context,
        principal: Principal<wampcra::Credential>,
        known: bool,
        rng: &mut dyn CryptoRng,
    ) -> Challenge {
        let authid = principal.grant.authid.clone().or_else(|| self.authid.clone()).unwrap_or_default();
        let authrole = principal.grant.role.clone();
        let challenge = wampcra::Challenge {
            authid: &authid,
            authrole: &authrole,
            authprovider: self.authprovider,
            session: self.session,
            wall: cx.now.wall,
        };
        Challenge::wampcra(challenge, principal, known, rng)
    }

    /// AUTHENTICATE has come; `handle_authenticate` has made sure that it is due.
    fn take_authenticate(&mut self, cx: &Context, signature: String) -> Next {
        match std::mem::replace(&mut self.stage, Stage::Fresh) {
            // However many have been challenged by now, they are answered one after the other.
            Stage::Challenged { proof, grant }
                if proof.can_be_guessed(grant.as_ref())
                    && let Some(wait) = self.wait(cx) =>
            {
                Next::Wait(wait)
            }
            Stage::Challenged { proof: Proof::TicketAt(authenticator), .. } if self.is_still_dynamic(cx) => {
                Next::Ask { authenticator, ticket: Some(Secret::new(signature)) }
            }
            Stage::Challenged { proof, grant: Some(grant) } if proof.verify(&signature) => {
                self.confirm(cx, &proof, grant).map_or(Next::Fail, Next::Admit)
            }
            Stage::Challenged { .. } | Stage::Fresh | Stage::Asking { .. } => Next::Fail,
        }
    }

    fn asks(&self, this_attempt: u32) -> bool {
        matches!(self.stage, Stage::Asking { attempt, .. } if attempt == this_attempt)
    }

    fn question(&self, cx: &Context, attempt: u32, authenticator: Authenticator, ticket: Option<Secret>) -> Question {
        Question {
            attempt,
            authenticator,
            realm: self.realm.clone(),
            authid: self.authid.clone(),
            session: self.session,
            authmethod: self.method.name(),
            authextra: self.authextra.clone(),
            transport: cx.peer.transport.clone(),
            ticket,
        }
    }

    /// The authenticator has answered the question that `stage` waits for.
    fn take_answer(&mut self, cx: &Context, answer: Result<Value, String>, rng: &mut dyn CryptoRng) -> Next {
        if !self.is_still_dynamic(cx) {
            return Next::GoUnasked("it is not asked any more".to_owned());
        }
        if let Err(uri) = &answer
            && OUTAGES.contains(&uri.as_str())
        {
            return Next::GoUnasked(format!("it answered {uri}"));
        }
        let read = answer.map_err(|uri| format!("it answered {uri}")).and_then(|value| {
            let (answer, grant) = Answer::read(value)?;
            self.next_after_answer(cx, &answer, grant, rng).map_err(str::to_owned)
        });
        read.unwrap_or_else(Next::Deny)
    }

    fn next_after_answer(
        &mut self,
        cx: &Context,
        answer: &Answer,
        grant: Grant,
        rng: &mut dyn CryptoRng,
    ) -> Result<Next, &'static str> {
        Ok(match self.method {
            Method::Anonymous => Next::Admit(grant),
            Method::Ticket => match (answer.ticket(), &self.stage) {
                (Some(expected), Stage::Asking { ticket: Some(given), .. }) if expected != *given => Next::Fail,
                _ => Next::Admit(grant),
            },
            Method::Wampcra => {
                let principal = Principal { credential: answer.wampcra()?, grant };
                Next::Challenge(self.challenge_wampcra(cx, principal, true, rng))
            }
            Method::Cryptosign => {
                let claim = Claim::read(cx, &self.authextra)?;
                let known = answer.cryptosign()?.contains(&claim.key);
                Next::Challenge(Challenge::cryptosign(claim, known.then_some(grant), rng))
            }
            Method::Mutual => return Err("no authenticator decides about programs"),
        })
    }
}

/// Penalties for failed logins. Whoever claims a key that is known is not kept waiting: nobody guesses one, and others
/// would keep its owner out.
impl Handshake {
    fn culprit(&self, cx: &Context) -> Option<Culprit> {
        let principal = self.authid.as_deref().or_else(|| self.authextra.str("pubkey"))?;
        Some(Culprit::new(cx.peer.place?, principal))
    }

    fn wait(&self, cx: &Context) -> Option<Duration> {
        cx.penalties.borrow().wait(self.culprit(cx)?, cx.now.uptime)
    }

    /// How long the peer has to wait before this is done for it.
    fn wait_before(&self, cx: &Context, next: &Next) -> Option<Duration> {
        let is_login = match next {
            Next::Challenge(challenge) => challenge.proof.can_be_guessed(challenge.grant.as_ref()),
            next => matches!(next, Next::Ask { .. }),
        };
        if is_login { self.wait(cx) } else { None }
    }

    fn note_failure(&self, cx: &Context) {
        if let Some(culprit) = self.culprit(cx) {
            cx.penalties.borrow_mut().note(culprit, cx.now.uptime);
        }
    }

    fn forgive(&self, cx: &Context) {
        if let Some(culprit) = self.culprit(cx) {
            cx.penalties.borrow_mut().forgive(culprit);
        }
    }
}

fn sentence_for(wait: Duration) -> String {
    let reason = DropReason::LoginPenalty;
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    format!("{reason}: logins of this principal from this address have failed, the next is looked at in {seconds} s")
}

/// What the router itself answers in the place of an authenticator that is not there, or that does not work.
const OUTAGES: [&str; 8] = [
    error::NO_SUCH_PROCEDURE,
    error::NO_SUCH_REALM,
    error::TIMEOUT,
    error::CANCELED,
    error::UNAVAILABLE,
    error::NO_AVAILABLE_CALLEE,
    error::NETWORK_FAILURE,
    error::LIMIT_EXCEEDED,
];

impl Method {
    const ALL: [Method; 5] = [Method::Anonymous, Method::Ticket, Method::Wampcra, Method::Cryptosign, Method::Mutual];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Method::Anonymous => "anonymous",
            Method::Ticket => "ticket",
            Method::Wampcra => "wampcra",
            Method::Cryptosign => "cryptosign",
            Method::Mutual => mutual::METHOD,
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Method> {
        Method::ALL.into_iter().find(|method| method.name() == name)
    }
}

fn offered<T>(method: &Option<T>) -> Result<&T, Unusable> {
    method.as_ref().ok_or(Unusable::NotOffered)
}

pub(super) fn no_such_realm(realm: &str) -> Refusal {
    Refusal(error::NO_SUCH_REALM, format!("no realm {realm:?} exists on this router"))
}

/// About what a dict takes in memory; enough to bound it.
fn size_of_dict(dict: &Dict) -> usize {
    let place = size_of::<(String, Value)>();
    dict.iter().map(|(key, value)| size_of_value(value).saturating_add(place).saturating_add(key.len())).sum()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.iter().map(|item| size_of_value(item).saturating_add(size_of::<Value>())).sum(),
        Value::Dict(dict) => size_of_dict(dict),
        Value::Null | Value::Bool(_) | Value::Uint(_) | Value::Int(_) | Value::Float(_) => 0,
    }
}
