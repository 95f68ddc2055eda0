//! SDKs from a repository on this machine.

use super::error::DeployError;
use super::place;
use crate::ffi;
use crate::id::{CommitId, RefName};
use crate::repo::{Repo, RepoError};
use crate::sign::{Proof, Signature, TrustedKeys, Verified, verify};

/// `OSTREE_REPO_PULL_FLAGS_UNTRUSTED` (`ostree-repo.h`): hashes every object on its way, also from
/// a repository on this machine.
const UNTRUSTED: i32 = 1 << 2;

/// Copies a ref's commit from a repository on this machine into a root's, hashing every object. With
/// `keys`, the commit needs a signature by one of them, which is checked before anything is copied;
/// without, it is trusted for where it is and marked as unsigned. `now` is the time of the proof.
///
/// # Errors
/// When there is no such ref, or no valid signature, or an object is damaged.
pub(super) fn import(
    repo: &Repo,
    from: &Repo,
    name: &RefName,
    keys: Option<&TrustedKeys>,
    now: u64,
) -> Result<Verified<CommitId>, DeployError> {
    let commit = resolve(from, name)?;
    let signatures = match keys {
        Some(keys) => verify(from, commit, keys)?,
        None => Vec::new(),
    };
    // libostree copies nothing over a damaged object: it has to go before.
    repo.remove_damaged(commit)?;
    if repo.has_commit(commit)? {
        match place::require(repo, commit) {
            Ok(()) | Err(DeployError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let path = from.path();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let url = format!("file://{}", path.display());
    let options = glib::VariantDict::new(None);
    // By checksum: what was checked is what is copied, even if the ref moves meanwhile.
    options.insert("refs", vec![commit.to_string()]);
    options.insert("flags", UNTRUSTED);
    options.insert("depth", 0);
    ffi::pull_with_options(repo.as_ostree(), &url, &options.end(), None, None)
        .map_err(|error| repo.failed(&format!("copy {name} from {url}"), error))?;
    repo.unmark_repaired()?;
    Ok(proven(commit, url, signatures, keys.is_none(), now))
}

/// Returns the commit of a ref that is in the root's own repository, composed or copied there by its
/// owner. It counts as unsigned.
///
/// # Errors
/// When there is no such ref.
pub(super) fn resolve_local(
    repo: &Repo,
    name: &RefName,
    now: u64,
) -> Result<Verified<CommitId>, DeployError> {
    let commit = resolve(repo, name)?;
    Ok(proven(commit, "local".to_owned(), Vec::new(), true, now))
}

fn proven(
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
        // For the error, which names the nearest ref.
        None => repo.resolve(name.as_str()),
    }
}
