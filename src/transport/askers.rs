//! Who may ask a port over HTTP, by what browsers say of the page that asks: its origin in `Origin`, and in `Host` the
//! name by which it reached the port.
//!
//! A stranger's page can have a name of its own lead to an operator's port (DNS rebinding), and may then read what that
//! port answers as if it were its own. The name in `Host` tells: it is the stranger's. Programs other than browsers can
//! write there what they like, but they could as well ask directly.

use crate::drop::DropReason;
use hyper::header::{self, HeaderMap, HeaderName};
use std::net::IpAddr;

/// Judges the value of the `Origin` header, None where there is none.
pub type OriginCheck = Box<dyn Fn(Option<&str>) -> bool>;

/// Whose requests a port answers.
pub enum Askers {
    /// Clients: everybody may see the pages, and pages of these origins may open a WebSocket.
    Clients(OriginCheck),
    /// Operators: by address, `localhost` or one of these names, and from no other origin than the port's own.
    Operators(Names),
}

/// The names by which a port for operators is asked.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// In lower case.
    names: Vec<String>,
    /// Whether a page that the port has served may open a WebSocket to it.
    pub has_dashboard: bool,
}

/// Why a request is not answered: what is counted, and what the client is told.
pub type Refused = (DropReason, String);

impl Names {
    pub fn new(names: impl IntoIterator<Item = String>, has_dashboard: bool) -> Names {
        Names { names: names.into_iter().map(|name| name.to_ascii_lowercase()).collect(), has_dashboard }
    }

    /// Whether the port answers to what a client says in `Host`. No browser leaves that out.
    fn cover(&self, host: Option<&str>) -> bool {
        let Some(name) = host.map(|host| name_of(host.trim())) else { return true };
        let is_local = name == "localhost" || name.ends_with(".localhost");
        is_local || name.parse::<IpAddr>().is_ok() || self.names.contains(&name)
    }

    /// Whether a page with this `Origin` is one of the port's own, which was reached by this `Host`; or stands at one
    /// of its names, where a proxy has put another `Host`.
    fn is_own(&self, origin: &str, host: Option<&str>) -> bool {
        let Some((_, authority)) = origin.trim().split_once("://") else { return false };
        let is_same = host.is_some_and(|host| host.trim().eq_ignore_ascii_case(authority));
        is_same || self.names.contains(&name_of(authority))
    }

    fn judge(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let host = text_of(headers, header::HOST);
        if !self.cover(host) {
            let sentence = "this port does not answer to the name in Host; allowed_hosts can name more".to_owned();
            return Err((DropReason::HostRefused, sentence));
        }
        match text_of(headers, header::ORIGIN) {
            Some(origin) if !self.is_own(origin, host) => Err(foreign()),
            _ => Ok(()),
        }
    }
}

impl Askers {
    /// Whether a page is answered.
    ///
    /// # Errors
    /// Why not.
    pub fn judge_page(&self, headers: &HeaderMap) -> Result<(), Refused> {
        match self {
            Askers::Clients(_) => Ok(()),
            Askers::Operators(names) => names.judge(headers),
        }
    }

    /// Whether a WebSocket may be opened.
    ///
    /// # Errors
    /// Why not.
    pub fn judge_upgrade(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let origin = text_of(headers, header::ORIGIN);
        match self {
            Askers::Clients(allows) if allows(origin) => Ok(()),
            Askers::Clients(_) => Err(foreign()),
            // Tools and nodes name no origin. They may reach the port by any name.
            Askers::Operators(_) if origin.is_none() => Ok(()),
            Askers::Operators(names) if names.has_dashboard => names.judge(headers),
            Askers::Operators(_) => Err(foreign()),
        }
    }
}

/// The value of a header. What is no text is taken for something that is never allowed.
fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or(":"))
}

fn foreign() -> Refused {
    (DropReason::OriginRefused, "this origin is not allowed".to_owned())
}

/// The name in `name:port`, in lower case, without the brackets of an IPv6 address and the dot of the root.
fn name_of(authority: &str) -> String {
    let name = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(host: &str, origin: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        headers
    }

    fn operators(has_dashboard: bool) -> Askers {
        Askers::Operators(Names::new(["Matterhorn".to_owned(), "cluster.example.com".to_owned()], has_dashboard))
    }

    #[test]
    fn a_port_for_operators_answers_to_its_own_names_only() {
        let port = operators(true);
        for host in [
            "",
            "127.0.0.1",
            "10.0.0.7:9000",
            "[::1]:9000",
            "[fe80::1]",
            "localhost:9000",
            "a.localhost",
            "matterhorn",
            "MATTERHORN.:9000",
            "cluster.example.com:80",
        ] {
            assert_eq!(port.judge_page(&headers(host, "")), Ok(()), "{host}");
        }
        for host in ["evil.example", "matterhorn.evil.example:9000", "localhost.evil.example", "127.0.0.1.evil.example"]
        {
            let refused = port.judge_page(&headers(host, ""));
            assert_eq!(refused.map_err(|(reason, _)| reason), Err(DropReason::HostRefused), "{host}");
            // As the page of a stranger would do it, and as a tool that was given another name for the port.
            let origin = format!("http://{host}");
            let refused = port.judge_upgrade(&headers(host, &origin));
            assert_eq!(refused.map_err(|(reason, _)| reason), Err(DropReason::HostRefused), "{host}");
            assert_eq!(port.judge_upgrade(&headers(host, "")), Ok(()), "{host}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let port = operators(true);
        for (host, origin) in [
            ("matterhorn:9000", "http://matterhorn:9000"),
            ("127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("127.0.0.1:9000", "https://cluster.example.com"),
        ] {
            assert_eq!(port.judge_upgrade(&headers(host, origin)), Ok(()), "{origin}");
            assert_eq!(port.judge_page(&headers(host, origin)), Ok(()), "{origin}");
        }
        for origin in ["http://evil.example", "http://localhost:3000", "http://127.0.0.1:8080", "null", "", "\t:"] {
            let headers = headers("127.0.0.1:9000", if origin.is_empty() { "http://" } else { origin });
            let refused = [port.judge_upgrade(&headers), port.judge_page(&headers)];
            for refused in refused {
                assert_eq!(refused.map_err(|(reason, _)| reason), Err(DropReason::OriginRefused), "{origin}");
            }
        }
    }

    #[test]
    fn no_page_opens_a_websocket_where_there_is_no_dashboard() {
        let port = operators(false);
        assert!(port.judge_upgrade(&headers("127.0.0.1:9081", "http://127.0.0.1:9081")).is_err());
        assert_eq!(port.judge_upgrade(&headers("127.0.0.1:9081", "")), Ok(()));
    }
}
