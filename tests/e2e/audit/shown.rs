//! Installed SDKs, lists of releases and the published page show what is known.

use super::{Fixture, entries};
use insta::assert_snapshot;
use ostree_go_tests::cli::run;
use ostree_go_tests::host::Host;
use ostree_go_tests::sandbox::TOY_SOURCE;
use ostree_go_tests::vulndb::{self, entry, write, write_index};
use ostree_go_tests::webserver::{Fault, FaultyServer};
use serde_json::{Value, json};
use std::fs;

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
    on_host("audit 1.99.1", true).exits(4);

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
    let on_host = |args: &str| {
        let mut command = host.command(args.split(' '));
        command.env_remove("OSTREE_REPO");
        run(&mut command)
    };
    let server = FaultyServer::serving(&host.sandbox.repo());
    on_host(&format!("remote add go {} --no-gpg-verify", server.url())).ok();
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
    server.fault("summary", Fault::Status(404));
    let out = on_host(&args).exits(4);
    assert!(
        out.stderr
            .starts_with("warning: the channels are not known: "),
        "{out}"
    );
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["vulnerabilities"][0]["channels"], Value::Null);
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
