use crate::args::arch;
use crate::args::transfer::TransferArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{bytes, count};
use crate::views::pull::{PlannedCommitView, plan_table};
use crate::views::summary::summary_message;
use crate::views::value::Text;
use ostree_go_sdk::publish::SummaryState;
use ostree_go_sdk::pull::{Pull, Pulled};
use ostree_go_sdk::{Arch, CommitId, RefName};
use serde::Serialize;
use std::process::ExitCode;

/// Import a release from an OCI image
///
/// Restores the commits of the release and its layers as they were exported, with their checksums,
/// signatures and refs. If anything differs, the import fails and changes nothing.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// Location of the image: `oci:DIRECTORY[:TAG]`, `oci-archive:FILE[:TAG]` or
    /// `docker://REGISTRY/NAME[:TAG][@sha256:DIGEST]`; use `oci+http://` for a registry without encryption
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Require signatures by the keys of this remote, and create refs of this remote instead of local
    /// refs
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,

    /// Import only the image for this architecture: x86_64 or aarch64
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    arch: Option<Arch>,

    /// Check the commits and print what would be imported, without changing anything
    #[arg(long)]
    dry_run: bool,

    /// Accept a commit that is older than the current one
    #[arg(long)]
    allow_downgrade: bool,

    /// Maximum number of bytes to download
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,

    #[command(flatten)]
    transfer: TransferArgs,
}

pub fn run(context: &Context, args: &ImportArgs) -> Result<ExitCode, CliError> {
    let repo = context.client_repo()?;
    let pull = Pull::image(&args.image).map_err(|error| CliError::usage(error.to_string()))?;
    let auth = context.registry_auth(pull.registry())?;
    let source = pull.image_source();
    let pull = match &args.remote {
        Some(remote) => pull.verified_by(remote),
        None => pull,
    };
    let pull = pull
        .expect_arch(args.arch)
        .allow_downgrade(args.allow_downgrade)
        .max_bytes(args.max_bytes)
        .http(args.transfer.http(context.settings.http()?))
        .auth(auth)
        .progress(context.progress());
    let plan = pull.plan(&repo)?;
    let commits: Vec<_> = plan.refs().iter().map(Into::into).collect();
    let is_signed = |commit: &PlannedCommitView| commit.signed;
    let mut report = ImportReport {
        image: source,
        dry_run: args.dry_run,
        verified: args.remote.is_some() && commits.iter().all(is_signed),
        commits,
        layers: None,
        downloaded: None,
        objects: None,
        seconds: None,
        summary: None,
        imported: Vec::new(),
    };
    if args.dry_run {
        plan.check_limits()?;
        return context.report(&report);
    }
    let pulled = plan.execute()?;
    context.say(&message(&pulled));
    if let Some(message) = pulled.summary.and_then(summary_message) {
        context.say(message);
    }
    report.add(&pulled);
    context.report(&report)
}

fn message(pulled: &Pulled) -> String {
    let unsigned = pulled.commits.iter().any(|(_, one)| one.proof().unsigned);
    format!(
        "{} new objects in {:.1} s{}{}",
        count(pulled.objects),
        pulled.elapsed.as_secs_f64(),
        match pulled.bytes {
            0 => String::new(),
            amount => format!(", {} downloaded", bytes(amount)),
        },
        if unsigned {
            "; signatures were not verified"
        } else {
            ""
        },
    )
}

/// The result of an import, or of the checks before it. Without an import, some fields are null.
#[derive(Serialize)]
struct ImportReport {
    image: Option<String>,
    dry_run: bool,
    verified: bool,
    commits: Vec<PlannedCommitView>,
    layers: Option<Vec<LayerView>>,
    downloaded: Option<u64>,
    objects: Option<u64>,
    seconds: Option<f64>,
    summary: Option<&'static str>,
    #[serde(skip)]
    imported: Vec<(RefName, CommitId)>,
}

#[derive(Serialize)]
struct LayerView {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    commit: Text<CommitId>,
}

impl ImportReport {
    fn add(&mut self, pulled: &Pulled) {
        let layers = pulled.layers.iter().map(|(name, id)| LayerView {
            ref_name: Text(name.clone()),
            commit: Text(*id),
        });
        let imported = pulled.commits.iter();
        let imported = imported.map(|(name, commit)| (name.clone(), *commit.value()));
        self.layers = Some(layers.collect());
        self.downloaded = Some(pulled.bytes);
        self.objects = Some(pulled.objects);
        self.seconds = Some(pulled.elapsed.as_secs_f64());
        self.summary = pulled.summary.map(SummaryState::as_str);
        self.imported = imported.collect();
    }
}

impl Report for ImportReport {
    fn human(&self) -> String {
        if self.dry_run {
            return plan_table(&self.commits);
        }
        let imported = self.imported.iter();
        imported
            .map(|(name, commit)| format!("{commit} {name}\n"))
            .collect()
    }
}
