//! JSON documents and their reference page: it describes every field that a verb prints, and
//! every kind of error.

use ostree_go_sdk::{Arch, fuzzing};
use ostree_go_tests::cli::workspace;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::os::{BASE, Os};
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::std_cache::commit_both;
use ostree_go_tests::vulndb;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Fields whose value is a map with user-defined keys.
const MAPS: [&str; 7] = [
    "metadata",
    "go_env",
    "treefile",
    "set",
    "settings",
    "godebug",
    "environment",
];

/// Returns the words in backquotes in each section of `reference/json.md`, by the verbs in its heading,
/// including those of the sections that it links to.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(workspace().join("docs/src/reference/json.md")).unwrap();
    let mut sections = BTreeMap::new();
    for section in page.split("\n## ").skip(1) {
        let (title, text) = section.split_once('\n').unwrap();
        sections.insert(title.to_lowercase().replace(", ", "-"), (title, text));
    }
    let words = |text: &str| -> Vec<String> {
        let code = text.split('`').skip(1).step_by(2);
        code.flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
            .map(str::to_owned)
            .collect()
    };
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (title, text) in sections.values() {
        let linked = text.split("](#").skip(1).flat_map(|link| {
            let anchor = link.split(')').next().unwrap();
            words(
                sections
                    .get(anchor)
                    .unwrap_or_else(|| panic!("no section {anchor}"))
                    .1,
            )
        });
        let all: BTreeSet<String> = linked.chain(words(text)).collect();
        for verb in title.split(", ") {
            documented
                .entry(verb.to_lowercase())
                .or_default()
                .extend(all.clone());
        }
    }
    documented
}

/// Returns the names of all fields in a document.
fn fields(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| fields(item, into)),
        Value::Object(entries) => {
            for (name, value) in entries {
                into.insert(name.clone());
                if !MAPS.contains(&name.as_str()) {
                    fields(value, into);
                }
            }
        }
        _ => {}
    }
}

/// Returns the fields of a document that the section of a verb does not describe.
pub fn undocumented(verb: &str, document: &Value) -> Vec<String> {
    let mut found = BTreeSet::new();
    fields(document, &mut found);
    let known = documented();
    let known = known
        .get(verb)
        .unwrap_or_else(|| panic!("no section {verb}"));
    let is_unknown = |field: &String| field != "schema" && !known.contains(field);
    found.into_iter().filter(is_unknown).collect()
}

struct Said {
    documented: BTreeMap<String, BTreeSet<String>>,
    problems: Vec<String>,
    verbs: BTreeSet<String>,
}

impl Said {
    /// Runs a verb and checks the fields of its document.
    #[track_caller]
    fn run(&mut self, sandbox: &Sandbox, root: &Path, args: &str, code: i32) -> Value {
        let mut command = sandbox.ostree_go(args.split(' ').chain(["--format", "json"]));
        command.env("OSTREE_GO_ROOT", root);
        let deploys = [
            "install",
            "upgrade",
            "use",
            "uninstall",
            "rollback",
            "status",
            "gc",
            "env",
            "which",
            "doctor",
            "workspace",
        ];
        let verb = args.split(' ').next().unwrap().to_owned();
        if deploys.contains(&verb.as_str()) || args.contains("remote add") {
            command.env_remove("OSTREE_REPO");
        }
        let out = ostree_go_tests::cli::run(&mut command).exits(code);
        let document: Value = serde_json::from_str(&out.stdout).unwrap();
        assert_eq!(document["schema"], 1, "{args}");
        let mut found = BTreeSet::new();
        fields(&document, &mut found);
        found.remove("schema");
        assert!(!found.is_empty(), "{args}");
        let section = if code == 1 { "errors" } else { &verb };
        let empty = BTreeSet::new();
        let known = self.documented.get(section).unwrap_or(&empty);
        for field in found.difference(known) {
            self.problems
                .push(format!("{args}: `{field}` is not in json.md"));
        }
        self.verbs.insert(verb);
        document
    }
}

