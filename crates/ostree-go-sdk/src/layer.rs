//! Layers: which path of an SDK belongs to which, and what a treefile adds.

use crate::fs::path::TreePath;
use crate::golang::env::{GoEnv, GoEnvError};
use crate::kind::ErrorKind;
use crate::object::{FileHeader, Overlap, Tree};
use crate::treefile::{AddContent, ArchTreefile, LayerSpec};
use std::path::PathBuf;

/// The name of the layer that holds a treefile's `links`.
const SITE: &str = "site";

/// The file in GOROOT that sets the go command's defaults.
pub(crate) const GO_ENV: &str = "go.env";

/// Why layers cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// No layer includes a path of the source and `exclude` does not name it.
    #[error("path `{path}` of {source_name} is in no layer and not excluded")]
    Unmatched {
        /// The path in the SDK.
        path: TreePath,
        /// The source.
        source_name: String,
    },
    /// Two layers hold one path with different content.
    #[error("layers `{lower}` and `{upper}` both hold `/{path}`, with different content")]
    Conflict {
        /// The layer below.
        lower: String,
        /// The layer above.
        upper: String,
        /// The path in the release.
        path: TreePath,
    },
    /// One layer gets one path twice.
    #[error("layer `{layer}` holds `/{path}` twice, with different content")]
    Duplicate {
        /// The layer.
        layer: String,
        /// The path in the release.
        path: TreePath,
    },
    /// A layer that is said to be the same for all architectures is not.
    #[error("layer `{layer}` is marked noarch, but `/{path}` differs between {arches}")]
    NotNoarch {
        /// The layer.
        layer: String,
        /// The first path that differs.
        path: TreePath,
        /// The two architectures.
        arches: String,
    },
    /// A layer's ref names another commit, of the same content.
    #[error(
        "layer `{layer}` has the same content as another commit on {name}: found {found}, expected {expected}"
    )]
    SameContent {
        /// The layer.
        layer: String,
        /// The content-addressed ref.
        name: crate::id::RefName,
        /// The commit there.
        found: crate::id::CommitId,
        /// The commit of this layer.
        expected: crate::id::CommitId,
    },
    /// A file that a treefile adds cannot be read.
    #[error("cannot read {}, which layer `{layer}` adds", path.display())]
    AddFile {
        /// The layer.
        layer: String,
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The SDK's `go.env` or a setting for it is not well-formed.
    #[error("cannot set `go-env` in layer `{layer}`")]
    GoEnv {
        /// The layer.
        layer: String,
        /// Why.
        #[source]
        source: GoEnvError,
    },
}

impl LayerError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::AddFile { source, .. } => ErrorKind::of_io(source),
            Self::GoEnv { source, .. } => source.kind(),
            _ => ErrorKind::LayerConflict,
        }
    }
}

/// Where a path of the source goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Into the layer with this index.
    Layer(usize),
    /// Nowhere.
    Excluded,
}

/// The layers of one release, lowest first.
#[derive(Debug)]
pub(crate) struct Layers<'t> {
    spec: &'t ArchTreefile,
    layers: Vec<LayerSpec>,
}

/// A file or symlink that a layer adds to what it takes from the source.
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

    /// Whether a layer's commit says no architecture. A layer that takes nothing from the
    /// source (`site`) need not be marked: it is the treefile's words alone.
    pub(crate) fn is_noarch(&self, index: usize) -> bool {
        let layer = self.get(index);
        layer.noarch || layer.include.is_empty()
    }

    /// Where a path of the source goes. An exclusion wins over the layers, and of the layers
    /// the first that includes the path.
    pub(crate) fn place(&self, path: &TreePath, source_name: &str) -> Result<Place, LayerError> {
        if self.spec.exclude.iter().any(|top| path.is_in(top)) {
            return Ok(Place::Excluded);
        }
        self.layers
            .iter()
            .position(|layer| layer.include.iter().any(|top| path.is_in(top)))
            .map(Place::Layer)
            .ok_or_else(|| LayerError::Unmatched {
                path: path.clone(),
                source_name: source_name.to_owned(),
            })
    }

    /// Everything the treefile adds, read. `go_env` is the source's own, if it has one.
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

    /// The union of the layers' trees.
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

    /// The topmost of some layers that has something at a path.
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
