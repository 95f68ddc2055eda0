//! The key `rpm`: the packages of an SDK.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::super::de::LOCATION;
use super::super::spec::{RpmFile, RpmLocation};
use super::super::value::{LocalPath, Text};
use super::scalar::Url;
use crate::id::Sha256;

/// An RPM: a path, a URL, or a map with one of them and a checksum.
#[derive(Debug)]
pub(in super::super) struct Rpm(pub RpmFile);

/// An RPM with its checksum.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Rpm", extend("oneOf" = [{"required": ["path"]}, {"required": ["url"]}]))]
struct RpmKeys {
    /// The path of a file, relative to the folder of the treefile that names it.
    path: Option<LocalPath>,
    /// The URL of the RPM. Requires `sha256`, `gpgkey` or an `h1` pin.
    url: Option<Url>,
    /// The SHA-256 checksum of the file.
    sha256: Option<Text<Sha256>>,
}

impl<'de> Deserialize<'de> for Rpm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RpmVisitor;

        impl<'de> Visitor<'de> for RpmVisitor {
            type Value = Rpm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, a URL or a map")
            }

            fn visit_byte_buf<E>(self, path: Vec<u8>) -> Result<Rpm, E> {
                Ok(rpm(
                    RpmLocation::Path(OsString::from_vec(path).into()),
                    None,
                ))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Rpm, E> {
                let url = serde::de::value::StrDeserializer::<E>::new(text);
                let Url(url) = Url::deserialize(url)?;
                Ok(rpm(RpmLocation::Url(url), None))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rpm, A::Error> {
                let keys = RpmKeys::deserialize(MapAccessDeserializer::new(map))?;
                let location = match (keys.path, keys.url) {
                    (Some(LocalPath(path)), None) => RpmLocation::Path(path),
                    (None, Some(Url(url))) => RpmLocation::Url(url),
                    (path, _) => {
                        let found = path.map_or("none of them", |_| "both");
                        return Err(A::Error::custom(format_args!(
                            "an RPM has exactly one of path and url, found {found}"
                        )));
                    }
                };
                Ok(rpm(location, keys.sha256.map(|Text(sha256)| sha256)))
            }
        }
        deserializer.deserialize_newtype_struct(LOCATION, RpmVisitor)
    }
}

fn rpm(location: RpmLocation, sha256: Option<Sha256>) -> Rpm {
    Rpm(RpmFile { location, sha256 })
}

impl JsonSchema for Rpm {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RpmOrPlace".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let keys = generator.subschema_for::<RpmKeys>();
        schemars::json_schema!({ "anyOf": [{ "type": "string", "minLength": 1 }, keys] })
    }

    fn inline_schema() -> bool {
        true
    }
}
