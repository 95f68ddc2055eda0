//! A file system on a loop device whose power can be cut.
//!
//! [`Disk::cut_power`] shuts the file system down as xfstests does (the `FS_IOC_SHUTDOWN` ioctl without flushing the log): from that
//! moment on nothing reaches the device, so pages that were not written back, and journal entries that were not committed, are lost.
//! Then it mounts the device again, which replays the journal. Writes that did reach the device are kept in their order, with or
//! without a flush after them: a disk that loses its own cache is not simulated.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::cli::run;
use crate::tools;

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ext4 with the defaults of mkfs: data in order before metadata.
    Ext4,
    /// XFS, which may keep a file's name and lose its content.
    Xfs,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Ext4, Self::Xfs];

    fn mkfs(self) -> (&'static str, u64) {
        match self {
            Self::Ext4 => ("mkfs.ext4", 64 << 20),
            // The smallest that mkfs.xfs makes; the image is sparse.
            Self::Xfs => ("mkfs.xfs", 300 << 20),
        }
    }
}

/// A mounted file system in an image file; unmounted and removed when dropped.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Makes and mounts an empty file system, or returns `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics when that is impossible here and `CI` is set.
    pub fn new(kind: Kind) -> Option<Self> {
        if !tools::is_root() {
            tools::skip("only root can mount a loop device");
            return None;
        }
        let (mkfs, size) = kind.mkfs();
        let mkfs = tools::require(mkfs)?;
        for tool in ["mount", "losetup", "xfs_io"] {
            tools::require(tool)?;
        }
        let folder = tempfile::Builder::new()
            .prefix("ostree-go-disk-")
            .tempdir()
            .expect("a folder for the image");
        let disk = Self { folder };
        fs::create_dir(disk.path()).expect("a folder to mount on");
        let image = fs::File::create(disk.image()).expect("an image");
        image.set_len(size).expect("a sparse file");
        run(Command::new(mkfs).arg("-q").arg(disk.image())).ok();
        if let Err(reason) = disk.mount() {
            tools::skip(&format!("cannot mount a loop device: {reason}"));
            return None;
        }
        Some(disk)
    }

    /// Folder on which the file system is mounted; the same as long as the disk exists.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    /// Unmounts the file system, keeps a copy of its image for [`Disk::restore`], and mounts it again.
    ///
    /// # Panics
    ///
    /// Panics when a file on it is still open.
    pub fn save(&self) {
        self.unmount();
        copy(&self.image(), &self.saved());
        self.remount();
    }

    /// Puts everything back to what it was at the last [`Disk::save`].
    ///
    /// # Panics
    ///
    /// Panics when nothing was saved, or a file on it is still open.
    pub fn restore(&self) {
        self.unmount();
        copy(&self.saved(), &self.image());
        self.remount();
    }

    /// Cuts the power now and mounts what had reached the device. Processes that still use the file system get `EIO`; they must
    /// have ended, or end soon.
    ///
    /// # Panics
    ///
    /// Panics when the file system cannot be shut down, or a process keeps a file on it open.
    pub fn cut_power(&self) {
        self.shut_down();
        self.remount_after_shutdown();
    }

    /// The first half of [`Disk::cut_power`], for a command that is still running: from now on nothing reaches the device.
    ///
    /// # Panics
    ///
    /// Panics when the file system cannot be shut down.
    pub fn shut_down(&self) {
        let xfs_io = tools::find("xfs_io").expect("found before");
        run(Command::new(xfs_io)
            .args(["-x", "-c", "shutdown"])
            .arg(self.path()))
        .ok();
    }

    /// The second half of [`Disk::cut_power`].
    ///
    /// # Panics
    ///
    /// Panics when a process keeps a file on it open.
    pub fn remount_after_shutdown(&self) {
        self.unmount();
        self.remount();
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn saved(&self) -> PathBuf {
        self.folder.path().join("saved")
    }

    fn remount(&self) {
        if let Err(reason) = self.mount() {
            panic!("cannot mount the file system again: {reason}");
        }
    }

    fn mount(&self) -> Result<(), String> {
        make_loop_node();
        let out = Command::new("mount")
            .args(["-o", "loop"])
            .args([self.image(), self.path()])
            .output()
            .map_err(|e| e.to_string())?;
        if out.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&out.stderr).trim().to_owned())
    }

    fn unmount(&self) {
        // A grandchild of a killed command may need a moment to let go of it.
        for attempt in 0..100 {
            let out = run(Command::new("umount").arg(self.path()));
            if out.code() == Some(0) {
                return;
            }
            assert!(attempt < 99, "cannot unmount: {}", out.stderr);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .output();
    }
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp")
        .args(["--sparse=always", "--reflink=auto"])
        .args([from, to]))
    .ok();
}

/// Makes the node of the next free loop device where it is missing, as in a container that has a `/dev` of its own.
fn make_loop_node() {
    let losetup = tools::find("losetup").expect("found before");
    let out = run(Command::new(losetup).arg("--find"));
    let node = Path::new(out.stdout.trim());
    let number = out.stdout.trim().strip_prefix("/dev/loop");
    if let (Some(number), false) = (number, node.exists()) {
        // Major number 7 is that of loop devices (Documentation/admin-guide/devices.txt of Linux).
        run(Command::new("mknod").arg(node).args(["b", "7", number]));
    }
}
