//! The end of a handshake: the session that a grant allows, and the WELCOME that tells it.

use super::admission::Grant;
use super::established::Established;
use super::handshake::{Handshake, Method, Refusal, no_such_realm};
use super::standing::STATIC;
use super::{Context, Join};
use crate::auth::anonymous::random_authid;
use crate::wamp::{Identity, Message, error, feature::Features};
use crate::wire::Dict;
use rand::CryptoRng;

impl Handshake {
    /// The peer is who it says: makes the session that `grant` allows, if its realm and role exist.
    pub(super) fn admit(
        self: Box<Self>,
        cx: &Context,
        grant: Grant,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Established, Box<Join>), Refusal> {
        let realm_name = grant.realm.unwrap_or(self.realm);
        let realm = cx.admission.realms.get(&realm_name).ok_or_else(|| no_such_realm(&realm_name))?;
        if !realm.roles.contains(&grant.role) {
            let sentence = format!("realm {realm_name:?} has no role {:?}", grant.role);
            return Err(Refusal(error::NO_SUCH_ROLE, sentence));
        }
        let authid = grant.authid.or(self.authid).unwrap_or_else(|| match self.method {
            Method::Cryptosign => self.authextra.str("pubkey").unwrap_or_default().to_owned(),
            _ => random_authid(rng),
        });
        let echoed = self.method == Method::Anonymous && self.authprovider == STATIC;
        let authextra = if echoed { self.authextra } else { grant.authextra };
        let identity = Identity {
            session: self.session,
            authid,
            authrole: grant.role,
            authmethod: self.method.name().to_owned(),
            authprovider: self.authprovider.to_owned(),
            authextra: with_node(cx, authextra),
            transport: cx.peer.transport.clone(),
            features: self.features,
        };
        let welcome = welcome(cx, &realm_name, &identity);
        let established =
            Established::new(self.session, self.features, realm.request_ids, grant.trusted_link, self.proved);
        let join = Join { realm: realm_name, identity, trusted_link: grant.trusted_link, welcome };
        Ok((established, Box::new(join)))
    }
}

fn welcome(cx: &Context, realm: &str, identity: &Identity) -> Message {
    let details = with_node(cx, Dict::new())
        .with("realm", realm)
        .with("authid", identity.authid.as_str())
        .with("authrole", identity.authrole.as_str())
        .with("authmethod", identity.authmethod.as_str())
        .with("authprovider", identity.authprovider.as_str())
        .with("authextra", identity.authextra.clone())
        .with("roles", Features::router_roles());
    Message::Welcome { session: identity.session, details }
}

/// Adds where the session is connected. Deployed clients look for it at the top of WELCOME.Details or in `authextra`.
fn with_node(cx: &Context, dict: Dict) -> Dict {
    let node = &cx.admission.node;
    dict.with("x_cb_node", node.id.as_str()).with("x_cb_peer", cx.peer.name.as_str()).with("x_cb_pid", node.pid)
}
