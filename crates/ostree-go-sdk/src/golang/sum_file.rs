//! `go.sum` and `go.work.sum` files.
//!
//! Source of the rules: `readGoSum` in `src/cmd/go/internal/modfetch/fetch.go`.

use crate::kind::ErrorKind;

/// The suffix of the version in a line for the `go.mod` file of a module.
const GO_MOD: &str = "/go.mod";

/// The hash of an empty `go.mod` file, which old versions of Go have written by mistake and all
/// others ignore. Source: `emptyGoModHash` in `src/cmd/go/internal/modfetch/fetch.go`.
const EMPTY_GO_MOD_H1: &str = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=";

/// A `go.sum` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoSum {
    /// The lines of the file, in their order. A module can occur more than once with different hashes;
    /// Go accepts each of them.
    pub entries: Vec<SumEntry>,
}

/// A line of a `go.sum` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumEntry {
    /// The path of the module.
    pub path: String,
    /// The version of the module, without `/go.mod`.
    pub version: String,
    /// True if the hash is that of the `go.mod` file; false if it is that of the whole module.
    pub is_go_mod: bool,
    /// The hash, such as `h1:…`. It can be of another algorithm, which Go ignores.
    pub h1: String,
    /// The number of the line, from 1.
    pub line: usize,
}

/// The reason why a `go.sum` file is rejected, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} has {found} fields, expected three: a module path, a version and a hash")]
pub struct SumFileError {
    /// The number of the line, from 1.
    pub line: usize,
    /// The number of its fields.
    pub found: usize,
}

impl SumFileError {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

impl GoSum {
    /// Parses a file. Empty lines are ignored, and so are lines that have the hash of an empty
    /// `go.mod` file. As in Go, neither paths nor versions nor hashes are checked: a wrong one never
    /// equals that of a module.
    ///
    /// # Errors
    /// Returns an error if a line does not have three fields.
    pub fn parse(bytes: &[u8]) -> Result<Self, SumFileError> {
        let text = String::from_utf8_lossy(bytes);
        let mut entries = Vec::new();
        for (index, line) in text.split('\n').enumerate() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let line = index + 1;
            let (path, version, h1) = match fields.as_slice() {
                [] | [_, _, EMPTY_GO_MOD_H1] => continue,
                [path, version, h1] => (*path, *version, *h1),
                other => {
                    let found = other.len();
                    return Err(SumFileError { line, found });
                }
            };
            let of_go_mod = version.strip_suffix(GO_MOD);
            entries.push(SumEntry {
                path: path.to_owned(),
                version: of_go_mod.unwrap_or(version).to_owned(),
                is_go_mod: of_go_mod.is_some(),
                h1: h1.to_owned(),
                line,
            });
        }
        Ok(Self { entries })
    }

    /// Returns the first hash of a module.
    #[must_use]
    pub fn h1(&self, path: &str, version: &str) -> Option<&str> {
        self.find(path, version, false)
    }

    /// Returns the first hash of the `go.mod` file of a module.
    #[must_use]
    pub fn go_mod_h1(&self, path: &str, version: &str) -> Option<&str> {
        self.find(path, version, true)
    }

    fn find(&self, path: &str, version: &str, is_go_mod: bool) -> Option<&str> {
        let mut entries = self.entries.iter();
        let found = entries.find(|entry| {
            entry.is_go_mod == is_go_mod && entry.path == path && entry.version == version
        });
        found.map(|entry| entry.h1.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "example.com/a v1.0.0 h1:aaa=\nexample.com/a v1.0.0/go.mod h1:bbb=\r\n\n \t\n\
        \texample.com/a  v1.0.0\th1:ccc=\nexample.com/b v1.0.0/go.mod \
        h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=\nexample.com/c v2 h2:ddd=";

    #[test]
    fn lines_are_read_and_empty_ones_ignored() {
        let sum = GoSum::parse(FILE.as_bytes()).unwrap();
        let lines: Vec<usize> = sum.entries.iter().map(|entry| entry.line).collect();
        assert_eq!(lines, [1, 2, 5, 7]);
        assert_eq!(sum.h1("example.com/a", "v1.0.0"), Some("h1:aaa="));
        assert_eq!(sum.go_mod_h1("example.com/a", "v1.0.0"), Some("h1:bbb="));
        assert_eq!(sum.go_mod_h1("example.com/b", "v1.0.0"), None);
        assert_eq!(sum.h1("example.com/c", "v2"), Some("h2:ddd="));
        assert_eq!(sum.h1("example.com/a", "v1.0.1"), None);
        assert_eq!(GoSum::parse(b"").unwrap(), GoSum::default());
    }

    #[test]
    fn a_line_with_other_fields_is_refused() {
        let error = |text: &str| GoSum::parse(text.as_bytes()).unwrap_err().to_string();
        insta::assert_snapshot!(error("a v1 h1:x\n\na v1\n"), @"line 3 has 2 fields, expected three: a module path, a version and a hash");
        insta::assert_snapshot!(error("a v1 h1:x // c"), @"line 1 has 5 fields, expected three: a module path, a version and a hash");
    }

    proptest! {
        #[test]
        fn every_written_line_is_found(entries in proptest::collection::vec(("[a-z]{1,3}", "v[0-9]{1,2}", any::<bool>(), "h1:[A-Z]{3}"), 0..8)) {
            let mut text = String::new();
            for (path, version, is_go_mod, h1) in &entries {
                let suffix = if *is_go_mod { GO_MOD } else { "" };
                text.push_str(&format!("{path} {version}{suffix} {h1}\n"));
            }
            let sum = GoSum::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(sum.entries.len(), entries.len());
            for (path, version, is_go_mod, _) in &entries {
                let first = entries.iter().find(|one| (&one.0, &one.1, &one.2) == (path, version, is_go_mod));
                let found = if *is_go_mod { sum.go_mod_h1(path, version) } else { sum.h1(path, version) };
                prop_assert_eq!(found, first.map(|one| one.3.as_str()));
            }
        }

        #[test]
        fn any_text_is_a_file_or_an_error(text in ".{0,60}") {
            let _ = GoSum::parse(text.as_bytes());
        }
    }
}
