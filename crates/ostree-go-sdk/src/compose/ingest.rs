//! Reads a source into a transaction: writes each file as an object and assigns each path to a
//! layer.

use super::{Compose, ComposeError};
use crate::failpoint;
use crate::fs::path::TreePath;
use crate::golang::elf::elf_machine;
use crate::golang::h1::{H1, H1Builder};
use crate::golang::toolchain::{is_executable, module_entry, module_folder};
use crate::golang::version_file::VersionFile;
use crate::layer::{GO_ENV, LayerAssignment, LayerError, Layers};
use crate::object::{FileHeader, Leaf, Overlap, Tree};
use crate::progress::{Event, Phase};
use crate::repo::Transaction;
use crate::source::{Entry, FileContent, Source};
use crate::store::{Bytes, Content, Incoming, Sink, Written, write_files, writers};
use crate::treefile::ArchTreefile;
use crate::upstream::OfficialHash;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// The file that contains the version of an SDK.
const VERSION_FILE: &str = "VERSION";

/// The program whose ELF header contains the architecture of an SDK.
const GO_COMMAND: &str = "bin/go";

/// The files that are checked as soon as they are read.
const CHECKED_FILES: &[&str] = &[VERSION_FILE, GO_ENV, GO_COMMAND];

/// An SDK whose objects have been written to the transaction.
#[derive(Debug)]
pub(super) struct Ingested {
    /// A tree for each layer, with the paths in the release, including the files that the treefile
    /// adds.
    pub(super) trees: Vec<Tree>,
    /// The number and size of new objects of each layer.
    pub(super) new: Vec<NewObjects>,
    /// The `h1:` hash of the files of the source that are in layers; `None` if Go's module form
    /// cannot contain them.
    pub(super) h1: Option<H1>,
    /// The `h1:` hash of the whole source, with the same exception.
    pub(super) source_h1: Option<H1>,
    /// The `time` line of the SDK's `VERSION`, in seconds since 1970.
    pub(super) time: Option<u64>,
    /// The text after the version in the SDK's `VERSION`.
    pub(super) vendor: Option<String>,
}

/// The number and size of file objects that the repository did not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewObjects {
    /// The number of objects.
    pub objects: u64,
    /// The size of their content in bytes.
    pub bytes: u64,
}

/// Reads a source and adds the files of the treefile. Nothing is visible before the transaction is
/// committed.
pub(super) fn ingest(
    compose: &Compose,
    transaction: &Transaction<'_>,
    release: &ArchTreefile,
    layers: &Layers<'_>,
    (source, official): (Source, Option<&OfficialHash>),
) -> Result<Ingested, ComposeError> {
    let digests = source.digests();
    let source_name = source.info.name.clone();
    let loader = Loader {
        compose,
        item: release.release_ref.as_str(),
        source_name: &source_name,
        spool_in: transaction.repo().path().join("tmp"),
        bytes: AtomicU64::new(0),
        total: source.estimated_bytes(),
    };
    let mut reader = Reader {
        loader: &loader,
        release,
        layers,
        details: SourceDetails::default(),
    };
    let written = write_files(writers(transaction, compose.threads), |sink| {
        let read = source.read(&compose.limits, &mut |entry| reader.entry(entry, sink));
        if read.is_err() && compose.progress.is_cancelled() {
            sink.abandon();
        }
        read
    })?;
    compose.progress.event(&Event::Finished {
        phase: Phase::Write,
        item: release.release_ref.as_str(),
    });
    let details = reader.details;
    let version = details.version.ok_or(ComposeError::NoVersion {
        source_name: source_name.clone(),
    })?;
    let hashes = Hashes::of(release, &written, &details.links, details.has_symlinks)?;
    hashes
        .check(release, official, &source_name)
        .inspect_err(|_| {
            // A cached download that does not match the pin must not be used by the next run. If it
            // cannot be removed, the next run fails with the same error.
            if let Some(cache) = &compose.cache {
                for sha256 in digests {
                    let _ = cache.remove(sha256);
                }
            }
        })?;

    let mut ingested = Ingested {
        trees: vec![Tree::default(); layers.len()],
        new: vec![NewObjects::default(); layers.len()],
        h1: hashes.in_layers,
        source_h1: hashes.upstream,
        time: version.time,
        vendor: version.vendor,
    };
    let by_path: HashMap<&TreePath, &Written<Tag>> =
        written.iter().map(|file| (&file.tag.path, file)).collect();
    for file in &written {
        ingested.add(layers, release, &file.tag, file)?;
    }
    for (path, link) in &details.links {
        let Some(target) = by_path.get(&link.target) else {
            continue;
        };
        let tag = Tag {
            path: path.clone(),
            assignment: link.assignment,
        };
        ingested.link(layers, release, &tag, target)?;
    }
    failpoint::hit("compose.source-read");
    add(
        compose,
        transaction,
        layers,
        details.go_env.as_deref(),
        &mut ingested,
    )?;
    Ok(ingested)
}

