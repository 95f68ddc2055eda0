//! The plan of a publish: the required deltas and their generation.

use super::{Publish, PublishError, index, label, page, readable, summary};
use crate::catalog::{CommitInfo, CommitKind};
use crate::delta::{self, ComparedDelta, DeltaInfo, DeltaName, GenerateOptions, deltas};
use crate::failpoint;
use crate::id::{CommitId, ContentId, RefName};
use crate::repo::Repo;
use crate::sign::{self, SigningKey};
use crate::upstream::StoredProof;
use std::collections::{BTreeMap, BTreeSet};

/// The planned changes of a publish.
#[derive(Debug)]
pub struct PublishPlan {
    publish: Publish,
    repo: Repo,
    deltas: Vec<PlannedDelta>,
    superseded: Vec<DeltaName>,
    unsigned: Vec<(RefName, CommitId)>,
}

/// A required delta.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedDelta {
    /// The commits of the delta.
    pub name: DeltaName,
    /// The refs that point to the commit that it results in.
    pub refs: Vec<RefName>,
    /// True if the delta exists.
    pub exists: bool,
}

/// The result of a publish.
#[derive(Debug)]
#[non_exhaustive]
pub struct Published {
    /// All existing deltas.
    pub deltas: Vec<DeltaInfo>,
    /// The deltas that were generated.
    pub made: Vec<DeltaName>,
    /// The comparison with libostree's deltas, for deltas that were
    /// [compared](Publish::compare_deltas).
    pub compared: Vec<ComparedDelta>,
    /// The deltas that were removed.
    pub removed: Vec<DeltaName>,
    /// The refs whose commits had no signature and were signed.
    pub signed: Vec<(RefName, CommitId)>,
    /// The proofs of releases and channels, if they were [wanted](Publish::upstream_proof).
    pub upstream_proofs: Vec<StoredProof>,
    /// The number of refs in the summary.
    pub refs: usize,
}

/// The trees of a delta, which determine its parts.
type Trees = (Option<ContentId>, ContentId);

/// The commits that hosts install or upgrade from: the recent history of channels; in a repository
/// without channels, all releases. Deltas from scratch to all releases that ever existed would be larger than
/// the objects.
struct Recent<'c> {
    /// The trees of the SDKs.
    trees: BTreeSet<ContentId>,
    /// For each version of a family of refs, the versions before it in the history of a channel, as
    /// far as upgrades from them have deltas.
    versions: BTreeMap<FamilyVersion<'c>, BTreeSet<String>>,
}

/// The first component of refs, which SDKs and their std caches have in common, and a version.
type FamilyVersion<'c> = (&'c str, String);

impl<'c> Recent<'c> {
    fn of(
        publish: &Publish,
        repo: &Repo,
        commits: &'c [(RefName, CommitInfo)],
    ) -> Result<Self, PublishError> {
        let of = |kind| {
            let commits = commits.iter();
            commits.filter(move |(_, commit)| commit.kind == kind)
        };
        let mut recent = Self {
            trees: BTreeSet::new(),
            versions: BTreeMap::new(),
        };
        for (name, channel) in of(CommitKind::Channel) {
            let history = repo.log(channel.id)?;
            let kept = history.iter().take(publish.history.saturating_add(1));
            let mut versions = Vec::new();
            for commit in kept {
                recent.trees.insert(commit.content);
                versions.extend(commit.version.clone());
            }
            for version in &versions {
                recent
                    .versions
                    .entry((name.first_component(), version.clone()))
                    .or_default();
            }
            // Only the newest commit of a channel has deltas from others.
            if let [newest, previous @ ..] = versions.as_slice() {
                let from = recent
                    .versions
                    .entry((name.first_component(), newest.clone()));
                let previous = previous.iter().filter(|version| *version != newest);
                from.or_default().extend(previous.cloned());
            }
        }
        if recent.trees.is_empty() {
            for (name, release) in of(CommitKind::Release) {
                recent.trees.insert(release.content);
                let version = release.version.clone().unwrap_or_default();
                recent
                    .versions
                    .entry((name.first_component(), version))
                    .or_default();
            }
        }
        Ok(recent)
    }

