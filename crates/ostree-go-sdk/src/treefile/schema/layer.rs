//! The key `layers`: the parts of the tree.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::super::spec::{AddContent, AddFile, LayerSpec};
use super::super::value::{AbsolutePath, LocalPath, Text, plain};
use super::scalar::{Scalar, checked_text};
use crate::fs::path::TreePath;

/// A part of the tree that is committed on its own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in super::super) struct Layer {
    /// Set if the layer is the same for every architecture.
    #[serde(default)]
    noarch: bool,
    /// The files and folders of the SDK in this layer.
    #[serde(default)]
    include: Vec<Text<TreePath>>,
    /// Files to add to the tree. Appended to those of included treefiles.
    #[serde(default)]
    #[schemars(with = "Vec<AddFileKeys>")]
    add_files: Vec<RawAddFile>,
    /// Settings of the go command, written to `go.env`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Scalar>")]
    go_env: BTreeMap<GoEnvName, GoEnvValue>,
    /// Set if files of this layer may replace those of lower layers.
    #[serde(default)]
    r#override: bool,
}

impl Layer {
    /// Converts the layer to its public type.
    ///
    /// If a path is added twice, the last entry counts, so that an including treefile wins.
    pub fn into_spec(self, name: String) -> LayerSpec {
        let mut add_files: Vec<AddFile> = Vec::new();
        for RawAddFile(file) in self.add_files {
            match add_files.iter_mut().find(|added| added.path == file.path) {
                Some(added) => *added = file,
                None => add_files.push(file),
            }
        }
        let go_env = self.go_env.into_iter();
        LayerSpec {
            name,
            noarch: self.noarch,
            include: plain(self.include),
            add_files,
            go_env: go_env.map(|(name, value)| (name.0, value.0)).collect(),
            may_override: self.r#override,
        }
    }
}

/// A file that a layer adds.
#[derive(Debug)]
pub(in super::super) struct RawAddFile(AddFile);

/// A file that a layer adds: its path, and either `content` or `from`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "AddFile", extend("oneOf" = [{"required": ["content"]}, {"required": ["from"]}]))]
struct AddFileKeys {
    /// The file's path in the tree.
    path: AbsolutePath,
    /// The file's text.
    content: Option<String>,
    /// The file to copy, relative to the folder of the treefile that names it.
    from: Option<LocalPath>,
    /// Set if the file's mode is 0755 instead of 0644.
    #[serde(default)]
    executable: bool,
}

impl<'de> Deserialize<'de> for RawAddFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = AddFileKeys::deserialize(deserializer)?;
        let content = match (keys.content, keys.from) {
            (Some(text), None) => AddContent::Inline(text),
            (None, Some(LocalPath(path))) => AddContent::From(path),
            (Some(_), Some(_)) => {
                return Err(D::Error::custom("expected `content` or `from`, found both"));
            }
            (None, None) => {
                return Err(D::Error::custom(
                    "expected `content` or `from`, found neither",
                ));
            }
        };
        Ok(Self(AddFile {
            path: keys.path.0,
            content,
            executable: keys.executable,
        }))
    }
}

checked_text! {
    // The go command ignores lines of `go.env` whose name does not start with a capital.
    GoEnvName, text => text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
    "the name of a Go setting, expected capital letters, digits and `_`"
}
checked_text! {
    GoEnvValue, text => !text.contains(char::is_control),
    "the value of a Go setting, expected one line without control characters"
}
