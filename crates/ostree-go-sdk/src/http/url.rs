//! URLs of downloads.

use std::fmt;
use std::path::PathBuf;

use ureq::http::Uri;

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
            found: public_part(text),
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
                        .is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()))
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

/// Returns a URL's text up to its query, without credentials.
pub(crate) fn public_part(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    without_credentials(&url[..end])
}

/// Returns a URL's text without the part before an `@` in its authority.
fn without_credentials(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]),
        None => url.to_owned(),
    }
}

/// Decodes percent-encoding (RFC 3986, 2.1). A `%` without two digits is kept.
fn percent_decode(text: &[u8]) -> Vec<u8> {
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
