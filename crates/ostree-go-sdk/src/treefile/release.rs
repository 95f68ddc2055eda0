//! A treefile expanded for one architecture.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::TreefileError;
use super::de::invalid_value;
use super::node::Node;
use super::schema::{File, Source, Sources, plain};
use super::value::Text;
use crate::arch::Arch;
use crate::fs::path::TreePath;
use crate::golang::h1::H1;
use crate::http::url::public_part;
use crate::id::{ContentId, InvalidRef, RefName, Sha256};
use crate::version::GoVersion;

/// A treefile expanded for one architecture: the definition of one release.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ArchTreefile {
    /// The release's architecture.
    pub arch: Arch,
    /// The SDK's version.
    pub version: GoVersion,
    /// The release's ref.
    pub release_ref: RefName,
    /// The template of the layers' refs.
    pub layer_ref: LayerRefTemplate,
    /// The channels of the release, in the treefile's order.
    pub channels: Vec<RefName>,
    /// The release's time in seconds since 1970-01-01T00:00:00Z, for SDKs whose `VERSION` file
    /// has none.
    pub timestamp: Option<u64>,
    /// The proxies for [`SourceSpec::Module`], in the syntax of `GOPROXY`.
    pub goproxy: Option<String>,
    /// The sources of the SDK, tried in order. May be empty.
    pub sources: Vec<SourceSpec>,
    /// The expected hashes of the SDK, whichever source it comes from.
    pub pin: Pin,
    /// The SDK's folder in the tree.
    pub prefix: TreePath,
    /// The layers, lowest first. A file of the SDK belongs to the first layer that includes it.
    pub layers: Vec<LayerSpec>,
    /// Paths to leave out, relative to the top of the SDK. Sorted.
    pub exclude: Vec<TreePath>,
    /// Symbolic links and their targets, both as paths in the tree. Sorted.
    pub links: Vec<(TreePath, TreePath)>,
    /// Additional metadata of the commits.
    pub commit_metadata: BTreeMap<String, serde_json::Value>,
}

/// A source of an SDK.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceSpec {
    /// An archive or a directory on this machine.
    Path(PathBuf),
    /// An archive at an `https`, `http` or `file` URL.
    Url {
        /// The URL.
        url: String,
        /// The archive's checksum; if absent, the treefile has a [`Pin`].
        sha256: Option<Sha256>,
    },
    /// A Go download index.
    Index {
        /// The base URL of the index and the archives.
        base: String,
    },
    /// A Go module that contains the SDK.
    Module {
        /// The module's path.
        path: String,
    },
    /// RPMs that together contain the SDK.
    Rpm {
        /// The packages.
        files: Vec<RpmFile>,
        /// Files with the GPG keys that must have signed every package; if empty, signatures
        /// are not checked.
        gpg_keys: Vec<PathBuf>,
    },
}

/// An RPM of a [`SourceSpec::Rpm`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpmFile {
    /// The location of the package.
    pub location: RpmLocation,
    /// The expected checksum, if the treefile has one.
    pub sha256: Option<Sha256>,
}

/// The location of an RPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RpmLocation {
    /// On this machine.
    Path(PathBuf),
    /// At an `https`, `http` or `file` URL.
    Url(String),
}

/// Formats the path or URL, without credentials.
impl fmt::Display for RpmFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            RpmLocation::Path(path) => write!(f, "{}", path.display()),
            RpmLocation::Url(url) => f.write_str(&public_part(url)),
        }
    }
}

/// Formats the source as in a treefile: `index: https://go.dev/dl/`. Credentials in URLs are
/// left out.
impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "path: {}", path.display()),
            Self::Url { url, .. } => write!(f, "url: {}", public_part(url)),
            Self::Index { base } => write!(f, "index: {}", public_part(base)),
            Self::Module { path } => write!(f, "module: {path}"),
            Self::Rpm { files, .. } => {
                let files: Vec<String> = files.iter().map(ToString::to_string).collect();
                write!(f, "rpm: {}", files.join(", "))
            }
        }
    }
}

/// The expected hashes of an SDK, whichever source it comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pin {
    /// The checksum of the official archive.
    pub sha256: Option<Sha256>,
    /// The `h1:` hash of the SDK as Go's module `golang.org/toolchain`.
    pub h1: Option<H1>,
}

/// A part of the tree that is committed on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerSpec {
    /// The name of the layer: lower-case letters, digits and `-`.
    pub name: String,
    /// Set if the layer is the same for every architecture.
    pub noarch: bool,
    /// The files and folders of the layer, relative to the top of the SDK.
    pub include: Vec<TreePath>,
    /// The files that the layer adds; their paths are distinct.
    pub add_files: Vec<AddFile>,
    /// Settings to write to `go.env`.
    pub go_env: BTreeMap<String, String>,
    /// Set if files of this layer may replace those of lower layers.
    pub may_override: bool,
}

