//! Completions of values that only the machine knows.

use ostree_go_tests::cli::run;
use ostree_go_tests::host::Host;
use ostree_go_tests::webserver::FaultyServer;

/// Returns the candidates for the last of the words, as the script for bash asks for them.
fn complete(host: &Host, words: &[&str]) -> Vec<String> {
    let mut command = host.command(["--", "ostree-go"]);
    command.args(words);
    command
        .env("OSTREE_GO_COMPLETE", "bash")
        .env("_CLAP_IFS", "\n")
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "false")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    if !words.contains(&"show") {
        command.env_remove("OSTREE_REPO");
    }
    let out = run(&mut command).ok();
    assert_eq!(out.stderr, "");
    // Options are candidates for an empty word, too.
    let words = out.stdout.lines().map(str::trim);
    let words = words.filter(|word| !word.is_empty() && !word.starts_with('-'));
    let mut found: Vec<String> = words.map(str::to_owned).collect();
    found.sort();
    found
}

/// A host with an installed SDK and a remote that offers a newer one.
fn host_with_remote() -> (Host, FaultyServer) {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99").ok();
    host.release("1.99.2", 200);
    host.run(["publish"]).ok();
    let server = FaultyServer::serving(&host.sandbox.repo());
    let url = server.url();
    let mut add = host.command(["remote", "add", "acme", &url, "--no-gpg-verify"]);
    run(add.env_remove("OSTREE_REPO")).ok();
    (host, server)
}

#[test]
fn refs_deployments_remotes_and_architectures_are_completed() {
    let (host, _server) = host_with_remote();
    let complete = |words: &[&str]| complete(&host, words);
    for verb in ["use", "uninstall", "pin", "unpin", "env", "exec", "upgrade"] {
        assert_eq!(complete(&[verb, "1"]), ["1.99", "1.99.1"], "{verb}");
    }
    assert_eq!(complete(&["install", "1.99"]), ["1.99", "1.99.1", "1.99.2"]);
    assert_eq!(complete(&["install", "la"]), ["latest"]);
    let repo = host.sandbox.repo();
    let from = ["install", "--from-repo", repo.to_str().unwrap(), "1.99."];
    assert_eq!(complete(&from), ["1.99.1", "1.99.2"]);
    for words in [
        &["remote", "delete", ""][..],
        &["remote", "refs", "a"],
        &["install", "--remote", ""],
        &["pull", "ac"],
    ] {
        assert!(complete(words).contains(&"acme".to_owned()), "{words:?}");
    }
    assert_eq!(complete(&["install", "--arch", ""]), ["aarch64", "x86_64"]);
    assert_eq!(complete(&["show", "1.99."]), ["1.99.1", "1.99.2"]);
    let full = complete(&["show", "go-sdk/aarch64/1.99."]);
    assert_eq!(full, ["go-sdk/aarch64/1.99.1", "go-sdk/aarch64/1.99.2"]);
    let repo = host.root().join("repo");
    let there = ["--repo", repo.to_str().unwrap(), "show", "ostree-go/"];
    assert!(!complete(&there).is_empty());
}

#[test]
fn what_cannot_be_read_gives_no_candidates() {
    let host = Host::new();
    assert_eq!(complete(&host, &["use", ""]), Vec::<String>::new());
    assert_eq!(
        complete(&host, &["remote", "delete", ""]),
        Vec::<String>::new()
    );
    assert!(
        !host.root().exists(),
        "a completion created the root directory"
    );
    let (host, server) = host_with_remote();
    drop(server);
    assert_eq!(complete(&host, &["install", ""]), ["latest"]);
}
