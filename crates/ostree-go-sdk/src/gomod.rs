//! Go's module files: `go.mod`, `go.work`, `go.sum` and `vendor/modules.txt`, and changes of the Go that
//! a project asks for.
//!
//! [`Sync`] sets the `toolchain` lines of projects to an SDK, and on request also their `go` lines.

mod diff;
mod error;
mod lines;
mod plan;
mod sync;
#[cfg(test)]
mod tests;

pub use crate::golang::modfile::{
    FileKind, GoMod, GoWork, ModFileError, ModuleVersion, Problem as ModFileProblem, Replace,
    Require, Retract, Value as ModFileValue,
};
pub use crate::golang::module_path::{escape_path, escape_version};
pub use crate::golang::modules_txt::{
    ModulesTxt, ModulesTxtError, ModulesTxtProblem, VendoredModule,
};
pub use crate::golang::sum_file::{GoSum, SumEntry, SumFileError};
pub use error::GoModError;
pub use plan::{FileChange, SelectingLines, SyncPlan};
pub use sync::Sync;
