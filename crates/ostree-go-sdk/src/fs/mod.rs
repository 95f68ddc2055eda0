//! Files: safe paths, atomic writes, digests, the download cache.

pub mod atomic;
pub mod cache;
pub mod digest;
pub(crate) mod lock;
pub mod path;
pub(crate) mod tree;
