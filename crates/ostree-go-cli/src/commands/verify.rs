mod attestation;
mod rebuild;

use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::{Report, refused_exit_code};
use crate::revision::resolve;
use crate::text::{count, day, table_with_lines};
use crate::upstream::upstream;
use crate::views::signature::{SignatureView, signatures};
use crate::views::value::{Text, Time};
use attestation::{AttestationArgs, AttestationView};
use clap::ArgGroup;
use ostree_go_sdk::sign::TrustedKeys;
use ostree_go_sdk::upstream::{DATABASE, Upstream, UpstreamProof};
use ostree_go_sdk::{CommitId, H1, Repo, Sha256, TreePath, remote};
use rebuild::{RebuildArgs, RebuildView, RecomposeView};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// Verify the signatures of a commit, and prove that its content is Go's own
///
/// Exits with 3 if there is no signature by a trusted key, if the content differs from Go's
/// public checksum database, or if a commit that is composed again or a program that is compiled
/// again differs. The system's keyrings are not used.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("checks").required(true).multiple(true))]
pub struct VerifyArgs {
    /// Ref, commit, or version or channel of this machine's architecture
    #[arg(value_name = "REF")]
    rev: String,

    #[command(flatten)]
    keys: KeyArgs,

    #[command(flatten)]
    attestations: AttestationArgs,

    /// Prove with Go's checksum database that the content is Go's own, without trusting its
    /// publisher
    #[arg(long, group = "checks")]
    upstream: bool,

    /// Use the proof that the publisher has added to the commit (`publish --upstream-proof`) instead of a connection to the
    /// checksum database
    #[arg(long, requires = "upstream", conflicts_with = "sumdb")]
    offline: bool,

    /// URL of the checksum database: a mirror, or a module proxy's URL followed by
    /// /sumdb/sum.golang.org. If the default is out of reach, the proxies in GOPROXY are asked
    #[arg(
        long,
        value_name = "URL",
        requires = "upstream",
        default_value = DATABASE
    )]
    sumdb: String,

    #[command(flatten)]
    rebuild: RebuildArgs,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct KeyArgs {
    /// Trust the public GPG keys in this file
    #[arg(long, value_name = "FILE", group = "checks")]
    gpg_keys: Option<PathBuf>,

    /// Trust the keys of this remote
    #[arg(long, value_name = "NAME", group = "checks")]
    remote: Option<String>,

    /// Trust the Ed25519 public keys in this file, one per line, in base64
    #[arg(long, value_name = "FILE", group = "checks")]
    ed25519_keys: Option<PathBuf>,
}

impl KeyArgs {
    fn trusted(&self, repo: &Repo) -> Result<Option<TrustedKeys>, CliError> {
        Ok(match (&self.gpg_keys, &self.remote, &self.ed25519_keys) {
            (Some(file), _, _) => Some(TrustedKeys::GpgFile(file.clone())),
            (_, Some(remote), _) => Some(TrustedKeys::Remote(remote::get(repo, remote)?.name)),
            (_, _, Some(path)) => Some(TrustedKeys::Ed25519(files::read_ed25519_keys(path)?)),
            (None, None, None) => None,
        })
    }
}

pub fn run(context: &Context, args: &VerifyArgs) -> Result<ExitCode, CliError> {
    let repo = context.client_repo()?;
    let commit = resolve(&repo, &args.rev)?;
    let verified = args
        .keys
        .trusted(&repo)?
        .map(|keys| repo.verify(commit, &keys))
        .transpose()?;
    let fallback = args.keys.ed25519_keys.as_deref();
    let attestations = args.attestations.verify(commit, fallback)?;
    let proof = match (args.upstream, args.offline) {
        (false, _) => None,
        (true, false) => Some(upstream(context, &args.sumdb)?.verify(&repo, commit)?),
        (true, true) => {
            let upstream = Upstream::new().progress(context.progress());
            Some(upstream.verify_offline(&repo, commit)?)
        }
    };
    let recomposed = args.rebuild.recompose(context, &repo, commit)?;
    let rebuilt = args.rebuild.rebuild(context, &repo, commit)?;
    context.report(&VerifyReport {
        commit: Text(commit),
        valid: verified.as_ref().map(|_| true),
        signatures: signatures(verified.as_deref().unwrap_or_default()),
        upstream: proof.as_ref().map(Into::into),
        attestations,
        recompose: recomposed.as_ref().map(Into::into),
        rebuild: rebuilt.as_ref().map(Into::into),
    })
}

