//! Treefiles: the declarative input of a compose.
//!
//! A treefile is YAML or JSON in the style of rpm-ostree's. Reading one takes four steps: each
//! file is parsed into a tree of nodes with line numbers, the including file is merged over
//! the files that it includes, variables are expanded for each architecture, and the result is
//! checked and converted to types. [`Treefile::parse`] does all of them, so that an accepted
//! treefile has no mistake that a compose would only find later.

mod de;
mod error;
mod expand;
mod include;
mod mark;
mod merge;
mod node;
mod pins;
mod print;
mod recipe;
mod release;
mod schema;
mod spec;
#[cfg(test)]
mod tests;
mod timestamp;
mod value;
mod variables;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{TreefileError, TreefileProblem};
pub use pins::write_pins;
pub(crate) use recipe::copied_files;
pub use recipe::{Recipe, RecipeError, RecipeOptions};
pub use release::ArchTreefile;
pub use spec::{
    AddContent, AddFile, LayerRefTemplate, LayerSpec, ModuleSource, ModuleSpec, Pin, RpmFile,
    RpmLocation, SourceSpec, StdCacheSpec,
};

use crate::arch::Arch;
use crate::version::GoVersion;
use node::Node;
use schema::Variant;
use value::{Text, plain};

/// A treefile, merged with its includes, expanded and checked.
#[derive(Debug, Clone)]
pub struct Treefile {
    /// The path of the treefile, for error messages.
    file: PathBuf,
    version: GoVersion,
    go_version: GoVersion,
    arches: Vec<Arch>,
    /// The release of each architecture, in the order of `arches`.
    releases: Vec<ArchTreefile>,
}

/// Compares the contents; the paths of the treefiles do not count.
impl PartialEq for Treefile {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
            && self.arches == other.arches
            && self.releases == other.releases
    }
}

impl Treefile {
    /// Reads a treefile and the files that it includes.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read, and those of [`Treefile::parse`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TreefileError> {
        let path = path.as_ref();
        let text = read(path)
            .map_err(|source| TreefileError::of_file(path, TreefileProblem::Read(source)))?;
        Self::parse(&text, path, &mut read)
    }

    /// Parses a treefile from its text.
    ///
    /// `file` is the path of the text; it appears in errors, and relative paths are resolved
    /// against its folder. `load` returns the text of an included file.
    ///
    /// # Errors
    /// Returns an error if the treefile or an included one is invalid, with the file, line and
    /// key, and if `load` fails.
    pub fn parse(
        text: &str,
        file: &Path,
        load: &mut dyn FnMut(&Path) -> io::Result<String>,
    ) -> Result<Self, TreefileError> {
        let written = include::assemble(text, file, load)?;
        let defaults = Node::parse(schema::DEFAULTS, &Arc::from(Path::new("defaults")))?;
        let root = merge::merge(defaults, written);
        let version = match root.get("version") {
            Some(node) => node.read().map_err(|error| error.in_key("version"))?,
            None => {
                let missing = TreefileProblem::MissingKey("version");
                return Err(TreefileError::new(&root.mark, missing));
            }
        };
        let Text(go_version): Text<GoVersion> = version;
        let version = release_version(&root, &go_version)?;
        let arches = arches(&root).map_err(|error| error.in_key("arches"))?;
        let releases = arches
            .iter()
            .map(|&arch| {
                let root = expand::expand(&root, arch, (&version, &go_version))?;
                ArchTreefile::read(&root, arch, &version)
            })
            .collect::<Result<Vec<_>, _>>()?;
        check_refs(&root, &releases)?;
        check_noarch(&root, &releases)?;
        check_std_caches(&root, &releases)?;
        check_modules(&root, &releases)?;
        check_rebuilds(&root, &releases)?;
        Ok(Self {
            file: file.to_owned(),
            version,
            go_version,
            arches,
            releases,
        })
    }

    /// Returns the version of the release: that of Go, and the variant if there is one.
    #[must_use]
    pub fn version(&self) -> &GoVersion {
        &self.version
    }

    /// Returns the version of Go.
    #[must_use]
    pub fn go_version(&self) -> &GoVersion {
        &self.go_version
    }

    /// Returns the architectures to compose a release for, in the order of [`Arch::ALL`].
    #[must_use]
    pub fn arches(&self) -> &[Arch] {
        &self.arches
    }

    /// Returns the release of each architecture, in the order of [`Treefile::arches`].
    #[must_use]
    pub fn releases(&self) -> &[ArchTreefile] {
        &self.releases
    }

    /// Returns the std caches of the version, which all architectures share: by target in the order
    /// of [`Arch::ALL`], then by mode.
    #[must_use]
    pub fn std_caches(&self) -> &[StdCacheSpec] {
        let first = self.releases.first();
        first.map_or(&[], |release| &release.std_caches)
    }

    /// Returns the Go modules beside the releases, which all architectures share, in the treefile's
    /// order.
    #[must_use]
    pub fn modules(&self) -> &[ModuleSpec] {
        let first = self.releases.first();
        first.map_or(&[], |release| &release.modules)
    }

    /// Returns the treefile, expanded for one architecture.
    ///
    /// # Errors
    /// Returns [`TreefileProblem::NoSuchArch`] if the treefile does not list `arch`.
    pub fn for_arch(&self, arch: Arch) -> Result<&ArchTreefile, TreefileError> {
        let release = self.releases.iter().find(|release| release.arch == arch);
        release.ok_or_else(|| {
            let arches: Vec<&str> = self.arches.iter().map(|arch| arch.basearch()).collect();
            let problem = TreefileProblem::NoSuchArch {
                found: arch,
                expected: arches.join(", "),
            };
            TreefileError::of_file(&self.file, problem)
        })
    }

    /// Returns the JSON Schema of treefiles.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schema::json_schema()
    }
}

