//! Values that are written as text in a treefile.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::de::{LOCAL_PATH, ONE_OR_MORE};
use super::timestamp;
use crate::fs::path::{InvalidPath, TreePath};

/// A value parsed from text with `FromStr`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<T>(pub T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, str::parse).map(Self)
    }
}

/// A path in the tree, written with a leading `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AbsolutePath(pub TreePath);

impl<'de> Deserialize<'de> for AbsolutePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| match text.strip_prefix('/') {
            Some(path) => path.parse().map(Self).map_err(|error: InvalidPath| {
                format!("path `{}` {}", text.escape_debug(), error.problem)
            }),
            None => Err(format!(
                "path `{}` is relative, expected one that starts with `/`",
                text.escape_debug()
            )),
        })
    }
}

/// The name of a layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LayerName(pub String);

impl<'de> Deserialize<'de> for LayerName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| {
            let valid = !text.starts_with('-')
                && !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            valid.then(|| Self(text.to_owned())).ok_or_else(|| {
                let found = text.escape_debug();
                format!(
                    "`{found}` is not a layer's name, expected lower-case letters, digits and `-`"
                )
            })
        })
    }
}

/// A path on this machine, relative to the folder of the treefile that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalPath(pub PathBuf);

impl<'de> Deserialize<'de> for LocalPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathVisitor;

        impl Visitor<'_> for PathVisitor {
            type Value = LocalPath;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path")
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<LocalPath, E> {
                Ok(LocalPath(OsString::from_vec(bytes).into()))
            }
        }
        deserializer.deserialize_newtype_struct(LOCAL_PATH, PathVisitor)
    }
}

/// A time in seconds since 1970, written as a number or as `2026-11-02T20:36:21Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timestamp(pub u64);

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| {
            timestamp::parse(text).map(Self).ok_or_else(|| {
                let found = text.escape_debug();
                format!("`{found}` is not a time, expected seconds since 1970 or the form 2026-11-02T20:36:21Z")
            })
        })
    }
}

/// A map that keeps the order of its entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Ordered<K, V>(pub Vec<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Ordered<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrderedVisitor<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for OrderedVisitor<K, V> {
            type Value = Ordered<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<K, V>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(OrderedVisitor(PhantomData))
    }
}

/// A list, or a value that stands for a list with one entry.
#[derive(Debug, Clone)]
pub(super) struct OneOrMore<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMoreVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMoreVisitor<T> {
            type Value = OneOrMore<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<OneOrMore<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMore)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                one: D,
            ) -> Result<OneOrMore<T>, D::Error> {
                Ok(OneOrMore(vec![T::deserialize(one)?]))
            }
        }
        deserializer.deserialize_newtype_struct(ONE_OR_MORE, OneOrMoreVisitor(PhantomData))
    }
}

fn parsed<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    parse(&text).map_err(D::Error::custom)
}

/// Implements `JsonSchema` with a schema that is inlined where the type is used.
macro_rules! schema {
    ([$($generic:ident)?] $type:ty, $name:literal, $($schema:tt)+) => {
        impl$(<$generic>)? JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($($schema)+)
            }
        }
    };
}

schema!([T] Text<T>, "Text", { "type": "string" });
schema!([] AbsolutePath, "AbsolutePath", { "type": "string", "pattern": "^(/|\\$\\{)" });
schema!([] LocalPath, "LocalPath", { "type": "string", "minLength": 1 });
schema!([] Timestamp, "Timestamp", { "type": ["string", "integer"], "minimum": 0 });

impl<K, V: JsonSchema> JsonSchema for Ordered<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ordered".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        std::collections::BTreeMap::<String, V>::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMore<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OneOrMore".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, list) = (
            generator.subschema_for::<T>(),
            generator.subschema_for::<Vec<T>>(),
        );
        json_schema!({ "anyOf": [one, list] })
    }
}

/// Unwraps the values.
pub(super) fn plain<T>(texts: Vec<Text<T>>) -> Vec<T> {
    texts.into_iter().map(|Text(value)| value).collect()
}
