//! `export sysext`: the unpacked images are identical to a checkout by the stock command, and
//! systemd-sysext merges them in a separate mount namespace.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::host::read;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::tools;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const REF: &str = "go-sdk/x86_64/1.99.1";
const RELEASE_D: &str = "usr/lib/extension-release.d";
const FORMS: [(&str, &str); 3] = [
    ("go.raw", "squashfs"),
    ("ero.raw", "erofs"),
    ("go", "directory"),
];

fn sandbox(mode: &str, lines: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.toys("1.99.1");
    sandbox.treefile("1.99.1", &format!("{TOY_SOURCE}\n{lines}"));
    sandbox.run(["init", "--mode", mode]).ok();
    sandbox.compose([]);
    sandbox
}

fn tools_are_there() -> bool {
    ["mksquashfs", "unsquashfs", "mkfs.erofs", "fsck.erofs"]
        .iter()
        .all(|tool| tools::require(tool).is_some())
}

/// Runs the export and returns the error message.
fn export(sandbox: &Sandbox, args: &[&str]) -> Value {
    let all = [&["export", "sysext"], args, &["--format", "json"]].concat();
    serde_json::from_str(&sandbox.run(all).ok().stdout).unwrap()
}

/// Returns every path below a directory with its type, mode, time and target.
fn listing(top: &Path, format: &str) -> String {
    let out = run(Command::new("find")
        .arg(top)
        .args(["-mindepth", "1", "-printf", format]))
    .ok();
    let mut lines: Vec<&str> = out.stdout.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Unpacks an image with the tool for its format.
fn unpack(sandbox: &Sandbox, name: &str, form: &str) -> std::path::PathBuf {
    let (image, dest) = (sandbox.path(name), sandbox.path(&format!("{name}.d")));
    match form {
        "squashfs" => run(Command::new("unsquashfs")
            .args(["-quiet", "-no-progress", "-d"])
            .args([&dest, &image])),
        "erofs" => {
            let extract = format!("--extract={}", dest.display());
            run(Command::new("fsck.erofs").arg(extract).arg(&image))
        }
        _ => return image,
    }
    .ok();
    dest
}

#[test]
fn every_form_contains_the_tree_of_the_commit() {
    if !tools_are_there() {
        return;
    }
    let sandbox = sandbox("archive", "");
    let stock = sandbox.checkout(REF, "stock");
    for (name, form) in FORMS {
        let json = export(&sandbox, &[REF, name, "--form", form]);
        assert_eq!(json["form"], form);
        let tree = unpack(&sandbox, name, form);
        let extension = name.trim_end_matches(".raw");
        assert_eq!(json["name"], extension);
        let own = tree
            .join(RELEASE_D)
            .join(format!("extension-release.{extension}"));
        assert_eq!(read(&own), "ID=_any\nARCHITECTURE=x86-64\n");
        assert_eq!(json["extension_release"]["ARCHITECTURE"], "x86-64");
        let files = listing(&tree, "%y\n").lines().filter(|y| *y != "d").count();
        assert_eq!(json["files"], files);
        if form != "directory" {
            let sha256 = run(Command::new("sha256sum").arg(sandbox.path(name))).ok();
            assert_eq!(json["sha256"], sha256.stdout[..64]);
            assert_eq!(json["bytes"], sandbox.path(name).metadata().unwrap().len());
        }
        // The time of the release, everywhere; fsck.erofs of erofs-utils 1.5 gives links none.
        let times = listing(&tree, "%y %Ts\n");
        let mut times: Vec<&str> = times.lines().filter(|l| !l.starts_with('l')).collect();
        times.dedup();
        assert_eq!(times, ["d 1767323045", "f 1767323045"], "{form}");
        // But for the extension's own file, it is what the stock command checks out.
        fs::remove_dir_all(tree.join(RELEASE_D)).unwrap();
        run(Command::new("diff")
            .args(["-r", "--no-dereference"])
            .args([&stock, &tree]))
        .ok();
        let modes = "%P %y %m %l\n";
        assert_eq!(listing(&tree, modes), listing(&stock, modes), "{form}");
    }
}

#[test]
fn the_same_release_gives_the_same_bytes() {
    if !tools_are_there() {
        return;
    }
    let sandboxes = ["archive", "bare-user"].map(|mode| sandbox(mode, ""));
    let made = sandboxes.each_ref().map(|sandbox| {
        let images = FORMS.map(|(name, form)| {
            let mut command = sandbox.ostree_go(["export", "sysext", REF, name, "--form", form]);
            // What a pipeline has set changes nothing: see below.
            command.env("SOURCE_DATE_EPOCH", "1");
            run(&mut command).ok();
            match form {
                "directory" => listing(&sandbox.path(name), "%P %y %m %l %s %Ts\n").into_bytes(),
                _ => fs::read(sandbox.path(name)).unwrap(),
            }
        });
        // An image takes the place of one that is there.
        sandbox.run(["export", "sysext", REF, "go.raw"]).ok();
        assert!(fs::read(sandbox.path("go.raw")).unwrap() == images[0]);
        images
    });
    assert!(made[0] == made[1]);
}

/// Merges an extension into the `/usr` of this machine, in a separate mount namespace,
/// and runs a script there. Returns `None` after printing why the test is skipped.
fn merged(extension: &Path, script: &str, args: &[&Path]) -> Option<Output> {
    for tool in ["unshare", "systemd-sysext"] {
        tools::require(tool)?;
    }
    if !tools::is_root() {
        tools::skip("only root can merge an extension");
        return None;
    }
    // systemd-sysext mounts in a namespace of its own, and relies on `/` to hand it on.
    let before = "set -e; mount --make-rprivate /; mount --make-rshared /\n\
                  mount -t tmpfs tmpfs /run; mkdir /run/extensions; cp -a \"$0\" /run/extensions\n\
                  systemd-sysext merge 2>&1 || echo refused\n";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &format!("{before}{script}")])
        .arg(extension)
        .args(args);
    Some(run(&mut command))
}

