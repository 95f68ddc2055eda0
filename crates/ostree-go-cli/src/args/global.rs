//! Global options.

use clap::{ColorChoice, ValueEnum};
use std::path::PathBuf;

/// Options of all verbs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// OSTree repository to use
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "OSTREE_REPO",
        hide_env_values = true
    )]
    pub repo: Option<PathBuf>,

    /// Root directory, which contains the deployments (default: /var/lib/ostree-go for the user
    /// root, $XDG_DATA_HOME/ostree-go for other users)
    #[arg(long, global = true, value_name = "PATH", env = "OSTREE_GO_ROOT")]
    pub root: Option<PathBuf>,

    /// Format of the results on standard output
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub format: Format,

    /// Form of the progress reports on standard error
    #[arg(long, global = true, value_enum, default_value_t, value_name = "MODE")]
    pub progress: ProgressMode,

    /// Print more messages, for example about skipped sources and repeated requests
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Print only errors on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// When to use colour; `auto` respects NO_COLOR
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub color: ColorChoice,
}

/// Format of standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    #[default]
    Human,
    /// One JSON document
    Json,
    /// Findings in files as a SARIF 2.1.0 document; only `workspace check`
    Sarif,
    /// Findings in files as annotations of GitHub Actions; only `workspace check`
    Github,
}

impl Format {
    /// Returns the name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::Github => "github",
        }
    }

    /// Returns true if the format lists findings in files, which few verbs have.
    pub const fn is_of_findings(self) -> bool {
        matches!(self, Self::Sarif | Self::Github)
    }
}

/// Form of the progress reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// Progress bars, if standard error is a terminal
    #[default]
    Auto,
    /// No progress reports
    Never,
    /// One JSON object per line
    Json,
}
