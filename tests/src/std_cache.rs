//! Toy std caches, committed with the stock `ostree` command.

use crate::ostree::ostree;
use ostree_go_sdk::StdCacheId;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A std cache to commit, with metadata that a test can make wrong.
#[derive(Debug, Clone)]
pub struct ToyStdCache {
    /// Name: the target and the mode.
    pub id: StdCacheId,
    /// Version in the tree and on the ref.
    pub version: String,
    /// Version in the metadata, if it is another one.
    pub claims: Option<String>,
    /// Timestamp in seconds since 1970.
    pub seconds: u64,
}

impl ToyStdCache {
    /// Returns the std cache `x86_64-plain` or the like of a version.
    ///
    /// # Panics
    ///
    /// Panics if the name is not that of a std cache.
    pub fn new(version: &str, id: &str, seconds: u64) -> Self {
        Self {
            id: id.parse().expect("the name of a std cache"),
            version: version.to_owned(),
            claims: None,
            seconds,
        }
    }

    /// Returns the ref.
    pub fn ref_name(&self) -> String {
        format!("go-sdk/stdcache/{}/{}", self.version, self.id)
    }

    /// Returns the path of the directory in the tree: `usr/lib/sdk/stdcache/go-1.99/x86_64-plain`.
    pub fn dir(&self) -> String {
        let minor: Vec<&str> = self.version.split('.').take(2).collect();
        format!("usr/lib/sdk/stdcache/go-{}/{}", minor.join("."), self.id)
    }

    /// Returns the toy archives by their action ids.
    fn archives(&self) -> BTreeMap<String, Vec<u8>> {
        let archive = |package: &str| {
            // Archives of two versions differ in a few bytes only.
            let body = format!("{package} for {}\n", self.id).repeat(400);
            let archive = format!("!<arch>\ngo object {}\n{body}", self.version);
            let action = hex(format!("{package} {}", self.version).as_bytes());
            (action, archive.into_bytes())
        };
        ["errors", "fmt", "io", "net/http"].map(archive).into()
    }

    /// Commits toy archives to a repository, with additional arguments for `ostree commit`, and returns the
    /// commit.
    ///
    /// # Panics
    ///
    /// Panics if the tree cannot be written or committed.
    pub fn commit(&self, repo: &Path, more: &[&str]) -> String {
        self.commit_entries(repo, &self.archives(), more)
    }

    /// Commits outputs, given by their action ids.
    ///
    /// # Panics
    ///
    /// Panics if the tree cannot be written or committed.
    pub fn commit_entries(
        &self,
        repo: &Path,
        entries: &BTreeMap<String, Vec<u8>>,
        more: &[&str],
    ) -> String {
        let tree = tempfile::tempdir().expect("a temporary folder");
        // As in the commits of a compose; the mode of the folder becomes that of the tree's root.
        fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let dir = tree.path().join(self.dir());
        fs::create_dir_all(&dir).expect("a folder");
        let (files, bytes) = write(&dir, entries);
        let version = self.claims.as_ref().unwrap_or(&self.version);
        let mut args = vec![
            "commit".to_owned(),
            format!("--branch={}", self.ref_name()),
            format!("--tree=dir={}", tree.path().display()),
            format!("--timestamp=@{}", self.seconds),
            "--canonical-permissions".to_owned(),
            "--add-metadata-string=sdk.lang=go".to_owned(),
            format!("--add-metadata-string=version={version}"),
            format!("--add-metadata-string=sdk.version={version}"),
            format!("--add-metadata-string=sdk.stdcache={}", self.id),
            format!("--add-metadata=sdk.size=(uint64 {bytes}, uint64 {files})"),
        ];
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        ostree(repo, args).trim().to_owned()
    }
}

/// Writes the index and the outputs into a directory, and returns the number of files and their total size.
fn write(dir: &Path, entries: &BTreeMap<String, Vec<u8>>) -> (u64, u64) {
    let mut text = "ostree-go stdcache 1\n".to_owned();
    let mut sizes = BTreeMap::new();
    for (action, output) in entries {
        let name = hex(output);
        let path = dir.join("outputs").join(&name[..2]).join(&name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, output).expect("an output");
        text.push_str(&format!("{action} {name} {}\n", output.len()));
        sizes.insert(name, output.len() as u64);
    }
    fs::write(dir.join("index"), &text).expect("an index");
    let bytes = sizes.values().sum::<u64>() + text.len() as u64;
    (sizes.len() as u64 + 1, bytes)
}

/// Returns the archives in a directory that Go has used as `GOCACHE`, by their action ids.
///
/// # Panics
///
/// Panics if the directory cannot be read.
pub fn go_cache_archives(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archives = BTreeMap::new();
    for byte in 0..=u8::MAX {
        for file in fs::read_dir(dir.join(format!("{byte:02x}"))).expect("a directory of GOCACHE") {
            let file = file.expect("an entry").path();
            if !file.to_string_lossy().ends_with("-a") {
                continue;
            }
            // `v1 ACTION OUTPUT SIZE TIME`.
            let text = fs::read_to_string(file).expect("an action");
            let words: Vec<&str> = text.split_whitespace().collect();
            let (action, output) = (words[1], words[2]);
            let output = dir.join(&output[..2]).join(format!("{output}-d"));
            // The outputs of tools are directories.
            let content = fs::read(output).unwrap_or_default();
            if content.starts_with(b"!<arch>\n") {
                archives.insert(action.to_owned(), content);
            }
        }
    }
    archives
}

/// Commits both std caches of a target, `x86_64` or `aarch64`, and returns their commits.
pub fn commit_both(repo: &Path, version: &str, target: &str, seconds: u64) -> [String; 2] {
    ["trimpath", "plain"].map(|mode| {
        let id = format!("{target}-{mode}");
        ToyStdCache::new(version, &id, seconds).commit(repo, &[])
    })
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
