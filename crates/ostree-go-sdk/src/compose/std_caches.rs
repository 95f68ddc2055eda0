//! Builds the std caches of a treefile after its releases have been composed.
//!
//! A std cache is compiled by the release for this machine, which therefore has to be in the
//! repository before. Each std cache is a transaction of its own: a compose that is interrupted has
//! built some of them, and the next one builds the others. The lock of the repository is not held
//! while the go command runs.

use super::commits::{update_detached, write_tree};
use super::inputs::is_unchanged;
use super::{Compose, ComposeError, Composed, ComposedStdCache, NewObjects};
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::checkout::CheckoutOptions;
use crate::failpoint;
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, RefName};
use crate::metadata::{self, Metadata};
use crate::object::Commit;
use crate::publish::{self, SummaryState};
use crate::repo::{Repo, ScratchFolder, Transaction};
use crate::stdcache::{
    SdkInput, StdCacheBuildError, StdCacheBuilder, WrittenStdCache, check_sandbox, write,
};
use crate::treefile::StdCacheSpec;
use glib::prelude::*;
use ostree::ObjectType;

/// A planned std cache.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlannedStdCache {
    /// The target and the mode.
    pub id: StdCacheId,
    /// The ref.
    pub ref_name: RefName,
    /// The commit that the ref points to now.
    pub current: Option<CommitId>,
    /// The digest of what determines the std cache; `None` if it is only known after the release was
    /// composed.
    pub input_hash: Option<String>,
    /// True if the input hash is unchanged.
    pub unchanged: bool,
}

/// Returns the std caches to build, without duplicates.
fn wanted(compose: &Compose) -> &[StdCacheSpec] {
    // They are found by their refs only.
    match compose.std_caches && compose.set_refs {
        true => compose.treefile.std_caches(),
        false => &[],
    }
}

/// Compares the std caches with the repository. `release` is a complete release of any architecture,
/// if there is one.
pub(super) fn plan(
    compose: &Compose,
    repo: &Repo,
    release: Option<CommitId>,
) -> Result<Vec<PlannedStdCache>, ComposeError> {
    let wanted = wanted(compose);
    let input = match (release, compose.treefile.releases().first()) {
        (Some(release), Some(spec)) if !wanted.is_empty() => {
            let read = SdkInput::read(repo, release, &spec.prefix, &spec.version);
            Some(read?)
        }
        _ => None,
    };
    let plan = |spec: &StdCacheSpec| {
        let current = repo.find(&spec.ref_name)?;
        let input_hash = input.as_ref().map(|input| input.hash(spec.id));
        Ok(PlannedStdCache {
            id: spec.id,
            ref_name: spec.ref_name.clone(),
            current,
            unchanged: is_unchanged(compose, repo, current, input_hash.as_deref())?,
            input_hash,
        })
    };
    wanted.iter().map(plan).collect()
}

/// Returns the release for this machine: one that is being composed, or one of the repository.
fn native(
    compose: &Compose,
    repo: &Repo,
    composed: Option<&Composed>,
) -> Result<Option<(Arch, CommitId)>, ComposeError> {
    let Some(arch) = Arch::host() else {
        return Ok(None);
    };
    let mut releases = composed.iter().flat_map(|composed| &composed.releases);
    if let Some(release) = releases.find(|release| release.arch == arch) {
        return Ok(Some((arch, release.commit)));
    }
    let Ok(spec) = compose.treefile.for_arch(arch) else {
        return Ok(None);
    };
    let found = repo.find(&spec.release_ref)?;
    match found {
        Some(commit) if repo.is_complete(commit)? => Ok(Some((arch, commit))),
        _ => Ok(None),
    }
}

/// Checks that std caches can be built, before anything is composed. It does nothing if it is not
/// known yet whether one has to be built.
pub(super) fn check(
    compose: &Compose,
    repo: &Repo,
    planned: &[PlannedStdCache],
) -> Result<(), ComposeError> {
    let is_composed = Arch::host().is_some_and(|arch| compose.arches.contains(&arch));
    let is_missing = |one: &PlannedStdCache| {
        !one.unchanged && (one.current.is_none() || one.input_hash.is_some())
    };
    if !planned.iter().any(is_missing) || (!is_composed && native(compose, repo, None)?.is_none()) {
        return Ok(());
    }
    Ok(check_sandbox(compose.progress.as_ref())?)
}

/// Builds the std caches that are missing or outdated, and adds them to what was composed.
pub(super) fn compose(
    compose: &Compose,
    repo: &Repo,
    composed: &mut Composed,
    now: u64,
) -> Result<(), ComposeError> {
    let release = composed.releases.first().map(|release| release.commit);
    let planned = plan(compose, repo, release)?;
    if planned.is_empty() {
        return Ok(());
    }
    sign_unchanged(compose, repo, &planned)?;
    let native = match planned.iter().all(|one| one.unchanged) {
        true => None,
        false => native(compose, repo, Some(composed))?,
    };
    let mut builder = None;
    for (index, one) in planned.iter().enumerate() {
        let built = match (one.unchanged, native, one.current) {
            (false, Some((arch, commit)), _) => {
                let build = match &mut builder {
                    Some(build) => build,
                    none => none.insert(Build::new(compose, repo, arch, commit)?),
                };
                let item = format!("{} {}/{}", one.id, index + 1, planned.len());
                let (built, summary) = build.one(one, &item, now)?;
                composed.summary = summary;
                built
            }
            // Without an SDK that can build it again, an existing one is kept.
            (_, _, Some(current)) => existing(compose, repo, one, current)?,
            (_, _, None) => {
                composed.skipped_std_caches.push(one.ref_name.clone());
                continue;
            }
        };
        composed.std_caches.push(built);
    }
    Ok(())
}

