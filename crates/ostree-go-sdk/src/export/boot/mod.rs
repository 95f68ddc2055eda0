//! The files and the unit that a host needs to install an SDK and keep it up to date, as
//! Ignition or Butane configuration.
//!
//! Nothing here changes the host. At each boot, its `ostree-go` runs the commands of the unit and
//! verifies every signature with the key among the files.

mod butane;
mod config;
mod error;
mod ignition;
mod options;
mod text;

pub use config::{BootConfig, BootFile, BootRelease, BootUnit};
pub use error::BootError;
pub use ignition::BootSpec;
pub use options::{BootCache, BootOptions};

use super::ExportError;
use super::release::release;
use crate::catalog::CommitInfo;
use crate::fs::context::IoContext;
use crate::fs::output;
use crate::id::CommitId;
use crate::progress::NoProgress;
use crate::remote::{self, RemoteError, Verification};
use crate::repo::Repo;
use std::path::Path;
use text::{TextParameters, cache_mounts, profile, sdk_meta, tmpfiles, unit, user_environment};

/// Name of the unit.
const UNIT: &str = "ostree-go-sdk.service";

/// Generates the configuration of a host that installs releases or channels at its first boot, and
/// upgrades channels at each boot. The first SDK is active.
///
/// # Errors
/// Returns an error if a commit is not a release, two are for different architectures, the remote
/// is invalid, has no keys or accepts unsigned commits, or a word is not allowed in a file.
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
    let parameters = TextParameters {
        options,
        arch,
        first,
        releases: &releases,
        keys: keys.iter().map(|key| key.path.clone()).collect(),
    };
    let mut files = keys;
    files.extend([
        file("/etc/os-release.d/sdk-meta", sdk_meta(&parameters)),
        file("/etc/profile.d/ostree-go.sh", profile(&parameters)),
        file(
            "/etc/environment.d/60-ostree-go.conf",
            user_environment(&parameters),
        ),
        file("/etc/tmpfiles.d/ostree-go.conf", tmpfiles(&parameters)),
    ]);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut units = vec![BootUnit {
        name: UNIT.to_owned(),
        content: unit(&parameters),
    }];
    if options.cache == BootCache::Tmpfs {
        let mounts = cache_mounts().into_iter();
        units.extend(mounts.map(|(name, content)| BootUnit { name, content }));
    }
    Ok(BootConfig {
        releases,
        files,
        units,
    })
}

/// Writes a configuration to a file atomically and durably, replacing an existing regular file. A
/// FIFO, a device or a symbolic link is written to.
///
/// # Errors
/// Returns an error if the file system fails; the file is unchanged then.
pub fn write_boot_config(dest: &Path, text: &str) -> Result<(), ExportError> {
    Ok(output::write(dest, text.as_bytes(), &NoProgress).context("write", dest)?)
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

/// Checks that all words are allowed where they are used.
fn check(options: &BootOptions) -> Result<(), BootError> {
    let remote = &options.remote;
    if remote.verification == Verification::Unsigned {
        let name = remote.name.clone();
        return Err(RemoteError::NoKeys { name }.into());
    }
    remote::validate(remote)?;
    let invalid = |what, found: &str, problem| BootError::InvalidWord {
        what,
        found: found.to_owned(),
        problem,
    };
    let program = options.program.to_str().filter(|path| {
        // Characters that need no quoting in ExecStart=.
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
    // The rule of useradd(8) and systemd's sysusers.
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
        // All other characters are literal within quotes in shells, environment.d and os-release.
        if value.contains(['"', '\\', '$', '`']) || value.contains(char::is_control) {
            let problem = "has a quote, `$`, `\\`, a backquote or a line break";
            return Err(invalid("value", value, problem));
        }
    }
    Ok(())
}
