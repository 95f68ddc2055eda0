use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::Report;
use crate::revision::resolve;
use crate::text::{bytes, count, table};
use crate::views::delta::DeltaView;
use crate::views::signature::{SignatureView, signatures};
use crate::views::value::{Text, Time};
use clap::Subcommand;
use ostree_go_sdk::FileId;
use ostree_go_sdk::delta::{DeltaDetails, DeltaName, delta_details, deltas, verify_delta};
use ostree_go_sdk::sign::Signature;
use serde::Serialize;
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

pub fn run(context: &Context, args: &DeltaArgs) -> Result<ExitCode, CliError> {
    match &args.action {
        Action::List => list(context),
        Action::Show {
            delta,
            ed25519_keys,
        } => show(context, delta, ed25519_keys.as_deref()),
    }
}

fn list(context: &Context) -> Result<ExitCode, CliError> {
    let deltas = deltas(&context.repo()?)?;
    let deltas = deltas.iter().map(|delta| ListedDelta {
        delta: DeltaView::from(&delta.name),
        bytes: delta.bytes,
        name: delta.name.to_string(),
    });
    context.report(&ListReport {
        deltas: deltas.collect(),
    })
}

#[derive(Serialize)]
struct ListReport {
    deltas: Vec<ListedDelta>,
}

#[derive(Serialize)]
struct ListedDelta {
    #[serde(flatten)]
    delta: DeltaView,
    bytes: u64,
    #[serde(skip)]
    name: String,
}

impl Report for ListReport {
    fn human(&self) -> String {
        let deltas = self.deltas.iter();
        let rows = deltas.map(|delta| vec![bytes(delta.bytes), delta.name.clone()]);
        table(&["SIZE", "DELTA"], &rows.collect::<Vec<_>>())
    }
}

fn show(context: &Context, delta: &str, keys: Option<&Path>) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let name = match delta.parse::<DeltaName>() {
        Ok(name) => name,
        Err(_) => DeltaName {
            from: None,
            to: resolve(&repo, delta)?,
        },
    };
    let signatures = match keys {
        Some(path) => verify_delta(&repo, &name, &files::read_ed25519_keys(path)?)?,
        None => Vec::new(),
    };
    let details = delta_details(&repo, &name)?;
    context.report(&ShowReport::new(details, &signatures))
}

#[derive(Serialize)]
struct ShowReport {
    #[serde(flatten)]
    delta: DeltaView,
    time: Time,
    signed_by: Vec<String>,
    parts: Vec<PartView>,
    fallbacks: Vec<FallbackView>,
    patched: Vec<PatchedView>,
    signatures: Vec<SignatureView>,
}

#[derive(Serialize)]
struct PartView {
    bytes: u64,
    uncompressed_bytes: u64,
    objects: BTreeMap<&'static str, u64>,
    operations: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct FallbackView {
    object: String,
    bytes: u64,
    uncompressed_bytes: u64,
}

#[derive(Serialize)]
struct PatchedView {
    path: Option<String>,
    file: Text<FileId>,
    patch_bytes: u64,
}

impl ShowReport {
    fn new(details: DeltaDetails, verified: &[Signature]) -> Self {
        let parts = details.parts.into_iter().map(|part| PartView {
            bytes: part.bytes,
            uncompressed_bytes: part.uncompressed,
            objects: part.objects,
            operations: part.operations,
        });
        let fallbacks = details.fallbacks.into_iter().map(|fallback| FallbackView {
            object: fallback.object,
            bytes: fallback.bytes,
            uncompressed_bytes: fallback.uncompressed,
        });
        let patched = details.patched.iter().map(|file| PatchedView {
            path: file.path.as_ref().map(|path| format!("/{path}")),
            file: Text(file.id),
            patch_bytes: file.patch,
        });
        Self {
            delta: DeltaView::from(&details.name),
            time: Time(details.timestamp),
            signed_by: details.signed_by,
            parts: parts.collect(),
            fallbacks: fallbacks.collect(),
            patched: patched.collect(),
            signatures: signatures(verified),
        }
    }

    fn head(&self) -> String {
        let from = self.delta.from;
        let from = from.map_or_else(|| "nothing".to_owned(), |from| from.to_string());
        let signed = match self.signed_by.as_slice() {
            [] => String::new(),
            kinds => format!(", signed with {}", kinds.join(", ")),
        };
        format!(
            "from {from}\nto   {}\ntime {}{signed}\n\n",
            self.delta.to, self.time
        )
    }

    fn signature_lines(&self) -> String {
        let lines = self.signatures.iter().map(|signature| {
            let (status, kind) = (signature.status, signature.kind);
            let line = format!("{status} {kind} {}", signature.key);
            line.trim_end().to_owned() + "\n"
        });
        lines.collect()
    }

    fn parts_table(&self) -> String {
        let parts = self.parts.iter().enumerate().map(|(index, part)| {
            vec![
                index.to_string(),
                bytes(part.bytes),
                bytes(part.uncompressed_bytes),
                counts_text(&part.objects),
                counts_text(&part.operations),
            ]
        });
        let fallbacks = self.fallbacks.iter().map(|fallback| {
            vec![
                "fallback".to_owned(),
                bytes(fallback.bytes),
                bytes(fallback.uncompressed_bytes),
                fallback.object.clone(),
                String::new(),
            ]
        });
        let rows: Vec<_> = parts.chain(fallbacks).collect();
        let header = ["PART", "SIZE", "UNPACKED", "OBJECTS", "OPERATIONS"];
        table(&header, &rows)
    }

    fn patched_table(&self) -> String {
        let patched = self.patched.iter().map(|file| {
            let path = file.path.clone();
            let path = path.unwrap_or_else(|| file.file.to_string());
            vec![bytes(file.patch_bytes), path]
        });
        table(&["PATCH", "FILE"], &patched.collect::<Vec<_>>())
    }
}

impl Report for ShowReport {
    fn human(&self) -> String {
        let mut text = self.head();
        if !self.signatures.is_empty() {
            text += &self.signature_lines();
            text.push('\n');
        }
        text += &self.parts_table();
        if !self.patched.is_empty() {
            text.push('\n');
            text += &self.patched_table();
        }
        text
    }
}

fn counts_text(counts: &BTreeMap<&'static str, u64>) -> String {
    let words = counts.iter();
    let words = words.map(|(name, number)| format!("{} {name}", count(*number)));
    words.collect::<Vec<_>>().join(", ")
}
