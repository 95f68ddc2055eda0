//! The results of hooks, as the history records them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Kind of a hook: what its failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HookKind {
    /// A failure switches back to the previous deployment.
    Required,
    /// A failure is only recorded.
    Wanted,
}

impl HookKind {
    /// All kinds, in the order in which their hooks run.
    pub(super) const ALL: [Self; 2] = [Self::Required, Self::Wanted];

    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Wanted => "wanted",
        }
    }
}

/// The end of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HookOutcome {
    /// It has not run, or has not ended.
    Pending,
    /// It ended with exit code 0.
    Succeeded,
    /// It ended with another exit code.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
    /// It was ended because its time was over.
    TimedOut,
    /// It could not be started.
    NotStarted,
    /// It was left out, because no execute permission is set.
    NotExecutable,
    /// It was ended because the operation was cancelled.
    Interrupted,
    /// It did not run, because a required hook failed, or because another process changed the active
    /// deployment.
    Skipped,
}

impl HookOutcome {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Exited(_) => "exited",
            Self::Killed(_) => "killed",
            Self::TimedOut => "timed-out",
            Self::NotStarted => "not-started",
            Self::NotExecutable => "not-executable",
            Self::Interrupted => "interrupted",
            Self::Skipped => "skipped",
        }
    }

    /// Returns the exit code or the number of the signal.
    #[must_use]
    pub const fn code(self) -> Option<i32> {
        match self {
            Self::Exited(code) | Self::Killed(code) => Some(code),
            _ => None,
        }
    }

    /// Returns true if the hook ran, or could not be started, and did not succeed.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Self::Exited(_)
                | Self::Killed(_)
                | Self::TimedOut
                | Self::NotStarted
                | Self::Interrupted
        )
    }

    /// Parses a word and a code. An unknown word counts as a hook that has not ended.
    fn parse(word: &str, code: Option<i32>) -> Self {
        match (word, code) {
            ("succeeded", _) => Self::Succeeded,
            ("exited", Some(code)) => Self::Exited(code),
            ("killed", Some(code)) => Self::Killed(code),
            ("timed-out", _) => Self::TimedOut,
            ("not-started", _) => Self::NotStarted,
            ("not-executable", _) => Self::NotExecutable,
            ("interrupted", _) => Self::Interrupted,
            ("skipped", _) => Self::Skipped,
            _ => Self::Pending,
        }
    }
}

/// Writes the outcome as the end of a sentence about the hook.
impl fmt::Display for HookOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("has not finished"),
            Self::Succeeded => f.write_str("succeeded"),
            Self::Exited(code) => write!(f, "failed with exit {code}"),
            Self::Killed(signal) => write!(f, "was killed by signal {signal}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::NotStarted => f.write_str("cannot be started"),
            Self::NotExecutable => f.write_str("is not executable"),
            Self::Interrupted => f.write_str("was interrupted"),
            Self::Skipped => f.write_str("was skipped"),
        }
    }
}

/// A hook of an activation and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Record", into = "Record")]
#[non_exhaustive]
pub struct HookResult {
    /// The name of its file.
    pub name: String,
    /// Its kind.
    pub kind: HookKind,
    /// Its outcome.
    pub outcome: HookOutcome,
    /// The time at which it was started, in seconds since 1970; `None` if it has not ended or did not run.
    pub at: Option<u64>,
    /// Its duration.
    pub milliseconds: u64,
    /// The last lines that a hook that failed has written, or the reason why it could not be started.
    pub output: String,
}

impl HookResult {
    /// Creates a result without an end.
    pub(in crate::deploy) fn new(name: &str, kind: HookKind, outcome: HookOutcome) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            outcome,
            at: None,
            milliseconds: 0,
            output: String::new(),
        }
    }

    /// Returns true if the next activation of the deployment runs the hook again.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        match self.outcome {
            HookOutcome::Pending | HookOutcome::Interrupted => true,
            _ => self.is_required_failure(),
        }
    }

    /// Returns true if the hook is required and failed.
    #[must_use]
    pub fn is_required_failure(&self) -> bool {
        self.kind == HookKind::Required && self.outcome.is_failure()
    }
}

/// The form of a result in the state file.
#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    kind: String,
    outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    #[serde(default)]
    milliseconds: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    output: String,
}

impl From<HookResult> for Record {
    fn from(result: HookResult) -> Self {
        Self {
            name: result.name,
            kind: result.kind.as_str().to_owned(),
            outcome: result.outcome.as_str().to_owned(),
            code: result.outcome.code(),
            at: result.at,
            milliseconds: result.milliseconds,
            output: result.output,
        }
    }
}

impl From<Record> for HookResult {
    fn from(record: Record) -> Self {
        let kinds = HookKind::ALL.into_iter();
        let kind = kinds.clone().find(|kind| kind.as_str() == record.kind);
        Self {
            name: record.name,
            kind: kind.unwrap_or(HookKind::Wanted),
            outcome: HookOutcome::parse(&record.outcome, record.code),
            at: record.at,
            milliseconds: record.milliseconds,
            output: record.output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_as_they_were_written() {
        use HookOutcome as O;
        let outcomes = [
            O::Pending,
            O::Succeeded,
            O::Exited(7),
            O::Killed(9),
            O::TimedOut,
            O::NotStarted,
            O::NotExecutable,
            O::Interrupted,
            O::Skipped,
        ];
        for outcome in outcomes {
            let mut result = HookResult::new("10-check", HookKind::Required, outcome);
            result.at = Some(5);
            result.output = "last line".to_owned();
            let text = serde_json::to_string(&result).unwrap();
            assert_eq!(serde_json::from_str::<HookResult>(&text).unwrap(), result);
        }
    }

    #[test]
    fn an_unknown_outcome_was_written_by_a_newer_version_and_counts_as_pending() {
        let text = r#"{"name": "a", "kind": "required", "outcome": "postponed"}"#;
        let result: HookResult = serde_json::from_str(text).unwrap();
        assert_eq!(result.outcome, HookOutcome::Pending);
        assert!(result.is_unfinished());
    }

    #[test]
    fn only_required_hooks_are_repeated_after_a_failure() {
        let of = |kind, outcome| HookResult::new("a", kind, outcome).is_unfinished();
        assert!(of(HookKind::Required, HookOutcome::Exited(1)));
        assert!(!of(HookKind::Wanted, HookOutcome::Exited(1)));
        assert!(of(HookKind::Wanted, HookOutcome::Interrupted));
        assert!(!of(HookKind::Required, HookOutcome::NotExecutable));
    }
}
