//! Answers of web servers that are no failures, or whose cause is not obvious, and credentials.

use ostree_go_sdk::Arch;
use ostree_go_tests::certificates::Certificates;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::containers::Registry;
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::ostree;
use ostree_go_tests::pull_fixture::{PullFixture, REF};
use ostree_go_tests::registry_fixture::RegistryFixture;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::{Fault, FaultyServer};
use std::fs;
use std::process::Command;

const PAGE: &[u8] = b"<!DOCTYPE html>\n<html><title>Welcome to our guests</title></html>\n";
const MODULE: &str = "golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-amd64.zip";

/// Asserts that a message does not explain a refusal by a server with the file system.
#[track_caller]
fn assert_no_paths(out: &Output) {
    for word in ["mount", "owner and mode"] {
        assert!(!out.stderr.contains(word), "{}", out.stderr);
    }
}

#[test]
fn optional_files_may_be_absent_with_403() {
    // Neither a summary nor a signature, as on S3 without the permission to list files.
    let fixture = PullFixture::unpublished();
    let first = fixture.commit_with(REF, 1, "", &[]);
    let second = fixture.commit_with(REF, 2, "", &[&format!("--parent={first}")]);
    fixture.add_remote(&["--no-gpg-verify"]).ok();
    fixture.server.absent(403);
    fixture.pull(&[REF]).ok();
    assert_eq!(fixture.pulled(REF), Some(second));
    let requests = fixture.server.requests();
    for absent in ["/summary", ".commitmeta"] {
        assert!(
            requests.iter().any(|path| path.ends_with(absent)),
            "{absent}"
        );
    }
    // The stock command agrees.
    let (stock, url) = (Sandbox::new(), fixture.server.url());
    ostree::init(&stock.repo(), "bare-user-only");
    ostree::ostree(
        &stock.repo(),
        ["remote", "add", "--no-gpg-verify", "acme", &url],
    );
    ostree::ostree(&stock.repo(), ["pull", "acme", REF]);

    // Parents that were deleted, a superblock and the signature of the summary.
    let host = Sandbox::new();
    host.run(["init", "--mode", "bare-user"]).ok();
    host.run(["remote", "add", "acme", &url, "--no-gpg-verify"])
        .ok();
    let publisher = fixture.publisher.repo();
    fs::remove_file(publisher.join(format!("objects/{}/{}.commit", &first[..2], &first[2..])))
        .unwrap();
    fixture.delta(None, &fixture.publisher.rev(REF).unwrap());
    fixture.server.fault("/superblock", Fault::Status(403));
    host.run(["pull", "acme", REF, "--depth=-1"]).ok();
    let mirror = Sandbox::new();
    ostree::init(&mirror.repo(), "archive");
    mirror
        .run(["remote", "add", "acme", &url, "--no-gpg-verify"])
        .ok();
    mirror.run(["pull", "--mirror", "acme"]).ok();
    assert!(mirror.repo().join("summary").exists());
    assert!(!mirror.repo().join("summary.sig").exists());
}

