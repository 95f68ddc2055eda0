//! Changes of the `go` and `toolchain` lines in the text of a file. All other bytes stay the same.
//!
//! Source of the places of new lines: `AddGoStmt` and `AddToolchainStmt` in
//! `golang.org/x/mod/modfile`, `rule.go` and `work.go`.

use super::error::ModFileError;
use super::syntax::{self, Directive};
use super::{FileKind, GoMod};

/// The change of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LineChange {
    /// The line stays as it is.
    #[default]
    Keep,
    /// The line gets this value; it is added if there is none.
    Set(String),
    /// The line is removed, together with the comment at its end and with an empty line beside it.
    Remove,
}

/// The changes of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// The version in the `go` line.
    pub go: LineChange,
    /// The name in the `toolchain` line.
    pub toolchain: LineChange,
}

/// Changes the text of a file. The values have to be valid.
///
/// A new `go` line comes after the `module` line of a `go.mod` file, and before the first directive of
/// a `go.work` file; a new `toolchain` line comes after the `go` line. New lines are separated by empty
/// ones, as the go command does, and end like the line before them.
///
/// # Errors
/// Returns an error if the syntax is wrong, or a `go` or `toolchain` line is repeated or names no
/// version.
pub fn edit(bytes: &[u8], kind: FileKind, edit: &Edit) -> Result<Vec<u8>, ModFileError> {
    let edited = change(bytes, kind, "go", &edit.go)?;
    change(&edited, kind, "toolchain", &edit.toolchain)
}

fn change(
    bytes: &[u8],
    kind: FileKind,
    verb: &str,
    change: &LineChange,
) -> Result<Vec<u8>, ModFileError> {
    GoMod::parse_versions(bytes)?;
    let text = String::from_utf8_lossy(bytes);
    let directives = syntax::parse(&text)?;
    let find = |verb: &str| directives.iter().find(|directive| directive.verb == verb);
    let mut lines = Lines::new(bytes);
    match (find(verb), change) {
        (Some(found), LineChange::Set(value)) => lines.set(found.line - 1, verb, value),
        (Some(found), LineChange::Remove) => lines.remove(found.line - 1),
        (None, LineChange::Set(value)) => {
            let at = match (find("go"), kind) {
                (Some(go), _) => Some(go.end),
                (None, FileKind::Module) => find("module").map(|module| module.end),
                (None, FileKind::Workspace) => lines.before(directives.first()),
            };
            lines.insert(at.unwrap_or(lines.0.len()), verb, value);
        }
        _ => {}
    }
    Ok(lines.0.concat())
}

/// The lines of a file with their ends. Indices count from 0.
struct Lines(Vec<Vec<u8>>);

impl Lines {
    fn new(bytes: &[u8]) -> Self {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        Self(lines.map(<[u8]>::to_vec).collect())
    }

    fn is_blank(&self, index: usize) -> bool {
        let line = self.0.get(index);
        line.is_some_and(|line| line.trim_ascii().is_empty())
    }

    /// Returns the index before a directive and the comments that belong to it.
    fn before(&self, directive: Option<&Directive<'_>>) -> Option<usize> {
        let mut index = directive?.start - 1;
        while index > 0 && self.0[index - 1].trim_ascii().starts_with(b"//") {
            index -= 1;
        }
        Some(index)
    }

    /// Changes the argument of the directive in a line.
    fn set(&mut self, index: usize, verb: &str, value: &str) {
        let Some(line) = self.0.get_mut(index) else {
            return;
        };
        let skip_spaces = |from: usize| {
            let spaces = line[from..]
                .iter()
                .take_while(|byte| b" \t\r".contains(byte));
            from + spaces.count()
        };
        let start = skip_spaces(skip_spaces(0) + verb.len());
        let rest = &line[start..];
        let is_end = |at: usize| b" \t\r\n".contains(&rest[at]) || rest[at..].starts_with(b"//");
        let end = (0..rest.len()).find(|at| is_end(*at));
        let end = start + end.unwrap_or(rest.len());
        line.splice(start..end, value.bytes());
    }

    /// Removes a line, and one of the empty lines on both sides of it.
    fn remove(&mut self, index: usize) {
        let is_last = index + 1 >= self.0.len();
        if index > 0 && self.is_blank(index - 1) && (is_last || self.is_blank(index + 1)) {
            self.0.drain(index - 1..=index);
        } else if index == 0 && self.is_blank(1) {
            self.0.drain(0..=1);
        } else {
            self.0.remove(index);
        }
    }

