//! The plan of a compose, and its execution.

use super::commits::{self, NewHead, ReleaseDetails};
use super::error::SourceFailures;
use super::ingest::{Ingested, ingest};
use super::modules::{self, PlannedModule};
use super::std_caches::{self, PlannedStdCache};
use super::{
    Compose, ComposeError, Composed, ComposedRelease, ObjectCounts, inputs, pins, rebuilt,
};
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::failpoint;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::layer::{LayerError, Layers};
use crate::metadata::{self, Metadata};
use crate::object::Tree;
use crate::progress::Event;
use crate::publish::{self, SummaryState};
use crate::repo::{Repo, ScratchFolder, Transaction};
use crate::source::open::open;
use crate::source::{Source, SourceInfo};
use crate::treefile::{ArchTreefile, Recipe, SourceSpec};
use crate::upstream::{OfficialHash, StoredProof};
use glib::prelude::*;

/// The releases to compose in a repository.
#[derive(Debug)]
pub struct ComposePlan {
    compose: Compose,
    repo: Repo,
    releases: Vec<PlannedRelease>,
    modules: Vec<PlannedModule>,
    std_caches: Vec<PlannedStdCache>,
}

/// A planned release.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedRelease {
    /// The treefile, expanded for this architecture.
    pub spec: ArchTreefile,
    /// The commit that the ref points to now.
    pub current: Option<CommitId>,
    /// The digest of all inputs that determine the release; `None` if no pin identifies the source.
    pub input_hash: Option<String>,
    /// True if the input hash is unchanged.
    pub unchanged: bool,
}

impl Compose {
    /// Compares the options with the content of a repository. Opens no source and writes nothing.
    ///
    /// # Errors
    /// Returns an error if the treefile does not have a requested architecture, metadata has a key
    /// that only the compose may set, or an added file or the repository cannot be read.
    pub fn plan(&self, repo: &Repo) -> Result<ComposePlan, ComposeError> {
        ComposePlan::new(self, repo)
    }
}

impl ComposePlan {
    pub(super) fn new(compose: &Compose, repo: &Repo) -> Result<Self, ComposeError> {
        let mut releases = Vec::new();
        for arch in &compose.arches {
            let spec = compose.treefile.for_arch(*arch)?;
            compose.extra_metadata(&spec.commit_metadata)?;
            let current = repo.find(&spec.release_ref)?;
            let input_hash = inputs::pinned_content(&spec.pin)
                .map(|content| inputs::hash(compose, spec, &content))
                .transpose()?;
            releases.push(PlannedRelease {
                unchanged: inputs::is_unchanged(compose, repo, current, input_hash.as_deref())?,
                spec: spec.clone(),
                current,
                input_hash,
            });
        }
        let are_unchanged = releases.iter().all(|release| release.unchanged);
        let release = releases.first().filter(|_| are_unchanged);
        let release = release.and_then(|release| release.current);
        Ok(Self {
            compose: compose.clone(),
            repo: repo.clone(),
            modules: modules::plan(compose, repo)?,
            std_caches: std_caches::plan(compose, repo, release)?,
            releases,
        })
    }

    /// Returns the releases, in the order of the architectures.
    #[must_use]
    pub fn releases(&self) -> &[PlannedRelease] {
        &self.releases
    }

    /// Returns the Go modules, in the treefile's order.
    #[must_use]
    pub fn modules(&self) -> &[PlannedModule] {
        &self.modules
    }

    /// Returns the std caches, by target and mode.
    #[must_use]
    pub fn std_caches(&self) -> &[PlannedStdCache] {
        &self.std_caches
    }

