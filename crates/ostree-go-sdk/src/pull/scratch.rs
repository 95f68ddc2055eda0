//! The temporary repository of a pull.

use crate::fs::context::IoContext;
use crate::gvariant;
use crate::id::CommitId;
use crate::progress::Progress;
use crate::remote::{self, Remote, Verification};
use crate::repo::{Repo, RepoError, RepoMode};
use std::fmt;
use std::sync::Arc;

/// The names of the summary and of the file with its signatures, in a repository.
pub(super) const SUMMARY_FILE: &str = "summary";
pub(super) const SIGNATURE_FILE: &str = "summary.sig";

/// A temporary repository for commits that are not checked yet.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    pub(super) repo: Repo,
    /// Removed when this is dropped.
    _folder: Arc<dyn fmt::Debug + Send + Sync>,
}

impl Scratch {
    /// Creates a temporary repository, with the URL and the keys of a remote if there is one.
    pub(super) fn create(
        repo: &Repo,
        remote: Option<&Remote>,
        progress: &dyn Progress,
    ) -> Result<Self, RepoError> {
        let folder = repo.scratch_folder(progress)?;
        let scratch = Repo::create_temporary(&folder.path().join("repo"), RepoMode::BareUserOnly)?;
        if let Some(remote) = remote {
            copy_remote(repo, remote, &scratch)?;
        }
        Ok(Self {
            repo: scratch,
            _folder: Arc::new(folder),
        })
    }

    /// Creates a temporary repository outside of the repository, without the keys of the remote.
    pub(super) fn outside(repo: &Repo, remote: Option<&Remote>) -> Result<Self, RepoError> {
        let parent = std::env::temp_dir();
        let folder = tempfile::Builder::new().prefix("ostree-go-refs-").tempdir();
        let folder = folder.context("make a folder in", parent)?;
        let scratch = Repo::create_temporary(&folder.path().join("repo"), RepoMode::BareUserOnly)?;
        if let Some(remote) = remote {
            let mut remote = remote.clone();
            remote.verification = Verification::Unsigned;
            copy_remote(repo, &remote, &scratch)?;
        }
        Ok(Self {
            repo: scratch,
            _folder: Arc::new(folder),
        })
    }

    /// Writes a commit, whose checksum was checked, with its detached metadata. The inner error
    /// describes invalid bytes.
    pub(super) fn store_commit(
        &self,
        commit: CommitId,
        object: &[u8],
        detached: Option<&[u8]>,
    ) -> Result<Result<(), String>, RepoError> {
        let scratch = &self.repo;
        let Some(object) = gvariant::parse(object, "(a{sv}aya(say)sstayay)") else {
            return Ok(Err("it is not a valid commit object".to_owned()));
        };
        scratch.write_metadata(ostree::ObjectType::Commit, commit, &object)?;
        if let Some(bytes) = detached {
            let Some(detached) = gvariant::parse(bytes, "a{sv}") else {
                let problem = format!("the detached metadata of {commit} is not well-formed");
                return Ok(Err(problem));
            };
            scratch.write_detached(commit, &detached)?;
        }
        Ok(Ok(()))
    }
}

/// Copies the URL, the connection options and the keys of a remote.
fn copy_remote(repo: &Repo, remote: &Remote, scratch: &Repo) -> Result<(), RepoError> {
    let name = &remote.name;
    let options = glib::VariantDict::new(None);
    options.insert("gpg-verify", false);
    // Connection options that `ostree remote add --set` may have set.
    for key in [
        "proxy",
        "tls-permissive",
        "tls-ca-path",
        "tls-client-cert-path",
        "tls-client-key-path",
        "http2",
    ] {
        if let Ok(Some(value)) = repo.as_ostree().remote_option(name, key, None) {
            options.insert(key, value.as_str());
        }
    }
    repo.as_ostree()
        .remote_get_url(name)
        .and_then(|url| {
            let options = options.end();
            let scratch = scratch.as_ostree();
            scratch.remote_add(name, Some(&url), Some(&options), gio::Cancellable::NONE)
        })
        .map_err(|source| repo.failed(&format!("read remote `{name}`"), source))?;
    if remote.verification == Verification::Signed {
        let keyring = remote::keyring_path(scratch, name);
        let copied = std::fs::copy(remote::keyring_path(repo, name), &keyring);
        copied.map_err(|source| RepoError::Io {
            action: "create a folder in",
            path: scratch.path().parent().unwrap_or(scratch.path()).to_owned(),
            source,
        })?;
    }
    Ok(())
}
