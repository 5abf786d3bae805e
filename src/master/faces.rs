//! What the master's port answers to browsers and monitoring: the dashboard, the API, the metrics.

use super::steward::Steward;
use super::{dashboard, metrics};
use crate::metrics::CONTENT_TYPE;
use crate::transport::http::{Page, Pages};
use serde::Serialize;
use std::rc::Rc;

/// The pages.
pub(super) fn pages(steward: Rc<Steward>) -> Pages {
    Rc::new(move |request| match request.path {
        "/api/cluster" => json(&steward.status()),
        "/api/history" => {
            let cluster = steward.cluster.borrow();
            json(&steward.recorder.borrow().history(steward.now(), cluster.nodes().map(|node| node.member.id.as_str())))
        }
        "/metrics" => Page::new(CONTENT_TYPE, metrics::render(&steward.status())),
        "/healthz" | "/readyz" => Page::new(TEXT, "ok\n"),
        path => match dashboard::asset(path) {
            Some(asset) => Page { policy: Some(dashboard::POLICY), ..Page::new(asset.content_type, asset.text) },
            None => Page { status: 404, ..Page::new(TEXT, "there is no such page\n") },
        },
    })
}

fn json(value: &impl Serialize) -> Page {
    let body = serde_json::to_string(value).expect("what is shown is plain strings, numbers and lists");
    Page::new("application/json", body + "\n")
}

const TEXT: &str = "text/plain; charset=utf-8";
