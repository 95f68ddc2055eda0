//! Repositories for `export oci`, and functions to read the images that it writes.

use crate::cli::{Output, run};
use crate::sandbox::{Sandbox, TOY_SOURCE};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Creates a repository with toy SDKs 1.99.1 for both architectures and a channel, with a time that
/// is always the same.
pub fn sandbox(mode: &str) -> Sandbox {
    sandbox_with(mode, &[])
}

/// Creates the same repository with additional options for `compose`.
pub fn sandbox_with(mode: &str, compose: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.toys("1.99.1");
    let channels = "channels: [\"go-sdk/${basearch}/1.99\"]";
    sandbox.treefile("1.99.1", &format!("{TOY_SOURCE}\n{channels}"));
    sandbox.run(["init", "--mode", mode]).ok();
    let args = ["compose", "go.yaml"].iter().chain(compose).copied();
    run(sandbox
        .ostree_go(args)
        .env("SOURCE_DATE_EPOCH", "1800000000"))
    .ok();
    sandbox
}

/// Runs a shell script in the sandbox directory.
pub fn sh(sandbox: &Sandbox, script: &str) -> Output {
    let mut command = Command::new("sh");
    run(command.args(["-ec", script]).current_dir(sandbox.path("")))
}

/// Reads a JSON document.
pub fn document(path: &Path) -> Value {
    let bytes = fs::read(path).expect("a document");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Returns the path of a blob in a layout, given its digest.
pub fn blob(layout: &Path, digest: &Value) -> PathBuf {
    let digest = digest.as_str().expect("a digest");
    let digest = digest.strip_prefix("sha256:").expect("SHA-256");
    layout.join("blobs/sha256").join(digest)
}

/// Returns the relative path and content of every file in a directory.
pub fn all(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let inside = |file: &Path| file.strip_prefix(folder).expect("inside").to_owned();
    crate::pull_fixture::files(folder)
        .into_iter()
        .map(|file| (inside(&file), fs::read(&file).expect("a file")))
        .collect()
}

/// Replaces every checksum in a text with the same placeholder.
pub fn masked(text: &str) -> String {
    let is_hex = |c: char| c.is_ascii_hexdigit();
    let words = text.split_inclusive(|c| !is_hex(c));
    let masked = words.map(|word| match word.trim_end_matches(|c| !is_hex(c)).len() {
        64 => format!("SHA256{}", &word[64..]),
        _ => word.to_owned(),
    });
    masked.collect()
}
