//! A hook and its result.

use super::value::Time;
use ostree_go_sdk::deploy::HookResult;
use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub struct HookView {
    pub name: String,
    pub kind: &'static str,
    pub outcome: &'static str,
    pub code: Option<i32>,
    pub at: Option<Time>,
    pub milliseconds: u64,
    pub output: String,
}

impl From<&HookResult> for HookView {
    fn from(hook: &HookResult) -> Self {
        Self {
            name: hook.name.clone(),
            kind: hook.kind.as_str(),
            outcome: hook.outcome.as_str(),
            code: hook.outcome.code(),
            at: hook.at.map(Time),
            milliseconds: hook.milliseconds,
            output: hook.output.clone(),
        }
    }
}
