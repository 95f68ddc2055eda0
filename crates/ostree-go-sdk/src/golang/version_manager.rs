//! The files in which version managers keep the Go version of a project.

use super::version_rule::{InvalidVersionRule, VersionRule};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::{Spanned, Value};

/// A file of a version manager.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VersionManagerFile {
    /// The name of the file.
    pub(crate) name: &'static str,
    parse: fn(&str) -> Result<Option<Wanted>, VersionManagerError>,
}

/// The files, in the order of precedence in one directory.
pub(crate) const VERSION_MANAGER_FILES: [VersionManagerFile; 4] = [
    VersionManagerFile {
        name: ".go-version",
        parse: go_version,
    },
    VersionManagerFile {
        name: ".tool-versions",
        parse: tool_versions,
    },
    VersionManagerFile {
        name: "mise.toml",
        parse: mise,
    },
    VersionManagerFile {
        name: ".mise.toml",
        parse: mise,
    },
];

impl VersionManagerFile {
    /// Parses a file of this kind; returns `None` if it says nothing about Go.
    ///
    /// # Errors
    /// Returns an error if the file is malformed, or the text names no version.
    pub(crate) fn parse(self, bytes: &[u8]) -> Result<Option<Wanted>, VersionManagerError> {
        let text = std::str::from_utf8(bytes).map_err(|_| VersionManagerError::NotText)?;
        (self.parse)(text)
    }
}

/// The version that a file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) rule: VersionRule,
    /// The part of the file that asks for it.
    pub(crate) text: String,
    /// The number of its line, from 1.
    pub(crate) line: usize,
}

/// The reason why a file of a version manager is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionManagerError {
    /// The file is not UTF-8.
    #[error("the file is not text")]
    NotText,
    /// A line names no version.
    #[error("line {line}: {source}")]
    Version {
        /// The number of the line, from 1.
        line: usize,
        /// The reason.
        source: InvalidVersionRule,
    },
    /// The file is not valid TOML.
    #[error("line {line}: {message}")]
    Toml {
        /// The number of the line, from 1.
        line: usize,
        /// The reason.
        message: String,
    },
    /// A value in a TOML file is not a string.
    #[error("line {line}: the version of Go is {found}, expected a string")]
    Type {
        /// The number of the line, from 1.
        line: usize,
        /// The type of the value.
        found: &'static str,
    },
}

fn wanted(version: &str, text: String, line: usize) -> Result<Option<Wanted>, VersionManagerError> {
    match VersionRule::parse(version) {
        Ok(rule) => Ok(Some(Wanted { rule, text, line })),
        Err(source) => Err(VersionManagerError::Version { line, source }),
    }
}

/// Returns the lines without comments and the spaces around them, with their numbers from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().zip(1..);
    lines.map(|(line, number)| (number, line.split('#').next().unwrap_or_default().trim()))
}

/// `.go-version`, as goenv has it: a version on the first line that is not empty.
fn go_version(text: &str) -> Result<Option<Wanted>, VersionManagerError> {
    match lines(text).find(|(_, line)| !line.is_empty()) {
        Some((number, line)) => wanted(line, line.to_owned(), number),
        None => Ok(None),
    }
}

/// `.tool-versions`, as asdf has it: a line `golang 1.26.5`. Versions after the first one are those that
/// asdf falls back to.
fn tool_versions(text: &str) -> Result<Option<Wanted>, VersionManagerError> {
    for (number, line) in lines(text) {
        let mut words = line.split_whitespace();
        if let Some("golang" | "go") = words.next() {
            let version = words.next().unwrap_or_default();
            return wanted(version, line.to_owned(), number);
        }
    }
    Ok(None)
}

/// The names of Go in `mise.toml`.
const MISE_NAMES: [&str; 3] = ["go", "golang", "core:go"];

#[derive(Deserialize)]
struct Mise {
    #[serde(default)]
    tools: BTreeMap<String, Spanned<Value>>,
}

/// `mise.toml`: in the table `tools` a string, a list of which the first version counts, or a table with
/// the key `version`.
fn mise(text: &str) -> Result<Option<Wanted>, VersionManagerError> {
    let mise: Mise = toml::from_str(text).map_err(|error| VersionManagerError::Toml {
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        message: error.message().replace('\n', ", "),
    })?;
    let Some((name, value)) = MISE_NAMES
        .iter()
        .find_map(|name| mise.tools.get_key_value(*name))
    else {
        return Ok(None);
    };
    let line = line_of(text, value.span().start);
    match version_in(value.get_ref()) {
        Ok(version) => wanted(version, format!("{name} = \"{version}\""), line),
        Err(found) => Err(VersionManagerError::Type { line, found }),
    }
}

