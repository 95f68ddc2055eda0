//! Writes the files of a Go module as objects of a repository.

use super::module_error::ModuleError;
use super::{Compose, ComposeError, NewObjects};
use crate::fs::path::TreePath;
use crate::golang::h1::{H1, H1Builder};
use crate::golang::modfile::GoMod;
use crate::layer::LayerError;
use crate::module_zip::hash_go_mod;
use crate::object::{FileHeader, Leaf, LeafKind, Overlap, Tree};
use crate::repo::Transaction;
use crate::source::module::{ModuleZip, read_directory};
use crate::source::{Entry, EntryProblem, FileContent, SourceError};
use crate::store::{Bytes, Content, Incoming, Sink, Written, write_files, writers};
use crate::treefile::{ModuleSource, ModuleSpec};
use std::path::Path;

/// The file at the top of every module, except for old ones in a zip.
const GO_MOD: &str = "go.mod";

/// A module whose files are in the repository.
pub(super) struct ReadModule {
    /// The tree with the paths on a host.
    pub(super) tree: Tree,
    /// The hash of the files of the source. For a directory, it is not that of any version.
    pub(super) h1: H1,
    /// The hash of the `go.mod` file.
    pub(super) go_mod_h1: H1,
    /// The objects that the repository did not have.
    pub(super) new: NewObjects,
}

/// Reads a module from its zip, or else from its directory.
pub(super) fn read(
    compose: &Compose,
    transaction: &Transaction<'_>,
    ModuleSpec { source, dir, .. }: &ModuleSpec,
    zip: Option<ModuleZip>,
) -> Result<ReadModule, ComposeError> {
    let source_name = source.to_string();
    let spool_in = transaction.repo().path().join("tmp");
    let loader = Loader {
        compose,
        source_name: &source_name,
        spool_in: &spool_in,
    };
    let mut reader = Reader { go_mod: None };
    let written = write_files(writers(transaction, compose.threads), |sink| {
        let visit = &mut |entry: Entry<'_>| reader.entry(&loader, entry, sink);
        match (source, zip) {
            (ModuleSource::Version { id, .. }, Some(zip)) => zip.read(id, &compose.limits, visit),
            (ModuleSource::Directory { directory, .. }, _) => {
                read_directory(directory, &compose.limits, visit)
            }
            (ModuleSource::Version { .. }, None) => Ok(()),
        }
    })?;
    let mut module = Files {
        dir: dir.clone(),
        tree: Tree::default(),
        new: NewObjects::default(),
    };
    let mut h1 = H1Builder::new();
    for file in &written {
        h1.add(&format!("{source_name}/{}", file.tag), file.sha256);
        module.add(file)?;
    }
    let go_mod = match (reader.go_mod, source) {
        (Some(go_mod), _) => go_mod,
        // As the go command does for modules that are older than modules.
        (None, ModuleSource::Version { id, .. }) => {
            let go_mod = format!("module {}\n", id.path()).into_bytes();
            for file in &write_one(compose, transaction, go_mod.clone())? {
                module.add(file)?;
            }
            go_mod
        }
        (None, ModuleSource::Directory { directory, .. }) => {
            return Err(ModuleError::NoGoMod {
                path: directory.clone(),
            }
            .into());
        }
    };
    if let ModuleSource::Directory { path, directory } = source {
        check_path(directory, &go_mod, path)?;
    }
    Ok(ReadModule {
        tree: module.tree,
        h1: h1.finish(),
        go_mod_h1: hash_go_mod(&go_mod),
        new: module.new,
    })
}

/// Checks that the `go.mod` file of a directory names the module in the treefile.
fn check_path(directory: &Path, go_mod: &[u8], expected: &str) -> Result<(), ComposeError> {
    let path = directory.to_owned();
    let error = match GoMod::parse(go_mod).map(|file| file.module) {
        Ok(Some(found)) if found.text == expected => return Ok(()),
        Ok(found) => ModuleError::OtherModule {
            path,
            found: found.map(|found| found.text),
            expected: expected.to_owned(),
        },
        Err(source) => ModuleError::GoMod { path, source },
    };
    Err(error.into())
}

