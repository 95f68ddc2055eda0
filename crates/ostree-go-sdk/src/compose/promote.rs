//! Promotion of a release to a channel.

use super::{ComposeError, ComposedChannel, commits};
use crate::clock::{Clock, SystemClock};
use crate::id::{CommitId, RefName};
use crate::metadata;
use crate::object::Commit;
use crate::progress::{NoProgress, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use crate::sign::SigningKey;
use std::sync::Arc;

/// A promotion, which moves a channel to a release: it writes a commit with the tree and metadata
/// of the release on top of the channel's last commit, with its own timestamp and signatures. The
/// channel is created if it does not exist.
#[derive(Debug, Clone)]
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

    setters! {
        /// Allows the channel to move to an older version. Default: no; the channel is not moved
        /// then. Hosts follow such a move, because they compare the timestamps of commits, and that
        /// of a channel never decreases.
        allow_downgrade: bool;
        /// Signs the channel's commit with these keys. Default: none.
        sign_with;
        /// Sets the clock for the timestamp of the commit. Default: [`SystemClock`].
        clock;
        /// Sets the receiver of the event that this waits for another process. Default:
        /// [`NoProgress`].
        progress;
    }

    /// Checks that the commit is a release, and reads the channel. Writes nothing.
    ///
    /// # Errors
    /// Returns an error if the commit is not a release, or the repository cannot be read.
    pub fn plan(&self, repo: &Repo) -> Result<PromotePlan, ComposeError> {
        let release = repo.commit(self.release)?;
        let has = |key| release.metadata.contains_key(key);
        if !has(metadata::SDK_VERSION) || has(metadata::SDK_RELEASES) {
            return Err(ComposeError::NotARelease {
                commit: self.release,
            });
        }
        Ok(PromotePlan {
            promote: self.clone(),
            repo: repo.clone(),
            release,
            current: repo.find(&self.channel)?,
        })
    }
}

/// The plan of a promotion.
#[derive(Debug)]
pub struct PromotePlan {
    promote: Promote,
    repo: Repo,
    release: Commit,
    current: Option<CommitId>,
}

impl PromotePlan {
    /// Returns the commit that the channel points to; `None` if the channel does not exist.
    #[must_use]
    pub fn current(&self) -> Option<CommitId> {
        self.current
    }

    /// Promotes the release in one transaction. The channel is read again while the repository's
    /// lock is held. Everything is durable when this returns.
    ///
    /// # Errors
    /// Returns an error if the release lacks objects, the commit cannot be signed, or the
    /// repository cannot be written.
    pub fn execute(self) -> Result<ComposedChannel, ComposeError> {
        let (promote, repo) = (&self.promote, &self.repo);
        let _lock = repo.lock(promote.progress.as_ref())?;
        let transaction = repo.begin()?;
        if !repo.is_complete(promote.release)? {
            return Err(ComposeError::Partial {
                commit: promote.release,
                path: repo.path().to_owned(),
            });
        }
        let promoted = commits::promote(
            &transaction,
            &self.release,
            &promote.channel,
            promote.clock.now(),
            promote.allow_downgrade,
        )?;
        for key in &promote.keys {
            repo.sign(promoted.commit, key)?;
        }
        transaction.commit()?;
        Ok(promoted)
    }
}
