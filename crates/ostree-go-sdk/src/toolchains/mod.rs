//! The right Go for each project: selects one of the installed SDKs by the files of a project.
//!
//! # Which file decides
//!
//! 1. `go.work`, in the directory of the project or the nearest one above it.
//! 2. `go.mod`, found in the same way.
//! 3. In the nearest directory that has one with a version of Go: `.go-version`, `.tool-versions`,
//!    `mise.toml`, `.mise.toml`.
//!
//! # Which SDK is selected
//!
//! `go.work` and `go.mod` name the lowest version: the higher one of the `go` and `toolchain` lines.
//! Selected is the lowest installed version that fulfils this. Then the result does not depend on
//! which SDK is active, and all machines with the same SDKs use the same one. Of the SDKs of one
//! channel, only one counts, so that an upgrade also reaches projects: the active SDK, or else the one
//! that was installed last. `toolchain default` stands for the active SDK.
//!
//! The files of version managers name one version, or select the newest one of several. Without any
//! file, the active SDK is selected.
//!
//! Source of Go's rules: `src/cmd/go/internal/toolchain/select.go`, and <https://go.dev/doc/toolchain>.
//! The go command itself uses the active SDK if that is new enough; see
//! [`Root::toolchains`](crate::deploy::Root::toolchains).

mod error;
pub(crate) mod project;
mod required;
mod select;
#[cfg(test)]
mod tests;

pub use crate::golang::modfile::{
    GoMod, GoWork, ModFileError, Problem as ModFileProblem, Value as ModFileValue,
};
pub use crate::golang::version_manager::VersionManagerError;
pub use crate::golang::version_rule::{InvalidVersionRule, VersionRule};
pub use error::ToolchainError;
pub use project::{Workspace, clean_path, requirement};
pub use required::Requirement;
pub use select::{Reason, Selection, find, install_for, select, select_for};
