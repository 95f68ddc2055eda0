use super::{Context, commit_json, resolve};
use crate::error::CliError;
use crate::output::{bytes, count, time};
use ostree_go_sdk::CommitInfo;
use serde_json::Value;
use std::fmt::Write;
use std::process::ExitCode;

/// Show the metadata of a release, channel or layer
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// A ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "REF")]
    rev: String,
}

pub fn run(context: &Context<'_>, args: &ShowArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let commit = CommitInfo::read(&repo, resolve(&repo, &args.rev)?)?;
    context
        .output
        .data(&commit_json(&commit), || text(&commit))?;
    Ok(ExitCode::SUCCESS)
}

fn text(commit: &CommitInfo) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{key:<9} {value}");
    };
    line("commit", commit.id.to_string());
    line("kind", commit.kind.as_str().to_owned());
    line("subject", commit.subject.clone());
    if let Some(version) = &commit.version {
        line("go", version.clone());
    }
    line(
        "arch",
        commit
            .arch
            .map_or("noarch", |arch| arch.basearch())
            .to_owned(),
    );
    line("time", time(commit.timestamp));
    if let (Some(size), Some(files)) = (commit.bytes, commit.files) {
        line("size", format!("{} in {} files", bytes(size), count(files)));
    }
    line("content", commit.content.to_string());
    if let Some(h1) = &commit.h1 {
        line("h1", h1.clone());
    }
    if let Some(parent) = commit.parent {
        line("parent", parent.to_string());
    }
    for name in &commit.bound_to {
        line("ref", name.to_string());
    }
    for (name, id) in &commit.layers {
        line("layer", format!("{name:<9} {id}"));
    }
    if let Some(source) = &commit.source {
        let part = |key: &str| source.get(key).and_then(Value::as_str).unwrap_or_default();
        let sha256 = match part("sha256") {
            "" => String::new(),
            sha256 => format!(" sha256:{sha256}"),
        };
        line(
            "source",
            format!("{} ({}){sha256}", part("name"), part("form")),
        );
    }
    if let Some(hash) = &commit.input_hash {
        line("inputs", hash.clone());
    }
    for (key, value) in &commit.extra {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        line("metadata", format!("{key} = {value}"));
    }
    text
}
