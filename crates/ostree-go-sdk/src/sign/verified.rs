//! A type for values whose signatures were verified, with the proof of the verification.

use super::signature::Signature;

/// A verified value. Only the verification functions of this library create one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    proof: Proof,
}

/// The proof of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proof {
    /// The remote that the value was fetched from.
    pub remote: String,
    /// All signatures at the time of verification, valid and invalid; at least one is valid, unless
    /// the remote is [unsigned](Proof::unsigned).
    pub signatures: Vec<Signature>,
    /// True if the remote does not require signatures.
    pub unsigned: bool,
    /// The time of verification, in seconds since 1970.
    pub at: u64,
}

impl<T> Verified<T> {
    /// Creates a verified value. Must only be called after a verification of `value`, or to restore
    /// a recorded proof.
    pub(crate) fn new(value: T, proof: Proof) -> Self {
        Self { value, proof }
    }

    /// Returns the value.
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// Returns the proof of the verification.
    pub const fn proof(&self) -> &Proof {
        &self.proof
    }
}
