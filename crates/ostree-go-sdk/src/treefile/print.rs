//! Expanded treefiles as JSON, for display and for detecting changes.

use serde_json::{Map, Value, json};

use super::{
    AddContent, ArchTreefile, LayerSpec, ModuleSource, RpmFile, RpmLocation, SourceSpec,
    StdCacheSpec, Treefile,
};
use crate::arch::Arch;
use crate::fs::path::TreePath;
use crate::golang::std_cache::BuildMode;
use crate::id::RefName;

impl Treefile {
    /// Returns the merged and expanded treefile: a map from architecture to a treefile of its
    /// own that gives the same release when parsed.
    ///
    /// Local paths are printed as resolved, not relative to the file that wrote them; a `$` in
    /// a text is printed as `$$`.
    #[must_use]
    pub fn expanded(&self) -> Value {
        let releases = self.releases.iter();
        let releases: Map<String, Value> = releases
            .map(|release| (release.arch.to_string(), release.to_json()))
            .collect();
        json!({ "releases": releases })
    }
}

impl ArchTreefile {
    /// Returns everything that determines the release's tree, metadata and refs, as JSON with
    /// sorted keys: given equal SDKs, equal texts mean equal releases.
    ///
    /// Sources, pins, proxies, channels, std caches and modules are not included, nor are local paths: for a file
    /// that is copied into the tree the text only records that there is one, and the caller
    /// has to compare its bytes separately.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut json = self.to_json();
        if let Some(keys) = json.as_object_mut() {
            for key in [
                "source", "pin", "goproxy", "channels", "stdcache", "modules",
            ] {
                keys.shift_remove(key);
            }
        }
        for file in files_of(&mut json) {
            if let Some(from) = file.get_mut("from") {
                *from = Value::Bool(true);
            }
        }
        json.sort_all_objects();
        json.to_string()
    }

    /// Converts the release to a treefile.
    pub(super) fn to_json(&self) -> Value {
        let sources: Vec<Value> = self.sources.iter().map(source).collect();
        let layers: Map<String, Value> = self
            .layers
            .iter()
            .map(|spec| (spec.name.clone(), layer(spec)))
            .collect();
        let links: Map<String, Value> = self
            .links
            .iter()
            .map(|(link, target)| (absolute(link), json!(absolute(target))))
            .collect();
        let metadata: Map<String, Value> = self
            .commit_metadata
            .iter()
            .map(|(key, value)| (escaped(key), escaped_all(value)))
            .collect();
        let mut json = json!({
            "version": self.go_version.as_str(),
            "arches": [self.arch.basearch()],
            "ref": self.release_ref.as_str(),
            "layer-ref": self.layer_ref.to_string(),
            "channels": self.channels.iter().map(RefName::as_str).collect::<Vec<_>>(),
            "source": sources,
            "prefix": absolute(&self.prefix),
            "layers": layers,
            "exclude": self.exclude.iter().map(|path| escaped(path.as_str())).collect::<Vec<_>>(),
            "links": links,
            "add-commit-metadata": metadata,
        });
        if let Some(variant) = &self.variant {
            json["variant"] = json!(variant);
        }
        if let Some(timestamp) = self.timestamp {
            json["timestamp"] = json!(timestamp);
        }
        if !self.std_caches.is_empty() {
            json["stdcache"] = std_caches(&self.std_caches);
        }
        if !self.modules.is_empty() {
            json["modules"] = self.modules.iter().map(|one| module(&one.source)).collect();
        }
        if let Some(goproxy) = &self.goproxy {
            json["goproxy"] = json!(escaped(goproxy));
        }
        let mut pin = Map::new();
        if let Some(sha256) = self.pin.sha256 {
            pin.insert("sha256".to_owned(), json!(sha256.to_string()));
        }
        if let Some(h1) = self.pin.h1 {
            pin.insert("h1".to_owned(), json!(h1.to_string()));
        }
        if !pin.is_empty() {
            json["pin"] = json!({ self.arch.basearch(): pin });
        }
        json
    }
}

