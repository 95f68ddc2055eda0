use crate::args::arch;
use crate::args::global::Format;
use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::Report;
use crate::revision::resolve_all;
use crate::views::value::{PathText, Text};
use clap::ValueEnum;
use ostree_go_sdk::Arch;
use ostree_go_sdk::export::treefile::{Fragment, FragmentOptions, Syntax, fragment};
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write an rpm-ostree treefile fragment, for inclusion in the treefile of an OS
///
/// The fragment names the release and its std caches under `ostree-layers`, and adds metadata to the OS
/// commit that identifies the SDK.
#[derive(Debug, clap::Args)]
pub struct TreefileArgs {
    /// Full refs or commits; or versions or channels, for every architecture in the repository
    #[arg(required = true, value_name = "RELEASE")]
    releases: Vec<String>,

    /// Use only this architecture of versions and channels (may be repeated)
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    arch: Vec<Arch>,

    /// Let files of the SDK replace files of packages: `ostree-override-layers`
    #[arg(long)]
    r#override: bool,

    /// Write one file to include and one file for each architecture into this directory, instead of
    /// one document to standard output
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,

    /// Syntax of the treefile
    #[arg(long, value_enum, default_value_t, value_name = "SYNTAX")]
    syntax: FragmentSyntax,

    /// Leave out the std caches of the releases, which are layers as well if the repository has them
    #[arg(long)]
    no_stdcache: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum FragmentSyntax {
    #[default]
    Yaml,
    Json,
}

pub fn run(context: &Context, args: &TreefileArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let mut releases = Vec::new();
    for rev in &args.releases {
        releases.extend(resolve_all(&repo, rev, &args.arch)?);
    }
    let options = FragmentOptions::default()
        .may_override(args.r#override)
        .std_caches(!args.no_stdcache);
    let made = fragment(&repo, &releases, &options)?;
    let syntax = match args.syntax {
        FragmentSyntax::Yaml => Syntax::Yaml,
        FragmentSyntax::Json => Syntax::Json,
    };
    match &args.output_dir {
        Some(folder) => write(context, &made, folder, syntax),
        None => print(context, &made, syntax),
    }
}

/// Prints one document with the fragments of all architectures.
fn print(context: &Context, made: &Fragment, syntax: Syntax) -> Result<ExitCode, CliError> {
    let treefile = made.document();
    context.report(&FragmentReport {
        text: made.text(&treefile, syntax),
        treefile: Some(treefile),
        ..FragmentReport::new(made)
    })
}

/// Writes the fragments into a directory.
fn write(
    context: &Context,
    made: &Fragment,
    folder: &Path,
    syntax: Syntax,
) -> Result<ExitCode, CliError> {
    files::create_directory(folder)?;
    let paths = made.write(folder, syntax)?;
    if context.output.format == Format::Human {
        for name in made.refs() {
            context.say(&format!("layer {name}"));
        }
    }
    let lines = paths.iter().map(|path| format!("{}\n", path.display()));
    context.report(&FragmentReport {
        text: lines.collect(),
        files: Some(paths.into_iter().map(PathText).collect()),
        ..FragmentReport::new(made)
    })
}

/// The result of the export: either the document or the paths of the files.
#[derive(Serialize)]
struct FragmentReport {
    arches: Vec<Text<Arch>>,
    layers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    treefile: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<PathText<PathBuf>>>,
    #[serde(skip)]
    text: String,
}

impl FragmentReport {
    fn new(made: &Fragment) -> Self {
        Self {
            arches: made.arches().map(Text).collect(),
            layers: made.refs().iter().map(ToString::to_string).collect(),
            treefile: None,
            files: None,
            text: String::new(),
        }
    }
}

impl Report for FragmentReport {
    fn human(&self) -> String {
        self.text.clone()
    }
}
