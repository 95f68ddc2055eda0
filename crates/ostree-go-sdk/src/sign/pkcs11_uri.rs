//! URIs that name a key on a token.
//!
//! Source: RFC 7512, sections 2.3 (syntax) and 2.4 (comparison). Attributes that are not supported are
//! errors, because a URI must not match more than it says.

// Without the feature, only the fuzz target uses the parser.
#![cfg_attr(not(feature = "pkcs11"), allow(dead_code))]

use std::fmt;
use std::path::PathBuf;

/// The scheme.
const SCHEME: &str = "pkcs11:";
/// The maximum length of a URI in bytes.
const MAX_LENGTH: usize = 4096;

/// The text is not a URI for a key on a token. The error does not contain the values of the URI, which
/// can include a PIN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid PKCS#11 URI: {problem}")]
pub struct InvalidPkcs11Uri {
    /// The reason.
    pub problem: String,
}

/// A parsed URI.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Pkcs11Uri {
    pub(super) token: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) slot_id: Option<u64>,
    pub(super) object: Option<String>,
    pub(super) id: Option<Vec<u8>>,
    pub(super) pin: Option<Pin>,
    pub(super) module_path: Option<PathBuf>,
    /// The URI without its query, in which a PIN can be.
    shown: String,
}

/// The origin of a PIN.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Pin {
    Value(String),
    File(PathBuf),
}

/// Formats the URI without its query, in which a PIN can be.
impl fmt::Display for Pkcs11Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Pkcs11Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Pkcs11Uri {
    /// Parses a URI.
    ///
    /// # Errors
    /// Returns an error if the text is not a URI of this scheme, or has an attribute that is not
    /// supported.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPkcs11Uri> {
        let rest = match text.strip_prefix(SCHEME) {
            Some(_) if text.len() > MAX_LENGTH => {
                return invalid(format!("it has more than {MAX_LENGTH} bytes"));
            }
            Some(rest) => rest,
            None => return invalid("it does not begin with `pkcs11:`".to_owned()),
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self {
            shown: format!("{SCHEME}{path}"),
            ..Self::default()
        };
        for attribute in path.split(';').filter(|text| !text.is_empty()) {
            uri.add(attribute, false)?;
        }
        for attribute in query.split('&').filter(|text| !text.is_empty()) {
            uri.add(attribute, true)?;
        }
        if uri
            .shown
            .chars()
            .any(|c| c.is_control() || c.is_whitespace())
        {
            return invalid("it contains spaces or control characters".to_owned());
        }
        Ok(uri)
    }

    fn add(&mut self, attribute: &str, is_query: bool) -> Result<(), InvalidPkcs11Uri> {
        let Some((name, value)) = attribute.split_once('=') else {
            return invalid("an attribute has no `=`".to_owned());
        };
        let bytes = decoded(name, value)?;
        if name == "id" && !is_query {
            return set(&mut self.id, name, bytes);
        }
        let Ok(text) = String::from_utf8(bytes) else {
            return invalid(format!("`{}` is not in UTF-8", name.escape_debug()));
        };
        match (name, is_query) {
            ("token", false) => set(&mut self.token, name, text),
            ("manufacturer", false) => set(&mut self.manufacturer, name, text),
            ("model", false) => set(&mut self.model, name, text),
            ("serial", false) => set(&mut self.serial, name, text),
            ("object", false) => set(&mut self.object, name, text),
            ("slot-id", false) => match text.parse() {
                Ok(number) => set(&mut self.slot_id, name, number),
                Err(_) => invalid("`slot-id` is not a number".to_owned()),
            },
            ("type", false) if text == "private" => Ok(()),
            ("type", false) => invalid("`type` must be `private`".to_owned()),
            ("pin-value", true) => set_pin(&mut self.pin, Pin::Value(text)),
            ("pin-source", true) => {
                // RFC 7512 also allows a command after `|`, and other schemes.
                let path = text.strip_prefix("file://").unwrap_or(&text);
                let path = path.strip_prefix("file:").unwrap_or(path);
                match path.starts_with('/') {
                    true => set_pin(&mut self.pin, Pin::File(path.into())),
                    false => invalid("`pin-source` is not an absolute path".to_owned()),
                }
            }
            ("module-path", true) if text.starts_with('/') => {
                set(&mut self.module_path, name, text.into())
            }
            ("module-path", true) => invalid("`module-path` is not an absolute path".to_owned()),
            ("pin-value" | "pin-source" | "module-path", false) => {
                invalid(format!("`{name}` must be after the `?`"))
            }
            (name, _) => invalid(format!(
                "the attribute `{}` is not supported there",
                name.escape_debug()
            )),
        }
    }
}

fn invalid<T>(problem: String) -> Result<T, InvalidPkcs11Uri> {
    Err(InvalidPkcs11Uri { problem })
}

