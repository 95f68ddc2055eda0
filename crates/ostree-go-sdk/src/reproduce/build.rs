//! Builds a program in a sandbox.

use super::error::ReproduceError;
use super::variation::{Surroundings, join};
use crate::deploy::Deployment;
use crate::fs::context::IoContext;
use crate::fs::digest;
use crate::id::Sha256;
use crate::progress::Progress;
use crate::sandbox::{Backend, Bind, Host, Sandbox};
use rustix::fs::{Mode, OFlags};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The largest program that is compared, in bytes.
pub(super) const LIMIT: u64 = 4 << 30;
/// The path of the go command in the directory of an SDK.
pub(super) const GO: &str = "usr/bin/go";
/// The name of the file that is built.
const PROGRAM: &str = "program";

/// A build of the program.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Build {
    /// The SDK.
    pub deployment: Deployment,
    /// The command line that was run.
    pub command: Vec<OsString>,
    /// The variables of the environment that select what Go builds.
    pub environment: Vec<(OsString, OsString)>,
    /// The digest of the program.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The options of a build.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub host: &'a Host,
    pub backend: Option<Backend>,
    pub accept_gaps: bool,
    pub host_tools: bool,
    pub environment: &'a [(OsString, OsString)],
    pub std_caches: &'a [PathBuf],
    /// The directory of the sources on the host, and the working directory in it.
    pub project: &'a Path,
    pub directory: &'a Path,
    pub package: &'a OsStr,
    pub flags: &'a [OsString],
}

/// A program that was built.
#[derive(Debug)]
pub(super) struct Built {
    pub build: Build,
    pub content: Vec<u8>,
    pub backend: Backend,
    /// True if the compiled standard library came from a std cache.
    pub uses_std_cache: bool,
}

impl Request<'_> {
    /// Builds the program. `folder` is a directory for the result. `emulator` runs programs of the SDK, if they are for
    /// another architecture than this machine.
    ///
    /// # Errors
    /// Returns an error if the sandbox cannot be created, the go command fails, or the operation is cancelled.
    pub fn build(
        &self,
        deployment: &Deployment,
        surroundings: &Surroundings,
        emulator: Option<&Path>,
        folder: &Path,
        progress: &dyn Progress,
    ) -> Result<Built, ReproduceError> {
        std::fs::create_dir_all(folder).context("make directory", folder)?;
        let output = folder.join(PROGRAM);
        let command = self.command(surroundings, emulator, &output);
        let mut environment = self.environment.to_vec();
        let mut set_default = |name: &str, value: &str| {
            if !environment.iter().any(|(known, _)| known == name) {
                environment.push((name.into(), value.into()));
            }
        };
        set_default("CGO_ENABLED", "0");
        if emulator.is_some() {
            // The default is the architecture of the SDK.
            set_default("GOARCH", self.goarch());
        }
        let selecting = environment
            .iter()
            .filter(|(name, _)| selects(name))
            .cloned()
            .collect();
        let mut sandbox = Sandbox::new(self.host.clone(), command.iter().cloned())
            .backend(self.backend)
            .accept_gaps(self.accept_gaps)
            .host_tools(self.host_tools)
            .environment(environment)
            .path([join(&surroundings.sdk.dest, Path::new("usr/bin"))])
            .directory(surroundings.path(self.directory, self.project))
            .std_caches(self.std_caches.to_vec())
            .umask(surroundings.umask)
            .uid(surroundings.uid)
            .capture_stderr(true)
            .read(surroundings.project.clone())
            .read(surroundings.sdk.clone());
        for bind in surroundings.modules.iter().cloned() {
            sandbox = sandbox.read(bind);
        }
        for path in self.std_caches.iter().map(PathBuf::as_path).chain(emulator) {
            sandbox = sandbox.read(path);
        }
        for path in [folder, &surroundings.home, &surroundings.temporary] {
            sandbox = sandbox.write(Bind::from(path));
        }
        for (name, value) in surroundings.variables() {
            sandbox = sandbox.variable(name, value);
        }
        if emulator.is_some() {
            sandbox = sandbox.variable("GOROOT", goroot(&surroundings.sdk));
        }
        let running = sandbox.start()?;
        let (backend, is_cold) = (running.backend(), running.is_cold());
        let ended = running.wait(Some(progress))?;
        if ended.code != 0 {
            return Err(ReproduceError::Go {
                command: self.shown_command(),
                code: ended.code,
                output: String::from_utf8_lossy(&ended.stderr).into_owned(),
            });
        }
        let content = match read(&output) {
            Err(ReproduceError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                let command = self.shown_command();
                return Err(ReproduceError::NoResult { command });
            }
            content => content?,
        };
        Ok(Built {
            build: Build {
                deployment: deployment.clone(),
                command,
                environment: selecting,
                sha256: digest::of(&content),
                bytes: content.len() as u64,
            },
            content,
            backend,
            uses_std_cache: !self.std_caches.is_empty() && !is_cold,
        })
    }

    /// Returns the command line. Paths of the sources in it are those of the build.
    fn command(
        &self,
        surroundings: &Surroundings,
        emulator: Option<&Path>,
        output: &Path,
    ) -> Vec<OsString> {
        let (project, dest) = (self.project, &surroundings.project.dest);
        let mut command = Vec::new();
        match emulator {
            None => command.extend(["go".into(), "build".into()]),
            Some(emulator) => {
                let go = surroundings.sdk.dest.join(GO);
                command.extend([emulator.into(), go.into(), "build".into()]);
                // The kernel may not know how to run the compiler, which the go command starts.
                command.extend(["-toolexec".into(), emulator.into()]);
            }
        }
        let moved = |text: &OsStr| moved(text, project, dest);
        command.extend(self.flags.iter().map(|flag| moved(flag)));
        command.extend(["-o".into(), output.into(), moved(self.package)]);
        command
    }

    /// Returns the command line without the path of the result.
    pub fn shown_command(&self) -> String {
        let words = ["go".as_ref(), "build".as_ref()].into_iter();
        let words = words.chain(self.flags.iter().map(|flag| &**flag));
        let words = words.chain([self.package]).map(OsStr::to_string_lossy);
        words.collect::<Vec<_>>().join(" ")
    }

    fn goarch(&self) -> &'static str {
        crate::arch::Arch::host().map_or("amd64", crate::arch::Arch::goarch)
    }
}

