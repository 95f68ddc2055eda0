//! Fixture for pulls: a publisher, a server and a host.

use crate::cli::Output;
use crate::gpg::Gpg;
use crate::ostree;
use crate::sandbox::Sandbox;
use crate::webserver::FaultyServer;
use std::fs;
use std::path::{Path, PathBuf};

/// Ref that [`PullFixture::new`] publishes.
pub const REF: &str = "go-sdk/x86_64/1.99";

/// A publisher with a key and a repository, a server for the repository, and a host that trusts the key.
#[derive(Debug)]
pub struct PullFixture {
    /// Sandbox with the publisher's repository.
    pub publisher: Sandbox,
    /// Sandbox with the host's repository.
    pub host: Sandbox,
    /// Keys of the publisher.
    pub gpg: Gpg,
    /// Fingerprint of the current key.
    pub key: String,
    /// Server for the publisher's repository.
    pub server: FaultyServer,
}

impl Default for PullFixture {
    fn default() -> Self {
        Self::new()
    }
}

impl PullFixture {
    /// Creates a publisher with one signed commit on [`REF`], and a host that trusts the key.
    ///
    /// # Panics
    ///
    /// Panics if one of the tools fails.
    pub fn new() -> Self {
        let fixture = Self::unpublished();
        fixture.commit(REF, 1, &["--add-metadata-string=version=1.99.1"]);
        fixture.summary();
        let keys = fixture.gpg.export(&fixture.key);
        fixture
            .add_remote(&["--gpg-import", keys.to_str().expect("UTF-8")])
            .ok();
        fixture
    }

    /// Creates a publisher without commits, and a host without remotes.
    pub fn unpublished() -> Self {
        let (publisher, host, gpg) = (Sandbox::new(), Sandbox::new(), Gpg::new());
        ostree::init(&publisher.repo(), "archive");
        let key = gpg.key("publisher");
        host.run(["init", "--mode", "bare-user"]).ok();
        let server = FaultyServer::serving(&publisher.repo());
        Self {
            publisher,
            host,
            gpg,
            key,
            server,
        }
    }

    /// Adds the remote `acme` on the host.
    pub fn add_remote(&self, args: &[&str]) -> Output {
        let url = self.server.url();
        let all = [&["remote", "add", "acme", url.as_str()], args].concat();
        self.host.run(all)
    }

    /// Commits a tree with the stock command; `day` determines its timestamp and content. Returns the
    /// commit.
    pub fn commit(&self, name: &str, day: u32, args: &[&str]) -> String {
        self.commit_with(name, day, &self.key, args)
    }

    /// Works like [`PullFixture::commit`], signed by another key, or unsigned if the key is empty.
    pub fn commit_with(&self, name: &str, day: u32, key: &str, args: &[&str]) -> String {
        let tree = self.publisher.path("tree");
        let _ = fs::remove_dir_all(&tree);
        for file in 0..20 {
            let path = tree.join(format!("usr/dir{}/file{file}", file % 3));
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            // Half of the files are identical on all days.
            let salt = if file % 2 == 0 { 0 } else { day };
            fs::write(path, noise(file * 1000 + salt, 3000)).expect("a file");
        }
        let timestamp = format!("--timestamp=2026-01-{day:02} 00:00:00 +0000");
        let tree = format!("--tree=dir={}", tree.display());
        let home = format!("--gpg-homedir={}", self.gpg.home().display());
        let sign = format!("--gpg-sign={key}");
        let mut all = vec![
            "commit",
            "-b",
            name,
            &timestamp,
            &tree,
            "--canonical-permissions",
        ];
        if !key.is_empty() {
            all.extend([home.as_str(), &sign]);
        }
        all.extend(args);
        ostree::ostree(&self.publisher.repo(), all)
            .trim()
            .to_owned()
    }

    /// Updates the summary.
    pub fn summary(&self) {
        ostree::ostree(&self.publisher.repo(), ["summary", "-u"]);
    }

    /// Runs `ostree-go pull` on the host, with one retry and a short timeout.
    pub fn pull(&self, args: &[&str]) -> Output {
        let all = [&["pull", "--retries", "1", "--stall-timeout", "2"], args].concat();
        self.host.run(all)
    }

    /// Returns the commit that a ref of the remote names on the host.
    pub fn pulled(&self, name: &str) -> Option<String> {
        self.host.rev(&format!("acme:{name}"))
    }

    /// Asserts that the host has exactly these refs, and that its repository is not damaged.
    #[track_caller]
    pub fn assert_intact(&self, refs: &[&str]) {
        assert_eq!(self.host.refs(), refs);
        self.host.fsck();
    }

    /// Returns the path of an object of the commit that a ref names, selected by its file extension.
    pub fn object(&self, name: &str, ending: &str) -> String {
        let repo = self.publisher.repo();
        let commit = ostree::ostree(&repo, ["rev-parse", name]).trim().to_owned();
        if ending.starts_with("commit") {
            return object_path(&commit, ending);
        }
        let listed = ostree::ostree(&repo, ["ls", "-RCd", &commit]);
        let all = ostree::ostree(&repo, ["ls", "-RC", &commit]);
        let found = match ending {
            // `ls -C` shows the checksum of the dirtree and then that of the dirmeta.
            "dirtree" => sums(&all, 'd').first().map(|sums| sums[0].clone()),
            "dirmeta" => sums(&listed, 'd').first().map(|sums| sums[1].clone()),
            _ => sums(&all, '-').last().map(|sums| sums[0].clone()),
        };
        object_path(&found.expect("an object"), ending)
    }

    /// Generates a static delta that contains all objects.
    pub fn delta(&self, from: Option<&str>, to: &str) {
        self.delta_with(from, to, &["--min-fallback-size=0"]);
    }

    /// Generates a static delta.
    pub fn delta_with(&self, from: Option<&str>, to: &str, more: &[&str]) {
        let repo = self.publisher.repo();
        let to = format!("--to={to}");
        let mut args = vec!["static-delta", "generate", to.as_str()];
        args.extend(more);
        let from_arg = from.map(|from| format!("--from={from}"));
        match &from_arg {
            Some(from) => args.push(from),
            None => args.push("--empty"),
        }
        // The verb of `static-delta` comes before `--repo`.
        let mut command = std::process::Command::new("ostree");
        command
            .args(&args[..2])
            .arg("--repo")
            .arg(&repo)
            .args(&args[2..]);
        crate::cli::run(&mut command).ok();
        self.summary();
    }
}

/// Returns the path of an object's file on the server.
fn object_path(sum: &str, ending: &str) -> String {
    format!("/objects/{}/{}.{ending}", &sum[..2], &sum[2..])
}

fn sums(listed: &str, kind: char) -> Vec<Vec<String>> {
    let lines = listed.lines().filter(|line| line.starts_with(kind));
    lines
        .map(|line| {
            line.split_whitespace()
                .filter(|word| word.len() == 64)
                .map(str::to_owned)
                .collect()
        })
        .collect()
}

/// Returns incompressible bytes, which depend only on the seed.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) * 2 + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// Returns all files below a directory.
///
/// # Panics
///
/// Panics if the directory cannot be read.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
