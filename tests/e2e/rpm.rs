//! RPMs as a source: packages built by rpmbuild give the same commit as the SDK's directory.

use ostree_go_sdk::Arch;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::rpm::{Golang, Rpms, run, sign};
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::toy::Toy;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const TOY: &str = "1.99.1";

/// Builds the packages of a toy SDK.
fn toy(sandbox: &Sandbox, arch: Arch, golang: Golang) -> Option<Rpms> {
    let dir = sandbox.path(&format!("toy-{arch}"));
    if !dir.exists() {
        Toy::new(arch).dir(&dir);
    }
    golang.build(&dir, &sandbox.path(&format!("rpms-{arch}")))
}

/// Returns the commits from the directories of the toy SDKs.
fn expected(sandbox: &Sandbox, arches: &[Arch]) -> Vec<String> {
    let names: Vec<&str> = arches.iter().map(|arch| arch.basearch()).collect();
    let folder = source(&sandbox.path("toy-${basearch}"));
    sandbox.treefile(TOY, &format!("arches: [{}]\n{folder}", names.join(", ")));
    sandbox.compose(["--repo=expected"])
}

fn x86(lines: &str) -> String {
    format!("arches: [x86_64]\n{lines}")
}

#[test]
fn packages_give_the_same_commits_as_the_directory() {
    let sandbox = Sandbox::new();
    for payload in ["w6.gzdio", "w2.xzdio", "w19.zstdio", "w.ufdio"] {
        let mut sources = String::from("source:");
        for arch in Arch::ALL {
            let Some(rpms) = toy(&sandbox, arch, Golang::new(TOY, arch).payload(payload)) else {
                return;
            };
            let list = rpms.source("").replace("source: ", "");
            sources += &format!("\n  {arch}: {list}");
        }
        let expected = expected(&sandbox, &Arch::ALL);
        sandbox.treefile(TOY, &sources);
        let _ = fs::remove_dir_all(sandbox.repo());
        assert_eq!(sandbox.compose([]), expected, "{payload}");
        sandbox.fsck();
        let again = sandbox.run(["compose", "go.yaml"]).ok();
        assert!(again.stderr.contains("nothing changed"), "{}", again.stderr);
    }
}

#[test]
fn links_that_fedora_makes_are_followed() {
    let sandbox = Sandbox::new();
    // Absolute links, alternatives, and sources that lie elsewhere.
    let golang = Golang::new(TOY, Arch::X86_64).install(
        "mkdir -p $root/usr/share/golang
        mkdir $root/usr/lib/golang/bin/linux_amd64
        ln -s /usr/lib/golang/bin/go $root/usr/lib/golang/bin/linux_amd64/go
        ln $root/usr/lib/golang/bin/gofmt $root/usr/lib/golang/bin/gofmt2
        ln -s /etc/alternatives/gofmt $root/usr/bin/gofmt
        mv $root/usr/lib/golang/lib $root/usr/share/golang/lib
        ln -s ../../share/golang/lib $root/usr/lib/golang/lib",
    );
    let dir = sandbox.path("toy-x86_64");
    Toy::new(Arch::X86_64).dir(&dir);
    let dest = sandbox.path("rpms");
    let golang = golang.files("/usr/share/golang/lib", "/usr/bin/gofmt");
    let Some(rpms) = golang.build(&dir, &dest) else {
        return;
    };
    sandbox.treefile(TOY, &x86(&rpms.source("")));
    let found = sandbox.compose([]);
    let with_links = Toy::new(Arch::X86_64)
        .with_symlink("bin/linux_amd64/go", "../go")
        .with("bin/gofmt2", fs::read(dir.join("bin/gofmt")).unwrap());
    with_links.dir(&sandbox.path("links"));
    sandbox.treefile(TOY, &x86(&source(&sandbox.path("links"))));
    assert_eq!(found, sandbox.compose(["--repo=expected"]));
}

#[test]
fn signatures_are_verified_like_by_rpm() {
    let sandbox = Sandbox::new();
    let Some(rpms) = toy(&sandbox, Arch::X86_64, Golang::new(TOY, Arch::X86_64)) else {
        return;
    };
    let gpg = Gpg::new();
    let key = gpg.key("vendor");
    let public = sandbox.path("RPM-GPG-KEY-vendor");
    fs::copy(gpg.export(&key), &public).unwrap();
    for rpm in [&rpms.golang, &rpms.bin, &rpms.src] {
        sign(rpm, gpg.home(), &key);
        // The real rpm agrees that this is a signed package.
        let db = sandbox.path("rpmdb");
        let rpmkeys = || {
            let mut command = Command::new("rpmkeys");
            command.arg("--dbpath").arg(&db);
            command
        };
        run(rpmkeys().arg("--import").arg(&public));
        let said = run(rpmkeys().arg("-Kv").arg(rpm));
        assert!(
            said.contains("Signature, key ID") && !said.contains("NOKEY"),
            "{said}"
        );
    }
    sandbox.treefile(TOY, &x86(&rpms.source(", gpgkey: [RPM-GPG-KEY-vendor]")));
    assert_eq!(sandbox.compose([]), expected(&sandbox, &[Arch::X86_64]));
    let other = Gpg::new();
    let other_key = other.key("other");
    fs::copy(other.export(&other_key), sandbox.path("other.asc")).unwrap();
    let both = ", gpgkey: [other.asc, RPM-GPG-KEY-vendor]";
    sandbox.treefile(TOY, &x86(&rpms.source(both)));
    sandbox.compose(["--repo=both"]);
}