    /// Inserts a line before that with an index, and separates it from its neighbours.
    fn insert(&mut self, index: usize, verb: &str, value: &str) {
        let neighbour = self.0.get(index.saturating_sub(1));
        let neighbour = neighbour.filter(|line| line.ends_with(b"\n"));
        let is_crlf = |line: &Vec<u8>| line.ends_with(b"\r\n");
        let end = match neighbour.or(self.0.first()).is_some_and(is_crlf) {
            true => "\r\n",
            false => "\n",
        };
        if let Some(before) = index.checked_sub(1).and_then(|index| self.0.get_mut(index))
            && !before.ends_with(b"\n")
        {
            before.extend_from_slice(end.as_bytes());
        }
        let needs_blank =
            |at: Option<usize>| at.is_some_and(|at| at < self.0.len() && !self.is_blank(at));
        let mut new = Vec::new();
        if needs_blank(index.checked_sub(1)) {
            new.push(end.as_bytes().to_vec());
        }
        let needs_blank_after = needs_blank(Some(index));
        new.push(format!("{verb} {value}{end}").into_bytes());
        if needs_blank_after {
            new.push(end.as_bytes().to_vec());
        }
        self.0.splice(index..index, new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golang::modfile::{GoWork, Value};
    use proptest::prelude::*;

    fn set(value: &str) -> LineChange {
        LineChange::Set(value.to_owned())
    }

    fn edited(text: &str, kind: FileKind, go: LineChange, toolchain: LineChange) -> String {
        let changes = Edit { go, toolchain };
        String::from_utf8(edit(text.as_bytes(), kind, &changes).unwrap()).unwrap()
    }

    fn module(text: &str, go: LineChange, toolchain: LineChange) -> String {
        edited(text, FileKind::Module, go, toolchain)
    }

    const BOTH: &str = "// A module.\r\nmodule a //x\r\n\r\ngo\t1.25 // old\r\n\r\n toolchain  go1.25.1//y\r\n\r\nrequire (\r\n)\r\n";

    #[test]
    fn only_the_values_change() {
        let changed = module(BOTH, set("1.26.5"), set("go1.27rc1"));
        let expected = BOTH
            .replace("1.25 ", "1.26.5 ")
            .replace("go1.25.1", "go1.27rc1");
        assert_eq!(changed, expected);
        assert_eq!(module(BOTH, LineChange::Keep, LineChange::Keep), BOTH);
        let removed = module(BOTH, LineChange::Keep, LineChange::Remove);
        assert_eq!(removed, BOTH.replace("\r\n toolchain  go1.25.1//y\r\n", ""));
        // Bytes that are not UTF-8 stay.
        let text = b"module a // \xff\ngo 1.25 // \xfe\n";
        let changes = Edit {
            go: set("1.26"),
            toolchain: LineChange::Keep,
        };
        let changed = edit(text, FileKind::Module, &changes).unwrap();
        assert_eq!(changed, b"module a // \xff\ngo 1.26 // \xfe\n");
    }

    #[test]
    fn new_lines_have_the_places_that_go_gives_them() {
        let toolchain = |text: &str| module(text, LineChange::Keep, set("go1.26.5"));
        assert_eq!(
            toolchain("module a\n\ngo 1.25\n"),
            "module a\n\ngo 1.25\n\ntoolchain go1.26.5\n"
        );
        assert_eq!(
            toolchain("go 1.25\r\n\r\nrequire b v1.0.0"),
            "go 1.25\r\n\r\ntoolchain go1.26.5\r\n\r\nrequire b v1.0.0"
        );
        assert_eq!(
            toolchain("go 1.25\nmodule a"),
            "go 1.25\n\ntoolchain go1.26.5\n\nmodule a"
        );
        assert_eq!(toolchain("module a"), "module a\n\ntoolchain go1.26.5\n");
        assert_eq!(
            toolchain("module (\n\ta\n)\n\ntool a/b\n"),
            "module (\n\ta\n)\n\ntoolchain go1.26.5\n\ntool a/b\n"
        );
        assert_eq!(toolchain(""), "toolchain go1.26.5\n");
        assert_eq!(
            module("module a\n", set("1.26.5"), set("go1.27.1")),
            "module a\n\ngo 1.26.5\n\ntoolchain go1.27.1\n"
        );
        let work = |text: &str| edited(text, FileKind::Workspace, set("1.26"), set("go1.26.5"));
        assert_eq!(
            work("// Ours.\n\n// Both.\nuse (\n\t./a\n)\n"),
            "// Ours.\n\ngo 1.26\n\ntoolchain go1.26.5\n\n// Both.\nuse (\n\t./a\n)\n"
        );
        assert_eq!(
            work("use ./a\ngo 1.25\n"),
            "use ./a\ngo 1.26\n\ntoolchain go1.26.5\n"
        );
        assert_eq!(work(""), "go 1.26\n\ntoolchain go1.26.5\n");
        let removed = |text: &str| module(text, LineChange::Keep, LineChange::Remove);
        assert_eq!(
            removed("go 1.26\ntoolchain go1.26.5\nmodule a\n"),
            "go 1.26\nmodule a\n"
        );
        assert_eq!(removed("toolchain go1.26.5\n\nmodule a\n"), "module a\n");
        assert_eq!(removed("go 1.26\n\ntoolchain go1.26.5\n"), "go 1.26\n");
    }

    /// A line of a file, without its end.
    fn line() -> impl Strategy<Value = String> {
        let more = [
            "",
            "",
            "// c",
            "\t",
            "require a.b/c v1.0.0 // indirect",
            "future (",
            "\tx // y",
            ")",
            "use ./a",
            "module a.b/d",
            "replace (",
            "retract v1.0.0",
        ];
        proptest::sample::select(more.to_vec()).prop_map(str::to_owned)
    }

    fn file() -> impl Strategy<Value = String> {
        let versions = (0u32..30, "[ \t]{1,3}", "( *//[^\n\r]{0,5})?");
        let go = versions.prop_map(|(minor, space, end)| format!("go{space}1.{minor}{end}"));
        let names = (0u32..30, "[ \t]{0,3}", "( *//[^\n\r]{0,5})?");
        let toolchain =
            names.prop_map(|(minor, space, end)| format!("{space}toolchain go1.{minor}.1{end}"));
        let lines = (
            proptest::collection::vec(line(), 0..6),
            proptest::option::of(go),
            proptest::collection::vec(line(), 0..6),
            proptest::option::of(toolchain),
            proptest::collection::vec(line(), 0..6),
        );
        (lines, "\r?\n", "\r?\n?").prop_map(|((a, go, b, toolchain, c), end, last)| {
            let lines: Vec<String> =
                [a, Vec::from_iter(go), b, Vec::from_iter(toolchain), c].concat();
            lines.join(&end) + &last
        })
    }

    fn value(line: Option<Value>) -> Option<String> {
        line.map(|line| line.text)
    }

    /// The lines that remain if the lines that may change are left out.
    fn others(text: &str) -> Vec<&str> {
        let lines = text.split_inclusive('\n');
        let is_other = |line: &&str| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("go") && !line.starts_with("toolchain")
        };
        lines
            .filter(is_other)
            .map(|line| line.trim_end_matches(['\r', '\n']))
            .collect()
    }

    proptest! {
        #[test]
        fn an_edited_file_has_the_values_and_no_other_change(
            text in file(),
            go in proptest::option::of("1\\.2[1-9]\\.[0-9]"),
            toolchain in proptest::option::of(proptest::option::of("go1\\.2[1-9]\\.[0-9](-acme1)?")),
            is_module in any::<bool>(),
        ) {
            let kind = if is_module { FileKind::Module } else { FileKind::Workspace };
            let Ok(before) = GoWork::parse_versions(text.as_bytes()) else {
                return Ok(());
            };
            let changes = Edit {
                go: go.clone().map_or(LineChange::Keep, LineChange::Set),
                toolchain: match toolchain.clone() {
                    None => LineChange::Keep,
                    Some(None) => LineChange::Remove,
                    Some(Some(name)) => LineChange::Set(name),
                },
            };
            let changed = edit(text.as_bytes(), kind, &changes).unwrap();
            let after = GoWork::parse_versions(&changed).unwrap();
            prop_assert_eq!(value(after.go), go.or(value(before.go)));
            prop_assert_eq!(value(after.toolchain), toolchain.unwrap_or(value(before.toolchain)));
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(others(&changed), others(&text));
            // Editing again changes nothing.
            let again = edit(changed.as_bytes(), kind, &changes).unwrap();
            prop_assert_eq!(String::from_utf8(again).unwrap(), changed);
        }
    }
}
