//! A FUSE file system, which has no renames with flags.

use crate::tools;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A directory that bindfs shows at another place; unmounted when dropped.
#[derive(Debug)]
pub struct Bindfs {
    dir: TempDir,
}

impl Bindfs {
    /// Mounts the file system, or returns `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be mounted and `CI` is set, or if it has renames with flags.
    pub fn mount() -> Option<Self> {
        let bindfs = tools::require("bindfs")?;
        let dir = tempfile::Builder::new()
            .prefix("ostree-go-bindfs-")
            .tempdir()
            .expect("a folder to mount on");
        for name in ["below", "mounted"] {
            std::fs::create_dir(dir.path().join(name)).expect("a folder");
        }
        let out = Command::new(bindfs)
            .arg("--no-allow-other")
            .args(["below", "mounted"].map(|name| dir.path().join(name)))
            .output()
            .expect("bindfs runs");
        if !out.status.success() {
            let text = String::from_utf8_lossy(&out.stderr).trim().to_owned();
            tools::skip(&format!("cannot mount a FUSE file system: {text}"));
            return None;
        }
        let mounted = Self { dir };
        mounted.assert_no_flags();
        Some(mounted)
    }

    /// Returns a path in the file system.
    pub fn path(&self, name: &str) -> PathBuf {
        self.mount_point().join(name)
    }

    fn mount_point(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    fn assert_no_flags(&self) {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let (from, to) = (self.path("from"), self.path("to"));
        std::fs::create_dir(&from).expect("a folder");
        let renamed = renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE);
        assert_eq!(renamed, Err(rustix::io::Errno::INVAL));
        std::fs::remove_dir(Path::new(&from)).expect("the folder");
    }
}

impl Drop for Bindfs {
    fn drop(&mut self) {
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.mount_point())
            .status();
        if !unmounted.is_ok_and(|status| status.success()) {
            let _ = Command::new("fusermount")
                .arg("-uz")
                .arg(self.mount_point())
                .status();
        }
    }
}