    /// Returns true if [`ComposePlan::execute`] would neither open a source, nor read a module, nor
    /// build a std cache.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.releases.iter().all(|release| release.unchanged)
            && self.modules.iter().all(|one| one.unchanged)
            && self.std_caches.iter().all(|one| one.unchanged)
    }

    /// Composes the missing releases and moves the channels, then composes the Go modules and builds
    /// the missing std caches. An existing summary is refreshed after each of them.
    ///
    /// The releases and channels are one transaction: afterwards, either all releases and channels exist
    /// and are durable, or, after an error, the refs of the repository are unchanged. The same
    /// holds after a crash, except while the refs are being moved one after the other: then every
    /// existing release has its layers, every channel has its release, and the next operation that
    /// locks the repository moves the remaining refs. This waits for other composes in the same
    /// repository. Pulls may run at the same time, and a prune waits until this has finished.
    ///
    /// Then each module is composed, and each std cache is built, in a transaction of its own. If one of
    /// them fails, the releases, channels and those before it remain, and the next compose makes the
    /// others. Modules are downloaded and looked up in the checksum database before anything is
    /// composed. That a std cache can be built on this machine is checked before anything is composed.
    /// The lock of the repository is not held while one is built.
    ///
    /// # Errors
    /// Returns an error if no source can be used, its content differs from the pin or is unsafe,
    /// layers do not fit together, a release, module or std cache exists with other content, a module
    /// is not found or not verified, a std cache cannot be built, or the repository cannot be written.
    pub fn execute(self) -> Result<Composed, ComposeError> {
        std_caches::check(&self.compose, &self.repo, &self.std_caches)?;
        let mut opened = Vec::new();
        for planned in &self.releases {
            opened.push(OpenedRelease::new(&self.compose, &self.repo, planned)?);
        }
        let modules = modules::open(&self.compose, &self.modules)?;
        let run = Run {
            compose: &self.compose,
            now: self.compose.clock.now(),
        };
        let mut composed = run.compose_all(&self.repo, opened)?;
        modules::compose(&self.compose, &self.repo, modules, &mut composed, run.now)?;
        std_caches::compose(&self.compose, &self.repo, &mut composed, run.now)?;
        Ok(composed)
    }
}

/// A planned release with its open source, if it has to be read.
struct OpenedRelease<'a> {
    spec: &'a ArchTreefile,
    input_hash: Option<String>,
    state: State,
    /// The directory of a source that was rebuilt, which is removed after it was read.
    _rebuilt: Option<ScratchFolder>,
}

enum State {
    Unchanged(CommitId, Option<SourceInfo>),
    /// The source, and the hash in the checksum database that its content must have.
    Read(Box<(Source, Option<OfficialHash>)>),
}

impl<'a> OpenedRelease<'a> {
    fn new(
        compose: &Compose,
        repo: &Repo,
        planned: &'a PlannedRelease,
    ) -> Result<Self, ComposeError> {
        let spec = &planned.spec;
        if let (true, Some(current)) = (planned.unchanged, planned.current) {
            return Ok(Self {
                spec,
                input_hash: planned.input_hash.clone(),
                state: State::Unchanged(current, None),
                _rebuilt: None,
            });
        }
        let Opened {
            source,
            spec: opened,
            rebuilt,
        } = open_first(compose, repo, spec)?;
        // Without a pin, the digest of the archive determines the input hash.
        let input_hash = match (&planned.input_hash, source.info.sha256) {
            (Some(pinned), _) => Some(pinned.clone()),
            (None, Some(sha256)) => Some(inputs::hash(
                compose,
                spec,
                &inputs::archive_content(sha256),
            )?),
            (None, None) => None,
        };
        let unchanged =
            inputs::is_unchanged(compose, repo, planned.current, input_hash.as_deref())?;
        let state = match planned.current.filter(|_| unchanged) {
            Some(current) => State::Unchanged(current, Some(source.info)),
            None => {
                let official = pins::required_hash(compose, spec, opened)?;
                State::Read(Box::new((source, official)))
            }
        };
        Ok(Self {
            spec,
            input_hash,
            state,
            _rebuilt: rebuilt,
        })
    }
}

