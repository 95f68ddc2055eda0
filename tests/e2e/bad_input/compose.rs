//! Input that is well-formed but inconsistent: layers, releases, metadata, arguments.

use super::{Bad, TOY, refused};
use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::run;
use ostree_go_tests::sandbox::source;
use ostree_go_tests::state::State;
use ostree_go_tests::toy::Toy;

const X86: &str = "go-sdk/x86_64/1.99.1";

#[test]
fn layers_that_conflict() {
    let bad = Bad::new();
    let layers = |upper: &str| {
        let file = |text| format!("add-files: [{{ path: /etc/motd, content: {text} }}]");
        let lines = format!(
            "ref: go-sdk/test/${{version}}\nlayers:\n  one: {{ {} }}\n  two: {{ {}{upper} }}",
            file("one"),
            file("two")
        );
        bad.treefile(TOY, &bad.sandbox.path("x86_64.tar.gz"), &lines);
    };
    layers("");
    assert_snapshot!(bad.compose([], 1), @"
    error: layers `one` and `two` both have `/etc/motd`, with different content
    hint: set `override: true` on layer `two` to let its files replace those of lower layers
    ");
    layers(", override: true");
    bad.sandbox.compose([]);
    let tree = bad.sandbox.checkout("go-sdk/test/1.99.1", "tree");
    assert_eq!(
        std::fs::read_to_string(tree.join("etc/motd")).unwrap(),
        "two"
    );
}

#[test]
fn a_path_in_no_layer() {
    let bad = Bad::new();
    let archive = bad.sandbox.path("more.tar.gz");
    Toy::new(Arch::X86_64)
        .with("new/file", "new")
        .tar_gz(&archive);
    bad.treefile(TOY, &archive, "");
    assert_snapshot!(bad.compose([], 1), @"
    error: path `new/file` of more.tar.gz is neither in a layer nor excluded
    hint: add it to a layer's `include` or to `exclude`
    ");
}

#[test]
fn layers_and_architectures() {
    let bad = Bad::new();
    for arch in Arch::ALL {
        let toy = Toy::new(arch)
            .version("1.99.2")
            .with("src/arch.go", arch.goarch());
        toy.tar_gz(&bad.sandbox.path(&format!("{arch}-2.tar.gz")));
    }
    bad.sandbox
        .treefile("1.99.2", &source(&bad.sandbox.path("${basearch}-2.tar.gz")));
    assert_snapshot!(bad.compose([], 1), @"
    error: layer `common` is marked noarch, but `/usr/lib/sdk/go-1.99/src/arch.go` differs between x86_64 and aarch64
    hint: move the files that differ to a layer that is not noarch
    ");

    let equal = "layers:\n  text: { include: [LICENSE] }\n  common: { include: [LICENSE] }";
    for arch in Arch::ALL {
        Toy::new(arch)
            .version("1.99.2")
            .tar_gz(&bad.sandbox.path(&format!("{arch}-2.tar.gz")));
    }
    let lines = format!(
        "{}\n{equal}",
        source(&bad.sandbox.path("${basearch}-2.tar.gz"))
    );
    let text = format!(
        "version: 1.99.2\n{lines}\nexclude: [api, bin, doc, go.env, lib, misc, pkg, src, test, VERSION]\n"
    );
    let text = text.replace("  common: { include: [LICENSE] }", "");
    bad.sandbox.write("go.yaml", &text);
    assert_snapshot!(bad.compose([], 1), @"
    error: layer `text` has the same content as another commit on go-sdk/layer/text/[sha256]: found [sha256], expected [sha256]
    hint: set `noarch: true` on the layer, so that all architectures share it
    ");
}

#[test]
fn a_release_that_exists() {
    let bad = Bad::new();
    let archive = bad.sandbox.path("other.tar.gz");
    Toy::new(Arch::X86_64)
        .with("src/new.go", "package new")
        .tar_gz(&archive);
    bad.treefile(TOY, &archive, "");
    assert_snapshot!(bad.compose([], 1), @"
    error: release go-sdk/x86_64/1.99.1 exists with other content: found commit [sha256], expected [sha256]
    hint: the ref of a release never moves; compose another version, or use --replace if the release has not been published
    ");
    let before = bad.sandbox.rev(X86);
    let commits = bad.sandbox.compose(["--replace"]);
    assert_ne!(bad.sandbox.rev(X86), before);
    assert_eq!(bad.sandbox.rev(X86).as_ref(), commits.first());
    bad.sandbox.fsck();
}

#[test]
fn reserved_metadata() {
    let bad = Bad::new();
    let said = bad.compose(["--add-metadata-string", "sdk.version=1"], 1);
    assert_snapshot!(said, @"
    error: metadata key `sdk.version` is set by the compose and cannot be added
    hint: use a key that starts with your own domain name
    ");
    bad.sandbox
        .write("meta.json", "{\"ostree.ref-binding\": []}");
    assert_snapshot!(bad.compose(["--add-metadata-from-json", "meta.json"], 1), @"
    error: metadata key `ostree.ref-binding` is set by the compose and cannot be added
    hint: use a key that starts with your own domain name
    ");
}

#[test]
fn metadata_that_cannot_be_read() {
    let bad = Bad::new();
    assert_snapshot!(bad.compose(["--add-metadata-from-json", "no.json"], 1), @"
    error: cannot read metadata from no.json
      No such file or directory (os error 2)
    ");
    bad.sandbox.write("meta.json", "{");
    assert_snapshot!(bad.compose(["--add-metadata-from-json", "meta.json"], 1), @"
    error: cannot read metadata from meta.json
      EOF while parsing an object at line 1 column 1
    ");
    assert_snapshot!(bad.compose(["--add-metadata-string", "novalue"], 2), @"
    error: invalid value 'novalue' for '--add-metadata-string <KEY=VALUE>': expected KEY=VALUE
    hint: `--help` lists the allowed arguments
    ");
}

#[test]
fn a_file_to_add_is_missing() {
    let bad = Bad::new();
    let site = "layers: { site: { add-files: [{ path: /etc/motd, from: motd }] } }";
    bad.treefile("1.99.1", &bad.sandbox.path("x86_64.tar.gz"), site);
    assert_snapshot!(bad.compose([], 1), @"
    error: cannot read motd, which layer `site` adds
      No such file or directory (os error 2)
    ");
}

#[test]
fn a_parent_that_does_not_exist() {
    let bad = Bad::new();
    assert_snapshot!(bad.compose(["--parent", "go-sdk/x86_64/1.99.2"], 1), @"
    error: no ref or commit `go-sdk/x86_64/1.99.2` in repository [dir]/repo
    hint: did you mean `go-sdk/x86_64/1.99.1`?
    ");
    assert_snapshot!(bad.compose(["--parent", "something"], 1), @"
    error: no ref or commit `something` in repository [dir]/repo
    hint: `ostree-go list` shows the existing refs
    ");
}

#[test]
fn arguments() {
    let bad = Bad::new();
    assert_snapshot!(bad.compose(["--arch", "sparc"], 2), @"
    error: invalid value 'sparc' for '--arch <ARCH>': unknown architecture `sparc`, expected x86_64 or aarch64
    hint: `--help` lists the allowed arguments
    ");
    assert_snapshot!(bad.compose(["--forse"], 2), @"
    error: unexpected argument '--forse' found
    hint: a similar argument exists: '--force-nocache'
    ");
    let mut command = bad.sandbox.ostree_go(["compose"]);
    assert_snapshot!(bad.refuse(&mut command, 2), @"
    error: the following required arguments were not provided: <TREEFILE>...
    hint: usage: ostree-go compose --repo <PATH> <TREEFILE>...
    ");
    let mut command = bad.sandbox.ostree_go(["fsk"]);
    assert_snapshot!(bad.refuse(&mut command, 2), @"
    error: unrecognized subcommand 'fsk'
    hint: a similar subcommand exists: 'fsck'
    ");
}

#[test]
fn errors_in_json() {
    let bad = Bad::new();
    let json = |args: &[&str], code| {
        let args = args.iter().copied().chain(["--format", "json"]);
        let out = bad.sandbox.run(args).exits(code);
        let document: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
        format!("{document:#}")
    };
    assert_snapshot!(json(&["list", "--repo", "missing"], 1), @r#"
    {
      "schema": 1,
      "error": {
        "kind": "not-found",
        "message": "no repository at missing",
        "cause": null,
        "hint": "create one with `ostree-go compose` or `ostree-go init --repo missing`"
      }
    }
    "#);
    assert_snapshot!(json(&["compose", "go.yaml", "--arch", "sparc"], 2), @r#"
    {
      "schema": 1,
      "error": {
        "kind": "invalid-input",
        "message": "invalid value 'sparc' for '--arch <ARCH>': unknown architecture `sparc`, expected x86_64 or aarch64",
        "cause": null,
        "hint": "`--help` lists the allowed arguments"
      }
    }
    "#);
    assert_snapshot!(json(&["compose", "missing.yaml"], 1), @r#"
    {
      "schema": 1,
      "error": {
        "kind": "not-found",
        "message": "missing.yaml: cannot read the treefile",
        "cause": "No such file or directory (os error 2)",
        "hint": null
      }
    }
    "#);
}

#[test]
fn an_invalid_timestamp() {
    let bad = Bad::without_repo();
    bad.sandbox
        .treefile(TOY, &source(&bad.sandbox.path("${basearch}.tar.gz")));
    for time in ["yesterday", "-1", "1.5", "99999999999999999999"] {
        let mut command = bad.sandbox.ostree_go(["compose", "go.yaml"]);
        let said = refused(run(command.env("SOURCE_DATE_EPOCH", time)), 2);
        assert!(said.contains(time), "{said}");
        if time == "yesterday" {
            assert_snapshot!(said, @"error: SOURCE_DATE_EPOCH is `yesterday`, expected seconds since 1970");
        }
    }
    assert!(!bad.sandbox.repo().exists(), "nothing is made");
}

#[test]
fn invalid_repositories() {
    let bad = Bad::new();
    let mut command = bad.sandbox.ostree_go(["compose", "go.yaml"]);
    assert_snapshot!(bad.refuse(command.env_remove("OSTREE_REPO"), 2), @"
    error: no repository given
    hint: specify one with --repo PATH or OSTREE_REPO; `ostree-go status` shows what is installed on this machine, and `ostree-go remote refs` what its remotes offer
    ");
    let mut command = bad.sandbox.ostree_go(["list", "--repo", "missing"]);
    assert_snapshot!(bad.refuse(&mut command, 1), @"
    error: no repository at missing
    hint: create one with `ostree-go compose` or `ostree-go init --repo missing`
    ");
    bad.sandbox.write("folder/file", "");
    let mut command = bad
        .sandbox
        .ostree_go(["compose", "go.yaml", "--repo", "folder"]);
    assert_snapshot!(bad.refuse(&mut command, 1), @"
    error: folder is not an OSTree repository: it has no `config`
    hint: a repository can only be created in a directory that is empty or does not exist
    ");
    let mut command = bad.sandbox.ostree_go(["list", "--repo", "go.yaml"]);
    assert_snapshot!(bad.refuse(&mut command, 1), @"
    error: go.yaml is not an OSTree repository: it has no `config`
    hint: a repository can only be created in a directory that is empty or does not exist
    ");
    let files = std::fs::read_dir(bad.sandbox.path("folder"))
        .unwrap()
        .count();
    assert_eq!(
        files, 1,
        "nothing is added to a folder that is no repository"
    );
    drop(State::of(&bad.sandbox.repo()));
}
