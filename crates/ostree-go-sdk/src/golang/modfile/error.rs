//! Errors of `go.mod` and `go.work` files.

use crate::kind::ErrorKind;

/// The reason why a `go.mod` or `go.work` file is rejected, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ModFileError {
    /// The number of the line, from 1.
    pub line: usize,
    /// The problem of the line.
    pub problem: Problem,
}

impl ModFileError {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

/// The problem of a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A string does not end on its line.
    #[error("the string has no closing quote")]
    UnterminatedString,
    /// A comment has the form `/* … */`.
    #[error("a comment starts with `/*`, expected `//`")]
    BlockComment,
    /// A character cannot be part of the file.
    #[error("unexpected character `{}`", .found.escape_debug())]
    Character {
        /// The character.
        found: char,
    },
    /// A block does not end.
    #[error("the block has no closing `)`")]
    UnterminatedBlock,
    /// Something follows the end of a block.
    #[error("`)` is followed by `{}`, expected the end of the line", .found.escape_debug())]
    AfterBlock {
        /// The token that follows.
        found: String,
    },
    /// A directive that may occur once occurs again.
    #[error("second `{verb}` line")]
    Repeated {
        /// The directive.
        verb: &'static str,
    },
    /// A directive has another number of arguments, or is a block.
    #[error("`{verb}` has {found} arguments, expected one")]
    Arguments {
        /// The directive.
        verb: &'static str,
        /// The number of its arguments.
        found: usize,
    },
    /// A directive that has to be a line is a block.
    #[error("`{verb}` is a block, expected a line")]
    Block {
        /// The directive.
        verb: &'static str,
    },
    /// The version of a `go` line is malformed.
    #[error("`go {}` names no version, expected the form `go 1.26.5` or `go 1.26`", .found.escape_debug())]
    GoVersion {
        /// The argument.
        found: String,
    },
    /// The name in a `toolchain` line is malformed.
    #[error("`toolchain {}` names no toolchain, expected the form `toolchain go1.26.5` or `toolchain default`", .found.escape_debug())]
    Toolchain {
        /// The argument.
        found: String,
    },
    /// A string cannot be unquoted, or a word contains quotes.
    #[error("`{}` is not a valid string", .found.escape_debug())]
    String {
        /// The string, as in the file.
        found: String,
    },
    /// A directive that names a module and its version has another number of arguments.
    #[error("`{verb}` has {found} arguments, expected a module path and a version")]
    ModuleArguments {
        /// The directive.
        verb: &'static str,
        /// The number of its arguments.
        found: usize,
    },
    /// A `replace` line has another form.
    #[error(
        "malformed `replace`, expected the form `replace example.com/a [v1.2.3] => example.com/b v1.4.0` or `replace example.com/a [v1.2.3] => ../b`"
    )]
    ReplaceForm,
    /// A `retract` line has another form.
    #[error(
        "malformed `retract`, expected the form `retract v1.2.3` or `retract [v1.2.0, v1.2.9]`"
    )]
    RetractForm,
    /// The argument of a `godebug` line has another form.
    #[error("`godebug {}` is malformed, expected the form `godebug key=value`", .found.escape_debug())]
    Godebug {
        /// The argument.
        found: String,
    },
    /// The version of a module is not a semantic version.
    #[error("`{}` is not a module version, expected the form `v1.2.3`", .found.escape_debug())]
    Version {
        /// The version.
        found: String,
    },
    /// The path of a module ends in an invalid major version.
    #[error(
        "the module path `{}` ends in an invalid major version, expected the form `example.com/a/v2` or `gopkg.in/a.v1`",
        .found.escape_debug()
    )]
    ModulePath {
        /// The path.
        found: String,
    },
    /// The version of a module does not belong to its path.
    #[error("`{}` has a path for {expected}", .found.escape_debug())]
    Major {
        /// The path and the version of the module.
        found: String,
        /// The major version that the path allows.
        expected: String,
    },
    /// The replacement of a module has no version and is not a directory.
    #[error(
        "the replacement `{}` has no version and is not a directory, which starts with `/`, `./` or `../`",
        .found.escape_debug()
    )]
    NoVersion {
        /// The replacement.
        found: String,
    },
    /// A replacement directory contains a backslash.
    #[error("the replacement directory `{}` contains `\\`, expected `/`", .found.escape_debug())]
    Backslash {
        /// The directory.
        found: String,
    },
    /// A replacement directory has a version.
    #[error("the replacement directory `{}` has a version, expected none", .found.escape_debug())]
    DirectoryVersion {
        /// The directory.
        found: String,
    },
    /// A module has two replacements.
    #[error("`{}` is already replaced by another module or directory in line {first}", .found.escape_debug())]
    Conflict {
        /// The module.
        found: String,
        /// The number of the line of the first replacement, from 1.
        first: usize,
    },
}
