//! The HTTP face of a port: pages for people and programs, and the upgrade to WebSocket.

use super::accept::{Accepted, Established, HandshakeError};
use super::askers::{self, Askers};
use super::framing::{Wrapping, websocket_framing};
use super::peer::Peer;
use super::plumbing::Plumbing;
use super::rewind::Rewind;
use crate::drop::DropReason;
use crate::limits::Limits;
use crate::wire::Serializer;
use crate::wire::deflate::{self, DeflateConfig};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio_tungstenite::tungstenite::handshake::server::create_response;

/// Answers a request that is not an upgrade. The page is made from what is known at that moment.
pub type Pages = Rc<dyn Fn(&PageRequest<'_>) -> Page>;

/// What a page may depend on.
pub struct PageRequest<'r> {
    pub path: &'r str,
    /// Whether the client prefers JSON over HTML.
    pub wants_json: bool,
    pub peer: &'r Peer,
}

/// A page to answer with.
pub struct Page {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
    /// The `Content-Security-Policy`; None sends none.
    pub policy: Option<&'static str>,
}

impl Page {
    /// A page that was found.
    pub fn new(content_type: &'static str, body: impl Into<String>) -> Page {
        Page { status: 200, content_type, body: body.into(), policy: None }
    }
}

/// The HTTP and WebSocket settings of one listener.
pub struct HttpSettings {
    /// Where WAMP is spoken, besides `/`. None: this face serves pages only.
    pub websocket_path: Option<String>,
    pub serializers: Vec<Serializer>,
    /// Whether the `.batched` subprotocols are offered.
    pub batched: bool,
    /// Refuse an upgrade that names no subprotocol; otherwise it is `wamp.2.json`.
    pub require_subprotocol: bool,
    /// An Autobahn testee: messages are sent back, no subprotocol is needed.
    pub echo: bool,
    /// Whose requests are answered.
    pub askers: Askers,
    /// None: permessage-deflate is not offered.
    pub deflate: Option<DeflateConfig>,
    pub pages: Pages,
}

/// What an upgrade has agreed on.
struct Negotiated {
    serializer: Option<Serializer>,
    batched: bool,
    deflate: Option<deflate::DeflateParams>,
    protocol: String,
}

type Answer = Response<Full<Bytes>>;

/// Why there is no upgrade: what the client is told, and the reason to count.
struct Refusal {
    status: StatusCode,
    sentence: String,
    reason: DropReason,
}

impl Refusal {
    fn violation(status: StatusCode, sentence: impl Into<String>) -> Refusal {
        Refusal { status, sentence: sentence.into(), reason: DropReason::TransportViolation }
    }

    fn forbidden((reason, sentence): askers::Refused) -> Refusal {
        Refusal { status: StatusCode::FORBIDDEN, sentence, reason }
    }

