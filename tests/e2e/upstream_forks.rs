//! The newest head of a checksum database: Go's own server shows its tree, and other trees with the same key.

use insta::assert_snapshot;
use ostree_go_sdk::http::HttpOptions;
use ostree_go_sdk::upstream::{Database, HeadStore, ProvenRecord, UpstreamError, VerifierKey};
use ostree_go_sdk::{Arch, ErrorKind, NoProgress};
use ostree_go_tests::cli::run;
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::sumdb::{SumDatabase, verify_proof};
use ostree_go_tests::webserver::FaultyServer;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

const H1: &str = "h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=";

fn line(number: u32) -> String {
    format!("example.com/m v1.0.{number} {H1}\nexample.com/m v1.0.{number}/go.mod {H1}\n")
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(line).collect()
}

fn client(key: &str, url: &str, dir: &Path) -> Database {
    let key = VerifierKey::parse(key).unwrap();
    let client = Database::new(key, &[url.to_owned()], &HttpOptions::new()).unwrap();
    client
        .heads(Some(HeadStore::new(dir.join("heads"))))
        .tile_cache(Some(dir.join("tiles")))
}

fn look_up(client: &Database, number: u32) -> Result<ProvenRecord, UpstreamError> {
    client.look_up("example.com/m", &format!("v1.0.{number}"), &NoProgress)
}

fn newest(dir: &Path) -> String {
    let key = fs::read_dir(dir.join("heads")).unwrap().next().unwrap();
    fs::read_to_string(key.unwrap().path().join("newest")).unwrap()
}

#[test]
fn a_growing_tree_is_accepted_and_a_fork_is_refused() {
    let Some(sdk) = sdk("1.26.5", Arch::X86_64) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let database = SumDatabase::start(&sdk, "key", &lines(0..300));
    let honest = client(&database.key, &database.url, dir);
    // Beyond one tile, and over several heads.
    for number in 0..300 {
        let found = look_up(&honest, number).unwrap();
        let version = format!("v1.0.{number}");
        let h1 = found.h1("example.com/m", &format!("{version}/go.mod"));
        assert_eq!(h1.unwrap().to_string(), H1);
        assert!(found.h1("example.com/m", "v1.0").is_err());
        if number % 50 == 7 {
            let proof = ostree_go_sdk::upstream::LogProof::from(&found.record).to_string();
            let said = verify_proof(&sdk, &database.key, &proof);
            let expected = format!("{number} of {}\n{}", number + 1, line(number));
            assert_eq!(said, expected);
        }
    }
    assert!(newest(dir).starts_with("go.sum database tree\n300\n"));
    assert!(dir.join("tiles/tile/8/0/000").exists());

    // A damaged tile in the cache is fetched again.
    fs::write(dir.join("tiles/tile/8/0/000"), [7; 256 * 32]).unwrap();
    look_up(&honest, 3).unwrap();
    assert_ne!(
        fs::read(dir.join("tiles/tile/8/0/000")).unwrap(),
        [7; 256 * 32]
    );

    let error = look_up(&honest, 999).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    // A database with the same key that has never had these records.
    let other = SumDatabase::start(&sdk, "key", &lines(300..700));
    let forked = client(&other.key, &other.url, dir);
    let without_heads = Database::new(
        VerifierKey::parse(&other.key).unwrap(),
        std::slice::from_ref(&other.url),
        &HttpOptions::new(),
    )
    .unwrap();
    for number in 300..601 {
        look_up(&without_heads, number).unwrap();
    }
    let error = look_up(&forked, 350).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    let UpstreamError::Fork { evidence, .. } = &error else {
        panic!("{error:?}");
    };
    let said = error.to_string().replace(&other.url, "[url]");
    let said = said.replace(dir.to_str().unwrap(), "[dir]");
    assert_snapshot!(said.split('+').next().unwrap(), @"the checksum database [url] contradicts the head that this machine has seen before; both are kept in [dir]/heads/sum.example.com");
    assert_snapshot!(error.source().unwrap(), @"the tree of 301 records does not continue the tree of 300 records");
    let kept = fs::read_to_string(evidence).unwrap();
    assert_eq!(kept.matches("\n— sum.example.com ").count(), 2);
    assert!(
        kept.contains("\n300\n") && kept.contains("\n301\n"),
        "{kept}"
    );
    // The honest database is still the one that counts.
    assert!(newest(dir).starts_with("go.sum database tree\n300\n"));
    database.add(&line(1000));
    look_up(&honest, 1000).unwrap();

    // Another key is another database.
    let foreign = SumDatabase::start(&sdk, "other key", &lines(0..1));
    look_up(&client(&foreign.key, &foreign.url, dir), 0).unwrap();
    let error = look_up(&client(&database.key, &foreign.url, dir), 0).unwrap_err();
    assert!(matches!(error, UpstreamError::Database { .. }), "{error:?}");
}

#[test]
fn an_older_head_is_accepted_if_the_newest_tree_continues_it() {
    let Some(sdk) = sdk("1.26.5", Arch::X86_64) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let database = SumDatabase::start(&sdk, "key", &lines(0..9));
    let files = dir.join("mirror");
    let copy = |path: &str| {
        let to = files.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let mut curl = Command::new("curl");
        curl.args(["-sSf", "-o"]).arg(to);
        run(curl.arg(format!("{}/{path}", database.url))).ok();
    };
    let honest = client(&database.key, &database.url, dir);
    for number in 0..5 {
        look_up(&honest, number).unwrap();
    }
    copy("lookup/example.com/m@v1.0.3");
    copy("tile/8/0/000.p/5");
    for number in 5..9 {
        look_up(&honest, number).unwrap();
    }
    let mirror = FaultyServer::serving(&files);
    let stale = client(&database.key, &mirror.url(), dir);
    // The mirror cannot prove it without the newer tree.
    let error = look_up(&stale, 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    copy("tile/8/0/000.p/9");
    let found = look_up(&stale, 3).unwrap();
    assert_eq!(found.record.head.head.size, 5);
    assert!(newest(dir).starts_with("go.sum database tree\n9\n"));

    // Tiles of another tree prove nothing, and are no evidence.
    fs::write(files.join("tile/8/0/000.p/9"), [7; 9 * 32]).unwrap();
    let error = look_up(&stale, 3).unwrap_err();
    assert_snapshot!(error.source().unwrap(), @"the hashes do not show that the tree of 9 records continues the tree of 5 records");

    // A damaged store is replaced.
    let key = fs::read_dir(dir.join("heads")).unwrap().next().unwrap();
    let path = key.unwrap().path().join("newest");
    fs::write(&path, "damaged").unwrap();
    look_up(&honest, 3).unwrap();
    assert!(newest(dir).starts_with("go.sum database tree\n9\n"));
}