/// Returns the version in a value, or the type of a value that has none.
fn version_in(value: &Value) -> Result<&str, &'static str> {
    match value {
        Value::String(version) => Ok(version),
        Value::Array(all) => match all.first() {
            Some(first @ (Value::String(_) | Value::Table(_))) => version_in(first),
            Some(other) => Err(other.type_str()),
            None => Err("an empty list"),
        },
        Value::Table(table) => match table.get("version") {
            Some(Value::String(version)) => Ok(version),
            Some(other) => Err(other.type_str()),
            None => Err("a table without a version"),
        },
        other => Err(other.type_str()),
    }
}

/// Returns the number of the line that a byte is on, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.bytes().take(offset);
    1 + before.filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(name: &str, text: &str) -> Result<Option<Wanted>, VersionManagerError> {
        let file = VERSION_MANAGER_FILES.iter().find(|file| file.name == name);
        file.unwrap().parse(text.as_bytes())
    }

    fn found(name: &str, text: &str) -> String {
        match parse(name, text) {
            Ok(Some(wanted)) => format!("{}: {} ({})", wanted.line, wanted.text, wanted.rule),
            Ok(None) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn go_version_has_one_version() {
        let found = |text| found(".go-version", text);
        insta::assert_snapshot!(found("1.26.5\n"), @"1: 1.26.5 (go 1.26.5)");
        insta::assert_snapshot!(found("\r\n# ours\r\ngo1.26.5 # pinned\r\n1.25.1\r\n"), @"3: go1.26.5 (go 1.26.5)");
        insta::assert_snapshot!(found("1.26"), @"1: 1.26 (go 1.26 (any patch release))");
        insta::assert_snapshot!(found("system"), @"1: system (any Go)");
        insta::assert_snapshot!(found("# nothing\n"), @"nothing");
        insta::assert_snapshot!(found("1.26.5 1.26.4"), @"line 1: `1.26.5 1.26.4` names no Go version, expected the form 1.26.5, 1.26 or `latest`");
        insta::assert_snapshot!(found("\nlts"), @"line 2: `lts` names no Go version, expected the form 1.26.5, 1.26 or `latest`");
    }

    #[test]
    fn tool_versions_has_a_line_for_go() {
        let found = |text| found(".tool-versions", text);
        insta::assert_snapshot!(found("nodejs 22.1.0\r\ngolang  1.26.5 1.25.1 system # c\r\n"), @"2: golang  1.26.5 1.25.1 system (go 1.26.5)");
        insta::assert_snapshot!(found("go latest"), @"1: go latest (Go (any release))");
        insta::assert_snapshot!(found("nodejs 22.1.0\n"), @"nothing");
        insta::assert_snapshot!(found("golang\n"), @"line 1: `` names no Go version, expected the form 1.26.5, 1.26 or `latest`");
        insta::assert_snapshot!(found("golang ref:master"), @"line 1: `ref:master` names no Go version, expected the form 1.26.5, 1.26 or `latest`");
    }

    #[test]
    fn mise_has_several_forms() {
        let found = |text| found("mise.toml", text);
        insta::assert_snapshot!(found("[env]\nA = 1\n[tools]\nnode = 22\ngo = \"1.26.5\"\n"), @r#"5: go = "1.26.5" (go 1.26.5)"#);
        insta::assert_snapshot!(found("tools.go = ['1.26', '1.25']"), @r#"1: go = "1.26" (go 1.26 (any patch release))"#);
        insta::assert_snapshot!(found("[tools]\n'core:go' = { version = 'prefix:1.26', os = ['linux'] }"), @r#"2: core:go = "prefix:1.26" (go 1.26 (any patch release))"#);
        insta::assert_snapshot!(found("[tools.golang]\nversion = 'latest'"), @r#"1: golang = "latest" (Go (any release))"#);
        insta::assert_snapshot!(found("[tools]\nnode = '22'"), @"nothing");
        insta::assert_snapshot!(found("[env]"), @"nothing");
        // 1.10 would be read as 1.1.
        insta::assert_snapshot!(found("[tools]\ngo = 1.26"), @"line 2: the version of Go is float, expected a string");
        insta::assert_snapshot!(found("[tools]\ngo = []"), @"line 2: the version of Go is an empty list, expected a string");
        insta::assert_snapshot!(found("[tools]\n\ngo = 'lts'"), @"line 3: `lts` names no Go version, expected the form 1.26.5, 1.26 or `latest`");
        let error = parse("mise.toml", "[tools]\ngo = \n").unwrap_err();
        assert!(
            matches!(error, VersionManagerError::Toml { line: 2, .. }),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_version_or_an_error(text in r#"(go|golang|\[tools\]|=|"|'|1.26|[ \n\r#.,{}]|.){0,30}"#) {
            for file in VERSION_MANAGER_FILES {
                let _ = file.parse(text.as_bytes());
            }
        }
    }
}
