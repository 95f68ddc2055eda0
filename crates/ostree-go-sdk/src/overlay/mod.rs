//! SDKs laid over the tree of an OS: the commit that rpm-ostree's `ostree-layers` would give,
//! without rpm-ostree.
//!
//! [`Overlay`] holds what the caller wants, [`Overlay::plan`] compares the trees, and
//! [`OverlayPlan::execute`] writes the commit, in one transaction. The objects of the base are
//! used as they are: its files are not read, whatever their owners and xattrs.

mod error;
mod files;
mod labels;
mod plan;
mod tree;

pub use error::{OverlayDifference, OverlayError, OverlaySide};
pub use plan::{Overlaid, OverlayPlan, OverlayWarning};

use crate::id::{CommitId, RefName};
use crate::progress::{Progress, Silent};
use crate::repo::Repo;
use crate::setters::setters;
use crate::sign::SigningKey;
use std::fmt;
use std::sync::Arc;

/// Which SDKs to lay over which OS, and how. Every setter has a default that suits most callers.
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
    /// Lays SDKs, the first one lowest, over the tree of a base, for a commit on a ref. An SDK is
    /// a release, what a channel has, or a layer.
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
            progress: Arc::new(Silent),
        }
    }

    /// The repository that has the SDKs. Default: the one that has the base.
    #[must_use]
    pub fn sdk_repo(mut self, repo: Option<Repo>) -> Self {
        self.sdk_repo = repo;
        self
    }

    /// Lets files of an SDK take the place of the base's and of earlier SDKs', as rpm-ostree's
    /// `ostree-override-layers` does. Default: no, that is an error. A file never takes the place
    /// of a directory, and directories that are there keep their owner and mode.
    #[must_use]
    pub fn may_override(mut self, may: bool) -> Self {
        self.may_override = may;
        self
    }

    /// The `version` of the commit. Default: the base's.
    #[must_use]
    pub fn version(mut self, version: Option<String>) -> Self {
        self.version = version;
        self
    }

    /// The commit before the new one. Default: what the ref names.
    #[must_use]
    pub fn parent(mut self, parent: Option<CommitId>) -> Self {
        self.parent = Some(parent);
        self
    }

    /// The time of the commit, in seconds since 1970. Default: the newest of the base's and the
    /// SDKs'. It is never before the parent's: hosts refuse to go back in time.
    #[must_use]
    pub fn source_date_epoch(mut self, seconds: Option<u64>) -> Self {
        self.source_date_epoch = seconds;
        self
    }

    /// How labels are looked up: 1 takes `/usr/etc` for `/etc`, as `ostree commit
    /// --selinux-labeling-epoch=1` and rpm-ostree's `selinux-label-version: 1` do. Default: 0.
    #[must_use]
    pub fn labeling_epoch(mut self, epoch: u32) -> Self {
        self.labeling_epoch = epoch;
        self
    }

    /// Moves the ref. Default: yes. Without, it is the caller who keeps the commit from being
    /// pruned.
    #[must_use]
    pub fn set_ref(mut self, set: bool) -> Self {
        self.set_ref = set;
        self
    }

    setters! {
        /// Signs the commit with these keys, one that was there before as well. Default: none.
        sign_with;
        /// Who hears what happens. Default: [`Silent`].
        progress;
    }

    /// Compares the trees. Writes nothing.
    ///
    /// # Errors
    /// When a commit is not there or not complete, is for another machine, is no SDK, or has a
    /// path that is taken; when the base's SELinux policy cannot be used.
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
