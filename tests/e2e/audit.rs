//! `audit`, and the verbs that show what is known about releases: compared with `govulncheck` of the Go authors.

use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_sdk::audit::{Database, Platform, Scope, Vulnerability};
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::govulncheck::govulncheck;
use ostree_go_tests::host::Host;
use ostree_go_tests::programs::Program;
use ostree_go_tests::random::Random;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::vulndb::{self, entry, write, write_index};
use ostree_go_tests::webserver::{Fault, FaultyServer};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The versions in the download index of most tests, in any order.
const RELEASES: [&str; 6] = ["1.27.1", "1.27.0", "1.26.5", "1.26.4", "1.25.9", "1.25.8"];

/// Three vulnerabilities: one of the standard library, one of the go command, and one that only Windows has.
fn entries() -> Vec<Value> {
    let mut windows = entry(
        "GO-2026-9003",
        "stdlib",
        "os/exec",
        &[("introduced", "0"), ("fixed", "1.26.5")],
    );
    windows["affected"][0]["ecosystem_specific"]["imports"][0]["goos"] = json!(["windows"]);
    let mut withdrawn = entry("GO-2026-9004", "stdlib", "net", &[("introduced", "0")]);
    withdrawn["withdrawn"] = json!("2026-02-01T00:00:00Z");
    vec![
        entry(
            "GO-2026-9001",
            "stdlib",
            "net/http",
            &[
                ("introduced", "0"),
                ("fixed", "1.26.5"),
                ("introduced", "1.27.0-0"),
                ("fixed", "1.27.0-rc.2"),
            ],
        ),
        entry(
            "GO-2026-9002",
            "toolchain",
            "cmd/go",
            &[("introduced", "1.26.0-0"), ("fixed", "1.27.1")],
        ),
        windows,
        withdrawn,
        entry(
            "GO-2026-9005",
            "golang.org/x/net",
            "golang.org/x/net/html",
            &[("introduced", "0")],
        ),
    ]
}

/// A publisher with releases and channels in `repo`, a database in `db`, and a download index in `dl.json`.
struct Fixture {
    sandbox: Sandbox,
}

impl Fixture {
    /// Composes toy SDKs of these versions; each moves the channel of its minor version.
    fn new(versions: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        for version in versions {
            sandbox.toys(version);
            let minor = version.split('.').take(2).collect::<Vec<_>>().join(".");
            sandbox.treefile(
                version,
                &format!("{TOY_SOURCE}\nchannels: [\"go-sdk/${{basearch}}/{minor}\"]"),
            );
            sandbox.compose([]);
        }
        write(&sandbox.path("db"), &entries());
        write_index(&sandbox.path("dl.json"), &RELEASES);
        Self { sandbox }
    }

    fn run(&self, args: &str) -> Output {
        let mut command = self.sandbox.ostree_go(args.split(' '));
        command.env("XDG_CACHE_HOME", self.sandbox.path("cache"));
        run(&mut command)
    }

    #[track_caller]
    fn audit(&self, args: &str, code: i32) -> Output {
        let (db, index) = (self.sandbox.path("db"), self.sandbox.path("dl.json"));
        let sources = format!("--db {} --index {}", db.display(), index.display());
        self.run(&format!("audit {args} {sources}")).exits(code)
    }

    #[track_caller]
    fn json(&self, args: &str, code: i32) -> Value {
        let out = self.audit(&format!("{args} --format json"), code);
        serde_json::from_str(&out.stdout).unwrap()
    }

    /// Returns a text without the path of the sandbox.
    fn plain(&self, text: &str) -> String {
        text.replace(&self.sandbox.path("").display().to_string(), "/S/")
    }
}

