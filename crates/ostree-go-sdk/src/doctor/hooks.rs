//! Examines the hooks that run after an upgrade.

use super::finding::Finding;
use crate::deploy::{Hooks, examine_hooks};

/// Returns what keeps hooks from running.
pub(super) fn examine(hooks: &Hooks) -> Vec<Finding> {
    let examined = examine_hooks(hooks);
    let mut findings = Vec::new();
    let found = match examined.result {
        Ok(found) => found,
        Err(source) => {
            let source = Box::new(source);
            findings.push(Finding::UnusableHooks { source });
            0
        }
    };
    let not_executable = examined.not_executable.into_iter();
    findings.extend(not_executable.map(|path| Finding::HookNotExecutable { path }));
    let misplaced = examined.misplaced.into_iter();
    findings.extend(misplaced.map(|path| Finding::HookMisplaced { path }));
    if findings.is_empty() && found > 0 {
        findings.push(Finding::HooksGood { hooks: found });
    }
    findings
}
