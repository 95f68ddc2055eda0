//! The requirement of a project for the version of Go.

use crate::golang::release_number::ReleaseNumber;
use crate::golang::version_rule::VersionRule;
use std::fmt;
use std::path::PathBuf;

/// The requirement of a project for the version of Go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirement {
    /// The file that decides.
    pub file: PathBuf,
    /// The line that decides, from 1; `None` if no line of the file does.
    pub line: Option<usize>,
    /// The content of the line, for example `toolchain go1.26.5`.
    pub text: String,
    /// The rule that follows from it.
    pub rule: VersionRule,
    /// True if the active SDK comes first, if the rule allows it: `toolchain default`.
    pub prefers_active: bool,
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.line {
            Some(line) => write!(f, "`{}` in {file}, line {line}", self.text.escape_debug()),
            None => write!(f, "{file}, which names no version"),
        }
    }
}

impl Requirement {
    /// Returns the lowest version that is allowed; `None` if all are.
    pub(super) fn least(&self) -> Option<ReleaseNumber<'_>> {
        match &self.rule {
            VersionRule::AtLeast(version) => ReleaseNumber::of_version(version),
            _ => None,
        }
    }
}
