//! Runs the stock `ostree` command, with which tests verify the output of ostree-go.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `ostree --repo=REPO ARGS…` and returns its standard output.
///
/// # Panics
///
/// Panics with the output of the command if it fails.
#[track_caller]
pub fn ostree<S: AsRef<OsStr>>(repo: &Path, args: impl IntoIterator<Item = S>) -> String {
    let mut command = command(repo, args);
    let out = command
        .output()
        .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(
        out.status.success(),
        "{command:?}: {}\n{}{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    String::from_utf8(out.stdout).expect("ostree prints UTF-8")
}

/// Runs `ostree --repo=REPO ARGS…` and returns its result, which may be a failure.
///
/// # Panics
///
/// Panics if the command does not exist.
#[track_caller]
pub fn try_ostree<S: AsRef<OsStr>>(repo: &Path, args: impl IntoIterator<Item = S>) -> Output {
    command(repo, args)
        .output()
        .expect("the ostree command runs")
}

/// Creates an empty repository of the given mode with the stock command.
///
/// # Panics
///
/// Panics if the repository cannot be created.
#[track_caller]
pub fn init(repo: &Path, mode: &str) {
    ostree(repo, ["init", "--mode", mode]);
}

fn command<S: AsRef<OsStr>>(repo: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("ostree");
    // Every version accepts `--repo` after the verb, or after both verbs.
    let mut args = args.into_iter();
    if let Some(verb) = args.next() {
        command.arg(&verb);
        if ["remote", "static-delta"]
            .iter()
            .any(|group| verb.as_ref() == *group)
        {
            command.args(args.next());
        }
    }
    command.arg("--repo").arg(repo).args(args);
    command.env("LC_ALL", "C.UTF-8");
    command
}

/// Returns true if the stock command was built with a feature, according to `ostree --version`.
///
/// # Panics
///
/// Panics if the command does not exist.
pub fn has_feature(name: &str) -> bool {
    let out = Command::new("ostree")
        .arg("--version")
        .output()
        .expect("the ostree command runs");
    String::from_utf8_lossy(&out.stdout)
        .lines()
        .any(|line| line.trim() == format!("- {name}"))
}
