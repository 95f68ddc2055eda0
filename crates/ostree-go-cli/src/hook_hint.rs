//! Suggestions for errors of hooks.

use ostree_go_sdk::deploy::HookError;

/// Returns a hint for an error of hooks.
pub fn hint(error: &HookError) -> Option<String> {
    let hint = match error {
        HookError::Untrusted { path, .. } => {
            return Some(format!(
                "correct its owner or mode, for example with `chmod go-w {}`, or use --no-hooks",
                path.display()
            ));
        }
        HookError::UnexpectedEntry { .. } => "move it away, or use --no-hooks",
        HookError::Failed(failed) => {
            return Some(format!(
                "`ostree-go status` shows the results of all hooks; `ostree-go use {}` runs them again",
                failed.version
            ));
        }
        HookError::Io { action: "find", .. } => {
            "correct or remove the symbolic link, or use --no-hooks"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}
