//! JSON objects that several verbs print. Each one has its fields in the order in which they are
//! printed; the reference page `json.md` describes them.

pub mod advisory;
pub mod binary;
pub mod channel;
pub mod commit;
pub mod damage;
pub mod delta;
pub mod deployment;
pub mod diff;
pub mod drift;
pub mod error;
pub mod hook;
pub mod module_version;
pub mod pull;
pub mod reproduction;
pub mod selection;
pub mod signature;
pub mod std_cache;
pub mod summary;
pub mod value;
