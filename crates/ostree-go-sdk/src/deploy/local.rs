//! Import of SDKs from a repository on this machine.

use super::error::DeployError;
use super::place;
use super::state::Deployment;
use crate::http::url::percent_decode;
use crate::id::{CommitId, RefName};
use crate::progress::Progress;
use crate::repo::{Repo, RepoError};
use crate::sign::{Proof, Signature, TrustedKeys, Verified};
use crate::store;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Copies a commit from a repository on this machine into a root's repository, and verifies the
/// checksum of every object. The commit was [found](find) on the ref `name`, and is copied even if
/// the ref moves meanwhile.
///
/// # Errors
/// Returns an error if an object is damaged, or the operation is cancelled.
pub(super) fn import(
    repo: &Repo,
    from: &Repo,
    name: &RefName,
    commit: CommitId,
    progress: &dyn Progress,
) -> Result<(), DeployError> {
    // libostree does not overwrite existing objects, so damaged ones have to be removed first.
    repo.delete_damaged_commit(commit)?;
    if repo.has_commit(commit)? {
        match place::require_objects(repo, commit) {
            Ok(()) | Err(DeployError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let transaction = repo.begin()?;
    store::copy_commit(&transaction, from, commit, name.as_str(), progress)?;
    transaction.commit()?;
    Ok(())
}

/// Finds a ref's commit in a repository on this machine. With `keys`, the commit needs a signature
/// by one of them, which is verified. Without `keys`, the commit is trusted because of its location,
/// and the proof is marked as unsigned. `now` is the time of the proof.
///
/// # Errors
/// Returns an error if the ref does not exist, or there is no valid signature by one of the keys.
pub(super) fn find(
    from: &Repo,
    name: &RefName,
    keys: Option<&TrustedKeys>,
    now: u64,
) -> Result<Verified<CommitId>, DeployError> {
    let commit = resolve(from, name)?;
    let signatures = match keys {
        Some(keys) => from.verify(commit, keys)?,
        None => Vec::new(),
    };
    let path = absolute(from);
    let (url, unsigned) = (url_of(&path), keys.is_none());
    Ok(verified(commit, url, signatures, unsigned, now))
}

/// Returns the absolute path of a repository without symlinks, as far as they can be read.
fn absolute(repo: &Repo) -> PathBuf {
    let path = repo.path();
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Prefix of the URL of a repository on this machine.
const FILE: &str = "file://";

/// Returns the URL that a proof contains for a repository on this machine. The bytes of a path that
/// is not UTF-8 are percent-encoded.
fn url_of(path: &Path) -> String {
    let Some(text) = path.to_str() else {
        let bytes = path.as_os_str().as_bytes().iter();
        let encoded = bytes.map(|byte| match is_plain(*byte) {
            true => char::from(*byte).to_string(),
            false => format!("%{byte:02X}"),
        });
        return format!("{FILE}{}", encoded.collect::<String>());
    };
    format!("{FILE}{text}")
}

/// Returns the repository on this machine that a deployment was installed from; `None` if it came from a
/// remote.
pub(crate) fn source_repo_of(deployment: &Deployment) -> Option<PathBuf> {
    path_of(&deployment.proof.remote)
}

/// Returns the path of a repository on this machine from the URL in a proof; `None` if it is the
/// name of a remote.
pub(super) fn path_of(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix(FILE)?;
    // A path that is UTF-8 is not encoded, and may contain a percent sign.
    if Path::new(path).exists() {
        return Some(PathBuf::from(path));
    }
    Some(PathBuf::from(
        match String::from_utf8(percent_decode(path.as_bytes())) {
            Ok(_) => OsString::from(path),
            Err(error) => OsString::from_vec(error.into_bytes()),
        },
    ))
}

/// Returns true if a byte has no special meaning in a URL.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+~".contains(&byte)
}

/// Returns the commit of a ref in the root's own repository, which the owner of the root composed
/// or copied there. It counts as unsigned.
///
/// # Errors
/// Returns an error if the ref does not exist.
pub(super) fn resolve_local(
    repo: &Repo,
    name: &RefName,
    now: u64,
) -> Result<Verified<CommitId>, DeployError> {
    let commit = resolve(repo, name).map_err(|error| match error {
        RepoError::NoSuchRev { path, nearest, .. } => DeployError::NoRemote {
            name: name.clone(),
            path,
            nearest,
        },
        error => error.into(),
    })?;
    Ok(verified(commit, "local".to_owned(), Vec::new(), true, now))
}

fn verified(
    commit: CommitId,
    remote: String,
    signatures: Vec<Signature>,
    unsigned: bool,
    at: u64,
) -> Verified<CommitId> {
    let proof = Proof {
        remote,
        signatures,
        unsigned,
        at,
    };
    Verified::new(commit, proof)
}

fn resolve(repo: &Repo, name: &RefName) -> Result<CommitId, RepoError> {
    match repo.find(name)? {
        Some(commit) => Ok(commit),
        // This call returns the error, which names the most similar ref.
        None => repo.resolve(name.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn every_path_is_found_again_from_its_url() {
        for (bytes, url) in [
            (&b"/srv/repo"[..], "file:///srv/repo"),
            (b"/srv/a b/%41", "file:///srv/a b/%41"),
            ("/srv/\u{e4}".as_bytes(), "file:///srv/\u{e4}"),
            (b"/srv/%41 \xff", "file:///srv/%2541%20%FF"),
        ] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(url_of(path), url);
            assert_eq!(path_of(url).as_deref(), Some(path));
        }
        assert_eq!(path_of("acme"), None);
    }
}
