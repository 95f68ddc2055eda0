//! The key `modules`: Go modules beside the SDK.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::super::spec::ModuleSource;
use super::super::value::{LocalPath, Text};
use crate::golang::h1::H1;
use crate::golang::module_id::{ModuleId, check_path};

/// A module: its path and version, or a map.
#[derive(Debug)]
pub(in super::super) struct Module(pub ModuleSource);

/// A Go module: `module` with a version, or the path of a module in the directory `path`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Module")]
struct ModuleKeys {
    /// The path and the version, `example.com/lib@v1.2.3`; with `path`, only the path of the module.
    module: String,
    /// The `h1:` hash of the module, as in `go.sum`. Without it, Go's checksum database has to contain
    /// the module.
    sum: Option<Text<H1>>,
    /// A directory with the module, relative to the folder of the treefile that names it.
    path: Option<LocalPath>,
}

impl<'de> Deserialize<'de> for Module {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ModuleVisitor;

        impl<'de> Visitor<'de> for ModuleVisitor {
            type Value = Module;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a module such as example.com/lib@v1.2.3, or a map")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Module, E> {
                version(text, None).map(Module)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Module, A::Error> {
                let keys = ModuleKeys::deserialize(MapAccessDeserializer::new(map))?;
                let Some(LocalPath(directory)) = keys.path else {
                    let sum = keys.sum.map(|Text(sum)| sum);
                    return version(&keys.module, sum).map(Module);
                };
                if keys.sum.is_some() {
                    return Err(A::Error::custom(
                        "`sum` is only valid without `path`, whose content has no version",
                    ));
                }
                if let Some((path, _)) = keys.module.split_once('@') {
                    return Err(A::Error::custom(format_args!(
                        "`{}` has a version, expected `{}`: the version of a module from a \
                         directory follows from its commit",
                        keys.module.escape_debug(),
                        path.escape_debug()
                    )));
                }
                check_path(&keys.module).map_err(A::Error::custom)?;
                Ok(Module(ModuleSource::Directory {
                    path: keys.module,
                    directory,
                }))
            }
        }
        deserializer.deserialize_any(ModuleVisitor)
    }
}

fn version<E: serde::de::Error>(text: &str, sum: Option<H1>) -> Result<ModuleSource, E> {
    let id: ModuleId = text.parse().map_err(E::custom)?;
    Ok(ModuleSource::Version { id, sum })
}

impl JsonSchema for Module {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ModuleOrId".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let keys = generator.subschema_for::<ModuleKeys>();
        schemars::json_schema!({ "anyOf": [{ "type": "string", "minLength": 1 }, keys] })
    }

    fn inline_schema() -> bool {
        true
    }
}