#[test]
fn packages_are_downloaded_and_verified_with_pins() {
    let Some(nginx) = Nginx::start() else { return };
    let sandbox = Sandbox::new();
    let Some(rpms) = toy(&sandbox, Arch::X86_64, Golang::new(TOY, Arch::X86_64)) else {
        return;
    };
    let mut list = Vec::new();
    for rpm in [&rpms.golang, &rpms.bin, &rpms.src] {
        let name = rpm.file_name().unwrap().to_str().unwrap();
        let served = nginx.path(name);
        fs::copy(rpm, &served).unwrap();
        let sha256 = run(Command::new("sha256sum").arg(rpm));
        let (sha256, _) = sha256.split_once(' ').unwrap();
        list.push(format!(
            "{{ url: \"{}/{name}\", sha256: {sha256} }}",
            nginx.url()
        ));
    }
    let lines = format!("source: [{{ rpm: [{}] }}]", list.join(", "));
    sandbox.treefile(TOY, &x86(&lines));
    let commits = sandbox.compose(["--cachedir=cache"]);
    assert_eq!(commits, expected(&sandbox, &[Arch::X86_64]));
    let out = sandbox
        .run(["show", "go-sdk/x86_64/1.99.1", "--format=json"])
        .ok();
    let shown: Value = serde_json::from_str(&out.stdout).unwrap();
    let form = &shown["source"]["form"];
    assert_eq!(form, "rpm", "{}", shown["source"]);
    let h1 = shown["h1"]
        .as_str()
        .or(shown["metadata"]["sdk.h1"].as_str());
    let h1 = h1.expect("an h1").to_owned();
    // With the content pinned, nothing has to say what a URL holds, and nothing is fetched.
    let urls: Vec<String> = list
        .iter()
        .map(|file| file.split(',').next().unwrap().replace("{ url: ", ""))
        .collect();
    let lines = format!(
        "source: [{{ rpm: [{}] }}]\npin: {{ x86_64: {{ h1: \"{h1}\" }} }}",
        urls.join(", ")
    );
    sandbox.treefile(TOY, &x86(&lines));
    assert_eq!(
        sandbox.compose(["--cachedir=cache", "--repo=pinned"]),
        commits
    );
    drop(nginx);
    assert_eq!(
        sandbox.compose(["--cachedir=nothing", "--repo=pinned"]),
        commits
    );
}

/// Builds packages of Go 1.26.5.
#[test]
fn the_real_sdk_gives_its_commit() {
    for (arch, payload) in [(Arch::X86_64, "w1.zstdio"), (Arch::Aarch64, "w0.xzdio")] {
        let Some(real) = sdk("1.26.5", arch) else {
            return;
        };
        let sandbox = Sandbox::new();
        let golang = Golang::new(&real.version, arch).payload(payload);
        let Some(rpms) = golang.build(&real.dir, &sandbox.path("rpms")) else {
            return;
        };
        let lines = |source: &str| format!("arches: [{arch}]\n{source}");
        sandbox.treefile(&real.version, &lines(&source(&real.dir)));
        let expected = sandbox.compose([]);
        let pin = format!("\npin: {{ {arch}: {{ h1: \"{}\" }} }}", real.h1);
        let pin = if real.complete { &*pin } else { "" };
        sandbox.treefile(&real.version, &lines(&(rpms.source("") + pin)));
        assert_eq!(sandbox.compose(["--repo=from-rpms"]), expected);
        go_runs(&sandbox, arch);
    }
}

fn go_runs(sandbox: &Sandbox, arch: Arch) {
    if arch.basearch() != std::env::consts::ARCH {
        return;
    }
    let name = format!("go-sdk/{arch}/1.26.5");
    let tree = sandbox.checkout(&name, "tree");
    let version = run(Command::new(Path::new(&tree).join("usr/bin/go")).arg("version"));
    assert!(version.contains("go1.26.5"), "{version}");
}
