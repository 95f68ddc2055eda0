//! A mirror takes all that a remote has, as the stock `ostree pull --mirror` does.

use ostree_go_tests::bench::Bench;
use ostree_go_tests::ostree;
use ostree_go_tests::shop::Shop;
use std::fs;
use std::path::Path;

/// Toy SDKs for both architectures, signed and published, with deltas and a signed summary.
fn published() -> Shop {
    let shop = Shop::bare();
    let gpg = [
        "--gpg-sign",
        shop.key.as_str(),
        "--gpg-homedir",
        shop.gpg.home().to_str().unwrap(),
    ];
    shop.publisher.toys("1.99.1");
    let channels = r#"channels: ["go-sdk/${basearch}/1.99"]"#;
    let source = ostree_go_tests::bench::TOY_SOURCE;
    shop.publisher
        .treefile("1.99.1", &format!("{source}\n{channels}"));
    shop.publisher.compose(gpg);
    let publish = [&["publish"], &gpg[..]].concat();
    shop.publisher.run(publish).ok();
    shop
}

/// A repository in archive mode with the remote at `url`, and nothing in it.
fn mirror(shop: &Shop, url: &str) -> Bench {
    let mirror = Bench::new();
    ostree::init(&mirror.repo(), "archive");
    let keys = shop.gpg.export(&shop.key).display().to_string();
    mirror
        .run(["remote", "add", "acme", url, "--gpg-import", &keys])
        .ok();
    mirror
}

fn objects(repo: &Path) -> Vec<String> {
    let top = repo.join("objects");
    let files = ostree_go_tests::shop::files(&top).into_iter();
    files
        .map(|file| file.strip_prefix(&top).unwrap().display().to_string())
        .collect()
}

#[test]
fn a_mirror_has_what_the_stock_one_has() {
    let shop = published();
    let url = shop.server.url();
    let stock = mirror(&shop, &url);
    ostree::ostree(&stock.repo(), ["pull", "--mirror", "acme"]);
    assert!(stock.refs().len() >= 7, "{:?}", stock.refs());
    let local = format!("file://{}", shop.publisher.repo().display());
    for url in [&url, &local] {
        let ours = mirror(&shop, url);
        // The only remote is meant when none is named.
        let out = ours.run(["pull", "--mirror"]).ok();
        assert_eq!(out.stdout.lines().count(), stock.refs().len());
        assert_eq!(ours.refs(), stock.refs());
        for name in ours.refs() {
            assert_eq!(ours.rev(&name), stock.rev(&name), "{name}");
        }
        assert_eq!(objects(&ours.repo()), objects(&stock.repo()));
        for file in ["summary", "summary.sig"] {
            let read = |bench: &Bench| fs::read(bench.repo().join(file)).unwrap();
            assert_eq!(read(&ours), read(&stock), "{file}");
        }
        ours.fsck();
        // Again, there is nothing to do.
        ours.run(["pull", "--mirror", "acme"]).ok();
        assert_eq!(objects(&ours.repo()), objects(&stock.repo()));
    }
}

#[test]
fn a_mirror_is_served_on() {
    let shop = published();
    let mirror = mirror(&shop, &shop.server.url());
    mirror.run(["pull", "--mirror", "acme"]).ok();
    let server = ostree_go_tests::webserver::BadServer::over(&mirror.repo());
    let keys = shop.gpg.export(&shop.key).display().to_string();
    let host = Bench::new();
    host.run(["init", "--mode", "bare-user"]).ok();
    host.run([
        "remote",
        "add",
        "near",
        &server.url(),
        "--gpg-import",
        &keys,
    ])
    .ok();
    let name = "go-sdk/x86_64/1.99";
    host.run(["pull", "near", name]).ok();
    assert_eq!(host.rev(&format!("near:{name}")), mirror.rev(name));
    host.fsck();
    // The stock client asks for the summary's signature too.
    let stock = Bench::new();
    ostree::init(&stock.repo(), "bare-user");
    let import = format!("--gpg-import={keys}");
    let (url, summary) = (server.url(), "--set=gpg-verify-summary=true");
    ostree::ostree(
        &stock.repo(),
        ["remote", "add", &import, summary, "near", &url],
    );
    ostree::ostree(&stock.repo(), ["pull", "near", name]);
    stock.fsck();
}

#[test]
fn what_was_never_published_again_loses_its_old_signature() {
    let shop = published();
    let mirror = mirror(&shop, &shop.server.url());
    mirror.run(["pull", "--mirror"]).ok();
    assert!(mirror.repo().join("summary.sig").exists());
    fs::remove_file(shop.publisher.repo().join("summary.sig")).unwrap();
    mirror.run(["pull", "--mirror"]).ok();
    assert!(!mirror.repo().join("summary.sig").exists());
    // A pull of some refs leaves the summary alone, and so does a look.
    fs::remove_file(mirror.repo().join("summary")).unwrap();
    mirror
        .run(["pull", "--mirror", "acme", "go-sdk/x86_64/1.99"])
        .ok();
    mirror.run(["pull", "--mirror", "--dry-run"]).ok();
    assert!(!mirror.repo().join("summary").exists());
}