/// Writes a `go.mod` file that is not in the source.
fn write_one(
    compose: &Compose,
    transaction: &Transaction<'_>,
    go_mod: Vec<u8>,
) -> Result<Vec<Written<TreePath>>, ComposeError> {
    write_files(writers(transaction, compose.threads), |sink| {
        let path = TreePath::from_trusted(GO_MOD.to_owned());
        sink.put(file(path, Bytes::Ready(go_mod.into())));
        Ok(())
    })
}

/// Returns a file for the pipeline. As in Go's module cache, none is executable.
fn file(path: TreePath, content: Bytes<'_, ComposeError>) -> Incoming<'_, TreePath, ComposeError> {
    Incoming {
        tag: path,
        header: FileHeader::Regular { executable: false },
        content,
        store: true,
    }
}

/// Reads the entries of a source.
struct Reader {
    go_mod: Option<Vec<u8>>,
}

impl Reader {
    fn entry<'p>(
        &mut self,
        loader: &Loader<'p>,
        entry: Entry<'_>,
        sink: &Sink<'p, '_, TreePath, ComposeError>,
    ) -> Result<(), ComposeError> {
        let (path, size, content) = match entry {
            Entry::File {
                path,
                size,
                content: FileContent::Deferred(content),
            } => (path, size, content),
            Entry::File { path, .. }
            | Entry::Symlink { path, .. }
            | Entry::HardLink { path, .. } => {
                return Err(loader.refused(&path).into());
            }
        };
        let loader = *loader;
        let read_path = path.clone();
        let read = move || {
            loader.check_cancelled()?;
            content.read(|input| {
                let content = Content::read(input, size, loader.spool_in);
                content.map_err(|source| ComposeError::Read {
                    path: read_path,
                    source_name: loader.source_name.to_owned(),
                    source,
                })
            })
        };
        let content = match path.as_str() {
            GO_MOD => {
                let content = read()?;
                let mut go_mod = Vec::new();
                let copied = content.for_each(|bytes| {
                    go_mod.extend_from_slice(bytes);
                    Ok(())
                });
                copied.map_err(|source| ComposeError::Read {
                    path: path.clone(),
                    source_name: loader.source_name.to_owned(),
                    source,
                })?;
                self.go_mod = Some(go_mod);
                Bytes::Ready(content)
            }
            _ => Bytes::Deferred {
                size,
                read: Box::new(read),
            },
        };
        match sink.put(file(path, content)) {
            true => Ok(()),
            // A worker has failed, whose error is returned instead of this one.
            false => Err(ComposeError::Cancelled),
        }
    }
}

/// Loads the content of files, on any thread.
#[derive(Clone, Copy)]
struct Loader<'p> {
    compose: &'p Compose,
    source_name: &'p str,
    spool_in: &'p Path,
}

impl Loader<'_> {
    fn check_cancelled(&self) -> Result<(), ComposeError> {
        match self.compose.progress.is_cancelled() {
            true => Err(ComposeError::Cancelled),
            false => Ok(()),
        }
    }

    fn refused(&self, path: &TreePath) -> SourceError {
        SourceError::Entry {
            location: self.source_name.to_owned(),
            entry: path.to_string(),
            problem: EntryProblem::ModuleFile {
                reason: "it is a link".to_owned(),
            },
        }
    }
}

/// The files of a module below its directory.
struct Files {
    dir: TreePath,
    tree: Tree,
    new: NewObjects,
}

impl Files {
    fn add(&mut self, file: &Written<TreePath>) -> Result<(), ComposeError> {
        let leaf = Leaf {
            id: file.id,
            size: file.size,
            kind: LeafKind::File,
        };
        let path = file.tag.below(&self.dir);
        self.tree.insert(&path, leaf).map_err(|Overlap { path }| {
            ComposeError::Layer(LayerError::Duplicate {
                layer: "module".to_owned(),
                path,
            })
        })?;
        if file.new {
            self.new.objects += 1;
            self.new.bytes += file.size;
        }
        Ok(())
    }
}
