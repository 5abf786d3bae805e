//! Which browser origins may open a WebSocket: patterns from the configuration against the `Origin` header.

/// The origins that a listener admits. Clients that are no browsers send no `Origin` and are not asked for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    patterns: Vec<OriginPattern>,
    /// Whether `Origin: null` (a page from a file, a sandboxed frame) may come in.
    null: bool,
}

/// `https://*.example.com`, `http://localhost:*` or `*`: `scheme://host[:port]` in lower case, where `*` stands for any
/// number of characters. Without a port it means the default port of its scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    /// As the configuration spells it.
    text: String,
    /// With the port always there.
    canonical: String,
}

impl Origins {
    pub fn new(patterns: Vec<OriginPattern>, null: bool) -> Origins {
        Origins { patterns, null }
    }

    /// Whether a page from here (the value of the `Origin` header, None when there is none) may connect.
    pub fn allows(&self, origin: Option<&str>) -> bool {
        match origin.map(str::trim) {
            None => true,
            Some(origin) if origin.eq_ignore_ascii_case("null") => self.null,
            Some(origin) => {
                let canonical = canonical(origin);
                let covers = |pattern: &OriginPattern| {
                    pattern.text == "*" || canonical.as_deref().is_some_and(|origin| covers(&pattern.canonical, origin))
                };
                self.patterns.iter().any(covers)
            }
        }
    }
}

impl OriginPattern {
    /// None when `text` is not of the form above.
    pub fn parse(text: &str) -> Option<OriginPattern> {
        let canonical = if text == "*" { text.to_owned() } else { canonical(text)? };
        Some(OriginPattern { text: text.to_owned(), canonical })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// `scheme://host:port` in lower case, None when it is something else.
fn canonical(origin: &str) -> Option<String> {
    let origin = origin.to_ascii_lowercase();
    let (scheme, authority) = origin.split_once("://")?;
    let is_odd = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '@' | '\\');
    if scheme.is_empty() || authority.is_empty() || authority.contains(is_odd) {
        return None;
    }
    // The colons of an IPv6 address stand in its brackets.
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    if authority[after_host..].contains(':') {
        return Some(origin);
    }
    let port = match scheme {
        "http" | "ws" => "80",
        "https" | "wss" => "443",
        // Any scheme, so any default port.
        _ => "*",
    };
    Some(format!("{origin}:{port}"))
}

/// Whether `pattern`, in which `*` stands for any number of characters, covers all of `text`.
fn covers(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    // Taking the leftmost place for each middle part leaves the most for those after it.
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(patterns: &[&str], origin: &str) -> bool {
        let patterns = patterns.iter().map(|text| OriginPattern::parse(text).unwrap()).collect();
        Origins::new(patterns, false).allows(Some(origin))
    }

    #[test]
    fn patterns_cover_whole_origins() {
        for (pattern, origin, allowed) in [
            ("*", "https://anything.example", true),
            ("*", "chrome-extension://abc", true),
            ("https://example.com", "https://example.com", true),
            ("https://example.com", "HTTPS://Example.COM:443", true),
            ("https://example.com", "http://example.com", false),
            ("https://example.com", "https://example.com:8443", false),
            ("https://example.com:8443", "https://example.com:8443", true),
            ("https://*.example.com", "https://a.b.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://evil.com/.example.com", false),
            ("https://*.example.com", "https://a.example.com.evil.com", false),
            ("http://localhost:*", "http://localhost:3000", true),
            ("http://localhost:*", "http://localhost", true),
            ("*://localhost:*", "https://localhost:1", true),
            ("http://[::1]", "http://[::1]:80", true),
            ("http://a*b*c:80", "http://axbxbxc", true),
            ("http://a*b*c:80", "http://acb", false),
        ] {
            assert_eq!(allows(&[pattern], origin), allowed, "{pattern} {origin}");
        }
    }

    #[test]
    fn null_and_absent_origins_have_their_own_rules() {
        let any = vec![OriginPattern::parse("*").unwrap()];
        assert!(!Origins::new(any.clone(), false).allows(Some("null")));
        assert!(Origins::new(any, true).allows(Some("null")));
        assert!(Origins::new(Vec::new(), false).allows(None));
    }

    #[test]
    fn what_is_no_origin_is_no_pattern() {
        for text in ["", "example.com", "https://", "https://a/b", "https://a b", "://a"] {
            assert_eq!(OriginPattern::parse(text), None, "{text:?}");
        }
    }
}
