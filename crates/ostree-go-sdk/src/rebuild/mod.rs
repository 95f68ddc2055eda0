//! Proves how a release was made: composes it again from its source, or compiles its programs again.
//!
//! [`Recompose`] composes a release into a temporary repository, from the
//! [recipe](crate::treefile::Recipe) beside its commit and a source that the publisher has no control
//! over, and compares the commits. [`RebuildToolchain`] compiles the programs of an SDK from the
//! release's own sources, for either architecture on either, and compares their bytes. A difference is
//! a result and not an error.
//!
//! A compose uses `build` as well, for a [source that is
//! rebuilt](crate::treefile::SourceSpec::Rebuild).
//!
//! The files, lowest first: `build_error`, `build`, `error`, `release`, `recompose`, `toolchain`.

mod build;
mod build_error;
mod error;
mod recompose;
mod release;
mod toolchain;

pub(crate) use build::{Program, ToolchainBuilder, tool_dir};
pub use build_error::ToolchainBuildError;
pub use error::RebuildError;
pub use recompose::{
    CommitDifference, Recompose, Recomposed, RecomposedCommit, RecomposedStdCache,
};
pub use toolchain::{RebuildToolchain, RebuiltProgram, RebuiltToolchain};
