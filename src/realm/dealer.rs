//! Call and register.
