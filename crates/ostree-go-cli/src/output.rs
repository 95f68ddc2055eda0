//! Standard output is data, standard error is talk. Everything printed goes through here.

use crate::cli::{Format, GlobalArgs};
use crate::error::CliError;
use crate::progress::ProgressMode;
use crate::settings::Settings;
use clap::ColorChoice;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// The version of every JSON document's shape. Fields may be added without raising it.
pub const SCHEMA: u32 = 1;

/// Where a command prints.
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

    /// For what has to be said while the arguments are not understood.
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

    /// Prints the data: `human` as text, or `json` as one document with its schema number.
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

    /// Prints bytes as they are.
    #[allow(clippy::unused_self)]
    pub fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            // `ostree-go list | head` is no failure.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
            _ => Ok(()),
        }
    }

    /// Says something to a person, or as an event where standard error is for a program.
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

    /// Whether standard error is for a program, which reads a JSON object a line.
    pub fn is_json_lines(&self) -> bool {
        self.json_lines
    }

    /// Tells a program that reads standard error of something.
    pub fn event(&self, event: &serde_json::Value) {
        if self.json_lines && !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{event}");
        }
    }

    /// Shows an error: three lines at most. In JSON it is the one document of the run as well.
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

/// A JSON document with its schema number.
pub fn document(content: &impl Serialize) -> Result<String, CliError> {
    let document = Document {
        schema: SCHEMA,
        content,
    };
    serde_json::to_string_pretty(&document).map_err(|error| CliError::Output(error.into()))
}

/// A table for people: columns as wide as their widest cell, two spaces between.
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

/// An amount of bytes for people, in decimal units as the network and the disk count them.
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

/// A count for people: `11,317`.
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

/// A time for people and programs: `2026-11-02T20:36:21Z`.
pub fn time(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}

/// Enough of a checksum to tell it from others.
pub fn short(checksum: impl ToString) -> String {
    let mut text = checksum.to_string();
    text.truncate(12);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_for_people() {
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
    fn tables_align() {
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
