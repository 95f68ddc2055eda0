//! Files: safe paths, atomic writes, locks.

pub mod path;