#[test]
fn refusals_are_explained_by_their_cause() {
    let fixture = PullFixture::new();
    for (status, cause) in [
        (401, "the server requires a user name and a password"),
        (403, "the server refuses access"),
        (407, "the HTTP proxy requires a user name and a password"),
        (400, "the server refuses the request"),
    ] {
        fixture.server.reset();
        fixture.server.fault("/", Fault::Status(status));
        let out = fixture.pull(&[REF]).exits(1);
        assert!(
            out.stderr.contains(&format!("hint: {cause}")),
            "{}",
            out.stderr
        );
        assert_no_paths(&out);
    }
    // All refs: the 403 for the summary alone could mean that there is none.
    fixture.server.reset();
    fixture.server.fault("/", Fault::Status(403));
    let out = fixture.pull(&["--mirror", "acme"]).exits(1);
    assert!(out.stderr.contains("status 403"), "{}", out.stderr);
    // This network asks for a login, with the status for it or with a page.
    fixture.server.reset();
    fixture.server.fault("/", Fault::Status(511));
    let out = fixture.pull(&[REF]).exits(75);
    assert!(
        out.stderr.contains("hint: this network requires a login"),
        "{}",
        out.stderr
    );

    let nginx = Nginx::start().expect("nginx");
    for source in [
        format!(
            "{{ url: \"{}/denied/x.tar.gz\", sha256: {} }}",
            nginx.url(),
            "0".repeat(64)
        ),
        format!("{{ index: \"{}/denied/\" }}", nginx.url()),
        format!("{{ path: none }}, {{ index: \"{}/denied/\" }}", nginx.url()),
    ] {
        let sandbox = Sandbox::new();
        sandbox.treefile("1.99.1", &format!("arches: [x86_64]\nsource: [{source}]"));
        let out = sandbox.run(["compose", "go.yaml", "--cachedir=cache"]);
        assert_ne!(out.code(), Some(0), "{}", out.stderr);
        assert!(out.stderr.contains("status 403"), "{}", out.stderr);
        assert_no_paths(&out);
    }
    let sandbox = Sandbox::with_toys("arches: [x86_64]");
    sandbox.compose([]);
    let database = format!("{}/denied", nginx.url());
    let args = [
        "verify",
        "go-sdk/x86_64/1.99.1",
        "--upstream",
        "--sumdb",
        &database,
    ];
    assert_no_paths(&sandbox.run(args).exits(1));
    let registry = RegistryFixture::new();
    registry.server.fault("/", Fault::Status(403));
    assert_no_paths(&registry.pull(&["go-sdk/x86_64/1.99"]).exits(1));
}

#[test]
fn a_web_page_is_not_a_repository() {
    let fixture = PullFixture::new();
    fixture.server.fault("/", Fault::Instead(PAGE.to_vec()));
    let out = fixture.pull(&[REF]).exits(75);
    let url = fixture.server.url();
    let shown = out.stderr.replace(&url, "http://HOST");
    insta::assert_snapshot!(shown, @"
    error: cannot pull from remote `acme`
      cannot download http://HOST/summary: this is a web page, not the requested file
    hint: open the URL in a browser: this network may require a login first (captive portal), or the URL is wrong
    ");
    let registry = RegistryFixture::new();
    registry.server.fault("/", Fault::Instead(PAGE.to_vec()));
    let out = registry.pull(&["go-sdk/x86_64/1.99"]).exits(75);
    assert!(out.stderr.contains("this is a web page"), "{}", out.stderr);
    // A portal that answers a download whose digest is known: no damage.
    let sandbox = Sandbox::new();
    let source = format!("{{ url: \"{url}/config\", sha256: {} }}", "0".repeat(64));
    sandbox.treefile("1.99.1", &format!("arches: [x86_64]\nsource: [{source}]"));
    let out = sandbox
        .run(["compose", "go.yaml", "--cachedir=cache"])
        .exits(75);
    assert!(out.stderr.contains("this is a web page"), "{}", out.stderr);
}

#[test]
fn a_server_without_a_repository() {
    let fixture = PullFixture::new();
    let empty = Sandbox::new();
    let server = FaultyServer::serving(&empty.path(""));
    let url = server.url();
    let add = ["remote", "add", "wrong", &url, "--no-gpg-verify"];
    fixture.host.run(add).ok();
    for args in [&["pull", "wrong", REF][..], &["pull", "wrong", "--mirror"]] {
        let out = fixture.host.run(args.iter().copied()).exits(1);
        let shown = out.stderr.replace(&url, "http://HOST");
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown, @"
            error: remote `wrong`: there is no OSTree repository at http://HOST, which has neither a summary nor a file `config`
            hint: use the URL of the folder that contains `config` and `objects`; `ostree-go remote list` shows the URLs
            ");
        }
    }
    // A repository without the ref is one.
    fs::remove_file(fixture.publisher.repo().join("summary")).unwrap();
    let out = fixture.pull(&["acme", "go-sdk/x86_64/9.9"]).exits(1);
    assert!(
        out.stderr.contains("no ref `go-sdk/x86_64/9.9`"),
        "{}",
        out.stderr
    );
}