/// A source that was opened.
struct Opened<'s> {
    source: Source,
    /// The source in the treefile.
    spec: &'s SourceSpec,
    /// The directory of a source that was rebuilt.
    rebuilt: Option<ScratchFolder>,
}

/// Opens the first source of a release that can be used.
fn open_first<'s>(
    compose: &Compose,
    repo: &Repo,
    spec: &'s ArchTreefile,
) -> Result<Opened<'s>, ComposeError> {
    let http = compose.client()?;
    let context = compose.source_context(spec, &http);
    let mut failures = Vec::new();
    for source in &spec.sources {
        if let SourceSpec::Rebuild { from } = source {
            let other = compose.treefile.for_arch(*from)?;
            // It has no source that is rebuilt, which is checked when the treefile is read.
            let opened = open_first(compose, repo, other)?;
            let rebuilt = rebuilt::rebuild(compose, repo, spec, other, opened.source, opened.spec)?;
            let (source_of, folder) = rebuilt;
            return Ok(Opened {
                source: source_of,
                spec: source,
                rebuilt: Some(folder),
            });
        }
        match open(source, &spec.pin, &spec.go_version, spec.arch, &context) {
            Ok(opened) => {
                return Ok(Opened {
                    source: opened,
                    spec: source,
                    rebuilt: None,
                });
            }
            // The error of a single source and cancellation are returned directly.
            Err(error) if spec.sources.len() == 1 || error.kind() == ErrorKind::Cancelled => {
                return Err(error.into());
            }
            Err(error) => {
                compose.progress.event(&Event::SourceSkipped {
                    source: &source.to_string(),
                    reason: &error,
                });
                failures.push(error);
            }
        }
    }
    Err(ComposeError::NoSource {
        release: spec.release_ref.clone(),
        failures: SourceFailures(failures),
    })
}

/// A release whose source was read, before its commits are written.
struct IngestedRelease<'a> {
    spec: &'a ArchTreefile,
    layers: Layers<'a>,
    ingested: Ingested,
}

struct Run<'a> {
    compose: &'a Compose,
    now: u64,
}

