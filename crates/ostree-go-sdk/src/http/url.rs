//! URLs of downloads.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fmt;
use std::path::PathBuf;

use ureq::http::Uri;
use ureq::http::uri::Authority;

/// An `http`, `https` or `file` URL. Its text output omits parts that may be secret: the
/// credentials before the host, the query and the fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    scheme: Scheme,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
    File,
}

/// The error for a text that is not a supported URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a URL to download from, expected http://, https:// or file:///", found.escape_debug())]
pub struct InvalidUrl {
    /// The text, without credentials.
    pub found: String,
}

impl Url {
    /// Parses a URL.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let invalid = || InvalidUrl {
            found: invalid_part(text),
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(invalid)?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "file" => Scheme::File,
            _ => return Err(invalid()),
        };
        let is_valid = match scheme {
            Scheme::File => rest.starts_with('/') && !rest.contains(['\0', '?', '#']),
            // The authority is required, and HTTP allows no other characters than these.
            _ => {
                rest.bytes().all(|b| b.is_ascii_graphic())
                    && text
                        .parse::<Uri>()
                        .is_ok_and(|uri| uri.authority().is_some_and(is_valid_authority))
            }
        };
        is_valid
            .then(|| Self {
                text: text.to_owned(),
                scheme,
            })
            .ok_or_else(invalid)
    }

    /// Appends a path component to this URL.
    pub fn join(&self, name: &str) -> Result<Self, InvalidUrl> {
        Self::parse(&format!("{}/{name}", self.text.trim_end_matches('/')))
    }

    /// Returns the whole URL, with credentials.
    pub fn secret(&self) -> &str {
        &self.text
    }

    /// Returns the URL with its query but without credentials. It identifies the content.
    pub fn key(&self) -> String {
        without_credentials(&self.text)
    }

    /// Returns the value of `Authorization` for the user information before the host, which is
    /// percent-decoded; `None` if there is none.
    pub(super) fn basic_authorization(&self) -> Option<String> {
        let (start, end) = authority(&self.text);
        let (information, _) = self.text[start..end].rsplit_once('@')?;
        let (user, password) = information.split_once(':').unwrap_or((information, ""));
        let decoded = [
            percent_decode(user.as_bytes()),
            percent_decode(password.as_bytes()),
        ];
        let encoded = BASE64_STANDARD.encode(decoded.join(&b':'));
        Some(format!("Basic {encoded}"))
    }

    /// Returns the host without the port.
    pub(super) fn host(&self) -> String {
        let uri = self.text.parse::<Uri>().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        host.to_ascii_lowercase()
    }

    /// Returns true if requests for both URLs go to the same server.
    pub(super) fn has_same_origin(&self, other: &Self) -> bool {
        let port = |url: &Self| {
            let uri = url.text.parse::<Uri>().ok();
            let default = if url.is_https() { 443 } else { 80 };
            uri.and_then(|uri| uri.port_u16()).unwrap_or(default)
        };
        self.scheme == other.scheme && self.host() == other.host() && port(self) == port(other)
    }

    /// Returns the scheme, the host with its port, the path and the query, without the fragment.
    pub(super) fn parts(&self) -> (&str, &str, &str, Option<&str>) {
        let (start, end) = authority(&self.text);
        let scheme = self.text[..start].trim_end_matches("://");
        let host = self.text[start..end].rsplit('@').next().unwrap_or_default();
        let rest = self.text[end..].split('#').next().unwrap_or_default();
        match rest.split_once('?') {
            Some((path, query)) => (scheme, host, path, Some(query)),
            None => (scheme, host, rest, None),
        }
    }

    /// Returns true if only encrypted connections may be used.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Returns the last component of the path.
    pub fn file_name(&self) -> String {
        let shown = self.to_string();
        shown.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Returns the local path of a `file` URL.
    pub fn local_path(&self) -> Option<PathBuf> {
        if self.scheme != Scheme::File {
            return None;
        }
        use std::os::unix::ffi::OsStringExt;
        let path = percent_decode(self.text.strip_prefix("file://")?.as_bytes());
        Some(std::ffi::OsString::from_vec(path).into())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&public_part(&self.text))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns true if an authority has a host, and a port that is a number or none. `http` accepts any
/// text as the port, for example a part of a password that contains a `/`.
fn is_valid_authority(authority: &Authority) -> bool {
    let (host, text) = (authority.host(), authority.as_str());
    let port = text
        .rsplit('@')
        .next()
        .and_then(|text| text.strip_prefix(host));
    let port = port.map(|port| port.strip_prefix(':').unwrap_or(port));
    !host.is_empty() && port.is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok())
}

