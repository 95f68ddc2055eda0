//! Promotion of releases to channels.

use super::commits::{self, NewHead, version};
use super::{ChannelState, ComposeError, ComposedChannel};
use crate::catalog::{CommitInfo, CommitKind};
use crate::clock::{Clock, SystemClock};
use crate::id::{CommitId, RefName};
use crate::metadata;
use crate::object::Commit;
use crate::progress::{NoProgress, Progress};
use crate::publish::{self, SummaryState};
use crate::repo::Repo;
use crate::setters::setters;
use crate::sign::{self, SigningKey};
use std::sync::Arc;

/// A promotion, which moves channels to releases: for each channel it writes a commit with the tree
/// and metadata of the release on top of the channel's last commit, with its own timestamp and
/// signatures. A channel is created if it does not exist. All channels are moved, or none.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Promote {
    moves: Vec<(CommitId, RefName)>,
    allow_downgrade: bool,
    keys: Vec<SigningKey>,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
}

impl Promote {
    /// Creates a promotion of releases, or of commits of other channels, each to a channel. The
    /// channels usually have the same name for each architecture.
    #[must_use]
    pub fn new(moves: impl IntoIterator<Item = (CommitId, RefName)>) -> Self {
        Self {
            moves: moves.into_iter().collect(),
            allow_downgrade: false,
            keys: Vec::new(),
            clock: Arc::new(SystemClock),
            progress: Arc::new(NoProgress),
        }
    }

    setters! {
        /// Allows channels to move to an older version. Default: no, this is an error, and no
        /// channel is moved. Hosts follow such a move, because they compare the timestamps of
        /// commits, and that of a channel never decreases.
        allow_downgrade: bool;
        /// Signs the channels' commits, and an existing summary, with these keys. Default: none.
        sign_with;
        /// Sets the clock for the timestamp of the commits. Default: [`SystemClock`].
        clock;
        /// Sets the receiver of the event that this waits for another process. Default:
        /// [`NoProgress`].
        progress;
    }

    /// Checks that the commits are releases, and reads the channels. Writes nothing.
    ///
    /// # Errors
    /// Returns an error if a commit is not a release, a ref exists and is not a channel, or the
    /// repository cannot be read.
    pub fn plan(&self, repo: &Repo) -> Result<PromotePlan, ComposeError> {
        let mut channels = Vec::new();
        for (commit, channel) in &self.moves {
            let release = repo.commit(*commit)?;
            let has = |key| release.metadata.contains_key(key);
            if has(metadata::SDK_STDCACHE) {
                return Err(ComposeError::IsStdCache { commit: *commit });
            }
            if !has(metadata::SDK_VERSION) || has(metadata::SDK_RELEASES) {
                return Err(ComposeError::NotARelease { commit: *commit });
            }
            let current = repo.find(channel)?;
            check_channel(repo, channel, current, &release)?;
            channels.push(PlannedChannel {
                channel: channel.clone(),
                commit: *commit,
                release,
                current,
            });
        }
        Ok(PromotePlan {
            promote: self.clone(),
            repo: repo.clone(),
            channels,
        })
    }
}

/// Checks that a ref is a channel, or can become one.
fn check_channel(
    repo: &Repo,
    name: &RefName,
    current: Option<CommitId>,
    release: &Commit,
) -> Result<(), ComposeError> {
    let version = release.metadata.get(metadata::SDK_VERSION);
    let version = version.and_then(|version| version.str());
    let kind = match current {
        Some(id) => CommitInfo::read(repo, id)?.kind,
        // A commit whose ref names its version is a release.
        None if name.as_str().split('/').any(|part| Some(part) == version) => CommitKind::Release,
        None => CommitKind::Channel,
    };
    match kind {
        CommitKind::Channel => Ok(()),
        kind => Err(ComposeError::NotAChannel {
            ref_name: name.clone(),
            kind,
        }),
    }
}

/// The plan of a promotion.
#[derive(Debug)]
pub struct PromotePlan {
    promote: Promote,
    repo: Repo,
    channels: Vec<PlannedChannel>,
}

#[derive(Debug)]
struct PlannedChannel {
    channel: RefName,
    commit: CommitId,
    release: Commit,
    current: Option<CommitId>,
}

/// The result of a promotion.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Promoted {
    /// The channels, in the requested order.
    pub channels: Vec<ComposedChannel>,
    /// The state of the repository's summary.
    pub summary: SummaryState,
}

impl PromotePlan {
    /// Returns the channels with the commits that they point to; `None` for channels that do not
    /// exist.
    pub fn channels(&self) -> impl Iterator<Item = (&RefName, Option<CommitId>)> {
        let channels = self.channels.iter();
        channels.map(|planned| (&planned.channel, planned.current))
    }

    /// Promotes the releases in one transaction. The channels are read again while the repository's
    /// lock is held. Everything is durable when this returns.
    ///
    /// # Errors
    /// Returns an error if a channel has a newer version, a release lacks objects, a commit cannot be
    /// signed, or the repository cannot be written.
    pub fn execute(self) -> Result<Promoted, ComposeError> {
        let (promote, repo) = (&self.promote, &self.repo);
        let _lock = repo.lock(promote.progress.as_ref())?;
        let transaction = repo.begin()?;
        let head = NewHead {
            now: promote.clock.now(),
            allow_downgrade: promote.allow_downgrade,
            is_signed: !promote.keys.is_empty(),
        };
        let mut channels = Vec::new();
        for planned in &self.channels {
            if !repo.is_complete(planned.commit)? {
                return Err(ComposeError::Partial {
                    commit: planned.commit,
                    path: repo.path().to_owned(),
                });
            }
            let (release, channel) = (&planned.release, &planned.channel);
            let mut promoted = commits::promote(&transaction, release, channel, head)?;
            if promoted.state == ChannelState::Newer {
                return Err(self.downgrade(planned, promoted.commit));
            }
            promoted.lacks_signature |= promoted.state == ChannelState::Moved
                && !head.is_signed
                && sign::is_signed(repo, planned.commit)?;
            for key in &promote.keys {
                repo.sign(promoted.commit, key)?;
            }
            channels.push(promoted);
        }
        transaction.commit()?;
        let summary = publish::refresh(repo, &promote.keys, &[], head.now)?;
        Ok(Promoted { channels, summary })
    }

    fn downgrade(&self, planned: &PlannedChannel, current: CommitId) -> ComposeError {
        let found = self.repo.commit(current).ok();
        let versions = (found.as_ref().and_then(version), version(&planned.release));
        match versions {
            (Some(found), Some(requested)) => ComposeError::Downgrade {
                channel: planned.channel.clone(),
                found,
                requested,
            },
            _ => ComposeError::NotARelease { commit: current },
        }
    }
}
