use super::Context;
use super::deployments;
use crate::cli::Format;
use crate::error::CliError;
use clap::ValueEnum;
use ostree_go_sdk::{Arch, DeployError};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Print the shell command that adds an installed SDK to PATH
///
/// Without VERSION, the path always refers to the active SDK, also after a later switch. Add to a
/// shell's start-up file: `eval "$(ostree-go env)"`, or in fish `ostree-go env --shell fish | source`.
#[derive(Debug, clap::Args)]
pub struct EnvArgs {
    /// An installed SDK (default: the active one)
    #[arg(value_name = "VERSION")]
    name: Option<String>,

    /// Architecture of the SDK
    #[arg(long, value_name = "ARCH", requires = "name")]
    arch: Option<Arch>,

    /// Syntax of the output
    #[arg(long, value_enum, default_value_t, value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// POSIX shells, bash and zsh
    #[default]
    Sh,
    /// fish
    Fish,
    /// A JSON document
    Json,
}

pub fn run(context: &Context<'_>, args: &EnvArgs) -> Result<ExitCode, CliError> {
    let root = deployments::open(context)?;
    let (deployment, bin) = match &args.name {
        Some(name) => {
            let found = root.find(name, args.arch)?;
            let bin = root.bin_of(&found);
            (found, bin)
        }
        None => match root.active()? {
            Some(active) => (active, root.bin()),
            None => {
                let path = root.path().to_owned();
                return Err(DeployError::NothingActive { path }.into());
            }
        },
    };
    if args.shell == Shell::Json || context.output.format == Format::Json {
        let mut document = deployments::json(&deployment);
        document["bin"] = json!(bin);
        let text = json!({"schema": crate::output::SCHEMA, "bin": bin, "deployment": document});
        context.output.raw(format!("{text:#}\n").as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = match args.shell {
        Shell::Fish => format!("set -gx PATH {} $PATH\n", quote_fish(&bin)),
        _ => format!("PATH={}:\"$PATH\"; export PATH\n", quote_sh(&bin)),
    };
    context.output.raw(line.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Quotes a path for a POSIX shell, in single quotes, in which only `'` has a special meaning.
fn quote_sh(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Quotes a path for fish, in single quotes, in which `'` and `\` have a special meaning.
fn quote_fish(path: &Path) -> String {
    let text = path.display().to_string();
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_each_shell() {
        let path = Path::new(r"/a b/it's\$x");
        assert_eq!(quote_sh(path), r"'/a b/it'\''s\$x'");
        assert_eq!(quote_fish(path), r"'/a b/it\'s\\$x'");
    }
}
