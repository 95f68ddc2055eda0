//! Compiles the programs of an SDK with the go command of an SDK, for any architecture.
//!
//! Source of the flags: `toolenv` of `src/cmd/dist/buildtool.go`, with which Go's own releases are
//! made. The programs are pure Go and contain no paths, so that the compiler of any architecture gives
//! the same bytes.

use super::build_error::ToolchainBuildError;
use crate::arch::Arch;
use crate::failpoint;
use crate::fs::context::IoContext;
use crate::process::{self, ProcessError};
use crate::progress::{Event, Phase, Progress};
use crate::stdcache::{Mount, Ran, Sandbox};
use crate::version::GoVersion;
use std::fs;
use std::path::{Path, PathBuf};

/// The directory of the programs that people run.
const BIN: &str = "bin";

/// The module of the programs in an SDK. Its dependencies are vendored there.
const MODULE: &str = "src/cmd";

/// The path of the SDK in the sandbox, and of the module in it.
const GOROOT: &str = "/sdk";
const MODULE_IN_SANDBOX: &str = "/sdk/src/cmd";

/// The directory of the results, in the sandbox's directory for temporary files.
const OUT: &str = "out";

/// Returns the directory of the programs that the go command runs. Source: `cmd/go/internal/base`,
/// `ToolPath`.
pub(crate) fn tool_dir(arch: Arch) -> String {
    format!("pkg/tool/linux_{}", arch.goarch())
}

/// A program of an SDK.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Program {
    /// The path in the SDK: `bin/go`.
    pub(crate) path: String,
    /// The name, which is also that of its package in `cmd`.
    pub(crate) name: String,
}

impl Program {
    /// Lists the programs of an SDK for an architecture, sorted by path.
    pub(crate) fn list(
        goroot: &Path,
        version: &GoVersion,
        arch: Arch,
    ) -> Result<Vec<Self>, ToolchainBuildError> {
        let mut programs = Vec::new();
        for dir in [BIN.to_owned(), tool_dir(arch)] {
            let path = goroot.join(&dir);
            let before = programs.len();
            let entries = match fs::read_dir(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                entries => Some(entries.context("read", &path)?),
            };
            for entry in entries.into_iter().flatten() {
                let entry = entry.context("read", &path)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                programs.push(Self {
                    path: format!("{dir}/{name}"),
                    name,
                });
            }
            if programs.len() == before {
                return Err(ToolchainBuildError::NoPrograms {
                    version: version.clone(),
                    arch,
                    dir,
                });
            }
        }
        programs.sort();
        Ok(programs)
    }

    /// Returns the package: `cmd/go`.
    pub(crate) fn package(&self) -> String {
        format!("cmd/{}", self.name)
    }
}

/// Compiles programs with one SDK.
pub(crate) struct ToolchainBuilder<'a> {
    /// The SDK: the source code that is compiled, with programs that run on this machine.
    pub(crate) goroot: &'a Path,
    /// The architecture of its programs.
    pub(crate) arch: Arch,
    /// The version of Go.
    pub(crate) version: &'a GoVersion,
    /// A directory for temporary files.
    pub(crate) scratch: &'a Path,
    /// The receiver of progress.
    pub(crate) progress: &'a dyn Progress,
}

impl ToolchainBuilder<'_> {
    /// Compiles programs for an architecture, and returns the directory with the results by name.
    /// `item` is their name in progress events.
    ///
    /// # Errors
    /// Returns an error if the sandbox cannot be created, a program has no source code, the go command
    /// fails, or the operation is cancelled.
    pub(crate) fn build(
        &self,
        programs: &[Program],
        target: Arch,
        item: &str,
    ) -> Result<PathBuf, ToolchainBuildError> {
        for program in programs {
            // The name becomes an argument of the go command.
            let is_name = program.name.starts_with(|c: char| c.is_ascii_lowercase())
                && program.name.bytes().all(|b| b.is_ascii_alphanumeric());
            let source = self.goroot.join(MODULE).join(&program.name);
            if !is_name || !source.is_dir() {
                return Err(ToolchainBuildError::NoSource {
                    version: self.version.clone(),
                    package: program.package(),
                });
            }
        }
        let (tmp, gocache) = (self.scratch.join("tmp"), self.scratch.join("gocache"));
        for path in [&tmp, &gocache, &tmp.join(OUT)] {
            fs::create_dir_all(path).context("make directory", path)?;
        }
        let total = programs.len() as u64;
        let result = (0..).zip(programs).try_for_each(|(done, program)| {
            self.progress.event(&Event::Advanced {
                phase: Phase::Compile,
                item,
                done,
                total: Some(total),
            });
            self.compile(program, target, &tmp, &gocache)
        });
        let phase = Phase::Compile;
        self.progress.event(&Event::Finished { phase, item });
        result?;
        failpoint::hit("rebuild.compiled");
        // The cache has several hundred megabytes, and is not needed any more.
        fs::remove_dir_all(&gocache).context("remove", &gocache)?;
        Ok(tmp.join(OUT))
    }

    fn compile(
        &self,
        program: &Program,
        target: Arch,
        tmp: &Path,
        gocache: &Path,
    ) -> Result<(), ToolchainBuildError> {
        let sandbox = Sandbox {
            goroot: Mount {
                from: self.goroot,
                at: GOROOT,
            },
            module: Mount {
                from: &self.goroot.join(MODULE),
                at: MODULE_IN_SANDBOX,
            },
            tmp,
            gocache,
        };
        // The settings of a site in the SDK's `go.env` must not matter.
        let env = [
            ("GOOS", "linux"),
            ("GOARCH", target.goarch()),
            ("GOAMD64", "v1"),
            ("GOARM64", "v8.0"),
            ("GOEXPERIMENT", ""),
            ("GOFIPS140", "off"),
            ("CGO_ENABLED", "0"),
            ("GO111MODULE", "on"),
            ("GOENV", "off"),
            ("GOWORK", "off"),
            ("GOPROXY", "off"),
            ("GOTOOLCHAIN", "local"),
            // Without debug information, and without paths.
            (
                "GOFLAGS",
                "-trimpath -ldflags=-w -gcflags=cmd/...=-dwarf=false",
            ),
        ];
        let package = program.package();
        let out = format!("/tmp/{OUT}/{}", program.name);
        let args = ["build", "-o", &out, &package];
        let output = match sandbox.run_go(&args, &env, self.progress)? {
            Ran::Output(output) => output,
            Ran::NotStarted => {
                return Err(ToolchainBuildError::NotExecutable {
                    version: self.version.clone(),
                    arch: self.arch,
                });
            }
            Ran::Cancelled => return Err(ToolchainBuildError::Cancelled),
        };
        if output.status.success() {
            return Ok(());
        }
        match process::failure("go", &output) {
            ProcessError::Failed { stderr, .. } => Err(ToolchainBuildError::Go {
                package,
                version: self.version.clone(),
                arch: target,
                message: stderr,
            }),
            error @ ProcessError::Start { .. } => Err(error.into()),
        }
    }
}
