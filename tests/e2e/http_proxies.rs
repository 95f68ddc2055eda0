//! Requests through real HTTP proxies with their default rules, by every client of the command.

use ostree_go_sdk::Arch;
use ostree_go_tests::certificates::Certificates;
use ostree_go_tests::cli::{Output, run, workspace};
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::proxies::HttpProxy;
use ostree_go_tests::pull_fixture::{PullFixture, REF};
use ostree_go_tests::registry_fixture::RegistryFixture;
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::server::Server;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::FaultyServer;
use serde_json::json;
use std::fs;
use std::process::Command;

const ARCHIVE: &str = "dl/go1.99.1.linux-amd64.tar.gz";
const MODULE: &str = "golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-amd64.zip";

/// Returns a server with a toy SDK as an archive, in an index of downloads, and as a module.
fn downloads() -> Server {
    let folder = Sandbox::new();
    let (archive, module) = (folder.path("toy.tar.gz"), folder.path("toy.zip"));
    Toy::new(Arch::X86_64).tar_gz(&archive);
    Toy::new(Arch::X86_64).module_zip(&module);
    let archive = fs::read(archive).unwrap();
    let files = [(ARCHIVE.to_owned(), archive.clone())];
    let digest = Server::start(files.clone()).sha256(ARCHIVE);
    let index = json!([{"version": "go1.99.1", "stable": true, "files": [{
        "filename": "go1.99.1.linux-amd64.tar.gz", "os": "linux", "arch": "amd64",
        "version": "go1.99.1", "sha256": digest, "size": archive.len(), "kind": "archive",
    }]}]);
    Server::start(files.into_iter().chain([
        (
            "dl/?mode=json&include=all".to_owned(),
            index.to_string().into_bytes(),
        ),
        (format!("proxy/{MODULE}"), fs::read(module).unwrap()),
    ]))
}

/// Composes a toy SDK from a source, and returns the output.
fn compose(source: &str, change: impl Fn(&mut Command)) -> Output {
    let sandbox = Sandbox::new();
    sandbox.treefile("1.99.1", &format!("arches: [x86_64]\nsource: [{source}]"));
    let mut command = sandbox.ostree_go(["compose", "go.yaml", "--cachedir=cache"]);
    change(&mut command);
    run(&mut command)
}

#[test]
fn every_client_sends_plain_requests_in_absolute_form() {
    let Some(squid) = HttpProxy::squid(&[]) else {
        return;
    };
    let through = |command: &mut Command| {
        command.env("http_proxy", format!("http://{}", squid.host()));
    };
    let mut servers = Vec::new();

    let downloads = downloads();
    let digest = downloads.sha256(ARCHIVE);
    let url = downloads.url(ARCHIVE);
    compose(&format!("{{ url: \"{url}\", sha256: {digest} }}"), through).ok();
    compose(
        &format!("{{ index: \"{}\" }}", downloads.url("dl/")),
        through,
    )
    .ok();
    compose("{ module: golang.org/toolchain }", |command| {
        through(command);
        command
            .arg("--no-sumdb")
            .env("GOPROXY", downloads.url("proxy"));
    })
    .ok();
    servers.extend([ARCHIVE, "dl/?", "proxy/"].map(|path| downloads.url(path)));

    let fixture = PullFixture::new();
    let mut pull = fixture.host.ostree_go(["pull", REF]);
    through(&mut pull);
    run(&mut pull).ok();
    fixture.assert_intact(&[&format!("acme:{REF}")]);
    servers.push(fixture.server.url());

    let registry = RegistryFixture::new();
    let mut pull = registry.host.ostree_go(["pull", "go-sdk/x86_64/1.99"]);
    through(&mut pull);
    run(&mut pull).ok();
    servers.push(registry.server.url());

    // The database's answer proves that the toy is not Go's release.
    let sandbox = Sandbox::new();
    let toy = sandbox.path("toy.tar.gz");
    Toy::new(Arch::X86_64).version("1.26.5").tar_gz(&toy);
    sandbox.treefile("1.26.5", &format!("arches: [x86_64]\n{}", source(&toy)));
    sandbox.compose([]);
    let database = FaultyServer::serving(&workspace().join("tests/sumdb"));
    let url = database.url();
    let args = [
        "verify",
        "go-sdk/x86_64/1.26.5",
        "--upstream",
        "--sumdb",
        &url,
    ];
    let mut verify = sandbox.ostree_go(args);
    through(&mut verify);
    run(&mut verify).exits(3);
    servers.push(url);

    for server in servers {
        squid.wait_for(&format!("GET {server}"));
    }
    let log = squid.log();
    assert!(
        !log.iter().any(|line| line.starts_with("CONNECT")),
        "{log:#?}"
    );
}

