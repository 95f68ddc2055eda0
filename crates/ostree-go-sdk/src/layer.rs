//! Assigns paths of an SDK to layers, and adds the files of a treefile.

use crate::fs::path::TreePath;
use crate::golang::env::{GoEnv, GoEnvError};
use crate::kind::ErrorKind;
use crate::object::{FileHeader, Overlap, Tree};
use crate::treefile::{AddContent, ArchTreefile, LayerSpec};
use std::path::PathBuf;

/// Name of the layer with a treefile's `links`.
const SITE: &str = "site";

/// The file in GOROOT with the go command's defaults.
pub(crate) const GO_ENV: &str = "go.env";

/// The reason why layers could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// A path of the source is neither in a layer nor in `exclude`.
    #[error("path `{path}` of {source_name} is neither in a layer nor excluded")]
    Unmatched {
        /// The path in the SDK.
        path: TreePath,
        /// The name of the source.
        source_name: String,
    },
    /// Two layers have the same path with different content.
    #[error("layers `{lower}` and `{upper}` both have `/{path}`, with different content")]
    Conflict {
        /// The lower layer.
        lower: String,
        /// The upper layer.
        upper: String,
        /// The path in the release.
        path: TreePath,
    },
    /// A layer has the same path twice, with different content.
    #[error("layer `{layer}` has `/{path}` twice, with different content")]
    Duplicate {
        /// The layer.
        layer: String,
        /// The path in the release.
        path: TreePath,
    },
    /// A layer is marked noarch but differs between architectures.
    #[error("layer `{layer}` is marked noarch, but `/{path}` differs between {arches}")]
    NotNoarch {
        /// The layer.
        layer: String,
        /// The first path that differs.
        path: TreePath,
        /// The two architectures.
        arches: String,
    },
    /// The content-addressed ref of a layer points to another commit.
    #[error(
        "layer `{layer}` has the same content as another commit on {name}: found {found}, expected {expected}"
    )]
    SameContent {
        /// The layer.
        layer: String,
        /// The content-addressed ref.
        name: crate::id::RefName,
        /// The commit of the ref.
        found: crate::id::CommitId,
        /// The commit of this layer.
        expected: crate::id::CommitId,
    },
    /// A file to add cannot be read.
    #[error("cannot read {}, which layer `{layer}` adds", path.display())]
    AddFile {
        /// The layer.
        layer: String,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The SDK's `go.env` or a setting for it is malformed.
    #[error("cannot set `go-env` in layer `{layer}`")]
    GoEnv {
        /// The layer.
        layer: String,
        /// The cause.
        #[source]
        source: GoEnvError,
    },
}

impl LayerError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::AddFile { source, .. } => ErrorKind::of_io(source),
            Self::GoEnv { source, .. } => source.kind(),
            _ => ErrorKind::LayerConflict,
        }
    }
}

/// The assignment of a path of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerAssignment {
    /// The path belongs to the layer with this index.
    Layer(usize),
    /// The path is excluded.
    Excluded,
}

/// The layers of one release, lowest first.
#[derive(Debug)]
pub(crate) struct Layers<'t> {
    spec: &'t ArchTreefile,
    layers: Vec<LayerSpec>,
}

/// A file or symlink that a layer adds to the source's files.
#[derive(Debug)]
pub(crate) struct Addition {
    pub(crate) layer: usize,
    /// The path in the release.
    pub(crate) path: TreePath,
    pub(crate) header: FileHeader,
    pub(crate) content: Vec<u8>,
}

impl<'t> Layers<'t> {
    pub(crate) fn new(spec: &'t ArchTreefile) -> Self {
        let mut layers = spec.layers.clone();
        if !spec.links.is_empty() && !layers.iter().any(|layer| layer.name == SITE) {
            layers.push(LayerSpec {
                name: SITE.to_owned(),
                noarch: true,
                ..LayerSpec::default()
            });
        }
        Self { spec, layers }
    }

    pub(crate) fn len(&self) -> usize {
        self.layers.len()
    }

