//! Authentication with basic credentials and bearer tokens.
//!
//! Source: RFC 7617, and `docs/content/spec/auth/token.md` of `distribution`.

use crate::http::url::Url;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fmt;

/// Registry credentials.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryAuth {
    /// No credentials.
    #[default]
    Anonymous,
    /// A user name and a password.
    Basic {
        /// The user name.
        user: String,
        /// The password, or a token that is used as a password.
        password: String,
    },
    /// An identity token, which is exchanged for bearer tokens.
    IdentityToken(String),
}

/// Omits secrets.
impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Basic { user, .. } => write!(f, "Basic({user})"),
            Self::IdentityToken(_) => f.write_str("IdentityToken"),
        }
    }
}

impl RegistryAuth {
    /// Decodes a user name and a password, separated by `:` and encoded in base64, as in
    /// `auth.json` files. Returns `None` if the text is malformed.
    #[must_use]
    pub fn from_encoded(text: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self::Basic {
            user: user.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        })
    }

    /// Returns the value of `Authorization` for basic authentication; `None` for other credentials.
    pub(super) fn basic(&self) -> Option<String> {
        match self {
            Self::Basic { user, password } => {
                let text = BASE64_STANDARD.encode(format!("{user}:{password}"));
                Some(format!("Basic {text}"))
            }
            _ => None,
        }
    }
}

/// The authentication that a response with status 401 requests with `WWW-Authenticate`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

impl Challenge {
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        Some(Self::Bearer {
            realm: parameter(rest, "realm")?,
            service: parameter(rest, "service"),
        })
    }
}

/// Returns the value of a parameter in a list of `name="value"`.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key
            .trim()
            .trim_start_matches(',')
            .trim()
            .eq_ignore_ascii_case(name)
        {
            return Some(value.to_owned());
        }
        rest = next;
    }
    None
}

/// Returns the URL for requesting a token.
pub(super) fn token_url(realm: &str, service: Option<&str>, scope: &str) -> Option<Url> {
    let separator = if realm.contains('?') { '&' } else { '?' };
    let service = service.map_or(String::new(), |service| {
        format!("service={}&", encoded(service))
    });
    Url::parse(&format!(
        "{realm}{separator}{service}scope={}",
        encoded(scope)
    ))
    .ok()
}

/// Returns the form for exchanging an identity token (RFC 6749, 6).
pub(super) fn refresh_form(token: &str, service: Option<&str>, scope: &str) -> String {
    format!(
        "grant_type=refresh_token&client_id=ostree-go&service={}&scope={}&refresh_token={}",
        encoded(service.unwrap_or_default()),
        encoded(scope),
        encoded(token)
    )
}

/// Percent-encodes all characters that are not unreserved (RFC 3986, 2.3).
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn challenges_are_parsed() {
        let bearer = "Bearer realm=\"https://a.example/t\",service=\"r.example\", scope=\"repository:a:pull,push\"";
        let Some(Challenge::Bearer { realm, service }) = Challenge::parse(bearer) else {
            panic!("a bearer challenge")
        };
        assert_eq!(service.as_deref(), Some("r.example"));
        let url = token_url(&realm, service.as_deref(), "repository:a:pull,push").unwrap();
        assert_eq!(
            url.secret(),
            "https://a.example/t?service=r.example&scope=repository%3Aa%3Apull%2Cpush"
        );
        assert_eq!(
            Challenge::parse("basic realm=\"x\""),
            Some(Challenge::Basic)
        );
        assert_eq!(Challenge::parse("Bearer service=x"), None);
        assert_eq!(Challenge::parse("Negotiate"), None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let auth = RegistryAuth::Basic {
            user: "me".to_owned(),
            password: "secret".to_owned(),
        };
        assert_eq!(format!("{auth:?}"), "Basic(me)");
        assert_eq!(auth.basic().as_deref(), Some("Basic bWU6c2VjcmV0"));
        let token = RegistryAuth::IdentityToken("secret".to_owned());
        assert_eq!(format!("{token:?}"), "IdentityToken");
    }

    proptest! {
        #[test]
        fn any_header_is_a_challenge_or_none(header in "(Bearer |Basic )?[a-z=\", ]{0,40}|.{0,20}") {
            let _ = Challenge::parse(&header);
        }
    }
}
