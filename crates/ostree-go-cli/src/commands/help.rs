use crate::context::Context;
use crate::error::CliError;
use std::process::ExitCode;

/// Print the help text of a verb
#[derive(Debug, clap::Args)]
pub struct HelpArgs {
    /// Verb, for example `install` or `key generate` (default: the list of all verbs)
    #[arg(value_name = "VERB")]
    verb: Vec<String>,
}

pub fn run(
    context: &Context,
    args: &HelpArgs,
    parser: fn() -> clap::Command,
) -> Result<ExitCode, CliError> {
    let mut command = parser();
    // Adds the global options to every verb.
    command.build();
    let mut found = &mut command;
    for word in &args.verb {
        let known: Vec<String> = found
            .get_subcommands()
            .map(|verb| verb.get_name().to_owned())
            .collect();
        found = found.find_subcommand_mut(word).ok_or_else(|| {
            let message = format!("there is no verb `{}`", args.verb.join(" ").escape_debug());
            let hint = match known.as_slice() {
                [] => None,
                known => Some(format!("the verbs are {}", known.join(", "))),
            };
            CliError::Usage { message, hint }
        })?;
    }
    let text = found.render_long_help().to_string();
    context.output.raw(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
