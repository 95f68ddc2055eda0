//! Files: safe paths, atomic writes, locks.

pub(crate) mod lock;
pub mod path;
