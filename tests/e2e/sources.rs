//! Sources that are downloaded from a real web server.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::Output;
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::toy::Toy;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const X86: &str = "go-sdk/x86_64/1.99.1";
const MODULE: &str = "golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-amd64.zip";

fn sha256(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a treefile for x86_64 with these sources, and a cache in the sandbox directory.
fn treefile(sandbox: &Sandbox, sources: &str) {
    sandbox.treefile("1.99.1", &format!("arches: [x86_64]\nsource: [{sources}]"));
}

fn compose(sandbox: &Sandbox, args: &[&str], goproxy: &str) -> Output {
    // The checksum database has no toys.
    let common = ["compose", "go.yaml", "--cachedir=cache", "-v", "--no-sumdb"];
    let mut command = sandbox.ostree_go(common.into_iter().chain(args.iter().copied()));
    ostree_go_tests::cli::run(command.env("GOPROXY", goproxy))
}

/// Composes, and returns the commit, which is the same for every source of the toy SDK.
fn expected() -> String {
    let sandbox = Sandbox::with_toys("arches: [x86_64]");
    sandbox.compose([]).remove(0)
}

/// Returns the only file in a directory of the cache.
fn only_file(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder).unwrap();
    let file = files.next().expect("a file").unwrap().path();
    assert!(files.next().is_none());
    file
}

fn show_source(sandbox: &Sandbox) -> Value {
    let out = sandbox.run(["show", X86, "--format=json"]).ok();
    serde_json::from_str::<Value>(&out.stdout).unwrap()["source"].clone()
}

#[test]
fn an_archive_is_downloaded_from_a_url() {
    let Some(nginx) = Nginx::start() else { return };
    let file = nginx.path("some/where/toy.tar.gz");
    Toy::new(Arch::X86_64).tar_gz(&file);
    let digest = sha256(&file);
    let expected = expected();
    for url in [
        format!("{}/some/where/toy.tar.gz", nginx.url()),
        format!("file://{}", file.display()),
    ] {
        let sandbox = Sandbox::new();
        treefile(&sandbox, &format!("{{ url: \"{url}\", sha256: {digest} }}"));
        assert_eq!(compose(&sandbox, &[], "").ok().stdout.trim(), expected);
        let source = show_source(&sandbox);
        assert_eq!(source["form"], "tar.gz");
        assert_eq!(source["sha256"], digest);
        let name = if url.starts_with("file") {
            "toy.tar.gz"
        } else {
            &url
        };
        assert_eq!(source["name"], name);

        // Another digest is refused, whatever the server says.
        let other = "0".repeat(64);
        treefile(&sandbox, &format!("{{ url: \"{url}\", sha256: {other} }}"));
        let out = compose(&sandbox, &["--force-nocache"], "").exits(3);
        assert!(
            out.stderr.contains(&digest) && out.stderr.contains(&other),
            "{}",
            out.stderr
        );
    }
    let sandbox = Sandbox::new();
    treefile(
        &sandbox,
        &format!(
            "{{ url: \"{}/none.tar.gz\", sha256: {digest} }}",
            nginx.url()
        ),
    );
    let out = compose(&sandbox, &[], "").exits(1);
    assert!(out.stderr.contains("404"), "{}", out.stderr);
}

/// Returns a download index like go.dev's, for the toy SDKs of 1.99.1 and other files that do not exist.
fn index(nginx: &Nginx) {
    let mut releases = Vec::new();
    for version in ["1.99.2", "1.99.1", "1.98.9"] {
        let mut files = vec![json!({
            "filename": format!("go{version}.src.tar.gz"), "os": "", "arch": "",
            "version": format!("go{version}"), "sha256": "0".repeat(64), "size": 1, "kind": "source",
        })];
        for arch in Arch::ALL {
            let goarch = arch.goarch();
            let filename = format!("go{version}.linux-{goarch}.tar.gz");
            let path = nginx.path(&format!("dl/{filename}"));
            Toy::new(arch).version(version).tar_gz(&path);
            let size = path.metadata().unwrap().len();
            for os in ["darwin", "linux"] {
                files.push(json!({
                    "filename": filename.replace("linux", os), "os": os, "arch": goarch,
                    "version": format!("go{version}"), "sha256": sha256(&path), "size": size,
                    "kind": "archive",
                }));
            }
        }
        releases.push(json!({"version": format!("go{version}"), "stable": true, "files": files}));
    }
    fs::write(
        nginx.path("dl/index.json"),
        Value::from(releases).to_string(),
    )
    .unwrap();
}

