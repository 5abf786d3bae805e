//! The loss of edges as clients see it: real edges behind a real HAProxy with the shipped configuration, with the probe
//! as their load. The figures are printed.

#[path = "../harness/mod.rs"]
mod harness;

mod balancer;
mod calls;
mod haproxy;
mod links;
mod outages;
mod stack;
mod steering;
