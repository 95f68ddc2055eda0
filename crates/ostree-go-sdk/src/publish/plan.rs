//! Which deltas there should be, and making them.

use super::{Publish, PublishError, index, label, summary};
use crate::catalog::{self, CommitInfo, CommitKind};
use crate::delta::{self, ComparedDelta, DeltaInfo, DeltaName, GenerateOptions, deltas};
use crate::failpoint;
use crate::id::{CommitId, ContentId, RefName};
use crate::repo::Repo;
use crate::sign::SigningKey;
use std::collections::{BTreeMap, BTreeSet};

/// What a publish would do.
#[derive(Debug)]
pub struct PublishPlan<'a> {
    publish: &'a Publish,
    repo: &'a Repo,
    deltas: Vec<PlannedDelta>,
    superseded: Vec<DeltaName>,
}

/// A delta that there should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedDelta {
    /// Between which commits.
    pub name: DeltaName,
    /// The refs whose commit it gives.
    pub refs: Vec<RefName>,
    /// Whether it is there already.
    pub exists: bool,
}

/// What a publish has done.
#[derive(Debug)]
#[non_exhaustive]
pub struct Published {
    /// Every delta there is now.
    pub deltas: Vec<DeltaInfo>,
    /// The deltas that were made now.
    pub made: Vec<DeltaName>,
    /// What libostree's own took, of those that were [compared](Publish::compare_deltas).
    pub compared: Vec<ComparedDelta>,
    /// The deltas that were removed.
    pub removed: Vec<DeltaName>,
    /// Refs in the summary.
    pub refs: usize,
}

/// The trees that a delta is between; what its parts depend on.
type Trees = (Option<ContentId>, ContentId);

/// The trees that channels have had of late; of a repository without channels, those of all
/// releases. A delta from nothing to each release that ever was would outgrow the objects.
fn recent(
    publish: &Publish,
    repo: &Repo,
    listed: &[(RefName, CommitInfo)],
) -> Result<BTreeSet<ContentId>, PublishError> {
    let of = |kind| listed.iter().filter(move |(_, commit)| commit.kind == kind);
    let mut trees = BTreeSet::new();
    for (_, channel) in of(CommitKind::Channel) {
        let history = catalog::log(repo, channel.id)?;
        let kept = history.iter().take(publish.history.saturating_add(1));
        trees.extend(kept.map(|commit| commit.content));
    }
    if trees.is_empty() {
        trees.extend(of(CommitKind::Release).map(|(_, release)| release.content));
    }
    Ok(trees)
}

impl<'a> PublishPlan<'a> {
    pub(super) fn new(publish: &'a Publish, repo: &'a Repo) -> Result<Self, PublishError> {
        let can = |key: &SigningKey| matches!(key, SigningKey::Ed25519 { .. });
        if publish.sign_deltas && !publish.keys.iter().any(can) {
            return Err(PublishError::NoDeltaKey);
        }
        let listed = catalog::list(repo)?;
        let recent = recent(publish, repo, &listed)?;
        let mut wanted: BTreeMap<DeltaName, Vec<RefName>> = BTreeMap::new();
        for (ref_name, commit) in listed {
            let mut want = |from| {
                let name = DeltaName {
                    from,
                    to: commit.id,
                };
                wanted.entry(name).or_default().push(ref_name.clone());
            };
            match commit.kind {
                CommitKind::Release if !recent.contains(&commit.content) => {}
                CommitKind::Release => want(None),
                CommitKind::Channel => {
                    want(None);
                    let history = catalog::log(repo, commit.id)?;
                    let previous = history.iter().skip(1).take(publish.history);
                    previous.for_each(|commit| want(Some(commit.id)));
                }
                CommitKind::Layer | CommitKind::Image | CommitKind::Other => {}
            }
        }
        let there: BTreeSet<DeltaName> = deltas(repo)?.into_iter().map(|d| d.name).collect();
        // Deltas to commits that are nobody's newest any more; others' own are left alone.
        let ours = |id: CommitId| {
            CommitInfo::read(repo, id)
                .is_ok_and(|c| matches!(c.kind, CommitKind::Release | CommitKind::Channel))
        };
        let superseded = there
            .iter()
            .filter(|name| !wanted.contains_key(name) && ours(name.to))
            .copied()
            .collect();
        let deltas = wanted
            .into_iter()
            .map(|(name, refs)| PlannedDelta {
                exists: there.contains(&name),
                name,
                refs,
            })
            .collect();
        Ok(Self {
            publish,
            repo,
            deltas,
            superseded,
        })
    }

    /// The deltas there should be, ordered by name.
    #[must_use]
    pub fn deltas(&self) -> &[PlannedDelta] {
        &self.deltas
    }

    /// The deltas that would be removed.
    #[must_use]
    pub fn superseded(&self) -> &[DeltaName] {
        &self.superseded
    }

    /// Executes the plan, which is made anew under the repository's lock. At every moment, and after
    /// a crash at any, `summary.sig` has valid signatures of `summary`. Neither file is touched where
    /// nothing has changed.
    ///
    /// # Errors
    /// When the repository cannot be written, or the summary cannot be signed. The old summary is
    /// then still there; deltas that were made stay and are not made again.
    pub fn execute(self) -> Result<Published, PublishError> {
        let _lock = self.repo.lock(self.publish.progress.as_ref())?;
        // What the lock was waited for may have moved refs.
        let plan = Self::new(self.publish, self.repo)?;
        delta::sweep(plan.repo)?;
        let (made, compared) = plan.make_deltas()?;
        plan.sign_deltas()?;
        index::write(plan.publish, plan.repo)?;
        let refs = summary::write(plan.repo, &plan.publish.keys, &plan.superseded)?;
        failpoint::hit("publish.signed");
        for name in &plan.superseded {
            delta::remove(plan.repo, name)?;
        }
        Ok(Published {
            deltas: deltas(plan.repo)?,
            made,
            compared,
            removed: plan.superseded,
            refs,
        })
    }

    /// Makes what is missing: one delta per pair of trees, and the others out of that.
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
            delta::retarget(self.repo, model, name)?;
        }
        let mut made: Vec<DeltaName> = to_make;
        made.extend(copies.into_iter().map(|(_, name)| name));
        made.sort();
        Ok((made, compared))
    }

    /// Gives every delta that there should be the signatures that it should have.
    fn sign_deltas(&self) -> Result<(), PublishError> {
        let keys: &[SigningKey] = match self.publish.sign_deltas {
            true => &self.publish.keys,
            false => &[],
        };
        for planned in &self.deltas {
            delta::sign(self.repo, &planned.name, keys)?;
        }
        Ok(())
    }

    /// Makes deltas one after the other: the cores share the parts of each.
    fn generate_all(&self, names: &[DeltaName]) -> Result<Vec<ComparedDelta>, PublishError> {
        let publish = self.publish;
        let time = publish.clock.now();
        let mut compared = Vec::new();
        for name in names {
            let options = GenerateOptions {
                preset: publish.preset,
                time,
                threads: publish.threads,
                label: &label(name),
                progress: publish.progress.as_ref(),
            };
            delta::generate(self.repo, name, &options)?;
            if publish.compare_deltas {
                compared.push(delta::keep_smaller(self.repo, name, time)?);
            }
        }
        Ok(compared)
    }
}
