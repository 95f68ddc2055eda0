use crate::args::arch;
use crate::args::signing::SigningArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::registry::RegistryArgs;
use crate::report::Report;
use crate::revision::resolve_all;
use crate::views::value::{PathText, Text};
use ostree_go_sdk::attest::{AttestOptions, Attestation, AttestationKind, BUILDER, attest};
use ostree_go_sdk::export::oci::{ExportedReferrer, OciOptions, Referrers};
use ostree_go_sdk::oci::{ImageLocation, InvalidLocation};
use ostree_go_sdk::{Arch, CommitId, Sha256};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write attestations of a release: its provenance and its bill of materials
///
/// With a key, each one is an in-toto statement in a signed DSSE envelope. Without a key, the provenance is a
/// statement without a signature, and a bill of materials is a plain document.
#[derive(Debug, clap::Args)]
pub struct AttestArgs {
    /// A version or channel, for all architectures; or a ref or commit, for one architecture
    #[arg(value_name = "RELEASE")]
    release: String,

    /// Use only this architecture (may be repeated)
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    arch: Vec<Arch>,

    /// Write the provenance in the format of SLSA 1.0 [default: all three]
    #[arg(long)]
    slsa: bool,

    /// Write the bill of materials in the format of SPDX 2.3
    #[arg(long)]
    spdx: bool,

    /// Write the bill of materials in the format of CycloneDX 1.6
    #[arg(long)]
    cyclonedx: bool,

    /// Folder for the documents, which is created; or the file for a single document, where `-` is standard
    /// output (default for a single document)
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Attach the attestations to this image, which was exported before: `oci:DIR[:TAG]` or
    /// `docker://REGISTRY/NAME[:TAG]` (default tag: the last part of the ref)
    #[arg(long, value_name = "IMAGE")]
    oci_referrer: Option<String>,

    /// URI of the builder in the provenance
    #[arg(long, value_name = "URI", default_value = BUILDER)]
    builder_id: String,

    #[command(flatten)]
    signing: SigningArgs,

    #[command(flatten)]
    registry: RegistryArgs,
}

/// The destination of the documents.
enum Destination {
    Nowhere,
    Stdout,
    File(PathBuf),
    Folder(PathBuf),
}

impl AttestArgs {
    fn kinds(&self) -> Vec<AttestationKind> {
        let chosen = [
            (self.slsa, AttestationKind::Slsa),
            (self.spdx, AttestationKind::Spdx),
            (self.cyclonedx, AttestationKind::CycloneDx),
        ];
        let kinds = chosen.into_iter().filter(|(is_chosen, _)| *is_chosen);
        let kinds: Vec<_> = kinds.map(|(_, kind)| kind).collect();
        match kinds.is_empty() {
            true => AttestationKind::ALL.to_vec(),
            false => kinds,
        }
    }

    fn destination(&self, context: &Context, count: usize) -> Result<Destination, CliError> {
        let stdout = PathBuf::from("-");
        let output = match (&self.output, &self.oci_referrer) {
            (Some(path), _) => path,
            (None, Some(_)) => return Ok(Destination::Nowhere),
            (None, None) => &stdout,
        };
        match count {
            1 if context.output.is_stdout_taken([output])? => Ok(Destination::Stdout),
            1 if !output.is_dir() => Ok(Destination::File(output.clone())),
            _ if files::is_stdout(output) => Err(CliError::Usage {
                message: format!("{count} documents need a folder"),
                hint: Some(
                    "name one with --output, or choose one document with --slsa, --spdx or --cyclonedx, and --arch"
                        .to_owned(),
                ),
            }),
            _ => Ok(Destination::Folder(output.clone())),
        }
    }
}

