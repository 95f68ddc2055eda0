//! Outputs that are not regular files, standard output, and what a killed process leaves beside an output.

use ostree_go_tests::cli::run;
use ostree_go_tests::host::read;
use ostree_go_tests::sandbox::Sandbox;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::process::{Command, Stdio};

const REF: &str = "go-sdk/x86_64/1.99.1";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_toys("");
    sandbox.compose([]);
    sandbox
}

fn fifo(sandbox: &Sandbox, name: &str) {
    let path = sandbox.path(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

/// Runs a command that writes to a FIFO, and returns what a reader of the FIFO gets.
fn read_from(sandbox: &Sandbox, name: &str, args: &[&str]) -> Vec<u8> {
    let path = sandbox.path(name);
    let from = path.clone();
    let reader = std::thread::spawn(move || fs::read(from).unwrap());
    sandbox.run(args.iter().copied()).ok();
    let found = path.symlink_metadata().unwrap();
    assert!(found.file_type().is_fifo(), "{name} is replaced");
    reader.join().unwrap()
}

#[test]
fn fifos_devices_and_links_stay_what_they_are() {
    let sandbox = sandbox();
    let sysext = ["export", "sysext", REF, "go.raw"];
    let oci = |file: &str| format!("oci-archive:{file}:x");
    sandbox.run(["export", "tar", REF, "file.tar"]).ok();
    sandbox.run(["export", "oci", REF, &oci("file.oci")]).ok();
    sandbox.run(sysext).ok();
    let image = fs::read(sandbox.path("go.raw")).unwrap();
    fs::remove_file(sandbox.path("go.raw")).unwrap();
    for name in ["pipe.tar", "pipe.oci", "go.raw"] {
        fifo(&sandbox, name);
    }
    let tar = fs::read(sandbox.path("file.tar")).unwrap();
    let written = read_from(&sandbox, "pipe.tar", &["export", "tar", REF, "pipe.tar"]);
    assert_eq!(written, tar);
    let archive = ["export", "oci", REF, &oci("pipe.oci")];
    let written = read_from(&sandbox, "pipe.oci", &archive);
    assert_eq!(written, fs::read(sandbox.path("file.oci")).unwrap());
    assert_eq!(read_from(&sandbox, "go.raw", &sysext), image);
    symlink("target.tar", sandbox.path("link.tar")).unwrap();
    sandbox.run(["export", "tar", REF, "link.tar"]).ok();
    assert!(sandbox.path("link.tar").is_symlink());
    assert_eq!(fs::read(sandbox.path("target.tar")).unwrap(), tar);
    sandbox.run(["export", "tar", REF, "/dev/null"]).ok();
    let null = fs::metadata("/dev/null").unwrap();
    assert!(null.file_type().is_char_device());
}

#[test]
fn a_hyphen_is_standard_output() {
    let sandbox = sandbox();
    sandbox
        .run(["export", "oci", REF, "oci-archive:file:x"])
        .ok();
    let mut command = sandbox.ostree_go(["export", "oci", REF, "oci-archive:-:x"]);
    command.stdout(File::create(sandbox.path("stdout")).unwrap());
    command.stderr(Stdio::null());
    assert!(command.status().unwrap().success());
    let archive = fs::read(sandbox.path("file")).unwrap();
    assert_eq!(fs::read(sandbox.path("stdout")).unwrap(), archive);

    let containerfile = ["export", "containerfile", REF, "--image", "a/b:c"];
    let text = sandbox.run(containerfile).ok().stdout;
    let named = ["export", "containerfile", REF, "-", "--image", "a/b:c"];
    assert_eq!(sandbox.run(named).ok().stdout, text);

    let commit = sandbox.rev(REF).unwrap();
    let compose = ["compose", "go.yaml", "--arch", "x86_64"];
    let to_stdout = ["--write-commitid-to", "-"];
    let all = compose.iter().chain(&to_stdout).copied();
    assert_eq!(sandbox.run(all).ok().stdout, commit);
    for (more, message) in [
        (
            &["--format", "json"][..],
            "a file and a JSON document cannot both be written to standard output",
        ),
        (
            &["--write-composejson-to", "-"],
            "two files cannot both be written to standard output",
        ),
    ] {
        let all = compose.iter().chain(&to_stdout).chain(more).copied();
        let out = sandbox.run(all).exits(2);
        assert!(
            out.stderr.contains(message) || out.stdout.contains(message),
            "{out}"
        );
    }
    let out = sandbox.run(["export", "sysext", REF, "-"]).exits(2);
    assert!(out.stderr.contains("hint: name a file"), "{out}");
    assert!(!sandbox.path("-").exists());
}

#[test]
fn what_killed_processes_left_beside_an_output_is_removed() {
    let sandbox = sandbox();
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let names = ["a.tar", "a.oci", "layout", "extension"];
    for name in names {
        fs::create_dir(sandbox.path(&format!(".{name}.{}-0", ended.id()))).unwrap();
    }
    let living = sandbox.path(".a.tar.1-0");
    fs::write(&living, "of a process that exists").unwrap();
    sandbox.run(["export", "tar", REF, "a.tar"]).ok();
    sandbox
        .run(["export", "oci", REF, "oci-archive:a.oci:x"])
        .ok();
    sandbox.run(["export", "oci", REF, "oci:layout:x"]).ok();
    sandbox.run(["export", "sysext", REF, "extension"]).ok();
    // In a layout that exists already, blobs are written beside others.
    let blob = sandbox.path("layout/blobs/sha256/.ostree-go-abcdef");
    fs::write(&blob, "").unwrap();
    sandbox.run(["export", "oci", REF, "oci:layout:y"]).ok();
    assert!(!blob.exists());
    assert_eq!(read(&living), "of a process that exists");
    let found = run(Command::new("ls").arg("-A").arg(sandbox.path(""))).stdout;
    let hidden: Vec<&str> = found.lines().filter(|name| name.starts_with('.')).collect();
    assert_eq!(hidden, [".a.tar.1-0"]);
}
