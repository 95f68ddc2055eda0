//! Errors in treefiles, with their position.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mark::Mark;
use crate::kind::ErrorKind;

/// An error in a treefile, with its position.
///
/// Displayed as `FILE:LINE: KEY: PROBLEM`; unknown parts are left out.
#[derive(Debug)]
pub struct TreefileError(Box<Detail>);

#[derive(Debug)]
struct Detail {
    mark: Option<Mark>,
    /// The path of the key, innermost segment first, because errors gain segments on their way
    /// out.
    key: Vec<Segment>,
    problem: TreefileProblem,
}

#[derive(Debug)]
enum Segment {
    Key(String),
    Index(usize),
}

/// The problem with a treefile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreefileProblem {
    /// The treefile itself cannot be read.
    #[error("cannot read the treefile")]
    Read(#[source] io::Error),
    /// A treefile that this one includes cannot be read.
    #[error("cannot read the included treefile `{}`", clean(&file.to_string_lossy()))]
    Include {
        /// The path of the included file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A treefile includes itself, directly or through others.
    #[error("a treefile includes itself: {}", chain(files))]
    IncludeCycle {
        /// The files, from the first to its second appearance.
        files: Vec<PathBuf>,
    },
    /// Too many files are included.
    #[error("more than {limit} treefiles are included")]
    TooManyIncludes {
        /// The maximum number of files.
        limit: usize,
    },
    /// The text, or its expansion, is too long.
    #[error("{what} is longer than {limit} bytes")]
    TooLarge {
        /// The description of what is too long.
        what: &'static str,
        /// The maximum length in bytes.
        limit: usize,
    },
    /// Maps and lists, or variables, are nested too deeply.
    #[error("{what} are nested more than {limit} deep")]
    TooDeep {
        /// The description of what is nested.
        what: &'static str,
        /// The maximum depth.
        limit: usize,
    },
    /// The text is neither YAML nor JSON.
    #[error("not well-formed YAML: {0}")]
    Syntax(String),
    /// The text uses a feature of YAML that treefiles do not support.
    #[error("{0} are not supported in a treefile")]
    Unsupported(&'static str),
    /// A key occurs twice in one map.
    #[error("the key `{}` is already set on line {first}", clean(key))]
    DuplicateKey {
        /// The key.
        key: String,
        /// The line that first sets the key.
        first: usize,
    },
    /// The key is unknown.
    #[error("unknown key `{}`", clean(found))]
    UnknownKey {
        /// The unknown key.
        found: String,
        /// The keys that are allowed there.
        expected: Vec<String>,
    },
    /// A required key is missing.
    #[error("the key `{0}` is missing")]
    MissingKey(&'static str),
    /// The value of a key is invalid.
    #[error("{0}")]
    Value(String),
    /// The variable is unknown, or not available at this position.
    #[error("unknown variable `${{{}}}`", clean(found))]
    UnknownVariable {
        /// The unknown variable.
        found: String,
        /// The variables that are available there.
        expected: Vec<String>,
    },
    /// A variable refers to itself, directly or through others.
    #[error("a variable is made from itself: {}", names.join(" → "))]
    VariableCycle {
        /// The variables, from the first to its second appearance.
        names: Vec<String>,
    },
    /// The treefile has no release for the requested architecture.
    #[error("no release for {found}, expected one of the treefile's arches: {expected}")]
    NoSuchArch {
        /// The requested architecture.
        found: crate::arch::Arch,
        /// The architectures of the treefile, separated by commas.
        expected: String,
    },
}

impl TreefileError {
    pub(super) fn new(mark: &Mark, problem: TreefileProblem) -> Self {
        Self::without_position(problem).at(mark)
    }

    /// Creates an error without a position.
    pub(super) fn without_position(problem: TreefileProblem) -> Self {
        Self(Box::new(Detail {
            mark: None,
            key: Vec::new(),
            problem,
        }))
    }

    /// Creates an error that concerns the whole file.
    pub(super) fn of_file(file: &Path, problem: TreefileProblem) -> Self {
        Self::new(&Mark::of_file(&Arc::from(file)), problem)
    }

    /// Sets the position unless the error already has one, which is closer to the cause.
    pub(super) fn at(mut self, mark: &Mark) -> Self {
        self.0.mark.get_or_insert_with(|| mark.clone());
        self
    }

    /// Adds keys to those that are known where the error is, if it is an unknown key of this map.
    pub(super) fn also_known<'k>(mut self, keys: impl Iterator<Item = &'k str>) -> Self {
        if let (true, TreefileProblem::UnknownKey { expected, .. }) =
            (self.0.key.is_empty(), &mut self.0.problem)
        {
            expected.extend(keys.map(str::to_owned));
        }
        self
    }

    /// Prepends the map key `key` to the path of the key.
    pub(super) fn in_key(mut self, key: impl Into<String>) -> Self {
        self.0.key.push(Segment::Key(key.into()));
        self
    }

    /// Prepends the list index `index` to the path of the key.
    pub(super) fn in_index(mut self, index: usize) -> Self {
        self.0.key.push(Segment::Index(index));
        self
    }

    /// Returns the path of the file with the error.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.mark.as_ref().map(|mark| &*mark.file)
    }

    /// Returns the line number, from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.0
            .mark
            .as_ref()
            .map(|mark| mark.line)
            .filter(|&line| line > 0)
    }

    /// Returns the column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.line()?;
        self.0.mark.as_ref().map(|mark| mark.column)
    }

    /// Returns the path of the key: `layers.site.add-files[0].path`.
    #[must_use]
    pub fn key(&self) -> Option<String> {
        let mut path = String::new();
        for segment in self.0.key.iter().rev() {
            match segment {
                Segment::Index(index) => path.push_str(&format!("[{index}]")),
                Segment::Key(key) if is_plain(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Segment::Key(key) => path.push_str(&format!("[\"{}\"]", clean(key))),
            }
        }
        Some(path).filter(|path| !path.is_empty())
    }

    /// Returns the problem.
    #[must_use]
    pub fn problem(&self) -> &TreefileProblem {
        &self.0.problem
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.0.problem {
            // Text that is not UTF-8 could be read, so that the input is wrong, not the I/O.
            TreefileProblem::Read(source) | TreefileProblem::Include { source, .. }
                if source.kind() != io::ErrorKind::InvalidData =>
            {
                ErrorKind::of_io(source)
            }
            _ => ErrorKind::InvalidInput,
        }
    }

    /// Returns a hint: the most similar known name, or all known names.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.0.problem {
            TreefileProblem::UnknownKey { found, expected } => {
                suggest(found, expected, "keys", |name| format!("`{name}`"))
            }
            TreefileProblem::UnknownVariable { found, expected } => {
                suggest(found, expected, "variables", |name| {
                    format!("`${{{name}}}`")
                })
            }
            _ => None,
        }
    }
}