    /// Returns the commits that a std cache has deltas from: nothing, and the same std cache of
    /// earlier versions. Returns none for one of a version that no host upgrades to.
    fn std_cache_deltas(
        &self,
        name: &RefName,
        std_cache: &CommitInfo,
        commits: &[(RefName, CommitInfo)],
    ) -> Vec<Option<CommitId>> {
        let version = std_cache.version.clone().unwrap_or_default();
        let Some(previous) = self.versions.get(&(name.first_component(), version)) else {
            return Vec::new();
        };
        let earlier = commits.iter().filter(|(other, commit)| {
            let version = commit.version.as_ref();
            commit.kind == CommitKind::StdCache
                && commit.std_cache == std_cache.std_cache
                && other.first_component() == name.first_component()
                && version.is_some_and(|version| previous.contains(version))
        });
        let earlier = earlier.map(|(_, commit)| Some(commit.id));
        earlier.chain([None]).collect()
    }
}

impl Publish {
    /// Determines the missing and the superseded deltas. Writes nothing.
    ///
    /// # Errors
    /// Returns an error if the repository cannot be read.
    pub fn plan(&self, repo: &Repo) -> Result<PublishPlan, PublishError> {
        PublishPlan::new(self, repo)
    }
}

impl PublishPlan {
    pub(super) fn new(publish: &Publish, repo: &Repo) -> Result<Self, PublishError> {
        if publish.sign_deltas && !publish.keys.iter().any(SigningKey::is_ed25519) {
            return Err(PublishError::NoDeltaKey);
        }
        let commits = repo.list()?;
        let recent = Recent::of(publish, repo, &commits)?;
        let mut unsigned = Vec::new();
        for (name, commit) in &commits {
            if !publish.keys.is_empty() && !sign::is_signed(repo, commit.id)? {
                unsigned.push((name.clone(), commit.id));
            }
        }
        let mut required: BTreeMap<DeltaName, Vec<RefName>> = BTreeMap::new();
        for (ref_name, commit) in &commits {
            let mut require = |from| {
                let name = DeltaName {
                    from,
                    to: commit.id,
                };
                required.entry(name).or_default().push(ref_name.clone());
            };
            match commit.kind {
                CommitKind::Release if !recent.trees.contains(&commit.content) => {}
                CommitKind::Release => require(None),
                CommitKind::Channel => {
                    require(None);
                    let history = repo.log(commit.id)?;
                    let previous = history.iter().skip(1).take(publish.history);
                    previous.for_each(|commit| require(Some(commit.id)));
                }
                CommitKind::StdCache => {
                    let from = recent.std_cache_deltas(ref_name, commit, &commits);
                    from.into_iter().for_each(require);
                }
                CommitKind::Layer | CommitKind::Module | CommitKind::Image | CommitKind::Other => {}
            }
        }
        let existing: BTreeSet<DeltaName> = deltas(repo)?.into_iter().map(|d| d.name).collect();
        // Deltas to SDK commits that are not required any more are superseded; deltas of other
        // commits are not changed.
        let is_sdk = |id: CommitId| {
            CommitInfo::read(repo, id).is_ok_and(|commit| {
                let kinds = [
                    CommitKind::Release,
                    CommitKind::Channel,
                    CommitKind::StdCache,
                ];
                kinds.contains(&commit.kind)
            })
        };
        let superseded = existing
            .iter()
            .filter(|name| !required.contains_key(name) && is_sdk(name.to))
            .copied()
            .collect();
        let deltas = required
            .into_iter()
            .map(|(name, refs)| PlannedDelta {
                exists: existing.contains(&name),
                name,
                refs,
            })
            .collect();
        Ok(Self {
            publish: publish.clone(),
            repo: repo.clone(),
            deltas,
            superseded,
            unsigned,
        })
    }

    /// Returns the required deltas, sorted by name.
    #[must_use]
    pub fn deltas(&self) -> &[PlannedDelta] {
        &self.deltas
    }

    /// Returns the refs whose commits have no signature and would be signed. Without keys, there are
    /// none.
    #[must_use]
    pub fn unsigned(&self) -> &[(RefName, CommitId)] {
        &self.unsigned
    }

    /// The deltas that would be removed.
    #[must_use]
    pub fn superseded(&self) -> &[DeltaName] {
        &self.superseded
    }

