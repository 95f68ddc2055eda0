//! Remotes over https with private certificates, configured as with `ostree remote add --set`.

use ostree_go_tests::certificates::Certificates;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::pull_fixture::{PullFixture, REF};
use ostree_go_tests::tools::require;
use std::path::Path;
use std::process::Command;

/// Creates a TLS server, and a fixture whose host has it as the remote `tls`.
fn fixture(more: &str) -> Option<(PullFixture, Nginx, Certificates)> {
    let certificates = Certificates::new()?;
    let fixture = PullFixture::new();
    let file = |name: &str| certificates.text(name);
    let more = more.replace("FOLDER/", &file(""));
    let server = Nginx::start_https(&format!(
        "ssl_certificate {}; ssl_certificate_key {}; {more}",
        file("server.pem"),
        file("server.key")
    ))?;
    let www = server.path("repo");
    run(Command::new("cp")
        .arg("-a")
        .args([&fixture.publisher.repo(), &www]))
    .ok();
    let keys = fixture.gpg.export(&fixture.key);
    let url = format!("{}/repo", server.url());
    let import = keys.to_str().expect("UTF-8");
    fixture
        .host
        .run(["remote", "add", "tls", &url, "--gpg-import", import])
        .ok();
    Some((fixture, server, certificates))
}

/// Sets an option of the remote with the stock command.
fn set(fixture: &PullFixture, option: &str, file: &Path) {
    let (section, value) = (r#"remote "tls"."#, file.to_str().expect("UTF-8"));
    ostree(
        &fixture.host.repo(),
        ["config", "set", &format!("{section}{option}"), value],
    );
}

fn pull(fixture: &PullFixture) -> Output {
    fixture.host.run(["pull", "tls", REF, "--retries", "0"])
}

#[test]
fn a_private_certificate_authority() {
    let Some((fixture, server, certificates)) = fixture("") else {
        return;
    };
    let refused = pull(&fixture).exits(75);
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    set(&fixture, "tls-ca-path", &certificates.path("stranger.pem"));
    pull(&fixture).exits(75);
    assert_eq!(server.requests(), [""; 0], "nothing was asked of it");
    set(&fixture, "tls-ca-path", &certificates.path("ca.pem"));
    pull(&fixture).ok();
    fixture.host.fsck();
    set(&fixture, "tls-ca-path", &certificates.path("gone.pem"));
    let missing = pull(&fixture).exits(1);
    assert!(missing.stderr.contains("gone.pem"), "{}", missing.stderr);
}

#[test]
fn a_client_certificate() {
    let demand = "ssl_client_certificate FOLDER/ca.pem; ssl_verify_client on;";
    let Some((fixture, _server, certificates)) = fixture(demand) else {
        return;
    };
    set(&fixture, "tls-ca-path", &certificates.path("ca.pem"));
    pull(&fixture).exits(1);
    for (name, code) in [("stranger", 1), ("client", 0)] {
        let file = |end: &str| certificates.path(&format!("{name}.{end}"));
        set(&fixture, "tls-client-cert-path", &file("pem"));
        set(&fixture, "tls-client-key-path", &file("key"));
        pull(&fixture).exits(code);
    }
    fixture.host.fsck();
}

#[test]
fn tls_permissive_disables_certificate_verification() {
    let Some((fixture, _server, _certificates)) = fixture("") else {
        return;
    };
    set(&fixture, "tls-permissive", Path::new("true"));
    pull(&fixture).ok();
}

#[test]
fn a_redirect_to_an_address_without_encryption_is_refused() {
    let more = "location ~ filez$ { return 302 http://127.0.0.1:1$uri; }";
    let Some((fixture, _server, certificates)) = fixture(more) else {
        return;
    };
    set(&fixture, "tls-ca-path", &certificates.path("ca.pem"));
    let out = pull(&fixture).exits(75);
    let expected = "redirects to an unencrypted address";
    assert!(out.stderr.contains(expected), "{}", out.stderr);
    fixture.assert_intact(&[]);
}

#[test]
fn a_certificate_of_the_future_is_a_matter_of_the_clock() {
    let Some(faketime) = require("faketime") else {
        return;
    };
    let Some((fixture, _server, certificates)) = fixture("") else {
        return;
    };
    set(&fixture, "tls-ca-path", &certificates.path("ca.pem"));
    let pull = fixture
        .host
        .ostree_go(["pull", "tls", REF, "--retries", "0"]);
    let mut command = Command::new(faketime);
    command.arg("2020-01-01 12:00:00");
    command.arg(pull.get_program()).args(pull.get_args());
    command.current_dir(fixture.host.path("")).env_clear();
    command.envs(
        pull.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    // Only the time of day is changed, not the clock that timeouts are measured with.
    command
        .env("DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let out = run(&mut command).exits(75);
    assert!(out.stderr.contains("hint: set the clock"), "{}", out.stderr);
}
