//! The result of a verb.

use crate::error::CliError;
use crate::findings::Findings;
use serde::Serialize;
use std::process::ExitCode;

/// Version of the schema of all JSON documents. It stays the same when fields are added.
const SCHEMA: u32 = 1;
/// Exit code of a command that could not verify something.
const REFUSED: u8 = 3;
/// Exit code of a check that found damage.
const DAMAGED: u8 = 4;
/// Exit code of a command that changed nothing, with `--unchanged-exit-77`, and of a check that found
/// something to change.
const UNCHANGED: u8 = 77;

/// The reason why a line of the output is marked with colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emphasis {
    /// The active SDK.
    Active,
    /// Something that is damaged or wrong.
    Problem,
}

/// The result of a verb: its JSON document, its text and its exit code. `Output::report` prints it.
///
/// The fields are written to JSON in the order of their declaration.
pub trait Report: Serialize {
    /// Returns the text for people on standard output. It is empty if the messages on standard error
    /// say everything.
    fn human(&self) -> String {
        String::new()
    }

    /// Returns how a line of that text is emphasized where colour is used.
    fn emphasis(&self, line: &str) -> Option<Emphasis> {
        let _ = line;
        None
    }

    /// Returns the findings in files, for the formats that consist of them. `None`: the verb has no such
    /// result, and `Command::has_format` refuses the formats.
    fn findings(&self) -> Option<Findings> {
        None
    }

    /// Returns the exit code.
    fn exit_code(&self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

/// Returns the exit code of a command that continues after a failed verification.
pub fn refused_exit_code(is_refused: bool) -> ExitCode {
    match is_refused {
        true => ExitCode::from(REFUSED),
        false => ExitCode::SUCCESS,
    }
}

/// Returns the exit code of a check.
pub fn damaged_exit_code(is_damaged: bool) -> ExitCode {
    match is_damaged {
        true => ExitCode::from(DAMAGED),
        false => ExitCode::SUCCESS,
    }
}

/// Returns the exit code of a command with the option `--unchanged-exit-77`.
pub fn unchanged_exit_code(unchanged: bool, exit_77: bool) -> ExitCode {
    match unchanged && exit_77 {
        true => ExitCode::from(UNCHANGED),
        false => ExitCode::SUCCESS,
    }
}

/// Returns the exit code of `upgrade --check`.
pub fn changes_exit_code(changes: bool) -> ExitCode {
    match changes {
        true => ExitCode::from(UNCHANGED),
        false => ExitCode::SUCCESS,
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
    let text = serde_json::to_string_pretty(&document);
    text.map(|text| text + "\n")
        .map_err(|error| CliError::Output(error.into()))
}
