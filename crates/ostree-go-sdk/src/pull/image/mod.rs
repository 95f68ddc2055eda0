//! Pulls from images, which have commits in annotations and trees in layers.
//!
//! A registry, a folder or an archive contains images, named by tags. The manifest of an image
//! contains the release's commit, its signatures and the commits of its layers, so that all checks
//! of commits are made before a layer is fetched. The layers' archives are split into objects while
//! they are received. The resulting trees must be those of the commits.

mod blob;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod ingest;
mod layout;
mod manifest;
mod registry;
mod trees;

pub(super) use self::manifest::Image;

use self::manifest::{Descriptor, Document, DocumentProblem, Layer, Platform};
use super::commits::{self, FoundCommit};
use super::fetchers::Meter;
use super::{Pull, PullError};
use crate::arch::Arch;
use crate::id::{CommitId, RefName, Sha256};
use crate::object::{Root, Tree};
use crate::oci::image_source::ImageSource;
use crate::oci::{ImageLocation, format};
use crate::progress::{Event, Phase};
use crate::registry::{RegistryAuth, is_tag};
use crate::remote::Remote;
use crate::repo::{Completeness, Repo, RepoError, Transaction};
use crate::store::{self, StoreError};
use blob::{Blob, Input};
use layout::Layout;
use registry::Registry;
use sha2::Digest;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use trees::BuiltTree;

/// The images of a remote.
#[derive(Debug)]
pub(super) struct Images {
    source: ImageSource,
    store: Store,
    remote: String,
    pub(super) meter: Arc<Meter>,
}

#[derive(Debug)]
enum Store {
    Layout(Layout),
    Registry(Registry),
}

/// The result of fetching images.
pub(super) struct Fetched {
    pub(super) objects: u64,
    /// The commits of layers that are new in the repository.
    pub(super) layers: Vec<CommitId>,
}

impl Images {
    /// Opens an image source. Nothing is requested yet from a registry; the entries of an archive
    /// are listed.
    pub(super) fn open(
        pull: &Pull,
        repo: &Repo,
        remote: &Remote,
        source: ImageSource,
    ) -> Result<Self, PullError> {
        let meter = Arc::new(Meter::new(pull.max_bytes));
        let store = match &source.location {
            ImageLocation::Layout { path, .. } => Store::Layout(Layout::folder(path)),
            ImageLocation::Archive { path, .. } => Store::Layout(Layout::archive(path)?),
            ImageLocation::Registry(image) => {
                let auth = match &source.auth {
                    RegistryAuth::Anonymous => pull.auth.clone(),
                    source_auth => source_auth.clone(),
                };
                let http = super::server::http_client(pull, repo, remote)?;
                let client = crate::registry::Registry::new(image, source.is_encrypted, http, auth);
                let labels = (&*remote.name, source.to_string());
                Store::Registry(Registry::new(pull, client, labels, &meter))
            }
        };
        Ok(Self {
            source,
            store,
            remote: remote.name.clone(),
            meter,
        })
    }

    /// Returns the image for a ref, after storing its commits in the scratch repository.
    pub(super) fn find(
        &self,
        pull: &Pull,
        name: &RefName,
        scratch: &Repo,
    ) -> Result<FoundCommit, PullError> {
        let (arch, tag) = arch_and_tag(name)?;
        let (location, document) = self.resolve(pull, Some(tag), pull.pins.get(name).copied())?;
        let images = self.read_images(pull, location, document, Some(arch))?;
        let image = images.into_iter().next();
        let (_, image) = image.ok_or_else(|| self.no_such_image(tag))?;
        self.store_commits(image, scratch)
    }

    /// Returns all images under the image source's tag, with their refs.
    pub(super) fn find_all(
        &self,
        pull: &Pull,
        scratch: &Repo,
    ) -> Result<Vec<(RefName, FoundCommit)>, PullError> {
        let (location, document) = self.resolve(pull, self.source.location.tag(), None)?;
        let images = self.read_images(pull, location, document, pull.expect_arch)?;
        let named = images.into_iter().map(|(location, image)| {
            let name = image.name.clone().ok_or_else(|| {
                let problem = format!("it has no annotation `{}` with a ref", format::REF);
                self.refused(location, problem)
            })?;
            Ok((name, self.store_commits(image, scratch)?))
        });
        named.collect()
    }

    /// Stores an image's commits in the scratch repository.
    fn store_commits(&self, image: Box<Image>, scratch: &Repo) -> Result<FoundCommit, PullError> {
        let layers = image.layers.iter().map(|layer| &layer.embedded);
        for embedded in layers.chain([&image.commit]) {
            let detached = embedded.detached.as_deref();
            commits::store_commit(scratch, embedded.id, &embedded.object, detached)?
                .map_err(|problem| self.refused(self.source.to_string(), problem))?;
        }
        let mut found = FoundCommit::new(image.commit.id);
        found.image = Some(image);
        Ok(found)
    }

