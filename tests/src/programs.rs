//! Small programs that a real SDK builds, each of them once.

use crate::cli::run;
use crate::sdk::Sdk;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files of the module of all programs: with a dependency that is replaced by a directory, and a `go` line from which
/// older GODEBUG defaults follow.
const MODULE: [(&str, &str); 3] = [
    (
        "go.mod",
        "module example.com/program\n\ngo 1.22\n\nrequire example.com/dependency v1.2.3\n\n\
         replace example.com/dependency => ./dependency\n",
    ),
    (
        "dependency/go.mod",
        "module example.com/dependency\n\ngo 1.22\n",
    ),
    (
        "dependency/dependency.go",
        "package dependency\n\nconst Text = \"hello\"\n",
    ),
];

/// A program: its import, and the settings of its build.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// A line with an import, or nothing.
    pub import: &'static str,
    /// Arguments of `go build`.
    pub args: &'static [&'static str],
    /// Environment variables of `go build`.
    pub env: &'static [(&'static str, &'static str)],
}

impl Program {
    /// Returns the text of `main.go`.
    pub fn main(&self) -> String {
        let import = self.import;
        format!(
            "package main\n\nimport \"example.com/dependency\"\n{import}\n\nfunc main() {{ println(dependency.Text) }}\n"
        )
    }

    /// Writes the module into a directory.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written.
    pub fn write(&self, dir: &Path) {
        let files = MODULE.map(|(name, text)| (name, text.to_owned()));
        for (name, text) in files.into_iter().chain([("main.go", self.main())]) {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
            fs::write(path, text).expect("a file");
        }
    }

    /// Builds the module in a directory.
    ///
    /// # Panics
    ///
    /// Panics if `go build` fails.
    pub fn build(&self, sdk: &Sdk, dir: &Path, program: &Path, more: &[&str]) {
        let mut command = Command::new(sdk.dir.join("bin/go"));
        command.arg("build").args(self.args).args(more);
        command
            .arg("-o")
            .arg(program)
            .arg(".")
            .current_dir(dir)
            .env_clear()
            .envs([
                ("GOFLAGS", ""),
                ("GOPROXY", "off"),
                ("GOTOOLCHAIN", "local"),
                ("PATH", "/usr/bin:/bin"),
            ])
            .envs(self.env.iter().copied())
            .env("HOME", folder(sdk))
            .env("GOCACHE", folder(sdk).join("gocache"));
        run(&mut command).ok();
    }

    /// Returns the program, which is built if it is not in the cache of the tests. It is shared by all tests: never
    /// change it.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be built.
    pub fn built(&self, sdk: &Sdk) -> PathBuf {
        let folder = folder(sdk);
        let key = format!("{MODULE:?} {} {self:?}", self.main());
        let digest = Sha256::digest(key);
        let name: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let path = folder.join(name);
        fs::create_dir_all(&folder).expect("the cache can be written");
        let lock = File::create(folder.join("lock")).expect("a lock file");
        lock.lock().expect("the lock of the cache");
        if !path.exists() {
            let work = tempfile::tempdir_in(&folder).expect("a temporary folder");
            self.write(&work.path().join("module"));
            let new = work.path().join("program");
            self.build(sdk, &work.path().join("module"), &new, &["-buildvcs=false"]);
            fs::rename(new, &path).expect("a program that is complete");
        }
        path
    }
}

/// Returns the folder of the programs of an SDK, and of their build cache.
fn folder(sdk: &Sdk) -> PathBuf {
    let work = sdk.dir.parent().expect("the folder of the SDK");
    work.join("programs")
}