/// Writes the files that the treefile adds to layers.
fn add(
    compose: &Compose,
    transaction: &Transaction<'_>,
    layers: &Layers<'_>,
    go_env: Option<&[u8]>,
    ingested: &mut Ingested,
) -> Result<(), ComposeError> {
    let additions = layers.additions(go_env)?;
    let written = write_files(writers(transaction, compose.threads), |sink| {
        for addition in additions {
            sink.put(Incoming {
                tag: (addition.layer, addition.path),
                header: addition.header,
                content: Bytes::Ready(addition.content.into()),
                store: true,
            });
        }
        Ok::<_, ComposeError>(())
    })?;
    for file in written {
        let (layer, path) = &file.tag;
        ingested.insert(layers, *layer, path, &file)?;
    }
    Ok(())
}

/// A path of the source and the layer that it is assigned to.
#[derive(Debug)]
struct Tag {
    path: TreePath,
    assignment: LayerAssignment,
}

/// The details of a source that have been read so far.
#[derive(Debug, Default)]
struct SourceDetails {
    version: Option<VersionFile>,
    go_env: Option<Vec<u8>>,
    links: BTreeMap<TreePath, HardLink>,
    has_symlinks: bool,
}

/// A hard link to an earlier file.
#[derive(Debug)]
struct HardLink {
    target: TreePath,
    assignment: LayerAssignment,
}

/// Loads the content of files, on any thread.
struct Loader<'c> {
    compose: &'c Compose,
    /// The item name in progress events.
    item: &'c str,
    source_name: &'c str,
    spool_in: PathBuf,
    bytes: AtomicU64,
    /// The estimated size of all files.
    total: Option<u64>,
}

impl Loader<'_> {
    fn load(
        &self,
        path: &TreePath,
        size: u64,
        content: FileContent<'_>,
    ) -> Result<Content, ComposeError> {
        if self.compose.progress.is_cancelled() {
            return Err(ComposeError::Cancelled);
        }
        let content = content.read(|input| {
            Content::read(input, size, &self.spool_in).map_err(|source| ComposeError::Read {
                path: path.clone(),
                source_name: self.source_name.to_owned(),
                source,
            })
        })?;
        let before = self.bytes.fetch_add(content.len(), Ordering::Relaxed);
        let done = before + content.len();
        self.compose.progress.event(&Event::Advanced {
            phase: Phase::Write,
            item: self.item,
            done,
            total: self.total.map(|total| total.max(done)),
        });
        Ok(content)
    }
}

struct Reader<'c> {
    loader: &'c Loader<'c>,
    release: &'c ArchTreefile,
    layers: &'c Layers<'c>,
    details: SourceDetails,
}

