use crate::context::Context;
use crate::error::CliError;
use crate::report::{Report, damaged_exit_code};
use crate::text::{count, short};
use crate::views::value::Text;
use ostree_go_sdk::CommitId;
use ostree_go_sdk::fsck::DamagedObject;
use serde::Serialize;
use std::process::ExitCode;

/// Verify all objects of a repository
///
/// Reads every object and compares its content with its checksum, then checks that all objects of
/// every commit exist. Changes nothing. Exits with 4 if an object is damaged or missing.
#[derive(Debug, clap::Args)]
pub struct FsckArgs {}

pub fn run(context: &Context, _: &FsckArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let checked = repo.fsck(&*context.progress())?;
    context.report(&FsckReport {
        checked: checked.checked,
        damaged: checked.damaged.into_iter().map(Into::into).collect(),
    })
}

#[derive(Serialize)]
struct FsckReport {
    checked: u64,
    damaged: Vec<DamagedView>,
}

#[derive(Serialize)]
struct DamagedView {
    object: String,
    problem: String,
    needed_by: Vec<Text<CommitId>>,
}

impl From<DamagedObject> for DamagedView {
    fn from(object: DamagedObject) -> Self {
        Self {
            object: object.object,
            problem: object.problem,
            needed_by: object.needed_by.into_iter().map(Text).collect(),
        }
    }
}

impl Report for FsckReport {
    fn human(&self) -> String {
        let mut text = String::new();
        for object in &self.damaged {
            let commits: Vec<String> = object.needed_by.iter().map(short).collect();
            let needed_by = match commits.as_slice() {
                [] => "not needed by any commit".to_owned(),
                commits => format!("needed by {}", commits.join(", ")),
            };
            text.push_str(&format!(
                "{}: {} ({needed_by})\n",
                object.object, object.problem
            ));
        }
        let checked = count(self.checked);
        match self.damaged.len() {
            0 => text.push_str(&format!("{checked} objects checked, no damage found\n")),
            damaged => text.push_str(&format!(
                "{checked} objects checked, {damaged} damaged or missing\n"
            )),
        }
        text
    }

    fn exit_code(&self) -> ExitCode {
        damaged_exit_code(!self.damaged.is_empty())
    }
}