    /// Returns the document that a tag or a digest names, and its location for errors.
    fn resolve(
        &self,
        pull: &Pull,
        tag: Option<&str>,
        pin: Option<Sha256>,
    ) -> Result<(String, Document), PullError> {
        let source_digest = self.source.digest().and_then(format::parse_digest);
        let pin = match (pin, source_digest) {
            (Some(one), Some(other)) if one != other => {
                let (one, other) = (format::digest(one), format::digest(other));
                let problem = format!("{one} is requested, but the image source only has {other}");
                return Err(self.refused(self.source.to_string(), problem));
            }
            (one, other) => one.or(other),
        };
        if let Some(pin) = pin {
            return self.read_document(pull, pin, None);
        }
        match &self.store {
            Store::Registry(registry) => {
                let tag = tag.unwrap_or("latest");
                let bytes = registry.manifest(pull, tag)?;
                let bytes = bytes.ok_or_else(|| self.no_such_image(tag))?;
                let location = registry.manifest_location(tag);
                let document = self.parse_document(&location, &bytes)?;
                Ok((location, document))
            }
            Store::Layout(layout) => {
                let location = layout.location(INDEX);
                let entries = match self.parse_document(&location, &layout.read(INDEX)?)? {
                    Document::Index(entries) => entries,
                    Document::Image(_) => {
                        let problem = "it is not an index".to_owned();
                        return Err(self.refused(location, problem));
                    }
                };
                let found = self.select_entry(&entries, tag)?;
                let digest = found.sha256();
                let digest = digest.map_err(|problem| self.refused(location, problem))?;
                self.read_document(pull, digest, Some(found.size))
            }
        }
    }

