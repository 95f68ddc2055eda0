//! The artifacts that a statement is about.

use crate::golang::h1::H1;
use crate::id::Sha256;
use std::collections::BTreeMap;

/// The name of a SHA-256 digest, in hexadecimal.
pub(super) const SHA256: &str = "sha256";
/// The names of an `h1:` hash, in hexadecimal: the heading of `digest_set.md`, and its example. The
/// first one is written, because libraries use it.
pub(super) const DIR_HASH: [&str; 2] = ["dirHash", "dirHash1"];

/// An artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The name, which identifies nothing; empty if there is none.
    pub name: String,
    /// The digests by algorithm, never empty in a parsed statement: `sha256` in hexadecimal.
    pub digests: BTreeMap<String, String>,
}

impl Subject {
    /// Creates a subject with a SHA-256.
    #[must_use]
    pub fn with_sha256(name: impl Into<String>, sha256: Sha256) -> Self {
        Self {
            name: name.into(),
            digests: BTreeMap::from([(SHA256.to_owned(), sha256.to_string())]),
        }
    }

    /// Creates a subject with the `h1:` hash of a Go module, which in-toto names `dirHash` and writes in
    /// hexadecimal.
    #[must_use]
    pub fn with_h1(name: impl Into<String>, h1: H1) -> Self {
        Self {
            name: name.into(),
            digests: BTreeMap::from([(DIR_HASH[0].to_owned(), h1.digest().to_string())]),
        }
    }

    /// Returns the SHA-256, if the subject has one.
    #[must_use]
    pub fn sha256(&self) -> Option<Sha256> {
        self.digests.get(SHA256)?.parse().ok()
    }

    /// Returns the `h1:` hash, if the subject has one: `dirHash` or `dirHash1`, which both occur in the
    /// specification.
    #[must_use]
    pub fn h1(&self) -> Option<H1> {
        let text = DIR_HASH.iter().find_map(|name| self.digests.get(*name))?;
        Some(H1::from_digest(text.parse().ok()?))
    }
}
