//! `export butane` and `export ignition`: the same configuration in two formats.

use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::Report;
use crate::revision::resolve;
use crate::views::value::{PathText, Text};
use clap::ValueEnum;
use ostree_go_sdk::export::boot::{
    BootCache, BootConfig, BootOptions, BootSpec, boot_config, write_boot_config,
};
use ostree_go_sdk::remote::NewRemote;
use ostree_go_sdk::{CommitId, RefName};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write the configuration of a host's first boot, as Butane YAML
///
/// Writes the same configuration as `export ignition`, for `butane` and its variant fcos. The host
/// installs the SDKs at its first boot, verifies their signatures, and follows the channels among
/// them at every later boot.
#[derive(Debug, clap::Args)]
pub struct ButaneArgs {
    /// Version of Butane's variant fcos: 1.4.0, 1.5.0, 1.6.0 or 1.7.0
    #[arg(long, value_name = "VERSION", default_value = "1.4.0")]
    spec: String,

    #[command(flatten)]
    host: HostArgs,
}

/// Write the configuration of a host's first boot, as Ignition JSON
///
/// The host installs the SDKs at its first boot, verifies their signatures, and follows the channels
/// among them at every later boot.
#[derive(Debug, clap::Args)]
pub struct IgnitionArgs {
    /// Version of Ignition's format: 3.3.0, 3.4.0, 3.5.0 or 3.6.0
    #[arg(long, value_name = "VERSION", default_value = "3.3.0")]
    spec: String,

    #[command(flatten)]
    host: HostArgs,
}

/// Options that describe the host.
#[derive(Debug, clap::Args)]
struct HostArgs {
    /// Releases or channels of one architecture, the active one first: refs, commits, or versions
    /// of this machine's architecture
    #[arg(value_name = "RELEASE", required = true)]
    releases: Vec<String>,

    /// URL from which the host pulls: http://, https:// or file:///
    #[arg(long, value_name = "URL")]
    remote_url: String,

    /// Name of the remote on the host
    #[arg(long, value_name = "NAME", default_value = "go-sdk")]
    remote: String,

    /// Trust the public GPG keys in this file (may be repeated)
    #[arg(long, value_name = "FILE", required = true)]
    gpg_import: Vec<PathBuf>,

    /// Set an environment variable for every session on the host (may be repeated)
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,

    /// Place of the build caches in /var/cache
    #[arg(long, value_enum, default_value_t, value_name = "PLACE")]
    cache: CachePlace,

    /// Owner of the build caches in /var/cache
    #[arg(long, value_name = "USER", default_value = "root")]
    cache_owner: String,

    /// Path of ostree-go on the host
    #[arg(long, value_name = "PATH", default_value = "/usr/bin/ostree-go")]
    program: PathBuf,

    /// Write the configuration to this file instead of standard output, which `-` also stands for
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum CachePlace {
    /// On the disk, across updates of the system
    #[default]
    Persistent,
    /// In memory: empty after each boot
    Tmpfs,
}

impl From<CachePlace> for BootCache {
    fn from(place: CachePlace) -> Self {
        match place {
            CachePlace::Persistent => Self::Persistent,
            CachePlace::Tmpfs => Self::Tmpfs,
        }
    }
}

pub fn butane(context: &Context, args: &ButaneArgs) -> Result<ExitCode, CliError> {
    let spec = BootSpec::of_butane(&args.spec)?;
    let config = config(context, &args.host)?;
    write(
        context,
        &args.host,
        &config,
        config.butane(spec),
        &args.spec,
    )
}

pub fn ignition(context: &Context, args: &IgnitionArgs) -> Result<ExitCode, CliError> {
    let spec = BootSpec::of_ignition(&args.spec)?;
    let config = config(context, &args.host)?;
    write(
        context,
        &args.host,
        &config,
        config.ignition(spec),
        &args.spec,
    )
}

fn config(context: &Context, args: &HostArgs) -> Result<BootConfig, CliError> {
    let repo = context.repo()?;
    let commits = args.releases.iter().map(|name| resolve(&repo, name));
    let commits = commits.collect::<Result<Vec<_>, _>>()?;
    let mut remote = NewRemote::new(&args.remote, &args.remote_url);
    for path in &args.gpg_import {
        remote = remote.keys(files::read(path)?);
    }
    let mut options = BootOptions::new(remote)
        .program(&args.program)
        .cache(args.cache.into())
        .cache_owner(&args.cache_owner);
    for variable in &args.env {
        let (name, value) = variable.split_once('=').ok_or_else(|| {
            CliError::usage(format!(
                "--env {variable} has no value, expected NAME=VALUE"
            ))
        })?;
        options = options.variable(name, value);
    }
    Ok(boot_config(&repo, &commits, &options)?)
}

/// Writes the configuration to the file that the arguments name, or prints it.
fn write(
    context: &Context,
    args: &HostArgs,
    config: &BootConfig,
    text: String,
    spec: &str,
) -> Result<ExitCode, CliError> {
    let output = args
        .output
        .as_deref()
        .filter(|path| !files::is_stdout(path));
    if let Some(path) = output {
        write_boot_config(path, &text)?;
        let names = config.releases.iter().map(|one| one.ref_name.as_str());
        let names: Vec<&str> = names.collect();
        context.say(&format!(
            "{}: installs {}",
            path.display(),
            names.join(", ")
        ));
    }
    let releases = config.releases.iter().map(|one| ReleaseView {
        ref_name: Text(&one.ref_name),
        commit: Text(one.commit),
        version: &one.version,
    });
    let files = config.files.iter().map(|file| FileView {
        path: &file.path,
        mode: format!("{:04o}", file.mode),
        bytes: file.content.len(),
    });
    context.report(&BootReport {
        spec,
        releases: releases.collect(),
        files: files.collect(),
        units: config.units.iter().map(|unit| unit.name.as_str()).collect(),
        path: output.map(PathText),
        config: output.is_none().then_some(text),
    })
}

#[derive(Serialize)]
struct BootReport<'a> {
    spec: &'a str,
    releases: Vec<ReleaseView<'a>>,
    files: Vec<FileView<'a>>,
    units: Vec<&'a str>,
    path: Option<PathText<&'a Path>>,
    /// `None` if the configuration was written to a file.
    config: Option<String>,
}

#[derive(Serialize)]
struct ReleaseView<'a> {
    #[serde(rename = "ref")]
    ref_name: Text<&'a RefName>,
    commit: Text<CommitId>,
    version: &'a str,
}

#[derive(Serialize)]
struct FileView<'a> {
    path: &'a str,
    mode: String,
    bytes: usize,
}

impl Report for BootReport<'_> {
    fn human(&self) -> String {
        self.config.clone().unwrap_or_default()
    }
}
