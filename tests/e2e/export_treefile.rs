//! `export treefile` for rpm-ostree. Debian has no rpm-ostree package; the allowed keys and their
//! types are taken from its `rust/src/treefile.rs`, and PyYAML replaces its YAML parser.

use ostree_go_tests::cli::run;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::std_cache::commit_both;
use ostree_go_tests::tools::{require, skip};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const X86: &str = "go-sdk/x86_64/1.99.1";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_toys("channels: [\"go-sdk/${basearch}/1.99\"]");
    let mut command = sandbox.ostree_go(["compose", "go.yaml"]);
    run(command.env("SOURCE_DATE_EPOCH", "1770000000")).ok();
    sandbox
}

/// Reads a YAML file with PyYAML; returns `None` if that is missing.
fn yaml(path: &Path) -> Option<Value> {
    let python = require("python3")?;
    let read = "import sys, json, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let probe = Command::new(&python).args(["-c", "import yaml"]).output();
    if !probe.is_ok_and(|out| out.status.success()) {
        skip("python3 has no yaml module on this machine");
        return None;
    }
    let out = run(Command::new(python).args(["-c", read]).arg(path)).ok();
    Some(serde_json::from_str(&out.stdout).unwrap())
}

/// Returns the faults that rpm-ostree would find in a treefile: unknown keys, values of the wrong
/// type, and strings that it would change.
fn problems(treefile: &Value) -> Vec<String> {
    let texts = |value: &Value| {
        let items = value.as_array();
        items.is_some_and(|items| items.iter().all(Value::is_string))
    };
    let include = |value: &Value| value.is_string() || texts(value);
    let mut found = Vec::new();
    for (key, value) in treefile.as_object().unwrap() {
        // Vec<String>, BTreeMap<String, serde_json::Value>, BTreeMap<String, Include>, and
        // Vec<ConditionalInclude> with an `if` of the form `<var> <op> <value>`.
        let is_good = match key.as_str() {
            "ostree-layers" | "ostree-override-layers" => texts(value),
            "add-commit-metadata" => {
                let is_kept = |v: &Value| v.as_str().is_none_or(|text| !text.contains("${"));
                value
                    .as_object()
                    .is_some_and(|map| map.values().all(is_kept))
            }
            "arch-include" => value
                .as_object()
                .is_some_and(|map| map.values().all(include)),
            "conditional-include" => value.as_array().unwrap().iter().all(|one| {
                let condition = one["if"].as_str().unwrap();
                let inlined = problems(&one["include"]);
                found.extend(inlined);
                ["x86_64", "aarch64"]
                    .iter()
                    .any(|arch| condition == format!("basearch == \"{arch}\""))
                    && one.as_object().unwrap().len() == 2
            }),
            _ => false,
        };
        if !is_good {
            found.push(format!("{key}: {value}"));
        }
    }
    found
}

