//! Suggestions for failures around builds: std caches, and the SDK for a project.

use ostree_go_sdk::ErrorKind;
use ostree_go_sdk::compose::ComposeError;
use ostree_go_sdk::gomod::GoModError;
use ostree_go_sdk::rebuild::{RebuildError, ToolchainBuildError};
use ostree_go_sdk::stdcache::{StdCacheBuildError, StdCacheError};
use ostree_go_sdk::toolchains::{Requirement, ToolchainError};
use std::path::Path;

/// Returns a suggestion for a std cache that could not be built.
pub fn std_cache_build(error: &StdCacheBuildError) -> Option<String> {
    let hint = match error {
        StdCacheBuildError::NoBubblewrap => {
            "install bubblewrap, or leave out the compiled standard library with --no-stdcache"
        }
        StdCacheBuildError::Sandbox { .. } => {
            "allow user namespaces: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone (Debian) or \
             kernel.apparmor_restrict_unprivileged_userns (Ubuntu), in a container also its seccomp profile; or leave \
             out the compiled standard library with --no-stdcache"
        }
        StdCacheBuildError::NotExecutable { .. } | StdCacheBuildError::Go { .. }
            if error.kind() != ErrorKind::DiskFull =>
        {
            "the releases were composed; --no-stdcache leaves out the compiled standard library"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// The settings that a sandbox needs.
const SANDBOX_HINT: &str = "allow user namespaces: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone (Debian) or \
     kernel.apparmor_restrict_unprivileged_userns (Ubuntu), in a container also its seccomp profile";

/// Returns a suggestion for programs of an SDK that could not be compiled.
pub fn toolchain_build(error: &ToolchainBuildError) -> Option<String> {
    let hint = match error {
        ToolchainBuildError::NoBubblewrap => "install bubblewrap",
        ToolchainBuildError::Sandbox { .. } => SANDBOX_HINT,
        ToolchainBuildError::NotExecutable { .. } => {
            "rebuild from the architecture of this machine"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns a suggestion for a release that could not be composed again, if it differs from that for a
/// compose.
pub fn recompose(error: &ComposeError) -> Option<String> {
    let hint = match error {
        ComposeError::NoSource { .. } => {
            "name an SDK of the same version with --source: a file, a directory or a URL"
        }
        ComposeError::H1Mismatch { .. } | ComposeError::VersionMismatch { .. } => {
            "either the source is not the one of the release, or the recipe is wrong; `ostree-go show` shows the source"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns a suggestion for a release that could not be composed or compiled again.
pub fn rebuild(error: &RebuildError) -> Option<String> {
    let hint = match error {
        RebuildError::Build(error) => return toolchain_build(error),
        RebuildError::NotARelease { .. } => "`ostree-go list` shows releases and channels",
        RebuildError::NoRecipe { .. } => {
            "its publisher adds the recipe with `ostree-go compose --force-nocache`"
        }
        RebuildError::NoCompiler { arch, .. } => {
            return Some(format!(
                "pull the release of the same version for {arch}, which compiles for every architecture"
            ));
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns a suggestion for a std cache that could not be used.
pub fn std_cache(error: &StdCacheError) -> Option<String> {
    let hint = match error {
        StdCacheError::Protocol { .. } => {
            "the go command runs this command: `ostree-go env --cache` prints the setting for it"
        }
        StdCacheError::NotPrivate { .. } => {
            "whoever can write to a build cache decides what is built from it; use another directory"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns a suggestion for a project that no SDK could be selected for.
pub fn toolchain(error: &ToolchainError) -> Option<String> {
    match error {
        ToolchainError::NoSdk {
            dir, requirement, ..
        } => Some(no_sdk_hint(dir, requirement)),
        ToolchainError::NotInstalled { name, nearest, .. } => {
            let install = format!("`ostree-go install {name}` installs it");
            let nearest: Vec<String> = nearest.iter().map(|one| format!("`{one}`")).collect();
            Some(match nearest.split_last() {
                None => install,
                Some((only, [])) => format!("{install}; installed is {only}"),
                Some((last, others)) => {
                    format!("{install}; installed are {} and {last}", others.join(", "))
                }
            })
        }
        ToolchainError::NoModule { .. } => {
            Some("remove the `use` line, or use another workspace with GOWORK".to_owned())
        }
        ToolchainError::RelativeWorkspace { .. } => {
            Some("set GOWORK to an absolute path, `auto` or `off`".to_owned())
        }
        _ => None,
    }
}

/// Returns a suggestion for module files that cannot be changed.
pub fn gomod(error: &GoModError) -> Option<String> {
    let hint = match error {
        GoModError::Project(error) => return toolchain(error),
        GoModError::NoFile { .. } => "`go mod init` creates a go.mod",
        GoModError::TooNew { path, .. } => {
            let dir = path.parent().unwrap_or(path).display().to_string();
            let install = match dir.chars().all(is_plain) {
                true => format!("`ostree-go install --for {dir}`"),
                false => "`ostree-go install --for`".to_owned(),
            };
            return Some(format!(
                "{install} installs an SDK that is new enough, and `--sdk` selects an installed one"
            ));
        }
        GoModError::Changed { .. } => "run the command again",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns true for the characters that a shell does not interpret.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/._-+".contains(c)
}

fn no_sdk_hint(dir: &Path, requirement: &Requirement) -> String {
    let dir = dir.display().to_string();
    if dir.chars().all(is_plain) {
        return format!("`ostree-go install --for {dir}` installs it");
    }
    match requirement.rule.names_release() {
        Some(version) => format!("`ostree-go install {version}` installs it"),
        None => "`ostree-go install --for DIR` installs it".to_owned(),
    }
}