/// Signs the std caches that exist.
fn sign_unchanged(
    compose: &Compose,
    repo: &Repo,
    planned: &[PlannedStdCache],
) -> Result<(), ComposeError> {
    let unchanged = planned.iter().filter(|one| one.unchanged);
    let mut commits = unchanged.filter_map(|one| one.current).peekable();
    if compose.keys.is_empty() || commits.peek().is_none() {
        return Ok(());
    }
    let _lock = repo.lock(compose.progress.as_ref())?;
    for commit in commits {
        for key in &compose.keys {
            repo.sign(commit, key)?;
        }
    }
    Ok(())
}

/// Describes a std cache that exists.
fn existing(
    compose: &Compose,
    repo: &Repo,
    planned: &PlannedStdCache,
    commit: CommitId,
) -> Result<ComposedStdCache, ComposeError> {
    let info = CommitInfo::read(repo, commit)?;
    Ok(ComposedStdCache {
        id: planned.id,
        version: compose.treefile.version().clone(),
        ref_name: planned.ref_name.clone(),
        commit,
        content: info.content,
        files: info.files.unwrap_or_default(),
        bytes: info.bytes.unwrap_or_default(),
        new: NewObjects::default(),
        unchanged: true,
    })
}

/// The SDK that builds std caches, checked out for the time of the compose.
struct Build<'a> {
    compose: &'a Compose,
    repo: &'a Repo,
    arch: Arch,
    /// The timestamp of its release, which is also that of the std caches.
    timestamp: u64,
    scratch: ScratchFolder,
}

/// The name of the SDK's tree in the scratch folder.
const TREE: &str = "tree";

impl<'a> Build<'a> {
    fn new(
        compose: &'a Compose,
        repo: &'a Repo,
        arch: Arch,
        release: CommitId,
    ) -> Result<Self, ComposeError> {
        let scratch = repo.scratch_folder(compose.progress.as_ref())?;
        let options = CheckoutOptions::default()
            .sync(false)
            .progress(compose.progress.clone());
        repo.checkout(release, &scratch.path().join(TREE), &options)
            .map_err(StdCacheBuildError::Checkout)?;
        failpoint::hit("stdcache.checked-out");
        Ok(Self {
            compose,
            repo,
            arch,
            timestamp: repo.commit(release)?.timestamp,
            scratch,
        })
    }

    /// Builds one std cache and makes it durable.
    fn one(
        &self,
        planned: &PlannedStdCache,
        item: &str,
        now: u64,
    ) -> Result<(ComposedStdCache, SummaryState), ComposeError> {
        let compose = self.compose;
        let spec = compose.treefile.for_arch(self.arch)?;
        let tree = self.scratch.path().join(TREE);
        let builder = StdCacheBuilder {
            goroot: &tree.join(spec.prefix.as_str()),
            arch: self.arch,
            version: &spec.go_version,
            scratch: self.scratch.path(),
            progress: compose.progress.as_ref(),
        };
        let built = builder.build(planned.id, item)?;
        failpoint::hit("stdcache.built");
        let _lock = self.repo.lock(compose.progress.as_ref())?;
        let transaction = self.repo.begin()?;
        if let Some(current) = self.repo.find(&planned.ref_name)? {
            self.repo.delete_damaged_objects_of(current)?;
        }
        let dir = planned.id.dir(&spec.version);
        let dir = dir.map_err(StdCacheBuildError::Path)?;
        let progress = compose.progress.as_ref();
        let written = write(&transaction, compose.threads, &built, &dir, progress)?;
        drop(built);
        failpoint::hit("stdcache.written");
        let composed = self.commit(&transaction, planned, &written)?;
        for key in &compose.keys {
            self.repo.sign(composed.commit, key)?;
        }
        if progress.is_cancelled() {
            return Err(ComposeError::Cancelled);
        }
        transaction.commit()?;
        failpoint::hit("stdcache.committed");
        let summary = publish::refresh(self.repo, &compose.keys, &[], now)?;
        Ok((composed, summary))
    }

    fn commit(
        &self,
        transaction: &Transaction<'_>,
        planned: &PlannedStdCache,
        written: &WrittenStdCache,
    ) -> Result<ComposedStdCache, ComposeError> {
        let root = write_tree(transaction, &written.tree)?;
        let size = written.tree.size();
        let version = self.compose.treefile.version();
        let commit = Commit {
            metadata: metadata::std_cache(version.as_str(), planned.id, size, &planned.ref_name),
            parent: None,
            subject: format!("Go {version} standard library for {}", planned.id),
            body: String::new(),
            timestamp: self.timestamp,
            tree: root.tree,
            meta: root.meta,
        };
        let object = commit.object();
        let found = transaction.find(&planned.ref_name)?;
        if let Some(found) = found.filter(|found| *found != object.id && !self.compose.replace) {
            return Err(ComposeError::StdCacheExists {
                ref_name: planned.ref_name.clone(),
                found,
                expected: object.id,
            });
        }
        transaction.write(ObjectType::Commit, &object)?;
        transaction.set_ref(&planned.ref_name, object.id);
        if let Some(hash) = &planned.input_hash {
            let key = metadata::SDK_INPUTHASH.to_owned();
            let keys = Metadata::from([(key, hash.to_variant())]);
            update_detached(transaction, object.id, keys)?;
        }
        Ok(ComposedStdCache {
            id: planned.id,
            version: version.clone(),
            ref_name: planned.ref_name.clone(),
            commit: object.id,
            content: root.content_id(),
            files: size.files,
            bytes: size.bytes,
            new: NewObjects {
                objects: written.new_objects,
                bytes: written.new_bytes,
            },
            unchanged: found == Some(object.id),
        })
    }
}
