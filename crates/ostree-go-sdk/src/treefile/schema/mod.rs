//! The keys of a treefile, for serde and for the JSON Schema.
//!
//! The doc comments become the descriptions in the schema.

mod layer;
mod modules;
mod rpm;
mod scalar;
mod source;
mod std_caches;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

pub(super) use modules::Module;
pub(super) use source::{Source, Sources};
pub(super) use std_caches::StdCaches;

use super::spec::{LayerRefTemplate, Pin};
use super::value::{AbsolutePath, LayerName, Ordered, Text, Timestamp};
use crate::arch::Arch;
use crate::fs::path::TreePath;
use crate::golang::h1::H1;
use crate::id::{RefName, Sha256};
use crate::version::GoVersion;
use layer::Layer;
use scalar::{ArchName, Scalar, Version, checked_text};

/// The default values, merged below every treefile.
pub(super) const DEFAULTS: &str = "\
arches: [x86_64, aarch64]
ref: go-sdk/${basearch}/${version}
layer-ref: go-sdk/layer/${layer}/${checksum}
prefix: /usr/lib/sdk/go-${minor}
";

/// The input of `ostree-go compose`: the definition of a Go SDK's OSTree commits.
///
/// In texts, `${name}` is replaced by the variable `name` and `$$` by `$`. The variables are
/// `basearch`, `goarch`, `version`, `go-version`, `minor` and `prefix`, in layers also `layer`, and those
/// set in `variables`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "ostree-go treefile")]
pub(super) struct File {
    /// The Go version, without `go`: `1.26.5`. Required in one of the files.
    #[schemars(with = "Version")]
    pub version: Text<GoVersion>,
    /// The name of a release that a site makes of the Go version: `acme1`. It is added to the
    /// version, `1.26.5-acme1`, under which the release is known.
    pub variant: Option<Variant>,
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
    /// The ref of a layer. `${layer}` is its name, `${checksum}` its content checksum.
    #[schemars(extend("default" = "go-sdk/layer/${layer}/${checksum}"))]
    pub layer_ref: Text<LayerRefTemplate>,
    /// The channels of a release: refs that move from release to release.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub channels: Vec<Text<RefName>>,
    /// The release's time if the SDK's VERSION file has none (before Go 1.21): seconds since
    /// 1970, or the form 2026-11-02T20:36:21Z.
    pub timestamp: Option<Timestamp>,
    /// The proxies for `module` sources, in the syntax of GOPROXY.
    pub goproxy: Option<String>,
    /// The source of the SDK, or a list of sources that are tried in order; the same for all
    /// architectures, or a map with one source or list for each architecture.
    #[serde(default)]
    pub source: Sources,
    /// The expected hashes of the SDK for each architecture, whichever source it comes from.
    #[serde(default)]
    #[schemars(with = "BTreeMap<ArchName, RawPin>")]
    pub pin: BTreeMap<Text<Arch>, RawPin>,
    /// The folder of the SDK in the tree.
    #[schemars(extend("default" = "/usr/lib/sdk/go-${minor}"))]
    pub prefix: AbsolutePath,
    /// The layers by name, lowest first. A file of the SDK belongs to the first layer that
    /// includes it; a file that no layer includes is an error.
    pub layers: Ordered<LayerName, Layer>,
    /// Paths of the SDK to leave out. Appended to those of included treefiles.
    #[serde(default)]
    pub exclude: Vec<Text<TreePath>>,
    /// Symbolic links: a map from the path of the link to its target in the tree.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, AbsolutePath>")]
    pub links: BTreeMap<AbsolutePath, AbsolutePath>,
    /// The std caches to build: the standard library, compiled for other machines to start from.
    /// An empty map stands for all targets and modes.
    pub stdcache: Option<StdCaches>,
    /// Go modules to compose beside the SDK, each to a commit of its own: `example.com/lib@v1.2.3`.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub modules: Vec<Module>,
    /// Additional metadata of the commits.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub add_commit_metadata: BTreeMap<MetadataKey, serde_json::Value>,
    /// Treefiles to include, relative to the folder of this one. The including file overrides
    /// its includes: maps are merged, lists are replaced, except for `exclude` and
    /// `add-files`, which are appended.
    #[allow(dead_code, reason = "followed and removed before the rest is read")]
    include: Option<Include>,
    /// Variables defined by the treefile.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Scalar>")]
    #[allow(dead_code, reason = "read before the rest is expanded")]
    variables: BTreeMap<String, String>,
}

checked_text! {
    /// The name of a variant, which is part of a version and of refs.
    Variant, text => text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
    "the name of a variant, expected letters, digits, `.`, `_` and `-`"
}

/// The expected hashes of an architecture's SDK.
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

checked_text! {
    MetadataKey, text => !text.is_empty()
        && text != "version"
        && !text.starts_with("sdk.")
        && !text.starts_with("ostree."),
    "a key that can be added, expected none of `version`, `sdk.…` and `ostree.…`"
}

// One treefile or several; only used for the schema.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[allow(dead_code, reason = "stands for its schema")]
enum Include {
    One(String),
    Several(Vec<String>),
}

/// The JSON Schema of a treefile.
pub(super) fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(File);
    // Any key may come from an included treefile instead.
    schema.remove("required");
    schema.to_value()
}
