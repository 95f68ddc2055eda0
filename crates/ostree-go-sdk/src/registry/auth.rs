//! Authentication with basic credentials and bearer tokens.
//!
//! Source: RFC 7617, and `docs/content/spec/auth/token.md` of `distribution`.

use crate::http::url::Url;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_auth::ChallengeRef;
use http_auth::parser::ChallengeParser;
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

/// The authentication that a response with status 401 requests with `WWW-Authenticate`. Bearer
/// tokens precede passwords.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Challenge {
    Bearer {
        realm: String,
        service: Option<String>,
    },
    Basic,
}

impl Challenge {
    /// Parses the values of all `WWW-Authenticate` headers, and returns the challenges that can be
    /// answered, in the order of preference. In each value, everything after a syntax error is
    /// ignored.
    pub(super) fn parse_all<'a>(headers: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let headers = headers.into_iter();
        let parsed = headers.flat_map(|value| ChallengeParser::new(value).map_while(Result::ok));
        let mut found: Vec<Self> = parsed.filter_map(|one| Self::supported(&one)).collect();
        found.sort();
        found.dedup();
        found
    }

    fn supported(challenge: &ChallengeRef<'_>) -> Option<Self> {
        let parameter = |name: &str| {
            let mut parameters = challenge.params.iter();
            let found = parameters.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        Some(Self::Bearer {
            realm: parameter("realm")?,
            service: parameter("service"),
        })
    }
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

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        }
    }

    #[test]
    fn tokens_are_requested_with_service_and_scope() {
        let header = "Bearer realm=\"https://a.example/t\",service=\"r.example\", scope=\"repository:a:pull,push\"";
        let found = Challenge::parse_all([header]);
        assert_eq!(found, [bearer("https://a.example/t", Some("r.example"))]);
        let url = token_url(
            "https://a.example/t",
            Some("r.example"),
            "repository:a:pull,push",
        );
        assert_eq!(
            url.unwrap().secret(),
            "https://a.example/t?service=r.example&scope=repository%3Aa%3Apull%2Cpush"
        );
    }

    #[test]
    fn all_challenges_are_read_and_bearer_is_preferred() {
        let both = [bearer("https://a/t", Some("s")), Challenge::Basic];
        let one_header =
            "Basic realm=\"x, Bearer realm=y\", Bearer realm=\"https://a/t\", service=s";
        assert_eq!(Challenge::parse_all([one_header]), both);
        let two_headers = [
            "basic realm=x",
            "BEARER service=\"s\" , REALM=\"https://a/t\"",
        ];
        assert_eq!(Challenge::parse_all(two_headers), both);
        let others = [
            "Negotiate",
            "Digest realm=\"d\", nonce=\"n\", Basic realm=\"x\"",
            "NTLM TlRMTVNTUAAC==",
            "Bearer realm=\"https://a/t\",service=s",
        ];
        assert_eq!(Challenge::parse_all(others), both);
        let escaped = r#"Bearer realm="https://a/\"t\\",service="a\,b""#;
        let expected = bearer("https://a/\"t\\", Some("a,b"));
        assert_eq!(Challenge::parse_all([escaped]), [expected]);
        assert_eq!(
            Challenge::parse_all(["Bearer service=x", "", "=", "Basic"]),
            [Challenge::Basic]
        );
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
        fn any_header_is_read(header in "(Bearer |Basic )?[a-z=\\\\\", ]{0,40}|.{0,20}") {
            let _ = Challenge::parse_all([header.as_str()]);
        }
    }
}
