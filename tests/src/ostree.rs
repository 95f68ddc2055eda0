//! The stock `ostree` command, as the judge of what ostree-go writes.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `ostree --repo=REPO ARGS…` and returns its stdout.
///
/// # Panics
///
/// When it fails, with all it said.
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

/// Runs `ostree --repo=REPO ARGS…`, which may fail.
///
/// # Panics
///
/// When there is no such command.
#[track_caller]
pub fn try_ostree<S: AsRef<OsStr>>(repo: &Path, args: impl IntoIterator<Item = S>) -> Output {
    command(repo, args)
        .output()
        .expect("the ostree command runs")
}

/// An empty repository of the given mode, made by the stock command.
///
/// # Panics
///
/// When it cannot be made.
#[track_caller]
pub fn init(repo: &Path, mode: &str) {
    ostree(repo, ["init", "--mode", mode]);
}

fn command<S: AsRef<OsStr>>(repo: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("ostree");
    // `--repo` goes behind the verb, or behind both: that is where every version takes it.
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

/// Whether the stock command was built with a feature, as `ostree --version` lists them.
///
/// # Panics
///
/// When there is no such command.
pub fn has_feature(name: &str) -> bool {
    let out = Command::new("ostree")
        .arg("--version")
        .output()
        .expect("the ostree command runs");
    String::from_utf8_lossy(&out.stdout)
        .lines()
        .any(|line| line.trim() == format!("- {name}"))
}