impl fmt::Display for TreefileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mark) = &self.0.mark {
            write!(f, "{}:", clean(&mark.file.to_string_lossy()))?;
            if mark.line > 0 {
                write!(f, "{}:", mark.line)?;
            }
            f.write_str(" ")?;
        }
        if let Some(key) = self.key() {
            write!(f, "{key}: ")?;
        }
        self.0.problem.fmt(f)
    }
}

impl std::error::Error for TreefileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // `Display` already contains the problem's own text.
        self.0.problem.source()
    }
}

/// Returns "did you mean …", or the list of known names if none is similar.
fn suggest(
    found: &str,
    expected: &[String],
    what: &str,
    quote: impl Fn(&str) -> String,
) -> Option<String> {
    let near = expected
        .iter()
        .map(|name| (strsim::damerau_levenshtein(found, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4 && distance * 2 <= name.len())
        .min();
    match near {
        Some((_, name)) => Some(format!("did you mean {}?", quote(name))),
        None if expected.is_empty() => None,
        None => {
            let all: Vec<String> = expected.iter().map(|name| quote(name)).collect();
            Some(format!("the {what} known here are {}", all.join(", ")))
        }
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn chain(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
    clean(&names.join(" → "))
}

/// Makes text from a file safe for messages: escapes control characters and limits the length.
pub(super) fn clean(text: &str) -> String {
    const LIMIT: usize = 200;
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == LIMIT {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}
