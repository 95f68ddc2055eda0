//! Import of SDKs from a repository on this machine.

use super::error::DeployError;
use super::place;
use crate::ffi;
use crate::id::{CommitId, RefName};
use crate::repo::{Repo, RepoError};
use crate::sign::{Proof, Signature, TrustedKeys, Verified};

/// `OSTREE_REPO_PULL_FLAGS_UNTRUSTED` (`ostree-repo.h`): verifies the checksum of every object that
/// is pulled, also from a repository on this machine.
const UNTRUSTED: i32 = 1 << 2;

/// Copies a ref's commit from a repository on this machine into a root's repository, and verifies
/// the checksum of every object. With `keys`, the commit needs a signature by one of them, which is
/// verified before anything is copied. Without `keys`, the commit is trusted because of its
/// location, and the proof is marked as unsigned. `now` is the time of the proof.
///
/// # Errors
/// Returns an error if the ref does not exist, there is no valid signature by one of the keys, or
/// an object is damaged.
pub(super) fn import(
    repo: &Repo,
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
    // libostree does not overwrite existing objects, so damaged ones have to be removed first.
    repo.delete_damaged_commit(commit)?;
    if repo.has_commit(commit)? {
        match place::require_objects(repo, commit) {
            Ok(()) | Err(DeployError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let path = from.path();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let url = format!("file://{}", path.display());
    let options = glib::VariantDict::new(None);
    // The commit is named by its checksum, so that the verified commit is copied even if the ref
    // moves meanwhile.
    options.insert("refs", vec![commit.to_string()]);
    options.insert("flags", UNTRUSTED);
    options.insert("depth", 0);
    ffi::pull_with_options(repo.as_ostree(), &url, &options.end(), None, None)
        .map_err(|error| repo.failed(&format!("copy {name} from {url}"), error))?;
    repo.unmark_repaired()?;
    Ok(verified(commit, url, signatures, keys.is_none(), now))
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
    let commit = resolve(repo, name)?;
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
