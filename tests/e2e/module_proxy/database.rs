//! A checksum database that is out of reach, shows another tree, or an older one.

use super::{INFO, LIB, MOD, NAME, World, ZIP};
use insta::assert_snapshot;
use ostree_go_tests::cli::run;
use ostree_go_tests::module_proxy::RunningProxy;
use ostree_go_tests::sumdb::SumDatabase;
use ostree_go_tests::webserver::{Fault, FaultyServer};
use std::fs;
use std::path::Path;
use std::process::Command;

fn start(world: &World, database: &str) -> RunningProxy {
    RunningProxy::start(&mut world.command_with(database, &["--timeout", "1"]))
}

#[test]
fn nothing_is_served_while_the_database_is_out_of_reach() {
    let Some(world) = World::new() else { return };
    let proxy = world.start(&[]);
    assert!(proxy.text(ZIP).starts_with("200: "));
    drop(proxy);
    let proxy = start(&world, "http://127.0.0.1:1");
    // Also not what is in the cache.
    for path in [ZIP, MOD] {
        let said = proxy.text(path);
        let expected = format!("503: {NAME} cannot be verified: ");
        assert!(said.starts_with(&expected), "{said}");
    }
    let said = world.download(NAME, &proxy.url, &[]).exits(1).stderr;
    assert!(said.contains("503 Service Unavailable"), "{said}");
    assert_eq!(world.kinds(), [""; 0]);
    drop(proxy);
    let proxy = start(&world, &world.database.url);
    world.download(NAME, &proxy.url, &[]).ok();
}

#[test]
fn a_module_that_the_database_lacks_is_blocked() {
    let Some(world) = World::new() else { return };
    super::publish(&world.sandbox, LIB, "v1.2.0", "package lib\n");
    let proxy = world.start(&[]);
    let module = format!("{LIB}@v1.2.0");
    let said = world.download(&module, &proxy.url, &[]).exits(1).stderr;
    let said = said.replace(&world.database.url, "[database]");
    let reason = said.split("blocked: ").nth(1).expect("a reason");
    assert_snapshot!(reason.trim_end(), @"example.com/lib@v1.2.0 cannot be verified: the checksum database [database] has no example.com/lib@v1.2.0");
    assert_eq!(world.kinds(), ["not-in-database"]);
}

#[test]
fn a_forked_database_is_blocked_and_the_evidence_is_kept() {
    let Some(world) = World::new() else { return };
    let proxy = world.start(&[]);
    assert!(proxy.text(ZIP).starts_with("200: "));
    drop(proxy);
    // A database with the same key, whose first record is another one.
    let lines = world.lines.replace("v1.0.0", "v0.9.0") + &world.lines;
    let other = SumDatabase::start(&world.sdk, "key", &lines);
    let look_up = format!("{}/lookup/{LIB}@v0.9.0", other.url);
    run(Command::new("curl").args(["-sSf", &look_up])).ok();
    let proxy = start(&world, &other.url);
    for path in [ZIP, MOD] {
        let said = proxy.text(path);
        assert!(
            said.starts_with(&format!("403: blocked: {NAME} cannot be verified: ")),
            "{said}"
        );
        assert!(said.contains("contradicts the head"), "{said}");
    }
    // Neither is the other tree shown to clients with a database.
    let said = proxy.text(&format!("/sumdb/sum.example.com/lookup/{NAME}"));
    assert!(said.starts_with("403: blocked: "), "{said}");
    let alerts = world.alerts();
    assert_eq!(alerts.len(), 3);
    assert_eq!(alerts[0]["alert"], "forked-database");
    let evidence = world.sandbox.path(alerts[0]["evidence"].as_str().unwrap());
    let evidence = fs::read_to_string(evidence).unwrap();
    assert_eq!(evidence.matches("\n— sum.example.com ").count(), 2);
    drop(proxy);
    // The first database is still trusted.
    let proxy = start(&world, &world.database.url);
    assert!(proxy.text(ZIP).starts_with("200: "));
}

#[test]
fn a_stale_head_is_accepted_only_with_the_proof_that_the_newest_continues_it() {
    let Some(world) = World::new() else { return };
    let mirror = world.sandbox.path("mirror");
    let copy = |path: &str| {
        let to = mirror.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let url = format!("{}/{path}", world.database.url);
        run(Command::new("curl").args(["-sSf", "-o"]).arg(to).arg(url)).ok();
    };
    let look_up = format!("lookup/{NAME}");
    // The tree has one record at first.
    let proxy = world.start(&[]);
    assert!(proxy.text(MOD).starts_with("200: "));
    copy(&look_up);
    copy("tile/8/0/000.p/1");
    let newer = MOD.replace("v1.0.0", "v1.1.0");
    assert!(proxy.text(&newer).starts_with("200: "));
    drop(proxy);
    let newest = newest(&world.sandbox.path("cache/state"));
    assert!(newest.starts_with("go.sum database tree\n2\n"), "{newest}");

    let server = FaultyServer::serving(&mirror);
    let proxy = start(&world, &server.url());
    let said = proxy.text(ZIP);
    assert!(said.starts_with("503: "), "{said}");
    copy("tile/8/0/000.p/2");
    assert!(proxy.text(ZIP).starts_with("200: "));
    // Records of the newer tree cannot be hidden: they are not served without proof.
    assert!(proxy.text(&newer).starts_with("403: blocked: "));
    assert_eq!(self::newest(&world.sandbox.path("cache/state")), newest);
}

fn newest(state: &Path) -> String {
    let mut folders = fs::read_dir(state).unwrap();
    let folder = folders.next().unwrap().unwrap().path();
    fs::read_to_string(folder.join("newest")).unwrap()
}

#[test]
fn answers_of_a_database_that_are_no_answers_are_blocked() {
    let Some(world) = World::new() else { return };
    let mirror = world.sandbox.path("mirror");
    fs::create_dir_all(mirror.join("lookup/example.com")).unwrap();
    let file = mirror.join(format!("lookup/{NAME}"));
    fs::write(&file, "<html>Log in</html>").unwrap();
    let server = FaultyServer::serving(&mirror);
    let proxy = start(&world, &server.url());
    let text = |path| proxy.text(path).replace(&server.url(), "[database]");
    assert_snapshot!(text(ZIP), @"503: example.com/lib@v1.0.0 cannot be verified: cannot download [database]/lookup/example.com/lib@v1.0.0: this is a web page, not the requested file");
    let url = format!("{}/lookup/{NAME}", world.database.url);
    run(Command::new("curl")
        .args(["-sSf", "-o"])
        .arg(&file)
        .arg(url))
    .ok();
    let answer = fs::read_to_string(&file).unwrap();
    fs::write(&file, answer.replace("h1:", "h1:A")).unwrap();
    let tile = mirror.join("tile/8/0/000.p");
    fs::create_dir_all(&tile).unwrap();
    let url = format!("{}/tile/8/0/000.p/1", world.database.url);
    run(Command::new("curl")
        .args(["-sSf", "-o"])
        .arg(tile.join("1"))
        .arg(url))
    .ok();
    let said = text(ZIP);
    assert!(
        said.contains("record 0 does not belong to the tree"),
        "{said}"
    );
    assert_eq!(world.kinds(), ["invalid-database"]);
    server.fault("lookup", Fault::Stall);
    assert!(text(ZIP).starts_with("503: "));
    // The time of a version has no proof.
    assert!(proxy.text(INFO).starts_with("200: "));
}
