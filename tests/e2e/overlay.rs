//! `overlay`: the resulting tree is identical to that of the stock `ostree commit` from the same trees.

use ostree_go_sdk::{Arch, failpoint};
use ostree_go_tests::cli::run;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::os::{BASE, Os, content, stock};
use ostree_go_tests::ostree::{init, ostree, try_ostree};
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::state::State;
use ostree_go_tests::tools::is_root;
use serde_json::Value;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

const SDK: &str = "go-sdk/x86_64/1.99.1";
const NEW: &str = "os/x86_64/go";

/// Additional configuration files, which an OS keeps in `/usr/etc`.
const ETC: &str =
    "layers: { site: { add-files: [{ path: /etc/go/env.conf, content: \"A=1\\n\" }] } }";

fn sandbox(mode: &str, lines: &str) -> Sandbox {
    let sandbox = Sandbox::with_toys(lines);
    init(&sandbox.repo(), mode);
    sandbox.compose([]);
    sandbox
}

fn overlay(sandbox: &Sandbox, args: &[&str]) -> String {
    let all = ["overlay", BASE, "1.99.1", "--ref", NEW];
    let out = sandbox.run(all.iter().chain(args).copied()).ok();
    out.stdout.trim().to_owned()
}

/// Returns the output without the IDs and paths that differ between runs.
fn refused(sandbox: &Sandbox, args: &[&str]) -> String {
    let before = State::of(&sandbox.repo());
    let out = sandbox.run(["overlay"].iter().chain(args).copied());
    assert_ne!(out.code(), Some(0), "{args:?}");
    State::of(&sandbox.repo()).assert_is(&before);
    let folder = sandbox.path("").display().to_string();
    out.stderr.replace(folder.trim_end_matches('/'), "DIR")
}

/// Commit IDs depend on the trees, so messages contain only those of bases and SDKs.
macro_rules! assert_refused {
    ($text:expr, @$expected:literal) => {
        insta::with_settings!({filters => [("[0-9a-f]{64}", "COMMIT"), ("fd/[0-9]+", "FD")]}, {
            insta::assert_snapshot!($text, @$expected);
        });
    };
}

