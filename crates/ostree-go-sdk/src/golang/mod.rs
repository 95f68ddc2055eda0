//! Go's file and text formats, without I/O.

pub mod elf;
pub mod env;
pub mod h1;
pub mod index;
pub mod proxy;
pub mod std_cache;
pub mod sumdb;
pub mod toolchain;
pub mod version_file;
