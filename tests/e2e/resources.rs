//! A lack of threads, pipes, disk space or `gpg` is an error of its own, never a crash and never a failed verification; and
//! private files stay private.

use ostree_go_tests::cli::run;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::inject::{Effect, Fault, Injector};
use ostree_go_tests::ostree::{self, ostree};
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::toy::Toy;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A repository with the signed commit `x`, and the file with its public key.
fn signed(sandbox: &Sandbox, gpg: &Gpg) -> std::path::PathBuf {
    let key = gpg.key("publisher");
    ostree::init(&sandbox.repo(), "archive");
    fs::create_dir(sandbox.path("tree")).unwrap();
    let tree = format!("--tree=dir={}", sandbox.path("tree").display());
    ostree(&sandbox.repo(), ["commit", "-b", "x", tree.as_str()]);
    let home = gpg.home().to_str().unwrap();
    sandbox
        .run(["sign", "x", "--gpg-sign", &key, "--gpg-homedir", home])
        .ok();
    gpg.export(&key)
}

fn verify(sandbox: &Sandbox, key: &Path) -> Command {
    sandbox.ostree_go(["verify", "x", "--gpg-keys", key.to_str().unwrap()])
}

#[test]
fn a_failure_of_gnupg_is_no_failed_verification() {
    let (sandbox, gpg) = (Sandbox::new(), Gpg::new());
    let key = signed(&sandbox, &gpg);
    run(&mut verify(&sandbox, &key)).ok();
    let nowhere = sandbox.path("nowhere");
    let out = run(verify(&sandbox, &key).env("PATH", &nowhere)).exits(1);
    assert!(out.stderr.contains("cannot run `gpg`"), "{out}");
    let Some(injector) = Injector::new() else {
        return;
    };
    for (syscall, errno) in [("pipe2", "EMFILE"), ("dup2", "EIO"), ("execve", "ENOMEM")] {
        for when in 1..=3 {
            let fault = Fault::error(syscall, errno, when);
            // The first execve is strace's own.
            if syscall == "execve" && when == 1 {
                continue;
            }
            let out = run(&mut injector.with(&fault, &verify(&sandbox, &key)));
            assert!(matches!(out.code(), Some(0 | 1)), "{fault}: {out}");
            assert!(!out.stderr.contains("signed"), "{fault}: {out}");
        }
    }
}

#[test]
fn a_full_temporary_folder_is_a_full_disk() {
    let (sandbox, gpg) = (Sandbox::new(), Gpg::new());
    let key = signed(&sandbox, &gpg);
    let Some(tmpfs) = Tmpfs::mount(64 << 10) else {
        return;
    };
    tmpfs.fill();
    let out = run(verify(&sandbox, &key).env("TMPDIR", tmpfs.path())).exits(75);
    assert!(out.stderr.contains("No space left"), "{out}");
}

#[test]
fn too_few_threads_are_an_error_or_enough() {
    let Some(injector) = Injector::new() else {
        return;
    };
    let sandbox = Sandbox::with_toys("arches: [x86_64]\nchannels: [\"go-sdk/${basearch}/stable\"]");
    let limited = |args: &[&str], when| {
        let fault = Fault {
            syscall: "clone3".to_owned(),
            when,
            effect: Effect::ErrorFromThereOn("EAGAIN"),
        };
        let out = run(&mut injector.with(&fault, &sandbox.ostree_go(args.iter().copied())));
        let code = out.code();
        assert!(
            code.is_some_and(|code| code != 101),
            "{args:?} {fault}: {out}"
        );
        assert!(!out.stderr.contains("panicked"), "{args:?} {fault}: {out}");
        out
    };
    for when in 1..=3 {
        limited(&["compose", "go.yaml"], when);
    }
    sandbox.compose([]);
    let export = ["export", "oci", "go-sdk/x86_64/stable", "--output", "image"];
    for args in [&["publish"][..], &["fsck"], &export] {
        for when in 1..=2 {
            limited(args, when);
        }
    }
    sandbox.run(["publish"]).ok();
    sandbox.run(["fsck"]).ok();
}

