//! What this machine offers, as far as it can be known without starting anything.

use super::error::Reason;
use super::options::Host;
use std::path::{Path, PathBuf};

/// Returns the path of a program.
pub(super) fn program(host: &Host, name: &'static str) -> Result<PathBuf, Reason> {
    let system = ["/usr/bin", "/bin"].map(PathBuf::from);
    let folders = host.path.iter().chain(&system);
    let mut candidates = folders.map(|folder| folder.join(name));
    candidates
        .find(|path| path.is_file())
        .ok_or(Reason::Missing { program: name })
}

/// The settings that forbid user namespaces: the file, the name for `sysctl`, and the value that forbids them.
/// Sources: `Documentation/admin-guide/sysctl/user.rst` of Linux, and the kernels of Debian and Ubuntu.
const SETTINGS: [(&str, &str, &str); 3] = [
    (
        "/proc/sys/user/max_user_namespaces",
        "user.max_user_namespaces",
        "0",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "kernel.unprivileged_userns_clone",
        "0",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
    ),
];

/// Returns the setting that forbids user namespaces to a plain user, if there is one. AppArmor's applies only to
/// programs without a profile that allows them.
pub(super) fn forbidding_setting(is_root: bool) -> Option<Reason> {
    let settings = SETTINGS
        .iter()
        .take(if is_root { 1 } else { SETTINGS.len() });
    for (file, setting, forbidding) in settings {
        let value = std::fs::read_to_string(file).unwrap_or_default();
        if value.trim() == *forbidding {
            let value = value.trim().to_owned();
            return Some(Reason::UserNamespaces { setting, value });
        }
    }
    None
}

/// Returns true if namespaces are likely to be forbidden: a setting forbids them, or this process is in a
/// container or has a seccomp filter. Then bubblewrap is tried before it is started for real, because its message
/// about a failure would appear among those of the command.
pub(super) fn namespaces_are_doubtful() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // The mode 2 is `SECCOMP_MODE_FILTER`, proc_pid_status(5).
    let is_filtered = status.lines().any(|line| {
        line.strip_prefix("Seccomp:")
            .is_some_and(|mode| mode.trim() == "2")
    });
    let marks = ["/run/.containerenv", "/.dockerenv"];
    is_filtered
        || marks.iter().any(|path| Path::new(path).exists())
        || forbidding_setting(is_root()).is_some()
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named() {
        let error = program(&Host::default(), "ostree-go-no-such-program").unwrap_err();
        insta::assert_snapshot!(error, @"needs the program `ostree-go-no-such-program`, which is not installed");
        assert!(program(&Host::default(), "sh").is_ok());
    }
}
