//! A checksum database that Go's own package `golang.org/x/mod/sumdb` serves, and its check of proofs.

use crate::cli::run;
use crate::go_peer;
use crate::sdk::Sdk;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The folder with the sources of the program, and a number to be changed with them.
const PROGRAM: (&str, u32) = ("sumdb-peer", 1);

/// The lines of `go.sum` that a database has, and the seed of its key.
#[derive(Debug)]
pub struct SumDatabase {
    folder: TempDir,
    child: Child,
    /// The URL of the database.
    pub url: String,
    /// The key, as `name+hash+base64`.
    pub key: String,
}

impl SumDatabase {
    /// Starts a database with lines of `go.sum`. Databases with the same seed have the same key. A record is added to the tree
    /// when it is looked up for the first time.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub fn start(sdk: &Sdk, seed: &str, lines: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let records = folder.path().join("records");
        fs::write(&records, lines).expect("a file with records");
        let mut command = Command::new(go_peer::built(sdk, PROGRAM));
        command.arg("serve").arg(&records).arg(seed);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the database starts");
        let mut answers = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut next = || answers.next().expect("a line").expect("text");
        Self {
            url: next(),
            key: next(),
            folder,
            child,
        }
    }

    /// Adds lines of `go.sum`.
    ///
    /// # Panics
    ///
    /// Panics if they cannot be written.
    pub fn add(&self, lines: &str) {
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .open(self.folder.path().join("records"));
        let mut file = file.expect("the file with records");
        file.write_all(lines.as_bytes()).expect("more records");
    }
}

impl Drop for SumDatabase {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Verifies a proof with Go's own packages, and returns the number of the record, the size of the tree, and the record.
///
/// # Panics
///
/// Panics if the proof is not valid.
pub fn verify_proof(sdk: &Sdk, key: &str, proof: &str) -> String {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), proof).expect("a proof");
    let mut command = Command::new(go_peer::built(sdk, PROGRAM));
    run(command.arg("verify").arg(key).arg(file.path()))
        .ok()
        .stdout
}
