use super::Context;
use super::deployments::{self, damaged_json, title};
use crate::error::CliError;
use crate::output::count;
use crate::progress::Terminal;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Go back to the SDK that was active before; again, and it goes forward
///
/// Needs no network and no keys.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// Check every file first, and pass over what is damaged
    #[arg(long)]
    verified: bool,
}

pub fn run(context: &Context<'_>, args: &RollbackArgs) -> Result<ExitCode, CliError> {
    let progress = Terminal::new(&context.global);
    let root = deployments::open(context)?;
    let mut locked = root.lock(&progress)?;
    let rolled = locked.rollback(args.verified)?;
    for (deployment, files) in &rolled.damaged {
        let files = count(files.len() as u64);
        let name = title(deployment);
        context
            .output
            .say(&format!("note: {name} is damaged ({files} files)"));
    }
    let from = rolled
        .from
        .as_ref()
        .map_or(String::new(), |from| format!(", {} was", title(from)));
    context
        .output
        .say(&format!("{} is active{from}", title(&rolled.to)));
    let damaged = rolled.damaged.iter().map(|(deployment, files)| {
        json!({"deployment": deployments::json(deployment), "files": damaged_json(files)})
    });
    let document = json!({
        "from": rolled.from.as_ref().map(deployments::json),
        "active": deployments::json(&rolled.to),
        "damaged": damaged.collect::<Value>(),
    });
    context.output.data(&document, String::new)?;
    Ok(ExitCode::SUCCESS)
}
