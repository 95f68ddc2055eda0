//! Runs the hooks of an activation, records their results, and switches back if a required one fails.

use super::discover::{FoundHook, discover};
use super::error::{AfterFailure, FailedHook, HookError, LastLines};
use super::execute::execute;
use super::options::Hooks;
use super::outcome::{HookOutcome, HookResult};
use crate::deploy::activation::{Action, Cause};
use crate::deploy::error::DeployError;
use crate::deploy::folder;
use crate::deploy::locked::LockedRoot;
use crate::deploy::root::Root;
use crate::deploy::state::State;
use crate::failpoint;
use crate::fs::lock::Lock;
use crate::id::CommitId;
use crate::progress::{Event, NoProgress, Progress};
use crate::repo::RepoError;
use std::ffi::OsString;
use std::process::Command;
use std::time::Instant;

/// Maximum numbers of lines and of characters that are recorded of a hook that failed.
const RECORDED_LINES: usize = 5;
const RECORDED_CHARACTERS: usize = 1000;

/// The hooks of a deployment, which were found before it began.
#[derive(Debug, Clone)]
pub(in crate::deploy) struct HookPlan {
    hooks: Hooks,
    found: Vec<FoundHook>,
}

impl Hooks {
    /// Finds the hooks.
    ///
    /// # Errors
    /// Returns an error if a hook or a directory belongs to another user or can be changed by one, or if an
    /// entry is not a file.
    pub(in crate::deploy) fn plan(&self) -> Result<HookPlan, HookError> {
        Ok(HookPlan {
            found: discover(&self.dirs)?,
            hooks: self.clone(),
        })
    }
}

/// Returns the cause of an activation after which hooks run.
pub(in crate::deploy) fn cause(action: Action, hooks: Option<&HookPlan>) -> Cause {
    Cause {
        hooks: hooks.map(HookPlan::pending).unwrap_or_default(),
        ..action.into()
    }
}

/// A hook that is about to run.
struct Next<'p> {
    hook: &'p FoundHook,
    variables: Vec<(OsString, OsString)>,
}

impl HookPlan {
    /// Returns the entries of the history for hooks that have not run.
    fn pending(&self) -> Vec<HookResult> {
        self.found
            .iter()
            .map(|hook| {
                let outcome = match hook.is_executable {
                    true => HookOutcome::Pending,
                    false => HookOutcome::NotExecutable,
                };
                HookResult::new(&hook.name, hook.kind, outcome)
            })
            .collect()
    }

    /// Runs the hooks of a deployment that have not finished since it became active, and returns all of its
    /// hooks; none if they had finished before. Must be called without the root's locks.
    ///
    /// # Errors
    /// Returns [`HookError::Failed`] if a required hook fails or a hook is interrupted, and
    /// [`DeployError::HooksUnfinished`] if the root cannot be read or written.
    pub(in crate::deploy) fn run(
        &self,
        root: &Root,
        commit: CommitId,
        progress: &dyn Progress,
    ) -> Result<Vec<HookResult>, DeployError> {
        self.run_all(root, commit, progress)
            .map_err(|error| match error {
                DeployError::Hook(HookError::Failed(_)) => error,
                error => DeployError::HooksUnfinished {
                    version: root
                        .find(&commit.to_string(), None)
                        .map_or_else(|_| commit.to_string(), |found| found.version),
                    source: Box::new(error),
                },
            })
    }

    fn run_all(
        &self,
        root: &Root,
        commit: CommitId,
        progress: &dyn Progress,
    ) -> Result<Vec<HookResult>, DeployError> {
        if !is_unfinished(&mut root.state()?, commit) {
            return Ok(Vec::new());
        }
        let path = root.path().join(folder::HOOKS_LOCK);
        let _lock = Lock::exclusive(&path, progress).map_err(RepoError::from)?;
        self.begin(root, commit)?;
        while let Some(next) = self.next(root, commit)? {
            failpoint::hit("deploy.hooks-pending");
            let result = self.run_one(root, &next, progress);
            failpoint::hit("deploy.hook-ended");
            finish(root, commit, result)?;
        }
        Ok(root.state()?.hooks_of(commit).0)
    }

    /// Makes the hooks that have not succeeded pending again, if an earlier process did not finish them.
    fn begin(&self, root: &Root, commit: CommitId) -> Result<(), DeployError> {
        let mut locked = root.lock(&NoProgress)?;
        if !is_unfinished(&mut locked.state, commit) {
            return Ok(());
        }
        let mut planned = self.pending();
        if let Some(recorded) = locked.state.current_hooks(commit) {
            for hook in &mut planned {
                let done = recorded.iter().find(|one| {
                    one.outcome == HookOutcome::Succeeded
                        && (one.kind, &one.name) == (hook.kind, &hook.name)
                });
                if let Some(done) = done {
                    *hook = done.clone();
                }
            }
            if *recorded != planned {
                *recorded = planned;
                locked.save()?;
            }
        }
        Ok(())
    }

