//! What a compose has done.

use super::NewObjects;
use crate::arch::Arch;
use crate::id::{CommitId, ContentId, RefName};
use crate::source::SourceInfo;
use crate::version::GoVersion;

/// What a compose has done: a release per architecture, in the order they were asked for.
#[derive(Debug)]
#[non_exhaustive]
pub struct Composed {
    /// The releases.
    pub releases: Vec<ComposedRelease>,
}

impl Composed {
    /// Every commit that is in the repository now: of layers, releases and channels. A channel
    /// that has a newer version is not among them.
    pub fn commits(&self) -> impl Iterator<Item = CommitId> {
        self.releases.iter().flat_map(|release| {
            let layers = release.layers.iter().map(|layer| layer.commit);
            let channels = release
                .channels
                .iter()
                .filter(|channel| channel.state != ChannelState::Newer)
                .map(|channel| channel.commit);
            layers.chain([release.commit]).chain(channels)
        })
    }

    /// Whether the repository was left as it was, but for signatures that were missing.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.releases.iter().all(|release| {
            release.unchanged
                && release
                    .channels
                    .iter()
                    .all(|channel| channel.state != ChannelState::Moved)
        })
    }
}

/// A release that is in the repository now.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ComposedRelease {
    /// The machine it is for.
    pub arch: Arch,
    /// Go's version.
    pub version: GoVersion,
    /// Its ref.
    pub ref_name: RefName,
    /// Its commit.
    pub commit: CommitId,
    /// The checksum of its tree.
    pub content: ContentId,
    /// The commit before it.
    pub parent: Option<CommitId>,
    /// The time of its commit, in seconds since 1970.
    pub timestamp: u64,
    /// Whether the ref named this commit before.
    pub unchanged: bool,
    /// Its layers, lowest first. Empty where the input hash said that nothing changed, since
    /// the source was not read then.
    pub layers: Vec<ComposedLayer>,
    /// The channels it went to.
    pub channels: Vec<ComposedChannel>,
    /// Where its bytes came from, if a source was opened.
    pub source: Option<SourceInfo>,
    /// The digest of everything that decided it; `None` where that cannot be known, as for a
    /// directory without a pin.
    pub input_hash: Option<String>,
    /// The objects that were written for it; `None` where the source was not read.
    pub objects: Option<ObjectCounts>,
}

/// How many objects a release took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectCounts {
    /// Directories and commits: the release's, and those of its layers.
    pub metadata: u64,
    /// Those of them that the repository did not have.
    pub new_metadata: u64,
    /// Files and symlinks.
    pub content: u64,
    /// Those of them that the repository did not have.
    pub new_content: u64,
    /// Bytes in the new ones.
    pub new_content_bytes: u64,
}

/// A layer that is in the repository now.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ComposedLayer {
    /// Its name.
    pub name: String,
    /// Its content-addressed ref.
    pub ref_name: RefName,
    /// Its commit.
    pub commit: CommitId,
    /// The checksum of its tree.
    pub content: ContentId,
    /// Whether it is for every architecture.
    pub noarch: bool,
    /// Files and symlinks in it.
    pub files: u64,
    /// Bytes in it.
    pub bytes: u64,
    /// What of it the repository did not have.
    pub new: NewObjects,
    /// Whether its ref was there before.
    pub unchanged: bool,
}

/// A channel after a compose.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ComposedChannel {
    /// Its ref.
    pub ref_name: RefName,
    /// The commit it names now.
    pub commit: CommitId,
    /// What happened to it.
    pub state: ChannelState,
}

/// What a compose did to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelState {
    /// It has a new commit.
    Moved,
    /// It had the release already.
    Unchanged,
    /// It has a newer version and stays there.
    Newer,
}

impl ChannelState {
    /// A stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Unchanged => "unchanged",
            Self::Newer => "newer",
        }
    }
}
