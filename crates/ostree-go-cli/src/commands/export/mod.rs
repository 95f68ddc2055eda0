//! One format a file: arguments and one function.

mod boot;
mod containerfile;
mod oci;
mod sysext;
mod tar;
mod treefile;

use super::Context;
use crate::error::CliError;
use clap::Subcommand;
use std::process::ExitCode;

/// Write a release in a form that image pipelines take
///
/// The same release gives the same bytes, on any machine and at any time.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct ExportArgs {
    #[command(subcommand)]
    form: Form,
}

#[derive(Debug, Subcommand)]
enum Form {
    Butane(boot::ButaneArgs),
    Ignition(boot::IgnitionArgs),
    Sysext(sysext::SysextArgs),
    Oci(oci::OciArgs),
    Containerfile(containerfile::ContainerfileArgs),
    Tar(tar::TarArgs),
    Treefile(treefile::TreefileArgs),
}

pub fn run(context: &Context<'_>, args: &ExportArgs) -> Result<ExitCode, CliError> {
    match &args.form {
        Form::Butane(args) => boot::butane(context, args),
        Form::Ignition(args) => boot::ignition(context, args),
        Form::Sysext(args) => sysext::run(context, args),
        Form::Containerfile(args) => containerfile::run(context, args),
        Form::Oci(args) => oci::run(context, args),
        Form::Tar(args) => tar::run(context, args),
        Form::Treefile(args) => treefile::run(context, args),
    }
}
