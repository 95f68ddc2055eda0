//! A treefile expanded for one architecture.

use std::collections::BTreeMap;

use super::TreefileError;
use super::de::invalid_value;
use super::node::Node;
use super::schema::{File, Module, Source, Sources, StdCaches};
use super::spec::{
    LayerRefTemplate, LayerSpec, ModuleSpec, Pin, RpmFile, RpmLocation, SourceSpec, StdCacheSpec,
};
use super::value::{Text, plain};
use crate::arch::Arch;
use crate::fs::path::TreePath;
use crate::golang::std_cache::std_cache_ref;
use crate::http::url::public_part;
use crate::id::RefName;
use crate::version::GoVersion;

/// A treefile expanded for one architecture: the definition of one release.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ArchTreefile {
    /// The release's architecture.
    pub arch: Arch,
    /// The version of the release: that of Go, and the variant if there is one.
    pub version: GoVersion,
    /// The version of Go.
    pub go_version: GoVersion,
    /// The name of a release that a site makes of the Go version.
    pub variant: Option<String>,
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
    /// The std caches of the version, by target in the order of [`Arch::ALL`], then by mode.
    pub std_caches: Vec<StdCacheSpec>,
    /// The Go modules beside the releases, in the treefile's order.
    pub modules: Vec<ModuleSpec>,
    /// Additional metadata of the commits.
    pub commit_metadata: BTreeMap<String, serde_json::Value>,
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
        SourceSpec::Rebuild { .. } if pin.sha256.is_some() && pin.h1.is_none() => {
            Some("`rebuild` makes no archive, so that its pin has to be an `h1`".to_owned())
        }
        _ => None,
    }
}

impl ArchTreefile {
    /// Reads the treefile `root`, expanded for `arch`.
    pub(super) fn read(
        root: &Node,
        arch: Arch,
        version: &GoVersion,
    ) -> Result<Self, TreefileError> {
        let file: File = root.read()?;
        let at = |key: &str, message: String| {
            let mark = root.get(key).map_or(&root.mark, |node| &node.mark);
            invalid_value(mark, message).in_key(key)
        };
        let mut pins = file.pin;
        let pin: Pin = pins.remove(&Text(arch)).map(Pin::from).unwrap_or_default();
        let sources = match file.source {
            Sources::Same(sources) => sources,
            Sources::PerArch(mut sources) => {
                let of_arch = sources.remove(&Text(arch));
                let message = || at("source", format!("no sources for {arch}"));
                of_arch.ok_or_else(message)?.0
            }
        };
        let sources: Vec<SourceSpec> = sources.into_iter().map(|Source(source)| source).collect();
        if let Some(message) = sources.iter().find_map(|source| unpinned(source, &pin)) {
            return Err(at("source", format!("{message} for {arch}")));
        }
        let release_ref = file.r#ref.0.as_str();
        if !release_ref.split('/').any(|part| part == version.as_str()) {
            // Its commits would be taken for those of a channel, whose ref names no version.
            let message = format!(
                "no component of `{release_ref}` is the version {version}, expected `${{version}}` as one"
            );
            return Err(at("ref", message));
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
        let std_caches = file.stdcache.map(StdCaches::ids).unwrap_or_default();
        let std_caches = std_caches.into_iter().map(|id| {
            let ref_name = std_cache_ref(&file.r#ref.0, version.as_str(), id);
            let ref_name = ref_name.map_err(|error| at("ref", error.to_string()))?;
            Ok(StdCacheSpec { id, ref_name })
        });
        let std_caches = std_caches.collect::<Result<_, TreefileError>>()?;
        let mut modules: Vec<ModuleSpec> = Vec::new();
        for Module(source) in file.modules {
            let ref_name = source.ref_beside(&file.r#ref.0);
            let ref_name = ref_name.map_err(|error| at("modules", error.to_string()))?;
            let dir = source.dir();
            let dir = dir.map_err(|error| at("modules", error.to_string()))?;
            if modules.iter().any(|other| other.ref_name == ref_name) {
                return Err(at("modules", format!("{source} is named twice")));
            }
            modules.push(ModuleSpec {
                source,
                ref_name,
                dir,
            });
        }
        let links = file.links.into_iter();
        let metadata = file.add_commit_metadata.into_iter();
        Ok(Self {
            arch,
            version: version.clone(),
            go_version: file.version.0,
            variant: file.variant.map(|variant| variant.0),
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
            std_caches,
            modules,
            commit_metadata: metadata.map(|(key, value)| (key.0, value)).collect(),
        })
    }
}