#[test]
fn every_field_is_on_the_page() {
    let (sandbox, gpg) = (Sandbox::new(), Gpg::new());
    let key = gpg.key("publisher");
    let keys = gpg.export(&key).display().to_string();
    let next_key = gpg.key("next");
    let next = gpg.export(&next_key).display().to_string();
    let sign = format!("--gpg-sign {key} --gpg-homedir {}", gpg.home().display());
    let root = sandbox.path("root");
    let mut said = Said {
        documented: documented(),
        problems: Vec::new(),
        verbs: BTreeSet::new(),
    };
    let mut run = |args: &str, code| said.run(&sandbox, &root, args, code);
    run("init", 0);
    let arch = Arch::host().expect("tests run where SDKs do");
    for version in ["1.99.1", "1.99.2"] {
        sandbox.toys(version);
        let channels =
            "channels: [\"go-sdk/${basearch}/1.99\"]\nadd-commit-metadata: { com.example.a: 1 }";
        sandbox.treefile(version, &format!("{TOY_SOURCE}\n{channels}"));
        run("compose go.yaml --dry-run", 0);
        run(&format!("compose go.yaml {sign}"), 0);
        commit_both(&sandbox.repo(), version, arch.basearch(), 100);
    }
    let name = |version: &str| format!("go-sdk/{arch}/{version}");
    let (one, two) = (name("1.99.1"), name("1.99.2"));

    run("list --all", 0);
    run("log 1.99", 0);
    run("show 1.99.1", 0);
    run(&format!("show go-sdk/stdcache/1.99.1/{arch}-plain"), 0);
    run("diff 1.99.1 1.99.2", 0);
    fs::write(sandbox.path("program"), fuzzing::toy_program()).unwrap();
    run("inspect program", 0);
    run("inspect program --require pie", 3);
    let entry = vulndb::entry("GO-2026-1", "stdlib", "net", &[("introduced", "0")]);
    vulndb::write(&sandbox.path("db"), &[entry]);
    vulndb::write_index(&sandbox.path("dl.json"), &["1.99.3", "1.98.1"]);
    let sources = "--db db --index dl.json";
    run(&format!("audit 1.99.1 {sources}"), 4);
    run(&format!("list --outdated {sources}"), 0);
    run("fsck", 0);
    run("checkout 1.99.1 tree", 0);
    run("export tar 1.99.1 a.tar", 0);
    run("export treefile 1.99.1", 0);
    run("export treefile 1.99.1 --output-dir manifests", 0);
    Os::without_policy(&sandbox).commit_here();
    run(
        &format!("overlay {BASE} go-sdk/x86_64/1.99.1 --ref os/go --dry-run"),
        0,
    );
    run(
        &format!("overlay {BASE} go-sdk/x86_64/1.99.1 --ref os/go"),
        0,
    );
    run("export sysext 1.99.1 extension --host debian:12", 0);
    let boot = format!("1.99.1 --remote-url https://x.example --gpg-import {keys}");
    run(&format!("export ignition {boot}"), 0);
    run(&format!("export butane {boot} --output boot.bu"), 0);
    run("export oci 1.99.1 oci:images", 0);
    run("export attest 1.99.1 --output attestations", 0);
    run("export containerfile 1.99.1 --image a", 0);
    run(
        "proxy --dry-run --cache proxy --upstream https://x.example",
        0,
    );
    run(&format!("sign 1.99.1 {sign}"), 0);
    run(&format!("verify 1.99.1 --gpg-keys {keys}"), 0);
    run(
        "verify 1.99.1 --upstream --sumdb http://127.0.0.1:1/x --gpg-keys none",
        1,
    );
    run("key generate --output-dir keys", 0);
    run("promote 1.99.1 beta", 0);
    run("publish --dry-run", 0);
    run(&format!("publish {sign} --public-key {keys}"), 0);
    run(&format!("publish {sign} {sources}"), 0);
    let delta = run("delta list", 0)["deltas"][0].clone();
    let from = delta["from"].as_str().map(|from| format!("{from}-"));
    let to = delta["to"].as_str().unwrap();
    run(&format!("delta show {}{to}", from.unwrap_or_default()), 0);
    run("promote 1.99.2 beta", 0);
    run("publish --compare-deltas", 0);
    run("prune --keep 1 --dry-run", 0);

    let url = format!("file://{}", sandbox.repo().display());
    run(&format!("remote add acme {url} --gpg-import {keys}"), 0);
    let at = format!("--repo {}/repo", root.display());
    run(&format!("remote list {at}"), 0);
    run(&format!("remote show-keys acme {at}"), 0);
    run(&format!("remote import-key acme {keys} {at}"), 0);
    let introduce = format!("{keys} {next} --url {url} {sign} --gpg-sign {next_key}");
    run(&format!("key transition {introduce} --dry-run"), 0);
    run(&format!("key transition {introduce}"), 0);
    run(&format!("remote follow-keys acme {at}"), 0);
    let statements = sandbox.repo().join("key-transitions.json");
    let statements = statements.display();
    run(
        &format!("remote import-key acme --transition {statements} {at}"),
        0,
    );
    run(&format!("pull acme {one} --dry-run {at}"), 0);
    run(&format!("pull acme {one} {at}"), 0);
    run(&format!("import oci:images:1.99.1 {at}"), 0);

    run(&format!("remote refs acme {at}"), 0);
    run("install 1.99.1 --dry-run", 0);

    run("install 1.99.1", 0);
    run(&format!("install {}", name("1.99")), 0);
    run(&format!("status {sources}"), 0);
    run("upgrade --check", 0);
    run("upgrade", 0);
    run("upgrade --no-stdcache --dry-run", 0);
    run("upgrade --no-stdcache", 0);
    run("upgrade", 0);
    run("doctor --offline", 0);
    run("pin 1.99.1", 0);
    run("use 1.99.1", 0);
    run("env", 0);
    run("env --toolchains", 0);
    sandbox.write("project/go.mod", "module a\ngo 1.99\n");
    run("which project", 0);
    run("which", 0);
    run("workspace lock project", 0);
    run("workspace check project", 0);
    sandbox.write("project/go.mod", "module a\ngo 1.99\ngodebug panicnil=1\n");
    run("workspace check project", 4);
    run("env --cache ./caches", 0);
    let status = run("status --history", 0);
    let active = status["deployments"].as_array().unwrap();
    let active = active.iter().find(|one| one["active"] == true).unwrap();
    let file = Path::new(active["path"].as_str().unwrap()).join("usr/lib/sdk/go-1.99/LICENSE");
    fs::remove_file(&file).unwrap_or_else(|_| {
        // The folder is sealed for everybody but root.
        let folder = file.parent().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder, open).unwrap();
        fs::remove_file(&file).unwrap();
    });
    run("status", 4);
    run("use 1.99.2", 0);
    run("use 1.99.1", 0);
    run("rollback", 0);
    run("rollback --verified", 1);
    run("uninstall 1.99.1", 0);
    run("gc", 0);
    run(&format!("remote delete acme {at}"), 0);
    run("prune --keep 1", 0);
    assert_ne!(one, two);
    assert!(said.problems.is_empty(), "{:#?}", said.problems);

    // Every verb of the page was run, and every verb that was run is on it.
    let mut verbs = said.documented.into_keys().collect::<BTreeSet<_>>();
    verbs.remove("errors");
    verbs.remove("progress");
    // It needs a real SDK, and has its own tests.
    verbs.remove("reproduce");
    assert_eq!(said.verbs, verbs);
}

#[test]
fn every_kind_of_error_is_documented() {
    let page = fs::read_to_string(workspace().join("docs/src/reference/errors.md")).unwrap();
    let code = workspace().join("crates/ostree-go-sdk/src/kind.rs");
    let code = fs::read_to_string(code).unwrap();
    let words: BTreeSet<&str> = code
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""))
        .map(|(_, word)| word.trim_end_matches("\","))
        .collect();
    let rows: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(word, _)| word)
        .collect();
    assert!(words.len() > 10, "{words:?}");
    assert_eq!(rows, words);
}
