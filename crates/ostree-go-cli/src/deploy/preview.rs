//! Preview of an installation or an upgrade.

use crate::report::{Report, changes_exit_code};
use crate::text::{short, table};
use crate::views::deployment::DeploymentView;
use crate::views::pull::DownloadView;
use crate::views::signature::{SignatureView, signatures};
use crate::views::value::{Text, Time};
use ostree_go_sdk::deploy::{PlannedDeployment, Root};
use ostree_go_sdk::{Arch, CommitId, RefName};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// The result of `--dry-run` and of `--check`.
#[derive(Serialize)]
pub struct PreviewReport {
    root: PathBuf,
    dry_run: bool,
    /// True if the command would change anything.
    changes: bool,
    deployments: Vec<PlannedView>,
    /// Set for `--check`.
    #[serde(skip)]
    exit_77: bool,
}

#[derive(Serialize)]
struct PlannedView {
    version: String,
    arch: Text<Arch>,
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    commit: Text<CommitId>,
    timestamp: Time,
    remote: String,
    unsigned: bool,
    signatures: Vec<SignatureView>,
    action: &'static str,
    activates: bool,
    download: DownloadView,
    bytes: Option<u64>,
    current: Option<DeploymentView>,
}

impl PreviewReport {
    pub fn new(root: &Root, planned: &[PlannedDeployment], exit_77: bool) -> Self {
        Self {
            root: root.path().to_owned(),
            dry_run: true,
            changes: planned.iter().any(PlannedDeployment::changes),
            deployments: planned.iter().map(Into::into).collect(),
            exit_77,
        }
    }
}

impl From<&PlannedDeployment> for PlannedView {
    fn from(planned: &PlannedDeployment) -> Self {
        let proof = planned.commit.proof();
        Self {
            version: planned.version.clone(),
            arch: Text(planned.arch),
            ref_name: Text(planned.ref_name.clone()),
            commit: Text(*planned.commit.value()),
            timestamp: Time(planned.info.timestamp),
            remote: proof.remote.clone(),
            unsigned: proof.unsigned,
            signatures: signatures(&proof.signatures),
            action: match (planned.is_deployed, planned.activates) {
                (false, _) => "install",
                (true, true) => "activate",
                (true, false) => "nothing",
            },
            activates: planned.activates,
            download: planned.download.into(),
            bytes: planned.info.bytes,
            current: planned.current.as_ref().map(Into::into),
        }
    }
}

impl PlannedView {
    fn row(&self) -> Vec<String> {
        let installed = self.current.as_ref();
        vec![
            self.ref_name.to_string(),
            installed.map_or_else(|| "-".to_owned(), |current| current.version.clone()),
            self.version.clone(),
            self.action.to_owned(),
            self.download.to_string(),
            short(self.commit),
        ]
    }
}

impl Report for PreviewReport {
    fn human(&self) -> String {
        let rows: Vec<_> = self.deployments.iter().map(PlannedView::row).collect();
        let header = ["REF", "INSTALLED", "GO", "ACTION", "DOWNLOAD", "COMMIT"];
        table(&header, &rows)
    }

    fn exit_code(&self) -> ExitCode {
        changes_exit_code(self.changes && self.exit_77)
    }
}
