//! Toy modules, in a directory that the go command reads with `GOPROXY=file://…`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A module proxy in a directory. Source of its layout: <https://go.dev/ref/mod#goproxy-protocol>.
#[derive(Debug)]
pub struct ModuleProxy(PathBuf);

impl ModuleProxy {
    /// Describes the proxy in a directory, which need not exist.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Returns the value for `GOPROXY`.
    pub fn url(&self) -> String {
        format!("file://{}", self.0.display())
    }

    /// Adds a version of a module with files, one of which is `go.mod`.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written, or has no `go.mod`.
    pub fn add(&self, path: &str, version: &str, files: &[(&str, &str)]) {
        let folder = self.0.join(path).join("@v");
        fs::create_dir_all(&folder).expect("the folder of the module");
        let go_mod = files.iter().find(|(name, _)| *name == "go.mod");
        let (_, go_mod) = go_mod.expect("a go.mod");
        let write = |extension: &str, text: &str| {
            fs::write(folder.join(format!("{version}.{extension}")), text).expect("a file");
        };
        write("mod", go_mod);
        let time = "2026-01-01T00:00:00Z";
        write(
            "info",
            &format!("{{\"Version\":\"{version}\",\"Time\":\"{time}\"}}"),
        );
        let list = OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("list"));
        writeln!(list.expect("the list"), "{version}").expect("a line of the list");
        let prefix = format!("{path}@{version}");
        zip(&folder.join(format!("{version}.zip")), &prefix, files);
    }
}

/// Writes the zip of a module; `prefix` is its path and version.
///
/// # Panics
///
/// Panics if it cannot be written.
pub fn zip(dest: &Path, prefix: &str, files: &[(&str, &str)]) {
    let mut zip = ZipWriter::new(File::create(dest).expect("a file for the zip"));
    for (name, text) in files {
        let name = format!("{prefix}/{name}");
        zip.start_file(name, SimpleFileOptions::default())
            .expect("an entry");
        zip.write_all(text.as_bytes()).expect("its content");
    }
    zip.finish().expect("the zip ends");
}
