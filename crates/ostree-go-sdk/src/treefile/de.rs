//! Deserialization of nodes with serde; errors contain the position.

use std::ffi::OsString;
use std::fmt::Display;
use std::os::unix::ffi::OsStringExt as _;

use serde::de::{
    self, Deserialize, DeserializeSeed, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::{TreefileError, TreefileProblem as Problem, clean};
use super::mark::Mark;
use super::node::{Key, Node, Value, is_null, is_per_arch};
use crate::arch::Arch;

/// Name of newtype structs that receive the bytes of a path, resolved against the treefile's
/// folder.
pub(super) const LOCAL_PATH: &str = "$local-path";

/// Name of newtype structs that receive a map, the text of a URL, or else a path as for
/// [`LOCAL_PATH`].
pub(super) const LOCATION: &str = "$location";

/// Name of newtype structs that receive a list, or else a single value as a newtype struct.
pub(super) const ONE_OR_MORE: &str = "$one-or-more";

/// Name of newtype structs that receive a map from architectures, a list, or else a map as a
/// newtype struct.
pub(super) const SOURCES: &str = "$sources";

/// Name of newtype structs that receive a map as a newtype struct.
pub(super) const SOURCE: &str = "$source";

impl Node {
    /// Deserializes this node.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, TreefileError> {
        T::deserialize(De(self)).map_err(|error| error.at(&self.mark))
    }
}

