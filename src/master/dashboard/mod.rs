//! The live dashboard: the files that the master serves as they are, without a build. `dashboard.js` begins the tour.

/// One file of the dashboard.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Where it is asked for.
    pub path: &'static str,
    pub content_type: &'static str,
    pub text: &'static str,
}

/// Only what the master itself serves is loaded, and nobody frames the page that has the drain button.
pub const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($path:literal = $content_type:ident $file:literal;)*) => {
        /// Every file. They belong together: a browser should ask anew for each after an upgrade (`no-cache`).
        pub const ASSETS: &[Asset] =
            &[$(Asset { path: $path, content_type: $content_type, text: include_str!($file) },)*];
    };
}

assets! {
    "/" = HTML "index.html";
    "/dashboard.css" = CSS "dashboard.css";
    "/favicon.svg" = SVG "favicon.svg";
    "/dashboard.js" = JAVASCRIPT "dashboard.js";
    "/charts.js" = JAVASCRIPT "charts.js";
    "/cluster.js" = JAVASCRIPT "cluster.js";
    "/control.js" = JAVASCRIPT "control.js";
    "/nodes.js" = JAVASCRIPT "nodes.js";
    "/page.js" = JAVASCRIPT "page.js";
    "/refusals.js" = JAVASCRIPT "refusals.js";
    "/tables.js" = JAVASCRIPT "tables.js";
    "/wamp.js" = JAVASCRIPT "wamp.js";
}

/// The file for the path of a request.
pub fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths that a file of the dashboard refers to: imports, sources and links.
    fn references(text: &str) -> Vec<String> {
        let quoted = |before: &str, end: char| -> Vec<String> {
            text.split(before).skip(1).filter_map(|rest| rest.split(end).next()).map(str::to_owned).collect()
        };
        let imports = quoted(" from './", '\'').into_iter().map(|name| format!("/{name}"));
        imports
            .chain(quoted("src=\"", '"'))
            .chain(quoted("href=\"", '"'))
            .filter(|path| !path.starts_with('#'))
            .collect()
    }

    #[test]
    fn whatever_a_file_refers_to_is_served_here() {
        let mut count = 0;
        for path in ASSETS.iter().flat_map(|file| references(file.text)) {
            count += 1;
            assert!(asset(&path).is_some() || path.starts_with("/api/"), "{path} is not served");
        }
        assert!(count > 10, "only {count} references were found");
    }

    #[test]
    fn the_policy_is_kept() {
        for file in ASSETS {
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", " style=", "<script>", "eval("]
            {
                assert!(!file.text.contains(forbidden), "{}: {forbidden}", file.path);
            }
            assert!(!file.text.contains("https://"), "{}: something from elsewhere", file.path);
        }
    }
}
