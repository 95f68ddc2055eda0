//! A registry with the referrers interface of OCI 1.1, and a client that lists referrers: both from
//! `github.com/google/go-containerregistry`.

use crate::cli::run;
use crate::go_peer;
use crate::sdk::Sdk;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The folder with the sources of the program, and a number to be changed with them.
const PROGRAM: (&str, u32) = ("referrers-peer", 1);

/// A registry that keeps everything in memory; stopped when dropped.
#[derive(Debug)]
pub struct ReferrersRegistry {
    host: String,
    running: Child,
}

impl ReferrersRegistry {
    /// Starts an empty registry.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub fn start(sdk: &Sdk) -> Self {
        let mut command = Command::new(go_peer::built(sdk, PROGRAM));
        command.arg("serve");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = command.spawn().expect("the registry starts");
        let mut answer = BufReader::new(running.stdout.take().expect("a pipe"));
        let mut host = String::new();
        answer.read_line(&mut host).expect("an address");
        Self {
            host: host.trim().to_owned(),
            running,
        }
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl Drop for ReferrersRegistry {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

/// An artifact that refers to an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Referrer {
    /// The digest of its manifest.
    pub digest: String,
    /// The type of the artifact.
    pub artifact_type: String,
    /// The predicate type in the annotations of the list.
    pub predicate_type: String,
    /// The file with its content.
    pub content: PathBuf,
}

/// Lists the referrers of an image, `HOST/NAME@DIGEST`, by the interface of the registry, or by the tag if it has none, and
/// writes their contents into a folder.
///
/// # Panics
///
/// Panics if the client fails.
pub fn referrers(sdk: &Sdk, image: &str, folder: &Path) -> Vec<Referrer> {
    std::fs::create_dir_all(folder).expect("a folder");
    let mut command = Command::new(go_peer::built(sdk, PROGRAM));
    let out = run(command.arg("list").arg(image).arg(folder)).ok();
    let referrers = out.stdout.lines().map(|line| {
        let mut words = line.split(' ');
        let mut next = || words.next().expect("a word").to_owned();
        let digest = next();
        Referrer {
            content: folder.join(digest.trim_start_matches("sha256:")),
            digest,
            artifact_type: next(),
            predicate_type: next(),
        }
    });
    referrers.collect()
}
