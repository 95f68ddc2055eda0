//! Known vulnerabilities, and the end of support.

use super::value::{Text, Time};
use crate::text::{age, count, time};
use ostree_go_sdk::audit::{Assessment, Origin, Support, Vulnerability};
use ostree_go_sdk::{ErrorKind, GoVersion};
use serde::Serialize;

/// The origin of data.
#[derive(Debug, Serialize)]
pub struct OriginView {
    pub location: String,
    modified: Option<String>,
    confirmed: Option<Time>,
    /// The kind of the error because of which a copy was used.
    unreachable: Option<&'static str>,
    /// In seconds since 1970.
    #[serde(skip)]
    now: u64,
}

impl OriginView {
    pub fn new(origin: &Origin, now: u64) -> Self {
        let unreachable = origin.unreachable.as_ref();
        Self {
            location: origin.location.clone(),
            modified: origin.modified.clone(),
            confirmed: origin.confirmed.map(Time),
            unreachable: unreachable.map(|error| ErrorKind::as_str(error.kind())),
            now,
        }
    }

    /// Returns the age for people: `changed 2026-11-05T23:49:57Z, read 2 days ago`.
    pub fn human(&self) -> String {
        let modified = self.modified.as_ref();
        let modified = modified.map(|at| format!(", changed {at}"));
        let confirmed = self.confirmed.as_ref().map(|at| match at.0 {
            at if at >= self.now => ", read now".to_owned(),
            at => format!(", read {} ago", age(self.now - at)),
        });
        format!(
            "{}{}{}",
            self.location,
            modified.unwrap_or_default(),
            confirmed.unwrap_or_default()
        )
    }
}

/// Returns the warning about a copy that was used because the server could not be reached.
pub fn stale_warning(what: &str, origin: &Origin, now: u64) -> Option<String> {
    let error = origin.unreachable.as_ref()?;
    let from = origin.confirmed.unwrap_or_default();
    Some(format!(
        "warning: {error}; using the copy of the {what} from {}, {} old",
        time(from),
        age(now.saturating_sub(from)),
    ))
}

/// A vulnerability of a release.
#[derive(Debug, Serialize)]
pub struct VulnerabilityView {
    pub id: String,
    pub aliases: Vec<String>,
    pub summary: String,
    url: Option<String>,
    pub packages: Vec<String>,
    pub fixed: Option<String>,
    pub on_platform: bool,
}

impl From<&Vulnerability> for VulnerabilityView {
    fn from(one: &Vulnerability) -> Self {
        Self {
            id: one.id.clone(),
            aliases: one.aliases.clone(),
            summary: one.summary.clone(),
            url: one.url.clone(),
            packages: one.packages.clone(),
            fixed: one.fixed.clone(),
            on_platform: one.on_platform,
        }
    }
}

/// The assessment of a release, in lists of several releases.
#[derive(Debug, Serialize)]
pub struct AssessmentView {
    vulnerabilities: Option<Vec<VulnerabilityView>>,
    support: Option<&'static str>,
    newer: Option<Text<GoVersion>>,
}

impl From<&Assessment> for AssessmentView {
    fn from(found: &Assessment) -> Self {
        let known = found.vulnerabilities.is_some();
        Self {
            vulnerabilities: known.then(|| found.on_platform().map(Into::into).collect()),
            support: found.support.map(Support::as_str),
            newer: found.newer.clone().map(Text),
        }
    }
}

impl AssessmentView {
    /// The titles of the columns of [`AssessmentView::cells`].
    pub const TITLES: [&str; 3] = ["NEWEST", "VULNERABILITIES", "SUPPORT"];

    /// Returns the cells of a table.
    pub fn cells(&self) -> [String; 3] {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let known = self.vulnerabilities.as_ref();
        [
            or_dash(self.newer.as_ref().map(ToString::to_string)),
            or_dash(known.map(|known| count(known.len() as u64))),
            or_dash(self.support.map(str::to_owned)),
        ]
    }
}
