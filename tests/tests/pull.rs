//! Pulling: what arrives, how, and beside whom.

use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::ostree;
use ostree_go_tests::shop::{REF, Shop};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON document")
}

#[test]
fn a_ref_arrives_by_its_remote() {
    let shop = Shop::new();
    let commit = shop.publisher.rev(REF).unwrap();
    // The only remote is meant when none is named.
    let out = shop.pull(&[REF]).ok();
    assert_eq!(out.stdout, format!("{commit}\n"));
    assert_eq!(shop.pulled(REF), Some(commit.clone()));
    shop.unharmed(&[&format!("acme:{REF}")]);

    // Again, there is nothing to do.
    shop.server.behave();
    let out = shop.pull(&["acme", REF, "--format", "json"]).ok();
    let said = json(&out.stdout);
    assert_eq!(said["commits"][0]["download"]["way"], "nothing");
    assert_eq!(said["commits"][0]["current"], commit);
    assert_eq!(said["commits"][0]["signatures"][0]["status"], "valid");
    assert_eq!(said["commits"][0]["signatures"][0]["key"], shop.key);
    let objects = shop.server.requests();
    assert!(
        !objects.iter().any(|p| p.ends_with(".filez")),
        "{objects:?}"
    );

    // And what comes next shares what is there.
    let next = shop.commit(REF, 2, &[]);
    shop.summary();
    shop.server.behave();
    shop.pull(&[REF]).ok();
    assert_eq!(shop.pulled(REF), Some(next));
    let objects = shop.server.requests();
    let files = objects.iter().filter(|p| p.ends_with(".filez")).count();
    assert_eq!(files, 10, "half of the files are new: {objects:?}");
    shop.unharmed(&[&format!("acme:{REF}")]);
}

#[test]
fn a_preflight_says_and_changes_nothing() {
    let shop = Shop::new();
    let before = ostree_go_tests::shop::files(&shop.host.repo()).len();
    let out = shop.pull(&[REF, "--dry-run"]).ok();
    assert!(
        out.stdout.contains("publisher <publisher@example.com>"),
        "{}",
        out.stdout
    );
    let requests = shop.server.requests();
    assert!(
        !requests
            .iter()
            .any(|p| p.contains(".dirtree") || p.contains(".filez"))
    );
    shop.unharmed(&[]);
    let after = ostree_go_tests::shop::files(&shop.host.repo()).len();
    assert!(
        after <= before + 2,
        "a lock and a cache at most: {before} {after}"
    );

    let out = shop
        .pull(&[REF, "--commit-metadata-only", "--format", "json"])
        .ok();
    let said = json(&out.stdout);
    let commit = &said["commits"][0];
    assert_eq!(commit["ref"], REF);
    assert_eq!(commit["signed"], true);
    assert_eq!(commit["download"]["way"], "objects");
    shop.unharmed(&[]);
    // The commit is there to be looked at, and the rest can come later.
    shop.host
        .run(["show", commit["commit"].as_str().unwrap()])
        .ok();
    shop.pull(&[REF]).ok();
    shop.unharmed(&[&format!("acme:{REF}")]);
    let checked = shop.host.checkout(&format!("acme:{REF}"), "tree");
    assert!(checked.join("usr/dir0/file0").exists());
}

#[test]
fn deltas_are_used_where_there_are_any() {
    let shop = Shop::new();
    let first = shop.publisher.rev(REF).unwrap();
    shop.delta(None, &first);
    let out = shop.pull(&[REF, "--format", "json"]).ok();
    let said = json(&out.stdout);
    assert_eq!(said["used_delta"], true, "{said}");
    let download = &said["commits"][0]["download"];
    assert_eq!(download["way"], "delta");
    assert!(download["bytes"].as_u64().unwrap() > 30_000, "{download}");
    only_by_delta(&shop);

    let second = shop.commit(REF, 2, &[]);
    shop.delta(Some(&first), &second);
    shop.server.behave();
    let said = json(&shop.pull(&[REF, "--format", "json"]).ok().stdout);
    assert_eq!(said["used_delta"], true, "{said}");
    assert_eq!(shop.pulled(REF), Some(second.clone()));
    only_by_delta(&shop);
    shop.unharmed(&[&format!("acme:{REF}")]);

    // Not if told so, and not after the commit alone has come.
    let third = shop.commit(REF, 3, &[]);
    shop.delta(Some(&second), &third);
    shop.pull(&[REF, "--commit-metadata-only"]).ok();
    let said = json(
        &shop
            .pull(&[REF, "--no-deltas", "--format", "json"])
            .ok()
            .stdout,
    );
    assert_eq!(said["used_delta"], false, "{said}");
    shop.unharmed(&[&format!("acme:{REF}")]);
    let fourth = shop.commit(REF, 4, &[]);
    shop.delta(Some(&third), &fourth);
    shop.pull(&[REF, "--commit-metadata-only"]).ok();
    shop.pull(&[REF]).ok();
    assert_eq!(shop.pulled(REF), Some(fourth.clone()));
    shop.unharmed(&[&format!("acme:{REF}")]);
}

