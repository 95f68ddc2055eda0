//! Real module files: those of the dependencies of two large projects, which are downloaded once and cached outside the
//! source tree.

use crate::sdk::cache_dir;
use crate::tools;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The modules at the top. A `go` line before 1.17 turns off graph pruning, so that the whole graph is loaded.
const GO_MOD: &str = "module example.com/corpus\n\ngo 1.16\n\nrequire (\n\
    \tgithub.com/prometheus/prometheus v0.55.0\n\tk8s.io/client-go v0.31.2\n)\n";

/// Small modules whose content is downloaded too. The path of one has upper-case letters.
pub const MODULES: &[&str] = &["github.com/BurntSushi/toml@v1.3.2", "rsc.io/quote@v1.5.2"];

/// The module cache of a corpus.
#[derive(Debug, Clone)]
pub struct ModCorpus {
    /// The directory for `GOMODCACHE`.
    pub cache: PathBuf,
    /// The output of `go mod download -json` for [`MODULES`], in their order.
    pub downloads: Vec<serde_json::Value>,
}

impl ModCorpus {
    /// Returns the `go.mod` files of all modules, sorted.
    ///
    /// # Panics
    ///
    /// Panics if a directory cannot be read.
    pub fn go_mods(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.cache.join("cache/download"), &mut files);
        files.sort();
        files
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension() == Some(OsStr::new("mod")) {
            files.push(path);
        }
    }
}

/// Returns the corpus, or `None` after printing why the test is skipped. `go` is the go command that downloads it.
///
/// # Panics
///
/// Panics if the modules cannot be downloaded and `CI` is set.
pub fn mod_corpus(go: &Path) -> Option<ModCorpus> {
    let work = cache_dir().join("mod-corpus-1");
    let cache = work.join("mod");
    let downloads = work.join("downloads.json");
    fs::create_dir_all(&work).expect("the cache can be written");
    // Test processes run in parallel: the first one downloads, the others wait.
    let lock = File::create(work.join("lock")).expect("a lock file");
    lock.lock().expect("the lock of the cache");
    // Written last, so that it marks the corpus as complete.
    if !downloads.exists() {
        fs::write(work.join("go.mod"), GO_MOD).expect("a go.mod");
        let download = [&["mod", "download", "-json"], MODULES].concat();
        let graph = run(go, &work, &cache, &["mod", "graph"]);
        let downloaded = graph.and_then(|_| run(go, &work, &cache, &download));
        match downloaded {
            Ok(json) => fs::write(&downloads, json).expect("a file in the cache"),
            Err(why) => {
                tools::skip(&format!("cannot download modules: {why}"));
                return None;
            }
        }
    }
    let json = fs::read_to_string(&downloads).expect("the downloads");
    let values = serde_json::Deserializer::from_str(&json).into_iter();
    Some(ModCorpus {
        cache,
        downloads: values.map(|value| value.expect("JSON")).collect(),
    })
}

fn run(go: &Path, work: &Path, cache: &Path, args: &[&str]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(go);
    command
        .args(args)
        .current_dir(work)
        .env("GOMODCACHE", cache)
        .env("GOCACHE", work.join("build"))
        .env("GOFLAGS", "-mod=mod -modcacherw")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env_remove("GOROOT");
    let out = command.output().map_err(|error| error.to_string())?;
    match out.status.success() {
        true => Ok(out.stdout),
        false => Err(String::from_utf8_lossy(&out.stderr).trim().to_owned()),
    }
}
