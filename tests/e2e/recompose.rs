//! `verify --recompose`: a release is composed again from its recipe and a source, and the commits are compared.

use crate::json::undocumented;
use insta::assert_snapshot;
use ostree_go_sdk::glib::VariantDict;
use ostree_go_sdk::glib::prelude::*;
use ostree_go_sdk::{Arch, gio, ostree as libostree};
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::fake_bwrap;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::state::State;
use ostree_go_tests::tools;
use ostree_go_tests::toy::Toy;
use serde_json::{Value, json};
use std::fs;

const REF: &str = "go-sdk/x86_64/1.99.1";
const KEY: &str = "sdk.recipe";

/// Returns a sandbox with composed toy SDKs, one file from this machine, and one from the treefile.
fn composed(lines: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.toys("1.99.1");
    sandbox.write("motd", "from the machine of the compose\n");
    let site = "layers:\n  site:\n    add-files:\n      - { path: /etc/motd, from: motd }\n      \
        - { path: /etc/price, content: \"$$5\\n\" }\n";
    sandbox.treefile("1.99.1", &format!("{TOY_SOURCE}\n{site}{lines}"));
    let metadata = ["--add-metadata-string", "com.example.build=7"];
    sandbox.compose([&metadata[..], &["--no-stdcache"]].concat());
    sandbox
}

fn verify<'a>(sandbox: &Sandbox, args: impl IntoIterator<Item = &'a str>) -> Output {
    let command = ["verify", REF, "--recompose"].into_iter();
    let mut command = sandbox.ostree_go(command.chain(args));
    fs::create_dir_all(sandbox.path("tmp")).unwrap();
    command.env("TMPDIR", sandbox.path("tmp"));
    command.env("XDG_CACHE_HOME", sandbox.path("cache"));
    let out = run(&mut command);
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 0);
    out
}

#[track_caller]
fn verify_json(sandbox: &Sandbox, args: &[&str], code: i32) -> Value {
    let all = [&["--format", "json"], args].concat();
    let out = verify(sandbox, all).exits(code);
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(undocumented("verify", &document["recompose"]), [""; 0]);
    document["recompose"].clone()
}

/// Returns the recipe beside the commit of a ref, according to the stock command.
fn recipe(sandbox: &Sandbox, name: &str) -> String {
    let key = format!("--print-detached-metadata-key={KEY}");
    let text = ostree(&sandbox.repo(), ["show", &key, name]);
    let variant = ostree_go_sdk::glib::Variant::parse(None, text.trim()).unwrap();
    variant.str().unwrap().to_owned()
}

/// Replaces the recipe with libostree, or removes it.
fn set_recipe(sandbox: &Sandbox, text: Option<&str>) {
    let repo = libostree::Repo::new_for_path(sandbox.repo());
    repo.open(gio::Cancellable::NONE).unwrap();
    let commit = sandbox.rev(REF).unwrap();
    let before = repo.read_commit_detached_metadata(&commit, gio::Cancellable::NONE);
    let dict = VariantDict::new(before.unwrap().as_ref());
    dict.remove(KEY);
    if let Some(text) = text {
        dict.insert_value(KEY, &text.to_variant());
    }
    repo.write_commit_detached_metadata(&commit, Some(&dict.end()), gio::Cancellable::NONE)
        .unwrap();
}

/// Changes the recipe.
fn lie(sandbox: &Sandbox, change: impl Fn(&mut Value)) {
    let mut json: Value = serde_json::from_str(&recipe(sandbox, REF)).unwrap();
    change(&mut json);
    set_recipe(sandbox, Some(&json.to_string()));
}

/// Returns the names of the properties that differ.
fn keys(found: &Value) -> Vec<&str> {
    let differences = found["release"]["differences"].as_array().unwrap().iter();
    differences
        .map(|one| one["key"].as_str().unwrap())
        .collect()
}

