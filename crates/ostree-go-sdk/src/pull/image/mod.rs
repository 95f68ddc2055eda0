//! Images: commits in annotations, trees in layers.
//!
//! A registry, a folder or an archive has images by tags. The manifest of one has the release's
//! commit, its signatures and the layers' commits, so that everything that is checked of a
//! commit is checked before a layer comes. The layers' archives are cut into objects as they
//! come; the trees that they make must be those of the commits.

mod blob;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod land;
mod layout;
mod manifest;
mod registry;
mod trees;

pub(super) use self::manifest::Image;

use self::manifest::{Descriptor, Document, Layer, Platform, Problem};
use super::commits::{self, Found};
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
use trees::Made;

/// The images of a remote.
#[derive(Debug)]
pub(super) struct Images {
    place: ImageSource,
    store: Store,
    remote: String,
    pub(super) meter: Arc<Meter>,
}

#[derive(Debug)]
enum Store {
    Layout(Layout),
    Registry(Registry),
}

/// What has come of images.
pub(super) struct Fetched {
    pub(super) objects: u64,
    /// The commits of layers that are new in the repository.
    pub(super) layers: Vec<CommitId>,
}

impl Images {
    /// Those at a place.
    pub(super) fn at(
        pull: &Pull,
        repo: &Repo,
        remote: &Remote,
        place: ImageSource,
    ) -> Result<Self, PullError> {
        let meter = Arc::new(Meter::new(pull.max_bytes));
        let store = match &place.location {
            ImageLocation::Layout { path, .. } => Store::Layout(Layout::folder(path)),
            ImageLocation::Archive { path, .. } => Store::Layout(Layout::archive(path)?),
            ImageLocation::Registry(image) => {
                let auth = match &place.auth {
                    RegistryAuth::Anonymous => pull.auth.clone(),
                    own => own.clone(),
                };
                let http = super::server::client(pull, repo, remote)?;
                let client = crate::registry::Registry::at(image, place.is_encrypted, http, auth);
                let called = (&*remote.name, place.to_string());
                Store::Registry(Registry::new(pull, client, called, &meter))
            }
        };
        Ok(Self {
            place,
            store,
            remote: remote.name.clone(),
            meter,
        })
    }

    /// The image on a ref, with its commit in the scratch repository.
    pub(super) fn find(
        &self,
        pull: &Pull,
        name: &RefName,
        scratch: &Repo,
    ) -> Result<Found, PullError> {
        let (arch, tag) = tag_of(name)?;
        let (place, document) = self.top(pull, Some(tag), pull.pins.get(name).copied())?;
        let images = self.images(pull, place, document, Some(arch))?;
        let image = images.into_iter().next();
        let (_, image) = image.ok_or_else(|| self.no_such(tag))?;
        self.found(image, scratch)
    }

    /// Every image under the place's tag, with its ref.
    pub(super) fn all(
        &self,
        pull: &Pull,
        scratch: &Repo,
    ) -> Result<Vec<(RefName, Found)>, PullError> {
        let (place, document) = self.top(pull, self.place.location.tag(), None)?;
        let images = self.images(pull, place, document, pull.expect_arch)?;
        let named = images.into_iter().map(|(place, image)| {
            let name = image.name.clone().ok_or_else(|| {
                let problem = format!("it has no annotation `{}` with a ref", format::REF);
                self.refused(place, problem)
            })?;
            Ok((name, self.found(image, scratch)?))
        });
        named.collect()
    }

    /// Puts an image's commits into the scratch repository.
    fn found(&self, image: Box<Image>, scratch: &Repo) -> Result<Found, PullError> {
        let layers = image.layers.iter().map(|layer| &layer.packed);
        for packed in layers.chain([&image.commit]) {
            let detached = packed.detached.as_deref();
            commits::put(scratch, packed.id, &packed.object, detached)?
                .map_err(|problem| self.refused(self.place.to_string(), problem))?;
        }
        let mut found = Found::commit(image.commit.id);
        found.image = Some(image);
        Ok(found)
    }

