//! SDKs from a repository on this machine.

use super::error::DeployError;
use super::locked::LockedRoot;
use super::place;
use crate::id::{CommitId, RefName};
use crate::repo::{Repo, RepoError};
use crate::sign::{Proof, TrustedKeys, Verified, verify};

/// `OSTREE_REPO_PULL_FLAGS_UNTRUSTED` (`ostree-repo.h`): hashes every object on its way, from
/// a repository on this machine, too.
const UNTRUSTED: i32 = 1 << 2;

impl LockedRoot<'_> {
    /// Copies a ref's commit from a repository on this machine, hashing every object. With
    /// `keys`, the commit needs a signature by one of them, which is checked before anything
    /// is copied; without, it is trusted for where it is and marked as unsigned.
    ///
    /// # Errors
    /// When there is no such ref, or no valid signature, or an object is damaged.
    pub fn import(
        &self,
        from: &Repo,
        name: &RefName,
        keys: Option<&TrustedKeys>,
    ) -> Result<Verified<CommitId>, DeployError> {
        let commit = resolve(from, name)?;
        let signatures = match keys {
            Some(keys) => verify(from, commit, keys)?,
            None => Vec::new(),
        };
        // libostree copies nothing over a damaged object: it has to go before.
        self.repo.remove_damaged(commit)?;
        if self.repo.has_commit(commit)? {
            let _ = place::require(&self.repo, commit);
        }
        let path = from.path();
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let url = format!("file://{}", path.display());
        let options = glib::VariantDict::new(None);
        // By checksum: what was checked is what is copied, even if the ref moves meanwhile.
        options.insert("refs", vec![commit.to_string()]);
        options.insert("flags", UNTRUSTED);
        options.insert("depth", 0);
        let pulled = self.repo.as_ostree().pull_with_options(
            &url,
            &options.end(),
            None,
            gio::Cancellable::NONE,
        );
        let failed = |error| self.repo.failed(&format!("copy {name} from {url}"), error);
        pulled.map_err(failed)?;
        Ok(self.proven(commit, url, signatures, keys.is_none()))
    }

    /// The commit of a ref that is in the root's own repository, composed or copied there by
    /// its owner. It counts as unsigned.
    ///
    /// # Errors
    /// When there is no such ref.
    pub fn own(&self, name: &RefName) -> Result<Verified<CommitId>, DeployError> {
        let commit = resolve(&self.repo, name)?;
        Ok(self.proven(commit, "local".to_owned(), Vec::new(), true))
    }

    fn proven(
        &self,
        commit: CommitId,
        remote: String,
        signatures: Vec<crate::sign::Signature>,
        unsigned: bool,
    ) -> Verified<CommitId> {
        let proof = Proof {
            remote,
            signatures,
            unsigned,
            at: self.root.clock.now(),
        };
        Verified::new(commit, proof)
    }
}

fn resolve(repo: &Repo, name: &RefName) -> Result<CommitId, RepoError> {
    match repo.find(name)? {
        Some(commit) => Ok(commit),
        // For the error, which names the nearest ref.
        None => repo.resolve(name.as_str()),
    }
}
