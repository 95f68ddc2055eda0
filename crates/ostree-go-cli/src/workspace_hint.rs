//! Suggestions for failures of locking and checking workspaces.

use crate::build_hint;
use ostree_go_sdk::deploy::DeployError;
use ostree_go_sdk::toolchains::ToolchainError;
use ostree_go_sdk::workspace::WorkspaceError;

/// Returns a suggestion for a workspace that could not be locked or checked.
pub fn hint(error: &WorkspaceError) -> Option<String> {
    let hint = match error {
        WorkspaceError::Toolchain(error) => return build_hint::toolchain(error),
        WorkspaceError::NoProject { .. } => "name the directory of a project",
        WorkspaceError::NoLock { .. } => "`ostree-go workspace lock` writes it",
        WorkspaceError::NoDeployedLock { .. } => {
            "`compose`, `overlay` and `export oci` record the lock with --workspace-lock"
        }
        WorkspaceError::DamagedLock { .. } => {
            "restore it from version control, or write it again with `ostree-go workspace lock`"
        }
        WorkspaceError::NewerLock { .. } => "use the version of ostree-go that has written it",
        WorkspaceError::Go { message, .. } if message.contains(NO_PROXY) => {
            "`--fetch` asks the module proxies for what the module cache does not have"
        }
        WorkspaceError::Go { message, .. } if message.contains(NO_SUM) => {
            "`go mod tidy` or `go work sync` completes go.sum"
        }
        WorkspaceError::NoReplacement { .. } => {
            "check out the replacement, or remove the `replace` line"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// The message of the go command for a module that is not in the module cache. Source: `errProxyOff` in
/// `src/cmd/go/internal/modfetch/proxy.go`.
const NO_PROXY: &str = "disabled by GOPROXY=off";

/// The message of the go command for a missing hash. Source: `checkSumDB` and its callers in
/// `src/cmd/go/internal/modfetch/fetch.go`.
const NO_SUM: &str = "missing go.sum entry";

/// Returns the error of the deployments in an error of a workspace, if it is one.
pub fn deploy_error(error: &WorkspaceError) -> Option<&DeployError> {
    match error {
        WorkspaceError::Toolchain(error) => match &**error {
            ToolchainError::Deploy(error) => Some(error),
            _ => None,
        },
        _ => None,
    }
}