    /// The document that a tag, or a digest, names, and what errors call it.
    fn top(
        &self,
        pull: &Pull,
        tag: Option<&str>,
        pin: Option<Sha256>,
    ) -> Result<(String, Document), PullError> {
        let own = self.place.digest().and_then(format::parse_digest);
        let pin = match (pin, own) {
            (Some(one), Some(other)) if one != other => {
                let (one, other) = (format::digest(one), format::digest(other));
                let problem = format!("{one} is asked for, and the remote has {other} only");
                return Err(self.refused(self.place.to_string(), problem));
            }
            (one, other) => one.or(other),
        };
        if let Some(pin) = pin {
            return self.document(pull, pin, None);
        }
        match &self.store {
            Store::Registry(registry) => {
                let tag = tag.unwrap_or("latest");
                let bytes = registry.manifest(pull, tag)?;
                let bytes = bytes.ok_or_else(|| self.no_such(tag))?;
                let place = registry.manifest_place(tag);
                let document = self.parsed(&place, &bytes)?;
                Ok((place, document))
            }
            Store::Layout(layout) => {
                let place = layout.place(INDEX);
                let listed = match self.parsed(&place, &layout.read(INDEX)?)? {
                    Document::Index(listed) => listed,
                    Document::Image(_) => {
                        let problem = "it is no index".to_owned();
                        return Err(self.refused(place, problem));
                    }
                };
                let found = self.listed(&listed, tag)?;
                let digest = found.sha256();
                let digest = digest.map_err(|problem| self.refused(place, problem))?;
                self.document(pull, digest, Some(found.size))
            }
        }
    }

