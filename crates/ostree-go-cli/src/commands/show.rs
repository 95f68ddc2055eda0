use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::revision::resolve;
use crate::text::{bytes, count};
use crate::views::commit::CommitView;
use ostree_go_sdk::catalog::CommitInfo;
use std::fmt::Write;
use std::process::ExitCode;

/// Show the metadata of a release, channel, layer or std cache
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// A ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "REF")]
    rev: String,
}

pub fn run(context: &Context, args: &ShowArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let commit = CommitInfo::read(&repo, resolve(&repo, &args.rev)?)?;
    context.report(&CommitView::from(&commit))
}

impl Report for CommitView {
    fn human(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(text, "{key:<9} {value}");
        };
        line("commit", &self.commit.to_string());
        line("kind", self.kind);
        line("subject", &self.subject);
        if let Some(version) = &self.version {
            line("go", version);
        }
        if let Some(std_cache) = &self.std_cache {
            line("stdcache", &std_cache.to_string());
        }
        line("arch", self.arch_or_noarch());
        line("time", &self.timestamp.to_string());
        if let (Some(size), Some(files)) = (self.bytes, self.files) {
            line(
                "size",
                &format!("{} in {} files", bytes(size), count(files)),
            );
        }
        line("content", &self.content.to_string());
        if let Some(h1) = &self.h1 {
            line("h1", h1);
        }
        if let Some(workspace) = &self.workspace {
            line("workspace", &workspace.to_string());
        }
        if let Some(parent) = self.parent {
            line("parent", &parent.to_string());
        }
        for name in &self.bound_to {
            line("ref", &name.to_string());
        }
        for layer in &self.layers {
            line("layer", &format!("{:<9} {}", layer.name, layer.commit));
        }
        if let Some(source) = &self.source {
            let sha256 = match source.sha256.as_str().unwrap_or_default() {
                "" => String::new(),
                sha256 => format!(" sha256:{sha256}"),
            };
            let name = source.name.as_str().unwrap_or_default();
            let form = source.form.as_str().unwrap_or_default();
            line("source", &format!("{name} ({form}){sha256}"));
            if let Some(vendor) = source.vendor.as_str() {
                line("vendor", vendor);
            }
        }
        if let Some(hash) = &self.input_hash {
            line("inputs", hash);
        }
        for (key, value) in &self.metadata {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            line("metadata", &format!("{key} = {value}"));
        }
        text
    }
}