#[test]
fn the_download_index_is_searched_by_version_and_architecture() {
    let Some(nginx) = Nginx::start() else { return };
    index(&nginx);
    let sandbox = Sandbox::new();
    let source = format!("source: [{{ index: \"{}/dl/\" }}]", nginx.url());
    sandbox.treefile("1.99.1", &source);
    let out = compose(&sandbox, &[], "").ok();
    assert_eq!(out.stdout.lines().next(), Some(expected().as_str()));
    let requests = nginx.requests();
    for name in [
        "index.json",
        "go1.99.1.linux-amd64.tar.gz",
        "go1.99.1.linux-arm64.tar.gz",
    ] {
        assert!(
            requests.contains(&format!("GET /dl/{name} 200")),
            "{requests:?}"
        );
    }
    assert!(
        !requests.iter().any(|line| line.contains("darwin")),
        "{requests:?}"
    );
    let name = format!("{}/dl/go1.99.1.linux-amd64.tar.gz", nginx.url());
    assert_eq!(show_source(&sandbox)["name"], name);

    // A version that is not there is answered with those around it.
    sandbox.treefile("1.99.3", &source);
    let out = compose(&sandbox, &[], "").exits(1);
    assert!(out.stderr.contains("1.99.1, 1.99.2"), "{}", out.stderr);
    // A file that is not what the index says is refused.
    sandbox.treefile("1.98.9", &source);
    Toy::new(Arch::X86_64).tar_gz(&nginx.path("dl/go1.98.9.linux-amd64.tar.gz"));
    compose(&sandbox, &["--arch=x86_64"], "").exits(3);
}

#[test]
fn a_module_is_downloaded_from_a_list_of_proxies() {
    let Some(nginx) = Nginx::start() else { return };
    let zip = nginx.path(&format!("proxy/{MODULE}"));
    Toy::new(Arch::X86_64).module_zip(&zip);
    nginx.path("empty/here");
    let expected = expected();
    let url = nginx.url();
    let local = zip
        .to_str()
        .unwrap()
        .strip_suffix(MODULE)
        .unwrap()
        .to_owned();
    let good = format!("{url}/proxy");
    for (goproxy, code) in [
        (format!("file://{local}"), 0),
        (good.clone(), 0),
        (format!("{url}/empty,{good}"), 0),
        (format!("file:///nonexistent,{good}"), 0),
        // A comma goes on where the module is not there, a bar after any error.
        (format!("{url}/denied,{good}"), 1),
        (format!("{url}/denied|{good}"), 0),
        (format!("{url}/empty,direct"), 1),
        (format!("{url}/empty,off,{good}"), 1),
        ("off".to_owned(), 1),
        ("direct".to_owned(), 1),
        (format!("{good},off"), 0),
    ] {
        let sandbox = Sandbox::new();
        treefile(&sandbox, "{ module: golang.org/toolchain }");
        let out = compose(&sandbox, &[], &goproxy);
        assert_eq!(out.code(), Some(code), "{goproxy}: {}", out.stderr);
        match code {
            0 => assert_eq!(out.stdout.trim(), expected, "{goproxy}"),
            _ => assert!(out.stderr.contains("error: "), "{}", out.stderr),
        }
        // The treefile's own list wins over the environment.
        let lines = format!(
            "arches: [x86_64]\nsource: [{{ module: golang.org/toolchain }}]\ngoproxy: \"{goproxy}\""
        );
        sandbox.treefile("1.99.1", &lines);
        assert_eq!(
            compose(&sandbox, &[], "off").code(),
            Some(code),
            "{goproxy}"
        );
    }
}

