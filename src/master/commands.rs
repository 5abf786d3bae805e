//! What the master answers when a node or an operator asks.

use super::access::node_role;
use super::steward::Steward;
use crate::admin::command::{MASTER_PREFIX, MasterCommand, OPERATOR_ROLE, audit, seconds_of};
use crate::admin::json;
use crate::admin::report::Heartbeat;
use crate::cluster::{Member, Refusal, is_node_id};
use crate::realm::CallError;
use crate::router::serve::{Answer, Served, refusal};
use crate::transport::connect::Target;
use crate::wamp::error;
use crate::wire::Payload;
use std::rc::Rc;
use tokio::sync::mpsc;

impl Steward {
    /// Answers until the program ends.
    pub(super) async fn answer_calls(self: Rc<Self>, mut served: mpsc::Receiver<Served>) {
        while let Some(call) = served.recv().await {
            let answer = self.answer(&call);
            audit(&call.authid, &call.from, &call.procedure, &call.payload, json::refusal(&answer));
            self.shard.borrow_mut().answer(&call, answer);
        }
    }

    fn answer(&self, call: &Served) -> Answer {
        let name = call.procedure.strip_prefix(MASTER_PREFIX).unwrap_or_default();
        let command =
            json::command(name, &call.payload).map_err(|sentence| refusal(error::INVALID_ARGUMENT, sentence))?;
        let is_node = call.authrole == node_role(&call.authid);
        let is_allowed = match command {
            MasterCommand::Heartbeat => is_node,
            MasterCommand::Membership | MasterCommand::Status => true,
            _ => call.authrole == OPERATOR_ROLE,
        };
        if !is_allowed {
            let sentence = format!("{} is not for {}", call.procedure, call.authrole);
            return Err(refusal(error::NOT_AUTHORIZED, sentence));
        }
        self.carry_out_command(call, command)
    }

    fn carry_out_command(&self, call: &Served, command: MasterCommand) -> Answer {
        match command {
            MasterCommand::Heartbeat => done(json::told(&call.payload).and_then(|heartbeat: Heartbeat| {
                heartbeat.check(&call.authid)?;
                self.handle_heartbeat(&call.authid, heartbeat);
                Ok(())
            })),
            MasterCommand::Status => Ok(json::to_payload(&self.status())),
            MasterCommand::Membership => Ok(json::to_payload(&self.cluster.borrow().membership())),
            MasterCommand::NodeAdd { id, address, public_key } => {
                done(member(id, address, &public_key).and_then(|member| self.add_node(member)))
            }
            MasterCommand::NodeRemove { id } => done(self.remove_node(&id)),
            MasterCommand::Drain { id, seconds } => {
                let over = seconds.map(seconds_of).transpose();
                done(over.and_then(|over| self.with(|cluster, _, out| cluster.drain(&id, over, out)).map_err(text)))
            }
            MasterCommand::Undrain { id } => done(self.with(|cluster, _, out| cluster.undrain(&id, out)).map_err(text)),
            MasterCommand::Rebalance { rate } => match rate {
                Some(rate) if !RATES.contains(&rate) => {
                    let (least, most) = (RATES.start(), RATES.end());
                    done(Err(format!("rate = {rate}, but it must be between {least} and {most} sessions a second")))
                }
                rate => done(self.with(|cluster, now, out| cluster.begin_rebalance(now, rate, out)).map_err(text)),
            },
            MasterCommand::Refusals(wanted) => {
                self.shard.borrow().refusals.rows(&wanted).map(|rows| json::to_payload(&rows)).map_err(refused)
            }
            MasterCommand::Events { after, limit } => {
                let limit = limit.unwrap_or(EVENTS_MAX).min(EVENTS_MAX);
                self.store.events_after(after, limit).map(|events| json::to_payload(&events)).map_err(refused)
            }
        }
    }
}

/// A member as an operator describes it. The error is one sentence.
pub(super) fn member(id: String, address: String, public_key: &str) -> Result<Member, String> {
    if !is_node_id(&id) {
        return Err(format!("{id:?} is no name of a node: letters, digits, '-' and '_', at most 64"));
    }
    address.parse::<Target>().map_err(|error| error.to_string())?;
    let public_key = public_key.parse().map_err(|_| format!("{public_key:?} is no public key of 64 hex digits"))?;
    Ok(Member { id, address, public_key })
}

fn done(result: Result<(), String>) -> Answer {
    result.map(|()| json::nothing() as Payload).map_err(refused)
}

fn refused(sentence: String) -> CallError {
    refusal(error::INVALID_ARGUMENT, sentence)
}

fn text(refusal: Refusal) -> String {
    refusal.to_string()
}

const EVENTS_MAX: usize = 1_000;
/// Sessions a second that a rebalance may move.
const RATES: std::ops::RangeInclusive<f64> = 0.1..=100_000.0;