fn source(source: &SourceSpec) -> Value {
    match source {
        SourceSpec::Path(path) => json!({ "path": escaped(&path.to_string_lossy()) }),
        SourceSpec::Url { url, sha256: None } => json!({ "url": escaped(url) }),
        SourceSpec::Url {
            url,
            sha256: Some(sha256),
        } => json!({ "url": escaped(url), "sha256": sha256.to_string() }),
        SourceSpec::Index { base } => json!({ "index": escaped(base) }),
        SourceSpec::Module { path } => json!({ "module": escaped(path) }),
        SourceSpec::Rpm { files, gpg_keys } => {
            let mut json = json!({ "rpm": files.iter().map(rpm).collect::<Vec<_>>() });
            if !gpg_keys.is_empty() {
                let keys = gpg_keys.iter().map(|path| escaped(&path.to_string_lossy()));
                json["gpgkey"] = keys.collect();
            }
            json
        }
        SourceSpec::Rebuild { from } => json!({ "rebuild": { "from": from.basearch() } }),
    }
}

fn std_caches(all: &[StdCacheSpec]) -> Value {
    // A treefile can only name all combinations of targets and modes.
    let targets = Arch::ALL
        .into_iter()
        .filter(|target| all.iter().any(|one| one.id.target == *target));
    let modes = BuildMode::ALL
        .into_iter()
        .filter(|mode| all.iter().any(|one| one.id.mode == *mode));
    json!({
        "targets": targets.map(Arch::basearch).collect::<Vec<_>>(),
        "modes": modes.map(BuildMode::as_str).collect::<Vec<_>>(),
    })
}

fn module(source: &ModuleSource) -> Value {
    match source {
        ModuleSource::Version { id, sum: None } => json!(id.to_string()),
        ModuleSource::Version { id, sum: Some(sum) } => {
            json!({ "module": id.to_string(), "sum": sum.to_string() })
        }
        ModuleSource::Directory { path, directory } => {
            json!({ "module": path, "path": escaped(&directory.to_string_lossy()) })
        }
    }
}

fn rpm(file: &RpmFile) -> Value {
    let mut json = match &file.location {
        RpmLocation::Path(path) => json!({ "path": escaped(&path.to_string_lossy()) }),
        RpmLocation::Url(url) => json!({ "url": escaped(url) }),
    };
    if let Some(sha256) = file.sha256 {
        json["sha256"] = json!(sha256.to_string());
    }
    json
}

fn layer(layer: &LayerSpec) -> Value {
    let include = layer.include.iter();
    let go_env: Map<String, Value> = layer
        .go_env
        .iter()
        .map(|(name, value)| (name.clone(), json!(escaped(value))))
        .collect();
    let add_files: Vec<Value> = layer
        .add_files
        .iter()
        .map(|file| {
            let (key, content) = match &file.content {
                AddContent::Inline(text) => ("content", escaped(text)),
                AddContent::From(path) => ("from", escaped(&path.to_string_lossy())),
            };
            json!({ "path": absolute(&file.path), key: content, "executable": file.executable })
        })
        .collect();
    json!({
        "noarch": layer.noarch,
        "include": include.map(|path| escaped(path.as_str())).collect::<Vec<_>>(),
        "add-files": add_files,
        "go-env": go_env,
        "override": layer.may_override,
    })
}

/// Returns the entries of every layer's `add-files`.
pub(super) fn files_of(json: &mut Value) -> impl Iterator<Item = &mut Value> {
    let layers = json.get_mut("layers").and_then(Value::as_object_mut);
    layers
        .into_iter()
        .flat_map(|layers| layers.values_mut())
        .filter_map(|layer| layer.get_mut("add-files")?.as_array_mut())
        .flatten()
}

fn absolute(path: &TreePath) -> String {
    format!("/{}", escaped(path.as_str()))
}

/// Escapes `text`, so that it expands to itself.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

fn escaped_all(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(escaped(text)),
        Value::Array(values) => values.iter().map(escaped_all).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (escaped(key), escaped_all(value)))
            .collect(),
        other => other.clone(),
    }
}
