//! Examines which Go the environment runs.

use super::finding::Finding;
use crate::deploy::Root;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The variables that decide which Go is run. The caller reads them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GoEnvironment {
    /// The directories in `PATH`, in order.
    pub path: Vec<PathBuf>,
    /// `GOROOT`, from the environment or from the file of `go env -w`.
    pub goroot: Option<PathBuf>,
    /// `GOTOOLCHAIN`, from the same places.
    pub gotoolchain: Option<String>,
}

/// Compares the environment with the active SDK of a root directory.
pub(super) fn examine(root: &Root, environment: &GoEnvironment) -> Vec<Finding> {
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
    if findings.is_empty() {
        findings.push(Finding::EnvironmentGood);
    }
    findings
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
}
