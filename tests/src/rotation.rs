//! A publisher that replaces its key, and hosts that trust the old one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cli::{Output, run};
use crate::gpg::Gpg;
use crate::host::Host;
use crate::webserver::FaultyServer;

/// The name of the file with the statements in a repository.
pub const FILE: &str = "key-transitions.json";

/// A publisher with an old and a new key, and hosts that have the old one.
#[derive(Debug)]
pub struct Rotation {
    /// The publisher's repository; the roots of the hosts are beside it.
    pub host: Host,
    /// The publisher's keys.
    pub gpg: Gpg,
    /// The fingerprint of the old key.
    pub old: String,
    /// The fingerprint of the new key.
    pub new: String,
    /// The server of the repository.
    pub server: FaultyServer,
}

/// Returns a path as text.
///
/// # Panics
///
/// Panics if the path is not in UTF-8.
pub fn utf8(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

impl Default for Rotation {
    fn default() -> Self {
        Self::new()
    }
}

impl Rotation {
    /// Publishes 1.99.1, signed with the old key.
    ///
    /// # Panics
    ///
    /// Panics if a command fails.
    pub fn new() -> Self {
        let host = Host::new();
        let gpg = Gpg::new();
        let (old, new) = (gpg.key("old"), gpg.key("new"));
        host.release("1.99.1", 100);
        let server = FaultyServer::serving(&host.sandbox.repo());
        let rotation = Self {
            host,
            gpg,
            old,
            new,
            server,
        };
        rotation.publish(&[&rotation.old]);
        rotation
    }

    /// Returns the options that sign with keys.
    pub fn signing(&self, keys: &[&str]) -> Vec<String> {
        let mut args = vec!["--gpg-homedir".to_owned(), utf8(self.gpg.home())];
        for key in keys {
            args.extend(["--gpg-sign".to_owned(), (*key).to_owned()]);
        }
        args
    }

    /// Returns a command of the publisher that signs with keys.
    pub fn publisher(&self, args: &[&str], keys: &[&str]) -> Command {
        let mut command = self.host.command(args.iter().copied());
        command.args(self.signing(keys));
        command
    }

    /// Signs everything that is not signed yet, and writes the summary.
    ///
    /// # Panics
    ///
    /// Panics if the command fails.
    pub fn publish(&self, keys: &[&str]) {
        run(&mut self.publisher(&["publish"], keys)).ok();
    }

    /// Composes a version that is signed with keys.
    ///
    /// # Panics
    ///
    /// Panics if a command fails.
    pub fn release(&self, version: &str, seconds: u64, keys: &[&str]) {
        self.host.release(version, seconds);
        let refs = self.host.sandbox.refs();
        let refs = refs.iter().map(String::as_str);
        let is_new = |name: &&str| name.ends_with(version) || name.ends_with("/1.99");
        let args: Vec<&str> = ["sign"].into_iter().chain(refs.filter(is_new)).collect();
        run(&mut self.publisher(&args, keys)).ok();
        self.publish(keys);
    }

    /// Writes a public key to a file, and returns its path.
    pub fn public(&self, key: &str) -> PathBuf {
        self.gpg.export(key)
    }

    /// Makes a statement at a time in seconds since 1970, by default now.
    pub fn transition(&self, args: &[&str], keys: &[&str], time: Option<u64>) -> Output {
        let url = self.server.url();
        let all = [&["key", "transition"], args, &["--url", &url]].concat();
        let mut command = self.publisher(&all, keys);
        if let Some(time) = time {
            command.env("SOURCE_DATE_EPOCH", time.to_string());
        }
        run(&mut command)
    }

    /// Introduces the new key with the old one.
    ///
    /// # Panics
    ///
    /// Panics if the command fails.
    pub fn introduce(&self) -> Output {
        let (old, new) = (utf8(&self.public(&self.old)), utf8(&self.public(&self.new)));
        self.transition(&[&old, &new], &[&self.old, &self.new], None)
            .ok()
    }

    /// Returns a command of a host, whose root is this directory.
    pub fn client(&self, root: &str, args: &[&str]) -> Command {
        let mut command = self.host.command(args.iter().copied());
        command.env_remove("OSTREE_REPO");
        command.env("OSTREE_GO_ROOT", self.host.sandbox.path(root));
        command
    }

    /// Runs a command on a host.
    pub fn on(&self, root: &str, args: &[&str]) -> Output {
        run(&mut self.client(root, args))
    }

    /// Adds the remote `acme` with the old key to a host.
    ///
    /// # Panics
    ///
    /// Panics if the command fails.
    pub fn join(&self, root: &str, options: &[&str]) {
        let (url, key) = (self.server.url(), utf8(&self.public(&self.old)));
        let add = ["remote", "add", "acme", &url, "--gpg-import", &key];
        self.on(root, &[&add, options].concat()).ok();
    }

    /// Returns the fingerprints of the GPG keys that a host trusts.
    ///
    /// # Panics
    ///
    /// Panics if the command fails.
    pub fn keys(&self, root: &str) -> Vec<String> {
        let out = self
            .on(root, &["remote", "show-keys", "acme", "--format", "json"])
            .ok();
        let said: Value = serde_json::from_str(&out.stdout).expect("JSON");
        let keys = said["keys"].as_array().expect("keys").iter();
        keys.map(|key| {
            key["fingerprint"]
                .as_str()
                .expect("a fingerprint")
                .to_owned()
        })
        .collect()
    }

    /// Returns the path of the file with the statements.
    pub fn file(&self) -> PathBuf {
        self.host.sandbox.repo().join(FILE)
    }

    /// Returns the statements in the file.
    ///
    /// # Panics
    ///
    /// Panics if there are none.
    pub fn statements(&self) -> Vec<Value> {
        let bytes = fs::read(self.file()).expect("a file with statements");
        let file: Value = serde_json::from_slice(&bytes).expect("JSON");
        let statements = file["transitions"].as_array();
        statements.expect("a list of statements").clone()
    }

    /// Replaces the statements in the file.
    ///
    /// # Panics
    ///
    /// Panics if the file cannot be written.
    pub fn write(&self, statements: &[Value]) {
        let file = serde_json::json!({ "transitions": statements });
        fs::write(self.file(), file.to_string()).expect("a new file");
    }
}

/// Returns the sequence number of a statement.
///
/// # Panics
///
/// Panics if it has none.
pub fn sequence(statement: &Value) -> u64 {
    let text = statement["statement"].as_str().expect("a text");
    let statement: Value = serde_json::from_str(text).expect("JSON");
    statement["sequence"].as_u64().expect("a number")
}
