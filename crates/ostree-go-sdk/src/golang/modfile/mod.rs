//! `go.mod` and `go.work` files.
//!
//! A file is accepted if `go mod edit` or `go work edit` accepts it, with these exceptions. Directives
//! that this module does not know are accepted, so that a file that needs a newer Go than this library
//! knows can still say so. Two `replace` lines of one module with different replacements are refused,
//! as `go build` does. As in Go, the paths of required modules only have to end in a valid major
//! version; whether a proxy could provide them is decided where they are used
//! ([`is_module_path`](super::module_path::is_module_path)).
//!
//! Source of the rules: `golang.org/x/mod/modfile`, `rule.go` and `work.go`.

mod edit;
mod error;
mod file;
mod lexer;
mod lines;
mod rules;
pub(super) mod string;
mod syntax;
#[cfg(test)]
mod tests;

pub use edit::{Edit, LineChange, edit};
pub use error::{ModFileError, Problem};
pub use file::is_toolchain;
pub use lines::{DEFAULT_TOOLCHAIN, ModuleVersion, Replace, Require, Retract, Value};

use file::{File, Form};

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A `go.mod` file.
    Module,
    /// A `go.work` file.
    Workspace,
}

/// A `go.mod` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoMod {
    /// The `module` line.
    pub module: Option<Value>,
    /// The `go` line, with a version such as `1.26` or `1.26.5`.
    pub go: Option<Value>,
    /// The `toolchain` line, with a name such as `go1.26.5`, or `default`.
    pub toolchain: Option<Value>,
    /// The keys and values of `godebug` lines.
    pub godebug: Vec<(String, String)>,
    /// The modules that are required. A path can occur more than once; then Go uses the highest
    /// version.
    pub require: Vec<Require>,
    /// The versions that are excluded, without repetitions. All of them have a version.
    pub exclude: Vec<ModuleVersion>,
    /// The replacements of modules, without repetitions.
    pub replace: Vec<Replace>,
    /// The versions of this module that should not be used.
    pub retract: Vec<Retract>,
    /// The import paths of tools, without repetitions.
    pub tool: Vec<Value>,
    /// The directories that are ignored, without repetitions.
    pub ignore: Vec<Value>,
}

/// A `go.work` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoWork {
    /// The `go` line.
    pub go: Option<Value>,
    /// The `toolchain` line.
    pub toolchain: Option<Value>,
    /// The keys and values of `godebug` lines.
    pub godebug: Vec<(String, String)>,
    /// The directories of modules in `use` lines, in their order. They are relative to the directory
    /// of the file, or absolute.
    pub uses: Vec<Value>,
    /// The replacements of modules, without repetitions.
    pub replace: Vec<Replace>,
}

impl GoMod {
    /// Parses a file. Bytes that are not UTF-8 are accepted where Go accepts them.
    ///
    /// # Errors
    /// Returns an error with the line if the syntax is wrong, a directive has other arguments than Go
    /// expects, or a `module`, `go` or `toolchain` line is repeated.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModFileError> {
        File::parse(bytes, Form::Module).map(Self::from)
    }

    /// Parses only the `go` and `toolchain` lines of a file, which select a Go; the other fields are
    /// empty. What the other lines mean is not checked, so that a file that `go mod tidy` has to
    /// repair still selects one.
    ///
    /// # Errors
    /// Returns an error with the line if the syntax is wrong, or a `go` or `toolchain` line is
    /// repeated or names no version.
    pub fn parse_versions(bytes: &[u8]) -> Result<Self, ModFileError> {
        File::parse(bytes, Form::ModuleVersions).map(Self::from)
    }
}

impl GoWork {
    /// Parses a file. Bytes that are not UTF-8 are accepted where Go accepts them.
    ///
    /// # Errors
    /// Returns an error with the line if the syntax is wrong, a directive has other arguments than Go
    /// expects, or a `go` or `toolchain` line is repeated.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModFileError> {
        File::parse(bytes, Form::Workspace).map(Self::from)
    }

    /// Parses only the `go`, `toolchain` and `use` lines of a file, which select a Go; the other
    /// fields are empty.
    ///
    /// # Errors
    /// Returns an error with the line if the syntax is wrong, a `go` or `toolchain` line is repeated
    /// or names no version, or a `use` line is malformed.
    pub fn parse_versions(bytes: &[u8]) -> Result<Self, ModFileError> {
        File::parse(bytes, Form::WorkspaceVersions).map(Self::from)
    }
}

impl From<File> for GoMod {
    fn from(file: File) -> Self {
        Self {
            module: file.module,
            go: file.go,
            toolchain: file.toolchain,
            godebug: file.godebug,
            require: file.require,
            exclude: file.exclude,
            replace: file.replace,
            retract: file.retract,
            tool: file.tool,
            ignore: file.ignore,
        }
    }
}

impl From<File> for GoWork {
    fn from(file: File) -> Self {
        Self {
            go: file.go,
            toolchain: file.toolchain,
            godebug: file.godebug,
            uses: file.uses,
            replace: file.replace,
        }
    }
}
