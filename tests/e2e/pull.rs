//! Pulls: their results, deltas, mirrors, concurrency and interoperability.

use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::ostree;
use ostree_go_tests::pull_fixture::{PullFixture, REF};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON document")
}

#[test]
fn a_ref_is_pulled_from_its_remote() {
    let fixture = PullFixture::new();
    let commit = fixture.publisher.rev(REF).unwrap();
    // The only remote is meant when none is named.
    let out = fixture.pull(&[REF]).ok();
    assert_eq!(out.stdout, format!("{commit}\n"));
    assert_eq!(fixture.pulled(REF), Some(commit.clone()));
    fixture.assert_intact(&[&format!("acme:{REF}")]);

    // Again, there is nothing to do.
    fixture.server.reset();
    let out = fixture.pull(&["acme", REF, "--format", "json"]).ok();
    let said = json(&out.stdout);
    assert_eq!(said["commits"][0]["download"]["way"], "nothing");
    assert_eq!(said["commits"][0]["current"], commit);
    assert_eq!(said["commits"][0]["signatures"][0]["status"], "valid");
    assert_eq!(said["commits"][0]["signatures"][0]["key"], fixture.key);
    let objects = fixture.server.requests();
    assert!(
        !objects.iter().any(|p| p.ends_with(".filez")),
        "{objects:?}"
    );

    // And what comes next shares what is there.
    let next = fixture.commit(REF, 2, &[]);
    fixture.summary();
    fixture.server.reset();
    fixture.pull(&[REF]).ok();
    assert_eq!(fixture.pulled(REF), Some(next));
    let objects = fixture.server.requests();
    let files = objects.iter().filter(|p| p.ends_with(".filez")).count();
    assert_eq!(files, 10, "half of the files are new: {objects:?}");
    fixture.assert_intact(&[&format!("acme:{REF}")]);
}

#[test]
fn a_dry_run_reports_and_changes_nothing() {
    let fixture = PullFixture::new();
    let before = ostree_go_tests::pull_fixture::files(&fixture.host.repo()).len();
    let out = fixture.pull(&[REF, "--dry-run"]).ok();
    assert!(
        out.stdout.contains("publisher <publisher@example.com>"),
        "{}",
        out.stdout
    );
    let requests = fixture.server.requests();
    assert!(
        !requests
            .iter()
            .any(|p| p.contains(".dirtree") || p.contains(".filez"))
    );
    fixture.assert_intact(&[]);
    let after = ostree_go_tests::pull_fixture::files(&fixture.host.repo()).len();
    assert!(
        after <= before + 2,
        "a lock and a cache at most: {before} {after}"
    );

    let out = fixture
        .pull(&[REF, "--commit-metadata-only", "--format", "json"])
        .ok();
    let said = json(&out.stdout);
    let commit = &said["commits"][0];
    assert_eq!(commit["ref"], REF);
    assert_eq!(commit["signed"], true);
    assert_eq!(commit["download"]["way"], "objects");
    fixture.assert_intact(&[]);
    // The commit is there to be looked at, and the rest can come later.
    fixture
        .host
        .run(["show", commit["commit"].as_str().unwrap()])
        .ok();
    fixture.pull(&[REF]).ok();
    fixture.assert_intact(&[&format!("acme:{REF}")]);
    let checked = fixture.host.checkout(&format!("acme:{REF}"), "tree");
    assert!(checked.join("usr/dir0/file0").exists());
}

#[test]
fn deltas_are_used_if_available() {
    let fixture = PullFixture::new();
    let first = fixture.publisher.rev(REF).unwrap();
    fixture.delta(None, &first);
    let out = fixture.pull(&[REF, "--format", "json"]).ok();
    let said = json(&out.stdout);
    assert_eq!(said["used_delta"], true, "{said}");
    let download = &said["commits"][0]["download"];
    assert_eq!(download["way"], "delta");
    assert!(download["bytes"].as_u64().unwrap() > 30_000, "{download}");
    only_by_delta(&fixture);

    let second = fixture.commit(REF, 2, &[]);
    fixture.delta(Some(&first), &second);
    fixture.server.reset();
    let said = json(&fixture.pull(&[REF, "--format", "json"]).ok().stdout);
    assert_eq!(said["used_delta"], true, "{said}");
    assert_eq!(fixture.pulled(REF), Some(second.clone()));
    only_by_delta(&fixture);
    fixture.assert_intact(&[&format!("acme:{REF}")]);

    // Not if told so, and not after the commit alone has come.
    let third = fixture.commit(REF, 3, &[]);
    fixture.delta(Some(&second), &third);
    fixture.pull(&[REF, "--commit-metadata-only"]).ok();
    let said = json(
        &fixture
            .pull(&[REF, "--no-deltas", "--format", "json"])
            .ok()
            .stdout,
    );
    assert_eq!(said["used_delta"], false, "{said}");
    fixture.assert_intact(&[&format!("acme:{REF}")]);
    let fourth = fixture.commit(REF, 4, &[]);
    fixture.delta(Some(&third), &fourth);
    fixture.pull(&[REF, "--commit-metadata-only"]).ok();
    fixture.pull(&[REF]).ok();
    assert_eq!(fixture.pulled(REF), Some(fourth.clone()));
    fixture.assert_intact(&[&format!("acme:{REF}")]);
}

