//! `pull --mirror` fetches everything from a remote, like the stock `ostree pull --mirror`.

use ostree_go_tests::ostree;
use ostree_go_tests::pull_fixture::PullFixture;
use ostree_go_tests::sandbox::Sandbox;
use std::fs;
use std::path::Path;

/// Publishes signed toy SDKs for both architectures, with deltas and a signed summary.
fn published() -> PullFixture {
    let fixture = PullFixture::unpublished();
    let gpg = [
        "--gpg-sign",
        fixture.key.as_str(),
        "--gpg-homedir",
        fixture.gpg.home().to_str().unwrap(),
    ];
    fixture.publisher.toys("1.99.1");
    let channels = r#"channels: ["go-sdk/${basearch}/1.99"]"#;
    let source = ostree_go_tests::sandbox::TOY_SOURCE;
    fixture
        .publisher
        .treefile("1.99.1", &format!("{source}\n{channels}"));
    fixture.publisher.compose(gpg);
    let publish = [&["publish"], &gpg[..]].concat();
    fixture.publisher.run(publish).ok();
    fixture
}

/// Creates an empty repository in archive mode with the remote at `url`.
fn mirror(fixture: &PullFixture, url: &str) -> Sandbox {
    let mirror = Sandbox::new();
    ostree::init(&mirror.repo(), "archive");
    let keys = fixture.gpg.export(&fixture.key).display().to_string();
    mirror
        .run(["remote", "add", "acme", url, "--gpg-import", &keys])
        .ok();
    mirror
}

fn objects(repo: &Path) -> Vec<String> {
    let top = repo.join("objects");
    let files = ostree_go_tests::pull_fixture::files(&top).into_iter();
    files
        .map(|file| file.strip_prefix(&top).unwrap().display().to_string())
        .collect()
}

#[test]
fn a_mirror_is_identical_to_one_by_the_stock_command() {
    let fixture = published();
    let url = fixture.server.url();
    let stock = mirror(&fixture, &url);
    ostree::ostree(&stock.repo(), ["pull", "--mirror", "acme"]);
    assert!(stock.refs().len() >= 7, "{:?}", stock.refs());
    let local = format!("file://{}", fixture.publisher.repo().display());
    for url in [&url, &local] {
        let ours = mirror(&fixture, url);
        // The only remote is meant when none is named.
        let out = ours.run(["pull", "--mirror"]).ok();
        assert_eq!(out.stdout.lines().count(), stock.refs().len());
        assert_eq!(ours.refs(), stock.refs());
        for name in ours.refs() {
            assert_eq!(ours.rev(&name), stock.rev(&name), "{name}");
        }
        assert_eq!(objects(&ours.repo()), objects(&stock.repo()));
        for file in ["summary", "summary.sig"] {
            let read = |sandbox: &Sandbox| fs::read(sandbox.repo().join(file)).unwrap();
            assert_eq!(read(&ours), read(&stock), "{file}");
        }
        ours.fsck();
        // Again, there is nothing to do.
        ours.run(["pull", "--mirror", "acme"]).ok();
        assert_eq!(objects(&ours.repo()), objects(&stock.repo()));
    }
}

#[test]
fn a_mirror_can_be_mirrored() {
    let fixture = published();
    let mirror = mirror(&fixture, &fixture.server.url());
    mirror.run(["pull", "--mirror", "acme"]).ok();
    let server = ostree_go_tests::webserver::FaultyServer::serving(&mirror.repo());
    let keys = fixture.gpg.export(&fixture.key).display().to_string();
    let host = Sandbox::new();
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
    let stock = Sandbox::new();
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
fn a_mirror_removes_an_outdated_summary_signature() {
    let fixture = published();
    let mirror = mirror(&fixture, &fixture.server.url());
    mirror.run(["pull", "--mirror"]).ok();
    assert!(mirror.repo().join("summary.sig").exists());
    fs::remove_file(fixture.publisher.repo().join("summary.sig")).unwrap();
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

#[test]
fn a_mirror_leaves_out_refs_that_are_refused_and_fetches_the_others() {
    let fixture = published();
    let tree = format!("--tree=dir={}", fixture.publisher.path("").display());
    let repo = fixture.publisher.repo();
    std::fs::create_dir(fixture.publisher.path("tree")).unwrap();
    let tree = format!("{tree}tree");
    ostree::ostree(&repo, ["commit", "--branch=os/unsigned", &tree]);
    // As the stock command leaves it: the commit is not signed, but the summary is.
    let home = format!("--gpg-homedir={}", fixture.gpg.home().display());
    let sign = format!("--gpg-sign={}", fixture.key);
    ostree::ostree(&repo, ["summary", "--update", &sign, &home]);
    let local = format!("file://{}", repo.display());
    for url in [&fixture.server.url(), &local] {
        let ours = mirror(&fixture, url);
        let out = ours.run(["pull", "--mirror", "--format", "json"]).exits(3);
        assert!(
            out.stderr
                .contains("refused: ref os/unsigned of remote `acme` is refused: commit")
                && out
                    .stderr
                    .contains("1 refs were refused and left as they are"),
            "{out}"
        );
        let json: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
        assert_eq!(json["refused"][0]["ref"], "os/unsigned");
        let mut expected = fixture.publisher.refs();
        expected.retain(|name| name != "os/unsigned");
        assert_eq!(ours.refs(), expected);
        ours.fsck();
        ours.run(["pull", "--mirror", "--dry-run"]).exits(3);
        // A ref that is named has to be good.
        ours.run(["pull", "--mirror", "acme", "os/unsigned"])
            .exits(3);
    }
}
