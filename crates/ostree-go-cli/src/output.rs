//! Output: results on standard output, messages on standard error. The program prints only through
//! this module.

use crate::cli::{Format, GlobalArgs};
use crate::error::CliError;
use crate::progress::ProgressMode;
use crate::settings::Settings;
use clap::ColorChoice;
use ostree_go_sdk::Arch;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Version of the schema of all JSON documents. It stays the same when fields are added.
pub const SCHEMA: u32 = 1;

/// The output streams of a command and their formats.
#[derive(Debug)]
pub struct Output {
    pub format: Format,
    quiet: bool,
    json_lines: bool,
    color: bool,
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
        Self {
            format,
            quiet: false,
            json_lines: false,
            color: match color {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => io::stderr().is_terminal() && !settings.no_color,
            },
        }
    }

    /// Prints the result: the text from `human`, or `json` as one document with its schema number.
    pub fn data<T: Serialize>(
        &self,
        json: &T,
        human: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        let text = match self.format {
            Format::Human => human(),
            Format::Json => document(json)? + "\n",
        };
        self.raw(text.as_bytes())
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
    pub fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        let line = match self.json_lines {
            true => serde_json::json!({"event": "message", "text": line}).to_string(),
            false => line.to_owned(),
        };
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Returns true if standard error has one JSON object per line, for programs.
    pub fn is_json_lines(&self) -> bool {
        self.json_lines
    }

    /// Prints a JSON event on standard error, if events were requested.
    pub fn event(&self, event: &serde_json::Value) {
        if self.json_lines && !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{event}");
        }
    }

    /// Prints an error on standard error, in at most three lines. In JSON format, the error is also
    /// the only document on standard output.
    pub fn error(&self, error: &CliError) {
        let mut document = serde_json::json!({ "error": {
            "kind": error.kind().as_str(), "message": error.message(),
            "cause": error.cause(), "hint": error.hint(),
        }});
        if self.format == Format::Json {
            let _ = self.data(&document, String::new);
        }
        if self.json_lines {
            document["event"] = "error".into();
            let _ = writeln!(io::stderr().lock(), "{document}");
            return;
        }
        let mut text = format!("{} {}\n", self.paint("error:", "1;31"), error.message());
        let (cause, hint) = (error.cause(), error.hint());
        if let Some(cause) = &cause {
            text.push_str(&format!("  {cause}\n"));
        }
        if let Some(hint) = &hint {
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

#[derive(Serialize)]
struct Document<'a, T> {
    schema: u32,
    #[serde(flatten)]
    content: &'a T,
}

/// Formats a JSON document with its schema number.
pub fn document(content: &impl Serialize) -> Result<String, CliError> {
    let document = Document {
        schema: SCHEMA,
        content,
    };
    serde_json::to_string_pretty(&document).map_err(|error| CliError::Output(error.into()))
}

/// Formats a table. Each column is as wide as its widest cell; columns are separated by two spaces.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String]| {
        row.iter()
            .map(|cell| cell.chars().count())
            .collect::<Vec<_>>()
    };
    let mut widths: Vec<usize> = header.iter().map(|title| title.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(cells(row)) {
            *width = (*width).max(cell);
        }
    }
    let mut text = String::new();
    let head: Vec<String> = header.iter().map(ToString::to_string).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Formats a number of bytes with decimal units, for example `1.0 MB`.
pub fn bytes(amount: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if amount < 1000 {
        return format!("{amount} B");
    }
    let mut value = amount as f64;
    let mut unit = "B";
    for larger in UNITS {
        // 999.95 would print as 1000.0.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// Formats a count with thousands separators: `11,317`.
pub fn count(amount: u64) -> String {
    let digits = amount.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a time in seconds since 1970: `2026-11-02T20:36:21Z`.
pub fn time(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}

/// Returns `go 1.26.5`, with the architecture if it is not that of this machine.
pub fn title(version: &str, arch: Arch) -> String {
    match Some(arch) == Arch::host() {
        true => format!("go {version}"),
        false => format!("go {version} {arch}"),
    }
}

/// Formats the amount, duration and kind of a download.
pub fn downloaded(amount: u64, elapsed: Duration, used_delta: bool) -> String {
    format!(
        "{} downloaded in {:.1} s{}",
        bytes(amount),
        elapsed.as_secs_f64(),
        if used_delta { ", by delta" } else { "" },
    )
}

/// Abbreviates a checksum to 12 digits.
pub fn short(checksum: impl ToString) -> String {
    let mut text = checksum.to_string();
    text.truncate(12);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_formatted_with_units_and_separators() {
        let amounts = [
            0,
            999,
            1000,
            999_949,
            999_950,
            215_000_000,
            5_000_000_000_000_000,
        ];
        let shown: Vec<String> = amounts.iter().map(|n| bytes(*n)).collect();
        assert_eq!(
            shown,
            [
                "0 B",
                "999 B",
                "1.0 kB",
                "999.9 kB",
                "1.0 MB",
                "215.0 MB",
                "5000.0 TB"
            ]
        );
        assert_eq!(
            [0, 999, 1000, 11317, 1_234_567].map(count).join(" "),
            "0 999 1,000 11,317 1,234,567"
        );
        assert_eq!(time(1_234_567_890), "2009-02-13T23:31:30Z");
    }

    #[test]
    fn table_columns_are_aligned() {
        let rows = [
            vec!["a".to_owned(), "1".to_owned()],
            vec!["longer".to_owned(), String::new()],
        ];
        assert_eq!(
            table(&["NAME", "N"], &rows),
            "NAME    N\na       1\nlonger\n"
        );
    }
}
