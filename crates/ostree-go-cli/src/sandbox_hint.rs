//! Suggestions for errors of sandboxes.

use ostree_go_sdk::reproduce::ReproduceError;
use ostree_go_sdk::run::RunError;
use ostree_go_sdk::sandbox::{Backend, Reason, SandboxError, Unavailable};

/// Returns a suggestion for an error of running a command with an SDK, if there is one.
pub fn run_hint(error: &RunError) -> Option<String> {
    match error {
        RunError::Sandbox(error) => sandbox_hint(error),
        RunError::TooMuch { .. } | RunError::Outside { .. } => Some(
            "change to the directory of a project, or name the directory of the sources with --source"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Returns a suggestion for an error of proving that a program is reproducible, if there is one.
pub fn reproduce_hint(error: &ReproduceError) -> Option<String> {
    let hint = match error {
        ReproduceError::Run(error) => return run_hint(error),
        ReproduceError::Sandbox(error) => return sandbox_hint(error),
        ReproduceError::Go { output, .. } if output.contains("go.mod file not found") => {
            "change to the directory of a module, or name it with --dir"
        }
        ReproduceError::Go { output, .. } if output.contains("disabled by GOPROXY=off") => {
            "the sandbox has no network: run `go mod download` first"
        }
        ReproduceError::Go { output, .. } if output.contains("Use -buildvcs=false") => {
            "the sandbox has no version control system: use -buildvcs=false or auto"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns a suggestion for an error of a sandbox, if there is one.
pub fn sandbox_hint(error: &SandboxError) -> Option<String> {
    let hint = match error {
        SandboxError::Unavailable(unavailable) => return Some(reason_hint(unavailable)),
        SandboxError::NoBackend { reasons } => {
            // What is easiest to change comes first.
            let rank = |one: &&Unavailable| match one.reason {
                Reason::Missing { .. } if one.backend == Backend::Bwrap => 0,
                Reason::UserNamespaces { .. } => 1,
                Reason::Gaps(_) => 2,
                _ => 3,
            };
            return reasons.iter().min_by_key(rank).map(reason_hint);
        }
        SandboxError::NoProgram {
            host_tools: false, ..
        } => {
            "the sandbox contains only the SDK and the sources; --host-tools adds the programs of this machine"
        }
        SandboxError::NoInterpreter {
            host_tools: false, ..
        } => {
            "build a static program with CGO_ENABLED=0, or add the programs of this machine with --host-tools"
        }
        SandboxError::MemoryLimit => "omit --memory, or run the command in a session of systemd",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn reason_hint(unavailable: &Unavailable) -> String {
    match (&unavailable.reason, unavailable.backend) {
        (Reason::Missing { .. }, Backend::Bwrap) => {
            "install the package bubblewrap, or use another sandbox with --sandbox".to_owned()
        }
        (Reason::UserNamespaces { setting, .. }, _) if setting.contains("apparmor") => format!(
            "install an AppArmor profile that allows them for bwrap, or run `sysctl -w {setting}=0` as root, \
             or use --sandbox landlock"
        ),
        (Reason::UserNamespaces { setting, .. }, _) => {
            let allowed = match setting.starts_with("user.") {
                true => "10000",
                false => "1",
            };
            format!("run `sysctl -w {setting}={allowed}` as root, or use --sandbox landlock")
        }
        (Reason::Gaps(_), _) => "--weak accepts this".to_owned(),
        (_, Backend::Bwrap | Backend::Systemd) => {
            "use another sandbox with --sandbox, for example landlock".to_owned()
        }
        _ => "use another sandbox with --sandbox".to_owned(),
    }
}
