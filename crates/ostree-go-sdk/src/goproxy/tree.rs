//! The cache of a module proxy, in the layout of a proxy in a directory.
//!
//! ```text
//! MODULE/@v/list                 the versions of which the cache has the .info
//! MODULE/@v/VERSION.info         the version and its time
//! MODULE/@v/VERSION.mod          the go.mod file
//! MODULE/@v/VERSION.zip          the content
//! MODULE/@v/VERSION.intoto.json  the signed statement of a private module
//! sumdb/NAME/tile/…              full tiles of the checksum database
//! ```
//! Source of the layout: `go help goproxy`. All files may be removed at any time.

use crate::failpoint;
use crate::fs::atomic::Pending;
use crate::fs::hidden::remove_leftovers;
use crate::golang::module_id::ModuleId;
use crate::golang::module_path::escape;
use crate::golang::pseudo_version::PseudoVersion;
use crate::golang::semver;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The largest list of versions that is read from the cache, in bytes.
const MAX_LIST: u64 = 8 << 20;

/// A directory with the files of modules.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    /// Held while a list is changed.
    lists: Mutex<()>,
}

impl Tree {
    /// Creates the directory if it does not exist.
    pub fn create(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self {
            root: root.to_owned(),
            lists: Mutex::default(),
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of a file of a version.
    pub fn path(&self, id: &ModuleId, extension: &str) -> PathBuf {
        self.root.join(relative(id, extension))
    }

    /// Opens a regular file, and returns it with its size; `None` if there is none.
    pub fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file: File = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => file.into(),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        Ok(metadata.is_file().then_some((file, metadata.len())))
    }

    /// Reads a file of at most `limit` bytes; returns `None` if there is none, or if it is larger.
    pub fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let Some((file, size)) = Self::open(path)?.filter(|(_, size)| *size <= limit) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(size).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Creates a file that will appear at `path`, and removes those that a killed process has left there.
    pub fn begin(path: &Path) -> io::Result<Pending> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        remove_leftovers(path);
        Pending::public(path)
    }

    /// Gives a complete file its name, durably.
    pub fn finish(pending: Pending) -> io::Result<()> {
        failpoint::hit("proxy.written");
        pending.persist()?;
        failpoint::hit("proxy.stored");
        Ok(())
    }

    /// Stores a small file.
    pub fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut pending = Self::begin(path)?;
        pending.file.write_all(bytes)?;
        Self::finish(pending)
    }

    /// Removes a file that cannot be used.
    pub fn remove(path: &Path) -> io::Result<()> {
        let is_folder = path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_dir());
        let removed = match is_folder {
            true => fs::remove_dir_all(path),
            false => fs::remove_file(path),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Adds a version to the list of its module, for clients that use the directory as a proxy. Pseudo-versions are
    /// left out, as proxies do.
    pub fn add_to_list(&self, id: &ModuleId) -> io::Result<()> {
        if PseudoVersion::parse(id.version()).is_some() {
            return Ok(());
        }
        let path = self.root.join(escape(id.path())).join("@v/list");
        let _lock = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let text = Self::read(&path, MAX_LIST)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut versions: BTreeSet<&str> = text.lines().collect();
        if !versions.insert(id.version()) {
            return Ok(());
        }
        let mut versions: Vec<&str> = versions.into_iter().collect();
        versions.sort_by(|one, other| semver::compare(one, other));
        let text = versions.join("\n") + "\n";
        Self::store(&path, text.as_bytes())
    }
}

/// Returns the path of a file of a version below the URL or the directory of a proxy.
pub(super) fn relative(id: &ModuleId, extension: &str) -> String {
    let (path, version) = (escape(id.path()), escape(id.version()));
    format!("{path}/@v/{version}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_the_order_of_versions() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::create(&folder.path().join("a/b")).unwrap();
        for version in [
            "v1.10.0",
            "v1.2.0",
            "v1.10.0",
            "v1.2.0-rc.1",
            "v0.0.0-20260701212427-abcdef123456",
        ] {
            let id = ModuleId::new("example.com/Lib", version).unwrap();
            tree.add_to_list(&id).unwrap();
        }
        let list = fs::read_to_string(tree.root().join("example.com/!lib/@v/list")).unwrap();
        assert_eq!(list, "v1.2.0-rc.1\nv1.2.0\nv1.10.0\n");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert!(Tree::open(&path("none")).unwrap().is_none());
        assert!(Tree::open(folder.path()).unwrap().is_none());
        Tree::store(&path("a/file"), b"text").unwrap();
        assert_eq!(Tree::read(&path("a/file"), 4).unwrap().unwrap(), b"text");
        assert!(Tree::read(&path("a/file"), 3).unwrap().is_none());
        std::os::unix::fs::symlink(path("a/file"), path("link")).unwrap();
        assert!(Tree::open(&path("link")).unwrap().is_none());
        Tree::remove(&path("link")).unwrap();
        Tree::remove(&path("none")).unwrap();
        Tree::remove(&path("a")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
