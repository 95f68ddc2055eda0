//! A fragment of an rpm-ostree treefile: releases and their std caches as layers, and metadata for the OS
//! commit.
//!
//! Source of the keys and their types: rpm-ostree `docs/treefile.md` and `rust/src/treefile.rs`
//! (`BaseComposeConfigFields`). rpm-ostree does not expand variables in `ostree-layers`, so that
//! each architecture needs its own fragment.

use super::ExportError;
use super::release::release;
use crate::arch::Arch;
use crate::catalog::{CommitInfo, CommitKind, image_metadata};
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::golang::std_cache::{StdCacheId, std_cache_ref};
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::publish::{self, PublishError};
use crate::repo::Repo;
use crate::setters::setters;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Options of a treefile fragment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FragmentOptions {
    may_override: bool,
    std_caches: bool,
}

impl Default for FragmentOptions {
    fn default() -> Self {
        Self {
            may_override: false,
            std_caches: true,
        }
    }
}

impl FragmentOptions {
    setters! {
        /// Sets whether the releases are listed in `ostree-override-layers`, where they silently
        /// replace files of packages, instead of `ostree-layers`. Default: no.
        may_override: bool;
        /// Sets whether the std caches of the version and architecture of each release are listed after
        /// it. Default: yes, if the repository has them.
        std_caches: bool;
    }
}

/// The syntax of a treefile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Syntax {
    /// YAML.
    #[default]
    Yaml,
    /// JSON.
    Json,
}

impl Syntax {
    /// Returns a stable lower-case word, which is also the file name extension.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
        }
    }
}

/// A treefile fragment for each architecture.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fragment {
    arches: BTreeMap<Arch, Value>,
    refs: Vec<RefName>,
}

/// The reason why a treefile fragment could not be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentError {
    /// A release cannot be read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// No ref points to a release, so that rpm-ostree could not find it.
    #[error("no ref of the repository points to the release of commit {commit}")]
    NotOnRef {
        /// The commit.
        commit: CommitId,
    },
    /// The summary cannot be read.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The summary of the repository is out of date. rpm-ostree finds the commits of layers in it.
    #[error(
        "the summary of repository {} {} for ref {name}, expected commit {expected}",
        path.display(),
        match found {
            Some(found) => format!("names commit {found}"),
            None => "names no commit".to_owned(),
        }
    )]
    OutdatedSummary {
        /// The repository.
        path: PathBuf,
        /// The ref.
        name: RefName,
        /// The commit in the summary.
        found: Option<CommitId>,
        /// The commit that the ref points to.
        expected: CommitId,
    },
    /// Metadata contains a variable that rpm-ostree would expand.
    #[error(
        "commit {commit} has `${{` in the metadata `{key}`, which rpm-ostree would expand as a variable"
    )]
    Variable {
        /// The commit.
        commit: CommitId,
        /// The key.
        key: String,
    },
}

impl FragmentError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Export(error) => error.kind(),
            Self::Publish(error) => error.kind(),
            Self::OutdatedSummary { .. } => ErrorKind::RefConflict,
            Self::NotOnRef { .. } | Self::Variable { .. } => ErrorKind::InvalidInput,
        }
    }
}

/// Base name of the files of a fragment.
const NAME: &str = "go-sdk";

