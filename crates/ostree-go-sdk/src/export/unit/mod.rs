//! Hardened systemd units for Go services.
//!
//! The text of a unit depends only on the options and on how the program is loaded. Each group of
//! settings has a comment that says what it is for, and what Go's runtime already does by default.

mod check;
mod error;
mod hardening;
mod options;
mod program;

pub use error::UnitError;
pub use options::{InvalidListenPort, ListenPort, UnitOptions};

use crate::arch::Arch;
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::fs::output;
use crate::progress::NoProgress;
use program::Program;
use std::path::{Path, PathBuf};

/// A unit, and the socket unit that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceUnit {
    /// The name of the service, without `.service`.
    pub name: String,
    /// The architecture of the program.
    pub arch: Arch,
    /// True if the program loads no shared libraries.
    pub is_static: bool,
    /// The path of the program on the host.
    pub program: PathBuf,
    /// The files of the unit by name: the service, and the socket if systemd opens the ports.
    pub files: Vec<(String, String)>,
}

/// Generates the hardened unit of a Go service.
///
/// # Errors
/// Returns an error if the program cannot be read or started by systemd, if it is for another
/// architecture, or if a name, path or word is not allowed in a unit.
pub fn service_unit(options: &UnitOptions) -> Result<ServiceUnit, UnitError> {
    let name = check::name(&options.name)?;
    check::options(options)?;
    let path = check::install_path(options)?;
    let program = Program::read(&options.binary, options.arch)?;
    let unit = hardening::Unit {
        options,
        name,
        path,
        program: &program,
    };
    let mut files = vec![(format!("{name}.service"), unit.service())];
    if options.socket_activation {
        files.push((format!("{name}.socket"), unit.socket()));
    }
    Ok(ServiceUnit {
        name: name.to_owned(),
        arch: program.arch,
        is_static: program.libraries.is_empty(),
        program: path.into(),
        files,
    })
}

impl ServiceUnit {
    /// Writes the service to a file, atomically and durably, and its other files beside it. Existing
    /// files are replaced. Returns the paths.
    ///
    /// # Errors
    /// Returns an error if the file system fails.
    pub fn write(&self, dest: &Path) -> Result<Vec<PathBuf>, UnitError> {
        let mut paths = Vec::new();
        for (at, (name, text)) in self.files.iter().enumerate() {
            let path = match at {
                0 => dest.to_owned(),
                _ => atomic::folder_of(dest).join(name),
            };
            output::write(&path, text.as_bytes(), &NoProgress).context("write", &path)?;
            paths.push(path);
        }
        Ok(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the lines of a unit without comments and empty lines.
    fn settings(options: &UnitOptions) -> Vec<String> {
        let unit = service_unit(options).unwrap();
        let lines = unit.files[0].1.lines();
        let lines = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
        lines.map(str::to_owned).collect()
    }

    /// The test program itself, which is not static.
    fn options() -> UnitOptions {
        let program = std::env::current_exe().unwrap();
        UnitOptions::new("app", program).install_path(PathBuf::from("/opt/app"))
    }

    #[test]
    fn a_dynamic_program_may_load_its_libraries() {
        let settings = settings(&options());
        let exec = settings.iter().find(|line| line.starts_with("ExecPaths="));
        let exec = exec.unwrap();
        assert!(exec.starts_with("ExecPaths=/opt/app -/lib "), "{exec}");
        assert!(exec.contains(" -/usr/lib"), "{exec}");
    }

    #[test]
    fn ports_decide_what_is_denied() {
        let has = |settings: &[String], line: &str| settings.iter().any(|one| one == line);
        let port = |text: &str| text.parse::<ListenPort>().unwrap();
        let none = settings(&options());
        assert!(has(&none, "SystemCallFilter=~listen"));
        assert!(has(&none, "ProcSubset=pid"));
        assert!(has(&none, "PrivateUsers=yes"));
        let high = settings(&options().listen([port("8080"), port("udp:5353")]));
        for line in [
            "SocketBindDeny=1-65535",
            "SocketBindAllow=tcp:8080",
            "SocketBindAllow=udp:5353",
            "CapabilityBoundingSet=",
        ] {
            assert!(has(&high, line), "{line}");
        }
        for line in ["SystemCallFilter=~listen", "ProcSubset=pid"] {
            assert!(!has(&high, line), "{line}");
        }
        let low = settings(&options().listen([port("443")]));
        assert!(has(&low, "AmbientCapabilities=CAP_NET_BIND_SERVICE"));
        assert!(!has(&low, "PrivateUsers=yes"));
        let passed = options().listen([port("443")]).socket_activation(true);
        assert!(has(&settings(&passed), "SystemCallFilter=~listen"));
        let files = service_unit(&passed).unwrap().files;
        assert_eq!(files[1].0, "app.socket");
        assert!(files[1].1.contains("ListenStream=443\n"));
    }

    #[test]
    fn words_are_quoted() {
        let settings = settings(
            &options()
                .args(["a b".to_owned(), "100%$".to_owned()])
                .description("50% of \"it\"".to_owned())
                .environment([("GREETING".to_owned(), "a b$".to_owned())])
                .memory_max(100_u64 << 20)
                .cpus(2_u32),
        );
        for line in [
            "Description=50%% of \"it\"",
            "ExecStart=/opt/app \"a b\" 100%%$$",
            "Environment=\"GREETING=a b$\"",
            "MemoryMax=104857600",
            "Environment=GOMEMLIMIT=94371840",
            "CPUQuota=200%",
        ] {
            assert!(
                settings.iter().any(|one| one == line),
                "{line}: {settings:#?}"
            );
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let port: ListenPort = "80".parse().unwrap();
        for options in [
            options().socket_activation(true),
            options().no_network(true).listen([port]),
            options().user("root".to_owned()),
            options().memory_max(1_u64),
            options().cpus(0_u32),
            options().writable(["data".to_owned()]),
            options().environment([("1A".to_owned(), String::new())]),
        ] {
            assert!(service_unit(&options).is_err(), "{options:?}");
        }
    }
}
