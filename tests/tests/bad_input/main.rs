//! Bad input: each is refused in at most three lines, with the exit code that says what kind of trouble it is, and the
//! repository is what it was.

mod archive;
mod compose;
mod delivery;
mod machine;
mod rpm;
mod treefile;

use insta::internals::SettingsBindDropGuard;
use ostree_go_sdk::Arch;
use ostree_go_tests::bench::{Bench, source};
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::state::State;
use ostree_go_tests::toy::Toy;
use std::path::Path;
use std::process::Command;

/// The toy's version.
const TOY: &str = "1.99.1";

/// A bench with a toy release in its repository, and snapshots that look the same on every machine.
struct Bad {
    bench: Bench,
    _filters: SettingsBindDropGuard,
}

impl Bad {
    /// Has composed 1.99.1 for both architectures from `x86_64.tar.gz` and `aarch64.tar.gz`; `go.yaml` is still there.
    fn new() -> Self {
        let bad = Self::without_repo();
        bad.bench
            .treefile(TOY, &source(&bad.bench.path("${basearch}.tar.gz")));
        bad.bench.compose([]);
        bad
    }

    /// The same without a repository and a treefile.
    fn without_repo() -> Self {
        let bench = Bench::new();
        for arch in Arch::ALL {
            Toy::new(arch).tar_gz(&bench.path(&format!("{arch}.tar.gz")));
        }
        let mut settings = insta::Settings::clone_current();
        let folder = bench.path("");
        let folder = folder.to_str().expect("UTF-8").trim_end_matches('/');
        settings.add_filter(&regex_of(folder), "[dir]");
        settings.add_filter("[0-9a-f]{64}", "[sha256]");
        settings.add_filter("[0-9a-f]{2}/[0-9a-f]{62}", "[object]");
        // A commit and its signatures are asked for at the same time.
        settings.add_filter("\\[object\\].commit(meta)?", "[object].commit");
        settings.add_filter("takes [0-9]+ bytes or more", "takes [n] bytes or more");
        Self {
            bench,
            _filters: settings.bind_to_scope(),
        }
    }

    /// Writes `go.yaml` for one architecture.
    fn treefile(&self, version: &str, archive: &Path, lines: &str) {
        let lines = format!("arches: [x86_64]\n{}\n{lines}", source(archive));
        self.bench.treefile(version, &lines);
    }

    /// Composes `go.yaml` with more arguments, which has to fail; returns what it said.
    #[track_caller]
    fn compose<'a>(&self, args: impl IntoIterator<Item = &'a str>, code: i32) -> String {
        let args = ["compose", "go.yaml"].into_iter().chain(args);
        self.refuse(&mut self.bench.ostree_go(args), code)
    }

    /// Runs a command that has to fail and may not change the repository.
    #[track_caller]
    fn refuse(&self, command: &mut Command, code: i32) -> String {
        let before = State::of(&self.bench.repo());
        let said = refused(run(command), code);
        State::of(&self.bench.repo()).assert_is(&before);
        said
    }
}

/// What a refusal said, if it has the form of one.
#[track_caller]
fn refused(out: Output, code: i32) -> String {
    let out = out.exits(code);
    assert_eq!(out.stdout, "", "a refusal prints no data");
    let lines: Vec<&str> = out.stderr.lines().collect();
    let mut kinds = lines.iter().map(|line| match line {
        line if line.starts_with("error: ") => 0,
        line if line.starts_with("  ") => 1,
        line if line.starts_with("hint: ") => 2,
        line => panic!("neither error, cause nor hint: {line}\n{}", out.stderr),
    });
    assert_eq!(kinds.next(), Some(0), "{}", out.stderr);
    assert!(kinds.is_sorted() && lines.len() <= 3, "{}", out.stderr);
    out.stderr
}

/// A pattern that matches a text.
fn regex_of(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if !c.is_alphanumeric() {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