/// A file that a layer adds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddFile {
    /// The path in the tree.
    pub path: TreePath,
    /// The content of the file.
    pub content: AddContent,
    /// Set if the mode is 0755 instead of 0644.
    pub executable: bool,
}

/// The content of an added file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddContent {
    /// The text itself.
    Inline(String),
    /// The path of a file to copy; a relative path is relative to the directory that the
    /// treefile's own path is relative to.
    From(PathBuf),
}

/// The template of a layer's ref: a ref with `${checksum}` and usually `${layer}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRefTemplate(String);

impl LayerRefTemplate {
    /// Returns the ref of a layer.
    ///
    /// # Errors
    /// Returns [`InvalidRef`] if `layer` cannot be part of a ref.
    pub fn for_layer(&self, layer: &str, content: &ContentId) -> Result<RefName, InvalidRef> {
        self.0
            .replace("${layer}", layer)
            .replace("${checksum}", &content.to_string())
            .parse()
    }
}

impl fmt::Display for LayerRefTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for LayerRefTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains("${checksum}") {
            return Err(format!(
                "`{}` has no `${{checksum}}`, which is required because a layer's ref never moves",
                text.escape_debug()
            ));
        }
        let template = Self(text.to_owned());
        match template.for_layer("layer", &ContentId::from([0; 32])) {
            Ok(_) => Ok(template),
            Err(_) => Err(InvalidRef {
                found: text.escape_debug().to_string(),
            }
            .to_string()),
        }
    }
}

/// Returns a description of the problem if nothing determines the content of the source.
fn unpinned(source: &SourceSpec, pin: &Pin) -> Option<String> {
    match source {
        SourceSpec::Url { url, sha256: None } if *pin == Pin::default() => {
            let url = public_part(url);
            Some(format!("`{url}` has neither `sha256` nor a pin"))
        }
        SourceSpec::Rpm { files, gpg_keys } if gpg_keys.is_empty() && pin.h1.is_none() => {
            let is_unknown = |file: &&RpmFile| {
                file.sha256.is_none() && matches!(file.location, RpmLocation::Url(_))
            };
            let file = files.iter().find(is_unknown)?;
            Some(format!(
                "`{file}` has neither `sha256` nor `gpgkey` nor an h1 pin"
            ))
        }
        _ => None,
    }
}

impl ArchTreefile {
    /// Reads the treefile `root`, expanded for `arch`.
    pub(super) fn read(root: &Node, arch: Arch) -> Result<Self, TreefileError> {
        let file: File = root.read()?;
        let at = |key: &str, message: String| {
            let mark = root.get(key).map_or(&root.mark, |node| &node.mark);
            invalid_value(mark, message).in_key(key)
        };
        let mut pins = file.pin;
        let pin: Pin = pins.remove(&Text(arch)).map(Pin::from).unwrap_or_default();
        let sources = match file.source {
            Sources::Same(sources) => sources,
            Sources::PerArch(mut sources) => sources
                .remove(&Text(arch))
                .ok_or_else(|| at("source", format!("no sources for {arch}")))?,
        };
        let sources: Vec<SourceSpec> = sources.into_iter().map(|Source(source)| source).collect();
        if let Some(message) = sources.iter().find_map(|source| unpinned(source, &pin)) {
            return Err(at("source", format!("{message} for {arch}")));
        }
        let mut channels: Vec<RefName> = Vec::new();
        for Text(channel) in file.channels {
            if channel == file.r#ref.0 {
                let message = format!("`{channel}` is the release's own ref, which never moves");
                return Err(at("channels", message));
            }
            if !channels.contains(&channel) {
                channels.push(channel);
            }
        }
        let mut layers = Vec::new();
        for (name, layer) in file.layers.0 {
            let layer = layer.into_spec(name.0);
            let empty =
                layer.include.is_empty() && layer.add_files.is_empty() && layer.go_env.is_empty();
            if empty && layer.name != "site" {
                let message = "the layer is empty, expected `include`, `add-files` or `go-env`";
                let mark = root
                    .get("layers")
                    .and_then(|layers| layers.get(&layer.name))
                    .map_or(&root.mark, |node| &node.mark);
                return Err(invalid_value(mark, message)
                    .in_key(layer.name)
                    .in_key("layers"));
            }
            layers.push(layer);
        }
        let mut exclude = plain(file.exclude);
        exclude.sort();
        exclude.dedup();
        let links = file.links.into_iter();
        let metadata = file.add_commit_metadata.into_iter();
        Ok(Self {
            arch,
            version: file.version.0,
            release_ref: file.r#ref.0,
            layer_ref: file.layer_ref.0,
            channels,
            timestamp: file.timestamp.map(|timestamp| timestamp.0),
            goproxy: file.goproxy,
            sources,
            pin,
            prefix: file.prefix.0,
            layers,
            exclude,
            links: links.map(|(link, target)| (link.0, target.0)).collect(),
            commit_metadata: metadata.map(|(key, value)| (key.0, value)).collect(),
        })
    }
}
