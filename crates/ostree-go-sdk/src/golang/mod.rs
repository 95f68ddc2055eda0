//! Go's file and text formats, without I/O.

pub mod build_info;
pub mod elf;
pub mod env;
pub mod h1;
pub mod index;
pub mod modfile;
pub mod module_id;
pub mod module_path;
pub mod module_pattern;
pub mod module_ref;
pub mod modules_txt;
pub mod osv;
pub mod proxy;
pub mod pseudo_version;
pub mod release_number;
pub mod semver;
pub mod std_cache;
pub mod sum_file;
pub mod sumdb;
pub mod toolchain;
pub mod version_file;
pub mod version_manager;
pub mod version_rule;
