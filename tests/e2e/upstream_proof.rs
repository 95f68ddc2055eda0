//! Proofs of releases that need no connection. Go's own packages verify them as well.

use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_sdk::glib::Variant;
use ostree_go_sdk::upstream::SUM_GOLANG_ORG;
use ostree_go_tests::cli::{Output, workspace};
use ostree_go_tests::ostree::{init, ostree};
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::sumdb::verify_proof;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;

const REF: &str = "go-sdk/x86_64/1.26.5";
const CHANNEL: &str = "go-sdk/x86_64/1.26";
const KEY: &str = "sdk.upstream-proof";

fn proof(sandbox: &Sandbox, rev: &str) -> String {
    let key = format!("--print-detached-metadata-key={KEY}");
    let text = ostree(&sandbox.repo(), ["show", &key, rev]);
    let text = Variant::parse(None, text.trim()).unwrap();
    text.str().unwrap().to_owned()
}

fn offline(sandbox: &Sandbox, rev: &str) -> Output {
    sandbox.run(["verify", rev, "--upstream", "--offline"])
}

/// Commits the tree of a commit with other metadata.
fn forge(sandbox: &Sandbox, version: &str, proof: &str) {
    let tree = format!("--tree=ref={REF}");
    let version = format!("--add-metadata-string=sdk.version={version}");
    let proof = format!("--add-detached-metadata-string={KEY}={proof}");
    let arch = "--add-metadata-string=ostree.architecture=x86_64";
    ostree(
        &sandbox.repo(),
        ["commit", "--branch=forged", &tree, &version, &proof, arch],
    );
}

