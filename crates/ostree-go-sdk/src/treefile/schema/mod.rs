//! A treefile's keys: what serde reads, and what the JSON Schema is made from.
//!
//! The doc comments are the schema's descriptions.

mod layer;
mod rpm;
mod source;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

pub(super) use source::{Source, Sources};

use super::value::{AbsolutePath, LayerName, Ordered, Text, Timestamp};
use super::{LayerRefTemplate, Pin};
use crate::arch::Arch;
use crate::fs::path::TreePath;
use crate::golang::h1::H1;
use crate::id::{RefName, Sha256};
use crate::version::GoVersion;
use layer::Layer;

/// What a treefile that sets nothing starts from: it lies under every treefile.
pub(super) const DEFAULTS: &str = "\
arches: [x86_64, aarch64]
ref: go-sdk/${basearch}/${version}
layer-ref: go-sdk/layer/${layer}/${checksum}
prefix: /usr/lib/sdk/go-${minor}
";

/// The input of `ostree-go compose`: which Go SDK becomes which OSTree commits.
///
/// In texts, `${name}` stands for a variable and `$$` for a `$`. Variables are
/// `basearch`, `goarch`, `version`, `minor`, `prefix`, in layers also `layer`, and those
/// that `variables` sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "ostree-go treefile")]
pub(super) struct File {
    /// The Go version, without `go`: `1.26.5`. Required in one of the files.
    #[schemars(with = "Version")]
    pub version: Text<GoVersion>,
    /// The architectures to compose a release for.
    #[schemars(with = "Vec<ArchName>", extend("default" = ["x86_64", "aarch64"]))]
    #[allow(
        dead_code,
        reason = "read before the rest is expanded for each of them"
    )]
    arches: Vec<Text<Arch>>,
    /// The ref of a release.
    #[schemars(extend("default" = "go-sdk/${basearch}/${version}"))]
    pub r#ref: Text<RefName>,
    /// The ref of a layer. `${layer}` and `${checksum}` are its name and content checksum.
    #[schemars(extend("default" = "go-sdk/layer/${layer}/${checksum}"))]
    pub layer_ref: Text<LayerRefTemplate>,
    /// The moving refs that a release is meant for.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub channels: Vec<Text<RefName>>,
    /// The release's time, where the SDK's own VERSION file does not say it (before Go
    /// 1.21): seconds since 1970, or the form 2026-11-02T20:36:21Z.
    pub timestamp: Option<Timestamp>,
    /// The proxies that `module` sources are fetched from, in the form of GOPROXY.
    pub goproxy: Option<String>,
    /// Where the SDK comes from, tried in order: one list, or one for each architecture.
    #[serde(default)]
    pub source: Sources,
    /// What the SDK has to be, whichever source it comes from.
    #[serde(default)]
    #[schemars(with = "BTreeMap<ArchName, RawPin>")]
    pub pin: BTreeMap<Text<Arch>, RawPin>,
    /// The folder of the SDK in the tree.
    #[schemars(extend("default" = "/usr/lib/sdk/go-${minor}"))]
    pub prefix: AbsolutePath,
    /// The layers by name, lowest first. A file of the SDK goes into the first layer that
    /// includes it; one that no layer includes is an error.
    pub layers: Ordered<LayerName, Layer>,
    /// Paths of the SDK that are left out. Added to those of included treefiles.
    #[serde(default)]
    pub exclude: Vec<Text<TreePath>>,
    /// Symbolic links: where each one stands, and the path in the tree it leads to.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, AbsolutePath>")]
    pub links: BTreeMap<AbsolutePath, AbsolutePath>,
    /// Metadata to add to the commits.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub add_commit_metadata: BTreeMap<MetadataKey, serde_json::Value>,
    /// Treefiles that lie under this one, named relative to its folder. Maps merge and
    /// this file wins; lists are replaced, but for `exclude` and `add-files`, which grow.
    #[allow(dead_code, reason = "followed and removed before the rest is read")]
    include: Option<Include>,
    /// The treefile's own variables.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Scalar>")]
    #[allow(dead_code, reason = "read before the rest is expanded")]
    variables: BTreeMap<String, String>,
}

/// The values in their wrappers.
pub(super) fn plain<T>(texts: Vec<Text<T>>) -> Vec<T> {
    texts.into_iter().map(|Text(value)| value).collect()
}

/// What an architecture's SDK has to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Pin")]
pub(super) struct RawPin {
    /// The SHA-256 checksum of the official archive.
    sha256: Option<Text<Sha256>>,
    /// The `h1:` hash of the SDK as a Go module, as in the Go checksum database.
    h1: Option<Text<H1>>,
}

impl From<RawPin> for Pin {
    fn from(raw: RawPin) -> Self {
        Self {
            sha256: raw.sha256.map(|Text(sha256)| sha256),
            h1: raw.h1.map(|Text(h1)| h1),
        }
    }
}

/// Declares a text with a rule of its own.
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

use checked_text;

checked_text! {
    MetadataKey, text => !text.is_empty()
        && text != "version"
        && !text.starts_with("sdk.")
        && !text.starts_with("ostree."),
    "a key that can be added, expected none of `version`, `sdk.…` and `ostree.…`"
}

// One treefile or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[allow(dead_code, reason = "stands for its schema")]
enum Include {
    One(String),
    Several(Vec<String>),
}

// An architecture, for the schema.
#[derive(JsonSchema)]
#[schemars(inline)]
#[allow(dead_code, reason = "stands for its schema")]
enum ArchName {
    #[schemars(rename = "x86_64")]
    X86_64,
    #[schemars(rename = "aarch64")]
    Aarch64,
}

// A text that may look like a number, for the schema: the text counts, `1.20` is not 1.2.
#[derive(JsonSchema)]
#[schemars(inline, extend("type" = ["string", "number", "boolean"]))]
#[allow(dead_code, reason = "stands for its schema")]
struct Scalar(String);

// A Go version that may look like a number, for the schema.
#[derive(JsonSchema)]
#[schemars(inline, extend("type" = ["string", "number"]))]
#[allow(dead_code, reason = "stands for its schema")]
struct Version(String);

/// The JSON Schema of a treefile.
pub(super) fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(File);
    // Any key may come from an included treefile instead.
    schema.remove("required");
    schema.to_value()
}