#[derive(Serialize)]
struct VerifyReport {
    commit: Text<CommitId>,
    /// `None` if the signatures were not verified.
    valid: Option<bool>,
    signatures: Vec<SignatureView>,
    upstream: Option<ProofView>,
    attestations: Vec<AttestationView>,
    recompose: Option<RecomposeView>,
    rebuild: Option<RebuildView>,
}

#[derive(Serialize)]
struct ProofView {
    module: &'static str,
    version: String,
    h1: Text<H1>,
    record: u64,
    tree_size: u64,
    tree_root: Text<Sha256>,
    signed_by: String,
    prefix: Text<TreePath>,
    files: u64,
    go_env: BTreeMap<String, String>,
    others: Vec<Text<TreePath>>,
    /// The changed variables in the order of the file.
    #[serde(skip)]
    changed: Vec<(String, String)>,
}

impl From<&UpstreamProof> for ProofView {
    fn from(proof: &UpstreamProof) -> Self {
        Self {
            module: proof.module,
            version: proof.version.clone(),
            h1: Text(proof.h1),
            record: proof.record,
            tree_size: proof.tree_size,
            tree_root: Text(proof.tree_root),
            signed_by: proof.signed_by.clone(),
            prefix: Text(proof.prefix.clone()),
            files: proof.files,
            go_env: proof.go_env.iter().cloned().collect(),
            others: proof.others.iter().cloned().map(Text).collect(),
            changed: proof.go_env.clone(),
        }
    }
}

impl Report for VerifyReport {
    fn human(&self) -> String {
        let mut text = String::new();
        if self.valid.is_some() {
            let rows: Vec<_> = self.signatures.iter().map(row).collect();
            let users = self.signatures.iter().map(|one| {
                let user = one.user.as_ref();
                user.map_or_else(String::new, |user| format!("by {user}"))
            });
            text += &table_with_lines(
                &["STATUS", "KIND", "KEY", "SIGNED", "EXPIRES"],
                &rows,
                &users.collect::<Vec<_>>(),
            );
        }
        text.extend(self.attestations.iter().map(AttestationView::human));
        let proof = self.upstream.as_ref();
        text += &proof.map_or_else(String::new, ProofView::human);
        let recompose = self.recompose.as_ref();
        text += &recompose.map_or_else(String::new, RecomposeView::human);
        let rebuild = self.rebuild.as_ref();
        text + &rebuild.map_or_else(String::new, RebuildView::human)
    }

    fn exit_code(&self) -> ExitCode {
        let is_recomposed = self.recompose.as_ref().is_none_or(|one| one.identical);
        let is_rebuilt = self.rebuild.as_ref().is_none_or(|one| one.identical);
        refused_exit_code(!(is_recomposed && is_rebuilt))
    }
}

impl ProofView {
    fn human(&self) -> String {
        let mut text = format!(
            "upstream  {} {}\nh1        {}\nproof     record {} of {}, signed by {}\n\
             proven    {} files in /{}\n",
            self.module,
            self.version,
            self.h1,
            count(self.record),
            count(self.tree_size),
            self.signed_by,
            count(self.files),
            self.prefix,
        );
        // Content that is not Go's own must be visible.
        for (key, value) in &self.changed {
            text += &format!("changed   /{}/go.env: {key}={value}\n", self.prefix);
        }
        for path in &self.others {
            text += &format!("added     /{path}\n");
        }
        text
    }
}

fn row(signature: &SignatureView) -> Vec<String> {
    let time =
        |time: Option<Time>, none: &str| time.map_or_else(|| none.to_owned(), |time| day(time.0));
    vec![
        signature.status.to_owned(),
        signature.kind.to_owned(),
        signature.key.clone(),
        time(signature.created, "-"),
        time(signature.key_expires, "never"),
    ]
}
