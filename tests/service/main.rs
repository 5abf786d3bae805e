//! The edge as a service: what systemd, operators, load balancers and browsers see of it.

#[path = "../harness/mod.rs"]
mod harness;

mod compression;
mod descriptors;
mod every_key;
mod listeners;
mod pages;
mod passersby;
mod proxy;
mod reload;
mod systemd;
mod tls;
mod units;
mod websocket;
