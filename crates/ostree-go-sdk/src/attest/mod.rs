//! Attestations: signed statements about artifacts, in the formats of in-toto.
//!
//! An [`Envelope`] contains bytes and their signatures, and a [`Statement`] says something about
//! artifacts, which it names by their digests.

mod envelope;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod json;
mod statement;

pub use envelope::{Envelope, EnvelopeSignature, STATEMENT_TYPE};
pub use error::AttestError;
pub use statement::{Statement, Subject};