    /// The entry of a layout that a tag names, or the only one.
    fn listed<'d>(
        &self,
        listed: &'d [Descriptor],
        tag: Option<&str>,
    ) -> Result<&'d Descriptor, PullError> {
        let tags = || listed.iter().filter_map(Descriptor::tag).map(str::to_owned);
        match (tag, listed) {
            (Some(tag), _) => {
                let found = listed.iter().find(|entry| entry.tag() == Some(tag));
                found.ok_or_else(|| PullError::NoSuchImage {
                    tag: tag.to_owned(),
                    url: self.place.to_string(),
                    found: tags().collect(),
                })
            }
            (None, [only]) => Ok(only),
            (None, _) => Err(PullError::SeveralImages {
                url: self.place.to_string(),
                found: tags().collect(),
            }),
        }
    }

    /// The document with a digest.
    fn document(
        &self,
        pull: &Pull,
        digest: Sha256,
        size: Option<u64>,
    ) -> Result<(String, Document), PullError> {
        let name = format::digest(digest);
        let (place, bytes) = match &self.store {
            Store::Registry(registry) => {
                let bytes = registry.manifest(pull, &name)?;
                let bytes = bytes.ok_or_else(|| self.no_such(&name))?;
                (registry.manifest_place(&name), bytes)
            }
            Store::Layout(layout) => {
                let file = Layout::blob(digest);
                (layout.place(&file), layout.read(&file)?)
            }
        };
        let found = Sha256(sha2::Sha256::digest(&bytes).into());
        let length = bytes.len() as u64;
        if found != digest || size.is_some_and(|size| size != length) {
            let problem = match found == digest {
                false => format!("it has the SHA-256 {found}, expected {digest}"),
                true => format!("it has {length} bytes, expected {}", size.unwrap_or(0)),
            };
            return Err(self.refused(place, problem));
        }
        let document = self.parsed(&place, &bytes)?;
        Ok((place, document))
    }

    fn parsed(&self, place: &str, bytes: &[u8]) -> Result<Document, PullError> {
        Document::parse(bytes).map_err(|problem| match problem {
            Problem::Encapsulated => PullError::Encapsulated {
                url: place.to_owned(),
            },
            Problem::Invalid(problem) => self.refused(place.to_owned(), problem),
        })
    }

    /// The images that a document leads to: all, or that of an architecture.
    fn images(
        &self,
        pull: &Pull,
        place: String,
        document: Document,
        arch: Option<Arch>,
    ) -> Result<Vec<(String, Box<Image>)>, PullError> {
        let listed = match document {
            Document::Image(image) => return Ok(vec![(place, image)]),
            Document::Index(listed) => listed,
        };
        let wanted = arch.map(Platform::of);
        let is_wanted = |entry: &&Descriptor| {
            let platform = entry.platform.as_ref();
            wanted.is_none() || platform == wanted.as_ref()
        };
        let count = listed.iter().filter(is_wanted).count();
        if count > IMAGES {
            let problem =
                format!("it has {count} images for the machine, at most {IMAGES} are read");
            return Err(PullError::Unsafe {
                remote: self.remote.clone(),
                url: place,
                problem,
            });
        }
        let mut images = Vec::new();
        for entry in listed.iter().filter(is_wanted) {
            let digest = entry.sha256();
            let digest = digest.map_err(|problem| self.refused(place.clone(), problem))?;
            match self.document(pull, digest, Some(entry.size))? {
                (place, Document::Image(image)) => images.push((place, image)),
                (place, Document::Index(_)) => {
                    let problem = "it is an index, expected an image".to_owned();
                    return Err(self.refused(place, problem));
                }
            }
        }
        if images.is_empty() {
            let platforms = listed.iter().filter_map(|entry| entry.platform.as_ref());
            return Err(PullError::NoSuchPlatform {
                url: place,
                expected: wanted.map_or_else(|| "any machine".to_owned(), |w| w.to_string()),
                found: platforms.map(ToString::to_string).collect(),
            });
        }
        Ok(images)
    }

    /// The refs of the layers that are here whole, or have `come` now, and what they name.
    pub(super) fn layer_refs(
        repo: &Repo,
        images: &[&Image],
        come: &[CommitId],
    ) -> Result<Vec<(RefName, CommitId)>, PullError> {
        let complete = Completeness::of(repo)?;
        let mut refs = Vec::new();
        for layer in images.iter().flat_map(|image| &image.layers) {
            let id = layer.packed.id;
            if let Some(name) = layer.ref_name()
                && (come.contains(&id) || complete.is_complete(id)?)
            {
                refs.push((name, id));
            }
        }
        Ok(refs)
    }

    /// Bytes that the layers take which the repository does not have: as they come, and as they
    /// become. A layer that several images have counts once.
    pub(super) fn missing<'i>(
        complete: &Completeness<'_>,
        images: impl IntoIterator<Item = &'i Image>,
    ) -> Result<(u64, u64), RepoError> {
        let mut seen = HashSet::new();
        let mut sum = (0, 0);
        for layer in images.into_iter().flat_map(|image| &image.layers) {
            let id = layer.packed.id;
            if seen.insert(id) && !complete.is_complete(id)? {
                sum = (sum.0 + layer.size, sum.1 + layer.unpacked);
            }
        }
        Ok(sum)
    }

    /// Brings the trees of images, and the commits of their layers, into a transaction.
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
        let looker = store::writer(transaction);
        for layer in images.iter().flat_map(|image| &image.layers) {
            let id = layer.packed.id;
            if trees.contains_key(&id) || missing.iter().any(|other| other.packed.id == id) {
                continue;
            }
            let stored = trees::stored(transaction, looker.as_ref(), root_of(layer));
            match stored.map_err(of_store)? {
                Some(tree) => {
                    trees.insert(id, tree);
                }
                None => missing.push(layer),
            }
        }
        let read = AtomicU64::new(0);
        let tell = |bytes: u64| {
            let done = read.fetch_add(bytes, Ordering::Relaxed) + bytes;
            pull.progress.event(&Event::Advanced {
                phase: Phase::Pull,
                item,
                done,
                total: total.map(|total| total.max(done)),
            });
            !pull.progress.is_cancelled()
        };
        let open = |layer: &Layer| self.open(pull, layer, &tell);
        let landing = land::land(pull.progress.as_ref(), transaction, &missing, &open);
        let mut come = Vec::new();
        for (layer, tree) in missing.iter().zip(landing.trees) {
            if let Some(tree) = tree {
                trees.insert(layer.packed.id, tree);
                come.push(*layer);
            }
        }
        let unions: Result<Vec<Tree>, String> = match landing.failed {
            None => images.iter().map(|i| trees::union(i, &trees)).collect(),
            Some(_) => Ok(Vec::new()),
        };
        let all: Vec<&Tree> = come
            .iter()
            .map(|layer| &trees[&layer.packed.id])
            .chain(unions.iter().flatten())
            .collect();
        let mut made = trees::made(&all).into_iter();
        // What came whole is kept, whatever befell the others.
        for (layer, made) in come.iter().zip(&mut made) {
            self.settle(transaction, layer, &made)?;
        }
        if let Some(error) = landing.failed {
            return Err(error);
        }
        if let Err(problem) = unions {
            return Err(self.refused(self.place.to_string(), problem));
        }
        for (image, union) in images.iter().zip(made) {
            self.unite(transaction, scratch, image, &union)?;
        }
        let mut fetched = Fetched {
            objects: landing.objects,
            layers: Vec::new(),
        };
        let complete = Completeness::of(transaction.repo())?;
        for layer in images.iter().flat_map(|image| &image.layers) {
            let id = layer.packed.id;
            if !fetched.layers.contains(&id) && !complete.is_complete(id)? {
                fetched.layers.push(id);
            }
        }
        Ok(fetched)
    }

    /// Checks a layer's tree against its commit, and writes its directories.
    fn settle(
        &self,
        transaction: &Transaction<'_>,
        layer: &Layer,
        made: &Made,
    ) -> Result<(), PullError> {
        let expected = root_of(layer);
        trees::write(transaction, made, expected)?.map_err(|found| {
            let problem = trees::differs(found, expected);
            let problem = format!("layer `{}`: {problem}", layer.name);
            self.refused(self.blob_place(layer.digest), problem)
        })
    }

    /// Checks that the layers make the release's tree, and writes its directories.
    fn unite(
        &self,
        transaction: &Transaction<'_>,
        scratch: &Repo,
        image: &Image,
        union: &Made,
    ) -> Result<(), PullError> {
        let commit = scratch.commit(image.commit.id)?;
        let expected = Root {
            tree: commit.tree,
            meta: commit.meta,
        };
        trees::write(transaction, union, expected)?.map_err(|found| {
            let (id, problem) = (image.commit.id, trees::differs(found, expected));
            let problem = format!("the union of the layers of {id}: {problem}");
            self.refused(self.place.to_string(), problem)
        })
    }

    /// Begins to read a layer.
    fn open<'a>(
        &'a self,
        pull: &Pull,
        layer: &Layer,
        tell: &'a (dyn Fn(u64) -> bool + Sync),
    ) -> Result<Blob<'a>, PullError> {
        let input = match &self.store {
            Store::Layout(layout) => Input::File(layout.open(&Layout::blob(layer.digest))?),
            Store::Registry(registry) => {
                Input::Arriving(registry.blob(pull, layer.digest, layer.size)?)
            }
        };
        let place = self.blob_place(layer.digest);
        Ok(Blob::new(input, (&self.remote, place), layer, tell))
    }

    fn blob_place(&self, digest: Sha256) -> String {
        match &self.store {
            Store::Layout(layout) => layout.place(&Layout::blob(digest)),
            Store::Registry(registry) => registry.blob_place(digest),
        }
    }

    fn no_such(&self, tag: &str) -> PullError {
        PullError::NoSuchImage {
            tag: tag.to_owned(),
            url: self.place.to_string(),
            found: Vec::new(),
        }
    }

    fn refused(&self, place: String, problem: String) -> PullError {
        PullError::Refused {
            remote: self.remote.clone(),
            url: place,
            problem,
        }
    }
}

/// How many images of an index are read. Each stays in memory.
const IMAGES: usize = 16;
/// The file of a layout that says what is in it.
const INDEX: &str = "index.json";

/// The architecture and the tag of a ref: `go-sdk/x86_64/1.26` is `1.26` for `linux/amd64`.
fn tag_of(name: &RefName) -> Result<(Arch, &str), PullError> {
    let mut parts = name.as_str().rsplit('/');
    let (tag, arch, prefix) = (parts.next(), parts.next(), parts.next());
    let arch = arch.and_then(|arch| arch.parse::<Arch>().ok().filter(|a| a.basearch() == arch));
    match (tag.filter(|tag| is_tag(tag)), arch, prefix) {
        (Some(tag), Some(arch), Some(_)) => Ok((arch, tag)),
        _ => Err(PullError::NoImageRef { name: name.clone() }),
    }
}

fn root_of(layer: &Layer) -> Root {
    Root {
        tree: layer.commit.tree,
        meta: layer.commit.meta,
    }
}

fn of_store(error: StoreError) -> PullError {
    match error {
        StoreError::Repo(error) => error.into(),
        error => PullError::Store(error),
    }
}
