//! What the master's port answers to browsers and monitoring: the dashboard, the API, the metrics.

use super::metrics;
use super::steward::Steward;
use crate::metrics::CONTENT_TYPE;
use crate::transport::http::{Page, Pages};
use serde::Serialize;
use std::rc::Rc;

/// The pages.
pub(super) fn pages(steward: Rc<Steward>) -> Pages {
    Rc::new(move |request| match (request.method, request.path) {
        ("GET" | "HEAD", "/") => page("text/html; charset=utf-8", include_str!("dashboard/index.html")),
        ("GET" | "HEAD", "/dashboard.css") => page("text/css; charset=utf-8", include_str!("dashboard/dashboard.css")),
        ("GET" | "HEAD", "/dashboard.js") => {
            page("text/javascript; charset=utf-8", include_str!("dashboard/dashboard.js"))
        }
        ("GET" | "HEAD", "/api/cluster") => json(&steward.status()),
        ("GET" | "HEAD", "/api/history") => {
            let cluster = steward.cluster.borrow();
            json(&steward.recorder.borrow().history(cluster.nodes().map(|node| node.member.id.as_str())))
        }
        ("GET" | "HEAD", "/metrics") => page(CONTENT_TYPE, metrics::render(&steward.status())),
        ("GET" | "HEAD", "/healthz" | "/readyz") => page("text/plain; charset=utf-8", "ok\n"),
        ("GET" | "HEAD", _) => Page { status: 404, ..page("text/plain; charset=utf-8", "there is no such page\n") },
        _ => Page { status: 405, ..page("text/plain; charset=utf-8", "only GET is answered here\n") },
    })
}

fn json(value: &impl Serialize) -> Page {
    let body = serde_json::to_string(value).expect("what is shown is plain strings, numbers and lists");
    page("application/json", body + "\n")
}

fn page(content_type: &'static str, body: impl Into<String>) -> Page {
    Page { status: 200, content_type, body: body.into() }
}
