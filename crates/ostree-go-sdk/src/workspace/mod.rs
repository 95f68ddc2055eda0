//! Locks of workspaces: what the units of a workspace are built from, and whether it has changed.
//!
//! A *project* is a `go.work` file with the modules that it uses, or a `go.mod` file that no `go.work` file
//! above it covers. A *unit* is a module that is built and deployed: each module that `go.work` uses, or the only
//! module of the project. Several projects can share one lock.
//!
//! [`Workspace::lock`] describes the present state: the SDK, the variables that decide what is built, the
//! `go.mod` and `go.work` files, the modules with their hashes, the content and commit of directories that replace
//! modules, and the vendored files. [`Workspace::check`] returns the differences between a [`Lock`] and the present
//! state, and those that need no lock: vendored files that are not those of the module that `go.sum` names, and
//! units that use different versions of a module.
//!
//! Nothing is written, and no network is used unless [`Workspace::fetch`] allows it.

mod compare;
mod conflicts;
mod consistency;
mod constraint;
mod deployed;
mod drift;
mod error;
mod examine;
mod go_list;
mod lock;
mod module_source;
mod modules;
mod options;
mod replacement;
mod sdk;
mod settings;
mod sums;
mod tree;
mod units;
mod vendor;
mod vendored_files;

pub use crate::golang::modules_txt::ModulesTxtError;
pub use crate::golang::sum_file::SumFileError;
pub use drift::{Drift, DriftKind};
pub use error::WorkspaceError;
pub use examine::{Examination, Uncompared};
pub use lock::{
    LOCK_FILE_NAME, Lock, LockedDeployment, LockedModule, LockedProject, LockedReplace,
    LockedReplacement, LockedSdk, LockedUnit, LockedVendor, LockedVendoredModule, LockedWork,
};
pub use options::Workspace;
pub use settings::{is_build_setting, uses_variable};
