//! Entries of the history in the state file: which deployment became active, when and why.

use super::encoding;
use super::hooks::HookResult;
use crate::id::{CommitId, RefName};
use serde::{Deserialize, Serialize};

/// The reason why a deployment became active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Action {
    /// The deployment was installed.
    Install,
    /// An upgrade installed it from its channel.
    Upgrade,
    /// The user selected it.
    Use,
    /// A rollback left the deployment that was active before.
    Rollback,
    /// The link was changed without this library. The stable word is `found`.
    #[serde(rename = "found")]
    External,
    /// The deployment was removed while it was active; no deployment is active since then.
    Uninstall,
}

impl Action {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Use => "use",
            Self::Rollback => "rollback",
            Self::External => "found",
            Self::Uninstall => "uninstall",
        }
    }
}

/// An entry of the history: a deployment became active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Activation {
    /// The time, in seconds since 1970.
    pub at: u64,
    /// The reason.
    pub action: Action,
    /// The commit of the deployment, which may have been removed since.
    #[serde(with = "encoding::text")]
    pub commit: CommitId,
    /// The ref of the deployment.
    #[serde(rename = "ref", with = "encoding::text")]
    pub ref_name: RefName,
    /// The Go version of the deployment.
    pub version: String,
    /// The remote that the deployment was fetched from.
    pub remote: String,
    /// The keys of the valid signatures; empty if the remote is not signed.
    pub signed_by: Vec<String>,
    /// The hooks that ran after it, or have to; empty if there were none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookResult>,
    /// True if it undid the activation before it, because a required hook of that one failed. If no
    /// deployment was active before, the action is [`Action::Uninstall`], and the deployment remains
    /// installed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub switched_back: bool,
}

/// The fields of a history entry in addition to the deployment.
#[derive(Debug, Clone)]
pub(super) struct Cause {
    pub(super) action: Action,
    /// The hooks, which have not run.
    pub(super) hooks: Vec<HookResult>,
    pub(super) switched_back: bool,
}

impl Cause {
    /// A required hook failed, and another deployment was active before.
    pub(super) const SWITCHED_BACK: Self = Self {
        action: Action::Rollback,
        hooks: Vec::new(),
        switched_back: true,
    };
    /// A required hook failed, and no deployment was active before.
    pub(super) const DEACTIVATED: Self = Self {
        action: Action::Uninstall,
        hooks: Vec::new(),
        switched_back: true,
    };
}

impl From<Action> for Cause {
    fn from(action: Action) -> Self {
        Self {
            action,
            hooks: Vec::new(),
            switched_back: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activation_without_hooks_has_the_form_of_older_versions() {
        let activation = Activation {
            at: 9,
            action: Action::Use,
            commit: [1; 32].into(),
            ref_name: "go-sdk/x86_64/1.26".parse().unwrap(),
            version: "1.26.1".to_owned(),
            remote: "acme".to_owned(),
            signed_by: Vec::new(),
            hooks: Vec::new(),
            switched_back: false,
        };
        let value = serde_json::to_value(&activation).unwrap();
        let object = value.as_object().unwrap();
        assert!(!object.contains_key("hooks") && !object.contains_key("switched_back"));
        let read: Activation = serde_json::from_value(value).unwrap();
        assert_eq!(read, activation);
    }
}
