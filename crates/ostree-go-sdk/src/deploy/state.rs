//! The state file of a root: its deployments and the history of activations, as JSON.

use super::activation::{Action, Activation};
use super::encoding;
use super::error::DeployError;
use super::selection::StdCacheSelection;
use crate::arch::Arch;
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, RefName};
use crate::sign::{Proof, Signature, SignatureStatus, Verified};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The schema version that is written. A file with a higher version is refused.
const SCHEMA: u32 = 1;
/// Maximum number of activations in the history. Older ones are dropped.
const HISTORY: usize = 200;

/// A deployment: a release that is checked out on a host, and its provenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deployment {
    /// The commit, which is also the name of the deployment's folder.
    #[serde(with = "encoding::text")]
    pub commit: CommitId,
    /// The ref that it was installed from.
    #[serde(rename = "ref", with = "encoding::text")]
    pub ref_name: RefName,
    /// The Go version, without the prefix `go`.
    pub version: String,
    /// The architecture that it is for.
    #[serde(with = "encoding::text")]
    pub arch: Arch,
    /// The timestamp of the commit, in seconds since 1970.
    pub timestamp: u64,
    /// The time, remote and signatures of its verification.
    #[serde(with = "encoding::proof")]
    pub proof: Proof,
    /// The time of deployment, in seconds since 1970.
    pub deployed_at: u64,
    /// The time at which its tree was found damaged, in seconds since 1970; `None` if it is not
    /// known to be damaged. A rollback skips damaged deployments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged_at: Option<u64>,
    /// True if a garbage collection must keep the deployment.
    #[serde(default)]
    pub pinned: bool,
    /// The std caches that are installed with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub std_caches: Vec<DeployedStdCache>,
    /// The selection of std caches, which the next upgrade uses again.
    #[serde(default, with = "encoding::selection")]
    pub std_cache_selection: StdCacheSelection,
}

/// A std cache that is installed with an SDK, in a folder of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeployedStdCache {
    /// The target and the mode.
    #[serde(with = "encoding::text")]
    pub id: StdCacheId,
    /// The commit, which is also the name of its folder.
    #[serde(with = "encoding::text")]
    pub commit: CommitId,
    /// The ref that it was installed from.
    #[serde(rename = "ref", with = "encoding::text")]
    pub ref_name: RefName,
    /// The size of its files in bytes, if the commit declares it.
    #[serde(default)]
    pub bytes: Option<u64>,
}

impl Deployment {
    /// Returns the commit with the proof of its verification, which stays valid even if the key has
    /// expired or was revoked since.
    #[must_use]
    pub fn verified(&self) -> Verified<CommitId> {
        Verified::new(self.commit, self.proof.clone())
    }

    /// Returns true if another deployment has the same ref and architecture.
    pub(super) fn is_same_channel(&self, other: &Self) -> bool {
        (&self.ref_name, self.arch) == (&other.ref_name, other.arch)
    }

    /// Returns the keys whose signatures were valid when the commit was verified.
    pub fn signed_by(&self) -> impl Iterator<Item = &str> {
        let valid = |s: &&Signature| s.status == SignatureStatus::Valid;
        let signatures = self.proof.signatures.iter().filter(valid);
        signatures.map(|signature| signature.key.as_str())
    }
}

/// The content of the state file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The deployments, in the order in which they were deployed.
    pub(super) deployments: Vec<Deployment>,
    /// The activations, oldest first. The last entry is the active deployment, unless a crash
    /// interrupted a switch.
    pub(super) history: Vec<Activation>,
}

#[derive(Deserialize)]
struct Head {
    schema: u32,
}

#[derive(Serialize, Deserialize)]
struct Document {
    schema: u32,
    #[serde(default)]
    deployments: Vec<Deployment>,
    #[serde(default)]
    history: Vec<Activation>,
}