    /// Returns the next hook. If another process has changed the active deployment, the others are skipped.
    fn next(&self, root: &Root, commit: CommitId) -> Result<Option<Next<'_>>, DeployError> {
        let mut locked = root.lock(&NoProgress)?;
        let last = locked.state.history.len().saturating_sub(1);
        let before = locked.state.clone();
        // Only this process runs hooks, so that those of earlier activations do not run any more.
        for at in 0..last {
            locked.state.skip_hooks(at);
        }
        if locked.state != before {
            locked.save()?;
        }
        let Some(hooks) = locked.state.current_hooks(commit) else {
            return Ok(None);
        };
        let Some(pending) = hooks
            .iter()
            .find(|hook| hook.outcome == HookOutcome::Pending)
        else {
            return Ok(None);
        };
        let same = |one: &&FoundHook| (one.kind, &one.name) == (pending.kind, &pending.name);
        let Some(hook) = self.found.iter().find(same) else {
            return Ok(None);
        };
        let operation = locked.state.history[last].action.as_str();
        let deployment = locked.get(commit)?;
        let previous = locked.state.before(last);
        Ok(Some(Next {
            variables: self.hooks.variables(root, &deployment, operation, previous),
            hook,
        }))
    }

    /// Runs a hook, and reports its output.
    fn run_one(&self, root: &Root, next: &Next<'_>, progress: &dyn Progress) -> HookResult {
        let hook = next.hook;
        let name = &*hook.name;
        progress.event(&Event::HookStarted { name });
        let (at, start) = (root.clock.now(), Instant::now());
        let mut command = Command::new(&hook.path);
        command.env_clear().current_dir("/");
        command.envs(next.variables.iter().cloned());
        let ended = execute(&mut command, self.hooks.timeout, progress);
        for line in &ended.lines {
            progress.event(&Event::HookOutput { name, line });
        }
        let output = match ended.outcome.is_failure() {
            true => last_lines(&ended.lines),
            false => String::new(),
        };
        HookResult {
            at: Some(at),
            milliseconds: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            output,
            ..HookResult::new(name, hook.kind, ended.outcome)
        }
    }
}

/// Returns true if a deployment is active and its hooks have not finished.
fn is_unfinished(state: &mut State, commit: CommitId) -> bool {
    let hooks = state.current_hooks(commit);
    hooks.is_some_and(|hooks| hooks.iter().any(HookResult::is_unfinished))
}

/// Records the end of a hook. If the hook is required and failed, switches back in the same step.
fn finish(root: &Root, commit: CommitId, result: HookResult) -> Result<(), DeployError> {
    let mut locked = root.lock(&NoProgress)?;
    let Some(at) = locked.state.record_hook(commit, &result) else {
        return Ok(());
    };
    let version = locked.state.history[at].version.clone();
    let is_last = at + 1 == locked.state.history.len();
    let after = if result.is_required_failure() {
        locked.state.skip_hooks(at);
        if is_last && root.active_commit()? == Some(commit) {
            switch_back(&mut locked, commit, at)
        } else {
            locked.save()?;
            AfterFailure::Changed
        }
    } else {
        locked.save()?;
        if result.outcome != HookOutcome::Interrupted {
            failpoint::hit("deploy.hook-recorded");
            return Ok(());
        }
        match is_last {
            true => AfterFailure::StaysActive {
                version: version.clone(),
            },
            false => AfterFailure::Changed,
        }
    };
    let output = (!result.output.is_empty()).then(|| LastLines(result.output.clone()));
    let failed = FailedHook {
        hook: result,
        version,
        after,
        output,
    };
    Err(HookError::from(Box::new(failed)).into())
}

/// Activates the deployment that was active before, without hooks, or none if none was. The state file gets
/// the result of the hook and the entry of the switch at the same time.
fn switch_back(locked: &mut LockedRoot<'_>, commit: CommitId, at: usize) -> AfterFailure {
    let before = locked.state.before(at).map(|before| before.commit);
    let previous = before.filter(|before| locked.state.get(*before).is_some());
    // The deployment may have been removed since.
    let others = || {
        locked
            .state
            .rollback_targets(Some(commit))
            .into_iter()
            .next()
    };
    let previous = previous.or_else(|| before.and_then(|_| others()));
    let switched = match previous {
        Some(previous) => locked
            .activate(previous, Cause::SWITCHED_BACK)
            .and_then(|_| locked.get(previous))
            .map(|deployment| AfterFailure::SwitchedBack {
                version: deployment.version,
            }),
        None => locked
            .get(commit)
            .and_then(|deployment| locked.deactivate(&deployment, Cause::DEACTIVATED))
            .map(|()| AfterFailure::Deactivated),
    };
    switched.unwrap_or_else(|error| {
        // The first error is the one to report.
        let _ = locked.save();
        AfterFailure::NotSwitchedBack {
            version: locked.state.history[at].version.clone(),
            reason: error.to_string(),
        }
    })
}

/// Returns the last lines that are not empty, up to a limit.
fn last_lines(lines: &[String]) -> String {
    let filled = lines.iter().map(|line| line.trim_end());
    let filled: Vec<&str> = filled.filter(|line| !line.is_empty()).collect();
    let start = filled.len().saturating_sub(RECORDED_LINES);
    let text = filled[start..].join("\n");
    let cut = text.chars().count().saturating_sub(RECORDED_CHARACTERS);
    text.chars().skip(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_output_is_limited() {
        let lines: Vec<String> = (0..9).map(|n| format!("line {n}\n\n")).collect();
        assert!(last_lines(&lines).starts_with("line 4\nline 5\n"));
        let long = ["x".repeat(RECORDED_CHARACTERS), "end".to_owned()];
        let text = last_lines(&long);
        assert_eq!(text.len(), RECORDED_CHARACTERS);
        assert!(text.ends_with("x\nend"));
        assert_eq!(last_lines(&[]), "");
    }
}