    /// Executes the plan, which is recomputed while the repository's lock is held. At any time,
    /// also after a crash, `summary.sig` contains valid signatures of `summary`. Unchanged files
    /// are not written.
    ///
    /// # Errors
    /// Returns an error if the repository cannot be written, or the summary cannot be signed. The
    /// old summary still exists then; deltas that were generated are kept and not generated again.
    pub fn execute(self) -> Result<Published, PublishError> {
        let _lock = self.repo.lock(self.publish.progress.as_ref())?;
        // Another process may have moved refs before the lock was acquired.
        let plan = Self::new(&self.publish, &self.repo)?;
        delta::sweep(&plan.repo)?;
        for (_, commit) in &plan.unsigned {
            for key in &plan.publish.keys {
                plan.repo.sign(*commit, key)?;
            }
        }
        let upstream_proofs = plan.store_proofs()?;
        let (made, compared) = plan.make_deltas()?;
        plan.sign_deltas()?;
        let index = index::write(&plan.publish, &plan.repo)?;
        page::write(&index, &plan.repo)?;
        readable::allow(plan.repo.path())?;
        let refs = summary::write(&plan.repo, &plan.publish.keys, &plan.superseded)?;
        failpoint::hit("publish.signed");
        for name in &plan.superseded {
            delta::remove(&plan.repo, name)?;
        }
        Ok(Published {
            deltas: deltas(&plan.repo)?,
            made,
            compared,
            removed: plan.superseded,
            signed: plan.unsigned,
            upstream_proofs,
            refs,
        })
    }

    /// Adds the proofs that releases and channels are Go's own, if they are wanted.
    fn store_proofs(&self) -> Result<Vec<StoredProof>, PublishError> {
        let Some(upstream) = &self.publish.upstream_proof else {
            return Ok(Vec::new());
        };
        let commits = self.repo.list()?;
        let kinds = [CommitKind::Release, CommitKind::Channel];
        let releases = commits
            .iter()
            .filter(|(_, commit)| kinds.contains(&commit.kind));
        let ids = releases.map(|(_, commit)| commit.id);
        let stored = upstream.store_proofs(&self.repo, ids);
        stored.map_err(|error| PublishError::Upstream(Box::new(error)))
    }

    /// Generates the missing deltas: one delta for each pair of trees, from which the others are
    /// derived.
    fn make_deltas(&self) -> Result<(Vec<DeltaName>, Vec<ComparedDelta>), PublishError> {
        let mut by_trees: BTreeMap<Trees, Vec<&PlannedDelta>> = BTreeMap::new();
        for planned in &self.deltas {
            let content = |id| Ok::<_, PublishError>(self.repo.commit(id)?.content_id());
            let from = planned.name.from.map(content).transpose()?;
            let trees = (from, content(planned.name.to)?);
            by_trees.entry(trees).or_default().push(planned);
        }
        let mut to_make = Vec::new();
        let mut copies = Vec::new();
        for group in by_trees.values() {
            let model = group.iter().find(|p| p.exists).unwrap_or(&group[0]);
            if !model.exists {
                to_make.push(model.name);
            }
            let missing = group.iter().filter(|p| !p.exists && p.name != model.name);
            copies.extend(missing.map(|p| (model.name, p.name)));
        }
        let compared = self.generate_all(&to_make)?;
        for (model, name) in &copies {
            delta::retarget(&self.repo, model, name)?;
        }
        let mut made: Vec<DeltaName> = to_make;
        made.extend(copies.into_iter().map(|(_, name)| name));
        made.sort();
        Ok((made, compared))
    }

    /// Adds or removes the signatures of all required deltas.
    fn sign_deltas(&self) -> Result<(), PublishError> {
        let keys: &[SigningKey] = match self.publish.sign_deltas {
            true => &self.publish.keys,
            false => &[],
        };
        for planned in &self.deltas {
            delta::sign(&self.repo, &planned.name, keys)?;
        }
        Ok(())
    }

    /// Generates deltas one after the other, because the parts of each use all cores.
    fn generate_all(&self, names: &[DeltaName]) -> Result<Vec<ComparedDelta>, PublishError> {
        let publish = &self.publish;
        let time = publish.clock.now();
        let mut compared = Vec::new();
        for name in names {
            let options = GenerateOptions {
                preset: publish.delta_preset,
                time,
                threads: publish.threads,
                label: &label(name),
                progress: publish.progress.as_ref(),
            };
            delta::generate(&self.repo, name, &options)?;
            if publish.compare_deltas {
                compared.push(delta::keep_smaller(&self.repo, name, time)?);
            }
        }
        Ok(compared)
    }
}
