//! Options of a host's configuration.

use crate::remote::NewRemote;
use std::path::PathBuf;

/// The place of the build cache and the module cache of a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootCache {
    /// On the disk; they persist across updates of the system.
    #[default]
    Persistent,
    /// In memory; they are empty after each boot.
    Tmpfs,
}

/// Options of a host's configuration, apart from its SDKs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BootOptions {
    pub(super) remote: NewRemote,
    pub(super) program: PathBuf,
    pub(super) cache: BootCache,
    pub(super) cache_owner: String,
    pub(super) environment: Vec<(String, String)>,
}

impl BootOptions {
    /// Creates options for a host that installs SDKs from `remote`, which must have keys.
    #[must_use]
    pub fn new(remote: NewRemote) -> Self {
        Self {
            remote,
            program: PathBuf::from("/usr/bin/ostree-go"),
            cache: BootCache::default(),
            cache_owner: "root".to_owned(),
            environment: Vec::new(),
        }
    }

    /// Sets the path of `ostree-go` on the host. Default: `/usr/bin/ostree-go`.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Sets where the caches in `/var/cache` are. Default: on the disk.
    #[must_use]
    pub fn cache(mut self, cache: BootCache) -> Self {
        self.cache = cache;
        self
    }

    /// Sets the user who builds with the caches in `/var/cache`. A cache belongs to one user,
    /// because whoever writes to it controls the results of builds. Default: `root`.
    #[must_use]
    pub fn cache_owner(mut self, user: impl Into<String>) -> Self {
        self.cache_owner = user.into();
        self
    }

    /// Adds an environment variable for all sessions, like `GOPROXY`, after earlier ones.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }
}
