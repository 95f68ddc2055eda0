//! Makes the attestations of a release.

use super::envelope::{Envelope, STATEMENT_TYPE};
use super::error::AttestError;
use super::facts::Facts;
use super::json;
use super::statement::Statement;
use super::subject::Subject;
use super::{cyclonedx, provenance, spdx};
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::id::{CommitId, Sha256};
use crate::repo::Repo;
use crate::setters::setters;
use crate::sign::SigningKey;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The URI of the builder in provenance, unless another one is set: `ostree-go` on a machine of whoever
/// signs.
pub const BUILDER: &str = "https://github.com/ostree-go/ostree-go";

/// The media type of a DSSE envelope. Source: the DSSE specification, `envelope.md`, and the media types
/// of cosign.
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// The kind of an attestation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AttestationKind {
    /// Provenance in the format of SLSA 1.0: what the release was composed from.
    Slsa,
    /// The bill of materials in the format of SPDX 2.3.
    Spdx,
    /// The bill of materials in the format of CycloneDX 1.6.
    CycloneDx,
}

impl AttestationKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Slsa, Self::Spdx, Self::CycloneDx];

    /// Returns a stable lower-case word: `slsa`, `spdx` or `cyclonedx`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slsa => "slsa",
            Self::Spdx => "spdx",
            Self::CycloneDx => "cyclonedx",
        }
    }

    /// Returns the type of the statement's predicate.
    #[must_use]
    pub const fn predicate_type(self) -> &'static str {
        match self {
            Self::Slsa => provenance::PREDICATE,
            Self::Spdx => spdx::PREDICATE,
            Self::CycloneDx => cyclonedx::PREDICATE,
        }
    }

    /// Returns the end of the file name, before `.json`. Those of bills of materials are what other
    /// tools recognize them by.
    const fn extension(self) -> &'static str {
        match self {
            Self::Slsa => "slsa",
            Self::Spdx => "spdx",
            Self::CycloneDx => "cdx",
        }
    }

    /// Returns the media type of the document without an envelope. Source: the media type registry of
    /// IANA.
    const fn media_type(self) -> &'static str {
        match self {
            Self::Slsa => STATEMENT_TYPE,
            Self::Spdx => "application/spdx+json",
            Self::CycloneDx => "application/vnd.cyclonedx+json",
        }
    }
}

/// Options of attestations.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AttestOptions {
    kinds: Vec<AttestationKind>,
    keys: Vec<SigningKey>,
    builder: String,
    images: Vec<Subject>,
}

impl Default for AttestOptions {
    fn default() -> Self {
        Self {
            kinds: AttestationKind::ALL.to_vec(),
            keys: Vec::new(),
            builder: BUILDER.to_owned(),
            images: Vec::new(),
        }
    }
}

impl AttestOptions {
    setters! {
        /// Sets the kinds, in the order of the result. Default: [`AttestationKind::ALL`].
        kinds: Vec<AttestationKind>;
        /// Sets the Ed25519 keys to sign with. Default: none; the documents are not in an envelope then.
        sign_with;
        /// Sets the URI of the builder in provenance. Default: [`BUILDER`].
        builder: String;
        /// Sets images that the statements are about as well, because they contain the commit. Default:
        /// none.
        images: Vec<Subject>;
    }
}

/// An attestation of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attestation {
    /// The kind.
    pub kind: AttestationKind,
    /// The proposed name of the file: `go-1.26.5-x86_64.slsa.json`, or `….slsa.dsse.json` with
    /// signatures.
    pub file_name: String,
    /// The media type of the document.
    pub media_type: &'static str,
    /// True if the document is an envelope with signatures.
    pub is_signed: bool,
    /// The document in JSON, which ends with a line break: an envelope with a statement; or without keys
    /// the statement about the provenance, or the bill of materials itself.
    pub bytes: Vec<u8>,
}

impl Attestation {
    /// Returns the digest of the document.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        crate::oci::format::sha256(&self.bytes)
    }

    /// Writes the document into a folder under its proposed name, durably, and replaces an existing
    /// file. Returns the path.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, AttestError> {
        let path = folder.join(&self.file_name);
        self.write_to(&path)?;
        Ok(path)
    }

    /// Writes the document to a file, durably, and replaces an existing file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write_to(&self, path: &Path) -> Result<(), AttestError> {
        Ok(atomic::write_public(path, &self.bytes).context("write", path)?)
    }
}

/// Makes attestations of a release or channel. They contain only what the commit records, so that the same
/// commit, options and keys give the same bytes, on any machine and at any time.
///
/// # Errors
/// Returns an error if the commit is no release, its tree is damaged, or a key cannot be used.
pub fn attest(
    repo: &Repo,
    commit: CommitId,
    options: &AttestOptions,
) -> Result<Vec<Attestation>, AttestError> {
    let facts = Facts::read(repo, commit)?;
    let name = facts.ref_name().unwrap_or_default();
    let mut subjects = vec![Subject::with_sha256(name, Sha256(*commit.as_bytes()))];
    subjects.extend(options.images.iter().cloned());
    let kinds = options.kinds.iter();
    let made = kinds.map(|kind| one(*kind, &facts, &subjects, options));
    made.collect()
}

fn one(
    kind: AttestationKind,
    facts: &Facts,
    subjects: &[Subject],
    options: &AttestOptions,
) -> Result<Attestation, AttestError> {
    let predicate = match kind {
        AttestationKind::Slsa => provenance::predicate(facts, &options.builder),
        AttestationKind::Spdx => spdx::document(facts),
        AttestationKind::CycloneDx => cyclonedx::document(facts),
    };
    let name = format!("{}.{}", facts.name(), kind.extension());
    let is_signed = !options.keys.is_empty();
    let statement = |predicate: Value| Statement {
        subjects: subjects.to_vec(),
        predicate_type: kind.predicate_type().to_owned(),
        predicate,
    };
    let mut bytes = match (is_signed, kind) {
        (true, _) => {
            let payload = statement(predicate).to_json();
            Envelope::sign(STATEMENT_TYPE, payload, &options.keys)?.to_json()
        }
        (false, AttestationKind::Slsa) => json::indented(statement(predicate).to_value()),
        (false, _) => json::indented(predicate),
    };
    bytes.push(b'\n');
    Ok(Attestation {
        kind,
        file_name: match is_signed {
            true => format!("{name}.dsse.json"),
            false => format!("{name}.json"),
        },
        media_type: match is_signed {
            true => ENVELOPE,
            false => kind.media_type(),
        },
        is_signed,
        bytes,
    })
}
