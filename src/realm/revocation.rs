//! What clients hold and may not hold any more, after the rules have changed.

use super::authorize::Verdict;
use super::{Action, Context, Desks, Effect, Realm};
use crate::time::Now;
use crate::wamp::uri::Match;
use crate::wamp::{Id, SessionKey};

impl Realm {
    /// Takes the subscriptions and registrations away that their clients might not make any more under the rules as
    /// they are now. What an authorizer has permitted stays: it can only be asked about what is new.
    pub fn revoke_unpermitted(&mut self, now: Now, out: &mut Vec<Effect>) {
        let (mut cx, desks) = self.enter(now, out);
        desks.revoke_unpermitted(&mut cx);
        self.settle(now, out);
    }
}

impl Desks {
    fn revoke_unpermitted(&mut self, cx: &mut Context) {
        let clients: Vec<SessionKey> = cx.members.visible().into_iter().map(|(key, _)| key).collect();
        for key in clients {
            let held: Vec<(Id, String, Match)> =
                self.broker.held_by(key).map(|found| (found.id, found.uri.clone(), found.policy)).collect();
            for (id, uri, policy) in held {
                if let Verdict::Refused { error, .. } = self.judge(cx, key, None, Action::Subscribe, &uri, policy) {
                    self.broker.revoke(cx, id, key, Some(error));
                }
            }
            let held: Vec<(Id, String, Match)> =
                self.dealer.held_by(key).map(|found| (found.id, found.uri.clone(), found.policy)).collect();
            for (id, uri, policy) in held {
                if let Verdict::Refused { error, .. } = self.judge(cx, key, None, Action::Register, &uri, policy) {
                    self.dealer.revoke(cx, id, key, error);
                }
            }
        }
    }
}
