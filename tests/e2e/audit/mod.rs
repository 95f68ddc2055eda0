//! `audit`, and the verbs that show what is known about releases.

mod peer;
mod shown;

use insta::assert_snapshot;
use ostree_go_sdk::GoVersion;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::vulndb::{entry, write, write_index};
use ostree_go_tests::webserver::{Fault, FaultyServer};
use serde_json::{Value, json};
use std::fs;

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
            let minor = version.parse::<GoVersion>().unwrap().minor();
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
    // The server takes the query of a download index for a part of the file's name.
    write_index(
        &fixture.sandbox.path("dl/?mode=json&include=all"),
        &RELEASES,
    );

    server.fault("modules.json", Fault::Status(503));
    let out = audit("1000000000").exits(75);
    assert_snapshot!(plain(&out.stderr), @r"
    error: cannot download http://S/db/index/modules.json: the server answered with status 503
    hint: check the connection and run the command again
    ");
    server.reset();
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
    error: no ref or commit `go-sdk/x86_64/9.9` in repository /S/repo
    hint: did you mean `go-sdk/x86_64/1.26`?
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