#[test]
fn a_registry_without_encryption_is_named() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let host = registry.host();
    let sandbox = Sandbox::new();
    sandbox.run(["init", "--mode", "bare-user"]).ok();
    let url = format!("oci+https://{host}/acme/go-sdk");
    sandbox
        .run(["remote", "add", "far", &url, "--no-gpg-verify"])
        .ok();
    let out = sandbox.run(["pull", "far", "go-sdk/x86_64/1.99"]).exits(75);
    insta::assert_snapshot!(out.stderr.replace(&host, "HOST"), @"
    error: cannot pull from remote `far`
      cannot pull HOST/acme/go-sdk: no answer from https://HOST/v2/acme/go-sdk/manifests/1.99: the server's answer is not encrypted, expected TLS
    hint: use oci+http://REGISTRY/NAME for a registry without encryption
    ");
    let out = sandbox.run(["import", &format!("docker://{host}/acme/go-sdk:1.99")]);
    assert!(out.stderr.contains("use oci+http://"), "{}", out.stderr);
    let url = format!("https://{host}");
    sandbox
        .run(["remote", "add", "web", &url, "--no-gpg-verify"])
        .ok();
    let out = sandbox.run(["pull", "web", REF]).exits(75);
    assert!(
        out.stderr.contains("hint: use an http:// URL"),
        "{}",
        out.stderr
    );
}

/// Returns the lines of a location of nginx that requires this user name and password.
fn guarded(sandbox: &Sandbox, user: &str, password: &str) -> String {
    let file = sandbox.write("htpasswd", &format!("{user}:{{PLAIN}}{password}\n"));
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(file.parent().unwrap(), everyone).unwrap();
    format!("auth_basic x; auth_basic_user_file {};", file.display())
}

#[test]
fn credentials_in_urls_are_percent_decoded() {
    let sandbox = Sandbox::new();
    let secret = "p@ss/?#%C3";
    let Some(nginx) = Nginx::start_with(&guarded(&sandbox, "m@e", secret)) else {
        return;
    };
    let with = nginx.url().replace("://", "://m%40e:p%40ss%2F%3F%23%25C3@");
    let fixture = PullFixture::new();
    let www = nginx.path("repo");
    run(Command::new("cp")
        .arg("-a")
        .args([&fixture.publisher.repo(), &www]))
    .ok();
    let keys = fixture.gpg.export(&fixture.key).display().to_string();
    let url = format!("{with}/repo");
    let add = ["remote", "add", "near", &url, "--gpg-import", &keys];
    fixture.host.run(add).ok();
    let out = fixture.host.run(["pull", "near", REF, "-v"]).ok();
    assert!(!out.stderr.contains("p%40ss"), "{}", out.stderr);

    Toy::new(Arch::X86_64).module_zip(&nginx.path(&format!("proxy/{MODULE}")));
    let sandbox = Sandbox::new();
    sandbox.treefile(
        "1.99.1",
        "arches: [x86_64]\nsource: [{ module: golang.org/toolchain }]",
    );
    let mut compose = sandbox.ostree_go(["compose", "go.yaml", "--cachedir=cache", "--no-sumdb"]);
    run(compose.env("GOPROXY", format!("{with}/proxy"))).ok();

    let Some(registry) = Registry::guarded() else {
        return;
    };
    let fixture = RegistryFixture::new();
    let host = registry.host();
    let auth = fixture.publisher.sandbox.write(
        "auth.json",
        &serde_json::json!({"auths": {&host: {"auth": "YnVpbGRlcjpzZWNyZXQ="}}}).to_string(),
    );
    let image = format!("docker://{host}/acme/go-sdk:1.99");
    let push = ["export", "oci", "1.99", &image, "--tls-verify=false"];
    run(fixture
        .publisher
        .command(push)
        .env("REGISTRY_AUTH_FILE", auth))
    .ok();
    let keys = fixture.gpg.export(&fixture.key).display().to_string();
    let url = format!("oci+http://b%75ilder:%73ecret@{host}/acme/go-sdk");
    let add = ["remote", "add", "near", &url, "--gpg-import", &keys];
    fixture.host.run(add).ok();
    let out = fixture
        .host
        .run(["pull", "near", "go-sdk/x86_64/1.99"])
        .ok();
    assert!(!out.stderr.contains("ecret"), "{}", out.stderr);
    // A text that is no URL shows no secret either.
    for invalid in ["https://me:se/cret@host/x", "oci+https://me:se/cret@host/X"] {
        let add = ["remote", "add", "bad", invalid, "--no-gpg-verify"];
        let out = fixture.host.run(add);
        assert_ne!(out.code(), Some(0), "{}", out.stderr);
        assert!(!out.stderr.contains("me:se"), "{}", out.stderr);
    }
}

