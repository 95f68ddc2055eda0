//! The command-line parser, and the conversion of results to exit codes.

use crate::args::global::{Format, GlobalArgs};
use crate::args::words::value_of;
use crate::commands::{self, Command};
use crate::completion;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Output;
use crate::settings::{SANDBOX_HELPER, Settings};
use clap::{ColorChoice, CommandFactory, Parser, ValueEnum};
use ostree_go_sdk::sandbox::supervise;
use std::ffi::OsString;
use std::process::ExitCode;

/// Go toolchains for immutable hosts, composed as OSTree commits.
#[derive(Debug, Parser)]
#[command(
    name = "ostree-go",
    bin_name = "ostree-go",
    version,
    propagate_version = true
)]
#[command(
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,

    #[command(subcommand)]
    pub command: Command,
}

/// Parses the arguments of this process, runs the command, and returns the exit code.
pub fn run() -> ExitCode {
    let settings = Settings::from_env();
    let args: Vec<OsString> = std::env::args_os().collect();
    if let [_, word, task] = &args[..]
        && word == SANDBOX_HELPER
    {
        return ExitCode::from(supervise(&task.to_string_lossy()));
    }
    match completion::answer(Cli::command, &args) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => {
            let _ = error.print();
            return ExitCode::FAILURE;
        }
    }
    let args = without_go(args);
    let color = match value_of(&args, "--color").as_deref() {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    };
    // clap would exit with its own code and format, so usage errors are handled here.
    let cli = match Cli::command()
        .color(color)
        .try_get_matches_from(&args)
        .and_then(|matches| <Cli as clap::FromArgMatches>::from_arg_matches(&matches))
    {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && !asks_for_help(&error) => {
            let format = value_of(&args, "--format");
            let format = format.and_then(|format| Format::from_str(&format, false).ok());
            let format = format.unwrap_or_default();
            let output = Output::early(format, color, &settings);
            return report_error(&CliError::of_arguments(&error), &output);
        }
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let context = Context::new(cli.global, settings);
    match commands::run(&context, cli.command, Cli::command) {
        Ok(code) => code,
        Err(error) => report_error(&error, &context.output),
    }
}

/// Returns true if clap prints the full help text because arguments are missing.
fn asks_for_help(error: &clap::Error) -> bool {
    error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// Removes the word `go` that `ostree go list` passes on: it runs `ostree-go go list`, with
/// ostree's own options before the verb.
fn without_go(mut args: Vec<OsString>) -> Vec<OsString> {
    let is_option = |arg: &OsString| arg.as_encoded_bytes().starts_with(b"-");
    let verb = args.iter().skip(1).position(|arg| !is_option(arg));
    if let Some(at) = verb.map(|at| at + 1)
        && args[at] == "go"
        && !TAKE_A_VALUE.iter().any(|option| args[at - 1] == *option)
    {
        args.remove(at);
    }
    args
}

/// Global options whose value can be a separate argument.
const TAKE_A_VALUE: [&str; 4] = ["--repo", "--format", "--progress", "--color"];

/// Prints an error, and returns its exit code.
fn report_error(error: &CliError, output: &Output) -> ExitCode {
    output.error(error);
    ExitCode::from(error.exit_code())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(args: &str) -> String {
        let args = args.split(' ').map(OsString::from).collect();
        let args = without_go(args);
        let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        args.join(" ")
    }

    #[test]
    fn the_argument_parser_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Returns the names of all verbs that do something.
    fn leaves(command: &clap::Command, name: &str) -> Vec<String> {
        let verbs: Vec<_> = command.get_subcommands().collect();
        if verbs.is_empty() {
            return vec![name.to_owned()];
        }
        let below = verbs.into_iter().flat_map(|verb| {
            let name = format!("{name} {}", verb.get_name());
            leaves(verb, name.trim_start())
        });
        below.collect()
    }

    #[test]
    fn every_verb_has_examples_that_the_parser_accepts() {
        let verbs = leaves(&Cli::command(), "");
        assert!(verbs.len() > 40, "{verbs:?}");
        for verb in verbs.iter().map(String::as_str).chain([""]) {
            let examples = commands::examples(verb);
            assert!(!examples.is_empty(), "no examples of `{verb}`");
            for (what, line) in examples {
                let prefix = format!("ostree-go {verb}");
                assert!(line.starts_with(prefix.trim_end()), "{verb}: {line}");
                assert!(!what.ends_with('.'), "{verb}: {what}");
                let parsed = Cli::try_parse_from(line.split(' '));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn the_word_go_passed_by_ostree_is_removed() {
        assert_eq!(cleaned("ostree-go go list"), "ostree-go list");
        assert_eq!(
            cleaned("ostree-go --repo=r go log go"),
            "ostree-go --repo=r log go"
        );
        for same in [
            "ostree-go list",
            "ostree-go --repo go list",
            "ostree-go",
            "ostree-go log go",
        ] {
            assert_eq!(cleaned(same), same);
        }
    }
}
