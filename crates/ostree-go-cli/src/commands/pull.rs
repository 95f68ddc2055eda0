use super::transfer::TransferArgs;
use super::{Context, commit_json, pinned, signature_json};
use crate::error::CliError;
use crate::output::{bytes, downloaded, short, table};
use crate::progress::Terminal;
use ostree_go_sdk::{
    Arch, Download, PlannedRef, Preflight, Pull, Pulled, RefName, Repo, Sha256, Signature,
    SignatureStatus, remote,
};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::Arc;

/// Fetch releases and channels from a remote
///
/// Each commit is checked before its content is fetched: its signature, the ref that it is bound
/// to, and its age. Refs are updated when all content is complete. The next pull resumes an
/// interrupted one.
#[derive(Debug, clap::Args)]
pub struct PullArgs {
    /// Remote, which may be omitted if there is only one, and refs; a version or channel means the
    /// ref for this machine's architecture. `@sha256:DIGEST` after a ref selects an image of a
    /// registry
    #[arg(value_name = "[REMOTE] REF", required_unless_present = "mirror")]
    targets: Vec<String>,

    /// Fetch only the commits and their signatures, print the size of the download, and update no
    /// refs
    #[arg(long)]
    commit_metadata_only: bool,

    /// Fetch only this path and everything below it (may be repeated)
    #[arg(long, value_name = "PATH")]
    subpath: Vec<String>,

    /// Fetch this many parents of each commit as well; -1 for all
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    depth: i32,

    /// Update local refs instead of the remote's refs, to serve them to others; without REF, fetch
    /// every ref in the remote's summary, and the summary itself
    #[arg(long)]
    mirror: bool,

    /// Check the commits, print the size of the download, and change nothing
    #[arg(long, conflicts_with = "commit_metadata_only")]
    dry_run: bool,

    /// Download at most this many bytes
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,

    /// Refuse commits for another architecture: x86_64 or aarch64
    #[arg(long, value_name = "ARCH")]
    arch: Option<Arch>,

    /// Accept a commit that is older than the current one
    #[arg(long)]
    allow_downgrade: bool,

    /// Fetch objects one by one even if there is a static delta
    #[arg(long)]
    no_deltas: bool,

    #[command(flatten)]
    transfer: TransferArgs,
}