    fn answer(&self) -> Answer {
        let mut response = Response::new(Full::new(Bytes::from(format!("{}\n", self.sentence))));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if self.status == StatusCode::UPGRADE_REQUIRED {
            response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

/// Serves one connection: one page, or one upgrade.
pub async fn accept(
    settings: &HttpSettings,
    limits: &Limits,
    io: Rewind<Plumbing>,
    peer: Peer,
) -> Result<Accepted, HandshakeError> {
    let upgrade: RefCell<Option<(OnUpgrade, Negotiated)>> = RefCell::new(None);
    let refused: RefCell<Option<Refusal>> = RefCell::new(None);
    let is_served = Cell::new(false);
    let service = service_fn(|mut request: Request<Incoming>| {
        let answered = if wants_websocket(request.headers()) {
            negotiate(settings, &request).map(|(answer, negotiated)| {
                *upgrade.borrow_mut() = Some((hyper::upgrade::on(&mut request), negotiated));
                answer
            })
        } else {
            may_see(settings, &request).map(|()| {
                is_served.set(true);
                serve_page(settings, &request, &peer)
            })
        };
        let mut answer = answered.unwrap_or_else(|refusal| {
            let answer = refusal.answer();
            *refused.borrow_mut() = Some(refusal);
            answer
        });
        // Not hyper's own `keep_alive(false)`: that says `connection: upgrade, close` to an upgrade, which some clients
        // do not take for one.
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        std::future::ready(Ok::<_, std::convert::Infallible>(answer))
    });
    let served = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .max_buf_size(limits.http_head_bytes_max.max(HYPER_BUF_MIN))
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades()
        .await;
    if let Some(Refusal { reason, sentence, .. }) = refused.into_inner() {
        return Err(HandshakeError { reason, message: sentence });
    }
    match served {
        // A check of a load balancer that does not wait for the page has lost nothing.
        Err(error) if is_served.get() && !error.is_parse() => return Ok(Accepted::Served),
        served => served.map_err(failure)?,
    }
    let Some((on_upgrade, negotiated)) = upgrade.into_inner() else { return Ok(Accepted::Served) };
    let upgraded = on_upgrade.await.map_err(failure)?;
    let parts = upgraded.downcast::<TokioIo<Rewind<Plumbing>>>().expect("the connection was made of this very type");
    let (stream, _) = parts.io.into_inner().inner.into_stream();
    let wrapping = if negotiated.batched { Wrapping::Batched } else { Wrapping::WebSocket };
    let (inbound, outbound) = websocket_framing(wrapping, limits.message_bytes_max, negotiated.deflate);
    Ok(Accepted::Established(Box::new(Established {
        stream,
        peer,
        inbound,
        outbound,
        serializer: negotiated.serializer,
        leftover: parts.read_buf,
        kind: "websocket",
        protocol: negotiated.protocol,
    })))
}

/// What the end of an HTTP connection says of its peer: what was sent is no HTTP, or the peer has gone in the middle.
fn failure(error: hyper::Error) -> HandshakeError {
    let reason = if error.is_parse() { DropReason::TransportViolation } else { DropReason::PeerLost };
    HandshakeError { reason, message: format!("HTTP: {error}") }
}

/// Whether the client asks for a WebSocket. Offers of other protocols (`h2c`, which curl and Java's client make by
/// themselves) are ignored, as RFC 9110 has it.
fn wants_websocket(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok());
    offers.flat_map(|value| value.split(',')).any(|offer| offer.trim().eq_ignore_ascii_case(WEBSOCKET))
}

/// Whether a page is for whoever asks. Health is for everybody: it tells nothing, and balancers call hosts what they
/// like.
fn may_see(settings: &HttpSettings, request: &Request<Incoming>) -> Result<(), Refusal> {
    match request.uri().path() {
        "/healthz" | "/readyz" => Ok(()),
        _ => settings.askers.judge_page(request.headers()).map_err(Refusal::forbidden),
    }
}

fn serve_page(settings: &HttpSettings, request: &Request<Incoming>, peer: &Peer) -> Answer {
    if request.method() == Method::OPTIONS {
        // What HAProxy's plain `option httpchk` asks.
        return allowing(Response::new(Full::default()), StatusCode::NO_CONTENT);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let refusal = Full::new(Bytes::from_static(b"only GET, HEAD and OPTIONS are answered here\n"));
        return allowing(Response::new(refusal), StatusCode::METHOD_NOT_ALLOWED);
    }
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let position = |needle: &str| accepts.find(needle).unwrap_or(usize::MAX);
    let page = (settings.pages)(&PageRequest {
        path: request.uri().path(),
        wants_json: position("application/json") < position("text/html"),
        peer,
    });
    let mut response = Response::new(Full::new(Bytes::from(page.body)));
    *response.status_mut() = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    if let Some(policy) = page.policy {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer that names the methods of all pages.
fn allowing(mut answer: Answer, status: StatusCode) -> Answer {
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    answer
}

/// Checks an upgrade and agrees on subprotocol and compression, or says why not.
fn negotiate(settings: &HttpSettings, request: &Request<Incoming>) -> Result<(Answer, Negotiated), Refusal> {
    let path = request.uri().path();
    let not_found = |sentence: String| Err(Refusal::violation(StatusCode::NOT_FOUND, sentence));
    match &settings.websocket_path {
        Some(expected) if path == expected || path == "/" => {}
        Some(expected) => return not_found(format!("WAMP is spoken at {expected}, not at {path}")),
        None => return not_found("no WebSocket is spoken here".to_owned()),
    }
    settings.askers.judge_upgrade(request.headers()).map_err(Refusal::forbidden)?;
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    // The handshake wants to see this protocol alone.
    head.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(WEBSOCKET));
    let accepted = create_response(&head).map_err(|error| {
        let speaks_other_version = request.version() == Version::HTTP_11
            && request.headers().get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version != "13");
        let status = if speaks_other_version { StatusCode::UPGRADE_REQUIRED } else { StatusCode::BAD_REQUEST };
        Refusal::violation(status, format!("not a WebSocket upgrade: {error}"))
    })?;
    let mut answer = accepted.map(|()| Full::new(Bytes::new()));
    let mut negotiated = negotiate_subprotocol(settings, request.headers(), answer.headers_mut())?;
    let offers = request.headers().get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    let offers = offers.iter().filter_map(|value| value.to_str().ok());
    if let Some(config) = &settings.deflate
        && let Some((params, response)) = deflate::negotiate_server(offers, config)
        && let Ok(value) = HeaderValue::from_str(&response)
    {
        answer.headers_mut().insert(header::SEC_WEBSOCKET_EXTENSIONS, value);
        negotiated.deflate = Some(params);
    }
    Ok((answer, negotiated))
}

/// Takes the first subprotocol of the client that is served here.
fn negotiate_subprotocol(
    settings: &HttpSettings,
    request: &HeaderMap,
    response: &mut HeaderMap,
) -> Result<Negotiated, Refusal> {
    let offered = request.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let offered = offered.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut offered = offered.map(str::trim).filter(|name| !name.is_empty()).peekable();
    let negotiated = |serializer, batched, protocol: &str| Negotiated {
        serializer,
        batched,
        deflate: None,
        protocol: protocol.to_owned(),
    };
    if settings.echo {
        return Ok(negotiated(None, false, "echo"));
    }
    if offered.peek().is_none() && !settings.require_subprotocol {
        return Ok(negotiated(Some(Serializer::Json), false, "wamp.2.json"));
    }
    for name in offered {
        let (serializer, batched) = match name.strip_suffix(".batched") {
            Some(unbatched) if settings.batched => (unbatched, true),
            _ => (name, false),
        };
        let serializer = serializer.strip_prefix("wamp.2.").and_then(Serializer::from_name);
        if let Some(serializer) = serializer.filter(|serializer| settings.serializers.contains(serializer))
            && let Ok(value) = HeaderValue::from_str(name)
        {
            response.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
            return Ok(negotiated(Some(serializer), batched, name));
        }
    }
    let served: Vec<String> = settings.serializers.iter().map(|s| format!("wamp.2.{}", s.name())).collect();
    let sentence = format!("no subprotocol in common; served here: {}", served.join(", "));
    Err(Refusal::violation(StatusCode::BAD_REQUEST, sentence))
}

/// The name of the protocol in `Upgrade:`.
const WEBSOCKET: &str = "websocket";
/// hyper refuses to be built with a smaller read buffer.
const HYPER_BUF_MIN: usize = 8_192;
