//! Promoting a release to a channel.

use super::{ComposeError, ComposedChannel, commits};
use crate::clock::{Clock, SystemClock};
use crate::id::{CommitId, RefName};
use crate::metadata;
use crate::progress::{NoProgress, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use crate::sign::{self, SigningKey};
use std::sync::Arc;

/// Moves a channel to a release: a commit of the release's tree and metadata, after the
/// channel's last, with its own time and signatures. The channel need not be there yet.
#[derive(Clone)]
#[non_exhaustive]
pub struct Promote {
    release: CommitId,
    channel: RefName,
    back: bool,
    keys: Vec<SigningKey>,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
}

impl Promote {
    /// Promotes a release, or what another channel has, to a channel.
    #[must_use]
    pub fn new(release: CommitId, channel: RefName) -> Self {
        Self {
            release,
            channel,
            back: false,
            keys: Vec::new(),
            clock: Arc::new(SystemClock),
            progress: Arc::new(NoProgress),
        }
    }

    /// Lets the channel go to an older version. Default: no; it then stays where it is, and
    /// hosts would refuse to follow it back anyway unless told.
    #[must_use]
    pub fn back(mut self, back: bool) -> Self {
        self.back = back;
        self
    }

    setters! {
        /// Signs the channel's commit with these keys. Default: none.
        sign_with;
        /// The time of the commit. Default: [`SystemClock`].
        clock;
        /// Receives an event while another process is waited for. Default: [`NoProgress`].
        progress;
    }

    /// Does it, in one transaction. Everything is durable when this returns.
    ///
    /// # Errors
    /// When the commit is no release, or lacks objects, or cannot be signed, or the repository
    /// cannot be written.
    pub fn execute(self, repo: &Repo) -> Result<ComposedChannel, ComposeError> {
        let release = repo.commit(self.release)?;
        let has = |key| release.metadata.contains_key(key);
        if !has(metadata::SDK_VERSION) || has(metadata::SDK_RELEASES) {
            return Err(ComposeError::NotARelease {
                commit: self.release,
            });
        }
        let _lock = repo.lock(self.progress.as_ref())?;
        let transaction = repo.begin()?;
        if !repo.is_complete(self.release)? {
            return Err(ComposeError::Partial {
                commit: self.release,
                path: repo.path().to_owned(),
            });
        }
        let now = self.clock.now();
        let promoted = commits::promote(&transaction, &release, &self.channel, now, self.back)?;
        for key in &self.keys {
            sign::sign(repo, promoted.commit, key)?;
        }
        transaction.commit()?;
        Ok(promoted)
    }
}

impl std::fmt::Debug for Promote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Promote")
            .field("release", &self.release)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
