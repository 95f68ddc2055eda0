//! Promotion of a release to a channel.

use super::{ComposeError, ComposedChannel, commits};
use crate::clock::{Clock, SystemClock};
use crate::id::{CommitId, RefName};
use crate::metadata;
use crate::progress::{NoProgress, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use crate::sign::{self, SigningKey};
use std::sync::Arc;

/// A promotion, which moves a channel to a release: it writes a commit with the tree and metadata
/// of the release on top of the channel's last commit, with its own timestamp and signatures. The
/// channel is created if it does not exist.
#[derive(Clone)]
#[non_exhaustive]
pub struct Promote {
    release: CommitId,
    channel: RefName,
    allow_downgrade: bool,
    keys: Vec<SigningKey>,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
}

impl Promote {
    /// Creates a promotion of a release, or of a commit of another channel, to a channel.
    #[must_use]
    pub fn new(release: CommitId, channel: RefName) -> Self {
        Self {
            release,
            channel,
            allow_downgrade: false,
            keys: Vec::new(),
            clock: Arc::new(SystemClock),
            progress: Arc::new(NoProgress),
        }
    }

    /// Allows the channel to move to an older version. Default: no; the channel is not moved then.
    /// Hosts follow such a move, because they compare the timestamps of commits, and that of a
    /// channel never decreases.
    #[must_use]
    pub fn allow_downgrade(mut self, allow: bool) -> Self {
        self.allow_downgrade = allow;
        self
    }

    setters! {
        /// Signs the channel's commit with these keys. Default: none.
        sign_with;
        /// Sets the clock for the timestamp of the commit. Default: [`SystemClock`].
        clock;
        /// Sets the receiver of the event that this waits for another process. Default:
        /// [`NoProgress`].
        progress;
    }

    /// Promotes the release in one transaction. Everything is durable when this returns.
    ///
    /// # Errors
    /// Returns an error if the commit is not a release, lacks objects, or cannot be signed, or the
    /// repository cannot be written.
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
        let promoted = commits::promote(
            &transaction,
            &release,
            &self.channel,
            now,
            self.allow_downgrade,
        )?;
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
