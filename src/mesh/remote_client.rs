//! A client of another node, as a message of the link with that node names it.

use crate::wamp::Id;
use crate::wire::Dict;

/// A client for which a link speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteClient<'d> {
    pub session: Id,
    pub authid: &'d str,
    pub authrole: &'d str,
}

impl<'d> RemoteClient<'d> {
    /// The client that `forward_for` names first. None where there is none, or where one of its three words is missing.
    pub fn forwarded(options: &'d Dict) -> Option<RemoteClient<'d>> {
        RemoteClient::read(options.list("forward_for")?.first()?.as_dict()?, HOP)
    }

    /// The publisher of which the options tell that `frames::publish_options` has made.
    pub fn publisher(options: &'d Dict) -> Option<RemoteClient<'d>> {
        RemoteClient::read(options, PUBLISHER)
    }

    /// The caller that the details of an INVOCATION name, if any. An error where one of its three words is missing.
    pub fn caller(details: &'d Dict) -> Result<Option<RemoteClient<'d>>, Incomplete> {
        match RemoteClient::read(details, CALLER) {
            None if CALLER.iter().any(|key| details.get(key).is_some()) => Err(Incomplete),
            caller => Ok(caller),
        }
    }

    /// As an entry of `forward_for`.
    pub fn hop(&self) -> Dict {
        Dict::new().with("session", self.session).with("authid", self.authid).with("authrole", self.authrole)
    }

    fn read(dict: &'d Dict, [session, authid, authrole]: [&str; 3]) -> Option<RemoteClient<'d>> {
        let (authid, authrole) = (dict.str(authid)?, dict.str(authrole)?);
        Some(RemoteClient { session: dict.uint(session)?, authid, authrole })
    }
}

/// A client is named by some of its words only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incomplete;

pub(super) const HOP: [&str; 3] = ["session", "authid", "authrole"];
pub(super) const PUBLISHER: [&str; 3] = ["publisher", "publisher_authid", "publisher_authrole"];
const CALLER: [&str; 3] = ["caller", "caller_authid", "caller_authrole"];
