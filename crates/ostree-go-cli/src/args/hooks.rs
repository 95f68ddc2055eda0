//! Options of the verbs that run hooks.

use crate::settings::Settings;
use ostree_go_sdk::deploy::{Hooks, Root};
use std::time::Duration;

/// The hooks after a deployment.
#[derive(Debug, Clone, clap::Args)]
pub struct HookArgs {
    /// Do not run the hooks after another SDK has become active
    #[arg(long)]
    no_hooks: bool,

    /// Time after which a hook is ended, and counts as failed
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(1..),
        conflicts_with = "no_hooks"
    )]
    hook_timeout: u64,
}

impl HookArgs {
    /// Returns the hooks of a root directory, unless they are left out.
    pub fn hooks(&self, settings: &Settings, root: &Root) -> Option<Hooks> {
        if self.no_hooks {
            return None;
        }
        let hooks = Hooks::new(settings.hook_dirs(root.path()))
            .timeout(Duration::from_secs(self.hook_timeout))
            .environment(settings.hook_environment());
        Some(hooks)
    }
}