#[test]
fn one_architecture_is_one_document() {
    let sandbox = sandbox();
    let out = sandbox.run(["export", "treefile", X86]).ok();
    insta::with_settings!({filters => [("[0-9a-f]{64}", "COMMIT")]}, {
        insta::assert_snapshot!(out.stdout, @r#"
        # Written by `ostree-go export treefile`. These refs have to be in the repository of
        # `rpm-ostree compose tree --unified-core`, or in that of its --layer-repo:
        #   go-sdk/x86_64/1.99.1
        ostree-layers:
          - "go-sdk/x86_64/1.99.1"
        add-commit-metadata:
          io.github.sdk.lang: "go"
          io.github.sdk.version: "v1.99.1"
          sdk.lang: "go"
          sdk.releases:
            - lang: "go"
              version: "1.99.1"
              arch: "amd64"
              ref: "go-sdk/x86_64/1.99.1"
              commit: "COMMIT"
              layers:
                common: "COMMIT"
                toolchain: "COMMIT"
                site: "COMMIT"
          sdk.version: "1.99.1"
        "#);
    });
    // The same again; a channel of the release; and from a repository of another mode.
    for rev in ["go-sdk/x86_64/1.99", &sandbox.rev(X86).unwrap()] {
        assert_eq!(
            sandbox.run(["export", "treefile", rev]).ok().stdout,
            out.stdout
        );
    }
    let json = sandbox
        .run(["export", "treefile", X86, "--syntax", "json"])
        .ok();
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(problems(&json), [""; 0]);
    assert_eq!(json["ostree-layers"], json!([X86]));
    let release = &json["add-commit-metadata"]["sdk.releases"][0];
    assert_eq!(release["commit"], sandbox.rev(X86).unwrap());
    if let Some(read) = yaml(&sandbox.write("a.yaml", &out.stdout)) {
        assert_eq!(read, json);
    }
    let out = sandbox
        .run(["export", "treefile", X86, "--override", "--format", "json"])
        .ok();
    let out: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(out["treefile"]["ostree-override-layers"], json!([X86]));
}

#[test]
fn both_architectures_become_conditions_or_files() {
    let sandbox = sandbox();
    let out = sandbox.run(["export", "treefile", "1.99.1"]).ok();
    let json = sandbox
        .run(["export", "treefile", "1.99.1", "--syntax", "json"])
        .ok();
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(problems(&json), [""; 0]);
    assert_eq!(json["conditional-include"].as_array().unwrap().len(), 2);
    if let Some(read) = yaml(&sandbox.write("a.yaml", &out.stdout)) {
        assert_eq!(read, json);
    }
    let one = sandbox
        .run(["export", "treefile", "1.99.1", "--arch", "x86_64"])
        .ok();
    assert_eq!(
        one.stdout,
        sandbox.run(["export", "treefile", X86]).ok().stdout
    );

    let out = sandbox
        .run([
            "export",
            "treefile",
            "1.99.1",
            "--output-dir",
            "manifests/go",
        ])
        .ok();
    assert_eq!(
        out.stdout,
        "manifests/go/go-sdk.yaml\nmanifests/go/go-sdk-x86_64.yaml\nmanifests/go/go-sdk-aarch64.yaml\n"
    );
    if let Some(read) = yaml(&sandbox.path("manifests/go/go-sdk.yaml")) {
        assert_eq!(
            read,
            json!({"arch-include": {"x86_64": "go-sdk-x86_64.yaml", "aarch64": "go-sdk-aarch64.yaml"}})
        );
        assert_eq!(problems(&read), [""; 0]);
        for arch in ["x86_64", "aarch64"] {
            let read = yaml(&sandbox.path(&format!("manifests/go/go-sdk-{arch}.yaml"))).unwrap();
            assert_eq!(problems(&read), [""; 0]);
            assert_eq!(
                read["ostree-layers"],
                json!([format!("go-sdk/{arch}/1.99.1")])
            );
        }
    }
}

#[test]
fn several_sdks_keep_their_order() {
    let sandbox = sandbox();
    sandbox.toys("1.98.7");
    sandbox.treefile("1.98.7", TOY_SOURCE);
    sandbox.compose([]);
    let out = sandbox
        .run([
            "export",
            "treefile",
            "1.99.1",
            "1.98.7",
            "--arch=x86_64",
            "--syntax=json",
        ])
        .ok();
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["ostree-layers"], json!([X86, "go-sdk/x86_64/1.98.7"]));
    let metadata = &json["add-commit-metadata"];
    assert_eq!(metadata["sdk.version"], Value::Null);
    assert_eq!(metadata["sdk.releases"][1]["version"], "1.98.7");
}

