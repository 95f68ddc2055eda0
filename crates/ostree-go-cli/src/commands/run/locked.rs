//! `run --locked`: checks the workspace before the command starts. The lock decides the SDK and the build
//! settings.

use crate::context::Context;
use crate::error::CliError;
use crate::views::drift::{DriftView, drift_table};
use crate::workspace::{find_lock, workspace};
use ostree_go_sdk::Arch;
use ostree_go_sdk::workspace::{Lock, is_build_setting};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The SDK and the settings that the lock of a workspace selects.
#[derive(Debug)]
pub struct Locked {
    /// The commit of the SDK.
    pub sdk: String,
    settings: BTreeMap<String, String>,
}

/// Checks the workspace of a directory offline, with the build settings of its lock. Drift is listed on
/// standard error, and is an error.
pub fn check(context: &Context, directory: &Path) -> Result<Locked, CliError> {
    let path = find_lock(directory)?;
    let lock = Lock::read(&path)?;
    let beside = path.parent().unwrap_or(directory).to_owned();
    let settings = lock.settings.clone();
    let drift = workspace(context, beside, &[directory.to_owned()], false)?
        .environment(settings.clone())
        .check(&lock)?;
    if !drift.is_empty() {
        let drift: Vec<DriftView> = drift.into_iter().map(Into::into).collect();
        context.say(drift_table(&drift).trim_end());
        return Err(CliError::Drift { count: drift.len() });
    }
    let arch = Arch::host().map(Arch::basearch);
    let deployment = arch.and_then(|arch| lock.sdk.deployments.get(arch));
    let sdk = deployment.map_or(lock.sdk.version, |deployment| deployment.commit.clone());
    Ok(Locked { sdk, settings })
}

impl Locked {
    /// Replaces the build settings in an environment by those of the lock.
    pub fn apply(&self, environment: &mut Vec<(OsString, OsString)>) {
        environment.retain(|(name, _)| !is_setting(name));
        let settings = self.settings.iter();
        environment.extend(settings.map(|(name, value)| (name.into(), value.into())));
    }
}

/// Refuses a variable of the command line that the lock decides.
pub fn require_free(name: &OsStr) -> Result<(), CliError> {
    match is_setting(name) {
        false => Ok(()),
        true => {
            let name = name.to_string_lossy();
            Err(CliError::Usage {
                message: format!("--env {name} and --locked exclude each other"),
                hint: Some(format!(
                    "the lock decides {name}; `ostree-go workspace lock` takes over the present value"
                )),
            })
        }
    }
}

fn is_setting(name: &OsStr) -> bool {
    name.to_str().is_some_and(is_build_setting)
}
