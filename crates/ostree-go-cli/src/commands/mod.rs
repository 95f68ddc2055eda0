//! The verbs. Each file contains the arguments of a verb and the function that runs it.

mod audit;
mod cacheprog;
mod checkout;
mod completions;
mod compose;
mod delta;
mod diff;
mod doctor;
mod env;
mod env_cache;
mod exec;
mod export;
mod fsck;
mod gc;
mod gomod;
mod help;
mod import;
mod init;
mod inspect;
mod install;
mod key;
mod list;
mod log;
mod man;
mod overlay;
mod pin;
mod promote;
mod proxy;
mod prune;
mod publish;
mod pull;
mod remote;
mod reproduce;
mod rollback;
mod run;
mod show;
mod sign;
mod status;
mod uninstall;
mod upgrade;
mod use_;
mod verify;
mod which;
mod workspace;

#[cfg(test)]
pub use man::examples;

use crate::args::global::Format;
use crate::context::Context;
use crate::error::CliError;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub enum Command {
    Compose(compose::ComposeArgs),
    Promote(promote::PromoteArgs),
    Publish(publish::PublishArgs),
    Delta(delta::DeltaArgs),
    Sign(sign::SignArgs),
    Verify(verify::VerifyArgs),
    Key(key::KeyArgs),
    Prune(prune::PruneArgs),
    Init(init::InitArgs),
    List(list::ListArgs),
    Log(log::LogArgs),
    Show(show::ShowArgs),
    Diff(diff::DiffArgs),
    Inspect(inspect::InspectArgs),
    Audit(audit::AuditArgs),
    Fsck(fsck::FsckArgs),
    Checkout(checkout::CheckoutArgs),
    Export(export::ExportArgs),
    Overlay(overlay::OverlayArgs),
    Import(import::ImportArgs),
    Install(install::InstallArgs),
    Upgrade(upgrade::UpgradeArgs),
    Use(use_::UseArgs),
    Uninstall(uninstall::UninstallArgs),
    /// Protect an installed SDK from removal by `gc --superseded`
    Pin(pin::PinArgs),
    /// Allow `gc --superseded` to remove an SDK again
    Unpin(pin::PinArgs),
    Rollback(rollback::RollbackArgs),
    Status(status::StatusArgs),
    Gc(gc::GcArgs),
    Doctor(doctor::DoctorArgs),
    Env(env::EnvArgs),
    Which(which::WhichArgs),
    Gomod(gomod::GomodArgs),
    Exec(exec::ExecArgs),
    Cacheprog(cacheprog::CacheprogArgs),
    Run(run::RunArgs),
    Reproduce(reproduce::ReproduceArgs),
    Workspace(workspace::WorkspaceArgs),
    Proxy(proxy::ProxyArgs),
    Remote(remote::RemoteArgs),
    Pull(pull::PullArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Help(help::HelpArgs),
}

impl Command {
    /// Returns whether the result of the verb has a format. The formats of findings are for verbs that
    /// check files.
    fn has_format(&self, format: Format) -> bool {
        match self {
            Self::Workspace(args) => args.has_format(format),
            _ => !format.is_of_findings(),
        }
    }
}

/// Runs a verb. `parser` returns the parser of the whole command line, which some verbs
/// print.
pub fn run(
    context: &Context,
    command: Command,
    parser: fn() -> clap::Command,
) -> Result<ExitCode, CliError> {
    // Refused before anything is done, and not when the result is printed.
    let format = context.output.format;
    if !command.has_format(format) {
        return Err(CliError::no_such_format(format.as_str()));
    }
    match command {
        Command::Compose(args) => compose::run(context, &args),
        Command::Promote(args) => promote::run(context, &args),
        Command::Publish(args) => publish::run(context, &args),
        Command::Delta(args) => delta::run(context, &args),
        Command::Sign(args) => sign::run(context, &args),
        Command::Key(args) => key::run(context, &args),
        Command::Verify(args) => verify::run(context, &args),
        Command::Prune(args) => prune::run(context, &args),
        Command::Init(args) => init::run(context, &args),
        Command::List(args) => list::run(context, &args),
        Command::Log(args) => log::run(context, &args),
        Command::Show(args) => show::run(context, &args),
        Command::Diff(args) => diff::run(context, &args),
        Command::Inspect(args) => inspect::run(context, &args),
        Command::Audit(args) => audit::run(context, &args),
        Command::Fsck(args) => fsck::run(context, &args),
        Command::Checkout(args) => checkout::run(context, &args),
        Command::Export(args) => export::run(context, &args),
        Command::Overlay(args) => overlay::run(context, &args),
        Command::Import(args) => import::run(context, &args),
        Command::Install(args) => install::run(context, &args),
        Command::Upgrade(args) => upgrade::run(context, &args),
        Command::Use(args) => use_::run(context, &args),
        Command::Uninstall(args) => uninstall::run(context, &args),
        Command::Pin(args) => pin::run(context, &args, true),
        Command::Unpin(args) => pin::run(context, &args, false),
        Command::Rollback(args) => rollback::run(context, &args),
        Command::Status(args) => status::run(context, &args),
        Command::Doctor(args) => doctor::run(context, &args),
        Command::Gc(args) => gc::run(context, &args),
        Command::Env(args) => env::run(context, &args),
        Command::Which(args) => which::run(context, &args),
        Command::Gomod(args) => gomod::run(context, &args),
        Command::Exec(args) => exec::run(context, &args),
        Command::Cacheprog(args) => cacheprog::run(context, &args),
        Command::Run(args) => self::run::run(context, args),
        Command::Reproduce(args) => reproduce::run(context, args),
        Command::Workspace(args) => workspace::run(context, &args),
        Command::Proxy(args) => proxy::run(context, args),
        Command::Remote(args) => remote::run(context, &args),
        Command::Pull(args) => pull::run(context, &args),
        Command::Completions(args) => completions::run(context, &args),
        Command::Help(args) => help::run(context, &args, parser),
        Command::Man(args) => man::run(context, &args, parser),
    }
}
