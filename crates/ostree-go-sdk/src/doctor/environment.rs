//! Examines which Go the environment runs, and which build cache it uses.

use super::finding::Finding;
use super::topic::Severity;
use crate::deploy::{Deployment, Root};
use crate::stdcache::{FolderWarning, check_size_in_memory};
use crate::version::GoVersion;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The variables that decide which Go is run, and which build cache it uses. The caller reads them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GoEnvironment {
    /// The directories in `PATH`, in order.
    pub path: Vec<PathBuf>,
    /// `GOROOT`, from the environment or from the file of `go env -w`.
    pub goroot: Option<PathBuf>,
    /// `GOTOOLCHAIN`, from the same places.
    pub gotoolchain: Option<String>,
    /// `GOCACHE`, from the same places.
    pub gocache: Option<PathBuf>,
    /// The directory in which the go command makes its build cache `go-build` if `GOCACHE` is not set.
    pub cache_home: Option<PathBuf>,
    /// `GOCACHEPROG`, from the same places.
    pub gocacheprog: Option<String>,
}

/// Compares the environment with the active SDK of a root directory.
pub(super) fn examine(
    root: &Root,
    active: &Deployment,
    environment: &GoEnvironment,
) -> Vec<Finding> {
    let mut findings = examine_go(root, environment);
    findings.extend(examine_cacheprog(root, active, environment));
    findings.extend(examine_gocache(environment));
    // The other notes do not say whether the right Go is run.
    if findings
        .iter()
        .all(|finding| finding.severity() < Severity::Warning)
    {
        findings.push(Finding::EnvironmentGood);
    }
    findings
}

fn examine_go(root: &Root, environment: &GoEnvironment) -> Vec<Finding> {
    let bin = root.bin();
    let active = bin.join("go").canonicalize().ok();
    let mut findings = Vec::new();
    let mut programs = environment.path.iter().map(|folder| folder.join("go"));
    match programs.find(|program| is_program(program)) {
        Some(found) if found.canonicalize().ok() != active => {
            findings.push(Finding::OtherGo { found, bin });
        }
        Some(_) => {}
        None => findings.push(Finding::NotInPath { bin }),
    }
    if let Some(found) = &environment.goroot {
        // `go` is in the directory `bin` of its GOROOT.
        let goroot = active.as_deref().and_then(|go| go.parent()?.parent());
        if found.canonicalize().ok().as_deref() != goroot {
            let found = found.clone();
            findings.push(Finding::Goroot { found });
        }
    }
    if let Some(found) = &environment.gotoolchain
        && selects_a_version(found)
    {
        let found = found.clone();
        findings.push(Finding::Gotoolchain { found });
    }
    findings
}

/// The first version of Go with `GOCACHEPROG`.
const WITH_CACHEPROG: &str = "1.24rc1";

/// Checks that the go command finds the std caches of the active SDK, if it has some.
fn examine_cacheprog(
    root: &Root,
    active: &Deployment,
    environment: &GoEnvironment,
) -> Option<Finding> {
    let version: Option<GoVersion> = active.version.parse().ok();
    if active.std_caches.is_empty() || version < WITH_CACHEPROG.parse().ok() {
        return None;
    }
    match &environment.gocacheprog {
        None => Some(Finding::NoCacheProg {
            gocache: environment.gocache.clone(),
        }),
        Some(value) if serves(value, root.path()) => None,
        Some(value) => Some(Finding::OtherCacheProg {
            found: value.clone(),
        }),
    }
}

/// Returns true if a value of `GOCACHEPROG` is `ostree-go cacheprog` for a root directory, or without a root
/// directory, which stands for the usual ones.
fn serves(value: &str, root: &Path) -> bool {
    let words = words(value);
    let mut arguments = words.iter().skip(1).map(String::as_str);
    if !arguments.any(|word| word == "cacheprog") {
        return false;
    }
    // The option may also precede the verb.
    let mut arguments = words.iter().skip(1).map(String::as_str);
    let mut given = None;
    while let Some(word) = arguments.next() {
        match word.strip_prefix("--root") {
            Some("") => given = arguments.next(),
            Some(rest) => given = rest.strip_prefix('=').or(given),
            None => {}
        }
    }
    given.is_none_or(|given| {
        let same = |one: &Path| one.canonicalize().unwrap_or_else(|_| one.to_owned());
        same(Path::new(given)) == same(root)
    })
}

/// Splits a value into words as the go command does: at white space, except in quotes, which begin and end
/// words. Source: `src/cmd/internal/quoted/quoted.go`, `Split`.
fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = value.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '\'' | '"' => rest[1..].split_once(first).unwrap_or((&rest[1..], "")),
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// Checks the size of the build cache if it is in memory.
fn examine_gocache(environment: &GoEnvironment) -> Option<Finding> {
    let home = environment.cache_home.as_ref();
    let usual = home.map(|home| home.join("go-build"));
    let gocache = environment.gocache.clone().or(usual)?;
    let existing = gocache.ancestors().find(|path| path.is_dir())?;
    match check_size_in_memory(existing) {
        Ok(Some(FolderWarning::TooSmall { path, size, needed })) => {
            Some(Finding::SmallGoCache { path, size, needed })
        }
        _ => None,
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Returns true if a value of `GOTOOLCHAIN` names a version, like `go1.25.1` or `go1.25.1+auto`;
/// `local`, `auto` and `path` start with the active SDK. Source: <https://go.dev/doc/toolchain>.
fn selects_a_version(value: &str) -> bool {
    value.starts_with("go1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_versions_select_another_go() {
        for value in ["go1.25.1", "go1.25.1+auto", "go1.27rc1+path"] {
            assert!(selects_a_version(value), "{value}");
        }
        for value in ["", "local", "auto", "path", "local+auto"] {
            assert!(!selects_a_version(value), "{value}");
        }
    }

    #[test]
    fn a_cacheprog_serves_the_root_that_it_names() {
        let root = Path::new("/srv/a b");
        for value in [
            "/usr/bin/ostree-go cacheprog",
            "ostree-go cacheprog -v",
            "/bin/ostree-go cacheprog --root '/srv/a b'",
            "'/opt/my tools/ostree-go' cacheprog '--root=/srv/a b'",
            "ostree-go --root \"/srv/a b\" cacheprog",
        ] {
            assert!(serves(value, root), "{value}");
        }
        for value in [
            "",
            "/usr/bin/cacheprog",
            "cacheprog --root '/srv/a b'",
            "remote-cache --server cache.example",
            "ostree-go cacheprog --root /srv/other",
            "ostree-go cacheprog --root=/srv/other",
        ] {
            assert!(!serves(value, root), "{value}");
        }
    }
}
