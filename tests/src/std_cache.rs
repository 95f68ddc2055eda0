//! Toy std caches, committed with the stock `ostree` command.

use crate::ostree::ostree;
use ostree_go_sdk::StdCacheId;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
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

    /// Writes the index and the outputs into a directory, and returns their number and their total size.
    fn write(&self, dir: &Path) -> (u64, u64) {
        let mut index = BTreeMap::new();
        let mut bytes = 0;
        for package in ["errors", "fmt", "io", "net/http"] {
            // Archives of two versions differ in a few bytes only.
            let body = format!("{package} for {}\n", self.id).repeat(400);
            let archive = format!("!<arch>\ngo object {}\n{body}", self.version);
            let name = hex(archive.as_bytes());
            let action = hex(format!("{package} {}", self.version).as_bytes());
            let path = dir.join("outputs").join(&name[..2]).join(&name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            index.insert(action, format!("{name} {}", archive.len()));
            bytes += archive.len() as u64;
            fs::write(path, archive).expect("an archive");
        }
        let lines = index
            .iter()
            .map(|(action, entry)| format!("{action} {entry}\n"));
        let text = format!("ostree-go stdcache 1\n{}", lines.collect::<String>());
        fs::write(dir.join("index"), &text).expect("an index");
        (index.len() as u64 + 1, bytes + text.len() as u64)
    }

    /// Commits the std cache to a repository, with additional arguments for `ostree commit`, and returns the
    /// commit.
    ///
    /// # Panics
    ///
    /// Panics if the tree cannot be written or committed.
    pub fn commit(&self, repo: &Path, more: &[&str]) -> String {
        let tree = tempfile::tempdir().expect("a temporary folder");
        let dir = tree.path().join(self.dir());
        fs::create_dir_all(&dir).expect("a folder");
        let (files, bytes) = self.write(&dir);
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
