use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::revision::resolve;
use crate::text::{bytes, count};
use crate::views::commit::CommitView;
use crate::views::module_version::ModuleVersionView;
use ostree_go_sdk::catalog::CommitInfo;
use serde::Serialize;
use std::fmt::Write;
use std::process::ExitCode;

/// Show the metadata of a release, channel, layer, std cache or Go module
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// A ref, a commit, a version or channel of this machine's architecture, or the name of a module:
    /// golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64, example.com/lib@v1.2.3
    #[arg(value_name = "REF")]
    rev: String,

    /// Show the module and the version that have this content in Go's module system
    #[arg(long)]
    module_version: bool,
}

pub fn run(context: &Context, args: &ShowArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let commit = CommitInfo::read(&repo, resolve(&repo, &args.rev)?)?;
    if !args.module_version {
        return context.report(&CommitView::from(&commit));
    }
    let module = commit.module_version();
    if module.is_none() {
        let kind = commit.kind.as_str();
        context.say(&format!(
            "the commit is not a release of Go's own SDK and not a Go module, and so no version of \
             a module: its kind is `{kind}`"
        ));
    }
    context.report(&ModuleVersionReport {
        commit: CommitView::from(&commit),
        module_version: module.as_ref().map(Into::into),
    })
}

#[derive(Serialize)]
struct ModuleVersionReport {
    #[serde(flatten)]
    commit: CommitView,
    module_version: Option<ModuleVersionView>,
}

impl Report for ModuleVersionReport {
    fn human(&self) -> String {
        let Some(module) = &self.module_version else {
            return String::new();
        };
        let name = format!("{}@{}", module.path, module.version);
        let lines = [
            ("release", self.commit.version.clone()),
            ("toolchain", module.toolchain.clone()),
            ("module", Some(name)),
            ("h1", module.h1.clone()),
            ("go.mod", module.go_mod_h1.clone()),
            ("commit", Some(self.commit.commit.to_string())),
        ];
        let lines = lines
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key:<9} {}\n", value?)));
        lines.collect()
    }
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
        if let Some(module) = &self.module {
            line("module", &module.path);
            if let Some(version) = &module.version {
                line("version", version);
            }
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
        if let Some(h1) = self.module.as_ref().and_then(|one| one.go_mod_h1.as_ref()) {
            line("go.mod", h1);
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