/// Returns the directory of Go in the sandbox. In the directory of an SDK, the go command is a link into it.
pub(super) fn goroot(sdk: &Bind) -> PathBuf {
    let go = sdk.source.join(GO).canonicalize().ok();
    let inside = go.as_deref().and_then(|go| {
        let top = go.parent()?.parent()?;
        top.strip_prefix(&sdk.source).ok()
    });
    join(&sdk.dest, inside.unwrap_or(Path::new("")))
}

/// Returns true for a variable that selects what Go builds.
fn selects(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let is_limit = [&b"GOMAXPROCS"[..], b"GOMEMLIMIT", b"GOGC"].contains(&name);
    (name.starts_with(b"GO") && !is_limit) || name.starts_with(b"CGO_") || name == b"CC"
}

/// Replaces a path by another one where it is a whole path or the start of one.
pub(super) fn moved(text: &OsStr, from: &Path, to: &Path) -> OsString {
    let (text, from) = (text.as_bytes(), from.as_os_str().as_bytes());
    let mut result = Vec::new();
    let mut rest = text;
    while let Some(at) = find_in_flag(rest, from) {
        result.extend(&rest[..at]);
        result.extend(to.as_os_str().as_bytes());
        rest = &rest[at + from.len()..];
    }
    result.extend(rest);
    OsString::from_vec(result)
}

/// Returns the first position at which a build flag contains a path that is not a part of a longer one.
pub(super) fn find_in_flag(flag: &[u8], path: &[u8]) -> Option<usize> {
    find_path(flag, path, |before| !is_in_name(&before))
}

/// Returns true for the characters that names of files usually have.
fn is_in_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(byte)
}

/// Returns the first position at which `text` contains a path that is not the start of a longer name. `is_start` decides
/// about the byte before the path.
pub(super) fn find_path(text: &[u8], path: &[u8], is_start: impl Fn(u8) -> bool) -> Option<usize> {
    let first = *path.first()?;
    let starts = text.iter().enumerate();
    let mut starts = starts.filter(|(_, byte)| **byte == first);
    starts.find_map(|(at, _)| {
        let rest = text[at..].strip_prefix(path)?;
        let ends = !rest.first().is_some_and(is_in_name);
        let begins = at
            .checked_sub(1)
            .is_none_or(|before| is_start(text[before]));
        (ends && begins).then_some(at)
    })
}

/// Reads a program, which has to be a regular file. A symbolic link is not followed.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ReproduceError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty()).context("read", path)?;
    let file = File::from(file);
    let metadata = file.metadata().context("read", path)?;
    if !metadata.is_file() {
        let path = path.to_owned();
        return Err(ReproduceError::NotAFile { path });
    }
    let (found, limit) = (metadata.len(), LIMIT);
    if found > limit {
        let path = path.to_owned();
        return Err(ReproduceError::TooLarge { path, found, limit });
    }
    let mut content = Vec::new();
    file.take(limit)
        .read_to_end(&mut content)
        .context("read", path)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_of_directories_are_moved() {
        let of = |text: &str| {
            let text = moved(text.as_ref(), Path::new("/src/app"), Path::new("/new"));
            text.into_string().unwrap()
        };
        assert_eq!(
            of("-ldflags=-X main.dir=/src/app -X a=/src/app/b"),
            "-ldflags=-X main.dir=/new -X a=/new/b"
        );
        assert_eq!(
            of("/src/app2:/src/app-x:/old/src/app"),
            "/src/app2:/src/app-x:/old/src/app"
        );
        assert_eq!(of("./cmd/app"), "./cmd/app");
        let in_program = |text: &[u8]| find_path(text, b"/src/app", |_| true);
        assert_eq!(in_program(b"text/src/app/main.go"), Some(4));
        assert_eq!(in_program(b"/src/apple"), None);
    }

    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        assert_eq!(read(&path("file")).unwrap(), b"x");
        assert!(matches!(
            read(&path("link")),
            Err(ReproduceError::Io { .. })
        ));
        assert!(matches!(
            read(dir.path()),
            Err(ReproduceError::NotAFile { .. })
        ));
    }

    #[test]
    fn limits_do_not_select_what_is_built() {
        let of = |name: &str| selects(name.as_ref());
        assert!(of("GOARCH") && of("CGO_ENABLED") && of("GOFLAGS"));
        assert!(!of("GOMAXPROCS") && !of("TERM"));
    }
}