fn set<T>(field: &mut Option<T>, name: &str, value: T) -> Result<(), InvalidPkcs11Uri> {
    match field.replace(value) {
        Some(_) => invalid(format!("`{name}` is there twice")),
        None => Ok(()),
    }
}

fn set_pin(field: &mut Option<Pin>, pin: Pin) -> Result<(), InvalidPkcs11Uri> {
    match field.replace(pin) {
        Some(_) => invalid("it has two PINs".to_owned()),
        None => Ok(()),
    }
}

/// Decodes a value, in which `%` is followed by two hexadecimal digits.
fn decoded(name: &str, value: &str) -> Result<Vec<u8>, InvalidPkcs11Uri> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let Some((high, low)) = digit(0).zip(digit(1)) else {
            return invalid(format!(
                "`{}` has a `%` without two hexadecimal digits",
                name.escape_debug()
            ));
        };
        // Two digits are at most 255.
        bytes.extend(u8::try_from(high * 16 + low));
        rest = &after[2..];
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn attributes_are_decoded() {
        let uri = Pkcs11Uri::parse(
            "pkcs11:token=The%20Token;manufacturer=Acme;model=1.0;serial=42;slot-id=3;object=sign;\
             id=%69%95%3e;type=private?pin-source=file:/etc/token_pin&module-path=/usr/lib/x.so",
        )
        .unwrap();
        assert_eq!(uri.token.as_deref(), Some("The Token"));
        assert_eq!(uri.manufacturer.as_deref(), Some("Acme"));
        assert_eq!(uri.model.as_deref(), Some("1.0"));
        assert_eq!((uri.serial.as_deref(), uri.slot_id), (Some("42"), Some(3)));
        assert_eq!(uri.object.as_deref(), Some("sign"));
        assert_eq!(uri.id, Some(vec![0x69, 0x95, 0x3e]));
        assert!(uri.pin == Some(Pin::File("/etc/token_pin".into())));
        assert_eq!(uri.module_path, Some("/usr/lib/x.so".into()));
        assert_eq!(Pkcs11Uri::parse("pkcs11:").unwrap().token, None);
    }

    #[test]
    fn the_pin_is_never_shown() {
        let uri = Pkcs11Uri::parse("pkcs11:token=a?pin-value=12%3334").unwrap();
        assert!(uri.pin == Some(Pin::Value("12334".to_owned())));
        assert_eq!(format!("{uri} {uri:?}"), "pkcs11:token=a pkcs11:token=a");
    }

    #[test]
    fn what_is_not_supported_is_an_error() {
        for (text, problem) in [
            ("token=a", "it does not begin with `pkcs11:`"),
            ("pkcs11:token", "an attribute has no `=`"),
            ("pkcs11:token=a;token=b", "`token` is there twice"),
            (
                "pkcs11:token=%4",
                "`token` has a `%` without two hexadecimal digits",
            ),
            ("pkcs11:token=%ff", "`token` is not in UTF-8"),
            (
                "pkcs11:token=a b",
                "it contains spaces or control characters",
            ),
            ("pkcs11:type=cert", "`type` must be `private`"),
            ("pkcs11:slot-id=x", "`slot-id` is not a number"),
            ("pkcs11:pin-value=1234", "`pin-value` must be after the `?`"),
            (
                "pkcs11:?token=a",
                "the attribute `token` is not supported there",
            ),
            (
                "pkcs11:library-version=3",
                "the attribute `library-version` is not supported there",
            ),
            (
                "pkcs11:?pin-source=|cat",
                "`pin-source` is not an absolute path",
            ),
            (
                "pkcs11:?module-path=x.so",
                "`module-path` is not an absolute path",
            ),
            ("pkcs11:?pin-value=1&pin-source=/a", "it has two PINs"),
        ] {
            let error = Pkcs11Uri::parse(text).unwrap_err();
            assert_eq!(error.problem, problem, "{text}");
        }
        let long = format!("pkcs11:token={}", "a".repeat(MAX_LENGTH));
        let error = Pkcs11Uri::parse(&long).unwrap_err();
        assert_eq!(error.problem, "it has more than 4096 bytes");
    }

    fn encoded(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
    }

    proptest! {
        #[test]
        fn every_value_can_be_encoded(token: String, id: Vec<u8>, pin: String) {
            prop_assume!(token.len() + id.len() + pin.len() < 1000);
            let text = format!(
                "pkcs11:token={};id={}?pin-value={}",
                encoded(token.as_bytes()), encoded(&id), encoded(pin.as_bytes())
            );
            let uri = Pkcs11Uri::parse(&text).unwrap();
            prop_assert_eq!(uri.token.as_deref(), Some(token.as_str()));
            prop_assert_eq!(uri.id, Some(id));
            prop_assert!(uri.pin == Some(Pin::Value(pin)));
        }

        #[test]
        fn any_text_is_parsed(text in "(pkcs11:)?[a-z%=;?&/|0-9]*") {
            let _ = Pkcs11Uri::parse(&text);
        }
    }
}