#[test]
fn nothing_is_writable_by_others_under_an_open_umask() {
    let sandbox = Sandbox::new();
    let script = "umask 000; \"$0\" init --repo repo && \"$0\" key generate --type ed25519 --output-dir keys &&
        \"$0\" key generate --user 'A <a@b>' --output-dir gpg &&
        \"$0\" --root root remote add acme http://me:hush@127.0.0.1:9/repo --no-gpg-verify";
    let program = sandbox.ostree_go([]).get_program().to_owned();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script])
        .arg(program)
        .current_dir(sandbox.path(""));
    run(&mut shell).ok();
    let mut todo = vec![sandbox.path("")];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let mode = metadata.permissions().mode();
            assert_eq!(mode & 0o022, 0, "{:o} {}", mode, entry.path().display());
            if metadata.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    let mode = |name: &str| {
        fs::metadata(sandbox.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    for folder in ["keys", "gpg", "gpg/gnupg"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    assert_eq!(mode("keys/secret.ed25519"), 0o600);
    assert_eq!(mode("root/repo/acme.credentials"), 0o600);
}

#[test]
fn credentials_of_a_remote_are_its_owners_alone() {
    let sandbox = Sandbox::new();
    ostree::init(&sandbox.repo(), "archive");
    let url = "http://me:hush@127.0.0.1:9/repo";
    sandbox
        .run(["remote", "add", "acme", url, "--no-gpg-verify"])
        .ok();
    let config = fs::read_to_string(sandbox.repo().join("config")).unwrap();
    assert!(config.contains("http://127.0.0.1:9/repo"), "{config}");
    assert!(!config.contains("hush"), "{config}");
    let path = sandbox.repo().join("acme.credentials");
    assert_eq!(fs::read_to_string(&path).unwrap().trim(), "me:hush");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    for args in [
        &["remote", "list"][..],
        &["remote", "list", "--format", "json"],
        &["pull", "acme", "x", "--retries", "0"],
        &["pull", "acme", "x", "--retries", "0", "--format", "json"],
    ] {
        let out = sandbox.run(args.iter().copied());
        let printed = out.stdout.clone() + &out.stderr;
        assert!(!printed.contains("hush"), "{out}");
    }
    // A root, with what it knows of its remote in its state.
    let root = |args: &[&str]| {
        let mut command = sandbox.ostree_go(args.iter().copied());
        command
            .env_remove("OSTREE_REPO")
            .env("OSTREE_GO_ROOT", sandbox.path("root"));
        let out = run(&mut command);
        let printed = out.stdout.clone() + &out.stderr;
        assert!(!printed.contains("hush"), "{out}");
    };
    root(&["remote", "add", "acme", url, "--no-gpg-verify"]);
    for args in [
        &["install", "1.99", "--retries", "0"][..],
        &["install", "1.99", "--retries", "0", "--format", "json"],
        &["status"],
        &["status", "--format", "json"],
        &["remote", "list", "--format", "json"],
    ] {
        root(args);
    }
    sandbox.run(["remote", "delete", "acme"]).ok();
    assert!(!path.exists());
}

#[test]
fn messages_that_cannot_be_printed_are_no_failure() {
    let sandbox = Sandbox::with_toys("arches: [x86_64]\nchannels: [\"go-sdk/${basearch}/stable\"]");
    for (version, progress) in [("1.99.2", "auto"), ("1.99.3", "json")] {
        sandbox.treefile(version, &format!("arches: [x86_64]\n{TOY_SOURCE}"));
        let toy = Toy::new(ostree_go_sdk::Arch::X86_64).version(version);
        toy.tar_gz(&sandbox.path("toy-amd64.tar.gz"));
        let mut compose = sandbox.ostree_go(["compose", "go.yaml", "-v", "--progress", progress]);
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let status = compose.stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(0), "{progress}");
    }
}
