//! Challenge and response as pure functions.
