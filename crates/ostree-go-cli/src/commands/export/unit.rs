use crate::args::arch;
use crate::args::global::Format;
use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::Report;
use crate::views::value::{PathText, Text};
use ostree_go_sdk::Arch;
use ostree_go_sdk::export::unit::{ListenPort, ServiceUnit, UnitOptions, service_unit};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write a hardened systemd unit for a Go service
///
/// The service can write to no file except in its state directory, execute nothing except its own
/// program, and open no port except the given ones. It runs as a user of its own without privileges.
/// Comments in the unit say what each group of settings is for.
#[derive(Debug, clap::Args)]
pub struct UnitArgs {
    /// Name of the service, with or without `.service`
    #[arg(value_name = "NAME")]
    name: String,

    /// Program; it is read to find out which files it is loaded from
    #[arg(value_name = "BINARY")]
    binary: PathBuf,

    /// Arguments of the program
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,

    /// Path of the program on the host (default: the path of BINARY, which must be absolute then)
    #[arg(long, value_name = "PATH")]
    install_path: Option<PathBuf>,

    /// Architecture that the program must be for (default: any)
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    arch: Option<Arch>,

    /// Description of the service (default: its name)
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Port that the service listens on: 8080, tcp:8080 or udp:53 (may be repeated)
    #[arg(long, value_name = "PORT")]
    listen: Vec<ListenPort>,

    /// Write a socket unit as well, by which systemd opens the ports and passes them to the service;
    /// the service itself can then open none
    #[arg(long, requires = "listen")]
    socket_activation: bool,

    /// Give the service no network, except the sockets that systemd passes
    #[arg(long)]
    no_network: bool,

    /// Address or network with which the service exchanges packets; all others are denied (may be
    /// repeated; default: all)
    #[arg(long, value_name = "ADDRESS")]
    allow_address: Vec<String>,

    /// Give the service a directory to write to, /var/lib/NAME, in the variable STATE_DIRECTORY
    #[arg(long)]
    state_dir: bool,

    /// Another directory or file that the service may write to (may be repeated)
    #[arg(long, value_name = "PATH")]
    read_write: Vec<String>,

    /// Existing user to run as (default: one that systemd allocates)
    #[arg(long, value_name = "USER")]
    run_as: Option<String>,

    /// Set an environment variable (may be repeated)
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,

    /// Maximum amount of memory in bytes; also sets GOMEMLIMIT (default: unlimited)
    #[arg(long, value_name = "BYTES")]
    memory_max: Option<u64>,

    /// Maximum number of CPUs (default: all)
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<u32>,

    /// Write the unit to this file instead of standard output, which `-` also stands for; a socket
    /// unit is written beside it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(context: &Context, args: &UnitArgs) -> Result<ExitCode, CliError> {
    let mut environment = Vec::new();
    for variable in &args.env {
        let (name, value) = variable.split_once('=').ok_or_else(|| {
            CliError::usage(format!(
                "--env {variable} has no value, expected NAME=VALUE"
            ))
        })?;
        environment.push((name.to_owned(), value.to_owned()));
    }
    let options = UnitOptions::new(&args.name, &args.binary)
        .install_path(args.install_path.clone())
        .args(args.args.clone())
        .arch(args.arch)
        .description(args.description.clone())
        .listen(args.listen.clone())
        .socket_activation(args.socket_activation)
        .no_network(args.no_network)
        .allow_addresses(args.allow_address.clone())
        .state(args.state_dir)
        .writable(args.read_write.clone())
        .user(args.run_as.clone())
        .environment(environment)
        .memory_max(args.memory_max)
        .cpus(args.cpus);
    let unit = service_unit(&options)?;
    let output = args
        .output
        .as_deref()
        .filter(|path| !files::is_stdout(path));
    let paths = match output {
        Some(path) => unit.write(path)?,
        None if unit.files.len() > 1 && context.output.format == Format::Human => {
            return Err(CliError::Usage {
                message:
                    "--socket-activation makes two files, which cannot both be standard output"
                        .to_owned(),
                hint: Some(format!("use --output {}.service", unit.name)),
            });
        }
        None => Vec::new(),
    };
    for path in &paths {
        context.say(&format!("wrote {}", path.display()));
    }
    context.report(&UnitReport::new(&unit, &paths))
}

#[derive(Serialize)]
struct UnitReport<'a> {
    name: &'a str,
    program: PathText<&'a Path>,
    arch: Text<Arch>,
    r#static: bool,
    files: Vec<FileView<'a>>,
}

#[derive(Serialize)]
struct FileView<'a> {
    name: &'a str,
    /// `None` if the file was not written.
    path: Option<PathText<&'a Path>>,
    content: &'a str,
}

impl<'a> UnitReport<'a> {
    fn new(unit: &'a ServiceUnit, paths: &'a [PathBuf]) -> Self {
        let files = unit.files.iter().enumerate();
        let files = files.map(|(at, (name, content))| FileView {
            name,
            path: paths.get(at).map(|path| PathText(path.as_path())),
            content,
        });
        Self {
            name: &unit.name,
            program: PathText(&unit.program),
            arch: Text(unit.arch),
            r#static: unit.is_static,
            files: files.collect(),
        }
    }
}

impl Report for UnitReport<'_> {
    fn human(&self) -> String {
        let printed = self.files.iter().filter(|file| file.path.is_none());
        printed.map(|file| file.content).collect()
    }
}