#[test]
fn netrc_supplies_credentials_for_encrypted_connections() {
    let Some(certificates) = Certificates::new() else {
        return;
    };
    let sandbox = Sandbox::new();
    let file = |name: &str| certificates.text(name);
    let server = format!(
        "ssl_certificate {}; ssl_certificate_key {}; {}",
        file("server.pem"),
        file("server.key"),
        guarded(&sandbox, "me", "s3cret")
    );
    let Some(nginx) = Nginx::start_https(&server) else {
        return;
    };
    let archive = nginx.path("dl/toy.tar.gz");
    Toy::new(Arch::X86_64).tar_gz(&archive);
    Toy::new(Arch::X86_64).module_zip(&nginx.path(&format!("proxy/{MODULE}")));
    let right = sandbox.write(
        "home/.netrc",
        "machine 127.0.0.1\n  login me\n  password s3cret\n",
    );
    let wrong = sandbox.write("wrong", "machine 127.0.0.1 login me password other");
    // curl reads the same file.
    let authority = certificates.path("ca.pem");
    for (netrc, status) in [(&right, "200"), (&wrong, "401")] {
        let out = run(Command::new("curl")
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}"])
            .arg("--cacert")
            .arg(&authority)
            .arg("--netrc-file")
            .arg(netrc)
            .arg(format!("{}/dl/toy.tar.gz", nginx.url())));
        assert_eq!(out.ok().stdout, status);
    }

    let fixture = PullFixture::new();
    run(Command::new("cp")
        .arg("-a")
        .args([&fixture.publisher.repo(), &nginx.path("repo")]))
    .ok();
    let keys = fixture.gpg.export(&fixture.key).display().to_string();
    let url = format!("{}/repo", nginx.url());
    let add = ["remote", "add", "tls", &url, "--gpg-import", &keys];
    fixture.host.run(add).ok();
    let home = sandbox.path("home");
    for (name, value, code) in [
        ("NETRC", &wrong, 1),
        ("NETRC", &right, 0),
        ("HOME", &home, 0),
        ("NETRC", &sandbox.path("none"), 1),
    ] {
        let mut pull = fixture.host.ostree_go(["pull", "tls", REF]);
        pull.env("SSL_CERT_FILE", &authority).env(name, value);
        let out = run(&mut pull).exits(code);
        assert!(!out.stderr.contains("s3cret"), "{}", out.stderr);
        let compose_box = Sandbox::new();
        let lines = "arches: [x86_64]\nsource: [{ module: golang.org/toolchain }]";
        compose_box.treefile("1.99.1", lines);
        let mut compose =
            compose_box.ostree_go(["compose", "go.yaml", "--cachedir=cache", "--no-sumdb"]);
        compose
            .env("SSL_CERT_FILE", &authority)
            .env("GOPROXY", format!("{}/proxy", nginx.url()))
            .env(name, value);
        run(&mut compose).exits(code);
    }
}
