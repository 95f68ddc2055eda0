//! File system helpers: safe paths, atomic writes, digests, locks, the download cache.

pub mod atomic;
pub mod cache;
pub(crate) mod context;
pub mod digest;
pub(crate) mod hidden;
pub(crate) mod lock;
pub(crate) mod output;
pub mod path;
pub(crate) mod rename;
pub(crate) mod tree;