impl Run<'_> {
    fn compose_all(
        &self,
        repo: &Repo,
        opened: Vec<OpenedRelease<'_>>,
    ) -> Result<Composed, ComposeError> {
        let _lock = repo.lock(self.compose.progress.as_ref())?;
        failpoint::hit("compose.locked");
        let transaction = repo.begin()?;
        let mut ingested_releases: Vec<IngestedRelease<'_>> = Vec::new();
        let specs: Vec<&ArchTreefile> = opened.iter().map(|release| release.spec).collect();
        let mut releases = Vec::new();
        for release in opened {
            let composed = match release.state {
                State::Unchanged(commit, source) => self.unchanged(
                    &transaction,
                    release.spec,
                    commit,
                    source,
                    release.input_hash,
                )?,
                State::Read(input) => {
                    let (source, official) = *input;
                    if let Some(current) = repo.find(&release.spec.release_ref)? {
                        repo.delete_damaged_objects_of(current)?;
                    }
                    let info = source.info.clone();
                    let layers = Layers::new(release.spec);
                    let input = (source, official.as_ref());
                    let ingested =
                        ingest(self.compose, &transaction, release.spec, &layers, input)?;
                    let read = IngestedRelease {
                        spec: release.spec,
                        layers,
                        ingested,
                    };
                    check_noarch(&ingested_releases, &read)?;
                    let composed = self.commit(&transaction, &read, info, release.input_hash)?;
                    ingested_releases.push(read);
                    composed
                }
            };
            releases.push(composed);
        }
        let mut composed = Composed {
            releases,
            modules: Vec::new(),
            std_caches: Vec::new(),
            skipped_std_caches: Vec::new(),
            upstream_proofs: Vec::new(),
            summary: SummaryState::Absent,
        };
        for commit in composed.commits() {
            for key in &self.compose.keys {
                repo.sign(commit, key)?;
            }
        }
        self.sign_existing_layers(repo, &composed)?;
        composed.upstream_proofs = self.store_proofs(repo, &specs, &composed.releases)?;
        failpoint::hit("compose.refs-set");
        if self.compose.progress.is_cancelled() {
            return Err(ComposeError::Cancelled);
        }
        transaction.commit()?;
        failpoint::hit("compose.committed");
        composed.summary = publish::refresh(repo, &self.compose.keys, &[], self.now)?;
        Ok(composed)
    }

    /// Adds the proofs that the releases and their channels are Go's own, if they are wanted.
    fn store_proofs(
        &self,
        repo: &Repo,
        specs: &[&ArchTreefile],
        releases: &[ComposedRelease],
    ) -> Result<Vec<StoredProof>, ComposeError> {
        let mut stored = Vec::new();
        if !self.compose.upstream_proof {
            return Ok(stored);
        }
        for (spec, release) in specs.iter().zip(releases) {
            let upstream = self.compose.upstream(spec);
            stored.extend(upstream.store_proofs(repo, release.commits())?);
        }
        Ok(stored)
    }

    /// Signs the layers of unchanged releases, whose source was not read.
    fn sign_existing_layers(&self, repo: &Repo, composed: &Composed) -> Result<(), ComposeError> {
        if self.compose.keys.is_empty() {
            return Ok(());
        }
        for release in composed.releases.iter().filter(|one| one.layers.is_empty()) {
            for (_, layer) in CommitInfo::read(repo, release.commit)?.layers {
                // A release that was imported or pulled may be without its layers.
                if !repo.has_commit(layer)? {
                    continue;
                }
                for key in &self.compose.keys {
                    repo.sign(layer, key)?;
                }
            }
        }
        Ok(())
    }

    fn commit(
        &self,
        transaction: &Transaction<'_>,
        read: &IngestedRelease<'_>,
        source: SourceInfo,
        input_hash: Option<String>,
    ) -> Result<ComposedRelease, ComposeError> {
        let IngestedRelease {
            spec,
            layers,
            ingested,
        } = read;
        let tree = layers.union(&ingested.trees)?;
        let before = transaction.metadata_objects();
        let composed_layers =
            commits::layers(transaction, spec, layers, &ingested.trees, &ingested.new)?;
        let timestamp = self
            .compose
            .source_date_epoch
            .or(ingested.time)
            .or(spec.timestamp)
            .ok_or_else(|| ComposeError::NoTimestamp {
                version: spec.version.clone(),
            })?;
        let extra = self.compose.extra_metadata(&spec.commit_metadata)?;
        let details = ReleaseDetails {
            layers: &composed_layers,
            h1: ingested.h1.map(|h1| h1.to_string()),
            timestamp,
            parent: self.compose.parent,
            extra: &extra,
        };
        let (id, commit) = commits::release(transaction, spec, &tree, details)?;
        let current = transaction.find(&spec.release_ref)?;
        let mut composed = ComposedRelease {
            arch: spec.arch,
            version: spec.version.clone(),
            ref_name: spec.release_ref.clone(),
            commit: id,
            content: commit.content_id(),
            parent: commit.parent,
            timestamp,
            unchanged: current == Some(id),
            layers: composed_layers,
            channels: Vec::new(),
            source: Some(source.clone()),
            input_hash: input_hash.clone(),
            objects: None,
        };
        let (total, written) = transaction.metadata_objects();
        composed.objects = Some(ObjectCounts {
            metadata: total - before.0,
            new_metadata: written - before.1,
            content: composed.layers.iter().map(|layer| layer.files).sum(),
            new_content: composed.layers.iter().map(|layer| layer.new.objects).sum(),
            new_content_bytes: composed.layers.iter().map(|layer| layer.new.bytes).sum(),
        });
        if self.compose.set_refs {
            commits::set_release_ref(transaction, &composed, self.compose.replace)?;
        }
        let mut detached = detached(&source, input_hash, ingested.vendor.as_deref());
        let recipe = Recipe::new(spec, ingested.source_h1, self.compose.recipe_options());
        let recipe = recipe.to_text();
        if recipe.len() <= Recipe::MAX_BYTES {
            detached.insert(metadata::SDK_RECIPE.to_owned(), recipe.to_variant());
        }
        commits::update_detached(transaction, id, detached)?;
        failpoint::hit("compose.release-described");
        for channel in self.channels(spec) {
            let moved = commits::promote(transaction, &commit, channel, self.new_head())?;
            composed.channels.push(moved);
        }
        Ok(composed)
    }

    /// Returns an existing release; only its channels may have to be moved.
    fn unchanged(
        &self,
        transaction: &Transaction<'_>,
        spec: &ArchTreefile,
        id: CommitId,
        source: Option<SourceInfo>,
        input_hash: Option<String>,
    ) -> Result<ComposedRelease, ComposeError> {
        let commit = transaction.repo().commit(id)?;
        let promote =
            |channel: &RefName| commits::promote(transaction, &commit, channel, self.new_head());
        Ok(ComposedRelease {
            arch: spec.arch,
            version: spec.version.clone(),
            ref_name: spec.release_ref.clone(),
            commit: id,
            content: commit.content_id(),
            parent: commit.parent,
            timestamp: commit.timestamp,
            unchanged: true,
            layers: Vec::new(),
            channels: self
                .channels(spec)
                .iter()
                .map(promote)
                .collect::<Result<_, _>>()?,
            source,
            input_hash,
            objects: None,
        })
    }

    fn new_head(&self) -> NewHead {
        NewHead {
            now: self.now,
            allow_downgrade: false,
            is_signed: !self.compose.keys.is_empty(),
        }
    }

    /// Returns the channels to move.
    fn channels<'s>(&self, spec: &'s ArchTreefile) -> &'s [RefName] {
        match self.compose.set_refs {
            true => &spec.channels,
            false => &[],
        }
    }
}