/// Nothing was asked for object by object but the commit.
fn only_by_delta(shop: &Shop) {
    let asked = shop.server.requests();
    let is_part = |p: &String| p.starts_with("/deltas/") && p.ends_with("/0");
    let is_object = |p: &String| p.starts_with("/objects/") && !p.contains(".commit");
    assert!(asked.iter().any(is_part), "{asked:?}");
    assert!(!asked.iter().any(is_object), "{asked:?}");
}

#[test]
fn deltas_of_every_shape() {
    let shop = Shop::new();
    let mut last = shop.publisher.rev(REF).unwrap();
    shop.pull(&[REF]).ok();
    let shapes: [&[&str]; 4] = [
        &["--inline"],
        &["--swap-endianness"],
        &["--disable-bsdiff", "--max-chunk-size=1"],
        &["--min-fallback-size=0", "--max-bsdiff-size=0"],
    ];
    for (day, shape) in (2..).zip(shapes) {
        let next = shop.commit(REF, day, &[]);
        shop.delta_with(Some(&last), &next, shape);
        shop.server.behave();
        let said = json(&shop.pull(&[REF, "--format", "json"]).ok().stdout);
        assert_eq!(said["used_delta"], true, "{shape:?}: {said}");
        let asked = shop.server.requests();
        let parts = asked.iter().filter(|p| p.ends_with("/0")).count();
        assert_eq!(parts, usize::from(shape != ["--inline"]), "{asked:?}");
        assert!(!asked.iter().any(|p| p.ends_with(".filez")), "{asked:?}");
        assert_eq!(shop.pulled(REF).as_deref(), Some(next.as_str()));
        shop.unharmed(&[&format!("acme:{REF}")]);
        last = next;
    }
}

#[test]
fn a_mirror_is_filled_by_delta() {
    let shop = Shop::new();
    let first = shop.publisher.rev(REF).unwrap();
    shop.delta(None, &first);
    let mirror = ostree_go_tests::bench::Bench::new();
    let keys = shop.gpg.export(&shop.key).display().to_string();
    mirror.run(["init", "--mode", "archive"]).ok();
    let url = shop.server.url();
    mirror
        .run(["remote", "add", "acme", &url, "--gpg-import", &keys])
        .ok();
    mirror.run(["pull", "--mirror", REF]).ok();
    only_by_delta(&shop);
    assert_eq!(mirror.rev(REF), Some(first));
    mirror.fsck();
}

#[test]
fn a_part_a_history_a_mirror() {
    let shop = Shop::new();
    let first = shop.publisher.rev(REF).unwrap();
    let second = shop.commit(REF, 2, &[&format!("--parent={first}")]);
    shop.commit("go-sdk/aarch64/1.99", 1, &[]);
    shop.summary();

    shop.pull(&[REF, "--subpath", "usr/dir1"]).ok();
    let name = format!("acme:{REF}");
    let listed = ostree::ostree(&shop.host.repo(), ["ls", "-R", &name, "/usr/dir1"]);
    assert!(listed.contains("file1"), "{listed}");
    let other = ostree::try_ostree(&shop.host.repo(), ["ls", "-R", &name, "/usr/dir0"]);
    assert!(!other.status.success());

    // The rest, and the commit before, to be served on.
    shop.pull(&["--mirror", "--depth", "1", REF, "go-sdk/aarch64/1.99"])
        .ok();
    assert_eq!(shop.host.rev(REF), Some(second));
    assert!(shop.host.rev("go-sdk/aarch64/1.99").is_some());
    shop.host.run(["log", REF]).ok();
    shop.host.run(["show", &first]).ok();
    shop.unharmed(&[&name, "go-sdk/aarch64/1.99", REF]);
    shop.host.checkout(&first, "first");
}

