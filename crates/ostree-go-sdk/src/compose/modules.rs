//! Composes the Go modules of a treefile after its releases have been composed.
//!
//! A module is a commit on a ref of its own and not part of any release, so that the commits of
//! releases do not depend on it. It has no architecture. Its files are below
//! `/usr/lib/sdk/modules`, where `replace` lines of projects can name it.
//!
//! The content of a version is verified by a `sum` in the treefile or by Go's checksum database, and
//! its commit is determined by the path, the version and the content. The version of a module from a
//! directory is the pseudo-version of its commit, and the commit is kept while its content is the same.

use super::commits::{update_detached, write_tree};
use super::inputs::is_unchanged;
use super::module_error::ModuleError;
use super::module_files::{self, ReadModule};
use super::{Compose, ComposeError, Composed, ComposedModule, NewObjects};
use crate::catalog::{CommitInfo, ModuleVersionInfo};
use crate::failpoint;
use crate::golang::h1::H1;
use crate::golang::module_id::ModuleId;
use crate::golang::module_pattern;
use crate::id::{CommitId, Sha256};
use crate::metadata::{self, Metadata};
use crate::object::Commit;
use crate::publish::{self, SummaryState};
use crate::repo::{Repo, Transaction};
use crate::source::module::ModuleZip;
use crate::treefile::{ModuleSource, ModuleSpec};
use glib::prelude::*;
use ostree::ObjectType;
use serde_json::json;
use sha2::Digest;

/// The version of the input hash. It is incremented when the same inputs result in a different
/// commit.
const FORMAT: u32 = 1;

/// A planned Go module.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlannedModule {
    /// The module and its ref.
    pub spec: ModuleSpec,
    /// The commit that the ref points to now.
    pub current: Option<CommitId>,
    /// The digest of what determines the module; `None` for a directory, which has to be read.
    pub input_hash: Option<String>,
    /// True if the input hash is unchanged.
    pub unchanged: bool,
}

/// Compares the modules with the repository.
pub(super) fn plan(compose: &Compose, repo: &Repo) -> Result<Vec<PlannedModule>, ComposeError> {
    // They are found by their refs only.
    let wanted = match compose.set_refs {
        true => compose.treefile.modules(),
        false => &[],
    };
    let plan = |spec: &ModuleSpec| {
        let current = repo.find(&spec.ref_name)?;
        let input_hash = input_hash(&spec.source);
        Ok(PlannedModule {
            spec: spec.clone(),
            current,
            unchanged: is_unchanged(compose, repo, current, input_hash.as_deref())?,
            input_hash,
        })
    };
    wanted.iter().map(plan).collect()
}

/// Returns the digest of what determines a module, without reading it.
fn input_hash(source: &ModuleSource) -> Option<String> {
    let ModuleSource::Version { id, sum } = source else {
        return None;
    };
    let inputs = json!({
        "format": FORMAT,
        "module": id.to_string(),
        "sum": sum.map(|sum| sum.to_string()),
    });
    Some(Sha256(sha2::Sha256::digest(inputs.to_string()).into()).to_string())
}

/// A planned module that can be read.
pub(super) struct OpenedModule<'a> {
    planned: &'a PlannedModule,
    state: State,
}

enum State {
    Unchanged(CommitId),
    Version(ModuleZip, Expected),
    Directory,
}

/// The hash that the content of a module must have, and its origin.
struct Expected {
    h1: H1,
    authority: String,
}

/// Downloads the modules that have to be composed, and looks up their hashes.
pub(super) fn open<'a>(
    compose: &Compose,
    planned: &'a [PlannedModule],
) -> Result<Vec<OpenedModule<'a>>, ComposeError> {
    let mut opened = Vec::new();
    for planned in planned {
        let state = match (&planned.spec.source, planned.current) {
            (_, Some(current)) if planned.unchanged => State::Unchanged(current),
            (ModuleSource::Version { id, sum }, _) => open_version(compose, id, *sum)?,
            (ModuleSource::Directory { .. }, _) => State::Directory,
        };
        opened.push(OpenedModule { planned, state });
    }
    Ok(opened)
}