fn detached(source: &SourceInfo, input_hash: Option<String>, vendor: Option<&str>) -> Metadata {
    let sha256 = source.sha256.map(|sha256| sha256.to_string());
    let form = source.form.as_str();
    let described = metadata::source(&source.name, form, sha256, source.size, vendor);
    let mut keys = Metadata::from([(metadata::SDK_SOURCE.to_owned(), described)]);
    if let Some(input_hash) = input_hash {
        keys.insert(metadata::SDK_INPUTHASH.to_owned(), input_hash.to_variant());
    }
    keys
}

/// Checks that noarch layers are the same for all architectures of the compose.
fn check_noarch(
    before: &[IngestedRelease<'_>],
    read: &IngestedRelease<'_>,
) -> Result<(), ComposeError> {
    for other in before {
        for (index, tree) in read.ingested.trees.iter().enumerate() {
            let layer = read.layers.get(index);
            let Some(other_tree) = other.ingested.trees.get(index) else {
                continue;
            };
            if layer.noarch && tree != other_tree {
                let path = first_difference(tree, other_tree);
                return Err(ComposeError::Layer(LayerError::NotNoarch {
                    layer: layer.name.clone(),
                    path: path.unwrap_or_else(|| read.spec.prefix.clone()),
                    arches: arches(other.spec.arch, read.spec.arch),
                }));
            }
        }
    }
    Ok(())
}

fn arches(one: Arch, other: Arch) -> String {
    format!("{one} and {other}")
}

fn first_difference(one: &Tree, other: &Tree) -> Option<crate::fs::path::TreePath> {
    let (one, other) = (one.leaves(), other.leaves());
    let differing = one.iter().zip(&other).find(|(a, b)| a != b);
    let longer = if one.len() > other.len() {
        &one
    } else {
        &other
    };
    differing
        .map(|(a, b)| (&a.0).min(&b.0).clone())
        .or_else(|| Some(longer.get(one.len().min(other.len()))?.0.clone()))
}
