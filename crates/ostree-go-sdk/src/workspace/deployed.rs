//! Compares a lock with the one that a commit or an image was made with.

use super::drift::{Drift, DriftKind};
use super::error::WorkspaceError;
use super::lock::{LOCK_FILE_NAME, Lock};
use crate::catalog::CommitInfo;
use crate::id::Sha256;
use crate::metadata::SDK_WORKSPACE;
use crate::pull::ImageLabels;

impl Lock {
    /// Compares the digest of the lock with the one in the metadata of a commit, and returns the
    /// difference. `name` is what messages call the commit.
    ///
    /// # Errors
    /// Returns [`WorkspaceError::NoDeployedLock`] if the commit records no digest.
    pub fn compare_with_commit(
        &self,
        name: &str,
        commit: &CommitInfo,
    ) -> Result<Option<Drift>, WorkspaceError> {
        self.compare_with(name, commit.workspace)
    }

    /// Compares the digest of the lock with the one in the labels of an image, and returns the
    /// difference. `name` is what messages call the image.
    ///
    /// # Errors
    /// Returns [`WorkspaceError::NoDeployedLock`] if the image has no label with a digest.
    pub fn compare_with_image(
        &self,
        name: &str,
        image: &ImageLabels,
    ) -> Result<Option<Drift>, WorkspaceError> {
        let name = match &image.platform {
            Some(platform) => format!("{name} for {platform}"),
            None => name.to_owned(),
        };
        let label = image.labels.get(SDK_WORKSPACE);
        self.compare_with(&name, label.and_then(|digest| digest.parse().ok()))
    }

    fn compare_with(
        &self,
        name: &str,
        recorded: Option<Sha256>,
    ) -> Result<Option<Drift>, WorkspaceError> {
        let expected = recorded.ok_or_else(|| WorkspaceError::NoDeployedLock {
            deployed: name.into(),
        })?;
        let found = self.digest();
        let drift = Drift::new(".", DriftKind::DeployedLock)
            .at(LOCK_FILE_NAME, None)
            .expected(format!("{expected} in {name}"))
            .found(found.to_string());
        Ok((found != expected).then_some(drift))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::LockedSdk;
    use std::collections::BTreeMap;

    #[test]
    fn digests_are_compared_and_have_to_be_recorded() {
        let sdk = LockedSdk {
            deployments: BTreeMap::new(),
            h1: None,
            version: "1.26.5".to_owned(),
        };
        let lock = Lock::new(sdk, BTreeMap::new(), Vec::new());
        let mut image = ImageLabels {
            platform: Some("linux/amd64".to_owned()),
            labels: BTreeMap::new(),
        };
        let compare = |image: &ImageLabels| lock.compare_with_image("oci:a", image);
        let error = compare(&image).unwrap_err().to_string();
        let expected = "oci:a for linux/amd64 does not record the lock of a workspace";
        assert_eq!(error, expected);
        let mut label = |digest: String| {
            image.labels.insert(SDK_WORKSPACE.to_owned(), digest);
            compare(&image)
        };
        assert!(label("00ff".to_owned()).is_err(), "half a digest");
        assert_eq!(label(lock.digest().to_string()).unwrap(), None);
        let drift = label("0".repeat(64)).unwrap().unwrap();
        assert_eq!(drift.what, DriftKind::DeployedLock);
        let expected = format!("{} in oci:a for linux/amd64", "0".repeat(64));
        assert_eq!(drift.expected.unwrap(), expected);
        assert_eq!(drift.found.unwrap(), lock.digest().to_string());
    }
}