#[test]
fn sources_are_tried_in_order() {
    let Some(nginx) = Nginx::start() else { return };
    let file = nginx.path("toy.tar.gz");
    Toy::new(Arch::X86_64).tar_gz(&file);
    let (url, digest) = (nginx.url(), sha256(&file));
    let sandbox = Sandbox::new();
    let good = format!("{{ url: \"{url}/toy.tar.gz\", sha256: {digest} }}");
    let bad = format!("{{ url: \"{url}/none.tar.gz\", sha256: {digest} }}");
    treefile(
        &sandbox,
        &format!("{{ path: none }}, {bad}, {good}, {{ path: also-none }}"),
    );
    let out = compose(&sandbox, &[], "").ok();
    assert_eq!(out.stdout.trim(), expected());
    let notes: Vec<&str> = out
        .stderr
        .lines()
        .filter(|line| line.starts_with("note: "))
        .collect();
    assert_eq!(notes.len(), 2, "{}", out.stderr);
    assert!(
        notes[0].contains("path: ") && notes[1].contains("none.tar.gz"),
        "{notes:?}"
    );
    assert_eq!(
        nginx.requests(),
        ["GET /none.tar.gz 404", "GET /toy.tar.gz 200"]
    );

    let sandbox = Sandbox::new();
    treefile(&sandbox, &format!("{{ path: none }}, {bad}"));
    let out = compose(&sandbox, &[], "").exits(1);
    assert!(
        out.stderr.contains("path: ") && out.stderr.contains("404"),
        "{}",
        out.stderr
    );
}

#[test]
fn downloads_are_cached() {
    let Some(nginx) = Nginx::start() else { return };
    index(&nginx);
    let file = nginx.path("toy.tar.gz");
    Toy::new(Arch::X86_64).tar_gz(&file);
    Toy::new(Arch::X86_64).module_zip(&nginx.path(&format!("proxy/{MODULE}")));
    let (url, digest) = (nginx.url(), sha256(&file));
    let proxy = format!("{url}/proxy");
    let pinned = sha256(&nginx.path("dl/go1.99.1.linux-amd64.tar.gz"));
    let sources = [
        format!("source: [{{ url: \"{url}/toy.tar.gz\", sha256: {digest} }}]"),
        "source: [{ module: golang.org/toolchain }]".to_owned(),
        format!("source: [{{ index: \"{url}/dl/\" }}]\npin: {{ x86_64: {{ sha256: {pinned} }} }}"),
    ];
    let sandboxes = sources.map(|source| {
        let sandbox = Sandbox::new();
        sandbox.treefile("1.99.1", &format!("arches: [x86_64]\n{source}"));
        sandbox
    });
    let commits = || {
        sandboxes
            .iter()
            .map(|sandbox| compose(sandbox, &["--force-nocache"], &proxy).ok().stdout)
    };
    let first: Vec<String> = commits().collect();

    // What rots in the cache is noticed and fetched anew.
    for sandbox in &sandboxes {
        let cached = only_file(&sandbox.path("cache/sha256"));
        let mut bytes = fs::read(&cached).unwrap();
        bytes[100] ^= 1;
        fs::write(&cached, &bytes).unwrap();
    }
    let before = nginx.requests().len();
    assert_eq!(commits().collect::<Vec<_>>(), first);
    assert_eq!(nginx.requests().len(), before + 4, "{:?}", nginx.requests());
    for sandbox in &sandboxes {
        let cached = only_file(&sandbox.path("cache/sha256"));
        assert_eq!(
            cached.file_name().unwrap().to_str(),
            Some(sha256(&cached).as_str())
        );
    }
    // And what is whole needs no server.
    drop(nginx);
    assert_eq!(commits().collect::<Vec<_>>(), first);
}