/// Asserts that only the commit was requested as a single object.
fn only_by_delta(fixture: &PullFixture) {
    let asked = fixture.server.requests();
    let is_part = |p: &String| p.starts_with("/deltas/") && p.ends_with("/0");
    let is_object = |p: &String| p.starts_with("/objects/") && !p.contains(".commit");
    assert!(asked.iter().any(is_part), "{asked:?}");
    assert!(!asked.iter().any(is_object), "{asked:?}");
}

#[test]
fn deltas_of_every_kind() {
    let fixture = PullFixture::new();
    let mut last = fixture.publisher.rev(REF).unwrap();
    fixture.pull(&[REF]).ok();
    let shapes: [&[&str]; 4] = [
        &["--inline"],
        &["--swap-endianness"],
        &["--disable-bsdiff", "--max-chunk-size=1"],
        &["--min-fallback-size=0", "--max-bsdiff-size=0"],
    ];
    for (day, shape) in (2..).zip(shapes) {
        let next = fixture.commit(REF, day, &[]);
        fixture.delta_with(Some(&last), &next, shape);
        fixture.server.reset();
        let said = json(&fixture.pull(&[REF, "--format", "json"]).ok().stdout);
        assert_eq!(said["used_delta"], true, "{shape:?}: {said}");
        let asked = fixture.server.requests();
        let parts = asked.iter().filter(|p| p.ends_with("/0")).count();
        assert_eq!(parts, usize::from(shape != ["--inline"]), "{asked:?}");
        assert!(!asked.iter().any(|p| p.ends_with(".filez")), "{asked:?}");
        assert_eq!(fixture.pulled(REF).as_deref(), Some(next.as_str()));
        fixture.assert_intact(&[&format!("acme:{REF}")]);
        last = next;
    }
}

#[test]
fn a_mirror_uses_deltas() {
    let fixture = PullFixture::new();
    let first = fixture.publisher.rev(REF).unwrap();
    fixture.delta(None, &first);
    let mirror = ostree_go_tests::sandbox::Sandbox::new();
    let keys = fixture.gpg.export(&fixture.key).display().to_string();
    mirror.run(["init", "--mode", "archive"]).ok();
    let url = fixture.server.url();
    mirror
        .run(["remote", "add", "acme", &url, "--gpg-import", &keys])
        .ok();
    mirror.run(["pull", "--mirror", REF]).ok();
    only_by_delta(&fixture);
    assert_eq!(mirror.rev(REF), Some(first));
    mirror.fsck();
}

#[test]
fn a_subpath_a_history_and_a_mirror() {
    let fixture = PullFixture::new();
    let first = fixture.publisher.rev(REF).unwrap();
    let second = fixture.commit(REF, 2, &[&format!("--parent={first}")]);
    fixture.commit("go-sdk/aarch64/1.99", 1, &[]);
    fixture.summary();

    fixture.pull(&[REF, "--subpath", "usr/dir1"]).ok();
    let name = format!("acme:{REF}");
    let listed = ostree::ostree(&fixture.host.repo(), ["ls", "-R", &name, "/usr/dir1"]);
    assert!(listed.contains("file1"), "{listed}");
    let other = ostree::try_ostree(&fixture.host.repo(), ["ls", "-R", &name, "/usr/dir0"]);
    assert!(!other.status.success());

    // The rest, and the commit before, to be served on.
    fixture
        .pull(&["--mirror", "--depth", "1", REF, "go-sdk/aarch64/1.99"])
        .ok();
    assert_eq!(fixture.host.rev(REF), Some(second));
    assert!(fixture.host.rev("go-sdk/aarch64/1.99").is_some());
    fixture.host.run(["log", REF]).ok();
    fixture.host.run(["show", &first]).ok();
    fixture.assert_intact(&[&name, "go-sdk/aarch64/1.99", REF]);
    fixture.host.checkout(&first, "first");
}

