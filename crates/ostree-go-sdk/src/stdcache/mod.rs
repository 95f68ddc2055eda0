//! Std caches: the standard library, compiled ahead of the first build on a host.
//!
//! `build` has the go command of an SDK compile the standard library in a sandbox (`sandbox`), finds
//! the entries of Go's build cache that other machines can use (`entries`), and `write` turns them
//! into objects of a repository. `input` identifies what the result depends on.

mod build;
mod entries;
mod error;
mod input;
mod sandbox;
mod write;

pub(crate) use build::StdCacheBuilder;
pub use error::StdCacheBuildError;
pub(crate) use input::SdkInput;
pub(crate) use sandbox::check as check_sandbox;
pub(crate) use write::{WrittenStdCache, write};
