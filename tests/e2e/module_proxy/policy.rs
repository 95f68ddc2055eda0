//! The policy file, and private modules.

use super::{CORP, LIB, NAME, World, ZIP};
use insta::assert_snapshot;
use ostree_go_sdk::H1;
use ostree_go_sdk::attest::{Envelope, STATEMENT_TYPE, Statement, Subject};
use ostree_go_sdk::sign::SigningKey;
use ostree_go_tests::cli::run;
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;

/// The pair of RFC 8032, 7.1, test 1.
const SECRET: &str =
    "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
/// The pair of test 2.
const FOREIGN: &str =
    "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs9QBfD6EOJWpK3CqdNG368nJgszy7ElozAzVXxKvRmDA==";

#[test]
fn the_policy_decides_what_the_go_command_gets() {
    let Some(world) = World::new() else { return };
    let start = |text: &str| {
        let policy = world.sandbox.write("policy.toml", text);
        world.start(&["--policy", policy.to_str().unwrap()])
    };
    let download = |proxy: &str, module: &str| {
        let said = world.download(module, proxy, &[]).exits(1).stderr;
        let reason = said.split("blocked: ").nth(1).expect("a reason");
        reason.trim_end().to_owned()
    };

    let proxy =
        start("[[deny]]\nmodule = 'example.com/*'\nversions = ['v1.0.0']\nreason = 'CVE-2026-1'\n");
    assert_snapshot!(download(&proxy.url, NAME), @"example.com/lib@v1.0.0 is denied by the policy of this proxy: CVE-2026-1");
    world
        .download("example.com/lib@v1.1.0", &proxy.url, &[])
        .ok();
    let args = ["list", "-m", "-versions", "example.com/lib@v1.1.0"];
    let listed = world.go(&args, &proxy.url, &[]).ok();
    assert_eq!(listed.stdout, format!("{LIB} v1.1.0\n"));
    assert_eq!(world.kinds(), ["denied"]);
    drop(proxy);

    let proxy = start("allow = ['example.org', 'golang.org/x']\n");
    assert_snapshot!(download(&proxy.url, NAME), @"example.com/lib@v1.0.0 is not among the modules that the policy of this proxy allows");
    assert_eq!(world.kinds(), ["not-allowed"]);
    drop(proxy);

    let proxy = start("minimum-age = '2000w'\nany-age = ['example.org']\n");
    let said = download(&proxy.url, NAME);
    assert_snapshot!(said, @"example.com/lib@v1.0.0 is from 2026-01-01T00:00:00Z, and the policy of this proxy serves it from 2064-05-01T00:00:00Z on");
    let args = ["list", "-m", "example.com/lib@latest"];
    let said = world.go(&args, &proxy.url, &[]).exits(1).stderr;
    assert!(
        said.contains("blocked: ") || said.contains("no matching versions"),
        "{said}"
    );
    assert!(world.kinds().iter().all(|kind| kind == "too-young"));
    drop(proxy);

    let proxy = start("minimum-age = '1h'\nallow = ['example.com']\n");
    world.download(NAME, &proxy.url, &[]).ok();
}

