//! The command line of `ostree-go`. Programs use the crate `ostree-go-sdk` instead: this one has a single function, which is
//! the whole command, and makes no promise about anything else.

mod args;
mod audit;
mod audit_hint;
mod authfile;
mod build_hint;
mod certdir;
mod cli;
mod commands;
mod completion;
mod context;
mod deploy;
mod error;
mod files;
mod findings;
mod follow;
mod go_module_hint;
mod go_proxy_hint;
mod hint;
mod hook_hint;
mod hooks;
mod http_hint;
mod interrupt;
mod output;
mod progress;
mod registry;
mod report;
mod revision;
mod sandbox_hint;
mod settings;
mod sign_hint;
mod source_hint;
mod text;
mod upstream;
mod views;
mod workspace;
mod workspace_hint;

use rustix::fs::Mode;
use std::process::ExitCode;

/// Runs the command with the arguments and the environment of the process, and returns its exit code.
///
/// Sets the umask of the process so that what is created is writable by its owner alone, and handles SIGINT and SIGTERM.
pub fn main() -> ExitCode {
    // Repositories, roots and keys are writable by their owner alone, however lax the umask is.
    let others_write = Mode::WGRP | Mode::WOTH;
    let umask = rustix::process::umask(others_write);
    rustix::process::umask(umask | others_write);
    cli::run()
}
