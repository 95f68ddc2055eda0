//! The rules of Go's own packer: the module form of toolchains, and which files are executable.
//!
//! Source of every rule and constant here: `src/cmd/distpack/pack.go` and `archive.go`.

use crate::arch::Arch;
use crate::fs::path::TreePath;
use crate::version::GoVersion;

/// The path of the module that distributes toolchains (`modPath`).
pub const MODULE: &str = "golang.org/toolchain";

/// Prefix of a toolchain module's version (`modVersionPrefix`).
const VERSION_PREFIX: &str = "v0.0.1";

/// The top-level folders that the module form leaves out.
const EXCLUDED_FOLDERS: [&str; 4] = ["api", "doc", "misc", "test"];

/// `go.mod`, and its name in the module form, which may not contain another `go.mod`.
const GO_MOD: &str = "go.mod";
const RENAMED_GO_MOD: &str = "_go.mod";

/// Returns the version of a toolchain module: `v0.0.1-go1.26.5.linux-amd64`.
#[must_use]
pub fn module_version(version: &GoVersion, arch: Arch) -> String {
    format!("{VERSION_PREFIX}-go{version}.linux-{}", arch.goarch())
}

/// Returns the top folder of a toolchain module's zip, without a final `/`:
/// `golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64`.
#[must_use]
pub fn module_folder(version: &GoVersion, arch: Arch) -> String {
    format!("{MODULE}@{}", module_version(version, arch))
}

/// Returns the version of Go and the architecture in the name of a toolchain module; `None` for any
/// other text. The inverse of `module_folder`.
#[must_use]
pub fn parse_module_folder(text: &str) -> Option<(GoVersion, Arch)> {
    let version = text.strip_prefix(MODULE)?.strip_prefix('@')?;
    let version = version.strip_prefix(VERSION_PREFIX)?.strip_prefix("-go")?;
    let found = Arch::ALL.into_iter().find_map(|arch| {
        let end = format!(".linux-{}", arch.goarch());
        Some((version.strip_suffix(&end)?, arch))
    });
    let (version, arch) = found?;
    Some((version.parse().ok()?, arch))
}

/// Returns the name of a file of the SDK in the module whose top folder is `folder`, or `None`
/// if the module leaves it out (everything below `api`, `doc`, `misc` and `test`).
#[must_use]
pub fn module_entry(folder: &str, path: &TreePath) -> Option<String> {
    if path
        .components()
        .next()
        .is_some_and(|top| EXCLUDED_FOLDERS.contains(&top))
    {
        return None;
    }
    let path = path.as_str();
    Some(match path.strip_suffix(GO_MOD) {
        Some(parent) if parent.is_empty() || parent.ends_with('/') => {
            format!("{folder}/{parent}{RENAMED_GO_MOD}")
        }
        _ => format!("{folder}/{path}"),
    })
}

/// Returns the path in the SDK of a module's entry, given relative to the module's folder:
/// `_go.mod` becomes `go.mod`. The inverse of [`module_entry`].
#[must_use]
pub fn sdk_path(entry: &str) -> String {
    match entry.strip_suffix(RENAMED_GO_MOD) {
        Some(parent) if parent.is_empty() || parent.ends_with('/') => format!("{parent}{GO_MOD}"),
        _ => entry.to_owned(),
    }
}

/// Returns whether a file of the SDK is executable. Only the path matters (`mode`), not the
/// mode in an archive or file system.
#[must_use]
pub fn is_executable(path: &TreePath) -> bool {
    let name = path.as_str();
    ["bin/", "pkg/tool/"]
        .iter()
        .any(|top| name.starts_with(top))
        || [".bash", ".sh", ".pl", ".rc"]
            .iter()
            .any(|end| name.ends_with(end))
        || is_exec_wrapper(path.file_name())
}

/// Returns whether a base name matches `go_?*_?*_exec`, like `go_android_arm64_exec`.
fn is_exec_wrapper(name: &str) -> bool {
    let Some(between) = name
        .strip_prefix("go_")
        .and_then(|rest| rest.strip_suffix("_exec"))
    else {
        return false;
    };
    // Some underscore must have at least one character on either side.
    let mut inner = between.chars();
    inner.next();
    inner.next_back();
    inner.any(|c| c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    #[test]
    fn names_the_module() {
        let version = "1.26.5".parse().unwrap();
        assert_eq!(
            module_folder(&version, Arch::Aarch64),
            "golang.org/toolchain@v0.0.1-go1.26.5.linux-arm64"
        );
        let name = "golang.org/toolchain@v0.0.1-go1.26.5.linux-arm64";
        assert_eq!(parse_module_folder(name), Some((version, Arch::Aarch64)));
        for other in [
            "golang.org/toolchain@v0.0.1-go1.26.5.windows-amd64",
            "golang.org/toolchain@v0.0.1-go1.x.linux-amd64",
            "golang.org/toolchain",
            "example.com/toolchain@v0.0.1-go1.26.5.linux-amd64",
        ] {
            assert_eq!(parse_module_folder(other), None, "{other}");
        }
    }

    #[test]
    fn entries_are_those_of_the_packer() {
        for (sdk, module) in [
            ("bin/go", Some("M/bin/go")),
            ("src/go.mod", Some("M/src/_go.mod")),
            ("go.mod", Some("M/_go.mod")),
            ("src/ago.mod", Some("M/src/ago.mod")),
            ("src/go.mod/x", Some("M/src/go.mod/x")),
            ("test/run.go", None),
            ("doc", None),
            ("docs/x", Some("M/docs/x")),
            ("src/test/x", Some("M/src/test/x")),
        ] {
            assert_eq!(module_entry("M", &path(sdk)).as_deref(), module, "{sdk}");
        }
    }

    #[test]
    fn executables_are_those_of_the_packer() {
        for yes in [
            "bin/go",
            "pkg/tool/linux_amd64/compile",
            "src/all.bash",
            "lib/x.rc",
            "a.pl",
            "misc/go_android_arm64_exec",
            "go_a_b_exec",
            "x/go_a__exec_exec",
        ] {
            assert!(is_executable(&path(yes)), "{yes}");
        }
        for no in [
            "bin2/go",
            "src/bin/go",
            "pkg/include/asm.h",
            "src/all.bat",
            "go_exec",
            "go__exec",
            "go_a_exec",
            "go__a_exec",
            "go_a__exec",
            "go___exec",
            "go_a_b_exec/x",
            "xgo_a_b_exec",
        ] {
            assert!(!is_executable(&path(no)), "{no}");
        }
    }

    proptest! {
        #[test]
        fn renaming_is_undone(sdk in "[a-z]{1,3}(/(go[.]mod|[a-z.]{1,3}x)){0,3}") {
            let path = path(&sdk);
            if let Some(entry) = module_entry("M", &path) {
                prop_assert_eq!(sdk_path(entry.strip_prefix("M/").unwrap()), sdk);
            }
        }

        /// Compares the glob with a naive implementation: a split at an underscore with at least
        /// one character on both sides.
        #[test]
        fn the_glob_matches_like_path_match(name in "go_[ab_]{0,6}_exec|[go_exc]{0,12}") {
            let expected = name
                .strip_prefix("go_")
                .and_then(|rest| rest.strip_suffix("_exec"))
                .is_some_and(|m| m.match_indices('_').any(|(i, _)| i > 0 && i + 1 < m.len()));
            prop_assert_eq!(is_exec_wrapper(&name), expected);
        }
    }
}
