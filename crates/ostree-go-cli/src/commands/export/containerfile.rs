use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::Report;
use crate::revision::resolve;
use crate::views::value::{PathText, Text};
use ostree_go_sdk::CommitId;
use ostree_go_sdk::export::containerfile::{ContainerfileOptions, containerfile};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write a Containerfile for a build container
///
/// The container runs as a user other than root, with the SDK from an image that `export oci` wrote
/// and with volumes for the caches. The file is for podman, buildah and docker.
#[derive(Debug, clap::Args)]
pub struct ContainerfileArgs {
    /// A ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "RELEASE")]
    release: String,

    /// Output file; `-` is standard output (default: standard output)
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Image of the release, in the form of a `FROM` line
    #[arg(long, value_name = "IMAGE", required = true)]
    image: String,

    /// Image to which the SDK is added; by default, the container has only the SDK
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,

    /// ID of the user and the group that build
    #[arg(long, value_name = "UID", default_value_t = 1000)]
    user: u32,

    /// Do not use the compiled standard library of the image; also needed if the image was exported with
    /// --no-stdcache
    #[arg(long)]
    no_stdcache: bool,
}

pub fn run(context: &Context, args: &ContainerfileArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let commit = resolve(&repo, &args.release)?;
    let options = ContainerfileOptions::new(&args.image)
        .base(args.base.clone())
        .user(args.user)
        .std_caches(!args.no_stdcache);
    let text = containerfile(&repo, commit, &options)?;
    let file = args.file.as_deref().filter(|path| !files::is_stdout(path));
    if let Some(path) = file {
        files::write(path, &text)?;
    }
    context.report(&ContainerfileReport {
        commit: Text(commit),
        path: file.map(PathText),
        containerfile: text,
    })
}

#[derive(Serialize)]
struct ContainerfileReport<'a> {
    commit: Text<CommitId>,
    path: Option<PathText<&'a Path>>,
    containerfile: String,
}

impl Report for ContainerfileReport<'_> {
    fn human(&self) -> String {
        match self.path {
            Some(_) => String::new(),
            None => self.containerfile.clone(),
        }
    }
}
