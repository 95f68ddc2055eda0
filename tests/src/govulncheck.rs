//! `govulncheck`, the tool of the Go authors for their vulnerability database, built by a real SDK and cached.

use crate::sdk::{Sdk, cache_dir};
use crate::tools;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of `golang.org/x/vuln`.
const VERSION: &str = "v1.9.0";
/// The version of `golang.org/x/vulndb`, the source of the database.
const DATABASE: &str = "v0.0.0-20261105234957-e22db6528018";

/// `govulncheck`, with the go command that it runs.
#[derive(Debug)]
pub struct Govulncheck {
    program: PathBuf,
    go: PathBuf,
    work: PathBuf,
}

/// Returns the program, or `None` after printing why the test is skipped.
///
/// # Panics
///
/// Panics if it cannot be built and `CI` is set.
pub fn govulncheck(sdk: &Sdk) -> Option<Govulncheck> {
    let work = cache_dir().join(format!("govulncheck-{VERSION}"));
    let found = Govulncheck {
        program: work.join("bin/govulncheck"),
        go: sdk.dir.join("bin/go"),
        work: work.clone(),
    };
    fs::create_dir_all(&work).expect("the cache can be written");
    // Test processes run in parallel: the first one builds, the others wait.
    let lock = File::create(work.join("lock")).expect("a lock file");
    lock.lock().expect("the lock of the cache");
    if !found.program.exists() {
        let module = format!("golang.org/x/vuln/cmd/govulncheck@{VERSION}");
        let built = found.go(&["install", &module], &work);
        // The module cache has thousands of files.
        let _ = fs::remove_dir_all(work.join("mod"));
        if let Err(why) = built {
            tools::skip(&format!("cannot build govulncheck: {why}"));
            return None;
        }
    }
    Some(found)
}

impl Govulncheck {
    /// Returns the entries of the whole database about Go itself, or `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if they cannot be downloaded and `CI` is set.
    pub fn database(&self) -> Option<Vec<Value>> {
        let path = self.work.join(format!("entries-{DATABASE}.json"));
        let lock = File::create(self.work.join("lock")).expect("a lock file");
        lock.lock().expect("the lock of the cache");
        if !path.exists() {
            let module = format!("golang.org/x/vulndb@{DATABASE}");
            if let Err(why) = self.go(&["mod", "download", &module], &self.work) {
                tools::skip(&format!(
                    "cannot download the vulnerability database: {why}"
                ));
                return None;
            }
            let folder = self.work.join("mod").join(&module).join("data/osv");
            let mut entries = crate::vulndb::read_entries(&folder);
            entries.retain(|entry| {
                let mut affected = entry["affected"].as_array().into_iter().flatten();
                affected.any(|one| {
                    ["stdlib", "toolchain"]
                        .iter()
                        .any(|go| one["package"]["name"] == *go)
                })
            });
            let _ = fs::remove_dir_all(self.work.join("mod"));
            let partial = path.with_extension("partial");
            fs::write(&partial, Value::from(entries).to_string()).expect("a file in the cache");
            fs::rename(&partial, &path).expect("a file in the cache");
        }
        let text = fs::read(&path).expect("the entries");
        let entries: Value = serde_json::from_slice(&text).expect("JSON");
        entries.as_array().cloned()
    }

    fn go(&self, args: &[&str], folder: &Path) -> Result<(), String> {
        let mut command = Command::new(&self.go);
        command
            .args(args)
            .current_dir(folder)
            .env("GOBIN", self.work.join("bin"))
            .env("GOMODCACHE", self.work.join("mod"))
            .env("GOCACHE", self.work.join("build"))
            .env("GOFLAGS", "-modcacherw")
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off")
            .env_remove("GOROOT");
        let out = command.output().map_err(|error| error.to_string())?;
        let _ = fs::remove_dir_all(self.work.join("build"));
        match out.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&out.stderr).trim().to_owned()),
        }
    }

    /// Returns what affects the standard library of a version of Go in a program of the module in `folder`: the names
    /// of the entries, and the versions that fix them.
    pub fn of_version(
        &self,
        database: &Path,
        folder: &Path,
        version: &str,
    ) -> BTreeMap<String, String> {
        let mut command = self.command(database);
        command
            .current_dir(folder)
            .env("GOVERSION", format!("go{version}"));
        findings(&mut command)
    }

    /// Returns the same for a program.
    pub fn of_binary(&self, database: &Path, program: &Path) -> BTreeMap<String, String> {
        let mut command = self.command(database);
        command.args(["-mode", "binary"]).arg(program);
        findings(&mut command)
    }

    fn command(&self, database: &Path) -> Command {
        let mut command = Command::new(&self.program);
        let bin = self.go.parent().expect("the folder of the go command");
        command
            .args(["-scan", "module", "-format", "json", "-db"])
            .arg(format!("file://{}", database.display()))
            .env_clear()
            .env("PATH", bin)
            .env("HOME", &self.work)
            .env("GOTOOLCHAIN", "local")
            .env("GOTELEMETRY", "off")
            .env("GOPROXY", "off");
        command
    }
}

/// Runs the program, and returns its findings about the standard library.
fn findings(command: &mut Command) -> BTreeMap<String, String> {
    let out = crate::cli::run(command).ok();
    let messages = serde_json::Deserializer::from_str(&out.stdout).into_iter::<Value>();
    let mut found = BTreeMap::new();
    for message in messages {
        let message = message.expect("JSON");
        let finding = &message["finding"];
        if finding["trace"][0]["module"] == "stdlib" {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            found.insert(text(&finding["osv"]), text(&finding["fixed_version"]));
        }
    }
    found
}
