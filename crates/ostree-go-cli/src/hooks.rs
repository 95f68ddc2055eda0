//! Messages about hooks.

use crate::context::Context;
use crate::text::deployment_title;
use ostree_go_sdk::deploy::{
    DeployError, DeploymentStatus, HookError, HookOutcome, HookResult, Status,
};

/// Prints warnings about hooks that ran after a deployment, none of which changed it.
pub fn print_warnings(context: &Context, hooks: &[HookResult]) {
    for hook in hooks {
        if let Some(text) = problem(hook, "") {
            context.say(&format!("warning: {text}"));
        }
    }
    let is_skipped = |hook: &HookResult| hook.outcome == HookOutcome::Skipped;
    if hooks.iter().any(is_skipped) {
        context.say(
            "note: another process has changed the active SDK, so the other hooks were skipped",
        );
    }
}

/// Returns the message about a hook that did not succeed. `of` follows its name.
fn problem(hook: &HookResult, of: &str) -> Option<String> {
    let (name, outcome) = (&hook.name, hook.outcome);
    match outcome {
        HookOutcome::NotExecutable => Some(format!("hook {name}{of} {outcome} and was left out")),
        outcome if outcome.is_failure() => {
            let last = hook.output.lines().last();
            let last = last.map_or_else(String::new, |line| format!(": {line}"));
            Some(format!("hook {name}{of} {outcome}{last}"))
        }
        _ => None,
    }
}

/// Prints warnings about the hooks of the active SDK, and of the one that a failed hook has replaced last.
pub fn print_status(context: &Context, status: &Status) {
    for one in &status.deployments {
        for text in warnings(status, one) {
            context.say(&format!("warning: {text}"));
        }
    }
}

fn warnings(status: &Status, one: &DeploymentStatus) -> Vec<String> {
    let title = deployment_title(&one.deployment);
    if is_switched_back(status, one) {
        let active = status.deployments.iter().find(|other| other.active);
        let active = active.map(|active| deployment_title(&active.deployment));
        let failed = one.hooks.iter().filter(|hook| hook.is_required_failure());
        return failed
            .map(|hook| {
                let (name, outcome) = (&hook.name, hook.outcome);
                let result = match &active {
                    Some(active) => format!("switched back to {active}"),
                    None => "no SDK is active".to_owned(),
                };
                format!("hook {name} of {title} {outcome}; {result}")
            })
            .collect();
    }
    if !one.active {
        return Vec::new();
    }
    let of = format!(" of {title}");
    let problems = one.hooks.iter().filter_map(|hook| problem(hook, &of));
    let mut texts: Vec<String> = problems.collect();
    if one.hooks.iter().any(HookResult::is_unfinished) {
        let version = &one.deployment.version;
        texts.push(format!(
            "the hooks of {title} have not finished: unless another process is running them, \
             `ostree-go use {version}` does"
        ));
    }
    texts
}

/// Returns true for the deployment from which a failed hook switched back to the active one, as the last
/// activation.
fn is_switched_back(status: &Status, one: &DeploymentStatus) -> bool {
    let [.., undone, last] = status.history.as_slice() else {
        return false;
    };
    one.switched_back && last.switched_back && undone.commit == one.deployment.commit
}

/// Returns true if the hooks of a deployment are shown in the table of `status`.
pub fn is_shown(status: &Status, one: &DeploymentStatus) -> bool {
    one.active || is_switched_back(status, one)
}

/// Returns true for an error of hooks that ran after a deployment.
pub fn is_after_deployment(error: &DeployError) -> bool {
    matches!(
        error,
        DeployError::Hook(HookError::Failed(_)) | DeployError::HooksUnfinished { .. }
    )
}
