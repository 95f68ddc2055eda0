//! Installation from a repository on this machine, of every mode, and from a damaged one.

use ostree_go_tests::host::Host;
use ostree_go_tests::ostree::ostree;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const CHANNEL: &str = "go-sdk/x86_64/1.99";

/// Installs from a repository into a new root of the host.
fn install(host: &Host, repo: &Path) -> (Command, PathBuf) {
    let root = host.sandbox.path("other-root");
    let _ = fs::remove_dir_all(&root);
    let repo = repo.to_str().unwrap();
    let mut command = host.command(["install", CHANNEL, "--from-repo", repo]);
    command.env("OSTREE_GO_ROOT", &root);
    (command, root)
}

fn file_object(repo: &Path, path: &str) -> PathBuf {
    let listed = ostree(repo, ["ls", "-C", CHANNEL, path]);
    let id = listed
        .split_whitespace()
        .find(|word| word.len() == 64)
        .expect("a checksum");
    let object = |extension| repo.join(format!("objects/{}/{}.{extension}", &id[..2], &id[2..]));
    let archived = object("filez");
    match archived.exists() {
        true => archived,
        false => object("file"),
    }
}

#[test]
fn a_repository_of_any_mode_is_copied() {
    let host = Host::new();
    host.release("1.99.1", 100);
    let archive = host.sandbox.repo();
    let commit = ostree(&archive, ["rev-parse", CHANNEL]);
    // Only root can write files of another owner.
    let is_root = host.sandbox.repo().metadata().unwrap().uid() == 0;
    let modes = ["archive", "bare-user", "bare-user-only", "bare"];
    for mode in modes.into_iter().filter(|mode| is_root || *mode != "bare") {
        let repo = host.sandbox.path(mode);
        fs::create_dir(&repo).unwrap();
        ostree(&repo, ["init", "--mode", mode]);
        ostree(&repo, ["pull-local", archive.to_str().unwrap(), CHANNEL]);
        let (mut command, root) = install(&host, &repo);
        let out = ostree_go_tests::cli::run(&mut command).ok();
        assert_eq!(
            out.stderr, "go 1.99.1 is installed and active (unsigned)\n",
            "{mode}"
        );
        let copy = root.join("repo");
        ostree(&copy, ["fsck", "--quiet"]);
        assert!(ostree(&copy, ["refs", "--list"]).contains("deployment"));
        ostree(&copy, ["show", commit.trim()]);
        // The same form, and so the same file.
        let license = "usr/lib/sdk/go-1.99/LICENSE";
        let [ours, theirs] = [
            root.join("current").join(license),
            file_object(&repo, &format!("/{license}")),
        ]
        .map(|path| path.metadata().unwrap().ino());
        assert_eq!(ours == theirs, mode == "bare-user", "{mode}");
    }
}

#[test]
fn a_damaged_repository_is_refused() {
    let host = Host::new();
    host.release("1.99.1", 100);
    let repo = host.sandbox.repo();
    let license = file_object(&repo, "/usr/lib/sdk/go-1.99/LICENSE");
    let other = file_object(&repo, "/usr/lib/sdk/go-1.99/go.env");
    let listed = ostree(&repo, ["ls", "-d", "-C", CHANNEL, "/usr/lib"]);
    let id = listed
        .split_whitespace()
        .find(|word| word.len() == 64)
        .expect("a checksum");
    let directory = repo.join(format!("objects/{}/{}.dirtree", &id[..2], &id[2..]));
    let refused = |path: &Path, bytes: Option<Vec<u8>>, expected: &str| {
        let good = fs::read(path).unwrap();
        match bytes {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let (mut command, root) = install(&host, &repo);
        let out = ostree_go_tests::cli::run(&mut command).exits(1);
        assert!(out.stderr.contains(expected), "{}", out.stderr);
        assert!(
            out.stderr.contains("nothing was deployed"),
            "{}",
            out.stderr
        );
        ostree(&root.join("repo"), ["fsck", "--quiet"]);
        assert!(!root.join("current").exists());
        fs::write(path, good).unwrap();
        // The next run finds nothing that is in its way.
        let repo = repo.to_str().unwrap();
        let mut command = host.command(["install", CHANNEL, "--from-repo", repo]);
        command.env("OSTREE_GO_ROOT", &root);
        ostree_go_tests::cli::run(&mut command).ok();
    };
    let swapped = fs::read(&other).unwrap();
    refused(&license, Some(swapped), " has the checksum ");
    refused(&license, Some(b"short".to_vec()), "cannot read object");
    refused(&license, None, "cannot read object");
    let mut bytes = fs::read(&directory).unwrap();
    bytes[0] ^= 1;
    refused(&directory, Some(bytes), "is not well-formed");
    refused(&directory, None, "cannot read object");
}
