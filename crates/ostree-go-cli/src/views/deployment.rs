//! A deployment.

use super::signature::{SignatureView, signatures};
use super::std_cache::StdCacheView;
use super::value::{Text, Time};
use ostree_go_sdk::deploy::Deployment;
use ostree_go_sdk::{Arch, CommitId, RefName};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct DeploymentView {
    pub version: String,
    pub arch: Text<Arch>,
    #[serde(rename = "ref")]
    pub ref_name: Text<RefName>,
    pub commit: Text<CommitId>,
    pub timestamp: Time,
    pub remote: String,
    pub unsigned: bool,
    pub signatures: Vec<SignatureView>,
    pub verified_at: Time,
    pub deployed_at: Time,
    pub pinned: bool,
    pub std_caches: Vec<StdCacheView>,
}

impl DeploymentView {
    /// Returns the keys whose signatures were valid when the commit was verified.
    pub fn signed_by(&self) -> impl Iterator<Item = &str> {
        let valid = self.signatures.iter().filter(|one| one.is_valid);
        valid.map(|signature| signature.key.as_str())
    }
}

impl From<&Deployment> for DeploymentView {
    fn from(deployment: &Deployment) -> Self {
        let proof = &deployment.proof;
        Self {
            version: deployment.version.clone(),
            arch: Text(deployment.arch),
            ref_name: Text(deployment.ref_name.clone()),
            commit: Text(deployment.commit),
            timestamp: Time(deployment.timestamp),
            remote: proof.remote.clone(),
            unsigned: proof.unsigned,
            signatures: signatures(&proof.signatures),
            verified_at: Time(proof.at),
            deployed_at: Time(deployment.deployed_at),
            pinned: deployment.pinned,
            std_caches: deployment.std_caches.iter().map(Into::into).collect(),
        }
    }
}
