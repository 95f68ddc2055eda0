//! What is wrong with a treefile, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::node::Mark;
use crate::kind::ErrorKind;

/// What is wrong with a treefile, and where.
///
/// Shown as `FILE:LINE: KEY: PROBLEM`, with the parts that are known.
#[derive(Debug)]
pub struct TreefileError(Box<Detail>);

#[derive(Debug)]
struct Detail {
    mark: Option<Mark>,
    /// From the top of the file to the key; built from the inside out, so reversed.
    key: Vec<Segment>,
    problem: TreefileProblem,
}

#[derive(Debug)]
enum Segment {
    Key(String),
    Index(usize),
}

/// What is wrong with a treefile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreefileProblem {
    /// The treefile itself cannot be read.
    #[error("cannot read the treefile")]
    Read(#[source] io::Error),
    /// A treefile that this one includes cannot be read.
    #[error("cannot read the included treefile `{}`", clean(&file.to_string_lossy()))]
    Include {
        /// The file that was looked for.
        file: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// A treefile includes itself, over these files.
    #[error("a treefile includes itself: {}", chain(files))]
    IncludeCycle {
        /// The files, from the first to its second appearance.
        files: Vec<PathBuf>,
    },
    /// More files are included than a treefile may have.
    #[error("more than {limit} treefiles are included")]
    TooManyIncludes {
        /// How many there may be.
        limit: usize,
    },
    /// The text, or what its variables expand to, is too long.
    #[error("{what} is longer than {limit} bytes")]
    TooLarge {
        /// What is too long.
        what: &'static str,
        /// How long it may be.
        limit: usize,
    },
    /// Maps and lists, or variables, are nested too deeply.
    #[error("{what} are nested more than {limit} deep")]
    TooDeep {
        /// What is nested.
        what: &'static str,
        /// How deep it may go.
        limit: usize,
    },
    /// It is neither YAML nor JSON.
    #[error("not well-formed YAML: {0}")]
    Syntax(String),
    /// A part of YAML that treefiles do not use.
    #[error("{0} are not supported in a treefile")]
    Unsupported(&'static str),
    /// One map has a key twice.
    #[error("the key `{}` is already set on line {first}", clean(key))]
    DuplicateKey {
        /// The key.
        key: String,
        /// The line that set it first.
        first: usize,
    },
    /// A key that treefiles do not know.
    #[error("unknown key `{}`", clean(found))]
    UnknownKey {
        /// The key as given.
        found: String,
        /// The keys that may stand there.
        expected: Vec<String>,
    },
    /// A key that has to be set is not.
    #[error("the key `{0}` is missing")]
    MissingKey(&'static str),
    /// A value is not what its key takes.
    #[error("{0}")]
    Value(String),
    /// A variable that is not known, or not here.
    #[error("unknown variable `${{{}}}`", clean(found))]
    UnknownVariable {
        /// The variable as given.
        found: String,
        /// The variables that are known here.
        expected: Vec<String>,
    },
    /// Variables are made from each other in a circle.
    #[error("a variable is made from itself: {}", names.join(" → "))]
    VariableCycle {
        /// The variables, from the first to its second appearance.
        names: Vec<String>,
    },
    /// A release was asked for that the treefile does not make.
    #[error("no release for {found}, expected one of the treefile's arches: {expected}")]
    NoSuchArch {
        /// The architecture that was asked for.
        found: crate::arch::Arch,
        /// The architectures it has, separated by commas.
        expected: String,
    },
}

impl TreefileError {
    pub(super) fn new(mark: &Mark, problem: TreefileProblem) -> Self {
        Self::unplaced(problem).at(mark)
    }

    /// An error whose place is not known yet.
    pub(super) fn unplaced(problem: TreefileProblem) -> Self {
        Self(Box::new(Detail {
            mark: None,
            key: Vec::new(),
            problem,
        }))
    }

    /// An error of a whole file.
    pub(super) fn of_file(file: &Path, problem: TreefileProblem) -> Self {
        Self::new(&Mark::of_file(&Arc::from(file)), problem)
    }

    /// This error at `mark`, unless a place nearer to the fault is known.
    pub(super) fn at(mut self, mark: &Mark) -> Self {
        self.0.mark.get_or_insert_with(|| mark.clone());
        self
    }

    /// This error below the map key `key`.
    pub(super) fn in_key(mut self, key: impl Into<String>) -> Self {
        self.0.key.push(Segment::Key(key.into()));
        self
    }

    /// This error below the list entry `index`.
    pub(super) fn in_index(mut self, index: usize) -> Self {
        self.0.key.push(Segment::Index(index));
        self
    }

    /// The file it is in.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.mark.as_ref().map(|mark| &*mark.file)
    }

    /// The line in the file, from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.0
            .mark
            .as_ref()
            .map(|mark| mark.line)
            .filter(|&line| line > 0)
    }

    /// The column in the line, in characters from 1.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.line()?;
        self.0.mark.as_ref().map(|mark| mark.column)
    }

    /// The key it is about: `layers.site.add-files[0].path`.
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

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &TreefileProblem {
        &self.0.problem
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.0.problem {
            // A text that is not UTF-8 was read well enough: it is the input that is wrong.
            TreefileProblem::Read(source) | TreefileProblem::Include { source, .. }
                if source.kind() != io::ErrorKind::InvalidData =>
            {
                ErrorKind::of_io(source)
            }
            _ => ErrorKind::InvalidInput,
        }
    }

    /// What may help: the name that was probably meant, or the names there are.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.0.problem {
            TreefileProblem::UnknownKey { found, expected } => {
                near_or_all(found, expected, "keys", |name| format!("`{name}`"))
            }
            TreefileProblem::UnknownVariable { found, expected } => {
                near_or_all(found, expected, "variables", |name| {
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
        // The problem's own text is part of this error's.
        self.0.problem.source()
    }
}

/// "did you mean", or "expected one of" where nothing is near.
fn near_or_all(
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

/// A text from a file, made fit for a message: no control characters, not endless.
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
