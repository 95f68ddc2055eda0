use super::Context;
use super::pull::{plan_text, planned_json};
use super::transfer::TransferArgs;
use crate::error::CliError;
use crate::output::{bytes, count};
use crate::progress::Terminal;
use ostree_go_sdk::{Arch, Pull, Pulled};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::Arc;

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
    #[arg(long, value_name = "ARCH")]
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

pub fn run(context: &Context<'_>, args: &ImportArgs) -> Result<ExitCode, CliError> {
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
        .http(args.transfer.http(context.settings.http()))
        .auth(auth)
        .progress(Arc::new(Terminal::new(&context.global)));
    let preflight = pull.preflight(&repo)?;
    let plan: Vec<Value> = preflight.refs().iter().map(planned_json).collect();
    let text = plan_text(&preflight);
    let document = |pulled: Option<&Pulled>| {
        let layers = pulled.map(|pulled| {
            let layers = pulled.layers.iter();
            let layers =
                layers.map(|(name, id)| json!({"ref": name.as_str(), "commit": id.to_string()}));
            layers.collect::<Value>()
        });
        json!({
            "image": source,
            "dry_run": args.dry_run,
            "verified": args.remote.is_some() && plan.iter().all(|one| one["signed"] == true),
            "commits": plan,
            "layers": layers,
            "downloaded": pulled.map(|pulled| pulled.bytes),
            "objects": pulled.map(|pulled| pulled.objects),
            "seconds": pulled.map(|pulled| pulled.elapsed.as_secs_f64()),
        })
    };
    if args.dry_run {
        preflight.check_limits()?;
        context.output.data(&document(None), || text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let pulled = preflight.execute()?;
    let unsigned = pulled.commits.iter().any(|(_, one)| one.proof().unsigned);
    context.output.say(&format!(
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
    ));
    context.output.data(&document(Some(&pulled)), || {
        let ids = pulled.commits.iter();
        ids.map(|(name, commit)| format!("{} {name}\n", commit.value()))
            .collect()
    })?;
    Ok(ExitCode::SUCCESS)
}
