//! Verification of attestations.

use crate::error::CliError;
use crate::files;
use crate::views::signature::{SignatureView, signatures};
use crate::views::value::PathText;
use ostree_go_sdk::CommitId;
use ostree_go_sdk::attest::{VerifiedAttestation, verify_attestation};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct AttestationArgs {
    /// Check that this DSSE envelope is about the commit, and is signed by a trusted key (may be repeated)
    #[arg(long, value_name = "FILE", group = "checks")]
    attestation: Vec<PathBuf>,

    /// Ed25519 public keys for --attestation, one per line, in base64 (default: those of --ed25519-keys)
    #[arg(long, value_name = "FILE", requires = "attestation")]
    attestation_keys: Option<PathBuf>,
}

impl AttestationArgs {
    /// Verifies the attestations. `fallback` is the file with the keys for the commit.
    pub fn verify(
        &self,
        commit: CommitId,
        fallback: Option<&Path>,
    ) -> Result<Vec<AttestationView>, CliError> {
        if self.attestation.is_empty() {
            return Ok(Vec::new());
        }
        let file = self.attestation_keys.as_deref().or(fallback);
        let file = file.ok_or_else(|| CliError::Usage {
            message: "an attestation can only be verified with Ed25519 public keys".to_owned(),
            hint: Some("name a file with --attestation-keys or --ed25519-keys".to_owned()),
        })?;
        let keys = files::read_ed25519_keys(file)?;
        let verified = self.attestation.iter().map(|path| {
            let verified = verify_attestation(path, commit, &keys)?;
            Ok(AttestationView::new(path, &verified))
        });
        verified.collect()
    }
}

#[derive(Serialize)]
pub struct AttestationView {
    path: PathText<PathBuf>,
    predicate_type: String,
    subjects: Vec<SubjectView>,
    signatures: Vec<SignatureView>,
}

#[derive(Serialize)]
struct SubjectView {
    name: String,
    sha256: Option<String>,
}

impl AttestationView {
    fn new(path: &Path, verified: &VerifiedAttestation) -> Self {
        let subjects = verified.statement.subjects.iter();
        Self {
            path: PathText(path.to_owned()),
            predicate_type: verified.statement.predicate_type.clone(),
            subjects: subjects
                .map(|subject| SubjectView {
                    name: subject.name.clone(),
                    sha256: subject.sha256().map(|sha256| sha256.to_string()),
                })
                .collect(),
            signatures: signatures(&verified.signatures),
        }
    }

    /// Returns the lines for people.
    pub fn human(&self) -> String {
        let valid = self.signatures.iter().filter(|one| one.is_valid);
        let keys: Vec<&str> = valid.map(|one| one.key.as_str()).collect();
        format!(
            "attested  {} in {}, signed by {}\n",
            self.predicate_type.escape_debug(),
            self.path.0.display(),
            keys.join(" and ")
        )
    }
}