#[test]
fn systemd_merges_every_form() {
    if !tools_are_there() {
        return;
    }
    let sandbox = sandbox("bare-user", "");
    let this = Arch::host().unwrap();
    let name = |arch: Arch| format!("go-sdk/{arch}/1.99.1");
    let stock = sandbox.checkout(&name(this), "stock");
    let script = "diff -r \"$1/usr/lib/sdk\" /usr/lib/sdk\n\
                  test -x /usr/lib/sdk/go-1.99/bin/go; readlink /usr/bin/go\n\
                  systemd-sysext unmerge; test ! -e /usr/lib/sdk";
    for (dest, form) in FORMS {
        for host in [&[][..], &["--os-release", "/etc/os-release"]] {
            let _ = fs::remove_dir_all(sandbox.path("go"));
            let name = name(this);
            let args = [&[&*name, dest, "--form", form][..], host].concat();
            export(&sandbox, &args);
            let Some(out) = merged(&sandbox.path(dest), script, &[&stock]) else {
                return;
            };
            let out = out.ok();
            assert!(
                out.stdout.contains("\n../lib/sdk/go-1.99/bin/go\n"),
                "{}",
                out.stdout
            );
        }
    }
    // Not what another host, another machine or another name is for.
    let other = Arch::ALL.into_iter().find(|arch| *arch != this).unwrap();
    let refused = |extension: &str| {
        let out = merged(&sandbox.path(extension), "test ! -e /usr/lib/sdk", &[]);
        let out = out.unwrap().ok().stdout;
        assert!(!out.contains("Merged extensions"), "{extension}: {out}");
    };
    export(&sandbox, &[&name(this), "go.raw", "--host", "someos:1"]);
    refused("go.raw");
    let id = read(Path::new("/etc/os-release"));
    let id = id
        .lines()
        .find_map(|line| line.strip_prefix("ID="))
        .unwrap();
    export(
        &sandbox,
        &[&name(this), "go.raw", "--host", &format!("{id}:0.0")],
    );
    refused("go.raw");
    export(&sandbox, &[&name(other), "go.raw"]);
    refused("go.raw");
    export(&sandbox, &[&name(this), "go.raw"]);
    fs::rename(sandbox.path("go.raw"), sandbox.path("other.raw")).unwrap();
    refused("other.raw");
}

