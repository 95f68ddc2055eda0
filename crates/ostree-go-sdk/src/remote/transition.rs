//! Writes statements about keys beside a repository.

use super::error::RemoteError;
use super::statement::{
    AddedKey, FILE, KeyTransition, MAX_SIZE, Signed, comparable, file_text, parse_file,
};
use crate::clock::{Clock, SystemClock};
use crate::failpoint;
use crate::fs::atomic;
use crate::fs::context::{IoContext, IoFailure};
use crate::progress::NoProgress;
use crate::repo::{Repo, RepoError};
use crate::setters::setters;
use crate::sign::{SigningKey, Subject, VerificationKey, is_signed_by, sign_text};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A statement to make: a trusted key introduces its successor, or withdraws other keys.
#[derive(Debug, Clone)]
pub struct NewTransition {
    signer: VerificationKey,
    repositories: Vec<String>,
    keys: Vec<SigningKey>,
    adds: Option<VerificationKey>,
    removes: Vec<String>,
    lifetime: Duration,
    clock: Arc<dyn Clock>,
}

/// A statement that is signed but not published.
#[derive(Debug)]
pub struct TransitionPlan {
    repo: Repo,
    statement: KeyTransition,
    signed: Signed,
    now: u64,
}

impl NewTransition {
    /// The default for the time for which a statement can be used: 365 days.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// Creates a statement by `signer`, a public key that the clients trust, for the repositories with
    /// these URLs.
    #[must_use]
    pub fn new(
        signer: VerificationKey,
        repositories: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            signer,
            repositories: repositories.into_iter().map(Into::into).collect(),
            keys: Vec::new(),
            adds: None,
            removes: Vec::new(),
            lifetime: Self::DEFAULT_LIFETIME,
            clock: Arc::new(SystemClock),
        }
    }

    setters! {
        /// Signs with these keys. The signer must be among them, and the key that is introduced as
        /// well, which proves that the publisher has it. Default: none.
        sign_with;
        /// Sets the key that is introduced. It succeeds the signer, whose later statements clients do
        /// not accept. Default: none.
        adds: Option<VerificationKey>;
        /// Sets the keys that clients stop trusting: fingerprints of primary GPG keys, or Ed25519
        /// public keys in base64. Default: none.
        removes: Vec<String>;
        /// Sets the time for which the statement can be used. Default:
        /// [`DEFAULT_LIFETIME`](Self::DEFAULT_LIFETIME).
        lifetime: Duration;
        /// Sets the clock for the times of the statement. Default: the system clock.
        clock;
    }

    /// Makes and signs the statement. Writes nothing.
    ///
    /// # Errors
    /// Returns an error if the statement contradicts itself, a key cannot be used, or the signatures
    /// of the signer and of the introduced key are not both there.
    pub fn plan(&self, repo: &Repo) -> Result<TransitionPlan, RemoteError> {
        let now = self.clock.now();
        let earlier = read(repo)?;
        let last = earlier
            .last()
            .map_or(0, |(statement, _)| statement.sequence);
        let repositories = self.repositories.iter().map(|url| comparable(url));
        let statement = KeyTransition {
            // It increases even if the file was lost.
            sequence: now.max(last.saturating_add(1)),
            repositories: repositories.map(str::to_owned).collect(),
            created: now,
            expires: now.saturating_add(self.lifetime.as_secs()),
            kind: self.signer.kind().to_owned(),
            signer: self.signer.id(),
            adds: self.adds.as_ref().map(|key| AddedKey {
                key: key.id(),
                public: key
                    .as_gpg()
                    .map(|(_, bytes)| bytes.to_vec())
                    .unwrap_or_default(),
            }),
            removes: self.removes.clone(),
        };
        if let Some(other) = self
            .adds
            .as_ref()
            .filter(|key| key.kind() != statement.kind)
        {
            return Err(RemoteError::OtherKind {
                signer: statement.kind,
                found: other.kind().to_owned(),
            });
        }
        let invalid = |problem| RemoteError::InvalidTransition { problem };
        statement.check().map_err(invalid)?;
        let text = statement.to_json();
        let failed = |source| RemoteError::SignTransition {
            source: Box::new(source),
        };
        let signatures =
            sign_text(text.as_bytes(), &self.keys, Subject::KeyTransition).map_err(failed)?;
        for key in [Some(&self.signer), self.adds.as_ref()]
            .into_iter()
            .flatten()
        {
            if !is_signed_by(text.as_bytes(), &signatures, key).map_err(failed)? {
                return Err(RemoteError::NotSignedBy { key: key.id() });
            }
        }
        // A client reads the statement in the same way.
        KeyTransition::parse(&text).map_err(|error| invalid(error.problem))?;
        Ok(TransitionPlan {
            repo: repo.clone(),
            statement,
            signed: Signed {
                statement: text,
                signatures,
            },
            now,
        })
    }
}

impl TransitionPlan {
    /// Returns the statement.
    #[must_use]
    pub const fn statement(&self) -> &KeyTransition {
        &self.statement
    }

    /// Adds the statement to the file `key-transitions.json` in the repository, durably. Statements
    /// that have expired are removed from it.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or written, or another statement was added since
    /// the plan was made.
    pub fn execute(self) -> Result<KeyTransition, RemoteError> {
        let _lock = self.repo.lock(&NoProgress)?;
        let mut all = read(&self.repo)?;
        if all
            .last()
            .is_some_and(|(last, _)| last.sequence >= self.statement.sequence)
        {
            return Err(RemoteError::InvalidTransition {
                problem: "another statement was added at the same time".to_owned(),
            });
        }
        all.retain(|(statement, _)| statement.expires > self.now);
        let mut signed: Vec<Signed> = all.into_iter().map(|(_, signed)| signed).collect();
        signed.push(self.signed);
        let text = file_text(signed);
        // More statements than clients read must not be published.
        parse_file(text.as_bytes()).map_err(|error| RemoteError::InvalidTransition {
            problem: error.problem,
        })?;
        let path = self.repo.path().join(FILE);
        failpoint::hit("transition.signed");
        atomic::write_public(&path, text.as_bytes()).context("write", path)?;
        Ok(self.statement)
    }
}

/// Returns the statements of a repository on this machine, in their order; none if there is no file.
/// Their signatures are not verified.
fn read(repo: &Repo) -> Result<Vec<(KeyTransition, Signed)>, RemoteError> {
    let path = repo.path().join(FILE);
    match read_limited(&path)? {
        None => Ok(Vec::new()),
        Some(bytes) => parse_file(&bytes).map_err(|source| RemoteError::MalformedTransitions {
            from: path.display().to_string(),
            source,
        }),
    }
}

/// Reads a file with statements, or one byte more than it may have; `None` if it does not exist.
pub(super) fn read_limited(path: &Path) -> Result<Option<Vec<u8>>, RepoError> {
    let read = || {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path)?;
        file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if std::io::Error::kind(&error) == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(IoFailure::new("read", path, source).into()),
    }
}
