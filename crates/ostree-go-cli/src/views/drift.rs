//! Differences between a lock of a workspace and its present state.

use super::value::PathText;
use crate::text::table;
use ostree_go_sdk::workspace::Drift;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Serialize)]
pub struct DriftView {
    pub unit: String,
    pub what: &'static str,
    pub message: String,
    pub path: Option<PathText<PathBuf>>,
    pub line: Option<usize>,
    pub expected: Option<String>,
    pub found: Option<String>,
}

impl From<Drift> for DriftView {
    fn from(drift: Drift) -> Self {
        Self {
            unit: drift.unit,
            what: drift.what.as_str(),
            message: drift.what.to_string(),
            path: drift.path.map(PathText),
            line: drift.line,
            expected: drift.expected,
            found: drift.found,
        }
    }
}

/// Formats differences as a table.
pub fn drift_table(drift: &[DriftView]) -> String {
    let rows: Vec<Vec<String>> = drift.iter().map(row).collect();
    table(&["UNIT", "DRIFT", "PATH", "EXPECTED → FOUND"], &rows)
}

fn row(drift: &DriftView) -> Vec<String> {
    let path = drift.path.as_ref().map(|path| path.0.display().to_string());
    let path = match (path, drift.line) {
        (Some(path), Some(line)) => format!("{path}:{line}"),
        (path, _) => path.unwrap_or_else(|| "-".to_owned()),
    };
    let value = |value: &Option<String>| {
        let value = value.as_deref().unwrap_or("nothing");
        let words = value.split(' ').map(abbreviated);
        words.collect::<Vec<_>>().join(" ")
    };
    let values = format!("{} → {}", value(&drift.expected), value(&drift.found));
    vec![drift.unit.clone(), drift.what.to_owned(), path, values]
}

/// Abbreviates a checksum to 12 digits, and a hash to as many characters of its base64.
fn abbreviated(word: &str) -> String {
    let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let length = match word {
        word if is_hex && word.len() >= 40 => 12,
        word if word.starts_with("h1:") => 15,
        word => word.len(),
    };
    word.get(..length).unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_abbreviated_and_lines_are_shown() {
        let drift = |line, expected: &str, found: Option<&str>| DriftView {
            unit: ".".to_owned(),
            what: "go-line-changed",
            message: String::new(),
            path: Some(PathText("go.mod".into())),
            line,
            expected: Some(expected.to_owned()),
            found: found.map(str::to_owned),
        };
        let hash = format!("h1:{}=", "a".repeat(43));
        let rows = [
            drift(Some(3), "1.26", Some("1.27")),
            drift(None, &"0".repeat(64), None),
            drift(None, &hash, Some("x v1.0.0")),
        ];
        assert_eq!(
            drift_table(&rows),
            "UNIT  DRIFT            PATH      EXPECTED → FOUND\n\
             .     go-line-changed  go.mod:3  1.26 → 1.27\n\
             .     go-line-changed  go.mod    000000000000 → nothing\n\
             .     go-line-changed  go.mod    h1:aaaaaaaaaaaa → x v1.0.0\n"
        );
    }
}
