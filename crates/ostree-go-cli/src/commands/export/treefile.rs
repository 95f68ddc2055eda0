use crate::cli::Format;
use crate::commands::{Context, resolve, whole_ref};
use crate::error::CliError;
use clap::ValueEnum;
use ostree_go_sdk::{Arch, CommitId, Fragment, FragmentOptions, Repo, Syntax, fragment};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write an rpm-ostree treefile fragment, for inclusion in the treefile of an OS
///
/// The fragment names the release under `ostree-layers`, and adds metadata to the OS commit that
/// identifies the SDK.
#[derive(Debug, clap::Args)]
pub struct TreefileArgs {
    /// Full refs or commits; or versions or channels, for every architecture in the repository
    #[arg(required = true, value_name = "RELEASE")]
    releases: Vec<String>,

    /// Use only this architecture of versions and channels (may be repeated)
    #[arg(long, value_name = "ARCH", value_parser = parse_arch)]
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
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum FragmentSyntax {
    #[default]
    Yaml,
    Json,
}

fn parse_arch(name: &str) -> Result<Arch, String> {
    name.parse()
        .map_err(|error: ostree_go_sdk::UnknownArch| error.to_string())
}

pub fn run(context: &Context<'_>, args: &TreefileArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let mut releases = Vec::new();
    for rev in &args.releases {
        releases.extend(of_arches(&repo, rev, &args.arch)?);
    }
    let options = FragmentOptions::default().may_override(args.r#override);
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

fn print(context: &Context<'_>, made: &Fragment, syntax: Syntax) -> Result<ExitCode, CliError> {
    let document = made.document();
    let mut json = facts(made);
    json["treefile"] = document.clone();
    context
        .output
        .data(&json, || made.text(&document, syntax))?;
    Ok(ExitCode::SUCCESS)
}

fn write(
    context: &Context<'_>,
    made: &Fragment,
    folder: &Path,
    syntax: Syntax,
) -> Result<ExitCode, CliError> {
    std::fs::create_dir_all(folder).map_err(|source| CliError::File {
        action: "create directory",
        path: folder.to_owned(),
        source,
    })?;
    let paths = made.write(folder, syntax)?;
    if context.global.format == Format::Human {
        for name in made.refs() {
            context.output.say(&format!("layer {name}"));
        }
    }
    let mut json = facts(made);
    json["files"] = json!(paths);
    context.output.data(&json, || {
        paths
            .iter()
            .map(|path| format!("{}\n", path.display()))
            .collect()
    })?;
    Ok(ExitCode::SUCCESS)
}

fn facts(made: &Fragment) -> Value {
    json!({
        "arches": made.arches().map(Arch::basearch).collect::<Value>(),
        "layers": made.refs().iter().map(ToString::to_string).collect::<Value>(),
    })
}

/// Resolves a name to commits: `1.26.5` for all architectures, or for the requested ones.
fn of_arches(repo: &Repo, rev: &str, arches: &[Arch]) -> Result<Vec<CommitId>, CliError> {
    if rev.contains('/') || repo.resolve(rev).is_ok() {
        return Ok(vec![resolve(repo, rev)?]);
    }
    if !arches.is_empty() {
        let asked = arches
            .iter()
            .map(|arch| Ok(repo.resolve(&whole_ref(rev, *arch))?));
        return asked.collect();
    }
    let there = Arch::ALL.map(|arch| repo.resolve(&whole_ref(rev, arch)).ok());
    let there: Vec<CommitId> = there.into_iter().flatten().collect();
    match there.is_empty() {
        true => Ok(vec![resolve(repo, rev)?]),
        false => Ok(there),
    }
}
