//! `source`: where an SDK may come from.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::super::SourceSpec;
use super::super::value::{LocalPath, Text};
use super::{ArchName, checked_text};
use crate::arch::Arch;
use crate::id::Sha256;

/// One list of sources, or one for each architecture.
#[derive(Debug)]
pub(in super::super) enum Sources {
    Same(Vec<Source>),
    PerArch(BTreeMap<Text<Arch>, Vec<Source>>),
}

impl Default for Sources {
    fn default() -> Self {
        Self::Same(Vec::new())
    }
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourcesVisitor;

        impl<'de> Visitor<'de> for SourcesVisitor {
            type Value = Sources;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of sources, or a map from architectures to such lists")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Sources, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Sources::Same)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sources, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Sources::PerArch)
            }
        }
        deserializer.deserialize_any(SourcesVisitor)
    }
}

impl JsonSchema for Sources {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sources".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let list = generator.subschema_for::<Vec<SourceKeys>>();
        let per_arch = generator.subschema_for::<BTreeMap<ArchName, Vec<SourceKeys>>>();
        schemars::json_schema!({ "anyOf": [list, per_arch] })
    }
}

/// A place the SDK may come from.
#[derive(Debug)]
pub(in super::super) struct Source(pub SourceSpec);

/// A place the SDK may come from: one of `path`, `url`, `index` and `module`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Source", extend("oneOf" = [
    {"required": ["path"]}, {"required": ["url"]}, {"required": ["index"]}, {"required": ["module"]}
]))]
struct SourceKeys {
    /// An archive or a folder, below the folder of the treefile that names it.
    path: Option<LocalPath>,
    /// The URL of an archive. Needs `sha256` or a pin.
    url: Option<Url>,
    /// The SHA-256 checksum of the archive at `url`.
    sha256: Option<Text<Sha256>>,
    /// The URL of a Go download index: `https://go.dev/dl/`.
    index: Option<Url>,
    /// The path of the toolchain's Go module: `golang.org/toolchain`.
    module: Option<String>,
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = SourceKeys::deserialize(deserializer)?;
        let given = [
            ("path", keys.path.is_some()),
            ("url", keys.url.is_some()),
            ("index", keys.index.is_some()),
            ("module", keys.module.is_some()),
        ];
        let given: Vec<&str> = given
            .iter()
            .filter(|(_, set)| *set)
            .map(|(key, _)| *key)
            .collect();
        let source = match keys {
            SourceKeys {
                url: Some(Url(url)),
                sha256,
                ..
            } if given.len() == 1 => {
                let sha256 = sha256.map(|Text(sha256)| sha256);
                return Ok(Self(SourceSpec::Url { url, sha256 }));
            }
            _ if given.len() != 1 => {
                let found = match given[..] {
                    [] => "none of them".to_owned(),
                    _ => given.join(" and "),
                };
                return Err(D::Error::custom(format_args!(
                    "a source has one of path, url, index and module, found {found}"
                )));
            }
            SourceKeys {
                path: Some(LocalPath(path)),
                sha256: None,
                ..
            } => SourceSpec::Path(path),
            SourceKeys {
                index: Some(Url(base)),
                sha256: None,
                ..
            } => SourceSpec::Index { base },
            SourceKeys {
                module: Some(path),
                sha256: None,
                ..
            } => SourceSpec::Module { path },
            _ => {
                return Err(D::Error::custom(
                    "`sha256` belongs to `url`; `pin` holds for every source",
                ));
            }
        };
        Ok(Self(source))
    }
}

checked_text! {
    Url, text => ["https://", "http://", "file:///"].iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty())
    }) && text.bytes().all(|b| b.is_ascii_graphic()),
    "a URL, expected one that starts with https://, http:// or file:///"
}
