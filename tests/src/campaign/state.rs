//! Reads what an operation has changed, and checks that nothing is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::brief;
use super::operation::{Operation, Target};
use super::world::World;
use crate::kill;
use crate::ostree::try_ostree;
use crate::running::run_within;
use crate::state::State;

/// The result of an operation, as far as it is the same in every run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Refs below `refs/` and their commits.
    pub refs: BTreeMap<String, String>,
    /// Objects, deltas, summaries, files of an image: their paths.
    pub files: BTreeSet<String>,
    /// Installed SDKs, the active one marked with `*`, and their std caches.
    pub installed: BTreeSet<String>,
}

impl Snapshot {
    /// Reads what the operation's target holds now.
    ///
    /// # Errors
    ///
    /// Returns a description of what cannot be read.
    pub fn of(world: &World, operation: Operation) -> Result<Self, String> {
        let mut snapshot = Self::default();
        match operation.target() {
            Target::Repo(name) => snapshot.repo(&world.path(name)),
            Target::Root(name) => {
                snapshot.repo(&world.path(name).join("repo"));
                snapshot.root(world, name)?;
            }
            Target::Folder(name) => visit(&world.path(name), "", &mut |path| {
                snapshot.files.insert(path.to_owned());
            }),
        }
        Ok(snapshot)
    }

    fn repo(&mut self, repo: &Path) {
        self.refs = State::refs_of(repo);
        for part in ["objects", "deltas", "config", "summary", "summary.sig"] {
            visit(&repo.join(part), part, &mut |path| {
                self.files.insert(path.to_owned());
            });
        }
    }

    fn root(&mut self, world: &World, name: &str) -> Result<(), String> {
        if !world.path(name).join("state.json").exists() {
            return Ok(());
        }
        let args = format!("--root {name} status --verify none --format json");
        let out = run_within(&mut world.command(&args), kill::LIMIT);
        let status: Value = serde_json::from_str(&out.stdout)
            .map_err(|e| format!("status prints no JSON: {e}: {}", brief(&out)))?;
        for deployment in status["deployments"].as_array().into_iter().flatten() {
            let mark = if deployment["active"] == true {
                "*"
            } else {
                ""
            };
            let version = deployment["version"].as_str().unwrap_or("?");
            self.installed.insert(format!("{mark}{version}"));
            for cache in deployment["std_caches"].as_array().into_iter().flatten() {
                let id = cache["id"].as_str().unwrap_or("?");
                self.installed.insert(format!("{version} {id}"));
            }
        }
        Ok(())
    }

    /// Returns in what this one differs from another, in one line; `None` when they are equal.
    pub fn difference(&self, expected: &Self) -> Option<String> {
        if self == expected {
            return None;
        }
        let missing: Vec<_> = expected.files.difference(&self.files).take(3).collect();
        let more: Vec<_> = self.files.difference(&expected.files).take(3).collect();
        Some(format!(
            "refs {:?}; files missing {missing:?}, too many {more:?}; installed {:?}, expected {:?}",
            self.foreign_refs(expected, expected),
            self.installed,
            expected.installed,
        ))
    }

    /// Returns the refs that are neither as in `before` nor as in `after`.
    pub fn foreign_refs(&self, before: &Self, after: &Self) -> Vec<String> {
        let names: BTreeSet<_> = self.refs.keys().chain(before.refs.keys()).collect();
        let names = names.into_iter().filter(|name| {
            let now = self.refs.get(*name);
            now != before.refs.get(*name) && now != after.refs.get(*name)
        });
        names
            .map(|name| format!("{name} = {:?}", self.refs.get(name)))
            .collect()
    }
}

/// Runs both fscks over the repository that an operation changes.
///
/// # Errors
///
/// Returns what they print when one finds damage.
pub fn fsck(world: &World, operation: Operation) -> Result<(), String> {
    let name = match operation.target() {
        Target::Repo(name) => name.to_owned(),
        Target::Root(name) => format!("{name}/repo"),
        Target::Folder(_) => "repo".to_owned(),
    };
    let repo = world.path(&name);
    // A repository exists from the moment that it has its config.
    if !repo.join("config").exists() {
        return Ok(());
    }
    let stock = try_ostree(&repo, ["fsck", "--quiet"]);
    if !stock.status.success() {
        let text = String::from_utf8_lossy(&stock.stderr).into_owned();
        return Err(format!("ostree fsck: {}", text.trim()));
    }
    let args = format!("--repo {name} fsck --quiet");
    let ours = run_within(&mut world.command(&args), kill::LIMIT);
    if ours.code() != Some(0) {
        return Err(format!("ostree-go fsck: {}", brief(&ours)));
    }
    Ok(())
}

/// Runs the commands that must work at any moment: `status`, `list`, and reading the summary with its signature.
///
/// # Errors
///
/// Returns what they print when one fails.
pub fn readable(world: &World, operation: Operation) -> Result<(), String> {
    let args = match operation.target() {
        Target::Repo(name) if world.path(name).join("config").exists() => {
            format!("--repo {name} list")
        }
        Target::Root(name) if world.path(name).join("state.json").exists() => {
            format!("--root {name} status --verify all")
        }
        _ => return Ok(()),
    };
    let out = run_within(&mut world.command(&args), kill::LIMIT);
    if out.code() != Some(0) {
        return Err(format!("a reader fails: {}", brief(&out)));
    }
    if operation == Operation::Publish {
        let out = try_ostree(&world.path("judge"), ["remote", "summary", "acme"]);
        if !out.status.success() {
            let text = String::from_utf8_lossy(&out.stderr).into_owned();
            return Err(format!("the summary is not valid: {}", text.trim()));
        }
    }
    Ok(())
}

fn visit(path: &Path, name: &str, with: &mut dyn FnMut(&str)) {
    if !path.is_dir() {
        if path.exists() {
            with(name);
        }
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let child = format!("{name}/{}", entry.file_name().to_string_lossy());
        visit(&entry.path(), &child, with);
    }
}
