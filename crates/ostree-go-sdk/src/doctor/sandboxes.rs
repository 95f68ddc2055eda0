//! Examines which sandboxes work on a machine.

use super::finding::Finding;
use crate::progress::Progress;
use crate::sandbox::{self, Backend, Host, SandboxError, Unavailable};

/// Returns the sandboxes that work, and the reasons why the others do not.
pub(super) fn examine(host: &Host, progress: &dyn Progress) -> Vec<Finding> {
    let (mut all, mut reasons): (Vec<Backend>, Vec<Unavailable>) = (Vec::new(), Vec::new());
    for examined in sandbox::examine(host, progress) {
        match examined {
            Ok(backend) => all.push(backend),
            Err(unavailable) => reasons.push(unavailable),
        }
    }
    if all.is_empty() {
        let source = Box::new(SandboxError::NoBackend { reasons });
        return vec![Finding::NoSandbox { source }];
    }
    let unavailable = reasons.into_iter().map(Finding::SandboxUnavailable);
    let good = Finding::SandboxGood { all };
    unavailable.chain([good]).collect()
}