impl<'c> Reader<'c> {
    fn entry(
        &mut self,
        entry: Entry<'_>,
        sink: &Sink<'c, '_, Tag, ComposeError>,
    ) -> Result<(), ComposeError> {
        if self.loader.compose.progress.is_cancelled() {
            return Err(ComposeError::Cancelled);
        }
        let (path, header, content) = match entry {
            Entry::HardLink { path, target } => {
                let assignment = self.layers.assign(&path, self.loader.source_name)?;
                self.details
                    .links
                    .insert(path, HardLink { target, assignment });
                return Ok(());
            }
            Entry::Symlink { path, target } => (path, FileHeader::Symlink { target }, None),
            Entry::File {
                path,
                size,
                content,
            } => {
                let executable = is_executable(&path);
                (
                    path,
                    FileHeader::Regular { executable },
                    Some((size, content)),
                )
            }
        };
        let assignment = self.layers.assign(&path, self.loader.source_name)?;
        let in_module = self.module_entry(&path).is_some();
        if assignment == LayerAssignment::Excluded && !in_module {
            // Excluded files are read too, because damage of the source is an error wherever it is.
            return match content {
                Some((_, content)) => content.read(|_| Ok(())),
                None => Ok(()),
            };
        }
        let content = match content {
            Some((size, content)) => self.bytes(&path, size, content)?,
            None => {
                self.details.has_symlinks |= in_module;
                Bytes::Ready(Vec::new().into())
            }
        };
        let accepted = sink.put(Incoming {
            header,
            content,
            store: assignment != LayerAssignment::Excluded,
            tag: Tag { path, assignment },
        });
        // A worker has failed, whose error will be returned instead of this one.
        if accepted {
            Ok(())
        } else {
            Err(ComposeError::Cancelled)
        }
    }

