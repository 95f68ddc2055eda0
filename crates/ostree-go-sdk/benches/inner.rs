//! Benchmarks of inner parts on a toy tree of 200 files and 800 KB, without Go, network and `ostree`.
//!
//! `cargo bench -p ostree-go-sdk --features fuzzing` runs all of them; applying a delta uses the entry
//! point of its fuzz target. `TMPDIR=/dev/shm` excludes the disk from the results.

use criterion::{BatchSize, Criterion, Throughput};
use ostree_go_sdk::checkout::CheckoutOptions;
use ostree_go_sdk::compose::Compose;
use ostree_go_sdk::treefile::Treefile;
use ostree_go_sdk::{CommitId, H1Builder, NoProgress, Repo, RepoMode, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const FILES: u32 = 200;
const FILE_BYTES: usize = 4000;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let toy = Toy::new();
    compose(&mut criterion, &toy);
    walk(&mut criterion, &toy);
    h1(&mut criterion);
    #[cfg(feature = "fuzzing")]
    delta(&mut criterion, &toy);
    criterion.final_summary();
}

/// A tree like Go's: text that compresses like source code.
struct Toy {
    folder: TempDir,
}

impl Toy {
    fn new() -> Self {
        let toy = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        for number in 0..FILES {
            let folder = toy.folder.path().join(format!("go/src/p{}", number % 20));
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(format!("f{number}.go")), source(number)).expect("a file");
        }
        toy.version("1.99.1");
        toy
    }

    fn version(&self, version: &str) {
        let text = format!("go{version}\ntime 2026-01-02T03:04:05Z\n");
        fs::write(self.folder.path().join("go/VERSION"), text).expect("VERSION");
    }

    /// Composes a version into a repository.
    fn compose(&self, repo: &Repo, version: &str) -> CommitId {
        let text = format!(
            "version: {version}\narches: [x86_64]\nsource: [path: go]\n\
             layers: {{ common: {{ include: [VERSION, src] }} }}\n"
        );
        let file = self.folder.path().join("go.yaml");
        let treefile = Treefile::parse(&text, &file, &mut |path| fs::read_to_string(path));
        let compose = Compose::new(treefile.expect("a good treefile"));
        let composed = compose.plan(repo).expect("a plan").execute();
        composed.expect("a release").releases[0].commit
    }
}

/// Generates lines of recurring words in a non-recurring order.
fn source(number: u32) -> String {
    const WORDS: [&str; 8] = [
        "return", "func", "err", "if", "nil", "buf", "range", "string",
    ];
    let mut state = number.wrapping_mul(2_654_435_761) | 1;
    let mut text = format!("package p{number}\n");
    while text.len() < FILE_BYTES {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let word = WORDS[(state >> 29) as usize];
        write!(text, "{word} x{:x} ", state >> 20 & 0xff).expect("a string grows");
    }
    text
}

fn repo(path: &Path, mode: RepoMode) -> Repo {
    Repo::create(path, mode).expect("a repository")
}

/// Measures hashing and writing every object, with compression in archive mode.
fn compose(criterion: &mut Criterion, toy: &Toy) {
    let mut group = criterion.benchmark_group("compose");
    group.throughput(Throughput::Bytes(u64::from(FILES) * FILE_BYTES as u64));
    for (name, mode) in [
        ("archive", RepoMode::Archive),
        ("bare-user-only", RepoMode::BareUserOnly),
    ] {
        group.bench_function(name, |bencher| {
            let fresh = || {
                let folder = tempfile::tempdir().expect("a temporary folder");
                (repo(&folder.path().join("repo"), mode), folder)
            };
            bencher.iter_batched(
                fresh,
                |(repo, folder)| {
                    toy.compose(&repo, "1.99.1");
                    (repo, folder)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Measures comparing two trees, linking one, and reading every object.
fn walk(criterion: &mut Criterion, toy: &Toy) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let repo = repo(&folder.path().join("repo"), RepoMode::BareUserOnly);
    let old = toy.compose(&repo, "1.99.1");
    toy.version("1.99.2");
    let new = toy.compose(&repo, "1.99.2");
    toy.version("1.99.1");
    criterion.bench_function("diff", |bencher| {
        bencher.iter(|| repo.diff(old, new).expect("two trees"));
    });
    criterion.bench_function("fsck", |bencher| {
        bencher.iter(|| repo.fsck(&NoProgress).expect("a sound repository"));
    });
    let options = CheckoutOptions::default().sync(false);
    let mut number = 0;
    let mut next = || {
        number += 1;
        folder.path().join(format!("tree-{number}"))
    };
    criterion.bench_function("checkout", |bencher| {
        bencher.iter_batched(
            &mut next,
            |dest| repo.checkout(new, &dest, &options).expect("a tree"),
            BatchSize::PerIteration,
        );
    });
}

/// Measures Go's hash of as many files as an SDK has.
fn h1(criterion: &mut Criterion) {
    criterion.bench_function("h1 of 11,500 names", |bencher| {
        bencher.iter(|| {
            let mut h1 = H1Builder::new();
            for number in 0..11_500 {
                h1.add(&format!("go/src/p/f{number}.go"), Sha256::new([7; 32]));
            }
            h1.finish()
        });
    });
}

/// Measures parsing the superblock and executing the part of a delta from scratch, without writing.
#[cfg(feature = "fuzzing")]
fn delta(criterion: &mut Criterion, toy: &Toy) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let repo = repo(&folder.path().join("repo"), RepoMode::Archive);
    toy.compose(&repo, "1.99.1");
    let publish = ostree_go_sdk::publish::Publish::new();
    let published = publish.plan(&repo).expect("a plan").execute();
    published.expect("a delta");
    let only = |folder: &Path| {
        let mut entries = fs::read_dir(folder).expect("a folder");
        entries.next().expect("an entry").expect("its name").path()
    };
    let files = only(&only(&repo.path().join("deltas")));
    let read = |file| fs::read(files.join(file)).expect("a file of the delta");
    let (superblock, part) = (read("superblock"), read("0"));
    let length = u16::try_from(superblock.len()).expect("a small superblock");
    let both = [&length.to_le_bytes()[..], &superblock, &part].concat();
    criterion.bench_function("run a delta's part", |bencher| {
        bencher.iter(|| ostree_go_sdk::fuzzing::delta(&both));
    });
}
