//! Preview of an installation or an upgrade.

use crate::report::{Report, changes_exit_code};
use crate::text::{short, table};
use crate::views::deployment::DeploymentView;
use crate::views::pull::DownloadView;
use crate::views::signature::{SignatureView, signatures};
use crate::views::std_cache::StdCacheView;
use crate::views::value::{Text, Time};
use ostree_go_sdk::deploy::{PlannedDeployment, PlannedStdCache, Root};
use ostree_go_sdk::{Arch, CommitId, RefName, StdCacheId};
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
    std_caches: Vec<PlannedStdCacheView>,
    removed_std_caches: Vec<StdCacheView>,
}

#[derive(Serialize)]
struct PlannedStdCacheView {
    id: Text<StdCacheId>,
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    commit: Text<CommitId>,
    action: &'static str,
    download: DownloadView,
    bytes: Option<u64>,
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
            std_caches: planned.std_caches.iter().map(Into::into).collect(),
            removed_std_caches: planned.removed_std_caches.iter().map(Into::into).collect(),
        }
    }
}

impl From<&PlannedStdCache> for PlannedStdCacheView {
    fn from(planned: &PlannedStdCache) -> Self {
        Self {
            id: Text(planned.id),
            ref_name: Text(planned.ref_name.clone()),
            commit: Text(*planned.commit.value()),
            action: if planned.is_deployed {
                "nothing"
            } else {
                "install"
            },
            download: planned.download.into(),
            bytes: planned.bytes,
        }
    }
}

impl PlannedView {
    /// Returns the rows of the SDK and of its std caches.
    fn rows(&self) -> Vec<Vec<String>> {
        let row = |name: &Text<RefName>, action: &str, download: String, commit| {
            let (dash, version) = ("-".to_owned(), self.version.clone());
            vec![
                name.to_string(),
                dash,
                version,
                action.to_owned(),
                download,
                commit,
            ]
        };
        let std_caches = self.std_caches.iter().map(|cache| {
            let download = cache.download.to_string();
            row(&cache.ref_name, cache.action, download, short(cache.commit))
        });
        let removed = self.removed_std_caches.iter().map(|cache| {
            row(
                &cache.ref_name,
                "remove",
                "nothing".to_owned(),
                short(cache.commit),
            )
        });
        let own = std::iter::once(self.row());
        own.chain(std_caches).chain(removed).collect()
    }

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
        let rows: Vec<_> = self
            .deployments
            .iter()
            .flat_map(PlannedView::rows)
            .collect();
        let header = ["REF", "INSTALLED", "GO", "ACTION", "DOWNLOAD", "COMMIT"];
        table(&header, &rows)
    }

    fn exit_code(&self) -> ExitCode {
        changes_exit_code(self.changes && self.exit_77)
    }
}
