//! Output: results on standard output, messages on standard error. The program prints only through
//! this module.

use crate::args::global::{Format, GlobalArgs, ProgressMode};
use crate::error::CliError;
use crate::files;
use crate::findings;
use crate::report::{self, Emphasis, Report};
use crate::settings::Settings;
use crate::views::error::ErrorFields;
use clap::ColorChoice;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The output streams of a command and their formats.
#[derive(Debug, Clone)]
pub struct Output {
    pub format: Format,
    quiet: bool,
    json_lines: bool,
    /// True if standard error has colour.
    color: bool,
    /// True if standard output has colour.
    color_results: bool,
}

impl Output {
    pub fn new(global: &GlobalArgs, settings: &Settings) -> Self {
        Self {
            quiet: global.quiet,
            json_lines: global.progress == ProgressMode::Json,
            ..Self::early(global.format, global.color, settings)
        }
    }

    /// Creates the output for errors that occur before the arguments have been parsed.
    pub fn early(format: Format, color: ColorChoice, settings: &Settings) -> Self {
        let has_color = |is_terminal| has_color(color, is_terminal, settings.no_color);
        Self {
            format,
            quiet: false,
            json_lines: false,
            color: has_color(io::stderr().is_terminal()),
            color_results: has_color(io::stdout().is_terminal()),
        }
    }

    /// Prints the result of a verb in the format of the command line, and returns the exit code.
    pub fn report(&self, report: &impl Report) -> Result<ExitCode, CliError> {
        self.report_as(self.format, report)
    }

    /// Prints the result of a verb in the given format, and returns the exit code.
    pub fn report_as(&self, format: Format, report: &impl Report) -> Result<ExitCode, CliError> {
        let text = match format {
            Format::Human if self.color_results => emphasized(report),
            Format::Human => report.human(),
            Format::Json => report::document(report)?,
            Format::Sarif | Format::Github => {
                let found = report.findings();
                let found = found.ok_or_else(|| CliError::no_such_format(format.as_str()))?;
                match format {
                    Format::Sarif => findings::sarif(&found)?,
                    _ => findings::github(&found),
                }
            }
        };
        self.raw(text.as_bytes())?;
        Ok(report.exit_code())
    }

    /// Returns true if one of the files that the arguments name is standard output, where the
    /// result of the verb must not be printed then.
    ///
    /// # Errors
    /// Returns an error if standard output would have to hold two documents.
    pub fn is_stdout_taken<'a>(
        &self,
        files: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Result<bool, CliError> {
        let files = files.into_iter().filter(|path| files::is_stdout(path));
        match files.count() {
            0 => Ok(false),
            1 if self.format == Format::Human => Ok(true),
            1 => Err(CliError::usage(
                "a file and a JSON document cannot both be written to standard output",
            )),
            _ => Err(CliError::usage(
                "two files cannot both be written to standard output",
            )),
        }
    }

    /// Writes bytes to standard output unchanged.
    #[allow(clippy::unused_self)]
    pub fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            // A closed pipe, as in `ostree-go list | head`, is not a failure.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
            _ => Ok(()),
        }
    }

    /// Prints a message on standard error, as a line of text or as a JSON event.
    pub fn say(&self, text: &str) {
        if self.json_lines {
            self.event(&MessageEvent {
                event: "message",
                text,
            });
        } else if !self.quiet {
            line(self.marked(text));
        }
    }

    /// Returns a message, in which the word `warning:` at its start has a colour if colour is used.
    pub fn marked(&self, text: &str) -> String {
        match text.strip_prefix("warning:") {
            Some(rest) => format!("{}{rest}", self.paint("warning:", "1;33")),
            None => text.to_owned(),
        }
    }

    /// Returns true if standard error has one JSON object per line, for programs.
    pub fn is_json_lines(&self) -> bool {
        self.json_lines
    }

    /// Prints a JSON event on standard error, if events were requested.
    pub fn event(&self, event: &impl Serialize) {
        if self.json_lines && !self.quiet {
            json_line(event);
        }
    }

    /// Prints an error on standard error, in at most three lines. In JSON and SARIF format, the error is
    /// also the only document on standard output, and an annotation in that of GitHub.
    pub fn error(&self, error: &CliError) {
        let document = match self.format {
            Format::Human => None,
            Format::Json => report::document(&ErrorView::from(error)).ok(),
            Format::Sarif => findings::sarif_failure(error).ok(),
            Format::Github => Some(findings::github_failure(error)),
        };
        if let Some(document) = document {
            let _ = self.raw(document.as_bytes());
        }
        self.failure(error);
    }

    /// Prints an error on standard error, in at most three lines: for a command that continues, and
    /// prints its result on standard output later.
    pub fn failure(&self, error: &CliError) {
        let mut view = ErrorView::from(error);
        if self.json_lines {
            view.event = Some("error");
            json_line(&view);
            return;
        }
        let view = view.error;
        let mut text = format!("{} {}\n", self.paint("error:", "1;31"), view.message);
        if let Some(cause) = &view.cause {
            text.push_str(&format!("  {cause}\n"));
        }
        if let Some(hint) = &view.hint {
            text.push_str(&format!("{} {hint}\n", self.paint("hint:", "1;36")));
        }
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    fn paint(&self, text: &str, ansi: &str) -> String {
        if self.color {
            format!("\x1b[{ansi}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Returns whether a stream has colour.
fn has_color(choice: ColorChoice, is_terminal: bool, no_color: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => is_terminal && !no_color,
    }
}

/// Returns the text of a report with colour on the lines that the report emphasizes.
fn emphasized(report: &impl Report) -> String {
    let text = report.human();
    let lines = text.lines().map(|line| match report.emphasis(line) {
        Some(Emphasis::Active) => format!("\x1b[1;32m{line}\x1b[0m\n"),
        Some(Emphasis::Problem) => format!("\x1b[1;31m{line}\x1b[0m\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[derive(Serialize)]
struct MessageEvent<'a> {
    event: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct ErrorView {
    error: ErrorFields,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
}

impl From<&CliError> for ErrorView {
    fn from(error: &CliError) -> Self {
        Self {
            error: error.into(),
            event: None,
        }
    }
}

/// Prints a line on standard error. Nobody can be told if this fails.
pub fn line(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints a JSON object as a line on standard error.
pub fn json_line(object: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(object) {
        line(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_and_respects_no_color() {
        let auto = |is_terminal, no_color| has_color(ColorChoice::Auto, is_terminal, no_color);
        assert!(auto(true, false));
        assert!(!auto(true, true));
        assert!(!auto(false, false));
        assert!(has_color(ColorChoice::Always, false, true));
        assert!(!has_color(ColorChoice::Never, true, false));
    }
}