#[test]
fn a_link_with_a_plain_name_selects_a_versioned_file() {
    if !tools_are_there() {
        return;
    }
    let sandbox = sandbox("bare-user", "");
    let name = format!("go-sdk/{}/1.99.1", Arch::host().unwrap());
    // systemd takes the name of a link, and reads its target: the same as the file under that name.
    let script = "test -x /usr/lib/sdk/go-1.99/bin/go; ls /usr/lib/extension-release.d";
    let as_go = |dest: &str, link: &str| {
        let (dest, link) = (sandbox.path(dest), sandbox.path(link));
        fs::rename(&dest, &link).unwrap();
        let out = merged(&link, script, &[]);
        fs::rename(&link, &dest).unwrap();
        out
    };
    for (dest, link, form) in [
        ("go-1.99.1.raw", "go.raw", "squashfs"),
        ("go-1.99.2.raw", "go.raw", "erofs"),
        ("go-1.99.1", "go", "directory"),
    ] {
        let json = export(&sandbox, &[&name, dest, "--form", form, "--name", "go"]);
        assert_eq!(json["name"], dest.trim_end_matches(".raw"));
        assert_eq!(json["also_named"], "go");
        for link in [link, dest] {
            let Some(out) = as_go(dest, link) else { return };
            let out = out.ok().stdout;
            assert!(out.contains("extension-release.go\n"), "{out}");
        }
        let tree = unpack(&sandbox, dest, form);
        let release = |name: &str| {
            read(
                &tree
                    .join(RELEASE_D)
                    .join(format!("extension-release.{name}")),
            )
        };
        assert_eq!(release("go"), release(dest.trim_end_matches(".raw")));
    }
    // Its own name is written once.
    let json = export(&sandbox, &[&name, "same", "--name", "same"]);
    assert!(json["also_named"].is_null());
    for bad in ["a/b", "go.raw", "..", ""] {
        let args = ["export", "sysext", &name, "bad", "--name", bad];
        let said = sandbox.run(args).exits(1).stderr;
        assert!(said.contains("expected a file name without .raw"), "{said}");
    }
}

#[test]
fn a_merged_go_runs() {
    let Some(arch) = Arch::host() else { return };
    if !tools_are_there() {
        return;
    }
    let Some(sandbox) = Sandbox::with_real_sdk(arch) else {
        return;
    };
    export(&sandbox, &["1.26.5", "go-1.26.raw"]);
    let script = "cd /; HOME=/run GOFLAGS= /usr/bin/go version; GOROOT= /usr/bin/go env GOROOT";
    let Some(out) = merged(&sandbox.path("go-1.26.raw"), script, &[]) else {
        return;
    };
    let out = out.ok().stdout;
    let goarch = arch.goarch();
    assert!(
        out.ends_with(&format!(
            "go version go1.26.5 linux/{goarch}\n/usr/lib/sdk/go-1.26\n"
        )),
        "{out}"
    );
}

