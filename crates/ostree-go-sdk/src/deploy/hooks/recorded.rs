//! The hooks in the history of a root.

use super::outcome::{HookOutcome, HookResult};
use crate::deploy::activation::{Action, Activation};
use crate::deploy::state::State;
use crate::id::CommitId;

impl State {
    /// Returns the hooks of the latest activation of a deployment, and whether it was undone because one of
    /// them failed.
    pub(in crate::deploy) fn hooks_of(&self, commit: CommitId) -> (Vec<HookResult>, bool) {
        let is_of = |one: &Activation| {
            one.commit == commit && one.action != Action::Uninstall && !one.switched_back
        };
        match self.history.iter().rposition(is_of) {
            Some(at) => (self.history[at].hooks.clone(), self.is_undone(at)),
            None => (Vec::new(), false),
        }
    }

    /// Returns the hooks of a deployment if its activation is the last one.
    pub(super) fn current_hooks(&mut self, commit: CommitId) -> Option<&mut Vec<HookResult>> {
        let last = self.history.last_mut()?;
        let is_active = last.commit == commit && last.action != Action::Uninstall;
        is_active.then_some(&mut last.hooks)
    }

    /// Returns the activation before the one at an index, unless no deployment was active.
    pub(super) fn before(&self, at: usize) -> Option<&Activation> {
        let before = self.history.get(at.checked_sub(1)?)?;
        (before.action != Action::Uninstall).then_some(before)
    }

    /// Records the end of a hook, and returns the index of its activation.
    pub(super) fn record_hook(&mut self, commit: CommitId, result: &HookResult) -> Option<usize> {
        let is_same = |hook: &HookResult| {
            let is_pending = hook.outcome == HookOutcome::Pending;
            is_pending && (hook.kind, &hook.name) == (result.kind, &result.name)
        };
        let of_commit = |one: &Activation| one.commit == commit && one.hooks.iter().any(is_same);
        let at = self.history.iter().rposition(of_commit)?;
        let hooks = &mut self.history[at].hooks;
        if let Some(hook) = hooks.iter_mut().find(|hook| is_same(hook)) {
            hook.clone_from(result);
        }
        Some(at)
    }

    /// Marks the hooks of an activation that have not run as skipped.
    pub(super) fn skip_hooks(&mut self, at: usize) {
        let hooks = self.history.get_mut(at).map(|one| &mut one.hooks);
        for hook in hooks.into_iter().flatten() {
            if hook.outcome == HookOutcome::Pending {
                hook.outcome = HookOutcome::Skipped;
            }
        }
    }
}
