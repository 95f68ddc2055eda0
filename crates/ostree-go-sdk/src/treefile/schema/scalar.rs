//! Texts that several keys have: types with a rule, and types that only stand for their schema.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Declares a text type with a validation rule.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $text:ident => $valid:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
        #[schemars(inline)]
        pub(in super::super) struct $name(pub String);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let $text = String::deserialize(deserializer)?;
                if $valid {
                    Ok(Self($text))
                } else {
                    let found = $text.escape_debug();
                    Err(D::Error::custom(format_args!("`{found}` is not {}", $expected)))
                }
            }
        }
    };
}

pub(super) use checked_text;

checked_text! {
    Url, text => ["https://", "http://", "file:///"].iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty())
    }) && text.bytes().all(|b| b.is_ascii_graphic()),
    "a URL, expected one that starts with https://, http:// or file:///"
}

// An architecture; only used for the schema.
#[derive(JsonSchema)]
#[schemars(inline)]
#[allow(dead_code, reason = "stands for its schema")]
pub(super) enum ArchName {
    #[schemars(rename = "x86_64")]
    X86_64,
    #[schemars(rename = "aarch64")]
    Aarch64,
}

// Text that may look like a number; only used for the schema. Its text counts: `1.20` is not 1.2.
#[derive(JsonSchema)]
#[schemars(inline, extend("type" = ["string", "number", "boolean"]))]
#[allow(dead_code, reason = "stands for its schema")]
pub(super) struct Scalar(String);

// A Go version, which may look like a number; only used for the schema.
#[derive(JsonSchema)]
#[schemars(inline, extend("type" = ["string", "number"]))]
#[allow(dead_code, reason = "stands for its schema")]
pub(super) struct Version(String);
