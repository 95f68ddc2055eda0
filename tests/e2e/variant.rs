//! `variant` in a treefile: releases that a site makes of a Go version.

use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{run, workspace};
use ostree_go_tests::host::Host;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;
use std::fs;

/// Composes the toy SDK 1.99.1 of a site, with the site's own file and a channel.
fn compose_variant(host: &Host, variant: &str) {
    let lines = format!(
        "variant: {variant}\nchannels: [\"go-sdk/${{basearch}}/1.99\"]\n{TOY_SOURCE}\n\
         layers: {{ site: {{ add-files: [{{ path: \"${{prefix}}/SITE\", content: {variant} }}] }} }}"
    );
    host.sandbox.treefile("1.99.1", &lines);
    host.run(["compose", "go.yaml"]).ok();
}

#[test]
fn a_variant_is_a_release_everywhere() {
    let host = Host::new();
    host.sandbox.toys("1.99.1");
    host.sandbox.treefile("1.99.1", TOY_SOURCE);
    host.run(["compose", "go.yaml"]).ok();
    compose_variant(&host, "acme1");
    compose_variant(&host, "acme2");
    let repo = host.sandbox.repo();
    let name = format!("go-sdk/{}/1.99.1-acme1", host.arch());
    for (key, expected) in [
        ("sdk.version", "'1.99.1-acme1'\n"),
        ("version", "'1.99.1-acme1'\n"),
        ("sdk.variant", "'acme1'\n"),
    ] {
        let key = format!("--print-metadata-key={key}");
        assert_eq!(ostree(&repo, ["show", &key, &name]), expected);
    }
    // The content of Go is the same, and Go's own release knows nothing of variants.
    let h1 = |name: &str| ostree(&repo, ["show", "--print-metadata-key=sdk.h1", name]);
    let own = format!("go-sdk/{}/1.99.1", host.arch());
    assert_eq!(h1(&name), h1(&own));
    let raw = ostree(&repo, ["show", "--raw", &own]);
    assert!(!raw.contains("sdk.variant"), "{raw}");

    let out = host.run(["list", "--format=json"]).ok();
    let listed: Value = serde_json::from_str(&out.stdout).unwrap();
    let kind = |name: &str| {
        let refs = listed["refs"].as_array().unwrap().iter();
        let mut found = refs.filter(|entry| entry["ref"] == name);
        found.next().unwrap()["kind"].clone()
    };
    for version in ["1.99.1", "1.99.1-acme1", "1.99.1-acme2"] {
        assert_eq!(kind(&format!("go-sdk/aarch64/{version}")), "release");
    }
    assert_eq!(kind("go-sdk/aarch64/1.99"), "channel");
    // A channel takes the later variant, and does not go back to an earlier one.
    compose_variant(&host, "acme1");
    let shown = host.run(["show", "1.99", "--format=json"]).ok().stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["version"], "1.99.1-acme2");
    assert_eq!(shown["variant"], "acme2");

    host.run(["publish"]).ok();
    let page = fs::read_to_string(repo.join("index.html")).unwrap();
    assert!(page.contains("1.99.1-acme1"), "{page}");
    let index: Value = serde_json::from_slice(&fs::read(repo.join("index.json")).unwrap()).unwrap();
    let releases = index["releases"].as_array().unwrap();
    let has = |version: &str| releases.iter().any(|entry| entry["version"] == version);
    assert!(has("1.99.1") && has("1.99.1-acme1"), "{index}");

    host.install("1.99.1-acme1").ok();
    assert_eq!(host.active().as_deref(), Some("1.99.1-acme1"));
    let site = host.current("usr/lib/sdk/go-1.99/SITE");
    assert_eq!(fs::read_to_string(site).unwrap(), "acme1");
    host.install("1.99").ok();
    assert_eq!(host.active().as_deref(), Some("1.99.1-acme2"));
}

#[test]
fn sources_of_a_variant_have_the_version_of_go() {
    let sandbox = Sandbox::new();
    let zip = "golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-amd64.zip";
    fs::create_dir_all(sandbox.path("www").join(zip).parent().unwrap()).unwrap();
    Toy::new(Arch::X86_64).module_zip(&sandbox.path("www").join(zip));
    let server = FaultyServer::serving(&sandbox.path("www"));
    let lines = format!(
        "variant: acme1\narches: [x86_64]\nsource: {{ module: golang.org/toolchain }}\ngoproxy: {}",
        server.url()
    );
    sandbox.treefile("1.99.1", &lines);
    let args = ["--no-sumdb", "--cachedir=cache"];
    sandbox.compose(args);
    assert!(sandbox.rev("go-sdk/x86_64/1.99.1-acme1").is_some());

    // A site that builds Go itself writes the variant into VERSION.
    let own = sandbox.path("own.tar.gz");
    let toy = Toy::new(Arch::X86_64).version("1.99.1-acme2");
    toy.tar_gz(&own);
    let lines = "variant: acme2\narches: [x86_64]\nsource: { path: own.tar.gz }";
    sandbox.treefile("1.99.1", lines);
    sandbox.compose([]);
    // Neither another variant, nor the variant as part of the version with Go's own content.
    let lines = "variant: acme3\narches: [x86_64]\nsource: { path: own.tar.gz }";
    sandbox.treefile("1.99.1", lines);
    assert_snapshot!(sandbox.run(["compose", "go.yaml", "-q"]).exits(3).stderr, @"
    error: own.tar.gz is Go 1.99.1-acme2, expected 1.99.1
    hint: set `version` in the treefile to the version of the source, or use another `source`
    ");
    sandbox.toys("1.99.1");
    sandbox.treefile("1.99.1-acme1", TOY_SOURCE);
    assert_snapshot!(sandbox.run(["compose", "go.yaml", "-q"]).exits(3).stderr, @"
    error: toy-amd64.tar.gz is Go 1.99.1, expected 1.99.1-acme1
    hint: for a release of your own, set `version: 1.99.1` and `variant: acme1` in the treefile
    ");
}

#[test]
fn a_variant_is_compared_with_the_release_of_go() {
    let sandbox = Sandbox::new();
    let toy = sandbox.path("toy.tar.gz");
    Toy::new(Arch::X86_64).version("1.26.5").tar_gz(&toy);
    let lines = "variant: acme1\narches: [x86_64]\nsource: { path: toy.tar.gz }";
    sandbox.treefile("1.26.5", lines);
    sandbox.compose([]);
    let database = FaultyServer::serving(&workspace().join("tests/sumdb"));
    let name = "go-sdk/x86_64/1.26.5-acme1";
    let args = ["verify", name, "--upstream", "--sumdb", &database.url()];
    let said = run(&mut sandbox.ostree_go(args)).exits(3).stderr;
    let module = "does not have the content of golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64:";
    assert!(said.contains(module), "{said}");
}
