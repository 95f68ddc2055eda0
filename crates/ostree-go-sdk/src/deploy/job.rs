//! A request to fetch: refs, their source, and the conditions for them.

use super::error::DeployError;
use super::selection::StdCacheChoice;
use crate::arch::Arch;
use crate::golang::version_rule::VersionRule;
use crate::id::{RefName, Sha256};
use crate::remote;
use crate::repo::Repo;
use crate::sign::TrustedKeys;
use std::path::PathBuf;

/// The source of SDKs to install.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum InstallSource {
    /// The only remote of the root's repository; if it has no remotes, the repository itself, to
    /// which the user copied the SDK in another way.
    #[default]
    Default,
    /// A remote of the root's repository.
    Remote(String),
    /// An OSTree repository on this machine.
    Repo {
        /// The path of the repository.
        path: PathBuf,
        /// The keys, one of which must have signed each commit. Without keys, commits are trusted
        /// because of their location and count as unsigned.
        keys: Option<TrustedKeys>,
    },
}

/// Refs that are fetched together from one source.
#[derive(Debug)]
pub(super) struct Job {
    /// The refs, and the digests that their images must have, if given.
    pub(super) refs: Vec<(RefName, Option<Sha256>)>,
    /// A rule that selects one more release of those that the origin offers.
    pub(super) rule: Option<VersionRule>,
    pub(super) origin: Origin,
    pub(super) arch: Arch,
    pub(super) allow_downgrade: bool,
    pub(super) std_caches: StdCacheChoice,
}

/// A resolved [`InstallSource`].
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Remote(String),
    Repo {
        path: PathBuf,
        keys: Option<TrustedKeys>,
    },
    /// The root's own repository.
    Local,
}

impl Origin {
    /// Resolves a source.
    ///
    /// # Errors
    /// Returns an error if the remote does not exist, or if none was given and there are several.
    pub(super) fn of(source: &InstallSource, repo: &Repo) -> Result<Self, DeployError> {
        match source {
            InstallSource::Remote(name) => Ok(Self::Remote(remote::get(repo, name)?.name)),
            InstallSource::Repo { path, keys } => Ok(Self::Repo {
                path: path.clone(),
                keys: keys.clone(),
            }),
            InstallSource::Default => {
                let known = remote::list(repo)?.into_iter().map(|remote| remote.name);
                match known.collect::<Vec<_>>().as_slice() {
                    [] => Ok(Self::Local),
                    [only] => Ok(Self::Remote(only.clone())),
                    names => Err(DeployError::SeveralRemotes {
                        path: repo.path().to_owned(),
                        names: names.to_vec(),
                    }),
                }
            }
        }
    }
}

impl Job {
    /// Checks that no image digest is given, because only registries have images.
    pub(super) fn require_no_digest(&self) -> Result<(), DeployError> {
        match self.refs.iter().find(|(_, pin)| pin.is_some()) {
            Some((name, _)) => Err(DeployError::NoImage { name: name.clone() }),
            None => Ok(()),
        }
    }
}
