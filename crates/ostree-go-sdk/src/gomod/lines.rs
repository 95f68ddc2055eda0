//! The `go` and `toolchain` lines that a file gets.
//!
//! Source: `UpdateGoModFromReqs` and `UpdateWorkGoVersion` in `src/cmd/go/internal/modload/init.go`.

use crate::golang::modfile::{Edit, LineChange};
use crate::golang::release_number::ReleaseNumber;

/// The first version that understands `toolchain` lines. Source: `GoStrictVersion` in
/// `src/cmd/go/internal/gover/version.go`.
const FIRST_WITH_TOOLCHAIN: &str = "1.21";

/// The role of a file in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The file decides which toolchain is used.
    Main,
    /// The `go.mod` file of a module that a workspace uses. Go ignores its `toolchain` line there.
    Used,
}

/// Returns the changes of a file for an SDK with this version. `go` is the version for the `go` line,
/// if it is to be changed; `old_go` and `old_toolchain` are the present lines.
///
/// A `toolchain` line that the `go` line implies is removed, and so is one of a Go before 1.21, as the
/// go command does. An older one than the `go` line is replaced, or removed from the file of a used
/// module.
pub(super) fn changes(
    version: &str,
    go: Option<&str>,
    role: Role,
    (old_go, old_toolchain): (Option<&str>, Option<&str>),
) -> Edit {
    let new_go = go.or(old_go);
    let name = match role {
        Role::Main => Some(version),
        Role::Used => old_toolchain.and_then(|name| name.strip_prefix("go")),
    };
    let toolchain = match name {
        // Go ignores `toolchain default`, like all toolchain lines of used modules.
        None => LineChange::Keep,
        Some(name) if new_go == Some(name) || is_older(name, Some(FIRST_WITH_TOOLCHAIN)) => {
            LineChange::Remove
        }
        Some(name) if role == Role::Used => match is_older(name, new_go) {
            true => LineChange::Remove,
            false => LineChange::Keep,
        },
        Some(name) => LineChange::Set(format!("go{name}")),
    };
    Edit {
        go: go.map_or(LineChange::Keep, |go| LineChange::Set(go.to_owned())),
        toolchain,
    }
}

/// Returns true if a version is older than another one.
pub(super) fn is_older(version: &str, than: Option<&str>) -> bool {
    let number = ReleaseNumber::of_version;
    than.is_some_and(|than| number(version) < number(than))
}