    /// Returns the entry of a layout with the given tag, or the only entry.
    fn select_entry<'d>(
        &self,
        entries: &'d [Descriptor],
        tag: Option<&str>,
    ) -> Result<&'d Descriptor, PullError> {
        let tags = || {
            entries
                .iter()
                .filter_map(Descriptor::tag)
                .map(str::to_owned)
        };
        match (tag, entries) {
            (Some(tag), _) => {
                let found = entries.iter().find(|entry| entry.tag() == Some(tag));
                found.ok_or_else(|| PullError::NoSuchImage {
                    tag: tag.to_owned(),
                    url: self.source.to_string(),
                    found: tags().collect(),
                })
            }
            (None, [only]) => Ok(only),
            (None, _) => Err(PullError::SeveralImages {
                url: self.source.to_string(),
                found: tags().collect(),
            }),
        }
    }

    /// Reads the document with a digest, and checks its digest and size.
    fn read_document(
        &self,
        pull: &Pull,
        digest: Sha256,
        size: Option<u64>,
    ) -> Result<(String, Document), PullError> {
        let name = format::digest(digest);
        let (location, bytes) = match &self.store {
            Store::Registry(registry) => {
                let bytes = registry.manifest(pull, &name)?;
                let bytes = bytes.ok_or_else(|| self.no_such_image(&name))?;
                (registry.manifest_location(&name), bytes)
            }
            Store::Layout(layout) => {
                let file = Layout::blob(digest);
                (layout.location(&file), layout.read(&file)?)
            }
        };
        let found = Sha256(sha2::Sha256::digest(&bytes).into());
        let length = bytes.len() as u64;
        if found != digest || size.is_some_and(|size| size != length) {
            let problem = match found == digest {
                false => format!("it has the SHA-256 {found}, expected {digest}"),
                true => format!("it has {length} bytes, expected {}", size.unwrap_or(0)),
            };
            return Err(self.refused(location, problem));
        }
        let document = self.parse_document(&location, &bytes)?;
        Ok((location, document))
    }

    fn parse_document(&self, location: &str, bytes: &[u8]) -> Result<Document, PullError> {
        Document::parse(bytes).map_err(|problem| match problem {
            DocumentProblem::Encapsulated => PullError::Encapsulated {
                url: location.to_owned(),
            },
            DocumentProblem::Invalid(problem) => self.refused(location.to_owned(), problem),
        })
    }

    /// Returns the images that a document refers to: all, or the one for an architecture.
    fn read_images(
        &self,
        pull: &Pull,
        location: String,
        document: Document,
        arch: Option<Arch>,
    ) -> Result<Vec<(String, Box<Image>)>, PullError> {
        let entries = match document {
            Document::Image(image) => return Ok(vec![(location, image)]),
            Document::Index(entries) => entries,
        };
        let wanted = arch.map(Platform::of);
        let is_wanted = |entry: &&Descriptor| {
            let platform = entry.platform.as_ref();
            wanted.is_none() || platform == wanted.as_ref()
        };
        let count = entries.iter().filter(is_wanted).count();
        if count > MAX_IMAGES {
            let problem = format!("it has {count} matching images, at most {MAX_IMAGES} are read");
            return Err(PullError::Unsafe {
                remote: self.remote.clone(),
                url: location,
                problem,
            });
        }
        let mut images = Vec::new();
        for entry in entries.iter().filter(is_wanted) {
            let digest = entry.sha256();
            let digest = digest.map_err(|problem| self.refused(location.clone(), problem))?;
            match self.read_document(pull, digest, Some(entry.size))? {
                (location, Document::Image(image)) => images.push((location, image)),
                (location, Document::Index(_)) => {
                    let problem = "it is an index, expected an image".to_owned();
                    return Err(self.refused(location, problem));
                }
            }
        }
        if images.is_empty() {
            let platforms = entries.iter().filter_map(|entry| entry.platform.as_ref());
            return Err(PullError::NoSuchPlatform {
                url: location,
                expected: wanted.map_or_else(|| "any platform".to_owned(), |w| w.to_string()),
                found: platforms.map(ToString::to_string).collect(),
            });
        }
        Ok(images)
    }

    /// Returns the refs of the layers that are complete in the repository, or in `new_layers`, and
    /// their commits.
    pub(super) fn layer_refs(
        repo: &Repo,
        images: &[&Image],
        new_layers: &[CommitId],
    ) -> Result<Vec<(RefName, CommitId)>, PullError> {
        let complete = Completeness::of(repo)?;
        let mut refs = Vec::new();
        for layer in images.iter().flat_map(|image| &image.layers) {
            let id = layer.embedded.id;
            if let Some(name) = layer.ref_name()
                && (new_layers.contains(&id) || complete.is_complete(id)?)
            {
                refs.push((name, id));
            }
        }
        Ok(refs)
    }

    /// Returns the compressed and the uncompressed size in bytes of the layers that are missing in
    /// the repository. A layer that several images share counts once.
    pub(super) fn missing_bytes<'i>(
        complete: &Completeness<'_>,
        images: impl IntoIterator<Item = &'i Image>,
    ) -> Result<(u64, u64), RepoError> {
        let mut seen = HashSet::new();
        let mut sum = (0, 0);
        for layer in images.into_iter().flat_map(|image| &image.layers) {
            let id = layer.embedded.id;
            if seen.insert(id) && !complete.is_complete(id)? {
                sum = (sum.0 + layer.size, sum.1 + layer.unpacked);
            }
        }
        Ok(sum)
    }

    /// Fetches the trees of images, and the commits of their layers, into a transaction.
    pub(super) fn fetch(
        &self,
        pull: &Pull,
        transaction: &Transaction<'_>,
        scratch: &Repo,
        images: &[&Image],
        (item, total): (&str, Option<u64>),
    ) -> Result<Fetched, PullError> {
        let mut trees = HashMap::new();
        let mut missing: Vec<&Layer> = Vec::new();
        let writer = store::writer(transaction);
        for layer in images.iter().flat_map(|image| &image.layers) {
            let id = layer.embedded.id;
            if trees.contains_key(&id) || missing.iter().any(|other| other.embedded.id == id) {
                continue;
            }
            let stored = trees::load_stored(transaction, writer.as_ref(), expected_root(layer));
            match stored.map_err(store_error)? {
                Some(tree) => {
                    trees.insert(id, tree);
                }
                None => missing.push(layer),
            }
        }
        let read = AtomicU64::new(0);
        let report = |bytes: u64| {
            let done = read.fetch_add(bytes, Ordering::Relaxed) + bytes;
            pull.progress.event(&Event::Advanced {
                phase: Phase::Pull,
                item,
                done,
                total: total.map(|total| total.max(done)),
            });
            !pull.progress.is_cancelled()
        };
        let open = |layer: &Layer| self.open_layer(pull, layer, &report);
        let ingested = ingest::ingest_layers(pull.progress.as_ref(), transaction, &missing, &open);
        let mut received = Vec::new();
        for (layer, tree) in missing.iter().zip(ingested.trees) {
            if let Some(tree) = tree {
                trees.insert(layer.embedded.id, tree);
                received.push(*layer);
            }
        }
        let merged_trees: Result<Vec<Tree>, String> = match ingested.failed {
            None => images
                .iter()
                .map(|i| trees::merge_layers(i, &trees))
                .collect(),
            Some(_) => Ok(Vec::new()),
        };
        let all: Vec<&Tree> = received
            .iter()
            .map(|layer| &trees[&layer.embedded.id])
            .chain(merged_trees.iter().flatten())
            .collect();
        let mut built = trees::build_all(&all).into_iter();
        // Complete layers are kept even if others failed.
        for (layer, built) in received.iter().zip(&mut built) {
            self.store_layer_tree(transaction, layer, &built)?;
        }
        if let Some(error) = ingested.failed {
            return Err(error);
        }
        if let Err(problem) = merged_trees {
            return Err(self.refused(self.source.to_string(), problem));
        }
        for (image, merged) in images.iter().zip(built) {
            self.store_merged_tree(transaction, scratch, image, &merged)?;
        }
        let mut fetched = Fetched {
            objects: ingested.objects,
            layers: Vec::new(),
        };
        let complete = Completeness::of(transaction.repo())?;
        for layer in images.iter().flat_map(|image| &image.layers) {
            let id = layer.embedded.id;
            if !fetched.layers.contains(&id) && !complete.is_complete(id)? {
                fetched.layers.push(id);
            }
        }
        Ok(fetched)
    }

    /// Checks a layer's tree against its commit, and writes its directories.
    fn store_layer_tree(
        &self,
        transaction: &Transaction<'_>,
        layer: &Layer,
        built: &BuiltTree,
    ) -> Result<(), PullError> {
        let expected = expected_root(layer);
        trees::write(transaction, built, expected)?.map_err(|found| {
            let problem = trees::tree_mismatch(found, expected);
            let problem = format!("layer `{}`: {problem}", layer.name);
            self.refused(self.blob_location(layer.digest), problem)
        })
    }

    /// Checks that the merged layers have the release's tree, and writes its directories.
    fn store_merged_tree(
        &self,
        transaction: &Transaction<'_>,
        scratch: &Repo,
        image: &Image,
        merged: &BuiltTree,
    ) -> Result<(), PullError> {
        let commit = scratch.commit(image.commit.id)?;
        let expected = Root {
            tree: commit.tree,
            meta: commit.meta,
        };
        trees::write(transaction, merged, expected)?.map_err(|found| {
            let (id, problem) = (image.commit.id, trees::tree_mismatch(found, expected));
            let problem = format!("the merged layers of {id}: {problem}");
            self.refused(self.source.to_string(), problem)
        })
    }

    /// Opens a layer for reading.
    fn open_layer<'a>(
        &'a self,
        pull: &Pull,
        layer: &Layer,
        report: &'a (dyn Fn(u64) -> bool + Sync),
    ) -> Result<Blob<'a>, PullError> {
        let input = match &self.store {
            Store::Layout(layout) => Input::File(layout.open(&Layout::blob(layer.digest))?),
            Store::Registry(registry) => {
                Input::Stream(registry.blob(pull, layer.digest, layer.size)?)
            }
        };
        let location = self.blob_location(layer.digest);
        Ok(Blob::new(input, (&self.remote, location), layer, report))
    }

    fn blob_location(&self, digest: Sha256) -> String {
        match &self.store {
            Store::Layout(layout) => layout.location(&Layout::blob(digest)),
            Store::Registry(registry) => registry.blob_location(digest),
        }
    }

    fn no_such_image(&self, tag: &str) -> PullError {
        PullError::NoSuchImage {
            tag: tag.to_owned(),
            url: self.source.to_string(),
            found: Vec::new(),
        }
    }

    fn refused(&self, location: String, problem: String) -> PullError {
        PullError::Refused {
            remote: self.remote.clone(),
            url: location,
            problem,
        }
    }
}

/// Maximum number of images that are read from an index. Each one is kept in memory.
const MAX_IMAGES: usize = 16;
/// The name of a layout's index.
const INDEX: &str = "index.json";

/// Returns the architecture and the tag of a ref: `go-sdk/x86_64/1.26` is tag `1.26` for
/// `linux/amd64`.
fn arch_and_tag(name: &RefName) -> Result<(Arch, &str), PullError> {
    let mut parts = name.as_str().rsplit('/');
    let (tag, arch, prefix) = (parts.next(), parts.next(), parts.next());
    let arch = arch.and_then(|arch| arch.parse::<Arch>().ok().filter(|a| a.basearch() == arch));
    match (tag.filter(|tag| is_tag(tag)), arch, prefix) {
        (Some(tag), Some(arch), Some(_)) => Ok((arch, tag)),
        _ => Err(PullError::NoImageRef { name: name.clone() }),
    }
}

fn expected_root(layer: &Layer) -> Root {
    Root {
        tree: layer.commit.tree,
        meta: layer.commit.meta,
    }
}

fn store_error(error: StoreError) -> PullError {
    match error {
        StoreError::Repo(error) => error.into(),
        error => PullError::Store(error),
    }
}