pub fn run(context: &Context<'_>, args: &PullArgs) -> Result<ExitCode, CliError> {
    let repo = context.client_repo()?;
    let (remote, names) = remote_and_refs(&repo, &args.targets, args.mirror)?;
    let refs = names
        .iter()
        .map(|name| pinned(name, Arch::host()))
        .collect::<Result<Vec<_>, CliError>>()?;
    let pull = Pull::new(&remote, refs.iter().map(|(name, _)| name.clone()))
        .expect_arch(args.arch)
        .allow_downgrade(args.allow_downgrade)
        .depth(args.depth)
        .subpaths(args.subpath.iter().cloned())
        .mirror(args.mirror)
        .commit_metadata_only(args.commit_metadata_only)
        .deltas(!args.no_deltas)
        .max_bytes(args.max_bytes)
        .http(args.transfer.http(context.settings.http()))
        .auth(context.registry_auth(remote::registry(&repo, &remote)?.as_ref())?)
        .progress(Arc::new(Terminal::new(&context.global)));
    let pull = with_pins(pull, &refs);
    let preflight = pull.preflight(&repo)?;
    let plan: Vec<Value> = preflight.refs().iter().map(planned_json).collect();
    let text = plan_text(&preflight);
    if args.dry_run {
        preflight.check_limits()?;
    }
    let document = |pulled: Option<&Pulled>| {
        json!({
            "remote": remote,
            "dry_run": args.dry_run,
            "commits": plan,
            "downloaded": pulled.map(|pulled| pulled.bytes),
            "objects": pulled.map(|pulled| pulled.objects),
            "used_delta": pulled.map(|pulled| pulled.used_delta),
            "seconds": pulled.map(|pulled| pulled.elapsed.as_secs_f64()),
        })
    };
    if args.dry_run {
        context.output.data(&document(None), || text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let pulled = preflight.execute()?;
    let line = downloaded(pulled.bytes, pulled.elapsed, pulled.used_delta);
    context.output.say(&line);
    context.output.data(&document(Some(&pulled)), || {
        if args.commit_metadata_only {
            return text;
        }
        let ids = pulled.commits.iter();
        ids.map(|(_, commit)| format!("{}\n", commit.value()))
            .collect()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Pins refs to image digests.
pub fn with_pins(pull: Pull, refs: &[(RefName, Option<Sha256>)]) -> Pull {
    let pins = refs.iter();
    let pins = pins.filter_map(|(name, pin)| Some((name.clone(), (*pin)?)));
    pins.fold(pull, |pull, (name, pin)| pull.pin(name, pin))
}

/// Splits the arguments into the remote and the refs. No refs means all refs of a mirror.
fn remote_and_refs(
    repo: &Repo,
    arguments: &[String],
    mirror: bool,
) -> Result<(String, Vec<String>), CliError> {
    let known: Vec<String> = remote::list(repo)?
        .into_iter()
        .map(|remote| remote.name)
        .collect();
    let named = arguments.split_first();
    if let Some((first, rest)) = named.filter(|(first, _)| known.contains(first)) {
        if rest.is_empty() && !mirror {
            return Err(CliError::Usage {
                message: format!("no ref to pull from remote `{first}`"),
                hint: Some(
                    "name a ref, for example `1.26`, or use --mirror to pull all refs".to_owned(),
                ),
            });
        }
        return Ok((first.clone(), rest.to_vec()));
    }
    match known.as_slice() {
        [only] => Ok((only.clone(), arguments.to_vec())),
        [] => Err(CliError::Usage {
            message: format!("no remote in repository {}", repo.path().display()),
            hint: Some("add a remote with `ostree-go remote add`".to_owned()),
        }),
        known => Err(CliError::Usage {
            message: match named {
                Some((first, _)) => {
                    format!("`{first}` is not a remote, and there are several remotes")
                }
                None => "there are several remotes".to_owned(),
            },
            hint: Some(format!("name one of {}", known.join(", "))),
        }),
    }
}

pub fn planned_json(planned: &PlannedRef) -> Value {
    let proof = planned.verified.proof();
    let mut document = commit_json(&planned.info);
    document["ref"] = planned.name.to_string().into();
    document["current"] = planned.current.map(|id| id.to_string()).into();
    document["signed"] = (!proof.unsigned).into();
    document["signatures"] = proof.signatures.iter().map(signature_json).collect();
    document["download"] = match planned.download {
        Download::Nothing => json!({"way": "nothing", "bytes": 0, "unpacked": 0}),
        Download::Delta { bytes, unpacked } => {
            json!({"way": "delta", "bytes": bytes, "unpacked": unpacked})
        }
        Download::Layers { bytes, unpacked } => {
            json!({"way": "layers", "bytes": bytes, "unpacked": unpacked})
        }
        other => json!({"way": "objects", "bytes": null, "unpacked": other.unpacked()}),
    };
    document
}

pub fn plan_text(preflight: &Preflight<'_>) -> String {
    let rows: Vec<Vec<String>> = preflight
        .refs()
        .iter()
        .map(|planned| {
            let info = &planned.info;
            vec![
                planned.name.to_string(),
                short(info.id),
                info.version.clone().unwrap_or_else(|| "-".to_owned()),
                info.arch.map_or("noarch", Arch::basearch).to_owned(),
                download(planned.download),
                signed(planned),
            ]
        })
        .collect();
    table(
        &["REF", "COMMIT", "GO", "ARCH", "DOWNLOAD", "SIGNED BY"],
        &rows,
    )
}

fn download(download: Download) -> String {
    match download {
        Download::Nothing => "nothing".to_owned(),
        Download::Delta { bytes: amount, .. } => format!("{} delta", bytes(amount)),
        Download::Layers { bytes: amount, .. } => format!("{} of layers", bytes(amount)),
        other => match other.unpacked() {
            Some(amount) => format!("objects of {}", bytes(amount)),
            None => "objects".to_owned(),
        },
    }
}

fn signed(planned: &PlannedRef) -> String {
    let proof = planned.verified.proof();
    if proof.unsigned {
        return "unsigned".to_owned();
    }
    let valid = |signature: &&Signature| signature.status == SignatureStatus::Valid;
    let by = proof.signatures.iter().filter(valid);
    let by: Vec<String> = by
        .map(|signature| signature.user.as_ref().unwrap_or(&signature.key).clone())
        .collect();
    by.join(", ")
}