#[test]
fn a_damaged_commit_is_fetched_anew() {
    let shop = Shop::new();
    let commit = shop.publisher.rev(REF).unwrap();
    let object = shop.object(REF, "commit");
    let damages: [fn(&mut Vec<u8>); 3] = [
        |bytes| bytes[40] ^= 1,
        |bytes| bytes.truncate(50),
        |bytes| bytes.clear(),
    ];
    let local = format!("file://{}", shop.publisher.repo().display());
    let keys = shop.gpg.export(&shop.key).display().to_string();
    shop.host
        .run(["remote", "add", "near", &local, "--gpg-import", &keys])
        .ok();
    for remote in ["acme", "near"] {
        let name = format!("{remote}:{REF}");
        shop.pull(&[remote, REF]).ok();
        for damage in damages {
            let path = shop.host.repo().join(object.trim_start_matches('/'));
            let mut bytes = std::fs::read(&path).unwrap();
            damage(&mut bytes);
            // The object may be a link that somebody else has too.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
            let fsck = ostree::try_ostree(&shop.host.repo(), ["fsck", "--quiet"]);
            assert!(!fsck.status.success());
            shop.server.behave();
            shop.pull(&[remote, REF]).ok();
            let asked = shop.server.requests();
            assert!(!asked.iter().any(|p| p.ends_with(".filez")), "{asked:?}");
            assert_eq!(shop.host.rev(&name), Some(commit.clone()));
            shop.host.fsck();
            shop.host.checkout(&name, "tree");
            std::fs::remove_dir_all(shop.host.path("tree")).unwrap();
        }
    }
}

#[test]
fn ten_pulls_at_once() {
    let shop = Shop::new();
    let names: Vec<String> = (0..5).map(|n| format!("go-sdk/x86_64/1.99.{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        shop.commit(name, u32::try_from(n).unwrap() + 1, &[]);
    }
    shop.summary();
    let children: Vec<_> = (0..10)
        .map(|n| {
            let mut command = shop
                .host
                .ostree_go(["pull", "-q", names[n % 5].as_str(), REF]);
            command
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let out = child.wait_with_output().unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
    assert_eq!(shop.host.refs().len(), 6);
    shop.host.fsck();
}

#[test]
fn the_stock_tools_and_this_one_read_each_other() {
    let shop = Shop::new();
    let Some(nginx) = Nginx::start() else { return };
    std::os::unix::fs::symlink(shop.publisher.repo(), nginx.path("repo")).unwrap();
    // What the stock tools made comes through a real server.
    let url = format!("{}/repo", nginx.url());
    let keys = shop.gpg.export(&shop.key);
    let keys = keys.to_str().unwrap();
    shop.host
        .run(["remote", "add", "real", &url, "--gpg-import", keys])
        .ok();
    shop.host.run(["pull", "real", REF]).ok();
    assert_eq!(
        shop.host.rev(&format!("real:{REF}")),
        shop.publisher.rev(REF)
    );

    // What is composed and signed here is pulled by the stock tools, by a remote set up here.
    let toy = ostree_go_tests::toy::Toy::new(ostree_go_sdk::Arch::X86_64);
    toy.tar_gz(&shop.publisher.path("toy.tar.gz"));
    let source = ostree_go_tests::bench::source(&shop.publisher.path("toy.tar.gz"));
    shop.publisher
        .treefile("1.99.1", &format!("arches: [x86_64]\n{source}"));
    shop.publisher.compose([]);
    let repo = ostree_go_sdk::Repo::open(shop.publisher.repo()).unwrap();
    let name = "go-sdk/x86_64/1.99.1";
    let key = ostree_go_sdk::SigningKey::Gpg {
        id: shop.key.clone(),
        homedir: Some(shop.gpg.home().to_owned()),
    };
    ostree_go_sdk::sign(&repo, repo.resolve(name).unwrap(), &key).unwrap();
    shop.summary();
    let stock = ostree_go_tests::bench::Bench::new();
    stock.run(["init", "--mode", "bare-user"]).ok();
    stock
        .run(["remote", "add", "real", &url, "--gpg-import", keys])
        .ok();
    ostree::ostree(&stock.repo(), ["pull", "real", name]);
    stock.fsck();
    // And by this one, which says the size before.
    let out = stock
        .run([
            "pull",
            name,
            "--dry-run",
            "--arch",
            "x86_64",
            "--format",
            "json",
        ])
        .ok();
    let said = json(&out.stdout);
    assert_eq!(said["commits"][0]["version"], "1.99.1");
    assert_eq!(said["commits"][0]["arch"], "x86_64");
    shop.host.run(["pull", "real", name]).ok();
    shop.host.fsck();
}