fn open_version(compose: &Compose, id: &ModuleId, sum: Option<H1>) -> Result<State, ComposeError> {
    // Every treefile has a release.
    let Some(release) = compose.treefile.releases().first() else {
        return Err(ModuleError::Unverified {
            module: id.to_string(),
        }
        .into());
    };
    let module = || id.to_string();
    let excluded_by = |patterns: &Option<String>| {
        let patterns = patterns.clone();
        patterns.filter(|patterns| module_pattern::matches(patterns, id.path()))
    };
    if sum.is_none() {
        if let Some(patterns) = excluded_by(&compose.no_sumdb_for) {
            let module = module();
            return Err(ModuleError::Private { module, patterns }.into());
        }
        if compose.sumdb.is_none() {
            return Err(ModuleError::Unverified { module: module() }.into());
        }
    }
    if let (None, Some(patterns)) = (&release.goproxy, excluded_by(&compose.no_proxy_for)) {
        let module = module();
        return Err(ModuleError::NoProxy { module, patterns }.into());
    }
    let http = compose.client()?;
    let zip = ModuleZip::open(id, &compose.source_context(release, &http));
    let zip = zip.map_err(|source| ModuleError::Source {
        module: module(),
        source,
    })?;
    let expected = match sum {
        Some(h1) => Expected {
            h1,
            authority: "the treefile".to_owned(),
        },
        None => {
            let official = compose.upstream(release).look_up_module(id);
            let official = official.map_err(|source| ModuleError::Upstream {
                module: module(),
                source,
            })?;
            Expected {
                h1: official.h1,
                authority: format!("the checksum database {}", official.database),
            }
        }
    };
    Ok(State::Version(zip, expected))
}

/// Composes the modules, makes each of them durable, and adds them to what was composed.
pub(super) fn compose(
    compose: &Compose,
    repo: &Repo,
    modules: Vec<OpenedModule<'_>>,
    composed: &mut Composed,
    now: u64,
) -> Result<(), ComposeError> {
    let run = Run { compose, now };
    for OpenedModule { planned, state } in modules {
        let (commit, new) = match state {
            State::Unchanged(commit) => {
                run.sign_existing(repo, commit)?;
                (commit, NewObjects::default())
            }
            state => {
                let (commit, new, summary) = run.one(repo, planned, state)?;
                composed.summary = summary;
                (commit, new)
            }
        };
        composed.modules.push(describe(repo, planned, commit, new)?);
    }
    Ok(())
}

struct Run<'a> {
    compose: &'a Compose,
    /// In seconds since 1970.
    now: u64,
}

