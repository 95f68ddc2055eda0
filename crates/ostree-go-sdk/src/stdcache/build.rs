//! Builds a std cache with the go command of an SDK.
//!
//! The same three commands run twice, in two modules and with the SDK in two directories. The first
//! time, they fill an empty build cache. What the second run uses of it does not depend on the paths
//! of the SDK and of a project, and is what a project on another machine uses.

use super::build_error::StdCacheBuildError;
use super::entries::{AgedEntries, output_path};
use super::sandbox::{Mount, Ran, Sandbox};
use crate::arch::Arch;
use crate::failpoint;
use crate::fs::context::IoContext;
use crate::golang::std_cache::{BuildMode, StdCacheId, StdCacheIndex};
use crate::id::Sha256;
use crate::process::{self, ProcessError};
use crate::progress::{Event, POLL_INTERVAL, Phase, Progress};
use crate::version::GoVersion;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A package without a public name that every test binary imports. Source: `TestMainDeps` of
/// `cmd/go/internal/load/test.go`.
const TEST_DEPS: &str = "testing/internal/testdeps";

/// The number of times that the go command runs for a std cache.
const STEPS: u64 = 7;

/// A place in the sandbox at which the commands run: the paths of the SDK and the module.
struct Place {
    goroot: &'static str,
    module: &'static str,
    name: &'static str,
}

/// The two places differ in everything that a project on another machine differs in.
const PLACES: [Place; 2] = [
    Place {
        goroot: "/sdk",
        module: "/first",
        name: "first",
    },
    Place {
        goroot: "/usr/lib/sdk/go",
        module: "/home/second/module",
        name: "second.example",
    },
];

/// Builds std caches with one SDK.
pub(crate) struct StdCacheBuilder<'a> {
    /// The SDK for this machine: its GOROOT.
    pub(crate) goroot: &'a Path,
    /// The architecture of the SDK.
    pub(crate) arch: Arch,
    /// The version of Go.
    pub(crate) version: &'a GoVersion,
    /// A directory for temporary files, on the disk of the repository.
    pub(crate) scratch: &'a Path,
    /// The receiver of progress.
    pub(crate) progress: &'a dyn Progress,
}

/// A std cache that was built.
#[derive(Debug)]
pub(crate) struct BuiltStdCache {
    /// The std cache.
    pub(crate) id: StdCacheId,
    /// The entries to keep.
    pub(crate) index: StdCacheIndex,
    folder: PathBuf,
}

impl BuiltStdCache {
    /// Returns the file with an output.
    pub(crate) fn output(&self, output: Sha256) -> PathBuf {
        output_path(&gocache(&self.folder), output)
    }
}

impl Drop for BuiltStdCache {
    fn drop(&mut self) {
        // What remains is removed with the scratch directory.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn gocache(folder: &Path) -> PathBuf {
    folder.join("gocache")
}

impl StdCacheBuilder<'_> {
    /// Builds a std cache. `item` is its name in progress events.
    ///
    /// # Errors
    /// Returns an error if the sandbox cannot be created, the go command fails, or the operation is
    /// cancelled.
    pub(crate) fn build(
        &self,
        id: StdCacheId,
        item: &str,
    ) -> Result<BuiltStdCache, StdCacheBuildError> {
        let folder = self.scratch.join(id.to_string());
        let mut built = BuiltStdCache {
            id,
            index: StdCacheIndex::default(),
            folder,
        };
        let mut run = Run {
            builder: self,
            id,
            item,
            folder: &built.folder,
            done: 0,
        };
        let index = run.all();
        let phase = Phase::Compile;
        self.progress.event(&Event::Finished { phase, item });
        if let Err(StdCacheBuildError::Cancelled) = index {
            remove_used(&built.folder);
        }
        built.index = index?;
        Ok(built)
    }
}

/// Removes a directory in which killed processes may still be writing for a moment.
fn remove_used(folder: &Path) {
    for _ in 0..10 {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(POLL_INTERVAL);
            }
            _ => return,
        }
    }
}

/// The build of one std cache.
struct Run<'a> {
    builder: &'a StdCacheBuilder<'a>,
    id: StdCacheId,
    item: &'a str,
    folder: &'a Path,
    /// The number of commands that have run.
    done: u64,
}

