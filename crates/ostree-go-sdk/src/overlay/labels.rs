//! SELinux labels, as libostree assigns them when it commits with the policy of a base.

use super::OverlayError;
use crate::fs::path::TreePath;
use crate::id::CommitId;
use crate::repo::{OstreeError, Repo};
use std::sync::{Mutex, PoisonError};

/// A file's xattrs: names and values, each with a final NUL.
type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Name of the xattr for labels.
const NAME: &[u8] = b"security.selinux\0";

/// The SELinux policy of a base, if it has one.
pub(super) struct Labels {
    base: CommitId,
    /// In a mutex because several threads use it.
    policy: Option<Mutex<ostree::SePolicy>>,
    epoch: u32,
}

impl Labels {
    /// Reads the policy from `/usr/etc/selinux` of a commit. No other files of the base are read.
    pub(super) fn of_base(repo: &Repo, base: CommitId, epoch: u32) -> Result<Self, OverlayError> {
        // libselinux keeps the policy's folder in a process-wide variable while it opens it.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let id = base.to_string();
        let policy = ostree::SePolicy::from_commit(repo.as_ostree(), &id, gio::Cancellable::NONE)
            .map_err(|source| OverlayError::Policy {
            action: "label".to_owned(),
            base,
            source: OstreeError::new(source),
        })?;
        Ok(Self {
            base,
            policy: policy.name().is_some().then(|| Mutex::new(policy)),
            epoch,
        })
    }

    /// Returns whether there is a policy.
    pub(super) fn has_policy(&self) -> bool {
        self.policy.is_some()
    }

    /// Adds the label of a path to its xattrs; returns `false` if the policy has no label for it.
    ///
    /// Source: `get_final_xattrs` in `ostree-repo-commit.c`, labeling epochs 0 and 1.
    pub(super) fn apply(
        &self,
        path: &TreePath,
        mode: u32,
        xattrs: &mut Xattrs,
    ) -> Result<bool, OverlayError> {
        let Some(policy) = &self.policy else {
            return Ok(false);
        };
        let is_etc = path.as_str() == "usr/etc" || path.as_str().starts_with("usr/etc/");
        let seen = match path.as_str().strip_prefix("usr") {
            Some(below) if is_etc && self.epoch > 0 => below.to_owned(),
            _ => format!("/{path}"),
        };
        let label = policy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .label(&seen, mode, gio::Cancellable::NONE)
            .map_err(|source| OverlayError::Policy {
                action: format!("label {seen}"),
                base: self.base,
                source: OstreeError::new(source),
            })?;
        let Some(label) = label else {
            return Ok(false);
        };
        xattrs.retain(|(name, _)| name != NAME);
        let mut value = label.as_bytes().to_vec();
        value.push(0);
        xattrs.push((NAME.to_vec(), value));
        Ok(true)
    }
}
