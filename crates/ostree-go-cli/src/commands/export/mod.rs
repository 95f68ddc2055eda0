//! The export formats. Each file contains the arguments of a format and the function that runs it.

mod attest;
mod boot;
mod containerfile;
mod oci;
mod sysext;
mod tar;
mod treefile;
mod unit;

use crate::context::Context;
use crate::error::CliError;
use clap::Subcommand;
use std::process::ExitCode;

/// Export a release in a format for images or hosts, or write the unit of a service
///
/// The output is reproducible: the same release gives the same bytes on any machine and at any time.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct ExportArgs {
    #[command(subcommand)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Format {
    Attest(attest::AttestArgs),
    Butane(boot::ButaneArgs),
    Ignition(boot::IgnitionArgs),
    Sysext(sysext::SysextArgs),
    Oci(oci::OciArgs),
    Containerfile(containerfile::ContainerfileArgs),
    Tar(tar::TarArgs),
    Treefile(treefile::TreefileArgs),
    Unit(unit::UnitArgs),
}

pub fn run(context: &Context, args: &ExportArgs) -> Result<ExitCode, CliError> {
    match &args.format {
        Format::Attest(args) => attest::run(context, args),
        Format::Butane(args) => boot::butane(context, args),
        Format::Ignition(args) => boot::ignition(context, args),
        Format::Sysext(args) => sysext::run(context, args),
        Format::Containerfile(args) => containerfile::run(context, args),
        Format::Oci(args) => oci::run(context, args),
        Format::Tar(args) => tar::run(context, args),
        Format::Treefile(args) => treefile::run(context, args),
        Format::Unit(args) => unit::run(context, args),
    }
}
