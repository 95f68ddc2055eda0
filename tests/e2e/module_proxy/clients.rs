//! What the go command does with the answers of the proxy.

use super::{CORP, INFO, LIB, MOD, NAME, World, ZIP, tamper};
use insta::assert_snapshot;
use ostree_go_tests::modules::ModuleProxy;
use std::fs;

#[test]
fn a_client_gets_verified_modules_and_the_database_through_the_proxy() {
    let Some(world) = World::new() else { return };
    let proxy = world.start(&["--metrics", "metrics"]);
    // Without a URL, the go command asks the proxy for the database.
    let database = [("GOSUMDB", &*world.database.key)];
    world.download(NAME, &proxy.url, &database).ok();
    let listed = world.go(
        &["list", "-m", "-versions", &format!("{LIB}@v1.1.0")],
        &proxy.url,
        &database,
    );
    assert_eq!(listed.ok().stdout, format!("{LIB} v1.0.0 v1.1.0\n"));
    let newest = world.go(
        &["list", "-m", &format!("{LIB}@latest")],
        &proxy.url,
        &database,
    );
    assert_eq!(newest.ok().stdout, format!("{LIB} v1.1.0\n"));

    // A second client is served from the cache, and the directory is a proxy of its own.
    world.upstream.reset();
    world.download(NAME, &proxy.url, &database).ok();
    let asked = world.upstream.requests();
    assert!(!asked.iter().any(|path| path.ends_with("zip")), "{asked:?}");
    let cache = ModuleProxy::new(world.sandbox.path("cache")).url();
    world.download(NAME, &cache, &[]).ok();

    let out = proxy.stop().ok();
    assert!(
        out.stderr.starts_with("listening on http://127.0.0.1:"),
        "{out}"
    );
    assert!(out.stdout.contains("0 alerts"), "{out}");
    assert_eq!(world.kinds(), [""; 0]);
    let metrics = fs::read_to_string(world.sandbox.path("metrics")).unwrap();
    assert!(
        metrics.contains("ostree_go_proxy_requests_total{file=\"zip\",status=\"200\"} 2\n"),
        "{metrics}"
    );
    assert!(metrics.contains("ostree_go_proxy_database_errors_total 0\n"));
}

#[test]
fn a_client_without_a_database_is_protected() {
    let Some(world) = World::new() else { return };
    tamper(&world.sandbox);
    let unprotected = world.upstream.url();
    world.download(NAME, &unprotected, &[]).ok();
    let proxy = world.start(&["--metrics", "metrics"]);
    for settings in [
        &[("GOSUMDB", "off")][..],
        &[("GONOSUMDB", "*"), ("GOFLAGS", "-mod=mod -modcacherw")],
        &[("GOSUMDB", &world.database.key)],
    ] {
        let said = world.download(NAME, &proxy.url, settings).exits(1).stderr;
        let expected = "blocked: the zip file of example.com/lib@v1.0.0 has the hash h1:";
        assert!(said.contains(expected), "{said}");
        assert!(said.contains("403 Forbidden"), "{said}");
    }
    assert!(!world.file("cache", ZIP).exists());
    // The go.mod file is the one that the database has.
    assert!(proxy.text(MOD).starts_with("200: module"));
    let alerts = world.alerts();
    assert_eq!(alerts.len(), 3);
    let alert = &alerts[0];
    assert_eq!(alert["alert"], "zip-mismatch");
    assert_eq!(
        (&alert["module"], &alert["version"]),
        (&LIB.into(), &"v1.0.0".into())
    );
    assert_eq!(
        (&alert["file"], &alert["blocked"]),
        (&"zip".into(), &true.into())
    );
    assert!(world.lines.contains(alert["expected"].as_str().unwrap()));
    assert!(!world.lines.contains(alert["found"].as_str().unwrap()));
    let out = proxy.stop().ok();
    assert!(out.stdout.contains("3 alerts"), "{out}");
    let metrics = fs::read_to_string(world.sandbox.path("metrics")).unwrap();
    assert!(
        metrics.contains("ostree_go_proxy_alerts_total{kind=\"zip-mismatch\"} 3\n"),
        "{metrics}"
    );
}

