//! Drift as findings in files, for SARIF and annotations.

use crate::findings::{Finding, Findings, Rule};
use ostree_go_sdk::toolchains::clean_path;
use ostree_go_sdk::workspace::{Drift, DriftKind, LOCK_FILE_NAME};
use std::path::Path;

/// Returns the findings for the drift of a workspace whose lock is in a directory. Their paths are
/// relative to the checkout that contains the directory, as code scanners expect it.
pub fn findings(drift: &[Drift], directory: &Path) -> Findings {
    let is_checkout = |path: &&Path| path.join(".git").exists();
    let checkout = directory.ancestors().find(is_checkout).unwrap_or(directory);
    Findings {
        rules: DriftKind::ALL.iter().map(|kind| rule(*kind)).collect(),
        found: drift
            .iter()
            .map(|one| finding(one, directory, checkout))
            .collect(),
    }
}

fn rule(kind: DriftKind) -> Rule {
    Rule {
        id: kind.as_str(),
        description: sentence(&kind.to_string()),
        help: help(kind).to_owned(),
    }
}

fn finding(drift: &Drift, directory: &Path, checkout: &Path) -> Finding {
    let lock = directory.join(LOCK_FILE_NAME);
    let path = drift.path.as_ref();
    let path = path.map(|path| clean_path(&directory.join(path)));
    // A file outside of the checkout, for example in the module cache, cannot be annotated.
    let path = path.filter(|path| path.starts_with(checkout));
    let (path, line) = match path {
        Some(path) => (path, drift.line),
        None => (lock, None),
    };
    let path = path.strip_prefix(checkout).unwrap_or(&path).to_owned();
    let expected = drift.expected.as_deref().unwrap_or_default();
    Finding {
        rule: drift.what.as_str(),
        message: message(drift),
        path: path.to_string_lossy().into_owned(),
        line,
        subject: format!("{}:{expected}", drift.unit),
    }
}

/// Returns a message that says everything: annotations are shown without their context.
fn message(drift: &Drift) -> String {
    let mut text = match &*drift.unit {
        "." => drift.what.to_string(),
        unit => format!("{unit}: {}", drift.what),
    };
    let values = [("expected", &drift.expected), ("found", &drift.found)];
    for (word, value) in values {
        if let Some(value) = value {
            text += &format!("\n{word} {value}");
        }
    }
    text
}

/// Returns a text with an upper-case letter at its start and a full stop at its end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// Returns what to do about drift.
fn help(kind: DriftKind) -> &'static str {
    match kind {
        DriftKind::SdkNotInstalled => {
            "Install the locked SDK: `ostree-go install VERSION`, with the version in the lock."
        }
        DriftKind::DeployedLock => {
            "Build and deploy again with this lock, or check out the sources that the deployed one was built from."
        }
        DriftKind::VendoredFileChanged
        | DriftKind::VendoredFileAdded
        | DriftKind::VendoredFileRemoved => {
            "Restore the files with `go mod vendor`. To change a dependency, replace its module with a directory."
        }
        DriftKind::VendorInconsistent => "Run `go mod vendor`, or `go work vendor` in a workspace.",
        DriftKind::ModuleZipChanged | DriftKind::ModuleCacheChanged => {
            "Somebody has changed the module cache of this machine: empty it with `go clean -modcache`."
        }
        DriftKind::ModuleNotInGoSum => "Run `go mod tidy`, and commit go.sum.",
        DriftKind::ModuleVersionConflict | DriftKind::ReplacementConflict => {
            "Use the same version in all units: set it with `go get` in each of them, or in go.work."
        }
        DriftKind::BuildSettingChanged => {
            "Set the variable as it is in the lock, or accept the new value with `ostree-go workspace lock`."
        }
        _ => {
            "Undo the change, or accept it: run `ostree-go workspace lock`, and commit the lock together with the change."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_rule() {
        let all = findings(&[], Path::new("/nonexistent"));
        assert_eq!(all.rules.len(), DriftKind::ALL.len());
        for rule in &all.rules {
            assert!(rule.help.ends_with('.'), "{}", rule.help);
            assert!(!rule.description.ends_with(".."), "{}", rule.description);
        }
    }
}
