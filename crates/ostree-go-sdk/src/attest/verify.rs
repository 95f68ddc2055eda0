//! Verifies attestations of commits.

use super::envelope::{Envelope, STATEMENT_TYPE};
use super::error::AttestError;
use super::statement::Statement;
use crate::fs::context::IoContext;
use crate::id::{CommitId, Sha256};
use crate::sign::Signature;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// An attestation whose signature and subject were verified.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VerifiedAttestation {
    /// The statement.
    pub statement: Statement,
    /// The signatures of the envelope, of which at least one is valid.
    pub signatures: Vec<Signature>,
}

/// Reads an envelope from a file, and checks that it has a valid signature by one of the Ed25519 public keys,
/// in base64, and that it contains a statement about a commit. What the statement says is not checked.
///
/// # Errors
/// Returns [`AttestError::InFile`] with the reason.
pub fn verify_attestation(
    path: &Path,
    commit: CommitId,
    keys: &[String],
) -> Result<VerifiedAttestation, AttestError> {
    verify(path, commit, keys).map_err(|source| AttestError::InFile {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

fn verify(
    path: &Path,
    commit: CommitId,
    keys: &[String],
) -> Result<VerifiedAttestation, AttestError> {
    let mut bytes = Vec::new();
    // The parser refuses what exceeds the limit.
    let limit = Envelope::MAX_SIZE as u64 + 1;
    let file = File::open(path).context("read", path)?;
    let read = file.take(limit).read_to_end(&mut bytes);
    read.context("read", path)?;
    let envelope = Envelope::parse(&bytes)?;
    // The payload is not parsed before its signature is verified.
    envelope.verify(keys)?;
    if envelope.payload_type != STATEMENT_TYPE {
        return Err(AttestError::PayloadType {
            found: envelope.payload_type,
            expected: STATEMENT_TYPE,
        });
    }
    let statement = Statement::parse(&envelope.payload)?;
    if !statement.is_about(Sha256(*commit.as_bytes())) {
        return Err(AttestError::OtherSubject {
            found: statement.subjects,
            expected: commit,
        });
    }
    Ok(VerifiedAttestation {
        signatures: envelope.signatures(keys)?,
        statement,
    })
}
