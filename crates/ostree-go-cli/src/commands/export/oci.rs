use crate::args::arch;
use crate::args::global::Format;
use crate::args::workspace_lock::WorkspaceLockArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::registry::RegistryArgs;
use crate::report::Report;
use crate::revision::resolve_all;
use crate::text::bytes;
use crate::views::value::Text;
use clap::ValueEnum;
use ostree_go_sdk::export::Compression;
use ostree_go_sdk::export::oci::{
    ExportedImage, ExportedLayer, ExportedOci, OciOptions, export_oci,
};
use ostree_go_sdk::oci::{ImageLocation, InvalidLocation};
use ostree_go_sdk::{Arch, CommitId, Sha256};
use serde::Serialize;
use std::process::ExitCode;

/// Write an OCI image for podman, buildah and registries
///
/// Writes one image for each architecture, and an index if there are several. Each layer of the SDK
/// becomes a layer of the image.
#[derive(Debug, clap::Args)]
pub struct OciArgs {
    /// A version or channel, for all architectures; or a ref or commit, for one architecture
    #[arg(value_name = "RELEASE", required = true)]
    releases: Vec<String>,

    /// Destination: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, where the FILE `-` is
    /// standard output, or `docker://REGISTRY/NAME[:TAG]`
    /// (default tag: the last part of the ref)
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Export only this architecture (may be repeated)
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    arch: Vec<Arch>,

    /// Compression of the layers
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    compression: LayerCompression,

    /// Write the layers in the encapsulated format of ostree-ext, for `ostree container image pull`
    #[arg(long)]
    encapsulate: bool,

    /// Leave out the compiled standard library, which the image has as a build cache if the repository
    /// has it
    #[arg(long)]
    no_stdcache: bool,

    #[command(flatten)]
    workspace_lock: WorkspaceLockArgs,

    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum LayerCompression {
    /// Zstandard: smaller, and much faster to decompress
    #[default]
    Zstd,
    /// gzip: for tools released before 2020
    Gzip,
}

pub fn run(context: &Context, args: &OciArgs) -> Result<ExitCode, CliError> {
    let location = args.image.parse();
    let location: ImageLocation =
        location.map_err(|error: InvalidLocation| CliError::usage(error.to_string()))?;
    let archive = match &location {
        ImageLocation::Archive { path, .. } => Some(path),
        _ => None,
    };
    let is_stdout_taken = context.output.is_stdout_taken(archive)?;
    let repo = context.repo()?;
    let mut commits = Vec::new();
    for release in &args.releases {
        commits.extend(resolve_all(&repo, release, &args.arch)?);
    }
    let scratch = match &location {
        ImageLocation::Registry(_) => context.settings.scratch(),
        _ if is_stdout_taken => context.settings.scratch(),
        _ => None,
    };
    let options = OciOptions::default()
        .compression(match args.compression {
            LayerCompression::Zstd => Compression::Zstd,
            LayerCompression::Gzip => Compression::Gzip,
        })
        .encapsulate(args.encapsulate)
        .std_caches(!args.no_stdcache)
        .workspace(args.workspace_lock.digest()?)
        .registry(args.registry.options(context, &location)?)
        .scratch(scratch)
        .progress(context.progress());
    let made = export_oci(&repo, &commits, &location, &options)?;
    print_messages(context, &made);
    match is_stdout_taken {
        true => {
            context.say(&digest(made.digest));
            Ok(ExitCode::SUCCESS)
        }
        false => context.report(&OciReport::from(&made)),
    }
}

fn print_messages(context: &Context, made: &ExportedOci) {
    if context.output.format == Format::Json {
        return;
    }
    for image in &made.images {
        let layers = image.layers.iter().map(|layer| {
            let known = if layer.sent { "" } else { " (already present)" };
            format!("{} {}{known}", layer.name, bytes(layer.size))
        });
        let layers: Vec<String> = layers.collect();
        context.say(&format!("{}: {}", image.arch, layers.join(", ")));
    }
    context.say(&made.location.to_string());
}

#[derive(Serialize)]
struct OciReport {
    image: Text<ImageLocation>,
    digest: String,
    images: Vec<ImageView>,
}

#[derive(Serialize)]
struct ImageView {
    arch: Text<Arch>,
    commit: Text<CommitId>,
    digest: String,
    config: String,
    layers: Vec<LayerView>,
}

#[derive(Serialize)]
struct LayerView {
    name: String,
    commit: Text<CommitId>,
    digest: String,
    bytes: u64,
    diff_id: String,
    sent: bool,
}

/// Formats a digest as in OCI.
fn digest(sha256: Sha256) -> String {
    format!("sha256:{sha256}")
}

impl From<&ExportedOci> for OciReport {
    fn from(made: &ExportedOci) -> Self {
        Self {
            image: Text(made.location.clone()),
            digest: digest(made.digest),
            images: made.images.iter().map(Into::into).collect(),
        }
    }
}

impl From<&ExportedImage> for ImageView {
    fn from(image: &ExportedImage) -> Self {
        Self {
            arch: Text(image.arch),
            commit: Text(image.commit),
            digest: digest(image.digest),
            config: digest(image.config),
            layers: image.layers.iter().map(Into::into).collect(),
        }
    }
}

impl From<&ExportedLayer> for LayerView {
    fn from(layer: &ExportedLayer) -> Self {
        Self {
            name: layer.name.clone(),
            commit: Text(layer.commit),
            digest: digest(layer.digest),
            bytes: layer.size,
            diff_id: digest(layer.diff_id),
            sent: layer.sent,
        }
    }
}

impl Report for OciReport {
    fn human(&self) -> String {
        format!("{}\n", self.digest)
    }
}
