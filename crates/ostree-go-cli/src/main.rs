//! The `ostree-go` command-line program.

mod authfile;
mod certdir;
mod cli;
mod commands;
mod error;
mod output;
mod progress;
mod settings;

use rustix::fs::Mode;

fn main() -> std::process::ExitCode {
    // Repositories, roots and keys are writable by their owner alone, however lax the umask is.
    let others_write = Mode::WGRP | Mode::WOTH;
    let umask = rustix::process::umask(others_write);
    rustix::process::umask(umask | others_write);
    cli::run()
}