#[test]
fn a_damaged_commit_is_fetched_again() {
    let fixture = PullFixture::new();
    let commit = fixture.publisher.rev(REF).unwrap();
    let object = fixture.object(REF, "commit");
    let damages: [fn(&mut Vec<u8>); 3] = [
        |bytes| bytes[40] ^= 1,
        |bytes| bytes.truncate(50),
        |bytes| bytes.clear(),
    ];
    let local = format!("file://{}", fixture.publisher.repo().display());
    let keys = fixture.gpg.export(&fixture.key).display().to_string();
    fixture
        .host
        .run(["remote", "add", "near", &local, "--gpg-import", &keys])
        .ok();
    for remote in ["acme", "near"] {
        let name = format!("{remote}:{REF}");
        fixture.pull(&[remote, REF]).ok();
        for damage in damages {
            let path = fixture.host.repo().join(object.trim_start_matches('/'));
            let mut bytes = std::fs::read(&path).unwrap();
            damage(&mut bytes);
            // The object may be a link that somebody else has too.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
            let fsck = ostree::try_ostree(&fixture.host.repo(), ["fsck", "--quiet"]);
            assert!(!fsck.status.success());
            fixture.server.reset();
            fixture.pull(&[remote, REF]).ok();
            let asked = fixture.server.requests();
            assert!(!asked.iter().any(|p| p.ends_with(".filez")), "{asked:?}");
            assert_eq!(fixture.host.rev(&name), Some(commit.clone()));
            fixture.host.fsck();
            fixture.host.checkout(&name, "tree");
            std::fs::remove_dir_all(fixture.host.path("tree")).unwrap();
        }
    }
}

#[test]
fn ten_pulls_at_once() {
    let fixture = PullFixture::new();
    let names: Vec<String> = (0..5).map(|n| format!("go-sdk/x86_64/1.99.{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        fixture.commit(name, u32::try_from(n).unwrap() + 1, &[]);
    }
    fixture.summary();
    let children: Vec<_> = (0..10)
        .map(|n| {
            let mut command = fixture
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
    assert_eq!(fixture.host.refs().len(), 6);
    fixture.host.fsck();
}

#[test]
fn interoperability_with_the_stock_tools() {
    let fixture = PullFixture::new();
    let Some(nginx) = Nginx::start() else { return };
    std::os::unix::fs::symlink(fixture.publisher.repo(), nginx.path("repo")).unwrap();
    // What the stock tools made comes through a real server.
    let url = format!("{}/repo", nginx.url());
    let keys = fixture.gpg.export(&fixture.key);
    let keys = keys.to_str().unwrap();
    fixture
        .host
        .run(["remote", "add", "real", &url, "--gpg-import", keys])
        .ok();
    fixture.host.run(["pull", "real", REF]).ok();
    assert_eq!(
        fixture.host.rev(&format!("real:{REF}")),
        fixture.publisher.rev(REF)
    );

    // What is composed and signed here is pulled by the stock tools, by a remote set up here.
    let toy = ostree_go_tests::toy::Toy::new(ostree_go_sdk::Arch::X86_64);
    toy.tar_gz(&fixture.publisher.path("toy.tar.gz"));
    let source = ostree_go_tests::sandbox::source(&fixture.publisher.path("toy.tar.gz"));
    fixture
        .publisher
        .treefile("1.99.1", &format!("arches: [x86_64]\n{source}"));
    fixture.publisher.compose([]);
    let repo = ostree_go_sdk::Repo::open(fixture.publisher.repo()).unwrap();
    let name = "go-sdk/x86_64/1.99.1";
    let key = ostree_go_sdk::sign::SigningKey::Gpg {
        id: fixture.key.clone(),
        homedir: Some(fixture.gpg.home().to_owned()),
    };
    repo.sign(repo.resolve(name).unwrap(), &key).unwrap();
    fixture.summary();
    let stock = ostree_go_tests::sandbox::Sandbox::new();
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
    fixture.host.run(["pull", "real", name]).ok();
    fixture.host.fsck();
}
