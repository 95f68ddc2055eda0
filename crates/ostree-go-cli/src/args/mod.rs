//! Options that several verbs have in common.

pub mod arch;
pub mod database;
pub mod global;
pub mod hooks;
pub mod limits;
pub mod signing;
pub mod size;
pub mod source;
pub mod std_cache;
pub mod transfer;
pub mod trust;
pub mod words;
pub mod workspace_lock;