/// The next proxy of the list has the module, so that success means that it was asked.
#[test]
fn a_block_ends_the_list_of_proxies_except_before_a_bar() {
    let Some(world) = World::new() else { return };
    let next = ModuleProxy::new(world.sandbox.path("www")).url();
    tamper(&world.sandbox);
    let policy = world.sandbox.write(
        "policy.toml",
        "[[deny]]\nmodule = 'corp.example.com'\nreason = 'it is not ours'\n",
    );
    let proxy = world.start(&["--policy", policy.to_str().unwrap()]);
    let denied = format!("{CORP}@v1.0.0");
    let absent = "example.com/lib@v1.9.0";
    let elsewhere = ModuleProxy::new(world.sandbox.path("elsewhere"));
    elsewhere.add(
        LIB,
        "v1.9.0",
        &[
            ("go.mod", "module example.com/lib\n"),
            ("a.go", "package a\n"),
        ],
    );
    let mut table = String::new();
    for (answer, module, next) in [
        ("403, mismatch", NAME, &next),
        ("403, policy", &*denied, &next),
        ("404", absent, &elsewhere.url()),
    ] {
        for separator in ["", ",", "|"] {
            let list = match separator {
                "" => proxy.url.clone(),
                _ => format!("{}{separator}{next}", proxy.url),
            };
            let out = world.download(module, &list, &[]);
            let result = match out.code() {
                Some(0) => "the next proxy is asked",
                Some(1) if out.stderr.contains("blocked: ") => "stops and shows the reason",
                Some(1) if out.stderr.contains("404 Not Found") => "not found",
                _ => panic!("{out}"),
            };
            table += &format!("{answer} {:5} {result}\n", format!("`{separator}`"));
        }
    }
    assert_snapshot!(table, @"
    403, mismatch ``    stops and shows the reason
    403, mismatch `,`   stops and shows the reason
    403, mismatch `|`   the next proxy is asked
    403, policy ``    stops and shows the reason
    403, policy `,`   stops and shows the reason
    403, policy `|`   the next proxy is asked
    404 ``    not found
    404 `,`   the next proxy is asked
    404 `|`   the next proxy is asked
    ");
}

#[test]
fn a_list_with_a_bar_is_warned_about() {
    let Some(world) = World::new() else { return };
    let mut command = world.command(&["--dry-run"]);
    command.env("GOPROXY", "https://a.example|direct");
    let out = ostree_go_tests::cli::run(&mut command).ok();
    assert_snapshot!(out.stderr, @"warning: GOPROXY has `|`, after which the go command asks the next proxy for what this one has refused; separate proxies by commas");
    assert_snapshot!(out.stdout, @"the options and the policy are valid");
}

#[test]
fn parallel_clients_share_one_fetch() {
    let Some(world) = World::new() else { return };
    let proxy = world.start(&[]);
    let expected = fs::read(world.file("www", ZIP)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let response = proxy.get(ZIP).expect("a response");
                assert_eq!(response.status, 200);
                assert!(response.body == expected);
            });
        }
        for _ in 0..3 {
            scope.spawn(|| world.download(NAME, &proxy.url, &[]).ok());
        }
    });
    let asked = world.upstream.requests();
    let zips = asked.iter().filter(|path| *path == ZIP).count();
    assert_eq!(zips, 1, "{asked:?}");
    assert!(proxy.text(INFO).starts_with("200: "));
    assert_eq!(world.kinds(), [""; 0]);
}

#[test]
fn requests_that_are_none_are_refused() {
    let Some(world) = World::new() else { return };
    let proxy = world.start(&[]);
    assert_snapshot!(proxy.text("/"), @"400: this is not a path of a Go module proxy");
    assert_snapshot!(proxy.text("/example.com/../../etc/passwd"), @"400: this is not a path of a Go module proxy");
    assert_snapshot!(proxy.text("/example.com/Lib/@v/list"), @"400: this is not a path of a Go module proxy");
    assert_snapshot!(proxy.text("/example.com/lib/@v/v1.0.0.exe"), @"400: this is not a path of a Go module proxy");
    assert_snapshot!(proxy.text("/sumdb/sum.golang.org/latest"), @"404: this proxy does not serve the checksum database sum.golang.org, but sum.example.com");
    assert!(
        world.upstream.requests().is_empty(),
        "{:?}",
        world.upstream.requests()
    );
}
