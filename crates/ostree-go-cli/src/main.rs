//! The `ostree-go` command.

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
