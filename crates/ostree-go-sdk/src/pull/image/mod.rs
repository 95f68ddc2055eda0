//! Pulls from images, which have commits in annotations and trees in layers.
//!
//! A registry, a folder or an archive contains images, named by tags. The manifest of an image
//! contains the release's commit, its signatures and the commits of its layers, so that all checks
//! of commits are made before a layer is fetched. The layers' archives are split into objects while
//! they are received. The resulting trees must be those of the commits. Std caches are in further
//! layers, in the form of a build cache, from which their trees are restored.

mod blob;
mod documents;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod ingest;
mod labels;
mod layout;
mod manifest;
mod registry;
mod std_caches;
mod store;
mod trees;

pub use labels::{ImageLabels, image_labels};

use super::PullError;
use super::bounds;
use super::offered::OfferedRef;
use super::origin::{Fetched, FoundCommit, Missing, Origin};
use super::planned::{Cost, Download, PlannedRef};
use super::session::Session;
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::id::{CommitId, RefName};
use crate::object::{Root, Tree};
use crate::oci::format;
use crate::oci::image_source::ImageSource;
use crate::registry::is_tag;
use crate::repo::{Completeness, RepoError, Transaction};
use crate::store::StoreError;
use blob::Blob;
use documents::Documents;
use manifest::{Image, Layer};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std_caches::StdCaches;
use trees::BuiltTree;

/// The images of a source, and those of them that are pulled.
#[derive(Debug)]
pub(super) struct Images {
    session: Session,
    documents: Documents,
    /// The images that were found, by their commits.
    found: HashMap<CommitId, Box<Image>>,
    std_caches: StdCaches,
}

/// The result of fetching the trees of images.
struct FetchedLayers {
    objects: u64,
    /// The commits of layers that are new in the repository.
    commits: Vec<CommitId>,
}

impl Images {
    /// Opens an image source. Nothing is requested yet from a registry; the entries of an archive
    /// are listed.
    pub(super) fn open(session: Session, source: ImageSource) -> Result<Self, PullError> {
        let options = &session.options;
        let unsupported = [
            (!options.subpaths.is_empty(), "subpaths"),
            (options.pulls_all_refs(), "summary"),
        ];
        if let Some((_, feature)) = unsupported.into_iter().find(|(requested, _)| *requested) {
            let remote = session.label().to_owned();
            return Err(PullError::UnsupportedByImages { remote, feature });
        }
        Ok(Self {
            documents: Documents::open(&session, source)?,
            session,
            found: HashMap::new(),
            std_caches: StdCaches::default(),
        })
    }

    /// Returns the image for a ref of the remote.
    fn find(&self, name: &RefName) -> Result<Box<Image>, PullError> {
        let (arch, tag) = arch_and_tag(name)?;
        let pin = self.session.options.pins.get(name).copied();
        let images = self.documents.images(Some(tag), pin, Some(arch))?;
        let image = images.into_iter().next();
        let (_, image) = image.ok_or_else(|| self.documents.no_such_image(tag))?;
        Ok(image)
    }

    /// Returns the images, with their locations, for the other targets whose std caches are requested with
    /// a release.
    fn find_siblings(&self, name: &RefName) -> Result<Vec<(String, Box<Image>)>, PullError> {
        let options = &self.session.options;
        let Some(wanted) = options.std_caches.get(name) else {
            return Ok(Vec::new());
        };
        let (own, tag) = arch_and_tag(name)?;
        let pin = options.pins.get(name).copied();
        let targets: BTreeSet<Arch> = wanted.iter().map(|id| id.target).collect();
        let mut siblings = Vec::new();
        for target in targets.into_iter().filter(|target| *target != own) {
            match self.documents.images(Some(tag), pin, Some(target)) {
                Err(PullError::NoSuchPlatform { .. }) => {}
                found => siblings.extend(found?),
            }
        }
        Ok(siblings)
    }

    /// Records the std caches that are offered with a release.
    fn add_std_caches(&mut self, name: &RefName, image: &Image) -> Result<(), PullError> {
        self.std_caches.add(name, image);
        for (_, sibling) in self.find_siblings(name)? {
            // The tag may have moved to another version since the image was found.
            if sibling.version == image.version {
                self.std_caches.add(name, &sibling);
            }
        }
        Ok(())
    }

    /// Stores the commits of an image that is pulled.
    fn add_found(&mut self, name: RefName, image: Box<Image>) -> Result<FoundCommit, PullError> {
        self.store_commits(&image)?;
        let commit = image.commit.id;
        self.found.insert(commit, image);
        Ok(FoundCommit::new(name, commit))
    }

