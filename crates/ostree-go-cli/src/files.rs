//! Reading and writing of files that are named on the command line or in the environment. Every error
//! names the action and the path.

use crate::error::CliError;
use rustix::fs::Access;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(CliError::file("read", path))
}

/// Reads a text file in UTF-8. `action` is part of the error message: `cannot ACTION PATH`.
pub fn read_text(action: &'static str, path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(CliError::file(action, path))
}

/// Reads a file with Ed25519 public keys, one per line.
pub fn read_ed25519_keys(path: &Path) -> Result<Vec<String>, CliError> {
    let text = read_text("read public keys from", path)?;
    let keys = text.lines().filter(|line| !line.trim().is_empty());
    Ok(keys.map(str::to_owned).collect())
}

/// Returns true if a file name stands for standard output.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes a file, and replaces its content if it exists. `-` is standard output.
pub fn write(path: &Path, text: &str) -> Result<(), CliError> {
    if is_stdout(path) {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(text.as_bytes());
        return written
            .and_then(|()| stdout.flush())
            .map_err(CliError::Output);
    }
    fs::write(path, text).map_err(CliError::file("write", path))
}

/// Creates a directory and its parents, if they do not exist.
pub fn create_directory(path: &Path) -> Result<(), CliError> {
    fs::create_dir_all(path).map_err(CliError::file("create directory", path))
}

/// Sets the modification time of a file to the current time, and creates the file if it does not
/// exist.
pub fn touch(path: &Path) -> Result<(), CliError> {
    let touched = File::options()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|file| file.set_modified(SystemTime::now()));
    touched.map_err(CliError::file("touch", path))
}

/// Returns true if a directory can be written, or created.
pub fn is_writable(path: &Path) -> bool {
    let found = path.ancestors().find(|folder| folder.exists());
    let access = Access::WRITE_OK | Access::EXEC_OK;
    found.is_some_and(|folder| rustix::fs::access(folder, access).is_ok())
}
