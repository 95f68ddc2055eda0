//! Lookups, and the records that they prove.

use super::error::SumdbError;
use super::note::{SignedHead, VerifierKey};
use super::tree::{self, Tile, Tiles, TreeHead};
use crate::golang::h1::H1;
use crate::id::Sha256;
use std::collections::BTreeSet;

/// Maximum size of the answer to a lookup, in bytes. Answers for toolchains have 400 bytes.
pub const LOOKUP_LIMIT: u64 = 64 << 10;

/// The answer to a lookup. Its content is available once it is [proven](Self::prove).
#[derive(Debug, Clone)]
pub struct Lookup {
    number: u64,
    text: String,
    head: SignedHead,
}

/// A record that is proven to be in a signed tree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The number of the record.
    pub number: u64,
    /// The signed head of the tree that contains it.
    pub head: SignedHead,
    /// The proof of inclusion: the hashes next to the path from the record to the root, the lowest first.
    pub hashes: Vec<Sha256>,
    /// The lines of the record.
    pub(super) text: String,
}

impl Lookup {
    /// Parses an answer (the record's number, its lines, a blank line, and the tree head) and
    /// verifies the signature of the tree head.
    ///
    /// # Errors
    /// Returns an error if the answer is malformed or not signed by `key`.
    pub fn open(answer: &[u8], key: &VerifierKey) -> Result<Self, SumdbError> {
        let (number, text, note) = split(answer)?;
        Self::new(number, text, key.open_head(note)?)
    }

    /// Parses an answer without verifying the signature.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn unsigned(answer: &[u8]) -> Result<Self, SumdbError> {
        let (number, text, note) = split(answer)?;
        let head = TreeHead::parse(note).ok_or(SumdbError::Malformed {
            missing: "head of the tree",
        })?;
        let note = note.to_owned();
        Self::new(number, text, SignedHead { head, note })
    }

    fn new(number: u64, text: &str, head: SignedHead) -> Result<Self, SumdbError> {
        let size = head.head.size;
        if number >= size {
            let record = number;
            return Err(SumdbError::BeyondTree { record, size });
        }
        let text = text.to_owned();
        Ok(Self { number, text, head })
    }

    /// Returns the tiles that the proof needs.
    #[must_use]
    pub fn tiles(&self) -> BTreeSet<Tile> {
        let size = self.head.head.size;
        tree::tiles_for(size, |node| {
            tree::inclusion((0, size), self.number, node).map(drop)
        })
    }

    /// Proves that the tree contains the record, given the contents of its [tiles](Self::tiles).
    ///
    /// # Errors
    /// Returns an error if a tile has the wrong size, or the tree does not contain the record.
    pub fn prove(self, tiles: &Tiles) -> Result<Record, SumdbError> {
        let size = self.head.head.size;
        let mut node = |level, index| tree::node(tiles, size, level, index);
        let hashes = tree::inclusion((0, size), self.number, &mut node)?;
        Record::verify(self.number, self.text, self.head, hashes)
    }
}

/// Splits an answer at its first line feed and its first blank line.
fn split(answer: &[u8]) -> Result<(u64, &str, &str), SumdbError> {
    let malformed = |missing| SumdbError::Malformed { missing };
    let answer = std::str::from_utf8(answer).map_err(|_| malformed("text"))?;
    let (number, rest) = answer
        .split_once('\n')
        .and_then(|(number, rest)| Some((number.parse().ok()?, rest)))
        .ok_or(malformed("record number"))?;
    let end = rest.find("\n\n").ok_or(malformed("blank line"))?;
    Ok((number, &rest[..=end], &rest[end + 2..]))
}

impl Record {
    /// Verifies a proof of inclusion.
    pub(super) fn verify(
        number: u64,
        text: String,
        head: SignedHead,
        hashes: Vec<Sha256>,
    ) -> Result<Self, SumdbError> {
        let TreeHead { size, root } = head.head;
        let leaf = tree::record_hash(&text);
        let found = tree::root_of_inclusion(size, number, leaf, &hashes);
        let found = found.ok_or(SumdbError::ProofLength {
            record: number,
            size,
            found: hashes.len(),
        })?;
        match found == root {
            true => Ok(Self {
                number,
                head,
                hashes,
                text,
            }),
            false => Err(SumdbError::NotIncluded {
                record: number,
                found,
                expected: root,
            }),
        }
    }

    /// Returns the answer to a lookup that has the record and the head of the tree, as a database gives it.
    #[must_use]
    pub fn answer(&self) -> String {
        format!("{}\n{}\n{}", self.number, self.text, self.head.note)
    }

    /// Returns the `h1:` hash of a module's content.
    ///
    /// # Errors
    /// Returns [`SumdbError::OtherRecord`] if the record is about another module or version.
    pub fn h1(&self, module: &str, version: &str) -> Result<H1, SumdbError> {
        self.text
            .lines()
            .filter_map(|line| line.strip_prefix(module)?.strip_prefix(' '))
            .filter_map(|rest| rest.strip_prefix(version)?.strip_prefix(' '))
            .find_map(|h1| h1.parse().ok())
            .ok_or_else(|| SumdbError::OtherRecord {
                record: self.number,
                expected: format!("{module} {version}"),
            })
    }
}