#[test]
fn an_interrupted_download_is_resumed() {
    let Some(nginx) = Nginx::start_with("limit_rate 1m;") else {
        return;
    };
    let mut state = 1_u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    let big: Vec<u8> = (0..3_000_000).map(|_| noise()).collect();
    let file = nginx.path("toy.tar.gz");
    Toy::new(Arch::X86_64).with("src/big", big).tar_gz(&file);
    let sandbox = Sandbox::new();
    treefile(
        &sandbox,
        &format!(
            "{{ url: \"{}/toy.tar.gz\", sha256: {} }}",
            nginx.url(),
            sha256(&file)
        ),
    );
    let mut child = sandbox
        .ostree_go(["compose", "go.yaml", "--cachedir=cache"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let arrived = || {
        let files = fs::read_dir(sandbox.path("cache/partial"))
            .into_iter()
            .flatten();
        let sizes = files.map(|entry| entry.unwrap().metadata().map_or(0, |meta| meta.len()));
        sizes.max().unwrap_or(0)
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while arrived() < 500_000 {
        assert!(Instant::now() < deadline, "nothing arrives");
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(sandbox.rev(X86).is_none());
    compose(&sandbox, &[], "").ok();
    let requests = nginx.requests();
    assert!(
        requests.contains(&"GET /toy.tar.gz 206".to_owned()),
        "{requests:?}"
    );
    assert!(
        !sandbox
            .path("cache/partial")
            .read_dir()
            .unwrap()
            .any(|_| true)
    );
    sandbox.fsck();
}

#[test]
fn no_proxy_excludes_hosts() {
    let Some(nginx) = Nginx::start() else { return };
    let Some(proxy) = Nginx::start() else { return };
    let file = nginx.path("toy.tar.gz");
    Toy::new(Arch::X86_64).tar_gz(&file);
    let (url, digest) = (nginx.url(), sha256(&file));
    for (no_proxy, reached) in [
        ("", false),
        ("example.com", false),
        ("a.b, 127.0.0.1", true),
        ("*", true),
    ] {
        let sandbox = Sandbox::new();
        treefile(
            &sandbox,
            &format!("{{ url: \"{url}/toy.tar.gz\", sha256: {digest} }}"),
        );
        let mut command = sandbox.ostree_go(["compose", "go.yaml", "--cachedir=cache"]);
        let with = proxy.url().replace("://", "://me:s3cret@");
        command.env("http_proxy", with).env("NO_PROXY", no_proxy);
        let out = ostree_go_tests::cli::run(&mut command);
        assert_eq!(out.code() == Some(0), reached, "{no_proxy}: {}", out.stderr);
        assert!(!out.stderr.contains("s3cret"), "{}", out.stderr);
    }
}

#[test]
fn credentials_are_never_printed() {
    let Some(nginx) = Nginx::start() else { return };
    let file = nginx.path("toy.tar.gz");
    Toy::new(Arch::X86_64).tar_gz(&file);
    Toy::new(Arch::X86_64).module_zip(&nginx.path(&format!("proxy/{MODULE}")));
    index(&nginx);
    let digest = sha256(&file);
    let with = |path: &str| format!("{}/{path}", nginx.url().replace("://", "://me:s3cret@"));
    let url =
        |path: &str, query: &str| format!("{{ url: \"{}{query}\", sha256: {digest} }}", with(path));
    let proxy = with("proxy");
    let dead = with("denied");
    for (sources, goproxy, code) in [
        (url("toy.tar.gz", "?token=h1dden"), "off", 0),
        (url("none.tar.gz", "?token=h1dden"), "off", 1),
        (
            format!("{}, {}", url("none.tar.gz", ""), url("toy.tar.gz", "")),
            "off",
            0,
        ),
        (
            format!("{{ url: \"{}?token=h1dden\" }}", with("toy.tar.gz")),
            "off",
            1,
        ),
        (
            format!(
                "{{ url: \"{}\", sha256: {} }}",
                with("toy.tar.gz"),
                "0".repeat(64)
            ),
            "off",
            3,
        ),
        (format!("{{ index: \"{}\" }}", with("dl/")), "off", 0),
        (format!("{{ index: \"{}\" }}", with("none/")), "off", 1),
        (
            "{ module: golang.org/toolchain }".to_owned(),
            proxy.as_str(),
            0,
        ),
        (
            "{ module: golang.org/toolchain }".to_owned(),
            dead.as_str(),
            1,
        ),
        (
            "{ module: golang.org/toolchain }".to_owned(),
            "ftp://me:s3cret@x",
            1,
        ),
    ] {
        let sandbox = Sandbox::new();
        treefile(&sandbox, &sources);
        let mut seen = String::new();
        for args in [
            &["--dry-run"][..],
            &["--progress=json"],
            &["--format=json", "--force-nocache"],
        ] {
            let out = compose(&sandbox, args, goproxy);
            if args != ["--dry-run"] {
                assert_eq!(out.code(), Some(code), "{sources}: {}", out.stderr);
            }
            seen += &(out.stdout + &out.stderr);
        }
        if code == 0 {
            for args in [
                &["show", X86][..],
                &["show", X86, "--format=json"],
                &["list", "--format=json"],
            ] {
                seen += &sandbox.run(args.iter().copied()).ok().stdout;
            }
            let key = "--print-detached-metadata-key=sdk.source";
            seen += &ostree_go_tests::ostree::ostree(&sandbox.repo(), ["show", key, X86]);
            assert!(seen.contains(&nginx.url()), "{seen}");
        }
        for secret in ["s3cret", "h1dden"] {
            assert!(!seen.contains(secret), "{sources}:\n{seen}");
        }
        let found = Command::new("grep")
            .args(["-rl", "-e", "s3cret", "-e", "h1dden"])
            .arg(sandbox.repo())
            .output();
        assert!(found.unwrap().stdout.is_empty(), "{sources}");
    }
}

#[test]
fn names_in_an_archive_by_tar_may_start_with_a_dot() {
    let expected = expected();
    for files in ["./go", ".", "././go"] {
        let sandbox = Sandbox::new();
        Toy::new(Arch::X86_64).dir(&sandbox.path("tree/go"));
        let mut command = Command::new("tar");
        command.args(["-C", "tree", "-czf", "toy.tar.gz", files]);
        ostree_go_tests::cli::run(command.current_dir(sandbox.path(""))).ok();
        treefile(&sandbox, "{ path: toy.tar.gz }");
        assert_eq!(compose(&sandbox, &[], "").ok().stdout.trim(), expected);
    }
    // Without a top folder, it is no archive of an SDK.
    let sandbox = Sandbox::new();
    Toy::new(Arch::X86_64).dir(&sandbox.path("go"));
    let mut command = Command::new("tar");
    command.args(["-C", "go", "-czf", "toy.tar.gz", "."]);
    ostree_go_tests::cli::run(command.current_dir(sandbox.path(""))).ok();
    treefile(&sandbox, "{ path: toy.tar.gz }");
    compose(&sandbox, &[], "").exits(1);
}

#[test]
fn the_text_of_a_vendor_in_version_is_kept() {
    for vendor in ["(Red Hat 1.99.1-2.el10)", "X:nodwarf5"] {
        let sandbox = Sandbox::new();
        let version = format!("go1.99.1 {vendor}\ntime 2026-01-02T03:04:05Z\n");
        let toy = Toy::new(Arch::X86_64).with("VERSION", version.as_str());
        toy.tar_gz(&sandbox.path("toy.tar.gz"));
        treefile(&sandbox, "{ path: toy.tar.gz }");
        compose(&sandbox, &[], "").ok();
        assert_eq!(show_source(&sandbox)["vendor"], vendor);
        let shown = sandbox.run(["show", X86]).ok().stdout;
        assert!(
            shown.contains(&format!("\nvendor    {vendor}\n")),
            "{shown}"
        );
        let tree = sandbox.checkout(X86, "tree");
        let file = tree.join("usr/lib/sdk/go-1.99/VERSION");
        assert_eq!(fs::read_to_string(file).unwrap(), version);
    }
    let sandbox = Sandbox::with_toys("arches: [x86_64]");
    sandbox.compose([]);
    assert!(show_source(&sandbox).get("vendor").is_none());
}
