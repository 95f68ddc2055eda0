//! Attestations: signed statements about artifacts, in the formats of in-toto.
//!
//! [`attest`] makes the attestations of a release: its provenance, and its bill of materials. Everything
//! in them is recorded in the commit, so that they are reproducible. [`verify_attestation`] checks one.
//!
//! An [`Envelope`] contains bytes and their signatures, and a [`Statement`] says something about
//! artifacts, which it names by their digests.

mod cyclonedx;
mod document;
mod envelope;
mod error;
mod facts;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod json;
mod modules;
mod provenance;
mod spdx;
mod statement;
mod subject;
mod verify;

pub use document::{AttestOptions, Attestation, AttestationKind, BUILDER, attest};
pub use envelope::{Envelope, EnvelopeSignature, STATEMENT_TYPE};
pub use error::AttestError;
pub use statement::Statement;
pub use subject::Subject;
pub use verify::{VerifiedAttestation, verify_attestation};
