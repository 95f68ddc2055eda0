//! A table of attacks by a server: each ends with the right error, within bounds of memory, disk, time and requests, and leaves
//! the repository whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::hostile::{Attack, Hostile, filez_bomb, rename_part, replace_checksum};
use ostree_go_tests::memory::{MemoryLimit, measured_within};
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::pull_fixture::{PullFixture, REF, files};
use ostree_go_tests::running::Running;

/// The most memory of the command, whatever the server does.
const MEMORY: u64 = 300 << 20;
/// The most bytes of the host's repository after a failure.
const DISK: u64 = 32 << 20;
/// Upper bound on the requests of a pull: eight at a time, each tried twice, with up to ten redirects.
const REQUESTS: usize = 8 * 2 * 11;
/// Guards against hanging.
const LIMIT: Duration = Duration::from_secs(120);

/// A publisher whose commit says how many bytes its files have, and a host that knows it as `evil`.
struct Attacked {
    fixture: PullFixture,
    server: Hostile,
    commit: String,
    /// Limits the memory of the command together with that of `gpg`; `None` without root.
    limit: Option<MemoryLimit>,
}

impl Attacked {
    fn new() -> Self {
        let fixture = PullFixture::new();
        // 20 files of 3,000 bytes.
        let size = "--add-metadata=sdk.size=(uint64 60000, uint64 20)";
        let commit = fixture.commit(REF, 2, &["--add-metadata-string=version=1.99.2", size]);
        fixture.summary();
        let server = Hostile::serving(&fixture.publisher.repo());
        let keys = fixture.gpg.export(&fixture.key);
        let (url, keys) = (server.url(), keys.display().to_string());
        fixture
            .host
            .run(["remote", "add", "evil", &url, "--gpg-import", &keys])
            .ok();
        Self {
            fixture,
            server,
            commit,
            limit: MemoryLimit::new(MEMORY),
        }
    }

    fn pull(&self, args: &[&str]) -> (Output, u64) {
        let fixed = [
            "pull",
            "evil",
            REF,
            "--retries",
            "1",
            "--stall-timeout",
            "2",
        ];
        let mut command = self
            .fixture
            .host
            .ostree_go(fixed.iter().chain(args).copied());
        measured_within(self.limit.as_ref(), &mut command, LIMIT)
    }

    /// Attacks once and checks what has to hold whatever happens. Returns what the command said.
    #[track_caller]
    fn attack(&self, name: &str, attacks: &[(&str, Attack)], code: i32) -> String {
        self.server.reset();
        for (path, attack) in attacks {
            self.server.attack(path, attack.clone());
        }
        let (out, memory) = self.pull(&[]);
        let requests = self.server.requests().len();
        println!(
            "{name}: {}, {} MiB, {requests} requests, {} MiB sent",
            out.status,
            memory >> 20,
            self.server.sent() >> 20
        );
        assert_eq!(out.code(), Some(code), "{name}: {}", out.stderr);
        assert!(memory < MEMORY, "{name}: {memory} bytes of memory");
        assert!(requests < REQUESTS, "{name}: {requests} requests");
        let disk = size(&self.fixture.host.repo());
        assert!(disk < DISK, "{name}: {disk} bytes on the disk");
        self.fixture.assert_intact(&[]);
        out.stderr
    }

    fn path(&self, path: &str) -> PathBuf {
        self.fixture
            .publisher
            .repo()
            .join(path.trim_start_matches('/'))
    }
}

fn size(folder: &Path) -> u64 {
    let sizes = files(folder)
        .into_iter()
        .map(|file| file.symlink_metadata().map_or(0, |metadata| metadata.len()));
    sizes.sum()
}

#[test]
fn bodies_without_end() {
    let attacked = Attacked::new();
    let kinds = [
        ("/summary$", 1),
        (".commit$", 1),
        (".commitmeta$", 1),
        (".dirtree$", 1),
        (".dirmeta$", 1),
        (".filez$", 1),
    ];
    for (path, code) in kinds {
        for attack in [Attack::Endless, Attack::EndlessChunks, Attack::Huge] {
            let name = format!("{attack:?} for {path}");
            let said = attacked.attack(&name, &[(path, attack)], code);
            assert!(
                said.contains("larger than") || said.contains("more than"),
                "{said}"
            );
        }
    }
    // A ref's file, where there is no summary.
    let ref_path = format!("/refs/heads/{REF}");
    fs::remove_file(attacked.path("summary")).unwrap();
    attacked.attack("endless ref", &[(&ref_path, Attack::Endless)], 1);
    // A status with a body that never ends is a status.
    attacked.attack("status", &[(".filez$", Attack::Status(403))], 1);
    let said = attacked.attack("gone", &[(".filez$", Attack::Status(404))], 1);
    assert!(said.contains("does not have object"), "{said}");
}