    /// Returns all images under the image source's tag, with their refs.
    fn find_all(&self) -> Result<Vec<(RefName, Box<Image>)>, PullError> {
        let tag = self.documents.source.location.tag();
        let arch = self.session.options.expect_arch;
        let images = self.documents.images(tag, None, arch)?.into_iter();
        let named = images.map(|(location, image)| {
            let name = image.name.clone().ok_or_else(|| {
                let problem = format!("it has no annotation `{}` with a ref", format::REF);
                self.session.monitor.refused(location, problem)
            })?;
            Ok((name, image))
        });
        named.collect()
    }

    /// Stores an image's commits in the scratch repository.
    fn store_commits(&self, image: &Image) -> Result<(), PullError> {
        let layers = image.layers.iter().map(|layer| &layer.embedded);
        for embedded in layers.chain([&image.commit]) {
            let (scratch, detached) = (&self.session.scratch, embedded.detached.as_deref());
            scratch
                .store_commit(embedded.id, &embedded.object, detached)?
                .map_err(|problem| self.refused(problem))?;
        }
        Ok(())
    }

    /// Returns the images of refs.
    fn images_of<'p>(&self, refs: impl IntoIterator<Item = &'p PlannedRef>) -> Vec<&Image> {
        let refs = refs.into_iter();
        refs.filter_map(|planned| self.found.get(&planned.info.id).map(Box::as_ref))
            .collect()
    }

    /// Fetches the trees of images, and the commits of their layers, into a transaction.
    fn fetch_trees(
        &self,
        transaction: &Transaction<'_>,
        images: &[&Image],
        total: Option<u64>,
    ) -> Result<FetchedLayers, PullError> {
        let session = &self.session;
        let mut trees = HashMap::new();
        let mut missing: Vec<&Layer> = Vec::new();
        let writer = crate::store::writer(transaction);
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
        // The session cannot be shared between threads.
        let (monitor, store) = (session.monitor.as_ref(), &self.documents.store);
        let (item, progress) = (session.progress_item(), monitor.progress.as_ref());
        let report = |bytes: u64| {
            let done = read.fetch_add(bytes, Ordering::Relaxed) + bytes;
            monitor.report(&item, done, total);
            !progress.is_cancelled()
        };
        let open = |layer: &Layer| {
            let location = store.blob_location(layer.digest);
            Ok(Blob::new(
                monitor,
                store.blob(layer)?,
                location,
                layer,
                report,
            ))
        };
        let ingested = ingest::ingest_layers(progress, transaction, &missing, &open);
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
            return Err(self.refused(problem));
        }
        for (image, merged) in images.iter().zip(built) {
            self.store_merged_tree(transaction, image, &merged)?;
        }
        let mut fetched = FetchedLayers {
            objects: ingested.objects,
            commits: Vec::new(),
        };
        let complete = Completeness::of(transaction.repo())?;
        for layer in images.iter().flat_map(|image| &image.layers) {
            let id = layer.embedded.id;
            if !fetched.commits.contains(&id) && !complete.is_complete(id)? {
                fetched.commits.push(id);
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
            self.session
                .monitor
                .refused(self.blob_location(layer), problem)
        })
    }

    /// Checks that the merged layers have the release's tree, and writes its directories.
    fn store_merged_tree(
        &self,
        transaction: &Transaction<'_>,
        image: &Image,
        merged: &BuiltTree,
    ) -> Result<(), PullError> {
        let commit = self.session.scratch.repo.commit(image.commit.id)?;
        let expected = Root {
            tree: commit.tree,
            meta: commit.meta,
        };
        trees::write(transaction, merged, expected)?.map_err(|found| {
            let (id, problem) = (image.commit.id, trees::tree_mismatch(found, expected));
            let problem = format!("the merged layers of {id}: {problem}");
            self.refused(problem)
        })
    }

    /// Returns the refs of the layers that are complete in the repository, or in `new_layers`, and
    /// their commits.
    fn layer_refs(
        &self,
        refs: &[PlannedRef],
        new_layers: &[CommitId],
    ) -> Result<Vec<(RefName, CommitId)>, PullError> {
        let complete = Completeness::of(&self.session.repo)?;
        let mut found = Vec::new();
        for layer in self
            .images_of(refs)
            .into_iter()
            .flat_map(|image| &image.layers)
        {
            let id = layer.embedded.id;
            if let Some(name) = layer.ref_name()
                && (new_layers.contains(&id) || complete.is_complete(id)?)
            {
                found.push((name, id));
            }
        }
        Ok(found)
    }

    /// Returns true if the repository has the commit of a layer, but marked as partial: an earlier
    /// pull failed after it had completed the release. A layer without a commit was deleted on
    /// purpose, and the release does not need it.
    fn has_partial_layer(&self, planned: &PlannedRef) -> Result<bool, RepoError> {
        let repo = &self.session.repo;
        for layer in self
            .images_of([planned])
            .into_iter()
            .flat_map(|image| &image.layers)
        {
            let id = layer.embedded.id;
            if repo.has_commit(id)? && repo.partial(id)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn blob_location(&self, layer: &Layer) -> String {
        self.documents.store.blob_location(layer.digest)
    }

    fn refused(&self, problem: String) -> PullError {
        self.session
            .monitor
            .refused(self.documents.source.to_string(), problem)
    }
}

impl Origin for Images {
    fn find_commits(&mut self) -> Result<Vec<FoundCommit>, PullError> {
        let options = &self.session.options;
        let images = match options.requested_image() {
            Some(_) => self.find_all()?,
            None => {
                let refs = options.refs.iter();
                refs.map(|name| Ok((name.clone(), self.find(name)?)))
                    .collect::<Result<_, PullError>>()?
            }
        };
        let mut found = Vec::new();
        for (name, image) in images {
            self.add_std_caches(&name, &image)?;
            found.push(self.add_found(name, image)?);
        }
        Ok(found)
    }

    fn existing(&self, names: &[RefName]) -> Result<Vec<RefName>, PullError> {
        let names = names.iter().filter(|name| self.std_caches.contains(name));
        Ok(names.cloned().collect())
    }

    fn find_more(&mut self, names: &[RefName]) -> Result<Vec<FoundCommit>, PullError> {
        let mut found = Vec::new();
        for name in names {
            if let Some(image) = self.std_caches.image(name) {
                found.push(self.add_found(name.clone(), image)?);
            }
        }
        Ok(found)
    }

    fn offered(&self) -> Result<Vec<OfferedRef>, PullError> {
        let mut tags = self.documents.tags()?;
        tags.sort();
        tags.dedup();
        tags.retain(|tag| !format::is_referrers_tag(tag));
        let names = tags.iter().filter_map(|tag| tag.parse().ok());
        Ok(names.map(OfferedRef::named).collect())
    }

    fn download(
        &self,
        commit: &CommitInfo,
        complete: &Completeness<'_>,
    ) -> Result<Download, PullError> {
        let image = self.found.get(&commit.id).map(Box::as_ref);
        let (bytes, unpacked) = missing_bytes(image.as_slice(), complete)?;
        // An archive has a header and padding for each file, so that small files need more than
        // their size.
        let size = commit.bytes.map(|size| size.saturating_add(size / 2));
        let allowed = bounds::max_unpacked(size);
        if unpacked > allowed {
            let problem = format!(
                "its layers have {unpacked} bytes unpacked, but commit {} allows {allowed}",
                commit.id
            );
            let session = &self.session;
            return Err(session.monitor.unsafe_content(session.url(), problem));
        }
        Ok(Download::Layers { bytes, unpacked })
    }

    fn cost(&self, refs: &[&PlannedRef], complete: &Completeness<'_>) -> Result<Cost, RepoError> {
        let images = self.images_of(refs.iter().copied());
        let (bytes, unpacked) = missing_bytes(&images, complete)?;
        Ok(Cost {
            bytes,
            is_known: true,
            unpacked,
        })
    }

    fn fetch(
        &self,
        transaction: &Transaction<'_>,
        missing: &Missing<'_>,
    ) -> Result<Fetched, PullError> {
        let session = &self.session;
        if session.options.commit_metadata_only {
            session.copy_commits(transaction, &missing.commits)?;
            return Ok(Fetched::default());
        }
        let mut wanted = Vec::new();
        for planned in missing.refs {
            if missing.commits.contains(&planned.info.id) || self.has_partial_layer(planned)? {
                wanted.push(planned);
            }
        }
        let fetched = self.fetch_trees(transaction, &self.images_of(wanted), missing.total)?;
        // Layers come before releases, so that a release never exists without its layers. A std cache is
        // both a layer and the commit of a ref.
        let mut commits = fetched.commits;
        let others = missing.commits.iter().filter(|id| !commits.contains(id));
        let others: Vec<CommitId> = others.copied().collect();
        commits.extend(others);
        session.copy_commits(transaction, &commits)?;
        Ok(Fetched {
            objects: fetched.objects,
            used_delta: false,
            // Includes layers that were complete before: a pull that was killed may have stored
            // them without refs.
            layers: self.layer_refs(missing.refs, &commits)?,
        })
    }
}

/// Returns the compressed and the uncompressed size in bytes of the layers that are missing in
/// the repository. A layer that several images share counts once.
fn missing_bytes(images: &[&Image], complete: &Completeness<'_>) -> Result<(u64, u64), RepoError> {
    let mut seen = HashSet::new();
    let mut sum = (0, 0);
    for layer in images.iter().flat_map(|image| &image.layers) {
        let id = layer.embedded.id;
        if seen.insert(id) && !complete.is_complete(id)? {
            sum = (sum.0 + layer.size, sum.1 + layer.unpacked);
        }
    }
    Ok(sum)
}

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
