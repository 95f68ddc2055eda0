//! Compiled standard libraries: how they are built, and how builds on this machine use them.
//!
//! A std cache is the part of Go's build cache that a build of the standard library creates. It is
//! read-only and shared by all users. There are two ways to build with it:
//!
//! - [`seed_gocache`] fills a new `GOCACHE` with links to the outputs, for caches that live as long as
//!   one sandbox;
//! - [`CacheProg`] answers the go command's requests in the protocol of `GOCACHEPROG`, and stores what
//!   the std caches do not contain in a folder of the user.
//!
//! [`BuildFolders`] finds and creates the folders for Go's caches on a host.
//!
//! A compose makes std caches: `build` has the go command of an SDK compile the standard library in a
//! sandbox (`sandbox`), finds the entries of Go's build cache that other machines can use (`entries`),
//! and `write` turns them into objects of a repository. `input` identifies what the result depends on.

mod build;
mod build_error;
mod cacheprog;
mod entries;
mod error;
mod folders;
mod gocache;
mod input;
mod open;
mod sandbox;
mod seed;
mod verified;
mod write;

pub(crate) use build::StdCacheBuilder;
pub use build_error::StdCacheBuildError;
#[cfg(feature = "fuzzing")]
pub(crate) use cacheprog::fuzz;
pub use cacheprog::{CacheProg, Served, Trimmed};
pub use error::StdCacheError;
pub(crate) use folders::check_size_in_memory;
pub use folders::{BuildFolders, FolderKind, FolderWarning, cacheprog_variable};
pub(crate) use input::SdkInput;
pub use open::{StdCache, std_cache_dirs};
pub(crate) use sandbox::{Mount, Ran, Sandbox, check as check_sandbox};
pub use seed::{SeedLink, seed_gocache};
pub use verified::verified_records;
pub(crate) use verified::{VERIFIED_DIR, record as record_verified};
pub(crate) use write::{WrittenStdCache, write};

pub use crate::golang::std_cache::{InvalidStdCacheIndex, StdCacheEntry, StdCacheIndex};
