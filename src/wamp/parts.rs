//! Progressive calls from their caller's side: which CALLs have more parts to come. It tells a CALL that continues a
//! call from one that begins one, however the call has ended in the meantime.

use super::Id;
use crate::limits::OPEN_INPUTS_MAX;
use std::collections::BTreeSet;

/// The request ids of one caller whose last CALL had `progress`.
///
/// An id stays until its last part has come, or until `OPEN_INPUTS_MAX` others have more parts to come: then the
/// smallest is forgotten, which is the oldest of a caller that counts.
#[derive(Debug, Default)]
pub struct OpenInputs {
    requests: BTreeSet<Id>,
}

impl OpenInputs {
    /// Whether a CALL with this id would continue a call.
    pub fn contains(&self, request: Id) -> bool {
        self.requests.contains(&request)
    }

    /// A CALL has come, after which `has_more` says whether there are more parts to come. Returns whether it continues
    /// a call.
    pub fn handle_call(&mut self, request: Id, has_more: bool) -> bool {
        let continues = self.contains(request);
        if has_more {
            self.requests.insert(request);
            if self.requests.len() > OPEN_INPUTS_MAX {
                self.requests.pop_first();
            }
        } else if continues {
            self.requests.remove(&request);
        }
        continues
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_continue_a_call_up_to_the_last_one() {
        let mut inputs = OpenInputs::default();
        assert_eq!([true, true, false].map(|has_more| inputs.handle_call(7, has_more)), [false, true, true]);
        assert!(inputs.is_empty());
        assert!(!inputs.handle_call(7, false), "the id is free again");
    }

    #[test]
    fn callers_that_never_end_their_calls_are_bounded() {
        let mut inputs = OpenInputs::default();
        for request in 1..=2 * OPEN_INPUTS_MAX as Id {
            inputs.handle_call(request, true);
        }
        assert_eq!(inputs.requests.len(), OPEN_INPUTS_MAX);
        assert!(inputs.contains(2 * OPEN_INPUTS_MAX as Id) && !inputs.contains(1));
    }
}
