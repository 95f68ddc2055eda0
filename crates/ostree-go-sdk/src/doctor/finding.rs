//! The findings of an examination.

use super::text::{backends, build_cache, count, describe_active, list, std_caches};
use super::topic::{Severity, Topic};
use crate::arch::Arch;
use crate::clock::rfc3339;
use crate::deploy::{DeployError, HookError};
use crate::golang::std_cache::StdCacheId;
use crate::process::ProcessError;
use crate::pull::PullError;
use crate::remote::RemoteError;
use crate::sandbox::{Backend, SandboxError, Unavailable};
use crate::stdcache::StdCacheError;
use crate::units::format_bytes;
use std::path::PathBuf;

/// The result of one check.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// There is no root directory yet.
    #[error("there is no root directory at {} yet", path.display())]
    NoRoot {
        /// The path.
        path: PathBuf,
    },
    /// The root directory or its state cannot be read.
    #[error("the root directory {} cannot be used", path.display())]
    UnusableRoot {
        /// The path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: Box<DeployError>,
    },
    /// Every user can change a directory that programs are run from.
    #[error("every user can write to {}: it has the mode {mode:o}", path.display())]
    WritableByAll {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The user cannot write to the root directory.
    #[error("this user cannot write to {}, so that only its owner can install SDKs", path.display())]
    NotWritable {
        /// The path.
        path: PathBuf,
    },
    /// The root directory is in order.
    #[error("{} has {}, {}", path.display(), count(*deployments, "SDK"), describe_active(active.as_deref()))]
    RootGood {
        /// The path.
        path: PathBuf,
        /// The number of deployments.
        deployments: usize,
        /// The version of the active one.
        active: Option<String>,
    },
    /// The file system is mounted read-only.
    #[error("{} is on a file system that is mounted read-only", path.display())]
    ReadOnly {
        /// The directory.
        path: PathBuf,
    },
    /// No programs can be run from the file system.
    #[error("{} is on a file system that is mounted with noexec, so that no program of an SDK can be run", path.display())]
    NoExec {
        /// The directory.
        path: PathBuf,
    },
    /// The file system does not store extended attributes in the namespace `user`.
    #[error("{} is on a file system without user xattrs, in which the repository stores modes of files", path.display())]
    NoUserXattrs {
        /// The directory.
        path: PathBuf,
    },
    /// The file system has no hard links.
    #[error("{} is on a file system without hard links, so that files of SDKs are copied", path.display())]
    NoHardLinks {
        /// The directory.
        path: PathBuf,
    },
    /// There is little free space.
    #[error("{} has {} free, an SDK needs about {}", path.display(), format_bytes(*free), format_bytes(*needed))]
    LittleSpace {
        /// The directory.
        path: PathBuf,
        /// The free space in bytes.
        free: u64,
        /// The space of an SDK and its download in bytes.
        needed: u64,
    },
    /// The file system could not be examined.
    #[error("the file system of {} was not examined", path.display())]
    NotExamined {
        /// The directory.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// The file system is in order.
    #[error(
        "{} has user xattrs and hard links, {} reflinks, and {} free",
        path.display(),
        if *reflinks { "and" } else { "no" },
        format_bytes(*free)
    )]
    FileSystemGood {
        /// The directory.
        path: PathBuf,
        /// True if files can share extents.
        reflinks: bool,
        /// The free space in bytes.
        free: u64,
    },
    /// The clock is before the time of something that exists.
    #[error("the clock says {}, but {what} is of {}", rfc3339(*now), rfc3339(*known))]
    ClockBehind {
        /// The time of this machine, in seconds since 1970.
        now: u64,
        /// The later time, in seconds since 1970.
        known: u64,
        /// The file or commit that has the later time.
        what: &'static str,
    },
    /// The clock is not before the time of anything that is known.
    #[error("the clock says {}", rfc3339(*now))]
    ClockGood {
        /// The time of this machine, in seconds since 1970.
        now: u64,
    },
    /// The keyring of a remote cannot be read.
    #[error("the keys of remote `{remote}` cannot be read")]
    UnreadableKeys {
        /// The remote.
        remote: String,
        /// The reason.
        #[source]
        source: Box<RemoteError>,
    },
    /// A remote has no key whose signatures are accepted.
    #[error("remote `{remote}` has no valid key: {}", list(expired))]
    NoValidKey {
        /// The remote.
        remote: String,
        /// The fingerprints of its expired and revoked keys.
        expired: Vec<String>,
    },
    /// The last valid key of a remote expires soon.
    #[error("key {fingerprint} of remote `{remote}` expires at {}", rfc3339(*expires))]
    KeyExpiresSoon {
        /// The remote.
        remote: String,
        /// The fingerprint of the key.
        fingerprint: String,
        /// The expiry time, in seconds since 1970.
        expires: u64,
    },
    /// Commits of a remote are accepted without a signature.
    #[error("commits of remote `{remote}` are accepted without a signature")]
    Unsigned {
        /// The remote.
        remote: String,
    },
    /// A remote has valid keys.
    #[error("remote `{remote}` has {}", count(*valid, "valid key"))]
    KeysGood {
        /// The remote.
        remote: String,
        /// The number of valid keys.
        valid: usize,
    },
    /// There are no remotes.
    #[error("no remote is configured in {}", path.display())]
    NoRemotes {
        /// The repository.
        path: PathBuf,
    },
    /// The list of refs could not be fetched from a remote.
    #[error("remote `{remote}` at {url} does not answer as expected")]
    Unreachable {
        /// The remote.
        remote: String,
        /// Its URL.
        url: String,
        /// The reason.
        #[source]
        source: Box<PullError>,
    },
    /// A remote can be reached.
    #[error("remote `{remote}` at {url} offers {}", count(*refs, "ref"))]
    RemoteGood {
        /// The remote.
        remote: String,
        /// Its URL.
        url: String,
        /// The number of refs that it offers.
        refs: usize,
    },
    /// Std caches that are selected for the active SDK are not installed.
    #[error(
        "go {version} lacks {}, which the selection names{}",
        std_caches(ids),
        if *is_offered { " and the source offers" } else { "" }
    )]
    StdCacheMissing {
        /// The version of the active SDK.
        version: String,
        /// The std caches.
        ids: Vec<StdCacheId>,
        /// True if the source of the SDK offers them.
        is_offered: bool,
    },
    /// The source of the active SDK offers std caches for its architecture that the user left out.
    #[error(
        "the source of go {version} offers std caches for {arch}, which were left out with --no-stdcache"
    )]
    StdCacheLeftOut {
        /// The version of the active SDK.
        version: String,
        /// Its architecture.
        arch: Arch,
    },
    /// The index of a std cache is damaged.
    #[error(
        "the std cache {id} of the active SDK has no valid index, so that nothing of it is used"
    )]
    StdCacheDamaged {
        /// The std cache.
        id: StdCacheId,
        /// The reason.
        #[source]
        source: Box<StdCacheError>,
    },
    /// The std caches of the active SDK are in order.
    #[error("go {version} has {}", std_caches(ids))]
    StdCacheGood {
        /// The version of the active SDK.
        version: String,
        /// Its std caches.
        ids: Vec<StdCacheId>,
    },
    /// `GOCACHEPROG` is not set, so that the go command does not find std caches. It does in `ostree-go run`.
    #[error("GOCACHEPROG is not set, so that `go` uses {}, and not the std caches", build_cache(gocache.as_deref()))]
    NoCacheProg {
        /// `GOCACHE`, if it is set.
        gocache: Option<PathBuf>,
    },
    /// `GOCACHEPROG` does not serve the std caches of the root directory.
    #[error("GOCACHEPROG is `{found}`, which does not serve the std caches of this root directory")]
    OtherCacheProg {
        /// The value.
        found: String,
    },
    /// The build cache is in memory, and there is too little of it.
    #[error(
        "the build cache {} is on a file system in memory with {}; builds and tests need about {}",
        path.display(),
        format_bytes(*size),
        format_bytes(*needed)
    )]
    SmallGoCache {
        /// The build cache, or the nearest directory above it that exists.
        path: PathBuf,
        /// The size of the file system in bytes.
        size: u64,
        /// The size that it should have, in bytes.
        needed: u64,
    },
    /// A sandbox does not work on this machine.
    #[error("the sandbox {0}")]
    SandboxUnavailable(Unavailable),
    /// No sandbox works on this machine.
    #[error("commands cannot be isolated on this machine")]
    NoSandbox {
        /// The reason for each sandbox.
        #[source]
        source: Box<SandboxError>,
    },
    /// Commands can be isolated.
    #[error("commands are run in the sandbox {}", backends(all))]
    SandboxGood {
        /// The sandboxes that work, in order of preference.
        all: Vec<Backend>,
    },
    /// `PATH` does not contain the programs of the active SDK.
    #[error("PATH does not contain {}", bin.display())]
    NotInPath {
        /// The directory of the programs.
        bin: PathBuf,
    },
    /// Another `go` comes first in `PATH`.
    #[error("`go` is {}, which is not that of the active SDK in {}", found.display(), bin.display())]
    OtherGo {
        /// The program that is run.
        found: PathBuf,
        /// The directory of the active SDK's programs.
        bin: PathBuf,
    },
    /// `GOROOT` selects the files of another SDK.
    #[error("GOROOT is {}, which is not the active SDK", found.display())]
    Goroot {
        /// The value.
        found: PathBuf,
    },
    /// `GOTOOLCHAIN` selects another Go.
    #[error("GOTOOLCHAIN is `{found}`, so that `go` runs another version than the active SDK")]
    Gotoolchain {
        /// The value.
        found: String,
    },
    /// The environment runs the active SDK.
    #[error("`go` is that of the active SDK")]
    EnvironmentGood,
    /// An upgrade would refuse the hooks.
    #[error("hooks cannot be run, so that an upgrade would be refused")]
    UnusableHooks {
        /// The reason.
        #[source]
        source: Box<HookError>,
    },
    /// A hook has no execute permission.
    #[error("the hook {} is not executable", path.display())]
    HookNotExecutable {
        /// The hook.
        path: PathBuf,
    },
    /// A file or directory is where hooks are never looked for.
    #[error("{} is ignored: hooks are in post-deploy/required.d and post-deploy/wanted.d", path.display())]
    HookMisplaced {
        /// The file or directory.
        path: PathBuf,
    },
    /// The hooks are in order.
    #[error("{} would run after an upgrade", count(*hooks, "hook"))]
    HooksGood {
        /// The number of hooks.
        hooks: usize,
    },
    /// GnuPG, which verifies signatures, cannot be run.
    #[error("GnuPG cannot be run, so that no signature can be verified")]
    NoGpg {
        /// The reason.
        #[source]
        source: ProcessError,
    },
    /// The versions of the software.
    #[error("libostree {libostree}, {gpg}")]
    SoftwareGood {
        /// The version of libostree, like `2026.4`.
        libostree: String,
        /// The first line that `gpg --version` prints.
        gpg: String,
    },
}

