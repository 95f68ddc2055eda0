//! What a host needs to install an SDK and keep it new, as files and a unit: one list, which
//! [`ignition`] and [`butane`] both render.
//!
//! Nothing here touches the host. Its `ostree-go` does the work at each boot, by the commands of
//! the unit, and checks every signature with the key that is among the files.

mod butane;
mod error;
mod ignition;
mod text;

pub use error::BootError;
pub use ignition::BootSpec;

use super::ExportError;
use super::release::release;
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::fs::atomic;
use crate::id::{CommitId, RefName};
use crate::remote::{self, NewRemote, RemoteError, Verification};
use crate::repo::Repo;
use std::path::{Path, PathBuf};
use text::{profile, sdk_meta, tmpfiles, unit, user_environment};

/// The name of the unit.
const UNIT: &str = "ostree-go-sdk.service";

/// What a host's configuration is to say beside which SDKs it has.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BootOptions {
    remote: NewRemote,
    program: PathBuf,
    cache_owner: String,
    environment: Vec<(String, String)>,
}

impl BootOptions {
    /// A host that takes its SDKs from a remote, which has to have keys.
    #[must_use]
    pub fn new(remote: NewRemote) -> Self {
        Self {
            remote,
            program: PathBuf::from("/usr/bin/ostree-go"),
            cache_owner: "root".to_owned(),
            environment: Vec::new(),
        }
    }

    /// Where the host has `ostree-go`. Default: `/usr/bin/ostree-go`.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// The user who builds with the caches in `/var/cache`. A cache has one user: whoever writes
    /// into it decides what is built from it. Default: `root`.
    #[must_use]
    pub fn cache_owner(mut self, user: impl Into<String>) -> Self {
        self.cache_owner = user.into();
        self
    }

    /// One more variable for every session, as `GOPROXY`, after those that were given before.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }
}

/// A host's configuration: what is written before its first boot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootConfig {
    /// The SDKs; the first is the active one.
    pub releases: Vec<BootRelease>,
    /// Files, sorted by path.
    pub files: Vec<BootFile>,
    /// Units of systemd; all are enabled.
    pub units: Vec<BootUnit>,
}

/// An SDK that a host is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootRelease {
    /// The ref: a release stays what it is, a channel is followed.
    pub ref_name: RefName,
    /// Its commit when the configuration was written.
    pub commit: CommitId,
    /// The Go version of that.
    pub version: String,
}

/// A file of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootFile {
    /// Where.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// What is in it.
    pub content: Vec<u8>,
}

/// A unit of systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootUnit {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub content: String,
}

/// What the texts are made of, all of it checked.
struct Facts<'a> {
    options: &'a BootOptions,
    arch: Arch,
    /// The active SDK.
    first: &'a CommitInfo,
    releases: &'a [BootRelease],
    /// The files with the remote's keys.
    keys: Vec<String>,
}

