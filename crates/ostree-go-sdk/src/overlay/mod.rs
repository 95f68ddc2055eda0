//! Adds SDKs to the tree of an OS; the commit equals what rpm-ostree's `ostree-layers` makes,
//! without rpm-ostree.
//!
//! [`Overlay`] holds the options, [`Overlay::plan`] compares the trees, and
//! [`OverlayPlan::execute`] writes the commit in one transaction. The objects of the base are
//! reused: its files are not read, whatever their owners and xattrs.

mod error;
mod files;
mod labels;
mod plan;
mod tree;

pub use error::{OverlayDifference, OverlayError, OverlaySide};
pub use plan::{Overlaid, OverlayPlan, OverlayWarning};

use crate::id::{CommitId, RefName, Sha256};
use crate::progress::{NoProgress, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use crate::sign::SigningKey;
use std::sync::Arc;

/// Options for adding SDKs to an OS. The defaults suit most callers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Overlay {
    base: CommitId,
    sdks: Vec<CommitId>,
    ref_name: RefName,
    sdk_repo: Option<Repo>,
    may_override: bool,
    version: Option<String>,
    workspace: Option<Sha256>,
    parent: Option<CommitId>,
    no_parent: bool,
    source_date_epoch: Option<u64>,
    labeling_epoch: u32,
    set_ref: bool,
    keys: Vec<SigningKey>,
    progress: Arc<dyn Progress>,
}

impl Overlay {
    /// Creates the options to add SDKs, the first one lowest, to the tree of `base`, for a commit
    /// on a ref. An SDK is a release, the commit of a channel, a layer, or a std cache.
    #[must_use]
    pub fn new(
        base: CommitId,
        sdks: impl IntoIterator<Item = CommitId>,
        ref_name: RefName,
    ) -> Self {
        Self {
            base,
            sdks: sdks.into_iter().collect(),
            ref_name,
            sdk_repo: None,
            may_override: false,
            version: None,
            workspace: None,
            parent: None,
            no_parent: false,
            source_date_epoch: None,
            labeling_epoch: 0,
            set_ref: true,
            keys: Vec::new(),
            progress: Arc::new(NoProgress),
        }
    }

    setters! {
        /// Sets the repository that contains the SDKs. Default: the repository of the base.
        sdk_repo: Option<Repo>;
        /// Sets whether files of an SDK replace those of the base and of earlier SDKs, like
        /// rpm-ostree's `ostree-override-layers`. Default: no; it is an error. A file never
        /// replaces a directory, and existing directories keep their owner and mode.
        may_override: bool;
        /// Sets the `version` of the commit. Default: that of the base.
        version: Option<String>;
        /// Sets the SHA-256 of the lock file of the workspace that the OS is for. It becomes
        /// [`metadata::SDK_WORKSPACE`](crate::metadata::SDK_WORKSPACE) of the commit. Default: none,
        /// also if the base or an SDK has one.
        workspace: Option<Sha256>;
        /// Sets the parent of the commit. Default: the commit of the ref.
        parent: Option<CommitId>;
        /// Creates the commit without a parent, also if one is set. Default: no.
        no_parent: bool;
        /// Sets the time of the commit, in seconds since 1970. Default: the newest time of the
        /// base and the SDKs. It is never before the parent's, because hosts reject older commits.
        source_date_epoch: Option<u64>;
        /// Sets the labeling epoch: with 1, labels for `/usr/etc` are looked up as `/etc`, like
        /// `ostree commit --selinux-labeling-epoch=1` and rpm-ostree's `selinux-label-version: 1`.
        /// Default: 0.
        labeling_epoch: u32;
        /// Sets whether the ref is moved. Default: yes. If not, the caller has to keep the commit
        /// from being pruned.
        set_ref: bool;
        /// Sets the keys to sign the commit with, even if it is unchanged, and an existing summary
        /// if it is refreshed. Default: none.
        sign_with;
        /// Sets the receiver of progress events, which may cancel the operation. Default:
        /// [`NoProgress`].
        progress;
    }

    /// Returns the parent of the new commit, if the ref points to `current`.
    fn parent_after(&self, current: Option<CommitId>) -> Option<CommitId> {
        match self.no_parent {
            true => None,
            false => self.parent.or(current),
        }
    }
}
