//! Subscriptions and registrations by pattern.
