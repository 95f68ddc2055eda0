//! What a root remembers: its deployments and their activations, as one JSON file.

use super::error::{DeployError, io};
use crate::arch::Arch;
use crate::fs::atomic;
use crate::id::{CommitId, RefName};
use crate::sign::{Proof, Signature, SignatureStatus, Verified};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The schema that is written. A file with a higher number is refused.
const SCHEMA: u32 = 1;
/// Older activations are forgotten.
const HISTORY: usize = 200;

/// A deployment: a release on a host, and how it came there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deployment {
    /// Its commit; the name of its folder.
    #[serde(with = "text")]
    pub commit: CommitId,
    /// The ref it was installed from.
    #[serde(rename = "ref", with = "text")]
    pub ref_name: RefName,
    /// Go's version, without `go`.
    pub version: String,
    /// The machine it is for.
    #[serde(with = "text")]
    pub arch: Arch,
    /// The commit's time, in seconds since 1970.
    pub timestamp: u64,
    /// When, from where and by which signatures it was verified.
    #[serde(with = "proof")]
    pub proof: Proof,
    /// When it was deployed, in seconds since 1970.
    pub deployed_at: u64,
    /// When its tree was last found damaged. A rollback passes over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged_at: Option<u64>,
    /// Whether a garbage collection must keep it.
    #[serde(default)]
    pub pinned: bool,
}

impl Deployment {
    /// The commit with the proof from when it was verified: it stands whatever became of the
    /// key since.
    #[must_use]
    pub fn verified(&self) -> Verified<CommitId> {
        Verified::new(self.commit, self.proof.clone())
    }

    /// Returns whether another deployment is of the same ref and for the same machine.
    pub(super) fn is_of_channel(&self, other: &Self) -> bool {
        (&self.ref_name, self.arch) == (&other.ref_name, other.arch)
    }

    /// The keys whose signatures were good when it was verified.
    pub fn signed_by(&self) -> impl Iterator<Item = &str> {
        let valid = |s: &&Signature| s.status == SignatureStatus::Valid;
        let signatures = self.proof.signatures.iter().filter(valid);
        signatures.map(|signature| signature.key.as_str())
    }
}

/// Why a deployment became active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Action {
    /// It was installed.
    Install,
    /// Its channel moved to it.
    Upgrade,
    /// It was chosen.
    Use,
    /// The one before it was left.
    Rollback,
    /// Somebody set the link by other means.
    Found,
    /// It was removed while it was active; nothing is active since.
    Uninstall,
}

impl Action {
    /// A stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Use => "use",
            Self::Rollback => "rollback",
            Self::Found => "found",
            Self::Uninstall => "uninstall",
        }
    }
}

/// An entry of the history: a deployment became active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Activation {
    /// When, in seconds since 1970.
    pub at: u64,
    /// Why.
    pub action: Action,
    /// The deployment. It may be gone by now.
    #[serde(with = "text")]
    pub commit: CommitId,
    /// Its ref.
    #[serde(rename = "ref", with = "text")]
    pub ref_name: RefName,
    /// Its version.
    pub version: String,
    /// The remote it came from.
    pub remote: String,
    /// The keys it was signed by; empty for one of an unsigned remote.
    pub signed_by: Vec<String>,
}

/// The content of the state file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// In the order they were deployed.
    pub(super) deployments: Vec<Deployment>,
    /// Oldest first. The last entry is the active one, unless a crash came between.
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
    /// Reads the file; returns `None` when there is none.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, DeployError> {
        let text = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(io("read", path))?,
        };
        let invalid = |source| DeployError::InvalidState {
            path: path.to_owned(),
            source,
        };
        // The number is read on its own, so that any shape may follow it.
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

    /// Returns whether a file is a state file, of whatever schema.
    pub(super) fn is_state(path: &Path) -> bool {
        let text = std::fs::read(path);
        text.is_ok_and(|text| serde_json::from_slice::<Head>(&text).is_ok())
    }

    /// Returns what differs between two versions of the file: each is a file of its own.
    pub(super) fn version(path: &Path) -> Result<Option<(u64, u64, i64, i64)>, DeployError> {
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            found => {
                let found = found.map_err(io("look at", path))?;
                let (seconds, nanoseconds) = (found.mtime(), found.mtime_nsec());
                Ok(Some((found.ino(), found.len(), seconds, nanoseconds)))
            }
        }
    }

    /// Replaces the file, durably.
    pub(super) fn save(&self, path: &Path) -> Result<(), DeployError> {
        let skip = self.history.len().saturating_sub(HISTORY);
        let document = Document {
            schema: SCHEMA,
            deployments: self.deployments.clone(),
            history: self.history[skip..].to_vec(),
        };
        let mut text =
            serde_json::to_vec_pretty(&document).map_err(|source| DeployError::InvalidState {
                path: path.to_owned(),
                source,
            })?;
        text.push(b'\n');
        atomic::write(path, &text).map_err(io("write", path))
    }

    pub(super) fn get(&self, commit: CommitId) -> Option<&Deployment> {
        self.deployments.iter().find(|d| d.commit == commit)
    }

    pub(super) fn get_mut(&mut self, commit: CommitId) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|d| d.commit == commit)
    }

    /// Drops the last activation if it was written down and never happened: it contradicts the
    /// link, and what was before it does not. A link that contradicts both was changed by other
    /// means; the history stays then.
    pub(super) fn settle(&mut self, active: Option<CommitId>) {
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

    /// What a rollback would go to: the deployments that were active before, latest first.
    pub(super) fn rollback_targets(&self, active: Option<CommitId>) -> Vec<CommitId> {
        let mut targets = Vec::new();
        for activation in self.history.iter().rev() {
            let commit = activation.commit;
            let usable = self.get(commit).is_some_and(|d| d.damaged_at.is_none());
            let usable = usable && activation.action != Action::Uninstall;
            if usable && Some(commit) != active && !targets.contains(&commit) {
                targets.push(commit);
            }
        }
        targets
    }
}

