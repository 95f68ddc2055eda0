use super::Context;
use super::deployments::{self, title};
use crate::error::CliError;
use crate::output::{bytes, count};
use crate::progress::Terminal;
use ostree_go_sdk::GcOptions;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Remove what no installed SDK needs
///
/// Whatever is in the root's repository and not installed is removed. Waits for an install
/// that is under way.
#[derive(Debug, clap::Args)]
pub struct GcArgs {
    /// Uninstall SDKs that a later one of the same channel has replaced, too; the active one,
    /// the one that a rollback goes to and pinned ones stay
    #[arg(long)]
    superseded: bool,
}

pub fn run(context: &Context<'_>, args: &GcArgs) -> Result<ExitCode, CliError> {
    let progress = Terminal::new(&context.global);
    let root = deployments::open(context)?;
    let options = GcOptions::default().superseded(args.superseded);
    let report = root.gc(&options, &progress)?;
    for deployment in &report.deployments {
        context
            .output
            .say(&format!("{} is removed", title(deployment)));
    }
    context.output.say(&format!(
        "{} refs and {} objects ({}) removed",
        count(report.refs.len() as u64),
        count(report.objects),
        bytes(report.bytes),
    ));
    let document = json!({
        "deployments": report.deployments.iter().map(deployments::json).collect::<Value>(),
        "refs": report.refs,
        "objects": report.objects,
        "bytes": report.bytes,
    });
    context.output.data(&document, String::new)?;
    Ok(ExitCode::SUCCESS)
}
