//! Files that a user names for output.
//!
//! A regular file, or one that does not exist yet, is written under a hidden name and renamed when it is complete. Anything
//! else, such as a FIFO, a device or a symbolic link (`/dev/stdout`), stays what it is and is written to.

use super::atomic::Pending;
use super::hidden;
use crate::progress::{POLL_INTERVAL, Progress};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

/// A file that is being written.
#[derive(Debug)]
pub enum Output<'p> {
    /// A file that will replace a regular file.
    Replacing(Pending),
    /// An existing file that is written to.
    Existing(Existing<'p>),
}

/// Returns true if the file at `path` is replaced as a whole.
fn is_replaced(path: &Path) -> bool {
    path.symlink_metadata()
        .map_or(true, |found| found.is_file())
}

impl<'p> Output<'p> {
    /// Opens the file at `path`, and removes what killed processes left beside it. Waits for a
    /// reader if `path` is a FIFO.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened, or the operation is cancelled.
    pub fn create(path: &Path, progress: &'p dyn Progress) -> io::Result<Self> {
        if !is_replaced(path) {
            return Ok(Self::Existing(Existing::open(path, progress)?));
        }
        hidden::remove_leftovers(path);
        Ok(Self::Replacing(Pending::new(path)?))
    }

    /// Completes the file, durably.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Replacing(pending) => pending.persist(),
            Self::Existing(existing) => existing.sync(),
        }
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Replacing(pending) => pending.file.write(bytes),
            Self::Existing(existing) => existing.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a file that a user names for output.
pub fn write(path: &Path, content: &[u8], progress: &dyn Progress) -> io::Result<()> {
    let mut output = Output::create(path, progress)?;
    output.write_all(content)?;
    output.finish()
}

/// A regular file for content that is not written from its start to its end.
#[derive(Debug)]
pub struct Seekable(Pending);

impl Seekable {
    /// Creates an empty file in `scratch`, which does not become a file elsewhere.
    pub fn temporary(scratch: &Path) -> io::Result<Self> {
        Ok(Self(Pending::new(&scratch.join("output"))?))
    }

    /// Creates an empty file: beside `path` if it will replace the file there, or else in `scratch`.
    pub fn create(path: &Path, scratch: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let near = match is_replaced(path) {
            true => path.to_owned(),
            false => scratch.join(name),
        };
        hidden::remove_leftovers(&near);
        Ok(Self(Pending::new(&near)?))
    }

    pub fn file(&mut self) -> &mut File {
        &mut self.0.file
    }

    /// Returns the hidden path of the file.
    pub fn path(&self) -> &Path {
        self.0.temporary()
    }

    /// Renames the file to `path`, or copies its content to what is there; durably.
    pub fn deliver(self, path: &Path, progress: &dyn Progress) -> io::Result<()> {
        match is_replaced(path) {
            true => self.0.persist(),
            false => self.copy_to(Existing::open(path, progress)?),
        }
    }

    /// Copies the content to standard output.
    pub fn print(self, progress: &dyn Progress) -> io::Result<()> {
        let file = rustix::io::dup(std::io::stdout())?.into();
        self.copy_to(Existing { file, progress })
    }

    fn copy_to(self, mut existing: Existing<'_>) -> io::Result<()> {
        // Another program may have written the file.
        let mut file = File::open(self.path())?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => return existing.sync(),
                read => existing.write_all(&buffer[..read])?,
            }
        }
    }
}

/// A file that is written to, without blocking the process if it has no reader or a slow one.
#[derive(Debug)]
pub struct Existing<'p> {
    file: File,
    progress: &'p dyn Progress,
}

impl<'p> Existing<'p> {
    fn open(path: &Path, progress: &'p dyn Progress) -> io::Result<Self> {
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::TRUNC
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        loop {
            match rustix::fs::open(path, flags, Mode::from_raw_mode(0o666)) {
                // A FIFO without a reader.
                Err(Errno::NXIO) if is_fifo(path) => wait(POLL_INTERVAL, progress)?,
                opened => {
                    let file = opened?.into();
                    return Ok(Self { file, progress });
                }
            }
        }
    }

    fn sync(self) -> io::Result<()> {
        match self.file.sync_all() {
            // FIFOs and most devices cannot be synced.
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
            _ => Ok(()),
        }
    }
}

impl Write for Existing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut delay = Duration::from_millis(1);
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait(delay, self.progress)?;
                    delay = POLL_INTERVAL.min(delay * 2);
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_fifo(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.metadata()
        .is_ok_and(|found| found.file_type().is_fifo())
}

/// Waits, unless the operation is cancelled.
fn wait(delay: Duration, progress: &dyn Progress) -> io::Result<()> {
    if progress.is_cancelled() {
        return Err(io::Error::other("stopped on request"));
    }
    std::thread::sleep(delay);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;
    use rustix::fs::{CWD, FileType};
    use std::fs;
    use std::os::unix::fs::FileTypeExt;

    fn fifo(path: &Path) {
        rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    }

    #[test]
    fn regular_files_are_replaced_and_others_are_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "a longer content").unwrap();
        for name in ["file", "new"] {
            write(&path(name), b"content", &NoProgress).unwrap();
            assert_eq!(fs::read(path(name)).unwrap(), b"content");
        }
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        write(&path("link"), b"through", &NoProgress).unwrap();
        assert!(path("link").is_symlink());
        assert_eq!(fs::read(path("file")).unwrap(), b"through");
        fifo(&path("fifo"));
        // More than a pipe can hold.
        let content = vec![7; 1 << 20];
        for seekable in [false, true] {
            let from = path("fifo");
            let reader = std::thread::spawn(move || fs::read(from).unwrap());
            if seekable {
                let mut file = Seekable::create(&path("fifo"), dir.path()).unwrap();
                file.file().write_all(&content).unwrap();
                file.deliver(&path("fifo"), &NoProgress).unwrap();
            } else {
                write(&path("fifo"), &content, &NoProgress).unwrap();
            }
            assert_eq!(reader.join().unwrap(), content);
        }
        let found = path("fifo").symlink_metadata().unwrap();
        assert!(found.file_type().is_fifo());
        write(Path::new("/dev/null"), b"content", &NoProgress).unwrap();
        assert!(write(dir.path(), b"content", &NoProgress).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    #[test]
    fn waiting_for_a_reader_can_be_cancelled() {
        struct Cancelled;
        impl Progress for Cancelled {
            fn is_cancelled(&self) -> bool {
                true
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        fifo(&path);
        let error = write(&path, b"content", &Cancelled).unwrap_err();
        assert_eq!(error.to_string(), "stopped on request");
        // A reader that does not read.
        let reader = OFlags::RDONLY | OFlags::NONBLOCK;
        let _reader = rustix::fs::open(&path, reader, Mode::empty()).unwrap();
        let error = write(&path, &vec![0; 1 << 20], &Cancelled).unwrap_err();
        assert_eq!(error.to_string(), "stopped on request");
    }
}