#[test]
fn known_vulnerabilities_are_listed_with_their_fixes_and_channels() {
    let fixture = Fixture::new(&["1.26.4", "1.26.5", "1.27.1"]);
    let out = fixture.audit("go-sdk/x86_64/1.26.4", 4);
    assert_snapshot!(fixture.plain(&out.stdout), @r"
    ID            FIXED   CHANNELS   PACKAGES
    GO-2026-9001  1.26.5  1.26 1.27  net/http
        Something in net/http (CVE-2026-9001)
    GO-2026-9002  1.27.1  1.27       cmd/go
        Something in cmd/go (CVE-2026-9002)

    go 1.26.4 x86_64: known vulnerabilities: 2
    newest patch release: 1.26.5
    only on other platforms: GO-2026-9003
    database: /S/db, changed 2026-11-05T23:49:57Z
    download index: /S/dl.json
    ");
    assert_eq!(out.stderr, "");
    let out = fixture.audit("go-sdk/x86_64/1.26.4 --all-platforms", 4);
    assert!(
        out.stdout
            .contains("Something in os/exec (CVE-2026-9003) [other platforms]"),
        "{out}"
    );

    // The channel has the newest patch release, in which one vulnerability is left.
    let document = fixture.json("go-sdk/aarch64/1.26", 4);
    assert_eq!(document["version"], "1.26.5");
    assert_eq!(document["arch"], "aarch64");
    assert_eq!(document["newer"], Value::Null);
    let found = document["vulnerabilities"].as_array().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["id"], "GO-2026-9002");
    assert_eq!(found[0]["channels"], json!(["go-sdk/aarch64/1.27"]));
    assert_eq!(found[0]["url"], "https://pkg.go.dev/vuln/GO-2026-9002");

    let document = fixture.json("go-sdk/x86_64/1.27.1", 0);
    assert_eq!(document["vulnerabilities"], json!([]));
    assert_eq!(document["support"], "supported");
    assert_eq!(document["supported"], json!(["1.27", "1.26"]));
}

