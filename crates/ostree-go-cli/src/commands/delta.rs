use super::verify::ed25519_keys;
use super::{Context, resolve, signature_json};
use crate::error::CliError;
use crate::output::{bytes, count, table, time};
use clap::Subcommand;
use ostree_go_sdk::{DeltaDetails, DeltaName, Signature, delta_details, deltas, verify_delta};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Inspect the static deltas of a repository
///
/// `publish` generates the deltas.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct DeltaArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the deltas with their sizes
    List,
    /// Show the content of a delta
    Show {
        /// Name of the delta as printed by `list`: FROM-TO, or TO for a delta from nothing; or the
        /// ref of the target of a delta from nothing
        #[arg(value_name = "DELTA")]
        delta: String,

        /// Verify the signatures with the Ed25519 public keys in this file, one per line, in
        /// base64; exits with 3 if none of the keys signed the delta
        #[arg(long, value_name = "FILE")]
        ed25519_keys: Option<PathBuf>,
    },
}

pub fn run(context: &Context<'_>, args: &DeltaArgs) -> Result<ExitCode, CliError> {
    match &args.action {
        Action::List => list(context)?,
        Action::Show {
            delta,
            ed25519_keys,
        } => show(context, delta, ed25519_keys.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(context: &Context<'_>) -> Result<(), CliError> {
    let deltas = deltas(&context.repo()?)?;
    let entries = deltas.iter().map(|delta| {
        let mut entry = name_json(&delta.name);
        entry["bytes"] = delta.bytes.into();
        entry
    });
    let document = json!({"deltas": entries.collect::<Value>()});
    context.output.data(&document, || {
        let rows: Vec<_> = deltas
            .iter()
            .map(|delta| vec![bytes(delta.bytes), delta.name.to_string()])
            .collect();
        table(&["SIZE", "DELTA"], &rows)
    })
}

fn show(context: &Context<'_>, delta: &str, keys: Option<&Path>) -> Result<(), CliError> {
    let repo = context.repo()?;
    let name = match delta.parse::<DeltaName>() {
        Ok(name) => name,
        Err(_) => DeltaName {
            from: None,
            to: resolve(&repo, delta)?,
        },
    };
    let signatures = match keys {
        Some(path) => verify_delta(&repo, &name, &ed25519_keys(path)?)?,
        None => Vec::new(),
    };
    let details = delta_details(&repo, &name)?;
    let mut document = details_json(&details);
    document["signatures"] = signatures.iter().map(signature_json).collect();
    context
        .output
        .data(&document, || text(&details, &signatures))
}

fn name_json(name: &DeltaName) -> Value {
    json!({"from": name.from.map(|id| id.to_string()), "to": name.to.to_string()})
}

fn details_json(details: &DeltaDetails) -> Value {
    let mut document = name_json(&details.name);
    document["time"] = time(details.timestamp).into();
    document["signed_by"] = json!(details.signed_by);
    let parts = details.parts.iter().map(|part| {
        json!({
            "bytes": part.bytes,
            "uncompressed_bytes": part.uncompressed,
            "objects": part.objects,
            "operations": part.operations,
        })
    });
    document["parts"] = parts.collect();
    let fallbacks = details.fallbacks.iter().map(|fallback| {
        json!({
            "object": fallback.object,
            "bytes": fallback.bytes,
            "uncompressed_bytes": fallback.uncompressed,
        })
    });
    document["fallbacks"] = fallbacks.collect();
    let patched = details.patched.iter().map(|file| {
        json!({
            "path": file.path.as_ref().map(|path| format!("/{path}")),
            "file": file.id.to_string(),
            "patch_bytes": file.patch,
        })
    });
    document["patched"] = patched.collect();
    document
}

fn text(details: &DeltaDetails, signatures: &[Signature]) -> String {
    let counts_text = |counts: &BTreeMap<&'static str, u64>| {
        let words = counts
            .iter()
            .map(|(name, n)| format!("{} {name}", count(*n)));
        words.collect::<Vec<_>>().join(", ")
    };
    let mut rows: Vec<Vec<String>> = details
        .parts
        .iter()
        .enumerate()
        .map(|(index, part)| {
            vec![
                index.to_string(),
                bytes(part.bytes),
                bytes(part.uncompressed),
                counts_text(&part.objects),
                counts_text(&part.operations),
            ]
        })
        .collect();
    rows.extend(details.fallbacks.iter().map(|fallback| {
        vec![
            "fallback".to_owned(),
            bytes(fallback.bytes),
            bytes(fallback.uncompressed),
            fallback.object.clone(),
            String::new(),
        ]
    }));
    let signed = match details.signed_by.as_slice() {
        [] => String::new(),
        kinds => format!(", signed with {}", kinds.join(", ")),
    };
    let checked = signatures.iter().map(|signature| {
        let (status, kind) = (signature.status.as_str(), signature.kind);
        format!("{status} {kind} {}", signature.key)
            .trim_end()
            .to_owned()
            + "\n"
    });
    let from = details
        .name
        .from
        .map_or_else(|| "nothing".to_owned(), |from| from.to_string());
    let mut text = format!(
        "from {from}\nto   {}\ntime {}{signed}\n\n",
        details.name.to,
        time(details.timestamp)
    );
    let checked: String = checked.collect();
    if !checked.is_empty() {
        text.push_str(&checked);
        text.push('\n');
    }
    let header = ["PART", "SIZE", "UNPACKED", "OBJECTS", "OPERATIONS"];
    text.push_str(&table(&header, &rows));
    if !details.patched.is_empty() {
        let patched = details.patched.iter().map(|file| {
            let id = file.id.to_string();
            let path = file.path.as_ref().map_or(id, |path| format!("/{path}"));
            vec![bytes(file.patch), path]
        });
        text.push('\n');
        text.push_str(&table(&["PATCH", "FILE"], &patched.collect::<Vec<_>>()));
    }
    text
}