#[test]
fn a_real_release_is_proven_without_a_connection() {
    let Some(sdk) = sdk("1.26.5", Arch::X86_64) else {
        return;
    };
    let sandbox = Sandbox::new();
    let database = FaultyServer::serving(&workspace().join("tests/sumdb"));
    let url = database.url();
    sandbox.treefile(
        "1.26.5",
        &format!(
            "arches: [x86_64]\nchannels: [\"go-sdk/${{basearch}}/1.26\"]\n{}",
            source(&sdk.tar_gz)
        ),
    );
    let words = ["compose", "go.yaml", "--upstream-proof", "--sumdb", &url];
    let out = sandbox
        .run([&words[..], &["--format", "json"]].concat())
        .ok();
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    let stored = json["upstream_proofs"].as_array().unwrap();
    let commits = [sandbox.rev(REF).unwrap(), sandbox.rev(CHANNEL).unwrap()];
    for (found, commit) in stored.iter().zip(&commits) {
        assert_eq!(found["commit"], **commit);
        assert_eq!(found["record"], 56_957_498);
        assert_eq!(found["tree_size"], 66_393_050);
        assert_eq!(found["new"], true);
    }
    assert_eq!(stored.len(), 2);
    drop(database);

    // Nobody is asked.
    assert_snapshot!(offline(&sandbox, REF).ok().stdout, @"
    upstream  golang.org/toolchain v0.0.1-go1.26.5.linux-amd64
    h1        h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=
    proof     record 56,957,498 of 66,393,050, signed by sum.golang.org+033de0ae
    proven    11,516 files in /usr/lib/sdk/go-1.26
    changed   /usr/lib/sdk/go-1.26/go.env: GOTOOLCHAIN=local
    added     /usr/bin/go
    added     /usr/bin/gofmt
    ");
    offline(&sandbox, CHANNEL).ok();
    let text = proof(&sandbox, REF);
    let said = verify_proof(&sdk, SUM_GOLANG_ORG, &text);
    assert_eq!(
        said,
        format!(
            "56957498 of 66393050\ngolang.org/toolchain v0.0.1-go1.26.5.linux-amd64 {}\ngolang.org/toolchain v0.0.1-go1.26.5.linux-amd64/go.mod h1:8wlg68NqwW7eMnI1aABk/C2pDYXj8mrMY4TyRfiLeS0=\n",
            sdk.h1
        )
    );

    // Publishing again and composing again keep the proofs, and need no database.
    let unreachable = "http://127.0.0.1:1";
    sandbox.run(["publish", "--history", "0"]).ok();
    let again = [
        "compose",
        "go.yaml",
        "--upstream-proof",
        "--sumdb",
        unreachable,
        "--format",
        "json",
    ];
    let json: Value = serde_json::from_str(&sandbox.run(again).ok().stdout).unwrap();
    assert_eq!(json["unchanged"], true);
    assert_eq!(json["upstream_proofs"][1]["new"], false);

    // The proof goes where the commit goes.
    let host = Sandbox::new();
    init(&host.repo(), "bare-user-only");
    let from = sandbox.repo();
    ostree(&host.repo(), ["pull-local", from.to_str().unwrap(), REF]);
    offline(&host, REF).ok();

    // Proofs that are not those of the release.
    let refused = |code| {
        let out = offline(&sandbox, "forged").exits(code);
        assert_eq!(out.stdout, "");
        let forged = sandbox.rev("forged").unwrap();
        out.stderr.replace(&forged, "[commit]")
    };
    forge(&sandbox, "1.26.4", &text);
    assert_snapshot!(refused(3), @"
    error: the proof in `sdk.upstream-proof` of commit [commit] cannot be verified
      record 56957498 does not contain golang.org/toolchain v0.0.1-go1.26.4.linux-amd64
    ");
    forge(&sandbox, "1.26.5", &text[..text.len() / 2]);
    assert_snapshot!(refused(1), @"
    error: the proof in `sdk.upstream-proof` of commit [commit] cannot be verified
      the proof has no blank line
    ");
    forge(
        &sandbox,
        "1.26.5",
        &text.replace("\n66393050\n", "\n66393049\n"),
    );
    assert_snapshot!(refused(3), @"
    error: the proof in `sdk.upstream-proof` of commit [commit] cannot be verified
      the head of the tree has no valid signature by sum.golang.org+033de0ae
    ");
    forge(
        &sandbox,
        "1.26.5",
        &text.replace("index 56957498", "index 56957499"),
    );
    assert_snapshot!(refused(3), @"
    error: the proof in `sdk.upstream-proof` of commit [commit] cannot be verified
      record 56957499 does not belong to the tree: its hash is af964d94056a5ae94aa4b150473eec7d9c5587527e6ba15666636898873ef3dd, expected 1e3f07d069b095a624e917abb221fec368595a94a2383191d6ea958c013ba77d
    ");
}

#[test]
fn releases_without_a_proof_and_with_other_content() {
    let sandbox = Sandbox::new();
    let toy = sandbox.path("toy.tar.gz");
    Toy::new(Arch::X86_64).version("1.26.5").tar_gz(&toy);
    sandbox.treefile("1.26.5", &format!("arches: [x86_64]\n{}", source(&toy)));
    let database = FaultyServer::serving(&workspace().join("tests/sumdb"));
    let url = database.url();
    let words = ["compose", "go.yaml", "--upstream-proof", "--sumdb", &url];
    let out = sandbox.run(words).exits(3);
    let said = "error: the release does not have the content of golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64";
    assert!(out.stderr.contains(said), "{out}");
    // Nothing was committed.
    assert_eq!(sandbox.refs(), [""; 0]);

    sandbox.compose([]);
    let commit = sandbox.rev(REF).unwrap();
    let said = offline(&sandbox, REF)
        .exits(1)
        .stderr
        .replace(&commit, "[commit]");
    assert_snapshot!(said, @"
    error: commit [commit] has no `sdk.upstream-proof` in its detached metadata
    hint: verify it with a connection, without --offline, or ask the publisher for `ostree-go publish --upstream-proof`
    ");
    let publish = [
        "publish",
        "--history",
        "0",
        "--upstream-proof",
        "--sumdb",
        &url,
    ];
    let said = sandbox.run(publish).exits(3).stderr;
    assert!(said.contains("error: the release does not have the content of golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64"), "{said}");
    assert!(!sandbox.repo().join("summary").exists());
}