#[test]
fn the_end_of_support_is_a_finding_of_its_own() {
    let fixture = Fixture::new(&["1.25.9"]);
    write(&fixture.sandbox.path("db"), &[]);
    let out = fixture.audit("go-sdk/x86_64/1.25.9", 4);
    assert_snapshot!(fixture.plain(&out.stdout), @r"
    go 1.25.9 x86_64: known vulnerabilities: 0
    end of life: Go does not support the release any more, only 1.27 and 1.26
    database: /S/db, changed 2026-11-05T23:49:57Z
    download index: /S/dl.json
    ");
    write_index(
        &fixture.sandbox.path("dl.json"),
        &["1.27rc1", "1.26.0", "1.25.9"],
    );
    let document = fixture.json("go-sdk/x86_64/1.25.9", 0);
    assert_eq!(document["supported"], json!(["1.26", "1.25"]));
}

#[test]
fn variants_and_pre_releases_are_compared_as_go_does() {
    let fixture = Fixture::new(&["1.27rc1", "1.27rc2"]);
    let ids = |document: &Value| -> Vec<String> {
        let found = document["vulnerabilities"].as_array().unwrap();
        found
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = fixture.json("go-sdk/x86_64/1.27rc1", 4);
    assert_eq!(ids(&first), ["GO-2026-9001", "GO-2026-9002"]);
    assert_eq!(first["vulnerabilities"][0]["fixed"], "1.27rc2");
    assert_eq!(first["newer"], "1.27.1");
    assert_eq!(
        ids(&fixture.json("go-sdk/x86_64/1.27rc2", 4)),
        ["GO-2026-9002"]
    );

    fixture.sandbox.toys("1.26.4");
    fixture
        .sandbox
        .treefile("1.26.4", &format!("{TOY_SOURCE}\nvariant: acme1"));
    fixture.sandbox.compose([]);
    let variant = fixture.json("go-sdk/x86_64/1.26.4-acme1", 4);
    assert_eq!(ids(&variant), ["GO-2026-9001", "GO-2026-9002"]);
    assert_eq!(variant["newer"], "1.26.5");
}

/// A module that imports affected packages.
fn module(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(
        folder.join("go.mod"),
        "module example.com/program\n\ngo 1.20\n",
    )
    .unwrap();
    let main = "package main\n\nimport _ \"net/http\"\n\nfunc main() {}\n";
    fs::write(folder.join("main.go"), main).unwrap();
}

fn map(found: &[Vulnerability]) -> BTreeMap<String, String> {
    let found = found.iter();
    found
        .map(|one| (one.id.clone(), one.fixed.clone().unwrap_or_default()))
        .collect()
}

/// Returns the module `toolchain` as if it was the standard library, which is what govulncheck examines.
fn toolchain_as_stdlib(entries: &[Value]) -> Vec<Value> {
    let mut entries = entries.to_vec();
    for entry in &mut entries {
        let affected = entry["affected"].as_array_mut().unwrap();
        affected.retain(|one| one["package"]["name"] != "stdlib");
        for one in affected {
            if one["package"]["name"] == "toolchain" {
                one["package"]["name"] = json!("stdlib");
            }
        }
    }
    entries
}

/// The versions of Go with the bounds of all ranges, and their neighbours.
fn versions(entries: &[Value], most: usize) -> Vec<String> {
    let mut found = BTreeSet::new();
    for event in entries
        .iter()
        .flat_map(|entry| entry["affected"].as_array().unwrap())
        .filter(|one| {
            ["stdlib", "toolchain"]
                .iter()
                .any(|go| one["package"]["name"] == *go)
        })
        .flat_map(|one| one["ranges"].as_array().unwrap())
        .flat_map(|range| range["events"].as_array().unwrap())
    {
        for bound in event.as_object().unwrap().values() {
            let bound = bound.as_str().unwrap();
            let (numbers, pre) = bound.split_once('-').unwrap_or((bound, ""));
            let numbers: Vec<u64> = numbers.split('.').map(|n| n.parse().unwrap()).collect();
            let [1, minor, patch] = numbers[..] else {
                continue;
            };
            let rc = pre
                .strip_prefix("rc.")
                .and_then(|n| n.parse::<u64>().ok())
                .unwrap_or(1);
            found.extend([
                format!("1.{minor}.{patch}"),
                format!("1.{minor}.{}", patch.saturating_sub(1)),
                format!("1.{minor}.{}", patch + 1),
                format!("1.{minor}rc{rc}"),
                format!("1.{minor}rc{}", rc + 1),
                format!("1.{minor}beta1"),
            ]);
        }
    }
    let step = found.len().div_ceil(most).max(1);
    // Go has no release such as 1.20.0: the first one has no patch number before Go 1.21.
    let name = |version: String| match version.strip_suffix(".0") {
        Some(minor) if minor[2..].parse::<u64>().unwrap() < 21 => minor.to_owned(),
        _ => version,
    };
    found.into_iter().step_by(step).map(name).collect()
}

/// Compares our findings with those of govulncheck for some versions.
fn compare(entries: &[Value], most: usize) -> usize {
    let Some(sdk) = sdk("1.26.5", Arch::host().unwrap()) else {
        return 0;
    };
    let Some(peer) = govulncheck(&sdk) else {
        return 0;
    };
    let sandbox = Sandbox::new();
    let (db, tools, program) = (sandbox.path("db"), sandbox.path("tools"), sandbox.path("m"));
    write(&db, entries);
    write(&tools, &toolchain_as_stdlib(entries));
    module(&program);
    let versions = versions(entries, most);
    let parsed: Vec<ostree_go_sdk::GoVersion> = versions
        .iter()
        .map(|version| version.parse().unwrap())
        .collect();
    let load = |folder: &Path| {
        Database::new(folder.display().to_string())
            .load(&parsed)
            .unwrap()
    };
    let (of_db, of_tools) = (load(&db), load(&tools));
    let mut findings = 0;
    for (version, parsed) in versions.iter().zip(&parsed) {
        // From sources, govulncheck finds what affects any platform.
        let any = Platform::new("linux", "amd64");
        let ours = |known: &ostree_go_sdk::audit::Vulnerabilities, scope| {
            map(&known.affecting(parsed, scope, &any).unwrap())
        };
        let program_findings = ours(&of_db, Scope::Program);
        let theirs = peer.of_version(&db, &program, version);
        let ids = |found: &BTreeMap<String, String>| found.keys().cloned().collect::<Vec<_>>();
        assert_eq!(ids(&program_findings), ids(&theirs), "go {version}");
        let tool_findings = ours(&of_tools, Scope::Program);
        let of_peer = peer.of_version(&tools, &program, version);
        assert_eq!(
            ids(&tool_findings),
            ids(&of_peer),
            "the tools of go {version}"
        );
        // Together, they are what the audit of an SDK finds.
        let mut both = ids(&program_findings);
        both.extend(ids(&tool_findings));
        both.sort();
        both.dedup();
        assert_eq!(ids(&ours(&of_db, Scope::Sdk)), both, "go {version}");
        findings += both.len();
    }
    findings
}

#[test]
fn real_entries_affect_the_same_versions_as_govulncheck_finds() {
    let entries = vulndb::real_entries();
    assert!(entries.len() > 10, "{}", entries.len());
    let found = compare(&entries, 30);
    assert!(found == 0 || found > 30, "{found}");
}

#[test]
fn the_whole_database_affects_the_same_versions_as_govulncheck_finds() {
    let Some(sdk) = sdk("1.26.5", Arch::host().unwrap()) else {
        return;
    };
    let entries = govulncheck(&sdk).and_then(|peer| peer.database());
    let Some(entries) = entries else { return };
    assert!(entries.len() > 200, "{}", entries.len());
    let found = compare(&entries, 25);
    assert!(found > 500, "{found}");
}

#[test]
fn made_entries_affect_the_same_versions_as_govulncheck_finds() {
    let mut random = Random::new();
    let version = |random: &mut Random| {
        let (minor, patch) = (20 + random.below(4), random.below(4));
        match random.below(4) {
            0 => format!("1.{minor}.0-rc.{}", random.below(3)),
            1 => format!("1.{minor}.0-0"),
            _ => format!("1.{minor}.{patch}"),
        }
    };
    let made = (0..60).map(|number| {
        let module = ["stdlib", "toolchain"][random.below(2) as usize];
        let events = (0..random.below(7)).map(|at| {
            let kind = ["introduced", "fixed"][(at % 2) as usize];
            match at == 0 && random.below(2) == 0 {
                true => (kind, "0".to_owned()),
                false => (kind, version(&mut random)),
            }
        });
        let events: Vec<(&str, String)> = events.collect();
        let events: Vec<(&str, &str)> = events.iter().map(|(kind, at)| (*kind, &**at)).collect();
        entry(&format!("GO-2026-{number:04}"), module, "net/http", &events)
    });
    let made: Vec<Value> = made.collect();
    compare(&made, 30);
}

#[test]
fn a_program_is_checked_by_the_version_that_built_it() {
    let Some(sdk) = sdk("1.26.5", Arch::host().unwrap()) else {
        return;
    };
    let Some(peer) = govulncheck(&sdk) else {
        return;
    };
    let program = Program {
        import: "",
        args: &[],
        env: &[],
    }
    .built(&sdk);
    let fixture = Fixture::new(&[]);
    let db = vulndb::real();
    let args = format!(
        "audit --binary {} --db {} --index {}",
        program.display(),
        db.display(),
        fixture.sandbox.path("dl.json").display()
    );
    let out = fixture.run(&format!("{args} --format json")).exits(4);
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["version"], "1.26.5");
    let found = document["vulnerabilities"].as_array().unwrap();
    let ours: Vec<&str> = found
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    let theirs = peer.of_binary(&db, &program);
    assert_eq!(ours, theirs.keys().collect::<Vec<_>>());
    assert!(!ours.is_empty());
    for one in found {
        // govulncheck names the fix with a `v`.
        let id = one["id"].as_str().unwrap();
        assert_eq!(
            format!("v{}", one["fixed"].as_str().unwrap()),
            theirs[id],
            "{id}"
        );
    }
    let out = fixture.run(&args).exits(4);
    assert!(
        out.stdout
            .contains(&format!("go 1.26.5 in {}", program.display())),
        "{out}"
    );

    fs::write(fixture.sandbox.path("text"), "no program").unwrap();
    let error = fixture.run("audit --binary text").exits(1);
    assert_snapshot!(error.stderr, @r"
    error: text is not a Go program: it is not an ELF file
    hint: name a program that Go has built
    ");
}

#[test]
fn a_copy_is_used_offline_and_its_age_is_shown() {
    let fixture = Fixture::new(&["1.26.4"]);
    let server = FaultyServer::serving(&fixture.sandbox.path(""));
    let url = server.url();
    let audit = |at: &str| {
        let args = format!("audit go-sdk/x86_64/1.26.4 --db {url}/db --index {url}/dl --retries 0");
        let mut command = fixture.sandbox.ostree_go(args.split(' '));
        command.env("XDG_CACHE_HOME", fixture.sandbox.path("cache"));
        command.env("SOURCE_DATE_EPOCH", at);
        run(&mut command)
    };
    let plain = |text: &str| text.replace(&url, "http://S");
    // The query of a download index is not a part of the file's name here.
    let index = fs::read(fixture.sandbox.path("dl.json")).unwrap();
    server.fault("mode=json", Fault::Instead(index));

    server.fault("modules.json", Fault::Status(503));
    let out = audit("1000000000").exits(75);
    assert_snapshot!(plain(&out.stderr), @r"
    error: cannot download http://S/db/index/modules.json.gz: the server answered with status 503
    hint: the server has a problem, or this network needs a proxy; try again later
    ");
    server.reset();
    let index = fs::read(fixture.sandbox.path("dl.json")).unwrap();
    server.fault("mode=json", Fault::Instead(index.clone()));
    let out = audit("1000000000").exits(4);
    assert_eq!(out.stderr, "");
    assert!(
        out.stdout
            .contains("/db, changed 2026-11-05T23:49:57Z, read now\n"),
        "{out}"
    );

    server.reset();
    server.fault("", Fault::Status(503));
    let out = audit("1000200000").exits(4);
    assert_snapshot!(plain(&out.stderr), @r"
    warning: cannot download http://S/db/index/modules.json: the server answered with status 503; using the copy of the vulnerability database from 2001-09-09T01:46:40Z, 2 days old
    warning: cannot download http://S/dl/: the server answered with status 503; using the copy of the download index from 2001-09-09T01:46:40Z, 2 days old
    ");
    assert!(out.stdout.contains("known vulnerabilities: 2\n"), "{out}");
    assert!(out.stdout.contains("read 2 days ago\n"), "{out}");

    // Without a copy, it fails; a web page is no database.
    fs::remove_dir_all(fixture.sandbox.path("cache")).unwrap();
    audit("1000200000").exits(75);
    server.reset();
    server.fault(
        "",
        Fault::Instead(b"<!doctype html><title>Log in</title>".to_vec()),
    );
    let out = audit("1000200000").exits(75);
    assert_snapshot!(plain(&out.stderr), @r"
    error: cannot download http://S/db/index/modules.json.gz: this is a web page, not the requested file
    hint: open the URL in a browser: this network may require a login first (captive portal), or the URL is wrong
    ");
}

#[test]
fn bad_databases_are_refused_with_the_place() {
    let fixture = Fixture::new(&["1.26.4"]);
    let db = fixture.sandbox.path("db");
    let error = |name: &str, content: &[u8], code| {
        let path = db.join(name);
        let before = fs::read(&path).unwrap();
        match content {
            b"" => fs::remove_file(&path).unwrap(),
            content => fs::write(&path, content).unwrap(),
        }
        let out = fixture.audit("go-sdk/x86_64/1.26.4", code);
        assert_eq!(out.stdout, "", "{out}");
        fs::write(&path, before).unwrap();
        fixture.plain(&out.stderr)
    };
    let (modules, first) = ("index/modules.json", "ID/GO-2026-9001.json");
    assert_snapshot!(error(modules, b"", 1), @r"
    error: /S/db is not a Go vulnerability database: it has no index/modules.json
    hint: name a directory or URL with the layout of https://vuln.go.dev
    ");
    assert_snapshot!(error(modules, b"<html></html>", 1), @r"
    error: cannot use /S/db/index/modules.json
      it is not an index of modules: expected value at line 1 column 1
    hint: the database may be damaged: copy it again
    ");
    assert_snapshot!(error(modules, br#"[{"path":"stdlib","vulns":[{"id":"../../x"}]}]"#, 1), @r"
    error: cannot use /S/db/index/modules.json
      it has the entry `../../x`, expected a name of letters, digits, `-`, `_` and `.`
    hint: the database may be damaged: copy it again
    ");
    assert_snapshot!(error(first, b"", 1), @r"
    error: the vulnerability database /S/db has no ID/GO-2026-9001.json, which its index names
    hint: the database may be damaged: copy it again
    ");
    assert_snapshot!(error(first, br#"{"id":"GO-2026-9001","affected":["#, 1), @r"
    error: cannot use /S/db/ID/GO-2026-9001.json
      it is not an entry in OSV format: EOF while parsing a list at line 1 column 33
    hint: the database may be damaged: copy it again
    ");
    let wrong = entry(
        "GO-2026-9001",
        "stdlib",
        "net",
        &[("introduced", "0"), ("fixed", "next week")],
    );
    assert_snapshot!(error(first, wrong.to_string().as_bytes(), 1), @r"
    error: cannot use /S/db/ID/GO-2026-9001.json
      `affected[0].ranges[0].events[1]` has the version `next week`, expected a semantic version
    hint: the database may be damaged: copy it again
    ");
    let other = entry("GO-2026-9999", "stdlib", "net", &[]);
    assert_snapshot!(error(first, other.to_string().as_bytes(), 1), @r"
    error: cannot use /S/db/ID/GO-2026-9001.json
      it is the entry `GO-2026-9999`, expected GO-2026-9001
    hint: the database may be damaged: copy it again
    ");
    fs::write(fixture.sandbox.path("dl.json"), "<html>").unwrap();
    let out = fixture.audit("go-sdk/x86_64/1.26.4", 1);
    assert_snapshot!(fixture.plain(&out.stderr), @r"
    error: cannot use /S/dl.json
      the download index is not a list of Go releases: expected value at line 1 column 1
    hint: name the URL of a download index such as https://go.dev/dl/, or a file with its JSON
    ");
    // An error is one document on standard output in JSON format.
    let out = fixture
        .run("audit go-sdk/x86_64/1.26.4 --db ./none --format json")
        .exits(1);
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["error"]["kind"], "not-found");
}

#[test]
fn what_is_audited_must_be_a_release() {
    let fixture = Fixture::new(&["1.26.4"]);
    let error = |args: &str, code| fixture.plain(&fixture.audit(args, code).stderr);
    let layer = fixture
        .sandbox
        .refs()
        .into_iter()
        .find(|name| name.contains("/layer/"))
        .unwrap();
    let text = error(&layer, 2);
    assert_eq!(text, format!("error: `{layer}` is not a release\n"));
    assert_snapshot!(error("go-sdk/x86_64/9.9", 1), @r"
    error: no ref or commit `go-sdk/x86_64/9.9` in /S/repo
    hint: did you mean `go-sdk/x86_64/1.26` or `go-sdk/x86_64/1.26.4`?
    ");
    let out = fixture.run("audit").exits(2);
    assert_snapshot!(out.stderr, @r"
    error: no release of the repository given
    hint: `ostree-go list` shows the releases and channels
    ");
    let out = fixture.run("audit 1.26 --db ftp://me:secret@x/y").exits(1);
    assert!(!out.stderr.contains("secret"), "{out}");
    let out = fixture.run("audit 1.26 --format sarif").exits(2);
    assert!(
        out.stderr.contains("the result has no format `sarif`"),
        "{out}"
    );
}

#[test]
fn an_installed_sdk_is_checked_and_status_shows_it() {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99.1").ok();
    host.release("1.99.2", 200);
    let (db, index) = (host.sandbox.path("db"), host.sandbox.path("dl.json"));
    let fixed = entry(
        "GO-2026-9001",
        "stdlib",
        "net/http",
        &[("introduced", "0"), ("fixed", "1.99.2")],
    );
    write(&db, &[fixed]);
    write_index(&index, &["1.101.0", "1.100.1", "1.99.3"]);
    let on_host = |args: &str, configured: bool| {
        let mut command = host.command(args.split(' '));
        command.env_remove("OSTREE_REPO");
        if configured {
            command
                .env("OSTREE_GO_VULNDB", &db)
                .env("OSTREE_GO_DOWNLOAD_INDEX", &index);
        }
        run(&mut command)
    };
    // Without a REF, the active SDK is meant. It was copied, so that no remote offers channels.
    let out = on_host("audit --format json", true).exits(4);
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["version"], "1.99.1");
    assert_eq!(document["vulnerabilities"][0]["channels"], Value::Null);
    assert_eq!(document["support"], "ended");
    on_host("audit 1.99", true).exits(4);

    let out = on_host("status", true).ok();
    assert!(
        out.stdout.contains("NEWEST  VULNERABILITIES  SUPPORT\n")
            && out.stdout.contains("1.99.3  1                ended\n"),
        "{out}"
    );
    let document: Value =
        serde_json::from_str(&on_host("status --format json", true).ok().stdout).unwrap();
    let found = &document["deployments"][0]["audit"];
    assert_eq!(found["vulnerabilities"][0]["id"], "GO-2026-9001");
    assert_eq!(found["support"], "ended");
    // It says nothing if nothing is configured, and works if the database cannot be read.
    let document: Value =
        serde_json::from_str(&on_host("status --format json", false).ok().stdout).unwrap();
    assert_eq!(document["deployments"][0].get("audit"), None);
    fs::remove_file(db.join("index/modules.json")).unwrap();
    let out = on_host("status", true).ok();
    let shown = out.stderr.replace(&db.display().to_string(), "/db");
    assert_snapshot!(shown, @"warning: /db is not a Go vulnerability database: it has no index/modules.json");
    assert!(
        out.stdout.contains("1.99.3  -                ended\n"),
        "{out}"
    );
}

#[test]
fn the_channels_of_a_remote_are_known() {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.run(["publish"]).ok();
    let root = host.root();
    let on_host = |args: &str| {
        let mut command = host.command(args.split(' '));
        command.env_remove("OSTREE_REPO");
        run(&mut command)
    };
    let url = format!("file://{}", host.sandbox.repo().display());
    on_host(&format!("remote add go {url} --no-gpg-verify")).ok();
    on_host("install 1.99").ok();
    host.release("1.99.2", 200);
    host.run(["publish"]).ok();
    let (db, index) = (host.sandbox.path("db"), host.sandbox.path("dl.json"));
    let one = |id, fixed| {
        entry(
            id,
            "stdlib",
            "net/http",
            &[("introduced", "0"), ("fixed", fixed)],
        )
    };
    write(
        &db,
        &[one("GO-2026-1", "1.99.2"), one("GO-2026-2", "1.99.3")],
    );
    write_index(&index, &["1.99.1"]);
    let args = format!(
        "audit --db {} --index {} --format json",
        db.display(),
        index.display()
    );
    let document: Value = serde_json::from_str(&on_host(&args).exits(4).stdout).unwrap();
    let channel = format!("go-sdk/{}/1.99", host.arch());
    assert_eq!(document["vulnerabilities"][0]["channels"], json!([channel]));
    assert_eq!(document["vulnerabilities"][1]["channels"], json!([]));
    // If the remote is out of reach, the rest is known.
    fs::rename(host.sandbox.repo(), host.sandbox.path("away")).unwrap();
    let out = on_host(&args).exits(4);
    assert!(
        out.stderr
            .starts_with("warning: the channels are not known: "),
        "{out}"
    );
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["vulnerabilities"][0]["channels"], Value::Null);
    assert!(root.exists());
}

#[test]
fn outdated_releases_are_listed() {
    let fixture = Fixture::new(&["1.25.9", "1.26.4", "1.27.1"]);
    let (db, index) = (fixture.sandbox.path("db"), fixture.sandbox.path("dl.json"));
    let out = fixture
        .run(&format!(
            "list --outdated --db {} --index {}",
            db.display(),
            index.display()
        ))
        .ok();
    assert_snapshot!(out.stdout, @r"
    REF                    KIND     GO      NEWEST  VULNERABILITIES  SUPPORT
    go-sdk/aarch64/1.25.9  release  1.25.9  -       1                ended
    go-sdk/aarch64/1.26.4  release  1.26.4  1.26.5  2                supported
    go-sdk/x86_64/1.25.9   release  1.25.9  -       1                ended
    go-sdk/x86_64/1.26.4   release  1.26.4  1.26.5  2                supported
    go-sdk/aarch64/1.25    channel  1.25.9  -       1                ended
    go-sdk/aarch64/1.26    channel  1.26.4  1.26.5  2                supported
    go-sdk/x86_64/1.25     channel  1.25.9  -       1                ended
    go-sdk/x86_64/1.26     channel  1.26.4  1.26.5  2                supported
    ");
    // Without a database and an index, only the releases of the repository are compared.
    let out = fixture.run("list --outdated").ok();
    assert_eq!(out.stdout, "");
    assert_snapshot!(fixture.plain(&out.stderr), @"no release in /S/repo is outdated");
    fixture.sandbox.toys("1.26.5");
    fixture.sandbox.treefile("1.26.5", TOY_SOURCE);
    fixture.sandbox.compose([]);
    let out = fixture.run("list --outdated --format json").ok();
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    let refs = document["refs"].as_array().unwrap();
    assert_eq!(refs.len(), 4, "{document:#}");
    for one in refs {
        assert_eq!(one["version"], "1.26.4");
        assert_eq!(one["newer"], "1.26.5");
        assert_eq!(one["vulnerabilities"], Value::Null);
        assert_eq!(one["support"], Value::Null);
    }
}

#[test]
fn the_published_page_lists_known_vulnerabilities() {
    let fixture = Fixture::new(&["1.25.9", "1.26.4"]);
    let mut all = entries();
    all[0]["summary"] = json!("<script>alert(1)</script> & more");
    write(&fixture.sandbox.path("db"), &all);
    let (db, index) = (fixture.sandbox.path("db"), fixture.sandbox.path("dl.json"));
    let read = |name: &str| fs::read_to_string(fixture.sandbox.repo().join(name)).unwrap();
    fixture.run("publish").ok();
    let (page, json) = (read("index.html"), read("index.json"));
    assert!(
        !page.contains("ulnerabilit") && !json.contains("audit"),
        "{page}{json}"
    );

    let args = format!("publish --db {} --index {}", db.display(), index.display());
    fixture.run(&args).ok();
    let document: Value = serde_json::from_str(&read("index.json")).unwrap();
    let audit = &document["audit"];
    assert_eq!(audit["supported"], json!(["1.27", "1.26"]));
    assert_eq!(audit["database"]["modified"], vulndb::MODIFIED);
    assert_eq!(audit["releases"].as_array().unwrap().len(), 4);
    let one = &audit["releases"][2];
    assert_eq!(
        (&one["version"], &one["arch"]),
        (&json!("1.26.4"), &json!("aarch64"))
    );
    assert_eq!(one["newer"], "1.26.5");
    let page = read("index.html");
    for part in [
        "2 known vulnerabilities</a>",
        "1 known vulnerability</a>",
        "no longer supported by Go",
        "newest patch release: 1.26.5",
        "Go supports the minor releases 1.27 and 1.26.",
        "<a href=\"https://pkg.go.dev/vuln/GO-2026-9001\">GO-2026-9001</a>",
        "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more",
        "1.26.4, fixed in 1.27.1",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("GO-2026-9003"), "{page}");

    // A promotion, which knows no database, keeps what was known.
    fixture
        .run("promote go-sdk/x86_64/1.26.4 go-sdk/x86_64/stable")
        .ok();
    let document: Value = serde_json::from_str(&read("index.json")).unwrap();
    assert_eq!(document["channels"].as_array().unwrap().len(), 5);
    assert_eq!(document["audit"], *audit);

    // A database that cannot be read does not prevent a publish.
    fs::remove_dir_all(&db).unwrap();
    let out = fixture.run(&args).ok();
    assert!(
        fixture
            .plain(&out.stderr)
            .contains("warning: /S/db is not a Go vulnerability database"),
        "{out}"
    );
    let document: Value = serde_json::from_str(&read("index.json")).unwrap();
    assert_eq!(document["audit"]["database"], Value::Null);
    assert_eq!(document["audit"]["releases"][0]["support"], "ended");
}
