//! Proofs of inclusion as texts that can be verified without a connection to the database.
//!
//! Source: <https://c2sp.org/tlog-proof>. The extra data are the lines of the record.

use super::error::SumdbError;
use super::lookup::Record;
use super::note::VerifierKey;
use super::tree::HASH;
use crate::id::Sha256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// The first line of a proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The largest size of a proof in bytes. Proofs of `sum.golang.org` have about 2 kB, and a tree of 2⁶⁴ records has 64
/// hashes.
const LIMIT: usize = 64 << 10;
/// The largest number of hashes: that in a tree of 2⁶⁴ records.
const MAX_HASHES: usize = 64;

/// The proof that a record is in the signed tree of a checksum database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    number: u64,
    hashes: Vec<Sha256>,
    text: String,
    note: String,
}

impl LogProof {
    /// Parses a proof. Nothing in it is [verified](Self::verify) yet.
    ///
    /// # Errors
    /// Returns an error that names the missing part.
    pub fn parse(proof: &str) -> Result<Self, SumdbError> {
        let malformed = |missing| SumdbError::MalformedProof { missing };
        if proof.len() > LIMIT {
            return Err(malformed("size below 64 KiB"));
        }
        let (head, note) = proof.split_once("\n\n").ok_or(malformed("blank line"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(malformed("line c2sp.org/tlog-proof@v1"));
        }
        let text = lines.next().and_then(|line| line.strip_prefix("extra "));
        let text = text.and_then(|base64| STANDARD.decode(base64).ok());
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or(malformed("line `extra` with the record"))?;
        let number = lines.next().and_then(|line| line.strip_prefix("index "));
        let number = number.filter(|digits| *digits == "0" || !digits.starts_with(['0', '+']));
        let number = number.and_then(|digits| digits.parse().ok());
        let number = number.ok_or(malformed("line `index` with the number of the record"))?;
        let hash = |line: &str| -> Option<Sha256> {
            let bytes: [u8; HASH] = STANDARD.decode(line).ok()?.try_into().ok()?;
            Some(Sha256(bytes))
        };
        let hashes: Option<Vec<Sha256>> = lines.take(MAX_HASHES + 1).map(hash).collect();
        let hashes = hashes.filter(|hashes| hashes.len() <= MAX_HASHES);
        Ok(Self {
            number,
            hashes: hashes.ok_or(malformed("well-formed list of hashes"))?,
            text,
            note: note.to_owned(),
        })
    }

    /// Verifies the signature of the tree and the inclusion of the record.
    ///
    /// # Errors
    /// Returns an error if `key` did not sign the tree, or the tree does not contain the record.
    pub fn verify(self, key: &VerifierKey) -> Result<Record, SumdbError> {
        let head = key.open_head(&self.note)?;
        Record::verify(self.number, self.text, head, self.hashes)
    }
}

impl From<&Record> for LogProof {
    fn from(record: &Record) -> Self {
        Self {
            number: record.number,
            hashes: record.hashes.clone(),
            text: record.text.clone(),
            note: record.head.note.clone(),
        }
    }
}

/// Formats the proof as its text.
impl fmt::Display for LogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        writeln!(f, "extra {}", STANDARD.encode(&self.text))?;
        writeln!(f, "index {}", self.number)?;
        for hash in &self.hashes {
            writeln!(f, "{}", STANDARD.encode(hash.0))?;
        }
        write!(f, "\n{}", self.note)
    }
}
