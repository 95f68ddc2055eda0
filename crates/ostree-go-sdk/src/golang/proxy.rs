//! `GOPROXY`: the list of module proxies, in order.

use crate::http::url::invalid_part;
use crate::kind::ErrorKind;

/// An entry of a `GOPROXY` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyEntry {
    /// The proxy or keyword.
    pub target: ProxyTarget,
    /// Set if the next entry is tried after any error (the separator is `|`). Otherwise it is only
    /// tried if the module is not found (HTTP status 404 or 410).
    pub on_any_error: bool,
}

/// A proxy or keyword in a `GOPROXY` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyTarget {
    /// A module proxy: an `http`, `https` or `file` URL without a final `/`.
    Proxy(String),
    /// `direct`: the module's version control repository. Toolchains have none.
    Direct,
    /// `off`: downloads are forbidden.
    Off,
}

/// The reason why a text is not a `GOPROXY` list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProxyList {
    /// The list has no entries.
    #[error("the GOPROXY list is empty, expected at least one proxy URL, `direct` or `off`")]
    Empty,
    /// An entry is neither a keyword nor a URL.
    #[error("GOPROXY entry `{}` is not a proxy, expected an http, https or file URL, `direct` or `off`", .found.escape_debug())]
    Entry {
        /// The entry, without credentials.
        found: String,
    },
    /// A `file` URL has a host, a query or a fragment.
    #[error("GOPROXY entry `{}` has more than a path, expected file:///path", .found.escape_debug())]
    FileUrl {
        /// The invalid entry.
        found: String,
    },
}

impl InvalidProxyList {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

/// Parses a `GOPROXY` list as the go command does
/// (`src/cmd/go/internal/modfetch/proxy.go`, `proxyList`): entries are separated by `,` or
/// `|`, blanks are trimmed, a bare host gets `https://`, and `off` and `direct` end the list.
///
/// # Errors
/// Returns an error if the list has no entries, or an entry is not a valid URL.
pub fn parse_list(list: &str) -> Result<Vec<ProxyEntry>, InvalidProxyList> {
    let mut entries = Vec::new();
    for entry in list.split_inclusive([',', '|']) {
        let on_any_error = entry.ends_with('|');
        let target = match entry.trim_end_matches([',', '|']).trim() {
            "" => continue,
            "off" => ProxyTarget::Off,
            "direct" => ProxyTarget::Direct,
            url => ProxyTarget::Proxy(proxy_url(url)?),
        };
        let is_last = !matches!(target, ProxyTarget::Proxy(_));
        entries.push(ProxyEntry {
            target,
            on_any_error,
        });
        if is_last {
            break;
        }
    }
    if entries.is_empty() {
        return Err(InvalidProxyList::Empty);
    }
    Ok(entries)
}

fn proxy_url(entry: &str) -> Result<String, InvalidProxyList> {
    let is_bare_host =
        entry.contains(['.', ':']) && !entry.contains(":/") && !entry.starts_with('/');
    let url = if is_bare_host {
        format!("https://{entry}")
    } else {
        entry.to_owned()
    };
    let invalid = || InvalidProxyList::Entry {
        found: invalid_part(&url),
    };
    if url.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(invalid());
    }
    match url.split_once("://") {
        Some(("file", path)) if path.starts_with('/') && !path.contains(['?', '#']) => {}
        Some(("file", _)) => {
            return Err(InvalidProxyList::FileUrl {
                found: invalid_part(&url),
            });
        }
        Some(("http" | "https", rest)) if !rest.is_empty() && !rest.starts_with('/') => {}
        _ => return Err(invalid()),
    }
    Ok(url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(list: &str) -> String {
        let entries = parse_list(list).unwrap();
        let show = |e: &ProxyEntry| {
            let shown = match &e.target {
                ProxyTarget::Proxy(url) => url,
                ProxyTarget::Direct => "(direct)",
                ProxyTarget::Off => "(off)",
            };
            format!("{shown}{}", if e.on_any_error { " |" } else { "" })
        };
        entries.iter().map(show).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn reads_lists_as_the_go_command_does() {
        insta::assert_snapshot!(
            shown(" https://a.example/x/ |b.example,, http://c , file:///srv/p,direct,https://never"),
            @"
        https://a.example/x |
        https://b.example
        http://c
        file:///srv/p
        (direct)
        "
        );
        assert_eq!(shown("off,https://a"), "(off)");
        assert_eq!(shown("localhost:8080"), "https://localhost:8080");
    }

    #[test]
    fn refuses_invalid_proxies() {
        let error = |list| parse_list(list).unwrap_err().to_string();
        insta::assert_snapshot!(error(" ,| "), @"the GOPROXY list is empty, expected at least one proxy URL, `direct` or `off`");
        insta::assert_snapshot!(error("ftp://me:secret@x/y"), @"GOPROXY entry `ftp://x/y` is not a proxy, expected an http, https or file URL, `direct` or `off`");
        insta::assert_snapshot!(error("file://host/x"), @"GOPROXY entry `file://host/x` has more than a path, expected file:///path");
        for bad in ["none", "/srv/p", "https://", "file:///a?b", "https://a b"] {
            assert!(parse_list(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_list_or_an_error(list in "([a-z:/.@]{0,12}[,|]?){0,4}|.{0,40}") {
            if let Ok(entries) = parse_list(&list) {
                prop_assert!(!entries.is_empty());
                for entry in entries {
                    if let ProxyTarget::Proxy(url) = entry.target {
                        prop_assert!(url.contains("://") || url.ends_with(':') , "{}", url);
                    }
                }
            }
        }
    }
}
