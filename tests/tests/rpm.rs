//! RPMs as a source: what rpmbuild makes gives the commit that the SDK's folder gives.

use ostree_go_sdk::Arch;
use ostree_go_tests::bench::{Bench, source};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::rpm::{Golang, Rpms, run, sign};
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::toy::Toy;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const TOY: &str = "1.99.1";

/// The packages of a toy.
fn toy(bench: &Bench, arch: Arch, golang: Golang) -> Option<Rpms> {
    let dir = bench.path(&format!("toy-{arch}"));
    if !dir.exists() {
        Toy::new(arch).dir(&dir);
    }
    golang.build(&dir, &bench.path(&format!("rpms-{arch}")))
}

/// What the folders of the toys give.
fn expected(bench: &Bench, arches: &[Arch]) -> Vec<String> {
    let names: Vec<&str> = arches.iter().map(|arch| arch.basearch()).collect();
    let folder = source(&bench.path("toy-${basearch}"));
    bench.treefile(TOY, &format!("arches: [{}]\n{folder}", names.join(", ")));
    bench.compose(["--repo=expected"])
}

fn x86(lines: &str) -> String {
    format!("arches: [x86_64]\n{lines}")
}

#[test]
fn packages_give_the_commits_of_the_folder() {
    let bench = Bench::new();
    for payload in ["w6.gzdio", "w2.xzdio", "w19.zstdio", "w.ufdio"] {
        let mut sources = String::from("source:");
        for arch in Arch::ALL {
            let Some(rpms) = toy(&bench, arch, Golang::new(TOY, arch).payload(payload)) else {
                return;
            };
            let list = rpms.source("").replace("source: ", "");
            sources += &format!("\n  {arch}: {list}");
        }
        let expected = expected(&bench, &Arch::ALL);
        bench.treefile(TOY, &sources);
        let _ = fs::remove_dir_all(bench.repo());
        assert_eq!(bench.compose([]), expected, "{payload}");
        bench.fsck();
        let again = bench.run(["compose", "go.yaml"]).ok();
        assert!(again.stderr.contains("nothing changed"), "{}", again.stderr);
    }
}

#[test]
fn links_that_fedora_makes_are_followed() {
    let bench = Bench::new();
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
    let dir = bench.path("toy-x86_64");
    Toy::new(Arch::X86_64).dir(&dir);
    let dest = bench.path("rpms");
    let golang = golang.files("/usr/share/golang/lib", "/usr/bin/gofmt");
    let Some(rpms) = golang.build(&dir, &dest) else {
        return;
    };
    bench.treefile(TOY, &x86(&rpms.source("")));
    let found = bench.compose([]);
    let with_links = Toy::new(Arch::X86_64)
        .with_symlink("bin/linux_amd64/go", "../go")
        .with("bin/gofmt2", fs::read(dir.join("bin/gofmt")).unwrap());
    with_links.dir(&bench.path("links"));
    bench.treefile(TOY, &x86(&source(&bench.path("links"))));
    assert_eq!(found, bench.compose(["--repo=expected"]));
}

#[test]
fn signatures_are_checked_as_rpm_checks_them() {
    let bench = Bench::new();
    let Some(rpms) = toy(&bench, Arch::X86_64, Golang::new(TOY, Arch::X86_64)) else {
        return;
    };
    let gpg = Gpg::new();
    let key = gpg.key("vendor");
    let public = bench.path("RPM-GPG-KEY-vendor");
    fs::copy(gpg.export(&key), &public).unwrap();
    for rpm in [&rpms.golang, &rpms.bin, &rpms.src] {
        sign(rpm, gpg.home(), &key);
        // The real rpm agrees that this is a signed package.
        let db = bench.path("rpmdb");
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
    bench.treefile(TOY, &x86(&rpms.source(", gpgkey: [RPM-GPG-KEY-vendor]")));
    assert_eq!(bench.compose([]), expected(&bench, &[Arch::X86_64]));
    let other = Gpg::new();
    let other_key = other.key("other");
    fs::copy(other.export(&other_key), bench.path("other.asc")).unwrap();
    let both = ", gpgkey: [other.asc, RPM-GPG-KEY-vendor]";
    bench.treefile(TOY, &x86(&rpms.source(both)));
    bench.compose(["--repo=both"]);
}

#[test]
fn packages_are_downloaded_and_pinned() {
    let Some(nginx) = Nginx::start() else { return };
    let bench = Bench::new();
    let Some(rpms) = toy(&bench, Arch::X86_64, Golang::new(TOY, Arch::X86_64)) else {
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
    bench.treefile(TOY, &x86(&lines));
    let commits = bench.compose(["--cachedir=cache"]);
    assert_eq!(commits, expected(&bench, &[Arch::X86_64]));
    let out = bench
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
    bench.treefile(TOY, &x86(&lines));
    assert_eq!(
        bench.compose(["--cachedir=cache", "--repo=pinned"]),
        commits
    );
    drop(nginx);
    assert_eq!(
        bench.compose(["--cachedir=nothing", "--repo=pinned"]),
        commits
    );
}

/// Go 1.26.5 as packages.
#[test]
fn the_real_sdk_gives_its_commit() {
    for (arch, payload) in [(Arch::X86_64, "w1.zstdio"), (Arch::Aarch64, "w0.xzdio")] {
        let Some(real) = sdk("1.26.5", arch) else {
            return;
        };
        let bench = Bench::new();
        let golang = Golang::new(&real.version, arch).payload(payload);
        let Some(rpms) = golang.build(&real.dir, &bench.path("rpms")) else {
            return;
        };
        let lines = |source: &str| format!("arches: [{arch}]\n{source}");
        bench.treefile(&real.version, &lines(&source(&real.dir)));
        let expected = bench.compose([]);
        let pin = format!("\npin: {{ {arch}: {{ h1: \"{}\" }} }}", real.h1);
        let pin = if real.complete { &*pin } else { "" };
        bench.treefile(&real.version, &lines(&(rpms.source("") + pin)));
        assert_eq!(bench.compose(["--repo=from-rpms"]), expected);
        go_runs(&bench, arch);
    }
}

fn go_runs(bench: &Bench, arch: Arch) {
    if arch.basearch() != std::env::consts::ARCH {
        return;
    }
    let name = format!("go-sdk/{arch}/1.26.5");
    let tree = bench.checkout(&name, "tree");
    let version = run(Command::new(Path::new(&tree).join("usr/bin/go")).arg("version"));
    assert!(version.contains("go1.26.5"), "{version}");
}