impl de::Error for TreefileError {
    fn custom<T: Display>(message: T) -> Self {
        Self::without_position(Problem::Value(message.to_string()))
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("expected {expected}, found {found}"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::without_position(Problem::UnknownKey {
            found: field.to_owned(),
            expected: expected.iter().map(ToString::to_string).collect(),
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::without_position(Problem::MissingKey(field))
    }
}

struct De<'a>(&'a Node);

impl<'a> De<'a> {
    /// Returns the text of a scalar.
    fn text(&self, expected: &str) -> Result<&'a str, TreefileError> {
        match &self.0.value {
            Value::Scalar { text, plain } if !(*plain && is_null(text)) => Ok(text),
            _ => Err(self.0.unexpected(expected)),
        }
    }
}

/// Deserializes integers by parsing the scalar's text.
macro_rules! integers {
    ($($method:ident => $visit:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreefileError> {
            let text = self.text("a whole number")?;
            match text.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(self.0.unexpected("a whole number")),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for De<'de> {
    type Error = TreefileError;

    /// Deserializes a plain scalar as null, boolean or integer if it is one, else as text.
    /// Decimal fractions stay text, so that `1.20` does not become 1.2.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreefileError> {
        let (text, plain) = match &self.0.value {
            Value::List(_) => return self.deserialize_seq(visitor),
            Value::Map(_) => return self.deserialize_map(visitor),
            Value::Scalar { text, plain } => (text, *plain),
        };
        if !plain {
            return visitor.visit_borrowed_str(text);
        }
        match text.as_str() {
            text if is_null(text) => visitor.visit_unit(),
            "true" | "True" | "TRUE" => visitor.visit_bool(true),
            "false" | "False" | "FALSE" => visitor.visit_bool(false),
            text => match (text.parse(), text.parse()) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => visitor.visit_borrowed_str(text),
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreefileError> {
        match &self.0.value {
            Value::Scalar { text, plain: true } if text == "true" => visitor.visit_bool(true),
            Value::Scalar { text, plain: true } if text == "false" => visitor.visit_bool(false),
            _ => Err(self.0.unexpected("true or false")),
        }
    }

    integers! {
        deserialize_u64 => visit_u64,
        deserialize_i64 => visit_i64
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreefileError> {
        visitor.visit_borrowed_str(self.text("text")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreefileError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreefileError> {
        match &self.0.value {
            Value::Scalar { text, plain: true } if is_null(text) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TreefileError> {
        match (name, &self.0.value) {
            (ONE_OR_MORE | SOURCES, Value::List(_)) => return self.deserialize_seq(visitor),
            (SOURCES, Value::Map(entries)) if is_per_arch(entries) => {
                let is_other = |(key, _): &&(Key, Node)| key.text.parse::<Arch>().is_err();
                return match entries.iter().find(is_other) {
                    None => self.deserialize_map(visitor),
                    Some((key, _)) => {
                        let message = format!(
                            "`{}` is next to an architecture, expected one source, or a map from architectures to sources",
                            clean(&key.text)
                        );
                        Err(invalid_value(&key.mark, message))
                    }
                };
            }
            (SOURCES, Value::Map(_)) => {
                let one = visitor.visit_newtype_struct(self);
                let arches = Arch::ALL.iter().map(|arch| arch.basearch());
                return one.map_err(|error| error.also_known(arches));
            }
            (SOURCE | SOURCES, Value::Scalar { text, plain }) if !(*plain && is_null(text)) => {
                return Err(self
                    .0
                    .unexpected(&format!("a source such as {}", meant(text))));
            }
            (SOURCES, _) => {
                let expected = "a source, a list of sources, or a map from architectures to them";
                return Err(self.0.unexpected(expected));
            }
            (SOURCE, Value::List(_) | Value::Scalar { .. }) => {
                return Err(self.0.unexpected("a source"));
            }
            (LOCAL_PATH, _) => {}
            (LOCATION, Value::Map(_)) => return self.deserialize_map(visitor),
            (LOCATION, Value::Scalar { text, .. }) if text.contains("://") => {
                return visitor.visit_borrowed_str(text);
            }
            (LOCATION, Value::Scalar { .. }) => {}
            (LOCATION, _) => return Err(self.0.unexpected("a path, a URL or a map")),
            _ => return visitor.visit_newtype_struct(self),
        }
        let text = self.text("a path")?;
        if text.is_empty() || text.contains('\0') {
            return Err(self.0.unexpected("a path"));
        }
        let folder = self.0.mark.file.parent().unwrap_or("".as_ref());
        visitor.visit_byte_buf(OsString::into_vec(folder.join(text).into()))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreefileError> {
        match &self.0.value {
            Value::List(nodes) => visitor.visit_seq(Entries {
                nodes: nodes.iter().enumerate(),
            }),
            _ => Err(self.0.unexpected("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TreefileError> {
        match &self.0.value {
            Value::Map(entries) => visitor.visit_map(Pairs {
                entries: entries.iter(),
                value: None,
            }),
            _ => Err(self.0.unexpected("a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TreefileError> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct enum identifier ignored_any
    }
}

/// Returns the source that was probably meant by a text without a key.
fn meant(text: &str) -> String {
    let key = match text {
        "golang.org/toolchain" => "module",
        text if text.ends_with(".rpm") => "rpm",
        text if text.contains("://") && text.ends_with('/') => "index",
        text if text.contains("://") => "url",
        _ => "path",
    };
    format!("`{key}: {}`", clean(text))
}

struct Entries<'a> {
    nodes: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> SeqAccess<'de> for Entries<'de> {
    type Error = TreefileError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, TreefileError> {
        let Some((index, node)) = self.nodes.next() else {
            return Ok(None);
        };
        seed.deserialize(De(node))
            .map(Some)
            .map_err(|error| error.at(&node.mark).in_index(index))
    }
}

struct Pairs<'a> {
    entries: std::slice::Iter<'a, (Key, Node)>,
    value: Option<(&'a Key, &'a Node)>,
}

impl<'de> MapAccess<'de> for Pairs<'de> {
    type Error = TreefileError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, TreefileError> {
        let Some((key, node)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some((key, node));
        let text: de::value::BorrowedStrDeserializer<'_, TreefileError> =
            de::value::BorrowedStrDeserializer::new(&key.text);
        seed.deserialize(text)
            .map(Some)
            .map_err(|error| error.at(&key.mark))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, TreefileError> {
        match self.value.take() {
            Some((key, node)) => seed
                .deserialize(De(node))
                .map_err(|error| error.at(&node.mark).in_key(&key.text)),
            // serde requests the key before its value.
            None => seed.deserialize(().into_deserializer()),
        }
    }
}

/// Returns an error for a value of the right type that is invalid.
pub(super) fn invalid_value(mark: &Mark, message: impl Display) -> TreefileError {
    TreefileError::new(mark, Problem::Value(message.to_string()))
}