#[test]
fn a_policy_with_a_mistake_is_refused_and_nothing_is_served() {
    let Some(world) = World::new() else { return };
    let policy = world
        .sandbox
        .write("policy.toml", "alow = ['example.com']\n");
    let address = format!("127.0.0.1:{}", ostree_go_tests::tools::free_port());
    let args = ["--policy", "policy.toml", "--listen", &address];
    let out = run(&mut world.command(&args)).exits(1);
    assert_snapshot!(out.stderr, @"
    error: policy.toml:1:1: unknown field `alow`, expected one of `allow`, `deny`, `minimum-age`, `any-age`, `private`
    hint: nothing is served with a policy that is not understood; `--dry-run` checks it
    ");
    assert!(TcpListener::bind(&address).is_ok());
    assert!(!world.sandbox.path("cache").exists());
    assert!(!world.sandbox.path("alerts").exists());
    let json = [&args[..], &["--format", "json"]].concat();
    let out = run(&mut world.command(&json)).exits(1);
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["error"]["kind"], "invalid-input", "{document}");

    let check = ["--policy", "policy.toml", "--dry-run"];
    run(&mut world.command(&check)).exits(1);
    fs::write(policy, "allow = ['example.com']\n").unwrap();
    let out = run(&mut world.command(&check)).ok();
    assert_eq!(out.stdout, "the options and the policy are valid\n");
    fs::remove_file(world.sandbox.path("policy.toml")).unwrap();
    let out = run(&mut world.command(&check)).exits(1);
    assert_snapshot!(out.stderr, @"
    error: cannot read the policy policy.toml
      No such file or directory (os error 2)
    ");
}

#[test]
fn options_with_mistakes_are_refused() {
    let Some(world) = World::new() else { return };
    let refused = |args: &[&str], code| {
        let always = ["proxy", "--cache", "cache"];
        let all = always.into_iter().chain(args.iter().copied());
        let mut command = world.sandbox.ostree_go(all);
        run(command.env_remove("OSTREE_REPO")).exits(code).stderr
    };
    assert_snapshot!(refused(&["--upstream", "direct", "--dry-run"], 1), @"
    error: the list of upstream proxies `direct` has no proxy, expected at least one URL
    hint: `direct` and `off` are no proxies; name one with --upstream https://proxy.golang.org
    ");
    let upstream = ["--upstream", "https://a.example"];
    let with = |more: &[&'static str]| [&upstream[..], more].concat();
    assert_snapshot!(refused(&with(&["--sumdb", "sum.example.com", "--dry-run"]), 1), @"
    error: `sum.example.com` is not the key of a checksum database, expected the form NAME+HASH+KEY
    hint: `go env GOSUMDB` shows the database of the go command; --sumdb takes the same key, and its URL after `=`
    ");
    assert_snapshot!(refused(&upstream, 2), @"
    error: no address to listen on, and no socket from systemd
    hint: give an address with --listen 127.0.0.1:3000, or start the socket unit of the service
    ");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&[&upstream[..], &["--listen", &address]].concat(), 75);
    assert_snapshot!(said.replace(&address, "[address]"), @"
    error: cannot listen on [address]
      Address already in use (os error 98)
    hint: another process listens there; choose another port with --listen
    ");
}

/// Writes the statement of the private module to the upstream proxy.
fn state(world: &World, secret: &str, zip: &str) {
    let at_v = world.sandbox.path("www").join(CORP).join("@v");
    let go_mod = fs::read_to_string(at_v.join("v1.0.0.mod")).unwrap();
    let go_mod: H1 = super::h1_of_go_mod(&go_mod).parse().unwrap();
    let statement = Statement {
        subjects: vec![
            Subject::with_h1(format!("{CORP}@v1.0.0"), zip.parse().unwrap()),
            Subject::with_h1(format!("{CORP}@v1.0.0/go.mod"), go_mod),
        ],
        predicate_type: "https://example.com/release".to_owned(),
        predicate: Value::Null,
    };
    let key = SigningKey::Ed25519 {
        secret: secret.to_owned(),
    };
    let signed = Envelope::sign(STATEMENT_TYPE, statement.to_json(), &[key]).unwrap();
    fs::write(at_v.join("v1.0.0.intoto.json"), signed.to_json()).unwrap();
}

#[test]
fn a_private_module_needs_a_signed_statement_and_no_database() {
    let Some(world) = World::new() else { return };
    let policy = format!("[[private]]\nmodules = ['corp.example.com']\nkeys = ['{PUBLIC}']\n");
    let policy = world.sandbox.write("policy.toml", &policy);
    // A database that records what it is asked for, and has nothing.
    let database = FaultyServer::serving(&world.sandbox.path("nothing"));
    let mut command = world.command_with(&database.url(), &["--policy", policy.to_str().unwrap()]);
    let proxy = ostree_go_tests::module_proxy::RunningProxy::start(&mut command);
    let module = format!("{CORP}@v1.0.0");
    let refused = || {
        let said = world.download(&module, &proxy.url, &[]).exits(1).stderr;
        let reason = said.split("blocked: ").nth(1).expect("a reason");
        reason.trim_end().to_owned()
    };
    let zip = world.sandbox.path("www").join(CORP).join("@v/v1.0.0.zip");
    let good = ostree_go_tests::sdk::h1(&zip);
    assert_snapshot!(refused(), @"the private module corp.example.com/lib@v1.0.0 has no signed statement");
    state(&world, FOREIGN, &good);
    assert_snapshot!(refused(), @"the statement of the private module corp.example.com/lib@v1.0.0 is not signed by a key of the policy: the envelope has no valid signature by a trusted key: ed25519 made by an unknown key");
    state(&world, SECRET, &super::h1_of_go_mod("other"));
    assert_snapshot!(refused(), @"the zip file of corp.example.com/lib@v1.0.0 has the hash h1:ZzFYRMR1TOa5D2kcTHP7I55ihejoV0bVJJP0Qg+wsrc=, expected h1:tPQ5Xwz6GCRVLyfwoyr+/fhqpNbgPvMtbfUu67nSNnI= as in its signed statement");
    // The statement in the cache is not asked for again.
    let cached = world.sandbox.path("cache").join(CORP);
    fs::remove_file(cached.join("@v/v1.0.0.intoto.json")).unwrap();
    state(&world, SECRET, &good);
    world.download(&module, &proxy.url, &[]).ok();
    assert_eq!(
        world.kinds(),
        ["no-statement", "foreign-statement", "zip-mismatch"]
    );

    // A client that is not told that the module is private must not publish its name.
    let key = [("GOSUMDB", &*world.database.key)];
    let said = world.download(&module, &proxy.url, &key).exits(1).stderr;
    assert!(
        said.contains("is private, and its name is not sent"),
        "{said}"
    );
    let private = [key[0], ("GONOSUMDB", "corp.example.com")];
    world.download(&module, &proxy.url, &private).ok();
    assert_eq!(world.kinds(), ["private-lookup"]);
    let asked = database.requests();
    assert!(!asked.iter().any(|path| path.contains("corp")), "{asked:?}");
    // Other modules need the database.
    assert!(proxy.text(ZIP).starts_with("403: blocked: "));
}