/// The configuration of a host that installs releases or channels at its first boot, and
/// upgrades those of channels at each. The first is the active one.
///
/// # Errors
/// When a commit is no release, two are for different architectures, the remote is not
/// well-formed, has no keys or takes unsigned commits, or a word cannot stand in a file.
pub fn boot_config(
    repo: &Repo,
    commits: &[CommitId],
    options: &BootOptions,
) -> Result<BootConfig, BootError> {
    check(options)?;
    let infos = commits.iter().map(|commit| release(repo, *commit));
    let infos = infos.collect::<Result<Vec<_>, _>>()?;
    let first = infos.first().ok_or(BootError::NoReleases)?;
    let releases = infos.iter().map(boot_release);
    let releases = releases.collect::<Result<Vec<_>, _>>()?;
    let arch = first.arch.ok_or(BootError::Unbound { commit: first.id })?;
    let other = infos.iter().position(|info| info.arch != Some(arch));
    if let Some(at) = other {
        return Err(BootError::OtherArch {
            found: releases[at].ref_name.clone(),
            expected: arch,
        });
    }
    let name = &options.remote.name;
    let keys: Vec<BootFile> = (options.remote.keys.iter().enumerate())
        .map(|(at, content)| {
            let number = if at == 0 {
                String::new()
            } else {
                format!("-{}", at + 1)
            };
            let end = if std::str::from_utf8(content).is_ok() {
                "asc"
            } else {
                "gpg"
            };
            file(
                format!("/etc/ostree-go/keys/{name}{number}.{end}"),
                content.clone(),
            )
        })
        .collect();
    let facts = Facts {
        options,
        arch,
        first,
        releases: &releases,
        keys: keys.iter().map(|key| key.path.clone()).collect(),
    };
    let mut files = keys;
    files.extend([
        file("/etc/os-release.d/sdk-meta", sdk_meta(&facts)),
        file("/etc/profile.d/ostree-go.sh", profile(&facts)),
        file(
            "/etc/environment.d/60-ostree-go.conf",
            user_environment(&facts),
        ),
        file("/etc/tmpfiles.d/ostree-go.conf", tmpfiles(&facts)),
    ]);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let units = vec![BootUnit {
        name: UNIT.to_owned(),
        content: unit(&facts),
    }];
    Ok(BootConfig {
        releases,
        files,
        units,
    })
}

/// Writes a configuration to a file, which shows when it is whole and durable. It replaces what
/// is there.
///
/// # Errors
/// When the file system refuses. The file is then as it was.
pub fn write_boot_config(dest: &Path, text: &str) -> Result<(), ExportError> {
    atomic::write(dest, text.as_bytes()).map_err(ExportError::io("write", dest))
}

fn file(path: impl Into<String>, content: impl Into<Vec<u8>>) -> BootFile {
    BootFile {
        path: path.into(),
        mode: 0o644,
        content: content.into(),
    }
}

fn boot_release(info: &CommitInfo) -> Result<BootRelease, BootError> {
    let found = info.bound_to.first().zip(info.version.clone());
    let (ref_name, version) = found.ok_or(BootError::Unbound { commit: info.id })?;
    Ok(BootRelease {
        ref_name: ref_name.clone(),
        commit: info.id,
        version,
    })
}

/// Whether every word may stand where it is to stand.
fn check(options: &BootOptions) -> Result<(), BootError> {
    let remote = &options.remote;
    if remote.verification == Verification::Unsigned {
        let name = remote.name.clone();
        return Err(RemoteError::NoKeys { name }.into());
    }
    remote::check(remote)?;
    let invalid = |what, found: &str, problem| BootError::InvalidWord {
        what,
        found: found.to_owned(),
        problem,
    };
    let program = options.program.to_str().filter(|path| {
        // What systemd takes for an executable without any quoting.
        let mut bytes = path.bytes();
        Path::new(path).is_absolute()
            && bytes.all(|b| b.is_ascii_alphanumeric() || b"/._+-".contains(&b))
    });
    if program.is_none() {
        return Err(invalid(
            "program",
            &options.program.to_string_lossy(),
            "is no absolute path of letters, digits, `.`, `_`, `+` and `-`",
        ));
    }
    // The rule of useradd(8) and of systemd's sysusers.
    let user = &options.cache_owner;
    let is_user = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    if user.is_empty() || user.starts_with('-') || !user.bytes().all(is_user) {
        return Err(invalid("user", user, "is no name of a user"));
    }
    for (name, value) in &options.environment {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let digit = name.starts_with(|c: char| c.is_ascii_digit());
        if name.is_empty() || digit || !name.bytes().all(is_name) {
            return Err(invalid("variable", name, "is no name of a variable"));
        }
        // Shells, environment.d and os-release read all others in quotes as they are.
        if value.contains(['"', '\\', '$', '`']) || value.contains(char::is_control) {
            let problem = "has a quote, `$`, `\\`, a backquote or a line break";
            return Err(invalid("value", value, problem));
        }
    }
    Ok(())
}