impl Run<'_> {
    fn all(&mut self) -> Result<StdCacheIndex, StdCacheBuildError> {
        let gocache = gocache(self.folder);
        for path in [&gocache, &self.folder.join("tmp")] {
            fs::create_dir_all(path).context("make directory", path)?;
        }
        let [first, second] = &PLACES;
        self.write_module(first, &[])?;
        let listed = self.go(first, &["list", "std"])?;
        let packages: Vec<&str> = listed.lines().filter(|path| is_public(path)).collect();
        for place in [first, second] {
            self.write_module(place, &packages)?;
        }
        self.compile(first)?;
        failpoint::hit("stdcache.compiled");
        let aged = AgedEntries::make(self.id, &gocache)?;
        self.compile(second)?;
        aged.used()
    }

    /// Compiles all packages, and creates the facts of both sets of analyzers: `go test` runs other
    /// ones than `go vet`. The packages have no test files, so that nothing is linked or executed.
    fn compile(&mut self, place: &Place) -> Result<(), StdCacheBuildError> {
        let trimpath = match self.id.mode {
            BuildMode::Trimpath => "-trimpath=true",
            BuildMode::Plain => "-trimpath=false",
        };
        // A `GOFLAGS=-mod=…` of the SDK's `go.env` would fail without a directory `vendor`.
        let flags = [trimpath, "-mod=readonly"];
        self.go(place, &[&["build"], &flags[..], &[".", TEST_DEPS]].concat())?;
        for verb in ["vet", "test"] {
            self.go(place, &[&[verb], &flags[..], &["."]].concat())?;
        }
        Ok(())
    }

    /// Writes a module with a package that imports the given ones.
    fn write_module(&self, place: &Place, packages: &[&str]) -> Result<(), StdCacheBuildError> {
        let folder = self.folder.join(place.name);
        fs::create_dir_all(&folder).context("make directory", &folder)?;
        let mut source = String::from("package imports\n");
        for package in packages {
            // Writing to a string cannot fail.
            let _ = write!(source, "\nimport _ \"{package}\"");
        }
        source.push('\n');
        let (name, minor) = (place.name, self.builder.version.minor());
        let module = format!("module {name}\n\ngo {minor}\n");
        for (name, text) in [("go.mod", module), ("imports.go", source)] {
            let path = folder.join(name);
            fs::write(&path, text).context("write", &path)?;
        }
        Ok(())
    }

    /// Runs the go command in the sandbox, and returns its standard output.
    fn go(&mut self, place: &Place, args: &[&str]) -> Result<String, StdCacheBuildError> {
        self.builder.progress.event(&Event::Advanced {
            phase: Phase::Compile,
            item: self.item,
            done: self.done,
            total: Some(STEPS),
        });
        self.done += 1;
        let sandbox = Sandbox {
            goroot: Mount {
                from: self.builder.goroot,
                at: place.goroot,
            },
            module: Mount {
                from: &self.folder.join(place.name),
                at: place.module,
            },
            tmp: &self.folder.join("tmp"),
            gocache: &gocache(self.folder),
        };
        // What else the SDK's `go.env` sets, such as GOAMD64, also holds for projects.
        let env = [
            ("GOOS", "linux"),
            ("GOARCH", self.id.target.goarch()),
            // With cgo, the entries would depend on the C compiler.
            ("CGO_ENABLED", "0"),
            ("GO111MODULE", "on"),
            ("GOENV", "off"),
            ("GOWORK", "off"),
            ("GOPROXY", "off"),
            ("GOTOOLCHAIN", "local"),
        ];
        let output = match sandbox.run_go(args, &env, self.builder.progress)? {
            Ran::Output(output) => output,
            Ran::NotStarted => {
                return Err(StdCacheBuildError::NotExecutable {
                    version: self.builder.version.clone(),
                    arch: self.builder.arch,
                });
            }
            Ran::Cancelled => return Err(StdCacheBuildError::Cancelled),
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let command = format!("go {}", args.join(" "));
        match process::failure("go", &output) {
            ProcessError::Failed { stderr, .. } => Err(StdCacheBuildError::Go {
                id: self.id,
                command,
                message: stderr,
            }),
            error @ ProcessError::Start { .. } => Err(error.into()),
        }
    }
}

/// Returns true if programs can import a package of the standard library.
fn is_public(path: &str) -> bool {
    !path
        .split('/')
        .any(|part| part == "internal" || part == "vendor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_programs_cannot_import_are_left_out() {
        let all = "crypto/internal/fips140\nencoding/json\ninternal/abi\nnet/http/internal\nunsafe\n\
            vendor/golang.org/x/net/idna";
        let public: Vec<&str> = all.lines().filter(|path| is_public(path)).collect();
        assert_eq!(public, ["encoding/json", "unsafe"]);
    }
}
