use super::{Context, DAMAGED};
use crate::error::CliError;
use crate::output::{count, short};
use crate::progress::Terminal;
use ostree_go_sdk::{FsckReport, fsck};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Verify all objects of a repository
///
/// Reads every object and compares its content with its checksum, then checks that all objects of
/// every commit exist. Changes nothing. Exits with 4 if an object is damaged or missing.
#[derive(Debug, clap::Args)]
pub struct FsckArgs {}

pub fn run(context: &Context<'_>, _: &FsckArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let report = fsck(&repo, &Terminal::new(&context.global))?;
    let damaged = report.damaged.iter().map(|object| {
        let needed_by = object.needed_by.iter().map(ToString::to_string);
        json!({
            "object": object.object,
            "problem": object.problem,
            "needed_by": needed_by.collect::<Value>(),
        })
    });
    let document = json!({"checked": report.checked, "damaged": damaged.collect::<Value>()});
    context.output.data(&document, || text(&report))?;
    Ok(if report.damaged.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DAMAGED)
    })
}

fn text(report: &FsckReport) -> String {
    let mut text = String::new();
    for object in &report.damaged {
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
    let checked = count(report.checked);
    match report.damaged.len() {
        0 => text.push_str(&format!("{checked} objects checked, no damage found\n")),
        damaged => text.push_str(&format!(
            "{checked} objects checked, {damaged} damaged or missing\n"
        )),
    }
    text
}
