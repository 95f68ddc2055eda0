//! The results of a compose.

use super::NewObjects;
use crate::arch::Arch;
use crate::catalog::ModuleVersionInfo;
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, ContentId, RefName};
use crate::publish::SummaryState;
use crate::source::SourceInfo;
use crate::upstream::StoredProof;
use crate::version::GoVersion;

/// The result of a compose: a release for each architecture, in the requested order.
#[derive(Debug)]
#[non_exhaustive]
pub struct Composed {
    /// The releases.
    pub releases: Vec<ComposedRelease>,
    /// The Go modules, in the treefile's order.
    pub modules: Vec<ComposedModule>,
    /// The std caches that exist, by target and mode.
    pub std_caches: Vec<ComposedStdCache>,
    /// The refs of std caches that do not exist and were not built, because the SDK for this
    /// machine, which would build them, is neither composed nor in the repository.
    pub skipped_std_caches: Vec<RefName>,
    /// The proofs of releases and channels, if they were [wanted](super::Compose::upstream_proof).
    pub upstream_proofs: Vec<StoredProof>,
    /// The state of the repository's summary.
    pub summary: SummaryState,
}

impl Composed {
    /// Returns all commits of the result: of layers, releases, channels, modules and std caches.
    /// Channels that have a newer version are left out.
    pub fn commits(&self) -> impl Iterator<Item = CommitId> {
        let modules = self.modules.iter().map(|one| one.commit);
        let std_caches = self.std_caches.iter().map(|one| one.commit);
        let releases = self.releases.iter().flat_map(|release| {
            let layers = release.layers.iter().map(|layer| layer.commit);
            layers.chain(release.commits())
        });
        releases.chain(modules).chain(std_caches)
    }

    /// Returns true if the repository was not changed, except for missing signatures.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        let are_releases_unchanged = self.releases.iter().all(|release| {
            release.unchanged
                && release
                    .channels
                    .iter()
                    .all(|channel| channel.state != ChannelState::Moved)
        });
        are_releases_unchanged
            && self.modules.iter().all(|one| one.unchanged)
            && self.std_caches.iter().all(|one| one.unchanged)
    }
}

/// A composed release.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ComposedRelease {
    /// The architecture.
    pub arch: Arch,
    /// The Go version.
    pub version: GoVersion,
    /// The ref of the release.
    pub ref_name: RefName,
    /// The commit of the release.
    pub commit: CommitId,
    /// The checksum of the tree.
    pub content: ContentId,
    /// The parent of the commit.
    pub parent: Option<CommitId>,
    /// The timestamp of the commit, in seconds since 1970.
    pub timestamp: u64,
    /// True if the ref pointed to this commit before.
    pub unchanged: bool,
    /// The layers, lowest first. Empty if the input hash was unchanged, because the source was not
    /// read then.
    pub layers: Vec<ComposedLayer>,
    /// The channels of the release.
    pub channels: Vec<ComposedChannel>,
    /// Information about the source, if one was opened.
    pub source: Option<SourceInfo>,
    /// The digest of all inputs that determine the release; `None` if it is not known, for example
    /// for a directory without a pin.
    pub input_hash: Option<String>,
    /// The objects that were written for the release; `None` if the source was not read.
    pub objects: Option<ObjectCounts>,
}

impl ComposedRelease {
    /// Returns the commits of the release and its channels, without channels that have a newer version.
    pub(super) fn commits(&self) -> impl Iterator<Item = CommitId> {
        let channels = self.channels.iter();
        let channels = channels.filter(|channel| channel.state != ChannelState::Newer);
        [self.commit]
            .into_iter()
            .chain(channels.map(|channel| channel.commit))
    }
}

/// The number of objects of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectCounts {
    /// The number of directory and commit objects of the release and its layers.
    pub metadata: u64,
    /// The number of these that the repository did not have.
    pub new_metadata: u64,
    /// The number of files and symlinks.
    pub content: u64,
    /// The number of these that the repository did not have.
    pub new_content: u64,
    /// The size of the new files in bytes.
    pub new_content_bytes: u64,
}

/// A composed layer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ComposedLayer {
    /// The name.
    pub name: String,
    /// The content-addressed ref.
    pub ref_name: RefName,
    /// The commit of the layer.
    pub commit: CommitId,
    /// The checksum of the tree.
    pub content: ContentId,
    /// True if the layer is for all architectures.
    pub noarch: bool,
    /// The number of files and symlinks.
    pub files: u64,
    /// The size of the files in bytes.
    pub bytes: u64,
    /// The objects that the repository did not have.
    pub new: NewObjects,
    /// True if the ref existed before.
    pub unchanged: bool,
}

/// A Go module after a compose.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ComposedModule {
    /// The path, the version and the hashes.
    pub module: ModuleVersionInfo,
    /// The ref.
    pub ref_name: RefName,
    /// The commit.
    pub commit: CommitId,
    /// The checksum of the tree.
    pub content: ContentId,
    /// The number of files.
    pub files: u64,
    /// The size of the files in bytes.
    pub bytes: u64,
    /// The objects that the repository did not have.
    pub new: NewObjects,
    /// True if the ref pointed to this commit before.
    pub unchanged: bool,
}

/// A std cache after a compose.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ComposedStdCache {
    /// The target and the mode.
    pub id: StdCacheId,
    /// The version of the release.
    pub version: GoVersion,
    /// The ref.
    pub ref_name: RefName,
    /// The commit.
    pub commit: CommitId,
    /// The checksum of the tree.
    pub content: ContentId,
    /// The number of files.
    pub files: u64,
    /// The size of the files in bytes.
    pub bytes: u64,
    /// The objects that the repository did not have.
    pub new: NewObjects,
    /// True if the ref pointed to this commit before.
    pub unchanged: bool,
}

/// A channel after a compose.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ComposedChannel {
    /// The ref of the channel.
    pub ref_name: RefName,
    /// The commit that the ref points to now.
    pub commit: CommitId,
    /// The change of the channel.
    pub state: ChannelState,
    /// True if the channel was moved to a commit without a signature, but its former commit or the
    /// release has one. Clients that verify signatures refuse the channel until it is signed.
    pub lacks_signature: bool,
}

/// The effect of a compose on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelState {
    /// The channel has a new commit.
    Moved,
    /// The channel had the release before.
    Unchanged,
    /// The channel has a newer version and was not moved.
    Newer,
}

impl ChannelState {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Unchanged => "unchanged",
            Self::Newer => "newer",
        }
    }
}
