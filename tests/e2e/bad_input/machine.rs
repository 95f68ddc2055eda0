//! Problems of the machine: network, permissions, full disk.

use super::{Bad, TOY, refused};
use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{ostree_go, run};
use ostree_go_tests::sandbox::source;
use ostree_go_tests::state::{State, leftovers};
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::tools;
use ostree_go_tests::toy::Toy;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Returns a port of the loopback interface on which no process listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn no_source_can_be_used() {
    let bad = Bad::new();
    let port = closed_port();
    let compose = |sources: &str, code| {
        let lines = format!("arches: [x86_64]\nsource: [{sources}]");
        bad.sandbox.treefile("1.99.2", &lines);
        bad.compose(["--cachedir", "cache"], code)
            .replace(&port.to_string(), "PORT")
    };
    let index = format!("{{ index: \"http://127.0.0.1:{port}/dl/\" }}");
    let path = format!(
        "{{ path: {} }}",
        bad.sandbox.path("missing.tar.gz").display()
    );
    assert_snapshot!(compose(&index, 75), @"
    error: cannot download http://127.0.0.1:PORT/dl/
      io: Connection refused (os error 111)
    hint: check the connection and run the command again
    ");
    assert_snapshot!(compose(&path, 1), @"
    error: cannot read [dir]/missing.tar.gz
      No such file or directory (os error 2)
    ");
    assert_snapshot!(compose(&format!("{index}, {path}"), 75), @"
    error: no source of go-sdk/x86_64/1.99.2 can be used
      cannot download http://127.0.0.1:PORT/dl/: io: Connection refused (os error 111); cannot read [dir]/missing.tar.gz: No such file or directory (os error 2)
    hint: check the connection and run the command again
    ");
    assert_snapshot!(compose(&format!("{path}, {path}"), 1), @"
    error: no source of go-sdk/x86_64/1.99.2 can be used
      cannot read [dir]/missing.tar.gz: No such file or directory (os error 2); cannot read [dir]/missing.tar.gz: No such file or directory (os error 2)
    ");
}

#[test]
fn a_proxy_that_is_off() {
    let bad = Bad::new();
    let lines = "arches: [x86_64]\nsource: [{ module: golang.org/toolchain }]";
    bad.sandbox.treefile("1.99.2", lines);
    let error = |proxy| {
        let args = ["compose", "go.yaml", "--cachedir", "cache"];
        bad.refuse(bad.sandbox.ostree_go(args).env("GOPROXY", proxy), 1)
    };
    assert_snapshot!(error("off"), @"error: golang.org/toolchain@v0.0.1-go1.99.2.linux-amd64 may not be downloaded: GOPROXY is `off`");
    assert_snapshot!(error("direct"), @"error: golang.org/toolchain@v0.0.1-go1.99.2.linux-amd64 may not be downloaded: GOPROXY is `direct`");
    assert_snapshot!(error("ftp://example.com"), @"error: GOPROXY entry `ftp://example.com` is not a proxy, expected an http, https or file URL, `direct` or `off`");
}

#[test]
fn a_repository_that_cannot_be_written() {
    if !tools::is_root() {
        return tools::skip("only root can become somebody else");
    }
    let Some(setpriv) = tools::require("setpriv") else {
        return;
    };
    let bad = Bad::new();
    fs::set_permissions(bad.sandbox.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let archive = bad.sandbox.path("new.tar.gz");
    Toy::new(Arch::X86_64).version("1.99.2").tar_gz(&archive);
    bad.treefile("1.99.2", &archive, "");
    // The binary stands where another user may not get to.
    let binary = bad.sandbox.path("ostree-go");
    fs::copy(ostree_go().get_program(), &binary).unwrap();
    let base = bad.sandbox.write(
        "base.yaml",
        &fs::read_to_string(ostree_go_tests::cli::workspace().join("treefiles/base.yaml")).unwrap(),
    );
    let text = fs::read_to_string(bad.sandbox.path("go.yaml")).unwrap();
    let shipped = text
        .lines()
        .find_map(|l| l.strip_prefix("include: "))
        .unwrap()
        .to_owned();
    bad.sandbox
        .write("go.yaml", &text.replace(&shipped, base.to_str().unwrap()));
    let nobody = |args: &[&str]| {
        let mut command = Command::new(&setpriv);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
            .arg(&binary)
            .args(args)
            .current_dir(bad.sandbox.path(""));
        command
            .env("OSTREE_REPO", bad.sandbox.repo())
            .env("HOME", "/nonexistent");
        command
    };
    assert_snapshot!(bad.refuse(&mut nobody(&["compose", "go.yaml"]), 1), @"
    error: cannot lock [dir]/repo/.ostree-go.lock
      Permission denied (os error 13)
    hint: check the owner and mode of the path, and the mount options
    ");
    assert_snapshot!(bad.refuse(&mut nobody(&["compose", "go.yaml", "--repo", "new/repo"]), 1), @"
    error: cannot make directory new/repo
      Permission denied (os error 13)
    hint: check the owner and mode of the path, and the mount options
    ");
    // What can be read can be looked at.
    run(&mut nobody(&["list"])).ok();
    fs::set_permissions(bad.sandbox.repo(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_snapshot!(bad.refuse(&mut nobody(&["list"]), 1), @"
    error: cannot read [dir]/repo/config
      Permission denied (os error 13)
    hint: check the owner and mode of the path, and the mount options
    ");
}

#[test]
fn a_full_disk() {
    let Some(disk) = Tmpfs::mount(4 << 20) else {
        return;
    };
    let bad = Bad::new();
    let repo = disk.path().join("repo");
    let compose = |version: &str, ballast: usize| {
        let archive = bad.sandbox.path("big.tar.gz");
        let toy = Toy::new(Arch::X86_64).version(version);
        // Not to be compressed: an archive repository does.
        let mut noise = vec![0; ballast];
        let mut state = 1_u64;
        for byte in &mut noise {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state.to_le_bytes()[0];
        }
        toy.with("src/noise", noise).tar_gz(&archive);
        bad.treefile(version, &archive, "");
        let mut command = bad.sandbox.ostree_go(["compose", "go.yaml"]);
        run(command.env("OSTREE_REPO", &repo))
    };
    compose(TOY, 1000).ok();
    let before = State::of(&repo);
    let said = refused(compose("1.99.2", 8 << 20), 75);
    let said = said.replace(disk.path().to_str().unwrap(), "[disk]");
    assert_snapshot!(without_free(&said), @"
    error: cannot write object [sha256] in repository [disk]/repo: it needs 8392704 bytes, and [free] are left beside the 125829 that `min-free-space` keeps free
    hint: free space on the file system and run the command again
    ");
    State::of(&repo).assert_is(&before);

    // Not a byte left: not even a transaction can begin, and nothing breaks.
    let filler = disk.fill();
    let said = refused(compose("1.99.2", 1000), 75);
    let said = said.replace(disk.path().to_str().unwrap(), "[disk]");
    assert_snapshot!(said, @"
    error: cannot write object [sha256] in repository [disk]/repo: it needs 4096 bytes, and 0 are left beside the 125829 that `min-free-space` keeps free
    hint: free space on the file system and run the command again
    ");
    assert_refs(&repo, &before);

    fs::remove_file(filler).unwrap();
    compose("1.99.2", 1000).ok();
    assert_eq!(leftovers(&repo), [""; 0]);
    let after = State::of(&repo);
    assert!(after.refs().len() > before.refs().len());
}

/// The disk usage of a repository depends on the file system.
fn without_free(said: &str) -> String {
    let (before, rest) = said.split_once("bytes, and ").expect("what it needs");
    let (free, after) = rest.split_once(" are left").expect("what is left");
    free.parse::<u64>().expect("a number");
    format!("{before}bytes, and [free] are left{after}")
}

#[track_caller]
fn assert_refs(repo: &Path, before: &State) {
    assert_eq!(State::of(repo).refs(), before.refs());
}

#[test]
fn a_disk_without_space_for_a_repository() {
    let Some(disk) = Tmpfs::mount(64 << 10) else {
        return;
    };
    let bad = Bad::without_repo();
    bad.sandbox
        .treefile(TOY, &source(&bad.sandbox.path("${basearch}.tar.gz")));
    disk.fill();
    let mut command = bad.sandbox.ostree_go(["compose", "go.yaml"]);
    let out = run(command.env("OSTREE_REPO", disk.path().join("repo")));
    let said = refused(out, 75).replace(disk.path().to_str().unwrap(), "[disk]");
    assert_snapshot!(said, @"
    error: cannot make the folders in repository [disk]/repo
      Creating repo: fallocate: No space left on device
    hint: free space on the file system and run the command again
    ");
}
