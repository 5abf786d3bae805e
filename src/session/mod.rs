//! One peer's state machine, from HELLO to GOODBYE.
