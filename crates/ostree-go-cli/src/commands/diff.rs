use crate::context::Context;
use crate::error::CliError;
use crate::revision::resolve;
use crate::views::diff::DiffReport;
use std::process::ExitCode;

/// Show the differences between two releases
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// Old release: a ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "FROM")]
    from: String,

    /// New release: a ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "TO")]
    to: String,
}

pub fn run(context: &Context, args: &DiffArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let from = resolve(&repo, &args.from)?;
    let to = resolve(&repo, &args.to)?;
    context.report(&DiffReport::from(&repo.diff(from, to)?))
}
