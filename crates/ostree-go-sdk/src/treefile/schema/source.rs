//! The key `source`: the sources of an SDK.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::super::de::{SOURCE, SOURCES};
use super::super::spec::SourceSpec;
use super::super::value::{LocalPath, OneOrMore, Text};
use super::rpm::Rpm;
use super::scalar::{ArchName, Url};
use crate::arch::Arch;
use crate::id::Sha256;

/// Maximum number of RPMs of one source. Fedora's `golang` has ten.
const RPMS: usize = 64;

/// One source or a list of them, or one or a list for each architecture.
#[derive(Debug)]
pub(in super::super) enum Sources {
    Same(Vec<Source>),
    PerArch(BTreeMap<Text<Arch>, OneOrMore<Source>>),
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
                f.write_str("a source, a list of sources, or a map from architectures to them")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Sources, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Sources::Same)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sources, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Sources::PerArch)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                one: D,
            ) -> Result<Sources, D::Error> {
                Ok(Sources::Same(vec![Source::deserialize(one)?]))
            }
        }
        deserializer.deserialize_newtype_struct(SOURCES, SourcesVisitor)
    }
}

impl JsonSchema for Sources {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sources".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<SourceKeys>();
        let list = generator.subschema_for::<Vec<SourceKeys>>();
        let per_arch = generator.subschema_for::<BTreeMap<ArchName, OneOrMore<SourceKeys>>>();
        schemars::json_schema!({ "anyOf": [one, list, per_arch] })
    }
}

/// A source of the SDK.
#[derive(Debug)]
pub(in super::super) struct Source(pub SourceSpec);

/// A source of the SDK: exactly one of `path`, `url`, `index`, `module`, `rpm` and `rebuild`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Source", extend("oneOf" = [
    {"required": ["path"]}, {"required": ["url"]}, {"required": ["index"]}, {"required": ["module"]},
    {"required": ["rpm"]}, {"required": ["rebuild"]}
]))]
struct SourceKeys {
    /// An archive or a folder, relative to the folder of the treefile that names it.
    path: Option<LocalPath>,
    /// The URL of an archive. Requires `sha256` or a pin.
    url: Option<Url>,
    /// The SHA-256 checksum of the archive at `url`.
    sha256: Option<Text<Sha256>>,
    /// The URL of a Go download index: `https://go.dev/dl/`.
    index: Option<Url>,
    /// The path of the toolchain's Go module: `golang.org/toolchain`.
    module: Option<String>,
    /// RPMs that together contain the SDK, by path or URL: `golang`, `golang-bin`, `golang-src`.
    rpm: Option<OneOrMore<Rpm>>,
    /// Files with the GPG keys that must have signed the RPMs. Without it, signatures are not
    /// checked.
    gpgkey: Option<OneOrMore<LocalPath>>,
    /// Compiles the programs of the SDK with that of another architecture of the treefile, instead of
    /// downloading them.
    rebuild: Option<RebuildKeys>,
}

/// The SDK that compiles the programs of another one.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Rebuild")]
struct RebuildKeys {
    /// The architecture whose sources are used. Its programs have to run on this machine.
    #[schemars(with = "ArchName")]
    from: Text<Arch>,
}

impl SourceKeys {
    /// Returns the names of the source keys that are set.
    fn set_keys(&self) -> Vec<&'static str> {
        let keys = [
            ("path", self.path.is_some()),
            ("url", self.url.is_some()),
            ("index", self.index.is_some()),
            ("module", self.module.is_some()),
            ("rpm", self.rpm.is_some()),
            ("rebuild", self.rebuild.is_some()),
        ];
        let given = keys.into_iter().filter(|(_, set)| *set);
        given.map(|(key, _)| key).collect()
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = SourceKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a source")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, map: D) -> Result<SourceKeys, D::Error> {
        SourceKeys::deserialize(map)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = deserializer.deserialize_newtype_struct(SOURCE, SourceVisitor)?;
        let given = keys.set_keys();
        if given.len() != 1 {
            let found = match given[..] {
                [] => "none of them".to_owned(),
                _ => given.join(" and "),
            };
            return Err(D::Error::custom(format_args!(
                "a source has exactly one of path, url, index, module, rpm and rebuild, found {found}"
            )));
        }
        if keys.sha256.is_some() && keys.url.is_none() {
            return Err(D::Error::custom(
                "`sha256` is only valid with `url`; `pin` applies to every source",
            ));
        }
        if keys.gpgkey.is_some() && keys.rpm.is_none() {
            return Err(D::Error::custom("`gpgkey` is only valid with `rpm`"));
        }
        Ok(Self(match keys {
            SourceKeys {
                path: Some(LocalPath(path)),
                ..
            } => SourceSpec::Path(path),
            SourceKeys {
                url: Some(Url(url)),
                sha256,
                ..
            } => {
                let sha256 = sha256.map(|Text(sha256)| sha256);
                SourceSpec::Url { url, sha256 }
            }
            SourceKeys {
                index: Some(Url(base)),
                ..
            } => SourceSpec::Index { base },
            SourceKeys {
                module: Some(path), ..
            } => SourceSpec::Module { path },
            SourceKeys {
                rebuild: Some(RebuildKeys { from: Text(from) }),
                ..
            } => SourceSpec::Rebuild { from },
            SourceKeys { rpm, gpgkey, .. } => {
                let files = rpm.into_iter().flat_map(|OneOrMore(files)| files);
                let files: Vec<_> = files.map(|Rpm(file)| file).collect();
                let keys = gpgkey.into_iter().flat_map(|OneOrMore(keys)| keys);
                let gpg_keys: Vec<_> = keys.map(|LocalPath(path)| path).collect();
                if files.is_empty() || files.len() > RPMS {
                    let found = files.len();
                    return Err(D::Error::custom(format_args!(
                        "`rpm` has {found} RPMs, expected 1 to {RPMS}"
                    )));
                }
                SourceSpec::Rpm { files, gpg_keys }
            }
        }))
    }
}