#[test]
fn the_tree_is_identical_to_the_stock_commands() {
    let modes: &[&str] = match is_root() {
        true => &["archive", "bare-user", "bare"],
        false => &["archive", "bare-user"],
    };
    let mut commits = Vec::new();
    for mode in modes {
        let sandbox = sandbox(mode, "");
        Os::new(&sandbox).commit_here();
        commits.push(overlay(&sandbox, &[]));
        sandbox.fsck();
        assert_eq!(
            content(&sandbox.repo(), NEW),
            stock(&sandbox.repo(), &[BASE, SDK]),
            "{mode}"
        );
        let listed = ostree(&sandbox.repo(), ["ls", "-RX", NEW]);
        insta::allow_duplicates!(insta::assert_snapshot!(listed, @r"
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:root_t:s0')] } /
        l00777 0 0      0 { [(b'security.selinux', b'system_u:object_r:default_t:s0')] } /bin -> usr/bin
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:bin_t:s0')] } /usr/bin
        l00777 0 0      0 { [(b'security.selinux', b'system_u:object_r:bin_link_t:s0')] } /usr/bin/go -> ../lib/sdk/go-1.99/bin/go
        l00777 0 0      0 { [(b'security.selinux', b'system_u:object_r:bin_link_t:s0')] } /usr/bin/gofmt -> ../lib/sdk/go-1.99/bin/gofmt
        -04755 0 0      3 { [(b'security.selinux', b'system_u:object_r:bin_t:s0')] } /usr/bin/sh
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_etc_t:s0')] } /usr/etc
        -00644 0 0      4 { [(b'security.selinux', b'system_u:object_r:usr_etc_t:s0')] } /usr/etc/hostname
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_etc_t:s0')] } /usr/etc/selinux
        -00644 0 0     34 { [(b'security.selinux', b'system_u:object_r:usr_etc_t:s0')] } /usr/etc/selinux/config
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_etc_t:s0')] } /usr/etc/selinux/toy
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_etc_t:s0')] } /usr/etc/selinux/toy/contexts
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_etc_t:s0')] } /usr/etc/selinux/toy/contexts/files
        -00644 0 0    392 { [(b'security.selinux', b'system_u:object_r:usr_etc_t:s0')] } /usr/etc/selinux/toy/contexts/files/file_contexts
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_etc_t:s0')] } /usr/etc/selinux/toy/policy
        -00644 0 0      9 { [(b'security.selinux', b'system_u:object_r:usr_etc_t:s0')] } /usr/etc/selinux/toy/policy/policy.33
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib
        -00644 0 0      9 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/os-release
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/modules
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/modules/6.1
        -00644 0 0      9 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/modules/6.1/vmlinuz
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99
        -00644 0 0     32 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/LICENSE
        -00644 0 0     35 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/VERSION
        -00644 0 0     81 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/go.env
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:sdk_exec_t:s0')] } /usr/lib/sdk/go-1.99/bin
        -00755 0 0     70 { [(b'security.selinux', b'system_u:object_r:sdk_exec_t:s0')] } /usr/lib/sdk/go-1.99/bin/go
        -00755 0 0     73 { [(b'security.selinux', b'system_u:object_r:sdk_exec_t:s0')] } /usr/lib/sdk/go-1.99/bin/gofmt
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/lib
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/lib/time
        -00755 0 0     12 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/lib/time/update.bash
        -00644 0 0     20 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/lib/time/zoneinfo.zip
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/lib/wasm
        -00755 0 0     10 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/lib/wasm/go_js_wasm_exec
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/pkg
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/pkg/include
        -00644 0 0     12 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/sdk/go-1.99/pkg/include/x.h
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:sdk_exec_t:s0')] } /usr/lib/sdk/go-1.99/pkg/tool
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:sdk_exec_t:s0')] } /usr/lib/sdk/go-1.99/pkg/tool/linux_amd64
        -00755 0 0     93 { [(b'security.selinux', b'system_u:object_r:sdk_exec_t:s0')] } /usr/lib/sdk/go-1.99/pkg/tool/linux_amd64/compile
        d00755 0 0      0 { @a(ayay) [] } /usr/lib/sdk/go-1.99/src
        -00644 0 0     20 { @a(ayay) [] } /usr/lib/sdk/go-1.99/src/go.mod
        -00755 0 0     20 { @a(ayay) [] } /usr/lib/sdk/go-1.99/src/make.bash
        d00755 0 0      0 { @a(ayay) [] } /usr/lib/sdk/go-1.99/src/fmt
        -00644 0 0     12 { @a(ayay) [] } /usr/lib/sdk/go-1.99/src/fmt/print.go
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/systemd
        d00755 0 0      0 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/systemd/system
        -00644 0 0      7 { [(b'security.selinux', b'system_u:object_r:usr_t:s0')] } /usr/lib/systemd/system/a\x2db.service
        "));
        // Nothing of the base is gone or other.
        let diff = ostree(&sandbox.repo(), ["diff", BASE, NEW]);
        let other: Vec<_> = diff
            .lines()
            .filter(|line| !line.starts_with("A "))
            .collect();
        assert_eq!(other, [""; 0]);
    }
    commits.dedup();
    assert_eq!(commits.len(), 1, "the same commit in every mode");
}

#[test]
fn metadata_of_the_base_is_kept_and_sdks_are_recorded() {
    let sandbox = sandbox("archive", "");
    let base = Os::new(&sandbox).commit_here();
    overlay(&sandbox, &["--no-parent"]);
    let shown = sandbox.run(["show", NEW, "--format", "json"]).ok().stdout;
    let mut shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["metadata"]["sdk.base"], base);
    let sdk = sandbox.rev(SDK).unwrap();
    let release = shown["metadata"]["sdk.releases"][0].take();
    assert_eq!(release["commit"], sdk);
    assert_eq!(release["ref"], SDK);
    let layers = release["layers"].as_object().unwrap();
    assert_eq!(
        layers.keys().collect::<Vec<_>>(),
        ["common", "site", "toolchain"]
    );
    assert_eq!(shown["kind"], "image");
    let raw = ostree(&sandbox.repo(), ["show", "--raw", NEW]);
    insta::with_settings!({filters => [("[0-9a-f]{64}", "COMMIT")]}, {
        insta::assert_snapshot!(raw, @"
        commit COMMIT
        ({'coreos-assembler.basearch': <'x86_64'>, 'io.github.sdk.lang': <'go'>, 'io.github.sdk.version': <'v1.99.1'>, 'ostree.bootable': <true>, 'ostree.linux': <'6.1'>, 'ostree.ref-binding': <['os/x86_64/go']>, 'rpmostree.rpmdb.pkglist': <[('bash', '0', '5.2', '1', 'x86_64')]>, 'sdk.base': <'COMMIT'>, 'sdk.lang': <'go'>, 'sdk.releases': <[<{'arch': <'amd64'>, 'commit': <'COMMIT'>, 'lang': <'go'>, 'layers': <{'common': <'COMMIT'>, 'site': <'COMMIT'>, 'toolchain': <'COMMIT'>}>, 'ref': <'go-sdk/x86_64/1.99.1'>, 'version': <'1.99.1'>}>]>, 'sdk.version': <'1.99.1'>, 'version': <'44.1'>}, @ay [], @a(say) [], '44.1 with Go 1.99.1', '', uint64 1767323045, [byte 0x50, 0xc9, 0x52, 0xd9, 0x9f, 0x2b, 0xa3, 0x1e, 0x9e, 0x0a, 0xd7, 0x4c, 0x01, 0xf9, 0x85, 0xe5, 0x15, 0x32, 0xb9, 0xbe, 0x50, 0xb8, 0x27, 0x60, 0xa7, 0xda, 0xa8, 0xc7, 0xf1, 0xde, 0xd7, 0xb0], [byte 0x50, 0x77, 0x38, 0x17, 0xe4, 0x51, 0x96, 0x29, 0xfb, 0x06, 0x1c, 0xb3, 0xcf, 0xe4, 0xdd, 0xae, 0x0a, 0x99, 0x6c, 0x12, 0x33, 0x6d, 0x08, 0x70, 0x42, 0x48, 0x1f, 0xbe, 0xab, 0x1a, 0x38, 0x0c])
        ");
    });
    // It is no release: nothing here promotes it, installs it or lays it over another OS.
    sandbox.run(["promote", NEW, "stable"]).exits(1);
    sandbox.run(["overlay", BASE, NEW, "--ref", "x"]).exits(1);
    let listed = sandbox.run(["list"]).ok();
    assert!(!listed.stdout.contains("os/"), "{}", listed.stdout);
}

#[test]
fn a_second_overlay_changes_nothing() {
    let sandbox = sandbox("archive", "");
    Os::new(&sandbox).commit_here();
    // A commit that goes to a file moves no ref.
    let first = overlay(&sandbox, &["--write-commitid-to=id"]);
    assert_eq!(fs::read_to_string(sandbox.path("id")).unwrap(), first);
    assert_eq!(sandbox.rev(NEW), None);
    let args = ["--touch-if-changed=touched"];
    assert_eq!(overlay(&sandbox, &args), first);
    assert_eq!(sandbox.rev(NEW).as_ref(), Some(&first));
    assert!(sandbox.path("touched").exists());
    fs::remove_file(sandbox.path("touched")).unwrap();
    let before = State::of(&sandbox.repo());
    let all = ["overlay", BASE, SDK, "--ref", NEW, "--unchanged-exit-77"];
    let out = sandbox.run(all.iter().chain(&args).copied()).exits(77);
    assert_eq!(out.stdout.trim(), first);
    assert!(!sandbox.path("touched").exists());
    State::of(&sandbox.repo()).assert_is(&before);

    // Another base is a new commit after the last one, never earlier.
    Os::new(&sandbox).file("usr/lib/new", "x\n").commit_here();
    let out = sandbox
        .run(["overlay", BASE, SDK, "--ref", NEW, "--dry-run"])
        .ok();
    insta::assert_snapshot!(out.stdout, @"os/x86_64/go: 15 files to add");
    let mut command = sandbox.ostree_go(["overlay", BASE, SDK, "--ref", NEW, "--version", "45"]);
    let out = run(command.env("SOURCE_DATE_EPOCH", "1000")).ok();
    let second = out.stdout.trim();
    let log = ostree(&sandbox.repo(), ["log", NEW]);
    assert!(log.contains(second) && log.contains(&first), "{log}");
    assert!(log.contains("Version: 45"), "{log}");
    assert_eq!(log.matches("2026-01-02 03:04:05").count(), 2, "{log}");
    // One SDK more, over what an overlay has made.
    sandbox.toys("1.98.7");
    let all = "layers: { all: { include: [VERSION, LICENSE, go.env, lib, pkg, src, bin] } }";
    let exclude = "exclude: [api, doc, misc, test]\narches: [x86_64]";
    let text = format!("version: 1.98.7\n{TOY_SOURCE}\n{exclude}\n{all}\n");
    sandbox.write("go.yaml", &text);
    sandbox.compose([]);
    sandbox
        .run(["overlay", NEW, "1.98.7", "--ref", "os/both"])
        .ok();
    let shown = sandbox
        .run(["show", "os/both", "--format=json"])
        .ok()
        .stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let versions: Vec<_> = shown["metadata"]["sdk.releases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["version"].as_str().unwrap())
        .collect();
    assert_eq!(versions, ["1.99.1", "1.98.7"]);
    assert_eq!(shown["version"], Value::Null);
    assert_eq!(
        content(&sandbox.repo(), "os/both"),
        stock(&sandbox.repo(), &[NEW, "go-sdk/x86_64/1.98.7"])
    );
}

#[test]
fn a_path_conflict_is_an_error_unless_overridden() {
    let sandbox = sandbox("archive", "");
    let os = Os::new(&sandbox);
    os.file("usr/bin/go", "#!/bin/sh\n").commit_here();
    assert_refused!(refused(&sandbox, &[BASE, SDK, "--ref", NEW]), @"
    error: SDK COMMIT and the base COMMIT both have /usr/bin/go: the contents differ
    hint: use --override to let files of the SDK replace the others
    ");
    overlay(&sandbox, &["--override"]);
    assert_eq!(
        content(&sandbox.repo(), NEW),
        stock(&sandbox.repo(), &[BASE, SDK])
    );
    sandbox.fsck();

    // What is equal but for the label is no conflict, and stays the base's.
    fs::remove_file(os.tree.join("usr/bin/go")).unwrap();
    let license = "usr/lib/sdk/go-1.99/LICENSE";
    os.file(license, "Copyright 2009 The Toy Authors.\n")
        .commit_here();
    overlay(&sandbox, &[]);
    assert_eq!(
        content(&sandbox.repo(), NEW),
        stock(&sandbox.repo(), &[BASE, SDK])
    );

    // Directories that are there keep their mode, as with rpm-ostree.
    os.mode("usr/lib/sdk", 0o700).commit_here();
    overlay(&sandbox, &[]);
    let listed = ostree(&sandbox.repo(), ["ls", "-d", NEW, "/usr/lib/sdk"]);
    assert!(listed.starts_with("d00700"), "{listed}");

    // A file never takes a directory's place, nor the other way round.
    fs::remove_file(os.tree.join(license)).unwrap();
    os.file(&format!("{license}/x"), "x\n").commit_here();
    let args = [BASE, SDK, "--ref", NEW, "--override"];
    assert_refused!(refused(&sandbox, &args), @"error: SDK COMMIT and the base COMMIT both have /usr/lib/sdk/go-1.99/LICENSE: only one is a directory");
    fs::remove_dir_all(os.tree.join("usr/lib/sdk")).unwrap();
    os.file("usr/lib/sdk", "x\n").commit_here();
    assert_refused!(refused(&sandbox, &args), @"error: SDK COMMIT and the base COMMIT both have /usr/lib/sdk: only one is a directory");
    // Two SDKs with the same links.
    fs::remove_file(os.tree.join("usr/lib/sdk")).unwrap();
    os.commit_here();
    sandbox.toys("1.98.7");
    sandbox.treefile("1.98.7", TOY_SOURCE);
    sandbox.compose([]);
    let args = [BASE, SDK, "1.98.7", "--ref", NEW];
    assert_refused!(refused(&sandbox, &args), @"
    error: SDK COMMIT and SDK COMMIT both have /usr/bin/go: the contents differ
    hint: use --override to let files of the SDK replace the others
    ");
}

#[test]
fn configuration_is_moved_to_usr_etc() {
    let sandbox = sandbox("archive", ETC);
    let os = Os::new(&sandbox);
    os.commit_here();
    overlay(&sandbox, &[]);
    let label = |name: &str| ostree(&sandbox.repo(), ["ls", "-X", name, "/usr/etc/go/env.conf"]);
    assert!(label(NEW).contains("usr_etc_t"), "{}", label(NEW));
    assert!(!ostree(&sandbox.repo(), ["ls", NEW]).contains(" /etc"));
    overlay(&sandbox, &["--selinux-labeling-epoch=1"]);
    assert!(label(NEW).contains(":etc_t"), "{}", label(NEW));
    // A tree that is no deployment's has it as it is.
    fs::rename(os.tree.join("usr/etc"), os.tree.join("etc")).unwrap();
    os.commit_here();
    overlay(&sandbox, &[]);
    ostree(&sandbox.repo(), ["ls", NEW, "/etc/go/env.conf"]);
    os.file("usr/etc/x", "x\n").commit_here();
    assert_refused!(refused(&sandbox, &[BASE, SDK, "--ref", NEW]), @"error: the base COMMIT has both /etc and /usr/etc");
    fs::remove_dir_all(os.tree.join("etc")).unwrap();
    os.commit_here();
    let both = ETC.replace(
        "add-files: [",
        "add-files: [{ path: /usr/etc/x, content: y }, ",
    );
    sandbox.treefile("1.99.1", &format!("{TOY_SOURCE}\n{both}"));
    sandbox.compose(["--replace"]);
    assert_refused!(refused(&sandbox, &[BASE, SDK, "--ref", NEW]), @"error: SDK COMMIT has both /etc and /usr/etc");
}

#[test]
fn an_os_without_a_policy_gets_unlabelled_files() {
    let sdks = sandbox("archive", "");
    for mode in ["archive", "bare-user", "bare-user-only"] {
        let sandbox = Sandbox::new();
        init(&sandbox.repo(), mode);
        let os = Os::without_policy(&sandbox);
        os.mode("usr/bin/sh", 0o755).commit_here();
        let repo = sdks.repo().display().to_string();
        let args = [BASE, SDK, "--ref", NEW, "--sdk-repo", &repo];
        let out = sandbox.run(["overlay"].iter().chain(&args).copied()).ok();
        assert!(out.stderr.contains("no SELinux policy"), "{}", out.stderr);
        assert!(out.stderr.contains("without labels"), "{}", out.stderr);
        sandbox.fsck();
        let path = "/usr/lib/sdk/go-1.99/bin/go";
        let id = |sandbox: &Sandbox, name| ostree(&sandbox.repo(), ["ls", "-C", name, path]);
        assert_eq!(id(&sandbox, NEW), id(&sdks, SDK));
        assert_eq!(
            sandbox.refs(),
            [BASE, NEW],
            "the SDK's refs stay where they are"
        );
        if mode == "bare-user-only" {
            os.file(
                "usr/etc/selinux/config",
                "SELINUX=enforcing\nSELINUXTYPE=toy\n",
            );
            os.file("usr/etc/selinux/toy/policy/policy.33", "x");
            os.file(
                "usr/etc/selinux/toy/contexts/files/file_contexts",
                "/.* a:b:c:s0\n",
            );
            fs::rename(
                os.tree.join("usr/etc/selinux/config"),
                sandbox.path("config"),
            )
            .unwrap();
            os.commit_here();
            fs::rename(
                sandbox.path("config"),
                os.tree.join("usr/etc/selinux/config"),
            )
            .unwrap();
            let tree = format!("--tree=dir={}", os.tree.display());
            let branch = format!("--branch={BASE}");
            ostree(
                &sandbox.repo(),
                [
                    "commit",
                    &tree,
                    &branch,
                    "--owner-uid=0",
                    "--owner-gid=0",
                    "--no-xattrs",
                ],
            );
            assert_refused!(refused(&sandbox, &args), @"
            error: repository DIR/repo is bare-user-only and cannot hold the SELinux labels that the policy of the base COMMIT asks for
            hint: use a repository of mode archive, bare-user or bare
            ");
        }
    }
}

#[test]
fn a_kill_at_any_point_leaves_a_consistent_ref() {
    let points = failpoint::OVERLAY_NAMES.iter().copied();
    for point in points.chain(["transaction.objects-moved", "transaction.ref-moved"]) {
        let sandbox = sandbox("archive", "");
        Os::new(&sandbox).commit_here();
        let mut command = sandbox.ostree_go(["overlay", BASE, SDK, "--ref", NEW]);
        let out = run(command.env("OSTREE_GO_FAILPOINT", point));
        assert_eq!(out.status.signal(), Some(9), "{point}: {}", out.stderr);
        let moved = point == "transaction.ref-moved";
        assert_eq!(sandbox.rev(NEW).is_some(), moved, "{point}");
        sandbox.fsck();
        let unchanged = ["overlay", BASE, SDK, "--ref", NEW, "--unchanged-exit-77"];
        sandbox.run(unchanged).exits(if moved { 77 } else { 0 });
        State::of(&sandbox.repo());
    }
}

#[test]
fn files_of_the_base_are_not_read() {
    let sandbox = sandbox("bare-user", "");
    Os::new(&sandbox).commit_here();
    let first = overlay(&sandbox, &["--no-parent"]);
    let find = Command::new("grep")
        .args(["-rl", "a kernel"])
        .arg(sandbox.repo().join("objects"))
        .output()
        .unwrap();
    let object = String::from_utf8(find.stdout).unwrap();
    let object = object.trim();
    fs::write(object, "damaged").unwrap();
    ostree(&sandbox.repo(), ["refs", "--delete", NEW]);
    assert_eq!(overlay(&sandbox, &["--no-parent"]), first);

    // A base that lacks an object is refused: the result would lack it as well.
    fs::remove_file(object).unwrap();
    ostree(&sandbox.repo(), ["refs", "--delete", NEW]);
    let out = sandbox.run(["overlay", BASE, SDK, "--ref", NEW]).exits(1);
    assert!(out.stderr.contains("is incomplete in repository"), "{out}");
}

#[test]
fn invalid_requests_are_refused() {
    let sandbox = sandbox("archive", "");
    let base = Os::new(&sandbox).commit_here();
    let new = ["--ref", NEW];
    let refused = |args: &[&str]| refused(&sandbox, &[args, &new].concat());
    assert_refused!(refused(&[BASE, "go-sdk/aarch64/1.99.1"]), @"
    error: commit COMMIT is for aarch64, and the base COMMIT is for x86_64
    hint: use the full ref of the SDK: go-sdk/ARCH/VERSION
    ");
    assert_refused!(refused(&[BASE, "1.99.2"]), @"
    error: no ref or commit `1.99.2` in repository DIR/repo
    hint: `ostree-go list` shows the existing refs
    ");
    assert_refused!(refused(&["os/x86_64/bas", SDK]), @"
    error: no ref or commit `os/x86_64/bas` in repository DIR/repo
    hint: did you mean `os/x86_64/base`?
    ");
    assert_refused!(refused(&[BASE, BASE]), @"
    error: commit COMMIT is neither a release, a layer of an SDK nor a std cache
    hint: `ostree-go list` shows the releases
    ");
    assert_refused!(refused(&[BASE, SDK, "--sdk-repo=none"]), @"
    error: no repository at none
    hint: create one with `ostree-go compose` or `ostree-go init --repo none`
    ");
    assert_refused!(refused(&[BASE, SDK, "--parent=none"]), @"
    error: no ref or commit `none` in repository DIR/repo
    hint: `ostree-go list` shows the existing refs
    ");
    assert_refused!(refused(&[BASE]), @"
    error: the following required arguments were not provided: <RELEASE>...
    hint: usage: ostree-go overlay --ref <NEW-REF> --repo <PATH> <BASE> <RELEASE>...
    ");
    assert_refused!(refused(&[BASE, SDK, "--selinux-labeling-epoch=2"]), @"
    error: invalid value '2' for '--selinux-labeling-epoch <EPOCH>': 2 is not in 0..=1
    hint: `--help` lists the allowed arguments
    ");

    // A pull of the commit alone.
    let partial = sandbox.path("partial");
    init(&partial, "archive");
    let url = format!("file://{}", sandbox.repo().display());
    ostree(&partial, ["remote", "add", "--no-gpg-verify", "r", &url]);
    ostree(&partial, ["pull", "--commit-metadata-only", "r", SDK]);
    ostree(&partial, ["refs", "--create", SDK, &format!("r:{SDK}")]);
    assert_refused!(refused(&[BASE, SDK, "--sdk-repo=partial"]), @"
    error: commit COMMIT is incomplete in repository partial
    hint: pull it completely, without --commit-metadata-only
    ");

    // A policy that is none.
    let os = Os::new(&sandbox);
    fs::remove_dir_all(os.tree.join("usr/etc/selinux/toy/policy")).unwrap();
    let tree = format!("--tree=dir={}", os.tree.display());
    ostree(
        &sandbox.repo(),
        ["commit", &tree, "--branch=os/bad", "--no-xattrs"],
    );
    assert_refused!(refused(&["os/bad", SDK]), @"
    error: cannot label by the SELinux policy in /usr/etc/selinux of the base COMMIT
      setting sepolicy from commit: While calculating SELinux checksum: opendir(/proc/self/FD/usr/etc/selinux/toy/policy): No such file or directory
    ");

    // A damaged file of the SDK: nothing is committed.
    let path = "/usr/lib/sdk/go-1.99/LICENSE";
    let listed = ostree(&sandbox.repo(), ["ls", "-C", SDK, path]);
    let id = listed.split(' ').find(|word| word.len() == 64).unwrap();
    let object = sandbox
        .repo()
        .join(format!("objects/{}/{}.filez", &id[..2], &id[2..]));
    let mut bytes = fs::read(&object).unwrap();
    let other = ostree(
        &sandbox.repo(),
        ["ls", "-C", SDK, "/usr/lib/sdk/go-1.99/go.env"],
    );
    let other = other.split(' ').find(|word| word.len() == 64).unwrap();
    let good = bytes.clone();
    bytes = fs::read(
        sandbox
            .repo()
            .join(format!("objects/{}/{}.filez", &other[..2], &other[2..])),
    )
    .unwrap();
    fs::write(&object, bytes).unwrap();
    let out = sandbox.run(["overlay", BASE, SDK, "--ref", NEW]).exits(1);
    let (_, error) = out.stderr.split_once('\n').unwrap();
    assert_refused!(error, @"error: /usr/lib/sdk/go-1.99/LICENSE is damaged in the repository: its object is COMMIT, expected COMMIT");
    assert_eq!(sandbox.rev(NEW), None);
    fs::write(&object, good).unwrap();
    assert_eq!(sandbox.rev(BASE).unwrap(), base);
}

#[test]
fn the_commit_is_signed_and_reported_in_json() {
    let (sandbox, gpg) = (sandbox("archive", ""), Gpg::new());
    Os::new(&sandbox).commit_here();
    let key = gpg.key("os");
    let home = gpg.home().display().to_string();
    let args = ["--gpg-sign", &key, "--gpg-homedir", &home];
    let all = ["overlay", BASE, SDK, "--ref", NEW, "--format", "json"];
    let first = sandbox.run(all).ok();
    let json: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(json["commit"], sandbox.rev(NEW).unwrap());
    assert_eq!(json["content"], content(&sandbox.repo(), NEW));
    // What is unchanged gets the signature that it lacks.
    let second = sandbox.run(all.iter().chain(&args).copied()).ok();
    let json: Value = serde_json::from_str(&second.stdout).unwrap();
    assert_eq!(json["unchanged"], true);
    let keys = gpg.export(&key).display().to_string();
    sandbox.run(["verify", NEW, "--gpg-keys", &keys]).ok();
    // A key that is not there leaves nothing.
    let out = sandbox.run(["overlay", BASE, SDK, "--ref", "os/x", "--gpg-sign", "0123"]);
    assert_eq!(out.code(), Some(1), "{}", out.stderr);
    assert!(
        !try_ostree(&sandbox.repo(), ["rev-parse", "os/x"])
            .status
            .success()
    );
}

#[test]
fn real_sdks_get_the_stock_tree_for_both_architectures() {
    let sandbox = Sandbox::new();
    if sandbox.add_real_sdks(&Arch::ALL).is_none() {
        return;
    }
    for arch in Arch::ALL {
        let base = format!("os/{arch}/base");
        let (new, release) = (format!("os/{arch}/go"), format!("go-sdk/{arch}/1.26.5"));
        Os::new(&sandbox).commit_for(arch, &sandbox.repo());
        // Without a slash it is the release for the base's machine, not for this one.
        sandbox
            .run(["overlay", &base, "1.26.5", "--ref", &new])
            .ok();
        let trees = [base.as_str(), &release];
        assert_eq!(
            content(&sandbox.repo(), &new),
            stock(&sandbox.repo(), &trees)
        );
    }
    sandbox.fsck();
}
