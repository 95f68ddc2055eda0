//! Directories for Go's caches.

use super::{SYSTEM_ROOT, Settings, is_root};
use crate::files::is_writable;
use ostree_go_sdk::stdcache::FolderKind;
use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

impl Settings {
    /// Returns the variables that the go command needs for its caches if it could not write to its
    /// default ones, which are in the home directory. Sources: `go help environment`, and
    /// `os.UserCacheDir`.
    pub fn go_caches(&self) -> Vec<(&'static str, PathBuf)> {
        let home = self.home.as_deref();
        let build = self.cache_home.clone();
        let build = build.or_else(|| Some(home?.join(".cache")));
        let is_usable = |path: Option<&Path>| path.is_some_and(is_writable);
        let needs_build = self.gocache.is_none() && !is_usable(build.as_deref());
        let sets_modules = self.gopath.is_some() || self.gomodcache.is_some();
        let needs_modules = !sets_modules && !is_usable(home);
        if !needs_build && !needs_modules {
            return Vec::new();
        }
        let Some(folder) = self.private_folder() else {
            return Vec::new();
        };
        let mut caches = Vec::new();
        if needs_build {
            caches.push(("GOCACHE", folder.join("go-build")));
        }
        if needs_modules {
            // Not only GOMODCACHE: the go command stores the checksum database below GOPATH.
            caches.push(("GOPATH", folder.join("go")));
        }
        caches
    }

    /// Creates a directory that survives a boot if possible, and that nobody else can write to:
    /// whoever writes into a build cache decides what is built from it.
    fn private_folder(&self) -> Option<PathBuf> {
        let name = format!("ostree-go-{}", rustix::process::geteuid().as_raw());
        let mut candidates = vec![PathBuf::from("/var/tmp").join(&name)];
        if is_root() {
            candidates.insert(0, PathBuf::from("/var/cache/ostree-go"));
        }
        let cache = self.cache_home.as_ref();
        candidates.extend(cache.map(|folder| folder.join("ostree-go")));
        candidates.push(self.temporary().join(&name));
        candidates.into_iter().find(|path| make_private(path))
    }

    /// Returns the directory for temporary files.
    pub fn temporary(&self) -> PathBuf {
        let temporary = self.temporary.clone();
        temporary.unwrap_or_else(|| PathBuf::from("/tmp"))
    }

    /// Returns the directory in which the go command makes temporary files.
    pub fn go_temporary(&self) -> PathBuf {
        self.gotmpdir.clone().unwrap_or_else(|| self.temporary())
    }

    /// Returns the build cache that the go command names to its child processes.
    pub fn gocache(&self) -> Option<PathBuf> {
        self.gocache.clone().filter(|path| path.is_absolute())
    }

    /// Returns the directories of the roots that have SDKs which this user can run: that of the command
    /// line or the user's own, and the system's if none was given.
    pub fn all_roots(&self, given: Option<&Path>) -> Vec<PathBuf> {
        if let Some(root) = given {
            return vec![root.to_owned()];
        }
        let system = PathBuf::from(SYSTEM_ROOT);
        let own = self.root().ok().filter(|own| *own != system);
        own.into_iter().chain([system]).collect()
    }

    /// Returns the places for a build cache and for modules, in order of preference.
    pub fn cache_places(&self, kind: FolderKind) -> Vec<(PathBuf, PathBuf)> {
        let user = rustix::process::geteuid().as_raw();
        let name = format!("ostree-go-{user}");
        let below = |base: PathBuf| (base.join("go-build"), base.join("go-mod"));
        // No directory of the system is created here, and no home.
        let in_existing = |dir: PathBuf, name: &str| dir.is_dir().then(|| below(dir.join(name)));
        let places = match kind {
            FolderKind::Tmpfs => vec![
                self.runtime_dir
                    .clone()
                    .and_then(|dir| in_existing(dir, "ostree-go")),
                in_existing(PathBuf::from(format!("/run/user/{user}")), "ostree-go"),
                in_existing(self.temporary(), &name),
            ],
            FolderKind::Persistent => {
                let home = self.home.as_ref().filter(|home| home.is_dir());
                let cache = self.cache_home.clone();
                let cache = cache.or_else(|| Some(home?.join(".cache")));
                let system = match is_root() {
                    true => in_existing(PathBuf::from("/var/cache"), "ostree-go"),
                    false => in_existing(PathBuf::from("/var/cache/ostree-go"), &user.to_string()),
                };
                vec![
                    // The places that the go command uses itself.
                    cache.map(|cache| {
                        let modules = self.modules(home);
                        let modules = modules.unwrap_or_else(|| cache.join("go-mod"));
                        (cache.join("go-build"), modules)
                    }),
                    system,
                    in_existing(PathBuf::from("/var/tmp"), &name),
                ]
            }
        };
        places.into_iter().flatten().collect()
    }

    /// Returns the directory of modules that the go command uses.
    fn modules(&self, home: Option<&PathBuf>) -> Option<PathBuf> {
        let gopath = self.gopath.as_ref();
        let first = gopath.and_then(|list| env::split_paths(list).next());
        let gopath = first.or_else(|| Some(home?.join("go")));
        self.gomodcache
            .clone()
            .or_else(|| Some(gopath?.join("pkg/mod")))
    }

    /// Returns true if the go command needs a `GOPATH`, below which it stores the checksum database.
    pub fn needs_gopath(&self) -> bool {
        self.gopath.is_none() && !self.home.as_deref().is_some_and(is_writable)
    }

    /// Returns Go's module cache. Source: `go help environment`.
    pub fn module_cache(&self) -> Option<PathBuf> {
        self.modules(self.home.as_ref())
    }
}

/// Creates a directory if it does not exist. Returns true if only this user can write to it.
fn make_private(path: &Path) -> bool {
    use std::os::unix::fs::DirBuilderExt;
    // An error means that it exists, or that it cannot be used.
    let _ = std::fs::DirBuilder::new().mode(0o700).create(path);
    let user = rustix::process::geteuid().as_raw();
    let is_private = path
        .symlink_metadata()
        .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o022 == 0);
    is_private && is_writable(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_folder_that_others_can_write_to_is_not_used() {
        let top = std::env::temp_dir().join(format!("ostree-go-private-{}", std::process::id()));
        std::fs::create_dir(&top).unwrap();
        let path = top.join("caches");
        assert!(make_private(&path) && make_private(&path));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        symlink(&path, top.join("link")).unwrap();
        assert!(!make_private(&top.join("link")));
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&path, open).unwrap();
        assert!(!make_private(&path));
        assert!(is_writable(&top.join("a/b")));
        std::fs::remove_dir_all(&top).unwrap();
    }
}
