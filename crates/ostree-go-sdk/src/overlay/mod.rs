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

use crate::id::{CommitId, RefName};
use crate::progress::{NoProgress, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use crate::sign::SigningKey;
use std::fmt;
use std::sync::Arc;

/// Options for adding SDKs to an OS. The defaults suit most callers.
#[derive(Clone)]
#[non_exhaustive]
pub struct Overlay {
    base: CommitId,
    sdks: Vec<CommitId>,
    ref_name: RefName,
    sdk_repo: Option<Repo>,
    may_override: bool,
    version: Option<String>,
    parent: Option<Option<CommitId>>,
    source_date_epoch: Option<u64>,
    labeling_epoch: u32,
    set_ref: bool,
    keys: Vec<SigningKey>,
    progress: Arc<dyn Progress>,
}

impl Overlay {
    /// Creates the options to add SDKs, the first one lowest, to the tree of `base`, for a commit
    /// on a ref. An SDK is a release, the commit of a channel, or a layer.
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
            parent: None,
            source_date_epoch: None,
            labeling_epoch: 0,
            set_ref: true,
            keys: Vec::new(),
            progress: Arc::new(NoProgress),
        }
    }

    /// Sets the repository that contains the SDKs. Default: the repository of the base.
    #[must_use]
    pub fn sdk_repo(mut self, repo: Option<Repo>) -> Self {
        self.sdk_repo = repo;
        self
    }

    /// Sets whether files of an SDK replace those of the base and of earlier SDKs, like
    /// rpm-ostree's `ostree-override-layers`. Default: no; it is an error. A file never replaces a
    /// directory, and existing directories keep their owner and mode.
    #[must_use]
    pub fn may_override(mut self, may: bool) -> Self {
        self.may_override = may;
        self
    }

    /// Sets the `version` of the commit. Default: that of the base.
    #[must_use]
    pub fn version(mut self, version: Option<String>) -> Self {
        self.version = version;
        self
    }

    /// Sets the parent of the commit. Default: the commit of the ref.
    #[must_use]
    pub fn parent(mut self, parent: Option<CommitId>) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Sets the time of the commit, in seconds since 1970. Default: the newest time of the base
    /// and the SDKs. It is never before the parent's, because hosts reject older commits.
    #[must_use]
    pub fn source_date_epoch(mut self, seconds: Option<u64>) -> Self {
        self.source_date_epoch = seconds;
        self
    }

    /// Sets the labeling epoch: with 1, labels for `/usr/etc` are looked up as `/etc`, like
    /// `ostree commit --selinux-labeling-epoch=1` and rpm-ostree's `selinux-label-version: 1`.
    /// Default: 0.
    #[must_use]
    pub fn labeling_epoch(mut self, epoch: u32) -> Self {
        self.labeling_epoch = epoch;
        self
    }

    /// Sets whether the ref is moved. Default: yes. If not, the caller has to keep the commit
    /// from being pruned.
    #[must_use]
    pub fn set_ref(mut self, set: bool) -> Self {
        self.set_ref = set;
        self
    }

    setters! {
        /// Sets the keys to sign the commit with, even if it is unchanged. Default: none.
        sign_with;
        /// Sets the receiver of progress. Default: [`NoProgress`].
        progress;
    }

    /// Compares the trees without writing anything.
    ///
    /// # Errors
    /// Returns an error if a commit is missing or incomplete, is for another architecture, is
    /// not an SDK, or has a conflicting path; and if the base's SELinux policy cannot be used.
    pub fn plan<'a>(&'a self, repo: &'a Repo) -> Result<OverlayPlan<'a>, OverlayError> {
        OverlayPlan::new(self, repo)
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("base", &self.base)
            .field("sdks", &self.sdks)
            .field("ref_name", &self.ref_name)
            .finish_non_exhaustive()
    }
}
