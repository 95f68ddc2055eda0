//! Which backends work on this machine.

use super::backend::Backend;
use super::detect;
use super::error::{Gap, Reason, SandboxError, Unavailable};
use super::landlock;
use super::limits::Limits;
use super::options::{Host, Sandbox};
use super::unit;
use crate::progress::Progress;
use std::path::PathBuf;
use std::time::Duration;

/// The time that bubblewrap has to run `true`.
const TIME: Duration = Duration::from_secs(10);

/// Returns the backends of [`Backend::ISOLATING`], in this order: each that works on this machine, or the
/// reason why it does not, which may be that it has [gaps](Gap).
///
/// For bubblewrap, `true` is run in a sandbox, because no setting says for certain that a process may create
/// namespaces. Otherwise, nothing is started except `systemd-run --version`.
#[must_use]
pub fn examine(host: &Host, progress: &dyn Progress) -> Vec<Result<Backend, Unavailable>> {
    let backends = Backend::ISOLATING.into_iter();
    let examined = backends.map(|backend| {
        let found = match backend {
            Backend::Bwrap => bwrap(host, progress),
            Backend::Systemd => unit::manager(host).map(|manager| manager.gaps()),
            Backend::Landlock => landlock::gaps(),
            Backend::None => Ok(Vec::new()),
        };
        let without_gaps = found.and_then(|gaps| match gaps.is_empty() {
            true => Ok(backend),
            false => Err(Reason::Gaps(gaps)),
        });
        without_gaps.map_err(|reason| Unavailable { backend, reason })
    });
    examined.collect()
}

/// Runs `true` under bubblewrap.
fn bwrap(host: &Host, progress: &dyn Progress) -> Result<Vec<Gap>, Reason> {
    detect::program(host, "bwrap")?;
    let limits = Limits {
        time: Some(TIME),
        ..Limits::default()
    };
    let sandbox = Sandbox::new(host.clone(), ["true"])
        .backend(Backend::Bwrap)
        .host_tools(true)
        .path(["/usr/bin", "/bin"].map(PathBuf::from))
        .limits(limits)
        .capture_stderr(true);
    match sandbox.run(progress) {
        Ok(ended) if ended.code == 0 => Ok(Vec::new()),
        Ok(ended) => Err(Reason::Setup {
            message: format!("`true` in the sandbox ended with exit code {}", ended.code),
        }),
        Err(SandboxError::Unavailable(unavailable)) => Err(unavailable.reason),
        // Says nothing about namespaces, for example that there is no `true`.
        Err(error) => Err(
            detect::forbidding_setting(detect::is_root()).unwrap_or_else(|| Reason::Setup {
                message: error.to_string(),
            }),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_bubblewrap_that_fails_is_reported_with_its_message() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bwrap");
        let script = "#!/bin/sh\necho 'bwrap: it is broken' >&2\nexit 1\n";
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let host = Host {
            path: vec![dir.path().to_owned()],
            ..Host::default()
        };
        let found = examine(&host, &NoProgress);
        assert_eq!(found.len(), Backend::ISOLATING.len());
        let unavailable = found[0].clone().unwrap_err();
        insta::assert_snapshot!(unavailable, @"bwrap does not start: bwrap: it is broken");
        let backend = |one: &Result<Backend, Unavailable>| match one {
            Ok(backend) => *backend,
            Err(unavailable) => unavailable.backend,
        };
        assert_eq!(
            found.iter().map(backend).collect::<Vec<_>>(),
            Backend::ISOLATING
        );
    }
}
