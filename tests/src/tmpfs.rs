//! A file system of a few megabytes, for tests of a full disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::tools;

/// A mounted tmpfs; unmounted when dropped.
#[derive(Debug)]
pub struct Tmpfs {
    dir: TempDir,
}

impl Tmpfs {
    /// Mounts a tmpfs of `bytes`, or returns `None` after printing why the test is skipped; mounting requires root.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be mounted and `CI` is set.
    pub fn mount(bytes: u64) -> Option<Self> {
        Self::mount_type("tmpfs", &format!("size={bytes},mode=0755"))
    }

    fn mount_type(name: &str, options: &str) -> Option<Self> {
        if !tools::is_root() {
            tools::skip("only root can mount a tmpfs");
            return None;
        }
        let mount = tools::require("mount")?;
        let dir = tempfile::Builder::new()
            .prefix("ostree-go-tmpfs-")
            .tempdir()
            .expect("a folder to mount on");
        let out = Command::new(mount)
            .args(["-t", name, "-o", options, "ostree-go-test"])
            .arg(dir.path())
            .output()
            .expect("mount runs");
        if !out.status.success() {
            tools::skip(&format!(
                "cannot mount a {name}: {}",
                String::from_utf8_lossy(&out.stderr).trim()
            ));
            return None;
        }
        Some(Self { dir })
    }

    /// Mounts a ramfs, whose files have no extended attributes of users.
    ///
    /// # Panics
    ///
    /// Panics like [`Tmpfs::mount`].
    pub fn ramfs() -> Option<Self> {
        Self::mount_type("ramfs", "mode=0755")
    }

    /// Mounts the file system again with another option, for example `ro`.
    ///
    /// # Panics
    ///
    /// Panics if `mount` fails.
    pub fn remount(&self, option: &str) {
        let out = Command::new("mount")
            .args(["-o", &format!("remount,{option}")])
            .arg(self.dir.path())
            .output()
            .expect("mount runs");
        assert!(out.status.success(), "{out:?}");
    }

    /// Returns the mount point.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Fills the file system completely, and returns the file that fills it.
    ///
    /// # Panics
    ///
    /// Panics if writing fails for another reason than a full disk.
    pub fn fill(&self) -> PathBuf {
        use std::io::{ErrorKind, Write};
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).expect("a file to fill with");
        for size in [1 << 20, 4096, 1] {
            let block = vec![0_u8; size];
            loop {
                match file.write(&block) {
                    Ok(_) => {}
                    Err(e) if e.kind() == ErrorKind::StorageFull => break,
                    Err(e) => panic!("{}: {e}", path.display()),
                }
            }
        }
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // A process of the test may still use it; a lazy unmount waits until it is unused.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.dir.path())
            .status();
    }
}
