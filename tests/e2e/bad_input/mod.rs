//! Invalid input is refused with a message of at most three lines and the exit code for the kind of error, and the
//! repository is not changed.

mod archive;
mod compose;
mod delivery;
mod inspect;
mod machine;
mod modules;
mod rpm;
mod std_cache;
mod stdcache;
mod toolchains;
mod treefile;
mod unit;
mod workspace;

use insta::internals::SettingsBindDropGuard;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::state::State;
use ostree_go_tests::toy::Toy;
use std::path::Path;
use std::process::Command;

/// Version of the toy SDK.
const TOY: &str = "1.99.1";

/// A sandbox with a toy release in its repository, and snapshots that are the same on every machine.
struct Bad {
    sandbox: Sandbox,
    _filters: SettingsBindDropGuard,
}

impl Bad {
    /// Composes 1.99.1 for both architectures from `x86_64.tar.gz` and `aarch64.tar.gz`, and keeps `go.yaml`.
    fn new() -> Self {
        let bad = Self::without_repo();
        bad.sandbox
            .treefile(TOY, &source(&bad.sandbox.path("${basearch}.tar.gz")));
        bad.sandbox.compose([]);
        bad
    }

    /// Creates a sandbox without a repository and without a treefile.
    fn without_repo() -> Self {
        let sandbox = Sandbox::new();
        for arch in Arch::ALL {
            Toy::new(arch).tar_gz(&sandbox.path(&format!("{arch}.tar.gz")));
        }
        let mut settings = insta::Settings::clone_current();
        let folder = sandbox.path("");
        let folder = folder.to_str().expect("UTF-8").trim_end_matches('/');
        settings.add_filter(&regex_of(folder), "[dir]");
        settings.add_filter("[0-9a-f]{64}", "[sha256]");
        settings.add_filter("[0-9a-f]{2}/[0-9a-f]{62}", "[object]");
        // A commit and its signatures are asked for at the same time.
        settings.add_filter("\\[object\\].commit(meta)?", "[object].commit");
        settings.add_filter("takes [0-9]+ bytes or more", "takes [n] bytes or more");
        Self {
            sandbox,
            _filters: settings.bind_to_scope(),
        }
    }

    /// Writes `go.yaml` for one architecture.
    fn treefile(&self, version: &str, archive: &Path, lines: &str) {
        let lines = format!("arches: [x86_64]\n{}\n{lines}", source(archive));
        self.sandbox.treefile(version, &lines);
    }

    /// Asserts that composing `go.yaml` with additional arguments fails, and returns the message.
    #[track_caller]
    fn compose<'a>(&self, args: impl IntoIterator<Item = &'a str>, code: i32) -> String {
        let args = ["compose", "go.yaml"].into_iter().chain(args);
        self.refuse(&mut self.sandbox.ostree_go(args), code)
    }

    /// Asserts that a command fails and does not change the repository.
    #[track_caller]
    fn refuse(&self, command: &mut Command, code: i32) -> String {
        let before = State::of(&self.sandbox.repo());
        let said = refused(run(command), code);
        State::of(&self.sandbox.repo()).assert_is(&before);
        said
    }
}

/// Returns the message of a refusal, and asserts that it has the required form.
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

/// Returns a pattern that matches a text literally.
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