/// Values that have one text form.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A proof, as it was when it was made.
mod proof {
    use super::{Deserialize, Proof, Serialize, Signature, SignatureStatus};
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Record {
        remote: String,
        unsigned: bool,
        verified_at: u64,
        signatures: Vec<SignatureRecord>,
    }

    #[derive(Serialize, Deserialize)]
    struct SignatureRecord {
        status: String,
        kind: String,
        key: String,
        primary_key: Option<String>,
        user: Option<String>,
        created: Option<u64>,
        expires: Option<u64>,
        key_expires: Option<u64>,
    }

    pub(super) fn serialize<S: Serializer>(
        proof: &Proof,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let signatures = proof.signatures.iter().map(|s| SignatureRecord {
            status: s.status.as_str().to_owned(),
            kind: s.kind.to_owned(),
            key: s.key.clone(),
            primary_key: s.primary_key.clone(),
            user: s.user.clone(),
            created: s.created,
            expires: s.expires,
            key_expires: s.key_expires,
        });
        let record = Record {
            remote: proof.remote.clone(),
            unsigned: proof.unsigned,
            verified_at: proof.at,
            signatures: signatures.collect(),
        };
        record.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Proof, D::Error> {
        let record = Record::deserialize(de)?;
        let signatures = record.signatures.into_iter().map(|s| Signature {
            status: status(&s.status),
            kind: if s.kind == "ed25519" {
                "ed25519"
            } else {
                "gpg"
            },
            key: s.key,
            primary_key: s.primary_key,
            user: s.user,
            created: s.created,
            expires: s.expires,
            key_expires: s.key_expires,
        });
        Ok(Proof {
            signatures: signatures.collect(),
            remote: record.remote,
            unsigned: record.unsigned,
            at: record.verified_at,
        })
    }

    /// An unknown word is no good signature.
    fn status(word: &str) -> SignatureStatus {
        use SignatureStatus as S;
        [
            S::Valid,
            S::UnknownKey,
            S::KeyExpired,
            S::KeyRevoked,
            S::Expired,
            S::Malformed,
        ]
        .into_iter()
        .find(|status| status.as_str() == word)
        .unwrap_or(S::Bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        }
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        assert_eq!(State::load(&path).unwrap(), None);
        assert!(!State::is_state(&path));
        let state = State {
            deployments: vec![deployment(1), deployment(2)],
            history: vec![activation(1)],
        };
        state.save(&path).unwrap();
        assert_eq!(State::load(&path).unwrap(), Some(state.clone()));
        assert!(State::is_state(&path));
        let before = State::version(&path).unwrap();
        state.save(&path).unwrap();
        assert_ne!(State::version(&path).unwrap(), before);
    }

    #[test]
    fn refuses_a_newer_schema_whatever_its_shape() {
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
    fn the_link_decides_what_happened() {
        let mut state = State {
            deployments: vec![deployment(1), deployment(2)],
            history: vec![activation(1), activation(2), activation(1)],
        };
        // Killed before the third switch.
        state.settle(Some([2; 32].into()));
        assert_eq!(state.history, [activation(1), activation(2)]);
        assert_eq!(
            state.rollback_targets(Some([2; 32].into())),
            [[1; 32].into()]
        );
        assert_eq!(
            state.rollback_targets(Some([1; 32].into())),
            [[2; 32].into()]
        );
        // Set by hand to something never activated, or removed by hand: history stays.
        state.settle(Some([7; 32].into()));
        state.settle(None);
        assert_eq!(state.history.len(), 2);
        // Killed before the first switch.
        state.history.truncate(1);
        state.settle(None);
        assert!(state.history.is_empty());
    }
}
