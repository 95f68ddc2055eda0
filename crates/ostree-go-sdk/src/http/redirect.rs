//! Redirects: the URL that a response refers to.
//!
//! Source: RFC 9110, sections 10.2.2 (`Location`) and 15.4, and RFC 3986, section 5.2.

use super::url::{InvalidUrl, Url};
use super::{HttpError, TransportError};
use ureq::Body;
use ureq::http::{Response, StatusCode, header};

/// Maximum number of redirects of a request.
pub(super) const MAX_REDIRECTS: usize = 10;

/// The request that follows a redirect.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) url: Url,
    /// `HEAD` or `GET`.
    pub(super) method: &'static str,
}

/// Returns the request that follows a response; `None` if the response is not a redirect. Requests
/// with a body become `GET`, as in curl.
///
/// # Errors
/// Returns an error if the new URL is invalid, or if a request with a body would have to be
/// repeated.
pub(super) fn next(
    url: &Url,
    method: &'static str,
    response: &Response<Body>,
) -> Result<Option<Redirect>, HttpError> {
    let status = response.status();
    let repeats_method = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return Ok(None),
    };
    let Some(location) = response.headers().get(header::LOCATION) else {
        return Ok(None);
    };
    let method = match method {
        "HEAD" | "GET" => method,
        _ if repeats_method => {
            return Err(HttpError::Request {
                url: url.to_string(),
                source: TransportError::new(ureq::Error::RedirectFailed),
            });
        }
        _ => "GET",
    };
    let location = String::from_utf8_lossy(location.as_bytes());
    let resolved = resolve(url, &location).map_err(|InvalidUrl { found }| HttpError::Redirect {
        url: url.to_string(),
        found,
    })?;
    Ok(Some(Redirect {
        url: resolved,
        method,
    }))
}

/// Resolves a reference relative to a URL. The result is an `http` or `https` URL.
fn resolve(base: &Url, reference: &str) -> Result<Url, InvalidUrl> {
    let reference = reference.split('#').next().unwrap_or_default();
    let (scheme, host, path, query) = base.parts();
    let text = match scheme_end(reference) {
        Some(end) => reference[..end].to_ascii_lowercase() + &reference[end..],
        None if reference.starts_with("//") => format!("{scheme}:{reference}"),
        None => {
            let (new_path, new_query) = match reference.split_once('?') {
                Some((path, query)) => (path, Some(query)),
                None => (reference, None),
            };
            let (path, query) = match new_path {
                "" => (path.to_owned(), new_query.or(query)),
                absolute if absolute.starts_with('/') => (absolute.to_owned(), new_query),
                relative => {
                    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    (format!("{folder}/{relative}"), new_query)
                }
            };
            let query = query.map_or(String::new(), |query| format!("?{query}"));
            format!("{scheme}://{host}{}{query}", without_dots(&path))
        }
    };
    let url = Url::parse(&text)?;
    match url.local_path() {
        None => Ok(url),
        Some(_) => Err(InvalidUrl {
            found: url.to_string(),
        }),
    }
}

/// Returns the length of a reference's scheme (RFC 3986, 3.1); `None` for a relative reference.
fn scheme_end(reference: &str) -> Option<usize> {
    let end = reference.find(':')?;
    let mut bytes = reference[..end].bytes();
    let is_scheme = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some(end)
}

/// Removes the components `.` and `..` of a path (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut components = path.split('/').skip(1).peekable();
    while let Some(component) = components.next() {
        let is_last = components.peek().is_none();
        match component {
            "." | ".." => {
                if component == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            name => kept.push(name),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_are_resolved() {
        let base = Url::parse("http://me:secret@a.example:8080/b/c/d?q").unwrap();
        for (reference, expected) in [
            ("g", "http://a.example:8080/b/c/g"),
            ("./g?x#y", "http://a.example:8080/b/c/g?x"),
            ("../g/", "http://a.example:8080/b/g/"),
            ("../../../g", "http://a.example:8080/g"),
            ("..", "http://a.example:8080/b/"),
            ("/g;x=1/./h/..", "http://a.example:8080/g;x=1/"),
            ("?y", "http://a.example:8080/b/c/d?y"),
            ("#s", "http://a.example:8080/b/c/d?q"),
            ("//g.example", "http://g.example"),
            ("HTTPS://g.example/x", "https://g.example/x"),
            ("/a:b", "http://a.example:8080/a:b"),
        ] {
            assert_eq!(resolve(&base, reference).unwrap().secret(), expected);
        }
        for bad in [
            "file:///etc/passwd",
            "ftp://x/y",
            "a b",
            "http://",
            "\u{fffd}",
        ] {
            assert!(resolve(&base, bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_location_is_a_url_or_an_error(location in "[a-z:/@?#%. ]{0,30}|\\PC{0,20}") {
            let base = Url::parse("https://a.example").unwrap();
            if let Ok(url) = resolve(&base, &location) {
                prop_assert!(url.local_path().is_none());
            }
        }
    }
}