#[test]
fn a_release_is_composed_again_from_every_form_of_its_source() {
    let sandbox = composed("");
    // Nothing of the machine of the compose is used.
    fs::remove_file(sandbox.path("motd")).unwrap();
    fs::remove_file(sandbox.path("go.yaml")).unwrap();
    let before = State::of(&sandbox.repo());
    let toy = Toy::new(Arch::X86_64);
    toy.dir(&sandbox.path("sdk"));
    toy.zip(&sandbox.path("sdk.zip"));
    let url = format!("file://{}", sandbox.path("toy-amd64.tar.gz").display());
    for source in ["toy-amd64.tar.gz", "sdk", "sdk.zip", &url] {
        let found = verify_json(&sandbox, &["--source", source], 0);
        assert_eq!(found["identical"], true, "{source}: {found:#}");
        let commit = sandbox.rev(REF).unwrap();
        assert_eq!(found["release"]["expected"], *commit);
        assert_eq!(found["release"]["found"], *commit);
    }
    State::of(&sandbox.repo()).assert_is(&before);
    let said = verify(&sandbox, ["--source", "toy-amd64.tar.gz"])
        .ok()
        .stdout;
    let said = said.replace(&sandbox.rev(REF).unwrap(), "[commit]");
    let h1 = ostree(
        &sandbox.repo(),
        ["show", "--print-metadata-key=sdk.h1", REF],
    );
    let said = said.replace(h1.trim().trim_matches('\''), "[h1]");
    assert_snapshot!(said, @"
    source    toy-amd64.tar.gz (tar.gz)
    h1        [h1]
    identical release [commit]
    ");
}

#[test]
fn a_recipe_does_not_depend_on_the_form_of_the_source_and_names_nothing_local() {
    let sandbox = composed("channels: [\"go-sdk/${basearch}/1.99\"]\nstdcache: {}");
    let text = recipe(&sandbox, REF);
    let folder = sandbox.path("").display().to_string();
    for secret in [
        &folder[..],
        "toy-amd64",
        "motd\":",
        "stdcache",
        "channels",
        "/1.99\"",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.len() < 2000, "{} bytes", text.len());
    // The same from a directory, in another repository.
    let other = Sandbox::new();
    for arch in Arch::ALL {
        Toy::new(arch).dir(&other.path(&format!("toy-{}.tar.gz", arch.goarch())));
    }
    other.write("motd", "from the machine of the compose\n");
    fs::copy(sandbox.path("go.yaml"), other.path("go.yaml")).unwrap();
    other.compose([
        "--no-stdcache",
        "--add-metadata-string",
        "com.example.build=7",
    ]);
    assert_eq!(recipe(&other, REF), text);
    // A channel has the recipe of its release, and an unchanged release is not composed again.
    let args = [
        "verify",
        "go-sdk/x86_64/1.99",
        "--recompose",
        "--source",
        "toy-amd64.tar.gz",
    ];
    sandbox.run(args).ok();
    let before = State::of(&sandbox.repo());
    let args = [
        "--no-stdcache",
        "--add-metadata-string",
        "com.example.build=7",
    ];
    sandbox.compose(args);
    State::of(&sandbox.repo()).assert_is(&before);
}

#[test]
fn a_recipe_that_lies_gives_another_commit() {
    let sandbox = composed("");
    let honest = recipe(&sandbox, REF);
    let source = ["--source", "toy-amd64.tar.gz"];

    lie(&sandbox, |json| json["options"]["timestamp"] = 1.into());
    let found = verify_json(&sandbox, &source, 3);
    assert_eq!(found["identical"], false);
    assert_eq!(keys(&found), ["timestamp"]);
    assert_eq!(found["release"]["differences"][0]["found"], 1);
    let said = verify(&sandbox, source).exits(3).stdout;
    assert!(
        said.contains("changed   timestamp: composed 1, expected 1767323045\n"),
        "{said}"
    );

    set_recipe(&sandbox, Some(&honest));
    lie(&sandbox, |json| {
        json["treefile"]["layers"]["toolchain"]["include"] = json!(["bin", "pkg/tool", "LICENSE"]);
        json["treefile"]["layers"]["common"]["include"] =
            json!(["VERSION", "go.env", "lib", "pkg/include", "src"]);
    });
    let found = verify_json(&sandbox, &source, 3);
    assert_eq!(keys(&found), ["sdk.layers"]);
    assert_eq!(found["release"]["diff"]["changes"], json!([]));

    set_recipe(&sandbox, Some(&honest));
    lie(&sandbox, |json| {
        let files = json["treefile"]["layers"]["site"]["add-files"].as_array_mut();
        files.unwrap()[1]["content"] = "6\n".into();
    });
    let found = verify_json(&sandbox, &source, 3);
    assert_eq!(found["release"]["diff"]["changed"], 1);
    assert_eq!(found["release"]["diff"]["changes"][0]["path"], "/etc/price");

    // Another source.
    set_recipe(&sandbox, Some(&honest));
    let other = Toy::new(Arch::X86_64).with("src/fmt/print.go", "package other\n");
    other.tar_gz(&sandbox.path("other.tar.gz"));
    let out = verify(&sandbox, ["--source", "other.tar.gz"]).exits(3);
    assert!(
        out.stderr.contains("\n  content of other.tar.gz has h1:"),
        "{out}"
    );
    lie(&sandbox, |json| {
        json["treefile"].as_object_mut().unwrap().remove("pin");
    });
    let found = verify_json(&sandbox, &["--source", "other.tar.gz"], 3);
    assert_eq!(
        found["release"]["diff"]["changes"][0]["path"],
        "/usr/lib/sdk/go-1.99/src/fmt/print.go"
    );
}

#[test]
fn recipes_that_cannot_be_used() {
    let sandbox = composed("");
    let honest = recipe(&sandbox, REF);
    let commit = sandbox.rev(REF).unwrap();
    let refused = |text: Option<&str>| {
        set_recipe(&sandbox, text);
        let out = verify(&sandbox, ["--source", "toy-amd64.tar.gz"]).exits(1);
        assert_eq!(out.stdout, "");
        out.stderr.replace(&commit, "[commit]")
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut json: Value = serde_json::from_str(&honest).unwrap();
        change(&mut json);
        refused(Some(&json.to_string()))
    };
    assert_snapshot!(refused(None), @"
    error: release [commit] has no recipe
    hint: its publisher adds the recipe with `ostree-go compose --force-nocache`
    ");
    assert_snapshot!(changed(&|json| json["format"] = 9.into()), @"
    error: cannot use the recipe of release [commit]
      the recipe has format 9, expected 1
    ");
    assert_snapshot!(changed(&|json| {
        let file = &mut json["treefile"]["layers"]["site"]["add-files"][0];
        file["from"] = "/etc/shadow".into();
    }), @"
    error: cannot use the recipe of release [commit]
      the recipe copies a file of this machine to `/etc/motd`
    ");
    assert_snapshot!(changed(&|json| json["treefile"]["source"] = json!([])), @"
    error: cannot use the recipe of release [commit]
      the treefile of the recipe has the key `source`, which recipes cannot have
    ");
    assert_snapshot!(changed(&|json| json["treefile"]["arches"] = json!(["x86_64", "aarch64"])), @"
    error: cannot use the recipe of release [commit]
      the treefile of the recipe is invalid: sdk.recipe:1: ref: `go-sdk/x86_64/1.99.1` is the ref of both x86_64 and aarch64, expected `${basearch}` in it
    ");
    for text in [
        "",
        "{",
        "[]",
        &honest[..honest.len() - 2],
        &" ".repeat(300_000),
    ] {
        let said = refused(Some(text));
        assert!(
            said.starts_with("error: cannot use the recipe of release [commit]\n  the recipe "),
            "{said}"
        );
    }
}

#[test]
fn sources_that_cannot_be_used() {
    let sandbox = composed("");
    let out = verify(&sandbox, ["--source", "missing.tar.gz"]).exits(1);
    let said = out.stderr.replace(&sandbox.rev(REF).unwrap(), "[commit]");
    assert_snapshot!(said, @"
    error: cannot compose release [commit] again
      cannot read missing.tar.gz: No such file or directory (os error 2)
    ");
    let layer = sandbox
        .refs()
        .into_iter()
        .find(|name| name.contains("/layer/toolchain/"));
    let layer = layer.unwrap();
    let out = sandbox.run(["verify", &layer, "--recompose"]).exits(1);
    let said = out
        .stderr
        .replace(&sandbox.rev(&layer).unwrap(), "[commit]");
    assert_snapshot!(said, @"
    error: commit [commit] is no release but a layer
    hint: `ostree-go list` shows releases and channels
    ");
}

#[test]
fn std_caches_are_built_again() {
    let Some(arch) = Arch::host() else {
        tools::skip("there is no SDK for this machine");
        return;
    };
    let sandbox = Sandbox::with_toys("stdcache: { targets: [x86_64], modes: [trimpath] }");
    let with_bwrap = |args: &[&str], content: &str| {
        let mut command = sandbox.ostree_go(args.iter().copied());
        fake_bwrap::put_before(&mut command, &sandbox.path("bin"));
        run(command.env("CONTENT", content))
    };
    with_bwrap(&["compose", "go.yaml"], "fmt").ok();
    let name = format!("go-sdk/{arch}/1.99.1");
    let source = format!("toy-{}.tar.gz", arch.goarch());
    let args = [
        "verify",
        &name,
        "--recompose",
        "--source",
        &source,
        "--format",
        "json",
    ];
    let json = |out: Output| -> Value {
        let document: Value = serde_json::from_str(&out.stdout).unwrap();
        assert_eq!(undocumented("verify", &document["recompose"]), [""; 0]);
        document["recompose"].clone()
    };
    let found = json(with_bwrap(&args, "fmt").ok());
    assert_eq!(found["std_caches"][0]["id"], "x86_64-trimpath");
    assert_eq!(found["identical"], true);
    let found = json(with_bwrap(&args, "other").exits(3));
    assert_eq!(found["identical"], false);
    assert_eq!(found["release"]["expected"], found["release"]["found"]);
    let without = [&args[..], &["--no-stdcache"]].concat();
    let found = json(with_bwrap(&without, "other").ok());
    assert_eq!(
        found["skipped_std_caches"],
        json!(["go-sdk/stdcache/1.99.1/x86_64-trimpath"])
    );
    // Only an SDK that runs on this machine builds them.
    let other = Arch::ALL.into_iter().find(|one| *one != arch).unwrap();
    let (name, source) = (
        format!("go-sdk/{other}/1.99.1"),
        format!("toy-{}.tar.gz", other.goarch()),
    );
    let args = [
        "verify",
        &name,
        "--recompose",
        "--source",
        &source,
        "--format",
        "json",
    ];
    let found = json(with_bwrap(&args, "other").ok());
    assert_eq!(found["std_caches"], json!([]));
    assert_eq!(found["skipped_std_caches"].as_array().unwrap().len(), 1);
}
