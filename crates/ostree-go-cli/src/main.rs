//! The `ostree-go` command-line program.

mod authfile;
mod certdir;
mod cli;
mod commands;
mod error;
mod output;
mod progress;
mod settings;

fn main() -> std::process::ExitCode {
    cli::run()
}