#[test]
fn heads_and_chunks_without_end() {
    let attacked = Attacked::new();
    for attack in [
        Attack::EndlessHeaders,
        Attack::EndlessHeader,
        Attack::ChunkExtension,
        Attack::RedirectLoop,
    ] {
        for path in ["/summary$", ".filez$"] {
            let name = format!("{attack:?} for {path}");
            attacked.attack(&name, &[(path, attack.clone())], 75);
        }
    }
}

#[test]
fn a_server_that_is_slow_or_breaks_off() {
    let attacked = Attacked::new();
    for (path, attack) in [
        ("/summary$", Attack::Drip(20)),
        (".filez$", Attack::Drip(20)),
        (".filez$", Attack::DripHead(20)),
        (".filez$", Attack::CutAfter(10)),
        (".filez$", Attack::CutAndDeny(1000)),
        (".filez$", Attack::WrongLength(1)),
    ] {
        let name = format!("{attack:?} for {path}");
        let said = attacked.attack(&name, &[(path, attack.clone())], 75);
        if attack == Attack::Drip(20) {
            assert!(said.contains("expected at least 1000 per second"), "{said}");
        }
    }
    // What has come before is kept, and the next pull goes on.
    attacked.server.reset();
    attacked.pull(&[]).0.ok();
    attacked.fixture.assert_intact(&[&format!("evil:{REF}")]);
}

#[test]
fn bombs() {
    let attacked = Attacked::new();
    // 200 MiB that the header claims, or does not.
    let bytes = 200 << 20;
    for claimed in [bytes, 3000, u64::MAX] {
        let bomb = Attack::Replace(filez_bomb(claimed, bytes));
        let code = if claimed == 3000 { 3 } else { 1 };
        let name = format!("bomb that claims {claimed}");
        attacked.attack(&name, &[(".filez$", bomb)], code);
    }
    // A part of a delta.
    attacked.fixture.delta(None, &attacked.commit);
    let folder = delta_folder(&attacked.path(""), &attacked.commit);
    let (superblock, part) = (folder.join("superblock"), folder.join("0"));
    let part = fs::read(part).unwrap();
    let out = run(Command::new("sh").args([
        "-c",
        "head -c 600000000 /dev/zero | xz -0 --check=none > \"$0\"",
        attacked.fixture.host.path("bomb.xz").to_str().unwrap(),
    ]));
    out.ok();
    let xz = fs::read(attacked.fixture.host.path("bomb.xz")).unwrap();
    let bomb = [b"x", xz.as_slice()].concat();
    for (uncompressed, code) in [(30 << 20, 1), (u64::MAX / 2, 1)] {
        let mut named = fs::read(&superblock).unwrap();
        rename_part(&mut named, &part, &bomb, uncompressed);
        let attacks = [
            ("/superblock$", Attack::Replace(named)),
            ("/0$", Attack::Replace(bomb.clone())),
        ];
        attacked.attack(&format!("part that claims {uncompressed}"), &attacks, code);
    }
    // A dictionary of 1 GiB, which a decoder would have to keep in memory.
    let out = run(Command::new("sh").args([
        "-c",
        "head -c 100000 /dev/zero | xz --lzma2=preset=0,dict=1GiB > \"$0\"",
        attacked.fixture.host.path("bomb.xz").to_str().unwrap(),
    ]));
    out.ok();
    let xz = fs::read(attacked.fixture.host.path("bomb.xz")).unwrap();
    let bomb = [b"x", xz.as_slice()].concat();
    let mut named = fs::read(&superblock).unwrap();
    rename_part(&mut named, &part, &bomb, 100_000);
    let attacks = [
        ("/superblock$", Attack::Replace(named)),
        ("/0$", Attack::Replace(bomb)),
    ];
    let messages = attacked.attack("part with a large dictionary", &attacks, 3);
    assert!(messages.contains("xz stream"), "{messages}");
    // A superblock, and a part, that never end.
    attacked.attack("superblock", &[("/superblock$", Attack::Endless)], 1);
    attacked.attack("part", &[("/0$", Attack::Endless)], 1);
}

fn delta_folder(repo: &Path, commit: &str) -> PathBuf {
    let all = files(&repo.join("deltas"));
    let is_of = |folder: &Path| {
        let superblock = fs::read(folder.join("superblock")).unwrap();
        let bytes: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&commit[at..at + 2], 16).unwrap())
            .collect();
        superblock.windows(32).any(|window| window == bytes)
    };
    all.iter()
        .filter(|file| file.ends_with("superblock"))
        .map(|file| file.parent().unwrap().to_owned())
        .find(|folder| is_of(folder))
        .expect("a delta")
}

