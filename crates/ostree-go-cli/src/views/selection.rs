//! The selection of an SDK for a project.

use crate::text::deployment_title;
use ostree_go_sdk::toolchains::{Reason, Selection, VersionRule};

/// Returns the sentence that says why an SDK was selected.
pub fn explanation(selection: &Selection) -> String {
    let title = deployment_title(&selection.deployment);
    let Some(requirement) = &selection.requirement else {
        return format!("{title} is active, and no file asks for another one");
    };
    let why = match (selection.reason, &requirement.rule) {
        (Reason::Active, VersionRule::Any) => "is active",
        (Reason::Active, _) => "is active and high enough",
        (Reason::Exact, _) => "is the version",
        (Reason::Newest, _) => "is the newest installed version",
        _ => "is the lowest installed version that is high enough",
    };
    format!("{title} {why}: {requirement}")
}
