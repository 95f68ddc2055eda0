use crate::args::global::Format;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::views::deployment::DeploymentView;
use clap::ValueEnum;
use ostree_go_sdk::Arch;
use ostree_go_sdk::deploy::DeployError;
use serde::Serialize;
use std::path::{Path, PathBuf};
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

pub fn run(context: &Context, args: &EnvArgs) -> Result<ExitCode, CliError> {
    let root = context.root()?;
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
    let report = EnvReport {
        bin: bin.clone(),
        deployment: EnvDeployment {
            deployment: DeploymentView::from(&deployment),
            bin,
        },
        shell: args.shell,
    };
    match args.shell {
        Shell::Json => context.output.report_as(Format::Json, &report),
        _ => context.report(&report),
    }
}

#[derive(Serialize)]
struct EnvReport {
    bin: PathBuf,
    deployment: EnvDeployment,
    #[serde(skip)]
    shell: Shell,
}

#[derive(Serialize)]
struct EnvDeployment {
    #[serde(flatten)]
    deployment: DeploymentView,
    bin: PathBuf,
}

impl Report for EnvReport {
    fn human(&self) -> String {
        match self.shell {
            Shell::Fish => format!("set -gx PATH {} $PATH\n", quote_fish(&self.bin)),
            _ => format!("PATH={}:\"$PATH\"; export PATH\n", quote_sh(&self.bin)),
        }
    }
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