    /// Returns the content of a file, which a worker reads later if possible.
    fn bytes(
        &mut self,
        path: &TreePath,
        size: u64,
        content: FileContent<'_>,
    ) -> Result<Bytes<'c, ComposeError>, ComposeError> {
        match content {
            FileContent::Deferred(content) if !CHECKED_FILES.contains(&path.as_str()) => {
                let (loader, path) = (self.loader, path.clone());
                let read =
                    Box::new(move || loader.load(&path, size, FileContent::Deferred(content)));
                Ok(Bytes::Deferred { size, read })
            }
            content => {
                let content = self.loader.load(path, size, content)?;
                if let Content::Memory(bytes) = &content {
                    self.check_file(path, bytes)?;
                }
                Ok(Bytes::Ready(content))
            }
        }
    }

    /// Checks the files that identify the SDK as soon as they are read.
    fn check_file(&mut self, path: &TreePath, bytes: &[u8]) -> Result<(), ComposeError> {
        match path.as_str() {
            VERSION_FILE => {
                let found =
                    VersionFile::parse(bytes).map_err(|source| ComposeError::VersionFile {
                        source_name: self.loader.source_name.to_owned(),
                        source,
                    })?;
                // A site that builds Go itself may have put the variant there.
                let known = [&self.release.go_version, &self.release.version];
                if !known.contains(&&found.version) {
                    return Err(ComposeError::VersionMismatch {
                        source_name: self.loader.source_name.to_owned(),
                        found: found.version,
                        expected: self.release.go_version.clone(),
                    });
                }
                self.details.version = Some(found);
            }
            GO_ENV => self.details.go_env = Some(bytes.to_vec()),
            GO_COMMAND => {
                let expected = self.release.arch;
                let found = elf_machine(bytes);
                if found != Some(expected.elf_machine()) {
                    return Err(ComposeError::WrongArch {
                        source_name: self.loader.source_name.to_owned(),
                        found,
                        expected,
                    });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn module_entry(&self, path: &TreePath) -> Option<String> {
        let folder = module_folder(&self.release.go_version, self.release.arch);
        module_entry(&folder, path)
    }
}

/// The `h1:` hashes of a source.
struct Hashes {
    /// The hash of the whole source.
    upstream: Option<H1>,
    /// The hash of the files that are in layers.
    in_layers: Option<H1>,
}

impl Hashes {
    fn of(
        release: &ArchTreefile,
        written: &[Written<Tag>],
        links: &BTreeMap<TreePath, HardLink>,
        has_symlinks: bool,
    ) -> Result<Self, ComposeError> {
        let folder = module_folder(&release.go_version, release.arch);
        let (mut upstream, mut in_layers) = (H1Builder::new(), H1Builder::new());
        let mut add = |tag: &TreePath, assignment: LayerAssignment, sha256| {
            if let Some(name) = module_entry(&folder, tag) {
                upstream.add(&name, sha256);
                if assignment != LayerAssignment::Excluded {
                    in_layers.add(&name, sha256);
                }
            }
        };
        let mut by_path = HashMap::new();
        for file in written {
            add(&file.tag.path, file.tag.assignment, file.sha256);
            by_path.insert(&file.tag.path, file.sha256);
        }
        for (path, link) in links {
            if let Some(sha256) = by_path.get(&link.target) {
                add(path, link.assignment, *sha256);
            }
        }
        // Go's module form has no symlinks, so a tree with symlinks is not an original one.
        let finish = |builder: H1Builder| (!has_symlinks).then(|| builder.finish());
        Ok(Self {
            upstream: finish(upstream),
            in_layers: finish(in_layers),
        })
    }

    fn check(
        &self,
        release: &ArchTreefile,
        official: Option<&OfficialHash>,
        source_name: &str,
    ) -> Result<(), ComposeError> {
        if let Some(official) = official.filter(|official| self.upstream != Some(official.h1)) {
            return Err(ComposeError::NotUpstream {
                source_name: source_name.to_owned(),
                found: self.upstream,
                official: Box::new(official.clone()),
            });
        }
        match release.pin.h1 {
            Some(expected) if self.upstream != Some(expected) => Err(ComposeError::H1Mismatch {
                source_name: source_name.to_owned(),
                found: self.upstream,
                expected,
            }),
            _ => Ok(()),
        }
    }
}

impl Ingested {
    /// Adds a file of the source to its layer, below the prefix.
    fn add(
        &mut self,
        layers: &Layers<'_>,
        release: &ArchTreefile,
        tag: &Tag,
        file: &Written<Tag>,
    ) -> Result<(), ComposeError> {
        match tag.assignment {
            LayerAssignment::Layer(layer) => {
                self.insert(layers, layer, &tag.path.below(&release.prefix), file)
            }
            LayerAssignment::Excluded => Ok(()),
        }
    }

    /// Adds a hard link to its layer.
    fn link(
        &mut self,
        layers: &Layers<'_>,
        release: &ArchTreefile,
        tag: &Tag,
        target: &Written<Tag>,
    ) -> Result<(), ComposeError> {
        let executable = is_executable(&tag.path);
        if target.header != (FileHeader::Regular { executable })
            || target.tag.assignment == LayerAssignment::Excluded
        {
            return Err(ComposeError::UnusableLink {
                path: tag.path.clone(),
                target: target.tag.path.clone(),
            });
        }
        self.add(layers, release, tag, target)
    }

    fn insert<T>(
        &mut self,
        layers: &Layers<'_>,
        layer: usize,
        path: &TreePath,
        file: &Written<T>,
    ) -> Result<(), ComposeError> {
        let leaf = Leaf {
            id: file.id,
            size: file.size,
            kind: (&file.header).into(),
        };
        self.trees[layer]
            .insert(path, leaf)
            .map_err(|Overlap { path }| {
                let layer = layers.get(layer).name.clone();
                ComposeError::Layer(LayerError::Duplicate { layer, path })
            })?;
        if file.new {
            self.new[layer].objects += 1;
            self.new[layer].bytes += file.size;
        }
        Ok(())
    }
}