#[test]
fn encrypted_requests_use_a_tunnel() {
    let Some(certificates) = Certificates::new() else {
        return;
    };
    let file = |name: &str| certificates.text(name);
    let tls = format!(
        "ssl_certificate {}; ssl_certificate_key {};",
        file("server.pem"),
        file("server.key")
    );
    let Some(nginx) = Nginx::start_https(&tls) else {
        return;
    };
    Toy::new(Arch::X86_64).module_zip(&nginx.path(&format!("proxy/{MODULE}")));
    let host = nginx.url().replace("https://", "");
    let port = host.rsplit(':').next().unwrap().parse().unwrap();
    // A redirect from a plain to an encrypted address changes the proxy.
    let plain = Nginx::start_with(&format!("return 302 {}$request_uri;", nginx.url())).unwrap();
    for goproxy in [nginx.url(), plain.url()] {
        let Some(squid) = HttpProxy::squid(&[port]) else {
            return;
        };
        let out = compose("{ module: golang.org/toolchain }", |command| {
            command
                .arg("--no-sumdb")
                .env("GOPROXY", format!("{goproxy}/proxy"))
                .env("SSL_CERT_FILE", certificates.path("ca.pem"))
                .env("https_proxy", format!("http://{}", squid.host()));
        });
        out.ok();
        squid.wait_for(&format!("CONNECT {host} 200"));
        let log = squid.log();
        assert!(!log.iter().any(|line| line.starts_with("GET")), "{log:#?}");
    }
}

#[test]
fn a_tunnel_that_the_proxy_refuses() {
    let Some(squid) = HttpProxy::squid(&[]) else {
        return;
    };
    let out = compose("{ index: \"https://127.0.0.1:1/dl\" }", |command| {
        command.env("https_proxy", format!("http://{}", squid.host()));
    });
    let stderr = out.exits(75).stderr;
    let (_created, error) = stderr.split_once('\n').unwrap();
    insta::assert_snapshot!(error, @"
    error: cannot download https://127.0.0.1:1/dl/
      the HTTP proxy refused to connect to the server, with status 403
    hint: the HTTP proxy has to allow CONNECT to the server's host and port; set no_proxy to connect without it
    ");
}

#[test]
fn a_proxy_that_requires_a_password() {
    let Some(proxy) = HttpProxy::tinyproxy("me", "s3cret") else {
        return;
    };
    let fixture = PullFixture::new();
    let pull = |user: &str| {
        // tinyproxy sometimes closes a connection that is about to be used again.
        let mut command = fixture.host.ostree_go(["pull", REF, "--retries", "5"]);
        command.env("http_proxy", format!("http://{user}{}", proxy.host()));
        run(&mut command)
    };
    let out = pull("").exits(1);
    assert!(out.stderr.contains("status 407"), "{}", out.stderr);
    let hint = "hint: the HTTP proxy requires a user name and a password";
    assert!(out.stderr.contains(hint), "{}", out.stderr);
    // tinyproxy answers a wrong password as a web server would.
    let out = pull("me:oth3r@").exits(1);
    assert!(out.stderr.contains("status 401"), "{}", out.stderr);
    assert!(!out.stderr.contains("oth3r"), "{}", out.stderr);
    assert!(fixture.server.requests().is_empty());
    pull("me:s3%63ret@").ok();
    fixture.assert_intact(&[&format!("acme:{REF}")]);
}