#[test]
fn files_that_extensions_must_not_contain_are_refused() {
    let site = |path: &str| {
        format!("layers: {{ site: {{ add-files: [{{ path: {path}, content: x }}] }} }}")
    };
    let etc = sandbox("archive", &site("/etc/profile.d/go.sh"));
    let out = etc.run(["export", "sysext", REF, "go"]).exits(1);
    insta::with_settings!({filters => [("[0-9a-f]{64}", "COMMIT")]}, {
        insta::assert_snapshot!(out.stderr, @"
        error: /etc/profile.d/go.sh of commit COMMIT cannot be in a system extension: only /usr and /opt are merged
        hint: use --leave-out-other to omit files outside of /usr and /opt
        ");
    });
    let json = export(&etc, &[REF, "go", "--leave-out-other"]);
    assert_eq!(
        json["left_out"],
        serde_json::json!(["/etc/profile.d/go.sh"])
    );
    assert!(!etc.path("go/etc").exists() && etc.path("go/usr/bin").exists());
    let out = etc
        .run(["export", "sysext", REF, "go2", "--leave-out-other"])
        .ok();
    insta::assert_snapshot!(out.stderr, @"
    note: omitted files outside of /usr and /opt: /etc/profile.d/go.sh
    go2: 518 B, 16 files
    ");

    let release = sandbox("archive", &site("/usr/lib/os-release"));
    let out = release
        .run(["export", "sysext", REF, "go", "--leave-out-other"])
        .exits(1);
    insta::with_settings!({filters => [("[0-9a-f]{64}", "COMMIT")]}, {
        insta::assert_snapshot!(out.stderr, @"error: /usr/lib/os-release of commit COMMIT cannot be in a system extension: no extension may bring its own");
    });
    assert!(!release.path("go").exists());
}

#[test]
fn errors_name_the_invalid_input() {
    let sandbox = sandbox("archive", "");
    sandbox.write("os-release", "NAME=nothing\n");
    let layer = ostree(&sandbox.repo(), ["refs", "--list", "go-sdk/layer/site"]);
    let layer = layer.lines().next().unwrap().to_owned();
    fs::create_dir(sandbox.path("there")).unwrap();
    let said = |args: &[&str]| {
        let all = [&["export", "sysext"], args].concat();
        let err = sandbox.run(all).exits(1).stderr;
        err.replace(&sandbox.repo().display().to_string(), "REPO")
    };
    insta::with_settings!({filters => [("[0-9a-f]{64}", "COMMIT")]}, {
        insta::assert_snapshot!(said(&["go-sdk/x86_64/1.98", "go"]), @"
        error: no ref or commit `go-sdk/x86_64/1.98` in repository REPO
        hint: did you mean `go-sdk/x86_64/1.99.1`?
        ");
        insta::assert_snapshot!(said(&[&layer, "go"]), @"
        error: commit COMMIT is a layer, expected a release or a channel
        hint: `ostree-go list` shows releases and channels
        ");
        insta::assert_snapshot!(said(&[REF, "there"]), @"error: there exists already");
        insta::assert_snapshot!(said(&[REF, "go.img", "--form", "erofs"]), @"error: go.img is not a valid name for a system extension that is an image, expected one that ends in .raw");
        insta::assert_snapshot!(said(&[REF, "go.raw", "--form", "directory"]), @"error: go.raw is not a valid name for a system extension that is a directory, expected one that does not end in .raw");
        insta::assert_snapshot!(said(&[REF, "go", "--host", "Fedora Linux"]), @"error: `Fedora Linux` is not a host, expected ID or ID:VERSION_ID as in its os-release");
        insta::assert_snapshot!(said(&[REF, "go", "--os-release", "os-release"]), @"error: os-release is not a valid os-release, expected ID= and values of a-z, 0-9, `.`, `_` and `-`");
        insta::assert_snapshot!(said(&[REF, "go", "--os-release", "no-such"]), @"
        error: cannot read no-such
          No such file or directory (os error 2)
        ");
        insta::assert_snapshot!(said(&[REF, "no/such/go"]), @"
        error: cannot write no/such/go
          No such file or directory (os error 2)
        ");
    });
    for (form, tool) in [("squashfs", "mksquashfs"), ("erofs", "mkfs.erofs")] {
        let mut command = sandbox.ostree_go(["export", "sysext", REF, "go.raw", "--form", form]);
        command.env("PATH", sandbox.path("there"));
        let out = run(&mut command).exits(1);
        assert!(
            out.stderr
                .starts_with(&format!("error: cannot run `{tool}`, which is in"))
        );
        if form == "erofs" {
            insta::assert_snapshot!(out.stderr, @"
            error: cannot run `mkfs.erofs`, which is in the package erofs-utils
              No such file or directory (os error 2)
            hint: install erofs-utils
            ");
        }
    }
    let names = fs::read_dir(sandbox.path(".")).unwrap().flatten();
    let left: Vec<_> = names
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".ostree") || name.ends_with(".raw"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_full_disk_keeps_the_existing_file() {
    if !tools_are_there() {
        return;
    }
    let Some(disk) = Tmpfs::mount(1 << 20) else {
        return;
    };
    let sandbox = sandbox("archive", "");
    fs::write(disk.path().join("go.raw"), "old").unwrap();
    disk.fill();
    for (name, form) in FORMS {
        let dest = disk.path().join(name);
        let dest = dest.to_str().unwrap();
        let out = sandbox
            .run(["export", "sysext", REF, dest, "--form", form])
            .exits(75);
        if form == "squashfs" {
            let said = out.stderr.replace(dest, "GO.RAW");
            insta::assert_snapshot!(said, @"
            error: cannot write GO.RAW
              `mksquashfs` failed: Write failed because No space left on device
            hint: free space on the file system and run the command again
            ");
        }
    }
    assert_eq!(read(&disk.path().join("go.raw")), "old");
    assert_eq!(
        fs::read_dir(disk.path()).unwrap().count(),
        2,
        "with the filler"
    );
}
