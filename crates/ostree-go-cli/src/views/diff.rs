//! The differences between two commits.

use super::commit::CommitView;
use crate::report::Report;
use crate::text::{bytes, count, table};
use ostree_go_sdk::diff::{Change, Diff, FileInfo};
use serde::Serialize;

#[derive(Serialize)]
pub struct DiffReport {
    from: CommitView,
    to: CommitView,
    added: u64,
    removed: u64,
    changed: u64,
    binaries_changed: u64,
    changes: Vec<ChangeView>,
}

#[derive(Serialize)]
struct ChangeView {
    path: String,
    status: &'static str,
    from: Option<FileView>,
    to: Option<FileView>,
}

#[derive(Serialize)]
struct FileView {
    bytes: u64,
    mode: String,
    binary: bool,
}

impl From<&Diff> for DiffReport {
    fn from(diff: &Diff) -> Self {
        let changes: Vec<ChangeView> = diff.changes.iter().map(ChangeView::from).collect();
        let number = |counted: fn(&ChangeView) -> bool| {
            let counted = changes.iter().filter(|change| counted(change));
            counted.count() as u64
        };
        Self {
            from: CommitView::from(&diff.from),
            to: CommitView::from(&diff.to),
            added: number(|change| change.from.is_none()),
            removed: number(|change| change.to.is_none()),
            changed: number(|change| change.from.is_some() && change.to.is_some()),
            binaries_changed: number(ChangeView::is_binary),
            changes,
        }
    }
}

impl From<&Change> for ChangeView {
    fn from(change: &Change) -> Self {
        Self {
            path: format!("/{}", change.path),
            status: match (change.from, change.to) {
                (None, _) => "added",
                (_, None) => "removed",
                (Some(from), Some(to)) if from.mode != to.mode => "mode",
                _ => "changed",
            },
            from: change.from.map(FileView::from),
            to: change.to.map(FileView::from),
        }
    }
}

impl From<FileInfo> for FileView {
    fn from(file: FileInfo) -> Self {
        Self {
            bytes: file.size,
            mode: format!("{:o}", file.mode),
            binary: file.is_binary,
        }
    }
}

impl ChangeView {
    fn is_binary(&self) -> bool {
        let files = [&self.from, &self.to];
        files.into_iter().flatten().any(|file| file.binary)
    }

    /// Returns the difference of the sizes in bytes.
    fn growth(&self) -> i128 {
        let size = |file: &Option<FileView>| file.as_ref().map_or(0, |file| i128::from(file.bytes));
        size(&self.to) - size(&self.from)
    }

    fn row(&self) -> Vec<String> {
        let size = |file: &Option<FileView>| {
            let file = file.as_ref();
            file.map_or_else(|| "-".to_owned(), |file| bytes(file.bytes))
        };
        vec![
            self.status.to_owned(),
            size(&self.from),
            size(&self.to),
            if self.is_binary() { "binary" } else { "" }.to_owned(),
            self.path.clone(),
        ]
    }
}

impl Report for DiffReport {
    fn human(&self) -> String {
        let name = |commit: &CommitView| {
            let version = commit.version.as_deref().unwrap_or(&commit.subject);
            format!("{version} {}", commit.arch_or_noarch())
        };
        let (from, to) = (name(&self.from), name(&self.to));
        if self.changes.is_empty() {
            return format!("Go {from} → {to}: no differences\n");
        }
        let growth: i128 = self.changes.iter().map(ChangeView::growth).sum();
        let sign = if growth < 0 { '-' } else { '+' };
        let size = bytes(u64::try_from(growth.unsigned_abs()).unwrap_or(u64::MAX));
        let rows: Vec<_> = self.changes.iter().map(ChangeView::row).collect();
        format!(
            "Go {from} → {to}: {} added, {} removed, {} changed, {} of them binary, {sign}{size}\n{}",
            count(self.added),
            count(self.removed),
            count(self.changed),
            count(self.binaries_changed),
            table(&["STATUS", "FROM", "TO", "KIND", "PATH"], &rows),
        )
    }
}
