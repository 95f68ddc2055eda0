use super::{Context, resolve, signature_json};
use crate::error::CliError;
use crate::output::{count, table, time};
use crate::progress::Terminal;
use clap::ArgGroup;
use ostree_go_sdk::{
    HttpClient, Repo, Signature, TrustedKeys, Upstream, UpstreamProof, remote, verify,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Verify the signatures of a commit, and prove that its content is Go's own
///
/// Exits with 3 if there is no signature by a trusted key, or if the content differs from Go's
/// public checksum database. The system's keyrings are not used.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("checks").required(true).multiple(true))]
pub struct VerifyArgs {
    /// Ref, commit, or version or channel of this machine's architecture
    #[arg(value_name = "REF")]
    rev: String,

    #[command(flatten)]
    keys: KeyArgs,

    /// Prove with Go's checksum database that the content is Go's own, without trusting its
    /// publisher
    #[arg(long, group = "checks")]
    upstream: bool,

    /// URL of the checksum database: a mirror, or a module proxy's URL followed by
    /// /sumdb/sum.golang.org
    #[arg(
        long,
        value_name = "URL",
        requires = "upstream",
        default_value = "https://sum.golang.org"
    )]
    sumdb: String,
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

/// Reads the Ed25519 public keys in a file.
pub fn ed25519_keys(path: &Path) -> Result<Vec<String>, CliError> {
    let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
        action: "read public keys from",
        path: path.to_owned(),
        source,
    })?;
    let keys = text.lines().filter(|line| !line.trim().is_empty());
    Ok(keys.map(str::to_owned).collect())
}

impl KeyArgs {
    fn trusted(&self, repo: &Repo) -> Result<Option<TrustedKeys>, CliError> {
        Ok(match (&self.gpg_keys, &self.remote, &self.ed25519_keys) {
            (Some(file), _, _) => Some(TrustedKeys::GpgFile(file.clone())),
            (_, Some(remote), _) => Some(TrustedKeys::Remote(remote::get(repo, remote)?.name)),
            (_, _, Some(path)) => Some(TrustedKeys::Ed25519(ed25519_keys(path)?)),
            (None, None, None) => None,
        })
    }
}

pub fn run(context: &Context<'_>, args: &VerifyArgs) -> Result<ExitCode, CliError> {
    let repo = context.client_repo()?;
    let commit = resolve(&repo, &args.rev)?;
    let signatures = args
        .keys
        .trusted(&repo)?
        .map(|keys| verify(&repo, commit, &keys))
        .transpose()?;
    let proof = args
        .upstream
        .then(|| {
            Upstream::new(HttpClient::new(&context.settings.http())?)
                .database(&args.sumdb)
                .progress(Arc::new(Terminal::new(&context.global)))
                .verify(&repo, commit)
                .map_err(CliError::from)
        })
        .transpose()?;
    let document = json!({
        "commit": commit.to_string(),
        "valid": signatures.as_ref().map(|_| true),
        "signatures": signatures.iter().flatten().map(signature_json).collect::<Value>(),
        "upstream": proof.as_ref().map(proof_json),
    });
    context.output.data(&document, || {
        let mut text = String::new();
        if let Some(signatures) = &signatures {
            let rows: Vec<Vec<String>> = signatures.iter().map(row).collect();
            text += &table(
                &["STATUS", "KIND", "KEY", "SIGNED", "KEY EXPIRES", "BY"],
                &rows,
            );
        }
        text + &proof.as_ref().map_or_else(String::new, proof_text)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn proof_json(proof: &UpstreamProof) -> Value {
    json!({
        "module": proof.module,
        "version": proof.version,
        "h1": proof.h1.to_string(),
        "record": proof.record,
        "tree_size": proof.tree_size,
        "tree_root": proof.tree_root.to_string(),
        "signed_by": proof.signed_by,
        "prefix": proof.prefix.to_string(),
        "files": proof.files,
        "go_env": proof.go_env.iter().cloned().collect::<BTreeMap<_, _>>(),
        "others": proof.others.iter().map(ToString::to_string).collect::<Value>(),
    })
}

fn proof_text(proof: &UpstreamProof) -> String {
    let mut text = format!(
        "upstream  {} {}\nh1        {}\nproof     record {} of {}, signed by {}\n\
         proven    {} files in /{}\n",
        proof.module,
        proof.version,
        proof.h1,
        count(proof.record),
        count(proof.tree_size),
        proof.signed_by,
        count(proof.files),
        proof.prefix,
    );
    // Content that is not Go's own must be visible.
    for (key, value) in &proof.go_env {
        text += &format!("changed   /{}/go.env: {key}={value}\n", proof.prefix);
    }
    for path in &proof.others {
        text += &format!("added     /{path}\n");
    }
    text
}

fn row(signature: &Signature) -> Vec<String> {
    let dash = || "-".to_owned();
    vec![
        signature.status.as_str().to_owned(),
        signature.kind.to_owned(),
        signature.key.clone(),
        signature.created.map_or_else(dash, time),
        signature
            .key_expires
            .map_or_else(|| "never".to_owned(), time),
        signature.user.clone().unwrap_or_else(dash),
    ]
}
