//! Files: safe paths, atomic writes, digests, the download cache.

pub(crate) mod lock;
pub mod atomic;
pub mod cache;
pub mod digest;
pub mod path;