/// Generates the fragment for releases, the first one lowest. A channel is replaced by its release,
/// whose ref does not move.
///
/// # Errors
/// Returns an error if a commit is not a release that a ref points to, or has metadata that
/// rpm-ostree would change; and if the repository has a summary that names another commit for the
/// ref, or none. rpm-ostree would use that commit, or fail.
pub fn fragment(
    repo: &Repo,
    releases: &[CommitId],
    options: &FragmentOptions,
) -> Result<Fragment, FragmentError> {
    let listed = repo.list().map_err(ExportError::from)?;
    let (mut by_arch, mut refs) = (BTreeMap::<Arch, Vec<_>>::new(), Vec::new());
    for id in releases {
        let (name, info) = on_ref(repo, &listed, *id)?;
        let arch = info.arch.ok_or(ExportError::NotARelease {
            commit: *id,
            kind: info.kind,
        })?;
        let mut layers = vec![(name, info)];
        if options.std_caches {
            layers.extend(std_caches(&listed, name, info, arch)?);
        }
        let of_arch = by_arch.entry(arch).or_default();
        for (name, info) in layers {
            if !refs.contains(name) {
                refs.push(name.clone());
                of_arch.push((name, info));
            }
        }
    }
    let named = by_arch.values().flatten();
    let named = named.map(|(name, info): &(&RefName, &CommitInfo)| (*name, info.id));
    if let Some(outdated) = publish::find_outdated(repo, named)? {
        return Err(FragmentError::OutdatedSummary {
            path: repo.path().to_owned(),
            name: outdated.name,
            found: outdated.found,
            expected: outdated.expected,
        });
    }
    let mut arches = BTreeMap::new();
    for (arch, releases) in by_arch {
        arches.insert(arch, of_arch(&releases, options)?);
    }
    Ok(Fragment { arches, refs })
}

/// Returns the release of a commit, which is itself or the release of a channel.
fn on_ref<'l>(
    repo: &Repo,
    listed: &'l [(RefName, CommitInfo)],
    id: CommitId,
) -> Result<(&'l RefName, &'l CommitInfo), FragmentError> {
    let found = release(repo, id)?;
    let is_release = |info: &CommitInfo| {
        info.kind == CommitKind::Release
            && (info.id == id || found.kind == CommitKind::Channel)
            && (info.content, info.arch) == (found.content, found.arch)
    };
    let on_ref = listed.iter().find(|(_, info)| is_release(info));
    on_ref
        .map(|(name, info)| (name, info))
        .ok_or(FragmentError::NotOnRef { commit: id })
}

/// Returns the std caches for a release that the repository has refs for.
fn std_caches<'l>(
    listed: &'l [(RefName, CommitInfo)],
    release: &RefName,
    info: &CommitInfo,
    arch: Arch,
) -> Result<Vec<(&'l RefName, &'l CommitInfo)>, ExportError> {
    let version = info.version.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    for id in StdCacheId::of_target(arch) {
        // A version whose std cache cannot have a ref has none.
        let Ok(expected) = std_cache_ref(release, version, id) else {
            continue;
        };
        let Some((name, info)) = listed.iter().find(|(name, _)| *name == expected) else {
            continue;
        };
        if info.kind != CommitKind::StdCache || info.std_cache != Some(id) {
            return Err(ExportError::StdCache {
                name: expected,
                problem: "its commit is not this std cache".to_owned(),
            });
        }
        found.push((name, info));
    }
    Ok(found)
}

fn of_arch(
    releases: &[(&RefName, &CommitInfo)],
    options: &FragmentOptions,
) -> Result<Value, FragmentError> {
    let layers: Vec<&str> = releases.iter().map(|(name, _)| name.as_str()).collect();
    let infos: Vec<CommitInfo> = releases.iter().map(|(_, info)| (*info).clone()).collect();
    let metadata = image_metadata(&infos, Vec::new());
    for (key, value) in &metadata {
        // rpm-ostree only expands variables in strings directly below the key.
        if value.as_str().is_some_and(|text| text.contains("${")) {
            return Err(FragmentError::Variable {
                commit: infos[0].id,
                key: key.clone(),
            });
        }
    }
    let key = match options.may_override {
        true => "ostree-override-layers",
        false => "ostree-layers",
    };
    Ok(json!({ key: layers, "add-commit-metadata": metadata }))
}

impl Fragment {
    /// Returns the architectures of the fragment.
    pub fn arches(&self) -> impl Iterator<Item = Arch> {
        self.arches.keys().copied()
    }

    /// Returns the refs that must be in the compose's repository or its `--layer-repo`.
    #[must_use]
    pub fn refs(&self) -> &[RefName] {
        &self.refs
    }

