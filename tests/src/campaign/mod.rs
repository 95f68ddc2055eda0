//! Campaigns of kills, injected faults and power cuts over every operation that changes something.
//!
//! After each disturbed run the same promises are checked ([`Campaign`]). The reduced sets run with the tests, the full ones with
//! `make torture`.

pub mod methods;
pub mod operation;
pub mod state;
pub mod world;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::os::unix::process::ExitStatusExt;

use self::operation::Operation;
use self::state::{Snapshot, fsck, readable};
use self::world::World;
use crate::cli::Output;
use crate::kill;
use crate::running::run_within;

/// A broken promise.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The operation that was disturbed.
    pub operation: Operation,
    /// The disturbance, enough to repeat it.
    pub disturbance: String,
    /// The promise that was broken, and what was found.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            disturbance,
            problem,
        } = self;
        write!(f, "{} / {disturbance}: {problem}", operation.name())
    }
}

/// An operation with its states before and after an undisturbed run.
#[derive(Debug)]
pub struct Campaign<'w> {
    world: &'w World,
    operation: Operation,
    before: Snapshot,
    after: Snapshot,
}

/// Expected ends of a disturbed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By the exit code that it chooses.
    Exit,
    /// Also by SIGKILL.
    Killed,
}

impl<'w> Campaign<'w> {
    /// Runs the operation undisturbed to learn what it does.
    ///
    /// # Panics
    ///
    /// Panics when it fails or changes nothing.
    pub fn new(world: &'w World, operation: Operation) -> Self {
        world.restore();
        let before = Snapshot::of(world, operation).expect("the state before");
        run_within(&mut world.operation(operation), kill::LIMIT).ok();
        let after = Snapshot::of(world, operation).expect("the state after");
        assert!(
            before != after || operation == Operation::Sign,
            "{} changes nothing",
            operation.name()
        );
        Self {
            world,
            operation,
            before,
            after,
        }
    }

    /// Checks the promises after a disturbed run:
    ///
    /// - it ended by a documented exit code, or was killed; 3 and 4 are for verification, which cannot fail here;
    /// - exit code 0 means that the whole result is there;
    /// - every ref is the old one or the new one; `status`, `list` and the summary can be read;
    /// - the operation succeeds when it is run again, and has its result then;
    /// - both fscks are clean, at once or after that.
    ///
    /// Returns the first promise that is broken.
    ///
    /// # Errors
    ///
    /// Returns a description of the broken promise.
    pub fn check(&self, ending: Ending, out: &Output) -> Result<(), String> {
        let ended = match (out.code(), out.status.signal()) {
            (Some(0 | 1 | 75 | 130), _) => true,
            (None, Some(9)) => ending == Ending::Killed,
            _ => false,
        };
        if !ended {
            return Err(format!("ends in an undocumented way: {}", brief(out)));
        }
        let now = Snapshot::of(self.world, self.operation)?;
        if out.code() == Some(0)
            && let Some(difference) = now.difference(&self.after)
        {
            return Err(format!(
                "exits with 0 without its result: {difference}\n{}",
                brief(out)
            ));
        }
        let foreign = now.foreign_refs(&self.before, &self.after);
        if !foreign.is_empty() {
            return Err(format!("refs are neither old nor new: {foreign:?}"));
        }
        readable(self.world, self.operation)?;
        let at_once = fsck(self.world, self.operation);
        if out.code() == Some(0) {
            return at_once;
        }
        self.run_again(&now)
            .and_then(|()| fsck(self.world, self.operation))
            .and_then(|()| readable(self.world, self.operation))
            .map_err(|problem| match at_once {
                Ok(()) => format!("{problem}\nafter {}", brief(out)),
                Err(damage) => format!(
                    "{problem}\nbefore the second run: {damage}\nafter {}",
                    brief(out)
                ),
            })
    }

    fn run_again(&self, now: &Snapshot) -> Result<(), String> {
        if !self.operation.is_repeatable() && now.installed == self.after.installed {
            // What is left to be cleaned up is cleaned up by the next command that changes the root.
            run_within(&mut self.world.command("--root local gc"), kill::LIMIT);
            return Ok(());
        }
        let again = run_within(&mut self.world.operation(self.operation), kill::LIMIT);
        if again.code() != Some(0) {
            return Err(format!(
                "does not succeed when it is run again: {}",
                brief(&again)
            ));
        }
        let then = Snapshot::of(self.world, self.operation)?;
        let refs = then.foreign_refs(&self.after, &self.after);
        let missing: Vec<_> = self.after.files.difference(&then.files).take(3).collect();
        if !refs.is_empty() || !missing.is_empty() || then.installed != self.after.installed {
            return Err(format!(
                "lacks its result after it was run again: refs {refs:?}, missing {missing:?}, installed {:?}",
                then.installed
            ));
        }
        Ok(())
    }
}

/// Status and stderr of a command, for a report.
fn brief(out: &Output) -> String {
    format!("{}: {}", out.status, out.stderr.trim())
}

/// Rounds and findings of a campaign.
#[derive(Debug, Default)]
pub struct Report {
    rounds: BTreeMap<(&'static str, String), u32>,
    /// The broken promises that were found.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Counts a round.
    pub fn count(&mut self, operation: Operation, method: &str) {
        *self
            .rounds
            .entry((operation.name(), method.to_owned()))
            .or_default() += 1;
    }

    /// Adds what another part of the campaign has found.
    pub fn add(&mut self, other: Self) {
        for (key, rounds) in other.rounds {
            *self.rounds.entry(key).or_default() += rounds;
        }
        self.findings.extend(other.findings);
    }

    /// Returns how many rounds were run.
    pub fn rounds(&self) -> u32 {
        self.rounds.values().sum()
    }

    /// Returns a table of operations and methods: rounds, and findings where there are any.
    ///
    /// # Panics
    ///
    /// Panics never: writing to a string does not fail.
    pub fn table(&self) -> String {
        let methods: Vec<&str> = {
            let mut all: Vec<&str> = self.rounds.keys().map(|(_, method)| &**method).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let mut text = format!("| operation | {} |\n|---", methods.join(" | "));
        text += &"|---".repeat(methods.len());
        text += "|\n";
        for operation in Operation::ALL {
            let name = operation.name();
            if !self.rounds.keys().any(|(found, _)| *found == name) {
                continue;
            }
            write!(text, "| {name} ").expect("a string grows");
            for method in &methods {
                let rounds = self.rounds.get(&(name, (*method).to_owned())).unwrap_or(&0);
                let findings = self.findings.iter().filter(|finding| {
                    finding.operation == operation && finding.disturbance.starts_with(method)
                });
                match findings.count() {
                    0 => write!(text, "| {rounds} "),
                    found => write!(text, "| {rounds} ({found} findings) "),
                }
                .expect("a string grows");
            }
            text += "|\n";
        }
        text
    }

    /// Asserts that nothing was found.
    ///
    /// # Panics
    ///
    /// Panics with all findings.
    #[track_caller]
    pub fn assert_clean(&self) {
        let all: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        assert!(all.is_empty(), "{}\n{}", all.join("\n\n"), self.table());
    }
}