/// Returns a URL's text up to its query, without credentials.
pub(crate) fn public_part(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    without_credentials(&url[..end])
}

/// Returns a text that is not a URL, without anything that was meant as a secret. A password may
/// contain characters that end an authority.
pub(crate) fn invalid_part(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    // The digest of an image is no secret.
    let end = text.find("@sha256:").unwrap_or(text.len()).max(start);
    match text[start..end].rfind('@') {
        Some(at) => public_part(&format!("{}{}", &text[..start], &text[start + at + 1..])),
        None => public_part(text),
    }
}

/// Returns a URL's text without the part before an `@` in its authority.
fn without_credentials(url: &str) -> String {
    let (start, end) = authority(url);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]),
        None => url.to_owned(),
    }
}

/// Returns the start and the end of the authority in a URL's text.
fn authority(url: &str) -> (usize, usize) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']);
    (start, end.map_or(url.len(), |at| start + at))
}

/// Decodes percent-encoding (RFC 3986, 2.1). A `%` without two digits is kept.
pub(crate) fn percent_decode(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|&b| char::from(b).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        match (first, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    #[test]
    fn secrets_are_not_shown() {
        let url = Url::parse("https://me:secret@x.example:8443/a/b.zip?token=1").unwrap();
        assert_eq!(url.to_string(), "https://x.example:8443/a/b.zip");
        assert_eq!(format!("{url:?}"), "https://x.example:8443/a/b.zip");
        assert_eq!(url.key(), "https://x.example:8443/a/b.zip?token=1");
        assert_eq!(url.file_name(), "b.zip");
        insta::assert_snapshot!(
            Url::parse("ftp://me:secret@x/y?z").unwrap_err(),
            @"`ftp://x/y` is not a URL to download from, expected http://, https:// or file:///"
        );
    }

    #[test]
    fn user_information_is_percent_decoded() {
        let basic = |text| Url::parse(text).unwrap().basic_authorization();
        let encoded = |text: &str| Some(format!("Basic {}", BASE64_STANDARD.encode(text)));
        assert_eq!(basic("https://x.example/a@b"), None);
        assert_eq!(basic("https://me:s@x/y"), encoded("me:s"));
        assert_eq!(
            basic("https://m%40e:p%3A%2F%25%c3%a4@x"),
            encoded("m@e:p:/%\u{e4}")
        );
        assert_eq!(basic("https://token@x/y"), encoded("token:"));
        assert_eq!(basic("https://me:a%zz+b@x/y"), encoded("me:a%zz+b"));
    }

    #[test]
    fn invalid_urls_show_no_secrets() {
        for bad in [
            "https://me:se/cret@x.example/y",
            "https://me:se?cret@x.example/y",
            "https://me:se#cret@x.example/y",
            "https://me:se cret@x.example/y",
            "me:secret@x.example/y",
        ] {
            let error = Url::parse(bad).unwrap_err();
            assert_eq!(
                error.found.trim_start_matches("https://"),
                "x.example/y",
                "{bad}"
            );
        }
    }

    #[test]
    fn origins_are_compared() {
        let same = |one, other| {
            let parse = |text| Url::parse(text).unwrap();
            parse(one).has_same_origin(&parse(other))
        };
        assert!(same("http://a/x", "http://me:s@A:80/y"));
        assert!(same("https://a:443", "https://a"));
        assert!(!same("https://a", "http://a"));
        assert!(!same("http://a:1", "http://a:2"));
        assert!(!same("http://a.b", "http://b"));
    }

    #[test]
    fn file_urls_are_local_paths() {
        let path = |text| Url::parse(text).unwrap().local_path();
        assert_eq!(
            path("file:///a%20b/%zz%4").as_deref(),
            Some(Path::new("/a b/%zz%4"))
        );
        assert_eq!(path("http://a/b"), None);
        let joined = Url::parse("http://a/dl/").unwrap().join("x").unwrap();
        assert_eq!(joined.secret(), "http://a/dl/x");
        for bad in [
            "",
            "file://host/x",
            "file:///a?b",
            "http://",
            "http:///x",
            "http://a:b/x",
            "http://a:65536/x",
            "https://a b",
            "/x",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_url_or_an_error(text in "(https?://|file:///)?[a-z:/@?#% .]{0,20}|.{0,20}") {
            if let Ok(url) = Url::parse(&text) {
                let _ = (url.file_name(), url.local_path(), url.key());
                prop_assert!(!url.to_string().contains('?'));
            }
        }
    }
}