#[test]
fn std_caches_are_layers_after_their_release() {
    let sandbox = sandbox();
    let commits = commit_both(&sandbox.repo(), "1.99.1", "x86_64", 1_770_000_000);
    let export = |args: &[&str]| -> Value {
        let all = [&["export", "treefile", "--syntax=json"], args].concat();
        serde_json::from_str(&sandbox.run(all).ok().stdout).unwrap()
    };
    let [trimpath, plain] =
        ["trimpath", "plain"].map(|mode| format!("go-sdk/stdcache/1.99.1/x86_64-{mode}"));
    // The same for the channel, whose release is listed.
    for rev in [X86, "go-sdk/x86_64/1.99"] {
        let json = export(&[rev]);
        assert_eq!(problems(&json), [""; 0]);
        assert_eq!(json["ostree-layers"], json!([X86, trimpath, plain]));
        let metadata = &json["add-commit-metadata"];
        assert_eq!(metadata["sdk.version"], "1.99.1");
        let releases = &metadata["sdk.releases"];
        assert_eq!(releases[0]["ref"], X86);
        for (index, (mode, name)) in [("trimpath", &trimpath), ("plain", &plain)]
            .into_iter()
            .enumerate()
        {
            let entry = &releases[index + 1];
            assert_eq!(entry["stdcache"], format!("x86_64-{mode}"));
            assert_eq!(entry["ref"], name.as_str());
            assert_eq!(entry["commit"], commits[index].as_str());
        }
    }
    // Those of each architecture only.
    let json = export(&["1.99.1"]);
    let both = json["conditional-include"].as_array().unwrap();
    let lists = both.iter().map(|one| &one["include"]["ostree-layers"]);
    assert_eq!(
        lists.collect::<Vec<_>>(),
        [
            &json!([X86, trimpath, plain]),
            &json!(["go-sdk/aarch64/1.99.1"])
        ]
    );
    let json = export(&[X86, "--no-stdcache"]);
    assert_eq!(json["ostree-layers"], json!([X86]));
    // A ref that points to something else.
    let release = sandbox.rev(X86).unwrap();
    ostree(&sandbox.repo(), ["reset", &plain, &release]);
    let out = sandbox.run(["export", "treefile", X86]).exits(1);
    insta::assert_snapshot!(out.stderr, @"
    error: std cache go-sdk/stdcache/1.99.1/x86_64-plain cannot be exported: its commit is not this std cache
    hint: pull its ref completely, or use --no-stdcache to leave it out
    ");
}

#[test]
fn invalid_requests_are_refused() {
    let sandbox = sandbox();
    let refused = |args: &[&str]| {
        let out = sandbox.run(["export", "treefile"].iter().chain(args).copied());
        assert_ne!(out.code(), Some(0), "{args:?}");
        assert_eq!(out.stdout, "");
        let folder = sandbox.path("").display().to_string();
        out.stderr.replace(folder.trim_end_matches('/'), "DIR")
    };
    insta::with_settings!({filters => [("[0-9a-f]{64}", "COMMIT")]}, {
        insta::assert_snapshot!(refused(&["1.99.2"]), @"
        error: no ref or commit `1.99.2` in repository DIR/repo
        hint: did you mean `go-sdk/x86_64/1.99.1`?
        ");
        insta::assert_snapshot!(refused(&["1.99.1", "--arch=ppc64le"]), @"
        error: invalid value 'ppc64le' for '--arch <ARCH>': unknown architecture `ppc64le`, expected x86_64 or aarch64
        hint: `--help` lists the allowed arguments
        ");
        let layers = sandbox.refs();
        let layer = layers.iter().find(|name| name.contains("layer/common")).unwrap();
        insta::assert_snapshot!(refused(&[layer]), @"
        error: commit COMMIT is a layer, expected a release or a channel
        hint: `ostree-go list` shows releases and channels
        ");
        sandbox.write("file", "");
        insta::assert_snapshot!(refused(&[X86, "--output-dir=file/x"]), @"
        error: cannot create directory file/x
          Not a directory (os error 20)
        ");
        let commit = sandbox.rev(X86).unwrap();
        ostree_go_tests::ostree::ostree(&sandbox.repo(), ["refs", "--delete", X86]);
        insta::assert_snapshot!(refused(&[&commit]), @"error: no ref of the repository points to the release of commit COMMIT");
        sandbox.treefile("1.99.1", &format!("{TOY_SOURCE}\nadd-commit-metadata: {{ com.example.a: \"$${{x}}\" }}"));
        sandbox.compose(["--replace"]);
        insta::assert_snapshot!(refused(&[X86]), @"error: commit COMMIT has `${` in the metadata `com.example.a`, which rpm-ostree would expand as a variable");
    });
}
