//! Entries of the Go vulnerability database, in the OSV format, and its index.
//!
//! Sources: the OSV schema (<https://ossf.github.io/osv-schema/>), the description of the database
//! (<https://go.dev/doc/security/vuln/database>), and `internal/semver/affects.go` of
//! `golang.org/x/vuln`, which is the rule of `govulncheck`.

mod entry;
mod index;
mod range;
#[cfg(test)]
mod tests;

pub use entry::{Entry, Platform};
pub use index::{EntryName, ModuleIndex, parse_modified};

use crate::kind::ErrorKind;
use std::fmt;

/// The module of the standard library in the database.
pub const STDLIB: &str = "stdlib";
/// The module of the go command and its tools in the database.
pub const TOOLCHAIN: &str = "toolchain";

/// The maximum size of an entry in bytes. The largest one of the Go database has 60 kB.
pub const MAX_ENTRY: u64 = 4 << 20;
/// The maximum size of an index in bytes. That of the Go database has 1 MB.
pub const MAX_INDEX: u64 = 64 << 20;
/// The maximum number of entries about Go itself. The Go database has about 300.
pub const MAX_ENTRIES: usize = 10_000;
/// The maximum length of the name of an entry: it becomes the name of a file.
const MAX_NAME: usize = 64;

/// The reason why a document of a database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OsvError {
    /// The document is not JSON, or has other types than the format. The format itself is not nested
    /// deeply, and the parser skips unknown values of any depth without recursion.
    #[error("it is not {expected}")]
    Format {
        /// The expected content.
        expected: &'static str,
        /// The cause, with the line and the column.
        source: serde_json::Error,
    },
    /// The name of an entry cannot be the name of a file.
    #[error(
        "it has the entry `{}`, expected a name of letters, digits, `-`, `_` and `.`",
        Excerpt(found)
    )]
    Name {
        /// The invalid name.
        found: String,
    },
    /// The document describes another entry.
    #[error("it is the entry `{}`, expected {expected}", Excerpt(found))]
    OtherEntry {
        /// The name in the document.
        found: String,
        /// The name under which it was found.
        expected: String,
    },
    /// The bound of a range is no version.
    #[error(
        "`affected[{affected}].ranges[{range}].events[{event}]` has the version `{}`, expected a semantic version",
        Excerpt(found)
    )]
    Version {
        /// The position in `affected`, from 0.
        affected: usize,
        /// The position in `ranges`, from 0.
        range: usize,
        /// The position in `events`, from 0.
        event: usize,
        /// The text in place of a version.
        found: String,
    },
    /// An event has several bounds.
    #[error(
        "`affected[{affected}].ranges[{range}].events[{event}]` has several bounds, expected one of introduced, fixed, last_affected and limit"
    )]
    Bounds {
        /// The position in `affected`, from 0.
        affected: usize,
        /// The position in `ranges`, from 0.
        range: usize,
        /// The position in `events`, from 0.
        event: usize,
    },
    /// There are more entries about Go than allowed.
    #[error("it has {found} entries about Go, at most {MAX_ENTRIES} are read")]
    TooManyEntries {
        /// The number of entries.
        found: usize,
    },
}

impl OsvError {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::TooManyEntries { .. } => ErrorKind::UnsafeContent,
            _ => ErrorKind::Corrupt,
        }
    }
}

/// Displays the start of a text of unknown length, without control characters.
struct Excerpt<'a>(&'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start: String = self.0.chars().take(MAX_NAME).collect();
        write!(f, "{}", start.escape_debug())?;
        f.write_str(if start.len() < self.0.len() {
            "…"
        } else {
            ""
        })
    }
}

/// Returns a text in one line, of at most `max` characters: texts of a database are printed on
/// terminals.
fn one_line(text: &str, max: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