    /// Returns the fragment as one document. For several architectures, it contains inlined
    /// treefiles in `conditional-include`, which requires rpm-ostree 2025.8.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut arches = self.arches.iter();
        if let (Some((_, only)), None) = (arches.next(), arches.next()) {
            return only.clone();
        }
        let includes: Vec<Value> = self
            .arches
            .iter()
            .map(|(arch, fragment)| {
                json!({ "if": format!("basearch == \"{arch}\""), "include": fragment })
            })
            .collect();
        json!({ "conditional-include": includes })
    }

    /// Returns the fragment as files by name: the first is to be included, and includes one for each
    /// architecture (`arch-include`, which every rpm-ostree supports).
    #[must_use]
    pub fn files(&self, syntax: Syntax) -> Vec<(String, Value)> {
        let end = syntax.as_str();
        let name = |arch: &Arch| format!("{NAME}-{arch}.{end}");
        let includes: Map<String, Value> = self
            .arches
            .keys()
            .map(|arch| (arch.to_string(), name(arch).into()))
            .collect();
        let mut files = vec![(format!("{NAME}.{end}"), json!({ "arch-include": includes }))];
        let per_arch = self.arches.iter();
        files.extend(per_arch.map(|(arch, fragment)| (name(arch), fragment.clone())));
        files
    }

    /// Renders a document of this fragment; in YAML with a comment about the repository.
    #[must_use]
    pub fn text(&self, document: &Value, syntax: Syntax) -> String {
        if syntax == Syntax::Json {
            return format!("{document:#}\n");
        }
        let mut text = String::from(
            "# Written by `ostree-go export treefile`. These refs have to be in the repository of\n\
             # `rpm-ostree compose tree --unified-core`, or in that of its --layer-repo:\n",
        );
        for name in &self.refs {
            text.push_str(&format!("#   {name}\n"));
        }
        yaml(document, 0, &mut text);
        text
    }

    /// Writes the [files](Self::files) atomically into an existing folder, and returns their paths.
    ///
    /// # Errors
    /// Returns an error if the file system fails.
    pub fn write(&self, folder: &Path, syntax: Syntax) -> Result<Vec<PathBuf>, ExportError> {
        let mut paths = Vec::new();
        // The file that includes the others is written last.
        for (name, document) in self.files(syntax).iter().rev() {
            let path = folder.join(name);
            atomic::write(&path, self.text(document, syntax).as_bytes()).context("write", &path)?;
            paths.push(path);
        }
        paths.reverse();
        Ok(paths)
    }
}

/// Renders the entries of a map or a list in block style. Strings are in double quotes, in which
/// YAML accepts JSON's escapes.
fn yaml(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                out.push_str(&format!("{pad}{}:", yaml_key(key)));
                yaml_below(value, indent + 2, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(entries) if !entries.is_empty() => {
                        let mut below = String::new();
                        yaml(item, indent + 2, &mut below);
                        out.push_str(&format!("{pad}- {}", below.trim_start()));
                    }
                    _ => {
                        out.push_str(&format!("{pad}-"));
                        yaml_below(item, indent + 2, out);
                    }
                }
            }
        }
        scalar => out.push_str(&format!("{pad}{scalar}\n")),
    }
}

/// Renders the value after a key or a dash.
fn yaml_below(value: &Value, indent: usize, out: &mut String) {
    let is_empty =
        value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
    if is_empty || !(value.is_object() || value.is_array()) {
        out.push_str(&format!(" {value}\n"));
        return;
    }
    out.push('\n');
    yaml(value, indent, out);
}

/// Renders a key, without quotes if YAML reads it as a string.
fn yaml_key(key: &str) -> String {
    let is_word = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let is_plain = is_word && !words.contains(&key.to_ascii_lowercase().as_str());
    match is_plain {
        true => key.to_owned(),
        false => Value::from(key).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_written_in_blocks() {
        let value = json!({
            "a": {"b.c-d": "x: # y", "no": true, "1": 2.5, "e": {}, "f": []},
            "g": ["h", {"i": 1, "j": ["k"]}, ["l", null]],
            "ü \"": "\u{7}\n",
        });
        let mut text = String::new();
        yaml(&value, 0, &mut text);
        insta::assert_snapshot!(text, @r#"
        a:
          b.c-d: "x: # y"
          "no": true
          "1": 2.5
          e: {}
          f: []
        g:
          - "h"
          - i: 1
            j:
              - "k"
          -
            - "l"
            - null
        "ü \"": "\u0007\n"
        "#);
    }
}