pub fn run(context: &Context, args: &AttestArgs) -> Result<ExitCode, CliError> {
    let kinds = args.kinds();
    let image = args.oci_referrer.as_deref().map(str::parse).transpose();
    let image: Option<ImageLocation> =
        image.map_err(|error: InvalidLocation| CliError::usage(error.to_string()))?;
    let keys = args.signing.keys()?;
    let repo = context.repo()?;
    let commits = resolve_all(&repo, &args.release, &args.arch)?;
    let destination = args.destination(context, commits.len() * kinds.len())?;
    let mut referrers = match &image {
        Some(location) => {
            let options = OciOptions::default()
                .registry(args.registry.options(context, location)?)
                .scratch(context.settings.scratch())
                .progress(context.progress());
            Some(Referrers::open(&repo, &commits, location, &options)?)
        }
        None => None,
    };
    let mut made = Vec::new();
    for &commit in &commits {
        let subject = referrers.as_ref().and_then(|image| image.subject(commit));
        let options = AttestOptions::default()
            .kinds(kinds.iter().copied())
            .builder(args.builder_id.clone())
            .images(subject)
            .sign_with(keys.iter().cloned());
        made.push((commit, attest(&repo, commit, &options)?));
    }
    let mut views = Vec::new();
    for (commit, attestations) in &made {
        for attestation in attestations {
            let path = write(context, attestation, &destination)?;
            views.push(AttestationView::new(*commit, attestation, path));
        }
    }
    if let Some(image) = &mut referrers {
        let mut attached = Vec::new();
        for (commit, attestations) in &made {
            attached.extend(image.attach(*commit, attestations)?);
        }
        for (view, referrer) in views.iter_mut().zip(&attached) {
            view.referrer = Some(referrer.into());
        }
    }
    if matches!(destination, Destination::Stdout) {
        return Ok(ExitCode::SUCCESS);
    }
    context.report(&AttestReport {
        image: image.map(Text),
        attestations: views,
    })
}

/// Writes one document, and returns the path of its file.
fn write(
    context: &Context,
    attestation: &Attestation,
    destination: &Destination,
) -> Result<Option<PathBuf>, CliError> {
    match destination {
        Destination::Nowhere => Ok(None),
        Destination::Stdout => {
            context.output.raw(&attestation.bytes)?;
            Ok(None)
        }
        Destination::File(path) => {
            attestation.write_to(path)?;
            Ok(Some(path.clone()))
        }
        Destination::Folder(folder) => {
            files::create_directory(folder)?;
            Ok(Some(attestation.write(folder)?))
        }
    }
}

#[derive(Serialize)]
struct AttestReport {
    /// The image that the attestations were attached to.
    image: Option<Text<ImageLocation>>,
    attestations: Vec<AttestationView>,
}

#[derive(Serialize)]
struct AttestationView {
    kind: &'static str,
    predicate_type: &'static str,
    commit: Text<CommitId>,
    media_type: &'static str,
    signed: bool,
    bytes: usize,
    sha256: Text<Sha256>,
    path: Option<PathText<PathBuf>>,
    referrer: Option<ReferrerView>,
}

#[derive(Serialize)]
struct ReferrerView {
    subject: String,
    digest: String,
}

impl AttestationView {
    fn new(commit: CommitId, attestation: &Attestation, path: Option<PathBuf>) -> Self {
        Self {
            kind: attestation.kind.as_str(),
            predicate_type: attestation.kind.predicate_type(),
            commit: Text(commit),
            media_type: attestation.media_type,
            signed: attestation.is_signed,
            bytes: attestation.bytes.len(),
            sha256: Text(attestation.sha256()),
            path: path.map(PathText),
            referrer: None,
        }
    }
}

impl From<&ExportedReferrer> for ReferrerView {
    fn from(referrer: &ExportedReferrer) -> Self {
        Self {
            subject: format!("sha256:{}", referrer.subject),
            digest: format!("sha256:{}", referrer.digest),
        }
    }
}

impl Report for AttestReport {
    fn human(&self) -> String {
        let lines = self.attestations.iter().map(|one| {
            let path = one.path.as_ref().map(|path| path.0.as_path());
            let path = path.map(Path::display).map(|path| format!("{path}\n"));
            let referrer = one.referrer.as_ref();
            let referrer =
                referrer.map(|one| format!("{} refers to {}\n", one.digest, one.subject));
            path.into_iter().chain(referrer).collect::<String>()
        });
        lines.collect()
    }
}