impl State {
    /// Reads the file; returns `None` if it does not exist.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, DeployError> {
        let text = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.context("read", path)?,
        };
        let invalid = |error: serde_json::Error| DeployError::InvalidState {
            path: path.to_owned(),
            source: error.into(),
        };
        // The schema version is read separately, because a newer schema may have any other content.
        let head: Head = serde_json::from_slice(&text).map_err(invalid)?;
        if head.schema > SCHEMA {
            return Err(DeployError::NewerState {
                path: path.to_owned(),
                found: head.schema,
                known: SCHEMA,
            });
        }
        let document: Document = serde_json::from_slice(&text).map_err(invalid)?;
        Ok(Some(Self {
            deployments: document.deployments,
            history: document.history,
        }))
    }

    /// Returns true if a file is a state file, of any schema version.
    pub(super) fn is_state(path: &Path) -> bool {
        let text = std::fs::read(path);
        text.is_ok_and(|text| serde_json::from_slice::<Head>(&text).is_ok())
    }

    /// Returns values that differ between two versions of the file, because each version is a new
    /// file: inode, size and modification time.
    pub(super) fn file_version(path: &Path) -> Result<Option<(u64, u64, i64, i64)>, DeployError> {
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            found => {
                let found = found.context("look at", path)?;
                let (seconds, nanoseconds) = (found.mtime(), found.mtime_nsec());
                Ok(Some((found.ino(), found.len(), seconds, nanoseconds)))
            }
        }
    }

    /// Replaces the file atomically and durably.
    pub(super) fn save(&self, path: &Path) -> Result<(), DeployError> {
        let skip = self.history.len().saturating_sub(HISTORY);
        let document = Document {
            schema: SCHEMA,
            deployments: self.deployments.clone(),
            history: self.history[skip..].to_vec(),
        };
        let mut text =
            serde_json::to_vec_pretty(&document).map_err(|error| DeployError::InvalidState {
                path: path.to_owned(),
                source: error.into(),
            })?;
        text.push(b'\n');
        Ok(atomic::write(path, &text).context("write", path)?)
    }

    pub(super) fn get(&self, commit: CommitId) -> Option<&Deployment> {
        self.deployments.iter().find(|d| d.commit == commit)
    }

    pub(super) fn get_mut(&mut self, commit: CommitId) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|d| d.commit == commit)
    }

    /// Returns true if a commit is a deployment, or a std cache of one.
    pub(super) fn uses(&self, commit: CommitId) -> bool {
        self.get(commit).is_some() || self.std_caches().any(|cache| cache.commit == commit)
    }

    /// Returns the std caches of all deployments. Deployments of the same version share theirs.
    pub(super) fn std_caches(&self) -> impl Iterator<Item = &DeployedStdCache> {
        let deployments = self.deployments.iter();
        deployments.flat_map(|deployment| &deployment.std_caches)
    }

    /// Returns the selections of the last deployments of refs for an architecture.
    pub(super) fn std_cache_selections(&self, arch: Arch) -> BTreeMap<RefName, StdCacheSelection> {
        let deployments = self.deployments.iter().filter(|d| d.arch == arch);
        let selections = deployments.map(|d| (d.ref_name.clone(), d.std_cache_selection.clone()));
        // Later deployments replace earlier ones.
        selections.collect()
    }

    /// Drops the last activation if the switch did not happen: the link `current` contradicts this
    /// activation and agrees with the one before it. If the link contradicts both, it was changed
    /// without this library, and the history is kept.
    pub(super) fn drop_contradicted_activation(&mut self, active: Option<CommitId>) {
        let agrees = |entry: Option<&Activation>| match entry {
            Some(a) if a.action != Action::Uninstall => active == Some(a.commit),
            _ => active.is_none(),
        };
        if let [before @ .., last] = self.history.as_slice()
            && !agrees(Some(last))
            && agrees(before.last())
        {
            self.history.pop();
        }
    }

    /// Returns true if the activation at an index was undone because a required hook failed.
    pub(super) fn is_undone(&self, at: usize) -> bool {
        self.history
            .get(at + 1)
            .is_some_and(|next| next.switched_back)
    }

    /// Returns the candidates of a rollback: the undamaged deployments that were active before,
    /// latest first. An activation that was undone because a required hook failed does not count.
    pub(super) fn rollback_targets(&self, active: Option<CommitId>) -> Vec<CommitId> {
        let mut targets = Vec::new();
        for (at, activation) in self.history.iter().enumerate().rev() {
            let commit = activation.commit;
            let usable = self.get(commit).is_some_and(|d| d.damaged_at.is_none());
            let usable = usable && activation.action != Action::Uninstall && !self.is_undone(at);
            if usable && Some(commit) != active && !targets.contains(&commit) {
                targets.push(commit);
            }
        }
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::hooks::{HookKind, HookOutcome, HookResult};

    fn deployment(byte: u8) -> Deployment {
        Deployment {
            commit: [byte; 32].into(),
            ref_name: "go-sdk/x86_64/1.26".parse().unwrap(),
            version: format!("1.26.{byte}"),
            arch: Arch::X86_64,
            timestamp: 5,
            proof: Proof {
                remote: "acme".to_owned(),
                signatures: vec![Signature {
                    status: SignatureStatus::KeyExpired,
                    kind: "ed25519",
                    key: "abc".to_owned(),
                    primary_key: None,
                    user: Some("A <a@example.com>".to_owned()),
                    created: Some(1),
                    expires: None,
                    key_expires: Some(2),
                }],
                unsigned: false,
                at: 7,
            },
            deployed_at: 8,
            damaged_at: None,
            pinned: false,
            std_caches: Vec::new(),
            std_cache_selection: StdCacheSelection::native(),
        }
    }

    fn commit(byte: u8) -> CommitId {
        [byte; 32].into()
    }

    fn std_cache(byte: u8) -> DeployedStdCache {
        DeployedStdCache {
            id: "x86_64-plain".parse().unwrap(),
            commit: [byte; 32].into(),
            ref_name: "go-sdk/stdcache/1.26.1/x86_64-plain".parse().unwrap(),
            bytes: Some(12),
        }
    }

    fn activation(byte: u8) -> Activation {
        let deployment = deployment(byte);
        Activation {
            at: 9,
            action: Action::Use,
            commit: deployment.commit,
            ref_name: deployment.ref_name,
            version: deployment.version,
            remote: deployment.proof.remote,
            signed_by: Vec::new(),
            hooks: Vec::new(),
            switched_back: false,
        }
    }

    #[test]
    fn saved_state_loads_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        assert_eq!(State::load(&path).unwrap(), None);
        assert!(!State::is_state(&path));
        let mut state = State {
            deployments: vec![deployment(1), deployment(2)],
            history: vec![activation(1)],
        };
        state.deployments[0].std_caches.push(std_cache(3));
        state.deployments[0].std_cache_selection = StdCacheSelection::none();
        state.save(&path).unwrap();
        assert_eq!(State::load(&path).unwrap(), Some(state.clone()));
        assert!(State::is_state(&path));
        let before = State::file_version(&path).unwrap();
        state.save(&path).unwrap();
        assert_ne!(State::file_version(&path).unwrap(), before);
    }

    #[test]
    fn an_activation_that_was_undone_is_no_target_of_a_rollback() {
        let back = Activation {
            action: Action::Rollback,
            switched_back: true,
            ..activation(2)
        };
        let mut state = State {
            deployments: vec![deployment(1), deployment(2), deployment(3)],
            history: vec![activation(1), activation(2), activation(3), back],
        };
        let (one, two, three) = (commit(1), commit(2), commit(3));
        assert_eq!(state.rollback_targets(Some(two)), [one]);
        // It was active before, and its hooks succeeded then.
        state.history.insert(0, activation(3));
        assert_eq!(state.rollback_targets(Some(two)), [one, three]);
        let hook = HookResult::new("a", HookKind::Required, HookOutcome::Pending);
        state.history[3].hooks.push(hook);
        let (hooks, is_undone) = state.hooks_of(three);
        assert_eq!((hooks.len(), is_undone), (1, true));
        assert_eq!(state.hooks_of(two), (Vec::new(), false));
    }

    #[test]
    fn a_deployment_without_std_caches_was_written_by_an_older_version() {
        let mut value = serde_json::to_value(deployment(1)).unwrap();
        let object = value.as_object_mut().unwrap();
        assert!(!object.contains_key("std_caches"));
        object.remove("std_cache_selection").unwrap();
        let read: Deployment = serde_json::from_value(value).unwrap();
        assert_eq!(read, deployment(1));
    }

    #[test]
    fn std_caches_belong_to_their_deployments() {
        let mut state = State {
            deployments: vec![deployment(1), deployment(2)],
            history: Vec::new(),
        };
        state.deployments[1].std_caches.push(std_cache(3));
        state.deployments[1].std_cache_selection = StdCacheSelection::none();
        for (byte, used) in [(1, true), (2, true), (3, true), (4, false)] {
            assert_eq!(state.uses([byte; 32].into()), used, "{byte}");
        }
        // Both deployments have the same ref.
        let selections = state.std_cache_selections(Arch::X86_64);
        assert_eq!(
            selections.into_values().collect::<Vec<_>>(),
            [StdCacheSelection::none()]
        );
        assert!(state.std_cache_selections(Arch::Aarch64).is_empty());
    }

    #[test]
    fn newer_schema_is_refused_whatever_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        std::fs::write(&path, r#"{"schema": 2, "deployments": {"a": 1}}"#).unwrap();
        let error = State::load(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("has schema 2, expected at most 1"),
            "{error}"
        );
        std::fs::write(&path, "{").unwrap();
        let error = State::load(&path).unwrap_err();
        assert!(matches!(error, DeployError::InvalidState { .. }));
    }

    #[test]
    fn history_entry_that_contradicts_the_link_is_dropped() {
        let mut state = State {
            deployments: vec![deployment(1), deployment(2)],
            history: vec![activation(1), activation(2), activation(1)],
        };
        // The process was killed before the third switch.
        state.drop_contradicted_activation(Some([2; 32].into()));
        assert_eq!(state.history, [activation(1), activation(2)]);
        assert_eq!(
            state.rollback_targets(Some([2; 32].into())),
            [[1; 32].into()]
        );
        assert_eq!(
            state.rollback_targets(Some([1; 32].into())),
            [[2; 32].into()]
        );
        // The link was set manually to a commit that was never active, or removed: the history is
        // kept.
        state.drop_contradicted_activation(Some([7; 32].into()));
        state.drop_contradicted_activation(None);
        assert_eq!(state.history.len(), 2);
        // The process was killed before the first switch.
        state.history.truncate(1);
        state.drop_contradicted_activation(None);
        assert!(state.history.is_empty());
    }
}