/// Reads a file's text, at most one byte more than the size limit.
fn read(path: &Path) -> io::Result<String> {
    let limit = u64::try_from(node::MAX_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // Text that was cut within a character exceeds the limit anyway.
        Err(error) if error.as_bytes().len() > node::MAX_BYTES => {
            Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Returns the version with the variant, if there is one.
fn release_version(root: &Node, version: &GoVersion) -> Result<GoVersion, TreefileError> {
    let in_key = |error: TreefileError| error.in_key("variant");
    let variant: Option<Option<Variant>> = root
        .get("variant")
        .map(|node| node.read().map_err(in_key))
        .transpose()?;
    match variant.flatten() {
        None => Ok(version.clone()),
        Some(Variant(variant)) => version.with_variant(&variant).map_err(|error| {
            let mark = root.get("variant").map_or(&root.mark, |node| &node.mark);
            in_key(de::invalid_value(mark, error))
        }),
    }
}

fn arches(root: &Node) -> Result<Vec<Arch>, TreefileError> {
    let Some(node) = root.get("arches") else {
        return Ok(Arch::ALL.to_vec());
    };
    let named: Vec<Text<Arch>> = node.read()?;
    if named.is_empty() {
        return Err(node.unexpected("at least one architecture"));
    }
    let named = plain(named);
    let wanted = Arch::ALL.into_iter().filter(|arch| named.contains(arch));
    Ok(wanted.collect())
}

/// Checks that no ref belongs to two architectures.
fn check_refs(root: &Node, releases: &[ArchTreefile]) -> Result<(), TreefileError> {
    let mut owners = BTreeMap::new();
    for release in releases {
        let release_ref = std::iter::once(("ref", &release.release_ref));
        let channels = release.channels.iter().map(|channel| ("channels", channel));
        for (key, name) in release_ref.chain(channels) {
            if let Some(first) = owners.insert(name, release.arch) {
                let mark = root.get(key).map_or(&root.mark, |node| &node.mark);
                let message = format!(
                    "`{name}` is the ref of both {first} and {}, expected `${{basearch}}` in it",
                    release.arch
                );
                return Err(de::invalid_value(mark, message).in_key(key));
            }
        }
    }
    Ok(())
}

/// Checks that a std cache has the same ref, whichever architecture it is composed on.
fn check_std_caches(root: &Node, releases: &[ArchTreefile]) -> Result<(), TreefileError> {
    let first = |release: &ArchTreefile| release.std_caches.first().cloned();
    let mut refs = releases.iter().filter_map(first).map(|one| one.ref_name);
    let Some(one) = refs.next() else {
        return Ok(());
    };
    let Some(other) = refs.find(|other| *other != one) else {
        return Ok(());
    };
    let mark = root.get("ref").map_or(&root.mark, |node| &node.mark);
    let message = format!(
        "std caches would be `{one}` and `{other}`, expected a first component that is the same \
         for all architectures"
    );
    Err(de::invalid_value(mark, message).in_key("ref"))
}

/// Checks that the modules are the same for all architectures, because they have no architecture.
fn check_modules(root: &Node, releases: &[ArchTreefile]) -> Result<(), TreefileError> {
    let Some((first, others)) = releases.split_first() else {
        return Ok(());
    };
    let differs = |other: &&ArchTreefile| other.modules != first.modules;
    let Some(other) = others.iter().find(differs) else {
        return Ok(());
    };
    let mark = root.get("modules").map_or(&root.mark, |node| &node.mark);
    let message = format!(
        "the modules or their refs differ between {} and {}, expected the same for all \
         architectures",
        first.arch, other.arch
    );
    Err(de::invalid_value(mark, message).in_key("modules"))
}

/// Checks that an SDK is only compiled with one that has a source of its own.
fn check_rebuilds(root: &Node, releases: &[ArchTreefile]) -> Result<(), TreefileError> {
    let from = |source: &SourceSpec| match source {
        SourceSpec::Rebuild { from } => Some(*from),
        _ => None,
    };
    for release in releases {
        let Some(other) = release.sources.iter().find_map(from) else {
            continue;
        };
        let problem = match releases.iter().find(|one| one.arch == other) {
            _ if other == release.arch => "an SDK cannot be rebuilt from itself",
            None => "`arches` does not list it",
            Some(one) if one.sources.iter().any(|source| from(source).is_some()) => {
                "it is rebuilt as well"
            }
            Some(_) => continue,
        };
        let mark = root.get("source").map_or(&root.mark, |node| &node.mark);
        let message = format!("{} is rebuilt from {other}, but {problem}", release.arch);
        return Err(de::invalid_value(mark, message).in_key("source"));
    }
    Ok(())
}

/// Checks that layers marked `noarch` are the same for every architecture.
fn check_noarch(root: &Node, releases: &[ArchTreefile]) -> Result<(), TreefileError> {
    let Some((first, others)) = releases.split_first() else {
        return Ok(());
    };
    for (index, layer) in first.layers.iter().enumerate() {
        let same = |other: &ArchTreefile| {
            other.layers.get(index) == Some(layer) && other.prefix == first.prefix
        };
        if let Some(other) = others.iter().find(|other| layer.noarch && !same(other)) {
            let layers = root.get("layers").and_then(|all| all.get(&layer.name));
            let mark = layers.map_or(&root.mark, |node| &node.mark);
            let message = format!(
                "the layer is noarch, but differs between {} and {}",
                first.arch, other.arch
            );
            let error = de::invalid_value(mark, message);
            return Err(error.in_key(&layer.name).in_key("layers"));
        }
    }
    Ok(())
}
