//! Go modules of a few files, and module proxies with them.

use crate::sdk::h1;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A version of a Go module.
#[derive(Debug, Clone)]
pub struct ToyModule {
    path: String,
    version: String,
    files: BTreeMap<String, String>,
}

impl ToyModule {
    /// Returns a module with a `go.mod` file and one package, `lib`, which needs no other package.
    ///
    /// # Panics
    ///
    /// Panics if the name has no version.
    pub fn new(name: &str) -> Self {
        let (path, version) = name.split_once('@').expect("a version");
        Self {
            path: path.to_owned(),
            version: version.to_owned(),
            files: BTreeMap::new(),
        }
        .with("go.mod", &format!("module {path}\n\ngo 1.26\n"))
        .with(
            "lib.go",
            "package lib\n\n// Answer is of type int.\nconst Answer = 42\n",
        )
        .with("scripts/build.sh", "#!/bin/sh\n")
    }

    /// Adds or replaces a file.
    #[must_use]
    pub fn with(mut self, name: &str, content: &str) -> Self {
        self.files.insert(name.to_owned(), content.to_owned());
        self
    }

    /// Removes a file.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.files.remove(name);
        self
    }

    /// Writes the files to a directory.
    ///
    /// # Panics
    ///
    /// Panics if they cannot be written.
    pub fn dir(&self, dest: &Path) {
        for (name, content) in &self.files {
            let path = dest.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
            fs::write(path, content).expect("a file");
        }
    }

    /// Writes the files of a module proxy for this version below a directory, and returns the `h1:` hash. The path must
    /// not have capital letters.
    ///
    /// # Panics
    ///
    /// Panics if they cannot be written.
    pub fn publish(&self, proxy: &Path) -> String {
        let folder = proxy.join(&self.path).join("@v");
        fs::create_dir_all(&folder).expect("the folder of the module");
        let file = |end: &str| folder.join(format!("{}.{end}", self.version));
        let info = format!("{{\"Version\":\"{}\"}}", self.version);
        fs::write(file("info"), info).expect("the info");
        let go_mod = self.files.get("go.mod").cloned();
        let go_mod = go_mod.unwrap_or_else(|| format!("module {}\n", self.path));
        fs::write(file("mod"), go_mod).expect("the go.mod");
        let zip = file("zip");
        let mut archive = ZipWriter::new(File::create(&zip).expect("the zip"));
        for (name, content) in &self.files {
            let name = format!("{}@{}/{name}", self.path, self.version);
            let options = SimpleFileOptions::default();
            archive.start_file(name, options).expect("an entry");
            archive.write_all(content.as_bytes()).expect("its content");
        }
        archive.finish().expect("the end of the zip");
        h1(&zip)
    }
}
