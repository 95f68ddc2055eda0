//! The commits of a pull or an import, before their content is fetched.

use super::commit::CommitView;
use super::signature::{SignatureView, signatures};
use super::value::Text;
use crate::text::{self, short, short_ref, table_with_lines};
use ostree_go_sdk::pull::{Download, PlannedRef};
use ostree_go_sdk::{CommitId, RefName};
use serde::Serialize;
use std::fmt;

/// A verified commit with the ref that names it.
#[derive(Debug, Serialize)]
pub struct PlannedCommitView {
    #[serde(flatten)]
    pub commit: CommitView,
    #[serde(rename = "ref")]
    pub ref_name: Text<RefName>,
    pub current: Option<Text<CommitId>>,
    pub signed: bool,
    pub signatures: Vec<SignatureView>,
    pub download: DownloadView,
}

/// The size of a download. The unpacked size is the number of bytes on disk.
#[derive(Debug, Serialize)]
pub struct DownloadView {
    pub way: &'static str,
    pub bytes: Option<u64>,
    pub unpacked: Option<u64>,
    #[serde(skip)]
    text: String,
}

impl From<&PlannedRef> for PlannedCommitView {
    fn from(planned: &PlannedRef) -> Self {
        let proof = planned.verified.proof();
        Self {
            commit: CommitView::from(&planned.info),
            ref_name: Text(planned.name.clone()),
            current: planned.current.map(Text),
            signed: !proof.unsigned,
            signatures: signatures(&proof.signatures),
            download: planned.download.into(),
        }
    }
}

impl From<Download> for DownloadView {
    fn from(download: Download) -> Self {
        let (way, amount, unpacked, text) = match download {
            Download::Nothing => ("nothing", Some(0), Some(0), "nothing".to_owned()),
            Download::Delta { bytes, unpacked } => {
                let text = format!("{} delta", text::bytes(bytes));
                ("delta", Some(bytes), Some(unpacked), text)
            }
            Download::Layers { bytes, unpacked } => {
                let text = format!("{} of layers", text::bytes(bytes));
                ("layers", Some(bytes), Some(unpacked), text)
            }
            other => {
                let text = other.unpacked().map_or_else(
                    || "objects".to_owned(),
                    |amount| format!("objects of {}", text::bytes(amount)),
                );
                ("objects", None, other.unpacked(), text)
            }
        };
        Self {
            way,
            bytes: amount,
            unpacked,
            text,
        }
    }
}

impl fmt::Display for DownloadView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl PlannedCommitView {
    fn signed_by(&self) -> String {
        let valid = self.signatures.iter().filter(|one| one.is_valid);
        let by = valid.map(|one| one.user.as_ref().unwrap_or(&one.key).clone());
        by.collect::<Vec<_>>().join(", ")
    }
}

/// Returns the table of planned commits.
pub fn plan_table(commits: &[PlannedCommitView]) -> String {
    let rows: Vec<Vec<String>> = commits
        .iter()
        .map(|planned| {
            let commit = &planned.commit;
            vec![
                short_ref(&planned.ref_name),
                commit.version.clone().unwrap_or_else(|| "-".to_owned()),
                short(commit.commit),
                planned.download.to_string(),
            ]
        })
        .collect();
    let signed = commits.iter().map(|planned| match planned.signed {
        true => format!("signed by {}", planned.signed_by()),
        false => "unsigned".to_owned(),
    });
    let header = ["REF", "GO", "COMMIT", "DOWNLOAD"];
    table_with_lines(&header, &rows, &signed.collect::<Vec<_>>())
}
