//! The proof that something was checked, carried in its type.

use super::Signature;

/// A value whose origin was checked. Only this library's checks make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    proof: Proof,
}

/// How something was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proof {
    /// The remote it came from.
    pub remote: String,
    /// The signatures it had then, good and bad; at least one is valid, unless the remote is
    /// [unsigned](Proof::unsigned).
    pub signatures: Vec<Signature>,
    /// Whether the remote was set up not to need signatures.
    pub unsigned: bool,
    /// When it was checked, in seconds since 1970.
    pub at: u64,
}

impl<T> Verified<T> {
    /// To be called only by what has just checked `value`, or reads back what was recorded then.
    pub(crate) fn new(value: T, proof: Proof) -> Self {
        Self { value, proof }
    }

    /// What was checked.
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// How it was checked.
    pub const fn proof(&self) -> &Proof {
        &self.proof
    }
}
