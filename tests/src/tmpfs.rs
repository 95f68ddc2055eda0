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
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={bytes},mode=0755"),
                "ostree-go-test",
            ])
            .arg(dir.path())
            .output()
            .expect("mount runs");
        if !out.status.success() {
            tools::skip(&format!(
                "cannot mount a tmpfs: {}",
                String::from_utf8_lossy(&out.stderr).trim()
            ));
            return None;
        }
        Some(Self { dir })
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