impl Finding {
    /// Returns how serious the finding is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::RootGood { .. }
            | Self::FileSystemGood { .. }
            | Self::ClockGood { .. }
            | Self::KeysGood { .. }
            | Self::RemoteGood { .. }
            | Self::EnvironmentGood
            | Self::StdCacheGood { .. }
            | Self::SandboxGood { .. }
            | Self::HooksGood { .. }
            | Self::SoftwareGood { .. } => Severity::Good,
            Self::NoRoot { .. }
            | Self::NotWritable { .. }
            | Self::NotExamined { .. }
            | Self::StdCacheLeftOut { .. }
            | Self::NoCacheProg { gocache: None }
            | Self::SandboxUnavailable(_) => Severity::Note,
            Self::NoHardLinks { .. }
            | Self::LittleSpace { .. }
            | Self::KeyExpiresSoon { .. }
            | Self::Unsigned { .. }
            | Self::NoRemotes { .. }
            | Self::NotInPath { .. }
            | Self::OtherGo { .. }
            | Self::Goroot { .. }
            | Self::Gotoolchain { .. }
            | Self::StdCacheMissing { .. }
            | Self::NoCacheProg { gocache: Some(_) }
            | Self::OtherCacheProg { .. }
            | Self::SmallGoCache { .. }
            | Self::HookNotExecutable { .. }
            | Self::HookMisplaced { .. }
            | Self::NoSandbox { .. } => Severity::Warning,
            Self::UnusableRoot { .. }
            | Self::WritableByAll { .. }
            | Self::ReadOnly { .. }
            | Self::NoExec { .. }
            | Self::NoUserXattrs { .. }
            | Self::ClockBehind { .. }
            | Self::UnreadableKeys { .. }
            | Self::NoValidKey { .. }
            | Self::Unreachable { .. }
            | Self::StdCacheDamaged { .. }
            | Self::UnusableHooks { .. }
            | Self::NoGpg { .. } => Severity::Problem,
        }
    }

    /// Returns the subject of the check.
    #[must_use]
    pub const fn topic(&self) -> Topic {
        match self {
            Self::NoRoot { .. }
            | Self::UnusableRoot { .. }
            | Self::WritableByAll { .. }
            | Self::NotWritable { .. }
            | Self::RootGood { .. } => Topic::Root,
            Self::ReadOnly { .. }
            | Self::NoExec { .. }
            | Self::NoUserXattrs { .. }
            | Self::NoHardLinks { .. }
            | Self::LittleSpace { .. }
            | Self::NotExamined { .. }
            | Self::FileSystemGood { .. } => Topic::FileSystem,
            Self::ClockBehind { .. } | Self::ClockGood { .. } => Topic::Clock,
            Self::UnreadableKeys { .. }
            | Self::NoValidKey { .. }
            | Self::KeyExpiresSoon { .. }
            | Self::Unsigned { .. }
            | Self::KeysGood { .. } => Topic::Keys,
            Self::NoRemotes { .. } | Self::Unreachable { .. } | Self::RemoteGood { .. } => {
                Topic::Remotes
            }
            Self::NotInPath { .. }
            | Self::OtherGo { .. }
            | Self::Goroot { .. }
            | Self::Gotoolchain { .. }
            | Self::NoCacheProg { .. }
            | Self::OtherCacheProg { .. }
            | Self::SmallGoCache { .. }
            | Self::EnvironmentGood => Topic::Environment,
            Self::StdCacheMissing { .. }
            | Self::StdCacheLeftOut { .. }
            | Self::StdCacheDamaged { .. }
            | Self::StdCacheGood { .. } => Topic::StdCache,
            Self::SandboxUnavailable(_) | Self::NoSandbox { .. } | Self::SandboxGood { .. } => {
                Topic::Sandbox
            }
            Self::UnusableHooks { .. }
            | Self::HookNotExecutable { .. }
            | Self::HookMisplaced { .. }
            | Self::HooksGood { .. } => Topic::Hooks,
            Self::NoGpg { .. } | Self::SoftwareGood { .. } => Topic::Software,
        }
    }

    /// Returns what to do; `None` if nothing needs to be done.
    #[must_use]
    pub const fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::UnusableRoot { .. } => "correct what the cause names",
            Self::WritableByAll { .. } => "remove the permission: chmod o-w",
            Self::ReadOnly { .. } => {
                "mount it read-write, or use a root directory on another file system"
            }
            Self::NoExec { .. } => {
                "mount it without noexec, or use a root directory on another file system"
            }
            Self::NoUserXattrs { .. } => {
                "use a root directory on another file system, such as ext4, XFS or Btrfs"
            }
            Self::NoHardLinks { .. } => {
                "use a root directory on another file system to save the space of the copies"
            }
            Self::LittleSpace { .. } => {
                "free space, or collect what is not needed: `ostree-go gc` in a root directory"
            }
            Self::ClockBehind { .. } => {
                "set the clock, for example with `timedatectl set-ntp true`"
            }
            Self::UnreadableKeys { .. } => "import the keys again",
            Self::NoValidKey { .. } | Self::KeyExpiresSoon { .. } => {
                "get the current key from the publisher, and import it: \
                 `ostree-go remote import-key`"
            }
            Self::Unsigned { .. } => {
                "if the publisher signs, delete the remote, and add it again with a key"
            }
            Self::NoRemotes { .. } => "add one: `ostree-go remote add`",
            Self::Unreachable { .. } => {
                "check the address, the network, and the settings for proxies and certificates"
            }
            Self::NotInPath { .. } | Self::OtherGo { .. } => {
                "put it first in PATH: eval \"$(ostree-go env)\""
            }
            Self::Goroot { .. } => "remove it: unset GOROOT, and `go env -u GOROOT`",
            Self::Gotoolchain { .. } => "remove it: unset GOTOOLCHAIN, and `go env -u GOTOOLCHAIN`",
            Self::StdCacheMissing { .. } => "install what the source has: `ostree-go upgrade`",
            Self::StdCacheLeftOut { .. } => {
                "if builds are to use them: `ostree-go upgrade --stdcache`, with this architecture"
            }
            Self::StdCacheDamaged { .. } => {
                "replace it: `ostree-go upgrade`; `ostree-go status` compares all files"
            }
            Self::NoCacheProg { .. } | Self::OtherCacheProg { .. } => {
                "use them: eval \"$(ostree-go env --cache persistent)\""
            }
            Self::SmallGoCache { .. } => {
                "enlarge it, or use a directory on a disk: eval \"$(ostree-go env --cache persistent)\""
            }
            Self::NoSandbox { .. } => "install bubblewrap, and allow user namespaces",
            Self::UnusableHooks { .. } => "correct what the cause names: chown root, chmod go-w",
            Self::HookNotExecutable { .. } => "make it executable: chmod +x; or remove it",
            Self::HookMisplaced { .. } => "move it there, or remove it",
            Self::NoGpg { .. } => "install GnuPG",
            _ => return None,
        })
    }

    /// Returns a stable word for programs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoRoot { .. } => "no-root",
            Self::UnusableRoot { .. } => "unusable-root",
            Self::WritableByAll { .. } => "writable-by-all",
            Self::NotWritable { .. } => "not-writable",
            Self::RootGood { .. } => "root-good",
            Self::ReadOnly { .. } => "read-only",
            Self::NoExec { .. } => "no-exec",
            Self::NoUserXattrs { .. } => "no-user-xattrs",
            Self::NoHardLinks { .. } => "no-hard-links",
            Self::LittleSpace { .. } => "little-space",
            Self::NotExamined { .. } => "not-examined",
            Self::FileSystemGood { .. } => "file-system-good",
            Self::ClockBehind { .. } => "clock-behind",
            Self::ClockGood { .. } => "clock-good",
            Self::UnreadableKeys { .. } => "unreadable-keys",
            Self::NoValidKey { .. } => "no-valid-key",
            Self::KeyExpiresSoon { .. } => "key-expires-soon",
            Self::Unsigned { .. } => "unsigned",
            Self::KeysGood { .. } => "keys-good",
            Self::NoRemotes { .. } => "no-remotes",
            Self::Unreachable { .. } => "unreachable",
            Self::RemoteGood { .. } => "remote-good",
            Self::NotInPath { .. } => "not-in-path",
            Self::OtherGo { .. } => "other-go",
            Self::Goroot { .. } => "goroot",
            Self::Gotoolchain { .. } => "gotoolchain",
            Self::EnvironmentGood => "environment-good",
            Self::StdCacheMissing { .. } => "std-cache-missing",
            Self::StdCacheLeftOut { .. } => "std-cache-left-out",
            Self::StdCacheDamaged { .. } => "std-cache-damaged",
            Self::StdCacheGood { .. } => "std-cache-good",
            Self::NoCacheProg { .. } => "no-cacheprog",
            Self::OtherCacheProg { .. } => "other-cacheprog",
            Self::SmallGoCache { .. } => "small-gocache",
            Self::SandboxUnavailable(_) => "sandbox-unavailable",
            Self::NoSandbox { .. } => "no-sandbox",
            Self::SandboxGood { .. } => "sandbox-good",
            Self::UnusableHooks { .. } => "unusable-hooks",
            Self::HookNotExecutable { .. } => "hook-not-executable",
            Self::HookMisplaced { .. } => "hook-misplaced",
            Self::HooksGood { .. } => "hooks-good",
            Self::NoGpg { .. } => "no-gpg",
            Self::SoftwareGood { .. } => "software-good",
        }
    }
}
