//! The state that all parts of one pull share.

use super::monitor::Monitor;
use super::scratch::Scratch;
use super::{Pull, PullError};
use crate::id::{CommitId, RefName};
use crate::remote::{self, Remote, RemoteError, Verification};
use crate::repo::{RefMove, Repo, RepoError, Transaction};
use std::sync::Arc;
use std::time::Instant;

/// One pull into a repository. The plan and the origin have a clone each, so that a plan can be moved to
/// another thread: `Repo` cannot be shared between threads.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) options: Pull,
    pub(super) repo: Repo,
    /// The remote whose keys and connection options are used; `None` for an image that no remote
    /// verifies.
    pub(super) remote: Option<Remote>,
    /// The commits as received.
    pub(super) scratch: Scratch,
    pub(super) monitor: Arc<Monitor>,
    pub(super) started: Instant,
}

impl Session {
    /// Starts a pull: looks up the remote, and creates the scratch repository.
    ///
    /// # Errors
    /// Returns an error if the remote is not configured or has no keys, or if no ref is requested.
    pub(super) fn start(options: &Pull, repo: &Repo) -> Result<Self, PullError> {
        let remote = find_remote(options, repo)?;
        if options.refs.is_empty()
            && options.requested_image().is_none()
            && !options.pulls_all_refs()
        {
            return Err(PullError::NoRefs {
                remote: options.label(),
            });
        }
        if let Some(remote) = &remote
            && remote.verification == Verification::Signed
            && !remote::has_keyring(repo, &remote.name)
        {
            let name = remote.name.clone();
            return Err(RemoteError::NoKeys { name }.into());
        }
        let scratch = Scratch::create(repo, remote.as_ref(), options.progress.as_ref())?;
        Ok(Self::new(options, repo, remote, scratch))
    }

    /// Starts a session that only lists the refs of a remote. It does not write into the repository,
    /// so that users can list the remotes of a repository of another user, and needs no keys.
    ///
    /// # Errors
    /// Returns an error if the remote is not configured.
    pub(super) fn for_listing(options: &Pull, repo: &Repo) -> Result<Self, PullError> {
        let remote = find_remote(options, repo)?;
        let scratch = Scratch::outside(repo, remote.as_ref())?;
        Ok(Self::new(options, repo, remote, scratch))
    }

    fn new(options: &Pull, repo: &Repo, remote: Option<Remote>, scratch: Scratch) -> Self {
        Self {
            options: options.clone(),
            repo: repo.clone(),
            remote,
            scratch,
            monitor: Arc::new(Monitor::new(options)),
            started: Instant::now(),
        }
    }

    /// Returns the name of the remote for messages; without a remote, the source of the image.
    pub(super) fn label(&self) -> &str {
        &self.monitor.label
    }

    /// Returns true if commits must be signed by a key of the remote.
    pub(super) fn must_be_signed(&self) -> bool {
        let remote = self.remote.as_ref();
        remote.is_some_and(|remote| remote.verification == Verification::Signed)
    }

    /// Returns the URL for messages, without credentials.
    pub(super) fn url(&self) -> &str {
        let remote = self.remote.as_ref();
        remote.map_or(self.label(), |remote| &remote.url)
    }

    /// Returns the item named in progress events.
    pub(super) fn progress_item(&self) -> String {
        match self.options.refs.as_slice() {
            [name] => name.to_string(),
            [] => self.label().to_owned(),
            refs => format!("{} refs of {}", refs.len(), self.label()),
        }
    }

    /// Returns the commit that the local ref points to, which a ref of the remote updates.
    pub(super) fn current(&self, name: &RefName) -> Result<Option<CommitId>, RepoError> {
        let local = match self.remote_of_refs() {
            Some(remote) => format!("{remote}:{name}"),
            None => name.to_string(),
        };
        current_commit(&self.repo, &local)
    }

    /// Returns the update of the local ref, for a ref of the remote.
    pub(super) fn ref_update(&self, name: &RefName, commit: CommitId) -> RefMove {
        RefMove {
            remote: self.remote_of_refs().map(str::to_owned),
            name: name.to_string(),
            to: Some(commit),
        }
    }

    /// Returns whether local refs are updated instead of those of a remote.
    pub(super) fn updates_local_refs(&self) -> bool {
        self.remote_of_refs().is_none()
    }

    /// Returns the remote whose refs are updated; `None` for local refs.
    fn remote_of_refs(&self) -> Option<&str> {
        let remote = self.remote.as_ref().filter(|_| !self.options.mirror);
        remote.map(|remote| remote.name.as_str())
    }

    /// Copies commits and their detached metadata from the scratch repository.
    pub(super) fn copy_commits(
        &self,
        transaction: &Transaction<'_>,
        commits: &[CommitId],
    ) -> Result<(), RepoError> {
        let scratch = &self.scratch.repo;
        for commit in commits {
            transaction.copy_commit(scratch, *commit)?;
            if let Some(detached) = scratch.detached_variant(*commit)? {
                self.repo.write_detached(*commit, &detached)?;
            }
        }
        Ok(())
    }
}

/// Returns the configured remote of a pull, if it has one.
fn find_remote(options: &Pull, repo: &Repo) -> Result<Option<Remote>, RemoteError> {
    let name = options.remote_name();
    name.map(|name| remote::get(repo, name)).transpose()
}

/// Returns the commit that a ref or `REMOTE:REF` points to.
pub(super) fn current_commit(repo: &Repo, name: &str) -> Result<Option<CommitId>, RepoError> {
    let found = repo
        .as_ostree()
        .resolve_rev_ext(name, true, ostree::RepoResolveRevExtFlags::LOCAL_ONLY)
        .map_err(|source| repo.failed(&format!("read ref {name}"), source))?;
    Ok(found.and_then(|checksum| checksum.parse().ok()))
}