    pub(crate) fn get(&self, index: usize) -> &LayerSpec {
        &self.layers[index]
    }

    /// Returns whether a layer's commit has no architecture. A layer without files of the source
    /// (like `site`) need not be marked, because only the treefile determines it.
    pub(crate) fn is_noarch(&self, index: usize) -> bool {
        let layer = self.get(index);
        layer.noarch || layer.include.is_empty()
    }

    /// Returns the assignment of a path of the source. Exclusions take precedence over layers, and
    /// the first layer that includes the path wins.
    pub(crate) fn assign(
        &self,
        path: &TreePath,
        source_name: &str,
    ) -> Result<LayerAssignment, LayerError> {
        if self.spec.exclude.iter().any(|top| path.is_in(top)) {
            return Ok(LayerAssignment::Excluded);
        }
        self.layers
            .iter()
            .position(|layer| layer.include.iter().any(|top| path.is_in(top)))
            .map(LayerAssignment::Layer)
            .ok_or_else(|| LayerError::Unmatched {
                path: path.clone(),
                source_name: source_name.to_owned(),
            })
    }

    /// Reads everything that the treefile adds. `go_env` is the source's own file, if any.
    pub(crate) fn additions(&self, go_env: Option<&[u8]>) -> Result<Vec<Addition>, LayerError> {
        let mut additions = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            for file in &layer.add_files {
                additions.push(Addition {
                    layer: index,
                    path: file.path.clone(),
                    header: FileHeader::Regular {
                        executable: file.executable,
                    },
                    content: read_added(layer, &file.content)?,
                });
            }
            if !layer.go_env.is_empty() {
                additions.push(Addition {
                    layer: index,
                    path: self.go_env_path(),
                    header: FileHeader::Regular { executable: false },
                    content: merged_go_env(layer, go_env)?,
                });
            }
            if layer.name == SITE {
                additions.extend(self.spec.links.iter().map(|(link, target)| Addition {
                    layer: index,
                    path: link.clone(),
                    header: FileHeader::Symlink {
                        target: link.link_to(target),
                    },
                    content: Vec::new(),
                }));
            }
        }
        Ok(additions)
    }

    /// Merges the layers' trees.
    pub(crate) fn union(&self, trees: &[Tree]) -> Result<Tree, LayerError> {
        let mut union = Tree::default();
        for (index, tree) in trees.iter().enumerate() {
            let layer = self.get(index);
            let go_env = (!layer.go_env.is_empty()).then(|| self.go_env_path());
            let may_override =
                |path: &TreePath| layer.may_override || go_env.as_ref() == Some(path);
            union
                .union(tree, &may_override)
                .map_err(|Overlap { path }| LayerError::Conflict {
                    lower: self.holder(&trees[..index], &path),
                    upper: layer.name.clone(),
                    path,
                })?;
        }
        Ok(union)
    }

    /// Returns the name of the topmost layer that has a path.
    fn holder(&self, trees: &[Tree], path: &TreePath) -> String {
        let index = trees.iter().rposition(|tree| tree.contains(path));
        index.map_or_else(String::new, |index| self.get(index).name.clone())
    }

    fn go_env_path(&self) -> TreePath {
        self.spec.prefix.join(GO_ENV)
    }
}

fn read_added(layer: &LayerSpec, content: &AddContent) -> Result<Vec<u8>, LayerError> {
    match content {
        AddContent::Inline(text) => Ok(text.clone().into_bytes()),
        AddContent::From(path) => std::fs::read(path).map_err(|source| LayerError::AddFile {
            layer: layer.name.clone(),
            path: path.clone(),
            source,
        }),
    }
}

fn merged_go_env(layer: &LayerSpec, original: Option<&[u8]>) -> Result<Vec<u8>, LayerError> {
    let failed = |source| LayerError::GoEnv {
        layer: layer.name.clone(),
        source,
    };
    let mut env = GoEnv::parse(original.unwrap_or_default()).map_err(failed)?;
    for (key, value) in &layer.go_env {
        env.set(key, value).map_err(failed)?;
    }
    Ok(env.to_string().into_bytes())
}