#[test]
fn a_delta_with_foreign_objects() {
    let attacked = Attacked::new();
    let fixture = &attacked.fixture;
    let repo = fixture.publisher.repo();
    // A tree of another commit: zeros, which compress to nothing.
    let tree = fixture.publisher.path("foreign");
    fs::create_dir_all(&tree).unwrap();
    let make = |files: u8, bytes: usize| {
        for file in 0..files {
            let mut content = vec![0; bytes];
            content[0] = file;
            fs::write(tree.join(format!("file{file}")), content).unwrap();
        }
        let dir = format!("--tree=dir={}", tree.display());
        let out = ostree(
            &repo,
            ["commit", "-b", "foreign", &dir, "--canonical-permissions"],
        );
        let foreign = out.trim().to_owned();
        fixture.delta(None, &foreign);
        foreign
    };
    fixture.delta(None, &attacked.commit);
    // The delta of the commit is that of the other one, but for its name.
    let swap = |foreign: &str| {
        let (theirs, ours) = (
            delta_folder(&repo, foreign),
            delta_folder(&repo, &attacked.commit),
        );
        let mut superblock = fs::read(theirs.join("superblock")).unwrap();
        replace_checksum(&mut superblock, foreign, &attacked.commit);
        let name = ours.strip_prefix(&repo).unwrap().to_str().unwrap();
        let mut attacks = vec![(format!("{name}/superblock$"), Attack::Replace(superblock))];
        for file in files(&theirs) {
            let part = file.file_name().unwrap().to_str().unwrap();
            if part != "superblock" {
                let path = format!("{name}/{part}$");
                attacks.push((path, Attack::Replace(fs::read(&file).unwrap())));
            }
        }
        attacks
    };
    let attacks = swap(&make(6, 16 << 20));
    let attacks: Vec<_> = attacks
        .iter()
        .map(|(p, a)| (p.as_str(), a.clone()))
        .collect();
    let said = attacked.attack("96 MiB of foreign objects", &attacks, 1);
    assert!(said.contains("the static delta"), "{said}");
    // Foreign objects within what the commit allows are removed before success.
    fs::remove_dir_all(&tree).unwrap();
    fs::create_dir_all(&tree).unwrap();
    let attacks = swap(&make(2, 10));
    attacked.server.reset();
    for (path, attack) in attacks {
        attacked.server.attack(&path, attack);
    }
    let (out, _) = attacked.pull(&[]);
    out.ok();
    fixture.assert_intact(&[&format!("evil:{REF}")]);
    let out = ostree(&fixture.host.repo(), ["prune", "--refs-only", "--no-prune"]);
    assert!(
        out.contains("Would delete: 0 objects") || out.contains("No unreachable objects"),
        "{out}"
    );
}

#[test]
fn what_a_stale_summary_names_is_not_found() {
    let attacked = Attacked::new();
    let path = attacked.fixture.object(REF, "commit");
    fs::remove_file(attacked.path(&path)).unwrap();
    let said = attacked.attack("pruned commit", &[], 1);
    for part in [REF, &attacked.commit, "the summary is out of date"] {
        assert!(said.contains(part), "expected `{part}`: {said}");
    }
    // An object, and a ref that the summary does not have.
    let attacked = Attacked::new();
    let object = attacked.fixture.object(REF, "dirtree");
    fs::remove_file(attacked.path(&object)).unwrap();
    let said = attacked.attack("missing dirtree", &[], 1);
    assert!(
        said.contains(REF) && said.contains("does not have object"),
        "{said}"
    );
    let out = attacked
        .fixture
        .host
        .run(["pull", "evil", "go-sdk/x86_64/9.9"]);
    assert!(out.exits(1).stderr.contains("no ref"));
}

#[test]
fn a_killed_pull_leaves_nothing_for_long() {
    let attacked = Attacked::new();
    let scratch = || {
        let tmp = fs::read_dir(attacked.fixture.host.repo().join("tmp")).unwrap();
        let names = tmp.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.starts_with("ostree-go-pull-"))
            .count()
    };
    attacked.server.attack(".filez$", Attack::Drip(1));
    let mut command = attacked.fixture.host.ostree_go(["pull", "-q", "evil", REF]);
    let running = Running::start(&mut command);
    let asked = || {
        attacked
            .server
            .requests()
            .iter()
            .any(|path| path.ends_with(".filez"))
    };
    for _ in 0..2000 {
        if asked() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(asked());
    assert_eq!(scratch(), 1);
    // One that lives is left alone.
    attacked.server.reset();
    attacked.pull(&["--dry-run"]).0.ok();
    assert_eq!(scratch(), 1);
    running.kill();
    assert_eq!(scratch(), 1);
    attacked.pull(&[]).0.ok();
    assert_eq!(scratch(), 0);
}
