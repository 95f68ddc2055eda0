use crate::args::arch;
use crate::args::global::Format;
use crate::args::workspace_lock::WorkspaceLockArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::registry::RegistryArgs;
use crate::report::Report;
use crate::revision::resolve_all;
use crate::text::bytes;
use crate::views::value::{PathText, Text};
use clap::ValueEnum;
use ostree_go_sdk::export::Compression;
use ostree_go_sdk::export::oci::{
    ExportedImage, ExportedLayer, ExportedOci, LookasideSignature, OciOptions,
    check_lookaside_keys, export_oci, sign_lookaside,
};
use ostree_go_sdk::oci::{ImageLocation, InvalidLocation};
use ostree_go_sdk::registry::{ImageReference, InvalidReference};
use ostree_go_sdk::sign::SigningKey;
use ostree_go_sdk::{Arch, CommitId, Sha256};
use serde::Serialize;
use std::path::PathBuf;
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
    lookaside: LookasideArgs,

    #[command(flatten)]
    workspace_lock: WorkspaceLockArgs,

    #[command(flatten)]
    registry: RegistryArgs,
}

/// Options of signatures that podman and skopeo verify.
#[derive(Debug, clap::Args)]
struct LookasideArgs {
    /// Sign the image for podman and skopeo, and write the signatures into this lookaside folder
    #[arg(long, value_name = "DIR", requires = "gpg_sign")]
    sign_lookaside: Option<PathBuf>,

    /// Name of the image in the signatures: `REGISTRY/NAME:TAG` (default: the image in a registry)
    #[arg(long, value_name = "REFERENCE", requires = "sign_lookaside")]
    sign_identity: Option<String>,

    /// Sign with the GPG key with this ID, fingerprint or user ID (may be repeated)
    #[arg(long, value_name = "KEY-ID", requires = "sign_lookaside")]
    gpg_sign: Vec<String>,

    /// GnuPG home directory that contains the keys
    #[arg(long, value_name = "DIR", requires = "gpg_sign")]
    gpg_homedir: Option<PathBuf>,
}

impl LookasideArgs {
    /// Returns the name of the image in the signatures, if it is to be signed.
    fn identity(&self, location: &ImageLocation) -> Result<Option<ImageReference>, CliError> {
        if self.sign_lookaside.is_none() {
            return Ok(None);
        }
        let usage = |message: String| CliError::Usage {
            message,
            hint: Some("name the image with --sign-identity REGISTRY/NAME:TAG".to_owned()),
        };
        match (&self.sign_identity, location) {
            (Some(text), _) => {
                let image: ImageReference = text
                    .parse()
                    .map_err(|error: InvalidReference| CliError::usage(error.to_string()))?;
                match (image.tag(), image.digest()) {
                    (Some(_), None) => Ok(Some(image)),
                    (None, _) => Err(usage(format!(
                        "`{image}` has no tag, and a signature needs one"
                    ))),
                    (_, Some(_)) => Err(usage(format!(
                        "`{image}` has a digest, and a signature names the image by its tag"
                    ))),
                }
            }
            // The tag is only known after the export.
            (None, ImageLocation::Registry(image)) => Ok(Some(image.clone())),
            (None, _) => Err(usage(format!(
                "the signatures of {location} need the name that the image will have in a registry"
            ))),
        }
    }

    /// Signs an exported image.
    fn sign(
        &self,
        made: &ExportedOci,
        identity: Option<ImageReference>,
    ) -> Result<Vec<LookasideSignature>, CliError> {
        let (Some(folder), Some(mut identity)) = (&self.sign_lookaside, identity) else {
            return Ok(Vec::new());
        };
        if let (None, ImageLocation::Registry(image)) = (&self.sign_identity, &made.location) {
            identity = image.clone();
        }
        Ok(sign_lookaside(made, &identity, folder, &self.keys())?)
    }

    fn keys(&self) -> Vec<SigningKey> {
        let keys = self.gpg_sign.iter().map(|id| SigningKey::Gpg {
            id: id.clone(),
            homedir: self.gpg_homedir.clone(),
        });
        keys.collect()
    }
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
    let identity = args.lookaside.identity(&location)?;
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
    if let Some(identity) = &identity {
        check_lookaside_keys(identity, &args.lookaside.keys())?;
    }
    let made = export_oci(&repo, &commits, &location, &options)?;
    let signatures = args.lookaside.sign(&made, identity)?;
    print_messages(context, &made);
    match is_stdout_taken {
        true => {
            context.say(&digest(made.digest));
            Ok(ExitCode::SUCCESS)
        }
        false => context.report(&OciReport {
            signatures: signatures.iter().map(Into::into).collect(),
            ..OciReport::from(&made)
        }),
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
    signatures: Vec<LookasideView>,
}

#[derive(Serialize)]
struct LookasideView {
    digest: String,
    path: PathText<PathBuf>,
    new: bool,
}

impl From<&LookasideSignature> for LookasideView {
    fn from(signature: &LookasideSignature) -> Self {
        Self {
            digest: digest(signature.digest),
            path: PathText(signature.path.clone()),
            new: signature.is_new,
        }
    }
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
            signatures: Vec::new(),
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
