//! A real registry with TLS, with access control, behind a proxy, and over a connection that
//! breaks.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ostree_go_tests::certificates::Certificates;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::containers::{GUARD, Registry};
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::registry_fixture::RegistryFixture;
use ostree_go_tests::relay::Relay;
use ostree_go_tests::tokens::Tokens;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const REF: &str = "go-sdk/x86_64/1.99";
const SECRETS: [&str; 3] = ["secret", "YnVpbGRlcjpzZWNyZXQ", "identity"];

/// A publisher, and a host with the remote `far` for `HOST/acme/go-sdk`.
struct World(RegistryFixture);

impl World {
    fn new(url: &str) -> Self {
        let fixture = RegistryFixture::new();
        let keys = fixture.gpg.export(&fixture.key).display().to_string();
        let url = format!("{url}/acme/go-sdk");
        let add = ["remote", "add", "far", &url, "--gpg-import", &keys];
        fixture.host.run(add).ok();
        Self(fixture)
    }

    /// Sets an option of the remote with the stock command.
    fn set(&self, option: &str, value: impl AsRef<Path>) {
        let (key, value) = (format!(r#"remote "far".{option}"#), value.as_ref());
        let value = value.to_str().expect("UTF-8");
        ostree(&self.0.host.repo(), ["config", "set", &key, value]);
    }

    fn pull(&self) -> Command {
        let args = ["pull", "far", REF, "--retries", "0"];
        self.0.host.ostree_go(args)
    }

    /// Exports the channel for both architectures to `HOST`.
    fn push(&self, host: &str, more: &[&str]) -> Command {
        let image = format!("docker://{host}/acme/go-sdk");
        let args = ["export", "oci", "1.99", &image];
        self.0.publisher.command(args.iter().chain(more).copied())
    }

    /// Writes a file with credentials.
    fn auth(&self, document: &serde_json::Value) -> std::path::PathBuf {
        let text = document.to_string();
        self.0.publisher.sandbox.write("auth.json", &text)
    }

    /// Asserts that the host has the publisher's commits, and that nothing is damaged.
    #[track_caller]
    fn arrived(&self) {
        self.0.host.fsck();
        let there = self.0.publisher.sandbox.rev(REF);
        assert_eq!(self.0.host.rev(&format!("far:{REF}")), there);
    }

    #[track_caller]
    fn untouched(&self) {
        assert_eq!(self.0.host.refs(), Vec::<String>::new());
        self.0.host.fsck();
    }
}

/// Returns the credentials of `builder` for a registry.
fn basic(host: &str, secret: &str) -> serde_json::Value {
    let auth = BASE64_STANDARD.encode(format!("builder:{secret}"));
    json!({"auths": {host: {"auth": auth}}})
}

/// Returns the error message without the parts that differ between runs, and asserts that it contains no secret.
#[track_caller]
fn said(out: &Output, host: &str) -> String {
    let text = format!("{}{}", out.stderr, out.stdout);
    for secret in SECRETS {
        assert!(!text.contains(secret), "{text}");
    }
    text.replace(host, "HOST")
}

#[test]
fn a_registry_with_a_private_certificate_authority() {
    let Some(certificates) = Certificates::new() else {
        return;
    };
    let file = |name: &str| certificates.text(name);
    let tls = format!(
        "tls: {{certificate: {}, key: {}}}",
        file("server.pem"),
        file("server.key")
    );
    let Some(registry) = Registry::start_with(&tls, GUARD) else {
        return;
    };
    let host = registry.host();
    let world = World::new(&format!("oci+https://{host}"));
    let auth = world.auth(&basic(&host, "secret"));
    let known = |mut command: Command| run(command.env("REGISTRY_AUTH_FILE", &auth));
    // To push, a folder with certificates, as skopeo takes one.
    let folder = world.0.publisher.sandbox.path("certs");
    fs::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    let cert_dir = ["--cert-dir", folder];
    let refused = known(world.push(&host, &[])).exits(75);
    insta::assert_snapshot!(said(&refused, &host), @"
    error: cannot push HOST/acme/go-sdk: no answer from https://HOST/v2/
      io: invalid peer certificate: UnknownIssuer
    hint: to use your own certificate authority, put its `*.crt` file into a directory and name that with --cert-dir
    ");
    let empty = known(world.push(&host, &cert_dir)).exits(75);
    assert_eq!(said(&empty, &host), said(&refused, &host));
    fs::copy(file("stranger.pem"), format!("{folder}/ca.crt")).unwrap();
    known(world.push(&host, &cert_dir)).exits(75);
    assert!(!registry.log().contains("/v2/acme"), "{}", registry.log());
    fs::copy(file("ca.pem"), format!("{folder}/ca.crt")).unwrap();
    known(world.push(&host, &cert_dir)).ok();
    // The same for a pull.
    insta::assert_snapshot!(said(&known(world.pull()).exits(75), &host), @r#"
    error: cannot pull from remote `far`
      cannot pull HOST/acme/go-sdk: no answer from https://HOST/v2/acme/go-sdk/manifests/1.99: io: invalid peer certificate: UnknownIssuer
    hint: to use your own certificate authority, set an option of the remote: `ostree config set 'remote "NAME".tls-ca-path' FILE`
    "#);
    world.set("tls-ca-path", certificates.path("stranger.pem"));
    insta::assert_snapshot!(said(&known(world.pull()).exits(75), &host), @r#"
    error: cannot pull from remote `far`
      cannot pull HOST/acme/go-sdk: no answer from https://HOST/v2/acme/go-sdk/manifests/1.99: io: invalid peer certificate: UnknownIssuer
    hint: to use your own certificate authority, set an option of the remote: `ostree config set 'remote "NAME".tls-ca-path' FILE`
    "#);
    world.untouched();
    world.set("tls-ca-path", certificates.path("ca.pem"));
    // A password is asked for, and is the right one.
    insta::assert_snapshot!(said(&run(&mut world.pull()).exits(1), &host), @"
    error: cannot pull from remote `far`
      cannot pull HOST/acme/go-sdk: the registry answered with status 401: authentication required
    hint: log in with `podman login` or `skopeo login`
    ");
    let wrong = world
        .0
        .publisher
        .sandbox
        .write("wrong.json", &basic(&host, "secret2").to_string());
    let mut pull = world.pull();
    let out = run(pull.env("REGISTRY_AUTH_FILE", &wrong)).exits(1);
    insta::assert_snapshot!(said(&out, &host), @"
    error: cannot pull from remote `far`
      cannot pull HOST/acme/go-sdk: the registry answered with status 401: authentication required
    hint: log in with `podman login` or `skopeo login`
    ");
    world.untouched();
    said(&known(world.pull()).ok(), &host);
    world.arrived();
}

#[test]
fn a_registry_that_requires_a_client_certificate() {
    let Some(certificates) = Certificates::new() else {
        return;
    };
    let file = |name: &str| certificates.text(name);
    let tls = format!(
        "tls: {{certificate: {}, key: {}, clientcas: [{}]}}",
        file("server.pem"),
        file("server.key"),
        file("ca.pem")
    );
    let Some(registry) = Registry::start_with(&tls, "") else {
        return;
    };
    let host = registry.host();
    let world = World::new(&format!("oci+https://{host}"));
    let folder = world.0.publisher.sandbox.path("certs");
    fs::create_dir(&folder).unwrap();
    let cert_dir = ["--cert-dir", folder.to_str().unwrap()];
    fs::copy(file("ca.pem"), folder.join("ca.crt")).unwrap();
    run(&mut world.push(&host, &cert_dir)).exits(75);
    fs::copy(file("client.pem"), folder.join("me.cert")).unwrap();
    let half = run(&mut world.push(&host, &cert_dir)).exits(1);
    insta::assert_snapshot!(said(&half, folder.to_str().unwrap()), @"
    error: cannot read HOST/me.key
      No such file or directory (os error 2)
    ");
    fs::copy(file("client.key"), folder.join("me.key")).unwrap();
    run(&mut world.push(&host, &cert_dir)).ok();
    world.set("tls-ca-path", certificates.path("ca.pem"));
    run(&mut world.pull()).exits(75);
    world.set("tls-client-cert-path", certificates.path("client.pem"));
    world.set("tls-client-key-path", certificates.path("client.key"));
    run(&mut world.pull()).ok();
    world.arrived();
}

#[test]
fn a_registry_with_a_token_service() {
    let Some(certificates) = Certificates::new() else {
        return;
    };
    let tokens = Tokens::start(&certificates, 600);
    let Some(registry) = Registry::start_with("", &tokens.config(&certificates)) else {
        return;
    };
    let host = registry.host();
    let world = World::new(&format!("oci+http://{host}"));
    let plain = ["--tls-verify=false"];
    let with = |auth: &Path, mut command: Command| run(command.env("REGISTRY_AUTH_FILE", auth));
    let wrong = world.auth(&basic(&host, "secret2"));
    insta::assert_snapshot!(said(&with(&wrong, world.push(&host, &plain)).exits(1), &host), @"
    error: cannot push HOST/acme/go-sdk: the registry answered with status 401: who are you?
    hint: log in with `podman login`, or name a credentials file with --authfile
    ");
    insta::assert_snapshot!(said(&with(&wrong, world.pull()).exits(1), &host), @"
    error: cannot pull from remote `far`
      cannot pull HOST/acme/go-sdk: the registry answered with status 401: who are you?
    hint: log in with `podman login` or `skopeo login`
    ");
    assert!(tokens.scopes().is_empty());
    let right = world.auth(&basic(&host, "secret"));
    said(&with(&right, world.push(&host, &plain)).ok(), &host);
    said(&with(&right, world.pull()).ok(), &host);
    world.arrived();
    // One for all requests to push, one for all to pull.
    let scope = |access: &str| format!("repository:acme/go-sdk:{access}");
    assert_eq!(tokens.scopes(), [scope("pull,push"), scope("pull")]);
    // An identity token is as good as a password.
    let identity = world.auth(&json!({"auths": {&host: {"identitytoken": "identity"}}}));
    world.0.release("1.99.2", 1_771_000_000, |toy| toy);
    said(&with(&identity, world.push(&host, &plain)).ok(), &host);
    said(&with(&identity, world.pull()).ok(), &host);
    world.arrived();
}

#[test]
fn expired_tokens_are_renewed_during_a_transfer() {
    let Some(certificates) = Certificates::new() else {
        return;
    };
    let tokens = Tokens::start(&certificates, 3);
    let Some(registry) = Registry::start_with("", &tokens.config(&certificates)) else {
        return;
    };
    let wire = Relay::to(&registry.host());
    let host = wire.host();
    let world = World::new(&format!("oci+http://{host}"));
    let auth = world.auth(&basic(&host, "secret"));
    // Whatever was asked for first waits until its token is no good any more.
    let slowly = |mut command: Command| {
        let (asked, before) = (tokens.scopes().len(), wire.down());
        let mut child = command.env("REGISTRY_AUTH_FILE", &auth).spawn().unwrap();
        while tokens.scopes().len() == asked || wire.down() < before + 1500 {
            std::thread::sleep(Duration::from_millis(1));
        }
        wire.hold(true);
        std::thread::sleep(Duration::from_secs(5));
        wire.hold(false);
        assert!(child.wait().unwrap().success());
        assert!(tokens.scopes().len() > asked + 1, "{:?}", tokens.scopes());
    };
    slowly(world.push(&host, &["--tls-verify=false"]));
    slowly(world.pull());
    world.arrived();
}

#[test]
fn a_registry_behind_a_proxy() {
    let Some(registry) = Registry::guarded() else {
        return;
    };
    let host = registry.host();
    let world = World::new(&format!("oci+http://{host}"));
    let auth = world.auth(&basic(&host, "secret"));
    let proxy = Relay::proxy();
    let url = format!("http://{}", proxy.host());
    let through = |mut command: Command| {
        let before = proxy.asked().len();
        let command = command.env("REGISTRY_AUTH_FILE", &auth);
        run(command.env("http_proxy", &url)).ok();
        assert!(proxy.asked().len() > before, "{:?}", proxy.asked());
    };
    through(world.push(&host, &["--tls-verify=false"]));
    through(world.pull());
    world.arrived();
    assert!(proxy.asked().iter().all(|line| line.contains(&host)));
    // A remote's own, and none for hosts that are near.
    let count = proxy.asked().len();
    let mut near = world.pull();
    near.env("no_proxy", "127.0.0.1").env("http_proxy", &url);
    run(near.env("REGISTRY_AUTH_FILE", &auth)).ok();
    assert_eq!(proxy.asked().len(), count);
    world.set("proxy", &url);
    run(world.pull().env("REGISTRY_AUTH_FILE", &auth)).ok();
    assert!(proxy.asked().len() > count);
}

#[test]
fn a_credential_helper_supplies_the_password() {
    let Some(registry) = Registry::guarded() else {
        return;
    };
    let host = registry.host();
    let world = World::new(&format!("oci+http://{host}"));
    let bin = world.0.publisher.sandbox.path("bin");
    fs::create_dir(&bin).unwrap();
    let helper = |name: &str, script: &str| {
        let path = bin.join(format!("docker-credential-{name}"));
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let with = |document: serde_json::Value, mut command: Command| {
        let auth = world.auth(&document);
        run(command.env("REGISTRY_AUTH_FILE", auth).env("PATH", &path))
    };
    let own = || json!({"auths": {&host: {}}, "credHelpers": {&host: "acme"}});
    let all = || json!({"credsStore": "acme"});
    insta::assert_snapshot!(said(&with(own(), world.pull()).exits(1), &host), @"
    error: cannot get credentials for HOST
      cannot run `docker-credential-acme`: No such file or directory (os error 2)
    hint: it is configured in the credentials file under `credHelpers` or `credsStore`
    ");
    helper(
        "acme",
        "cat > /dev/null; echo 'the vault is locked'; exit 1",
    );
    insta::assert_snapshot!(said(&with(own(), world.pull()).exits(1), &host), @"
    error: cannot get credentials for HOST
      `docker-credential-acme` failed: the vault is locked
    hint: it is configured in the credentials file under `credHelpers` or `credsStore`
    ");
    helper(
        "acme",
        "echo '{\"Username\": \"builder\", \"Password\": \"secret\"}'",
    );
    insta::assert_snapshot!(said(&with(own(), world.pull()).exits(1), &host), @"error: cannot get credentials for HOST: the answer of `docker-credential-acme` has no `Username` and `Secret`");
    // Who does not know is asked no more, and there may be an entry beside it.
    helper(
        "acme",
        "echo 'credentials not found in native keychain'; exit 1",
    );
    insta::assert_snapshot!(said(&with(all(), world.pull()).exits(1), &host), @"
    error: cannot pull from remote `far`
      cannot pull HOST/acme/go-sdk: the registry answered with status 401: authentication required
    hint: log in with `podman login` or `skopeo login`
    ");
    let mut both = basic(&host, "secret");
    both["credsStore"] = "acme".into();
    let plain = ["--tls-verify=false"];
    said(&with(both, world.push(&host, &plain)).ok(), &host);
    helper(
        "acme",
        &format!(
            "[ \"$1 $(cat)\" = \"get {host}\" ] || exit 1\n\
             echo '{{\"ServerURL\": \"{host}\", \"Username\": \"builder\", \"Secret\": \"secret\"}}'"
        ),
    );
    said(&with(all(), world.push(&host, &plain)).ok(), &host);
    said(&with(own(), world.pull()).ok(), &host);
    world.arrived();
}

#[test]
fn a_credential_helper_supplies_an_identity_token() {
    let Some(certificates) = Certificates::new() else {
        return;
    };
    let tokens = Tokens::start(&certificates, 600);
    let Some(registry) = Registry::start_with("", &tokens.config(&certificates)) else {
        return;
    };
    let host = registry.host();
    let world = World::new(&format!("oci+http://{host}"));
    let bin = world.0.publisher.sandbox.path("bin");
    fs::create_dir(&bin).unwrap();
    let helper = bin.join("docker-credential-acme");
    let answer = "{\"Username\": \"<token>\", \"Secret\": \"identity\"}";
    fs::write(&helper, format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
    fs::set_permissions(helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let auth = world.auth(&json!({"credHelpers": {&host: "acme"}}));
    for mut command in [world.push(&host, &["--tls-verify=false"]), world.pull()] {
        run(command.env("REGISTRY_AUTH_FILE", &auth).env("PATH", &path)).ok();
    }
    world.arrived();
}

/// Returns incompressible bytes.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_connection_that_breaks_repeatedly() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let wire = Relay::to(&registry.host());
    let world = World::new(&format!("oci+http://{}", wire.host()));
    let large = |toy: ostree_go_tests::toy::Toy| toy.with("src/noise.txt", noise(6 << 20));
    world.0.release("1.99.2", 1_771_000_000, large);
    run(&mut world.push(&registry.host(), &["--tls-verify=false"])).ok();
    // Without a retry nothing comes of it.
    wire.cut_after(1_500_000);
    run(&mut world.pull()).exits(75);
    world.untouched();
    let before = wire.down();
    world
        .0
        .host
        .run(["pull", "far", REF, "--retries", "2"])
        .ok();
    world.arrived();
    // What had come was not asked for again.
    let log = registry.log();
    let parts = log.matches("http.response.status=206").count();
    assert!(parts >= 3, "{log}");
    assert!(wire.down() - before < 9 << 20, "{}", wire.down() - before);
}

/// Interrupts a running command, and returns its exit status and output.
fn interrupted(command: &mut Command, is_under_way: impl Fn() -> bool) -> Option<i32> {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !is_under_way() {
        assert!(child.try_wait().unwrap().is_none(), "it is over");
        std::thread::sleep(Duration::from_millis(2));
    }
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.unwrap().success());
    child.wait().unwrap().code()
}

#[test]
fn cancellation_is_immediate_and_leaves_no_files() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let wire = Relay::to(&registry.host());
    let world = World::new(&format!("oci+http://{}", wire.host()));
    let large = |toy: ostree_go_tests::toy::Toy| toy.with("src/noise.txt", noise(6 << 20));
    world.0.release("1.99.2", 1_771_000_000, large);
    let tags = || {
        let url = format!("http://{}/v2/acme/go-sdk/tags/list", registry.host());
        run(Command::new("curl").args(["-sS", &url])).ok().stdout
    };
    // A push whose registry takes nothing any more: in the middle of a blob, and before an answer.
    for bytes in [2 << 20, 500] {
        let before = wire.up();
        let mut push = world.push(&wire.host(), &["--tls-verify=false"]);
        let held = || {
            let is_there = wire.up() >= before + bytes;
            wire.hold(is_there);
            is_there
        };
        assert_eq!(interrupted(&mut push, held), Some(130));
        wire.hold(false);
        assert!(!tags().contains("1.99"), "{}", tags());
    }
    run(&mut world.push(&registry.host(), &["--tls-verify=false"])).ok();
    assert!(tags().contains("1.99"), "{}", tags());
    // An install: in the middle of a layer, and before a manifest.
    let keys = world.0.gpg.export(&world.0.key).display().to_string();
    let url = format!("oci+http://{}/acme/go-sdk", wire.host());
    let add = ["remote", "add", "far", &url, "--gpg-import", &keys];
    world.0.root(add).ok();
    for bytes in [2 << 20, 1] {
        let before = wire.down() + wire.up();
        let held = || {
            let is_there = wire.down() + wire.up() >= before + bytes;
            wire.hold(is_there);
            is_there
        };
        let mut install = world.0.on_root(["install", "1.99"]);
        assert_eq!(interrupted(&mut install, held), Some(130));
        wire.hold(false);
        let repo = world.0.host.path("root/repo");
        ostree(&repo, ["fsck", "--quiet"]);
        assert_eq!(ostree(&repo, ["refs"]), "");
        assert!(!world.0.host.path("root/current").exists());
    }
    world.0.root(["install", "1.99"]).ok();
}