impl Run<'_> {
    fn sign_existing(&self, repo: &Repo, commit: CommitId) -> Result<(), ComposeError> {
        if self.compose.keys.is_empty() {
            return Ok(());
        }
        let _lock = repo.lock(self.compose.progress.as_ref())?;
        self.sign(repo, commit)
    }

    fn sign(&self, repo: &Repo, commit: CommitId) -> Result<(), ComposeError> {
        for key in &self.compose.keys {
            repo.sign(commit, key)?;
        }
        Ok(())
    }

    /// Reads one module and commits it in a transaction of its own.
    fn one(
        &self,
        repo: &Repo,
        planned: &PlannedModule,
        state: State,
    ) -> Result<(CommitId, NewObjects, SummaryState), ComposeError> {
        let progress = self.compose.progress.as_ref();
        let _lock = repo.lock(progress)?;
        let transaction = repo.begin()?;
        if let Some(current) = repo.find(&planned.spec.ref_name)? {
            repo.delete_damaged_objects_of(current)?;
        }
        let read = read(self.compose, &transaction, planned, state)?;
        failpoint::hit("module.read");
        let commit = self.write_commit(&transaction, planned, &read)?;
        self.sign(repo, commit)?;
        if progress.is_cancelled() {
            return Err(ComposeError::Cancelled);
        }
        failpoint::hit("module.written");
        transaction.commit()?;
        failpoint::hit("module.committed");
        let summary = publish::refresh(repo, &self.compose.keys, &[], self.now)?;
        Ok((commit, read.new, summary))
    }

    /// Writes the commit and moves the ref. Returns the current commit if it has the same content.
    fn write_commit(
        &self,
        transaction: &Transaction<'_>,
        planned: &PlannedModule,
        read: &ReadModule,
    ) -> Result<CommitId, ComposeError> {
        let ModuleSpec {
            source, ref_name, ..
        } = &planned.spec;
        let root = write_tree(transaction, &read.tree)?;
        let version = match source {
            ModuleSource::Version { id, .. } => Some((id.version(), read.h1)),
            ModuleSource::Directory { .. } => None,
        };
        let described = metadata::Module {
            path: source.path(),
            version,
            go_mod_h1: read.go_mod_h1,
            size: read.tree.size(),
        };
        let mut commit = Commit {
            metadata: described.bound_to(ref_name),
            parent: None,
            subject: match source {
                ModuleSource::Version { id, .. } => format!("Go module {id}"),
                ModuleSource::Directory { path, .. } => format!("Go module {path}"),
            },
            body: String::new(),
            timestamp: 0,
            tree: root.tree,
            meta: root.meta,
        };
        let current = transaction.find(ref_name)?;
        if version.is_none() {
            if let Some(id) = current {
                commit.timestamp = transaction.repo().commit(id)?.timestamp;
                if commit.object().id == id {
                    transaction.add_existing_commit(id);
                    return Ok(id);
                }
            }
            // Hosts refuse commits with an older timestamp.
            commit.timestamp = self.time().max(commit.timestamp);
        }
        let object = commit.object();
        let is_other = |found: &CommitId| *found != object.id;
        if let (Some(_), false) = (version, self.compose.replace)
            && let Some(found) = current.filter(is_other)
        {
            return Err(ModuleError::Exists {
                ref_name: ref_name.clone(),
                found,
                expected: object.id,
            }
            .into());
        }
        transaction.write(ObjectType::Commit, &object)?;
        transaction.set_ref(ref_name, object.id);
        if let Some(hash) = &planned.input_hash {
            let key = metadata::SDK_INPUTHASH.to_owned();
            let keys = Metadata::from([(key, hash.to_variant())]);
            update_detached(transaction, object.id, keys)?;
        }
        Ok(object.id)
    }

    /// Returns the time of a commit whose content has no time of its own.
    fn time(&self) -> u64 {
        let releases = self.compose.treefile.releases();
        let timestamp = releases.first().and_then(|release| release.timestamp);
        let time = self.compose.source_date_epoch.or(timestamp);
        time.unwrap_or(self.now)
    }
}

/// Writes the files of a module, and checks that they are the expected ones.
fn read(
    compose: &Compose,
    transaction: &Transaction<'_>,
    planned: &PlannedModule,
    state: State,
) -> Result<ReadModule, ComposeError> {
    let spec = &planned.spec;
    match (&spec.source, state) {
        (ModuleSource::Version { id, .. }, State::Version(zip, expected)) => {
            let (location, sha256) = (zip.location.clone(), zip.sha256);
            let read = module_files::read(compose, transaction, spec, Some(zip))?;
            if read.h1 == expected.h1 {
                return Ok(read);
            }
            // As for the sources of an SDK, the next run must not use this download.
            if let Some(cache) = &compose.cache {
                let _ = cache.remove(sha256);
            }
            Err(ModuleError::Sum {
                module: id.to_string(),
                location,
                found: read.h1,
                authority: expected.authority,
                expected: expected.h1,
            }
            .into())
        }
        _ => module_files::read(compose, transaction, spec, None),
    }
}

/// Describes a module that exists.
fn describe(
    repo: &Repo,
    planned: &PlannedModule,
    commit: CommitId,
    new: NewObjects,
) -> Result<ComposedModule, ComposeError> {
    let info = CommitInfo::read(repo, commit)?;
    let module = info.module_version().unwrap_or_else(|| ModuleVersionInfo {
        toolchain: None,
        path: planned.spec.source.path().to_owned(),
        version: String::new(),
        h1: None,
        go_mod_h1: None,
    });
    Ok(ComposedModule {
        module,
        ref_name: planned.spec.ref_name.clone(),
        commit,
        content: info.content,
        files: info.files.unwrap_or_default(),
        bytes: info.bytes.unwrap_or_default(),
        new,
        unchanged: planned.current == Some(commit),
    })
}
