//! Writes pins into the text of a treefile, and leaves the rest of the text as it is.

use std::path::Path;
use std::sync::Arc;

use super::error::{TreefileError, TreefileProblem as Problem};
use super::mark::Mark;
use super::node::{Node, Value};
use super::spec::Pin;
use super::value::Text;
use crate::arch::Arch;
use crate::golang::h1::H1;
use crate::id::Sha256;

/// The key of pins.
const PIN: &str = "pin";

/// Writes pins into the text of a treefile, which is called `file` in errors. Existing hashes are
/// replaced where they are; others are added. Comments, the order of keys and the layout are kept.
///
/// A hash that `pins` does not have stays as it is. Therefore a SHA-256 in the text is an error if
/// `pins` has another `h1` for that architecture, but no SHA-256: the two would belong to different
/// versions.
///
/// # Errors
/// Returns an error if the text is not a treefile, if a hash would belong to another version, or if
/// the pins are written in a way that cannot be edited.
pub fn write_pins(text: &str, file: &Path, pins: &[(Arch, Pin)]) -> Result<String, TreefileError> {
    let file: Arc<Path> = Arc::from(file);
    let original = Node::parse(text, &file)?;
    let mut edited = text.to_owned();
    for (arch, pin) in pins {
        let old = old_pin(&original, *arch)?;
        if pin.sha256.is_none() && old.sha256.is_some() && old.h1 != pin.h1 {
            let message = "the SHA-256 of this version is not known, because no `index` source could be read, expected a pin without `sha256`";
            let mark = original.get(PIN).map_or(&original.mark, |pin| &pin.mark);
            let error = TreefileError::new(mark, Problem::Value(message.to_owned()));
            return Err(error.in_key(arch.basearch()).in_key(PIN));
        }
        let h1 = pin.h1.map(|h1| ("h1", h1.to_string()));
        let sha256 = pin.sha256.map(|sha256| ("sha256", sha256.to_string()));
        for (key, hash) in h1.into_iter().chain(sha256) {
            let root = Node::parse(&edited, &file).map_err(|_| not_editable(&original))?;
            edited = Editor {
                text: &edited,
                root: &root,
            }
            .set(&[PIN, arch.basearch(), key], &hash)?;
        }
    }
    check(&original, &edited, &file, pins)?;
    Ok(edited)
}

/// Reads the pin of an architecture in a treefile that was not merged with its includes.
fn old_pin(root: &Node, arch: Arch) -> Result<Pin, TreefileError> {
    let Some(pin) = root.get(PIN).and_then(|pin| pin.get(arch.basearch())) else {
        return Ok(Pin::default());
    };
    let in_key = |error: TreefileError| error.in_key(arch.basearch()).in_key(PIN);
    let sha256: Option<Text<Sha256>> = pin
        .get("sha256")
        .map(Node::read)
        .transpose()
        .map_err(in_key)?;
    let h1: Option<Text<H1>> = pin.get("h1").map(Node::read).transpose().map_err(in_key)?;
    Ok(Pin {
        sha256: sha256.map(|Text(sha256)| sha256),
        h1: h1.map(|Text(h1)| h1),
    })
}

/// Returns the error for pins that can only be changed by hand.
fn not_editable(original: &Node) -> TreefileError {
    let mark = original.get(PIN).map_or(&original.mark, |pin| &pin.mark);
    let message = "the pins cannot be changed without changing other lines, expected `pin` with one line for each hash";
    TreefileError::new(mark, Problem::Value(message.to_owned()))
}

/// Checks that the edited text has the pins, and is otherwise the same treefile.
fn check(
    original: &Node,
    edited: &str,
    file: &Arc<Path>,
    pins: &[(Arch, Pin)],
) -> Result<(), TreefileError> {
    let refuse = || not_editable(original);
    let edited = Node::parse(edited, file).map_err(|_| refuse())?;
    for (arch, pin) in pins {
        let found = old_pin(&edited, *arch)?;
        let missing = found.h1 != pin.h1 || pin.sha256.is_some_and(|sha| found.sha256 != Some(sha));
        if missing {
            return Err(refuse());
        }
    }
    let others = |root: &Node| {
        let mut root = root.clone();
        root.remove(PIN);
        content(&root)
    };
    match others(original) == others(&edited) {
        true => Ok(()),
        false => Err(refuse()),
    }
}

/// Returns the content of a node without its position.
fn content(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Scalar { text, plain } => serde_json::json!([text, plain]),
        Value::List(nodes) => nodes.iter().map(content).collect(),
        Value::Map(entries) => {
            let entries = entries.iter();
            entries
                .map(|(key, node)| (key.text.clone(), content(node)))
                .collect()
        }
    }
}

/// Editor of one value.
struct Editor<'a> {
    text: &'a str,
    root: &'a Node,
}

impl Editor<'_> {
    /// Sets the value at a path of keys, and adds the keys that are missing.
    fn set(&self, path: &[&str], value: &str) -> Result<String, TreefileError> {
        let mut node = self.root;
        for (depth, key) in path.iter().enumerate() {
            let Value::Map(entries) = &node.value else {
                let error = node.unexpected("a map");
                let outer = path[..depth].iter().rev();
                return Err(outer.fold(error, |error, key| error.in_key(*key)));
            };
            match node.get(key) {
                Some(inner) => node = inner,
                None => return Ok(self.insert(node, entries.is_empty(), &path[depth..], value)),
            }
        }
        Ok(self.replace(&node.mark, value))
    }

    /// Replaces a scalar on one line, and keeps its quotes.
    fn replace(&self, mark: &Mark, value: &str) -> String {
        let (before, rest) = self.text.split_at(self.offset(mark));
        let (open, length) = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => (1, rest[1..].find(quote)),
            _ => (
                0,
                rest.find(|c: char| c.is_whitespace() || ",}]".contains(c)),
            ),
        };
        let length = length.unwrap_or(rest.len() - open);
        let (quote, after) = (&rest[..open], &rest[open + length..]);
        format!("{before}{quote}{value}{after}")
    }

    /// Inserts keys with a value into a map, which may be empty.
    fn insert(&self, map: &Node, is_empty: bool, keys: &[&str], value: &str) -> String {
        let offset = self.offset(&map.mark);
        if self.text[offset..].starts_with('{') {
            // Between braces, quotes are never wrong, and in JSON they are required.
            let is_json = self.text.trim_start().starts_with('{');
            let mut entry = format!("\"{value}\"");
            for (depth, key) in keys.iter().rev().enumerate() {
                let quote = if is_json { "\"" } else { "" };
                entry = match depth {
                    0 => format!("{quote}{key}{quote}: {entry}"),
                    _ => format!("{quote}{key}{quote}: {{ {entry} }}"),
                };
            }
            let (before, after) = self.text.split_at(offset + 1);
            let comma = match is_empty {
                true => " ",
                false => ",",
            };
            return format!("{before} {entry}{comma}{after}");
        }
        let newline = match self.text.contains("\r\n") {
            true => "\r\n",
            false => "\n",
        };
        let mut lines = String::new();
        for (depth, key) in keys.iter().enumerate() {
            let indent = " ".repeat(map.mark.column.saturating_sub(1) + 2 * depth);
            let value = match depth + 1 == keys.len() {
                true => format!(" {value}"),
                false => String::new(),
            };
            lines.push_str(&format!("{indent}{key}:{value}{newline}"));
        }
        // The keys of the whole treefile are added at its end, others after the last one of the map.
        let end = match keys.first() {
            Some(&PIN) => self.text.len(),
            _ => self.line(last_line(map) + 1),
        };
        let (before, after) = self.text.split_at(end);
        let separator = match before.ends_with('\n') {
            true => "",
            false => newline,
        };
        format!("{before}{separator}{lines}{after}")
    }

    /// Returns the offset in bytes of a position.
    fn offset(&self, mark: &Mark) -> usize {
        let start = self.line(mark.line);
        let mut characters = self.text[start..].char_indices();
        let found = characters.nth(mark.column.saturating_sub(1));
        found.map_or(self.text.len(), |(offset, _)| start + offset)
    }

    /// Returns the offset in bytes of the start of a line, counted from 1.
    fn line(&self, number: usize) -> usize {
        let lines = self.text.split_inclusive('\n');
        lines.take(number.saturating_sub(1)).map(str::len).sum()
    }
}

/// Returns the last line on which a key or value of a node starts.
fn last_line(node: &Node) -> usize {
    let below = match &node.value {
        Value::Scalar { .. } => None,
        Value::List(nodes) => nodes.iter().map(last_line).max(),
        Value::Map(entries) => {
            let lines = entries.iter();
            lines
                .map(|(key, node)| key.mark.line.max(last_line(node)))
                .max()
        }
    };
    below.unwrap_or_default().max(node.mark.line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap as Map;

    const H1_OLD: &str = "h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=";
    const H1_NEW: &str = "h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=";

    fn pins(arches: &[Arch], sha256: bool) -> Vec<(Arch, Pin)> {
        let pin = Pin {
            h1: Some(H1_NEW.parse().unwrap()),
            sha256: sha256.then(|| Sha256::new([0xab; 32])),
        };
        arches.iter().map(|arch| (*arch, pin)).collect()
    }

    fn write(text: &str, pins: &[(Arch, Pin)]) -> Result<String, String> {
        write_pins(text, Path::new("t.yaml"), pins).map_err(|error| error.to_string())
    }

    /// Writes pins with an `h1` and a SHA-256 for both architectures, and checks that writing them
    /// again changes nothing.
    fn both(text: &str) -> String {
        let pins = pins(&Arch::ALL, true);
        let once = write(text, &pins).unwrap();
        assert_eq!(write(&once, &pins).unwrap(), once);
        once.replace(&"ab".repeat(32), "SHA256")
    }

    #[test]
    fn pins_are_added_at_the_end() {
        insta::assert_snapshot!(both("# Our Go.\nversion: 1.26.10 # new\n\nlayers: {}\n"), @"
        # Our Go.
        version: 1.26.10 # new

        layers: {}
        pin:
          x86_64:
            h1: h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=
            sha256: SHA256
          aarch64:
            h1: h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=
            sha256: SHA256
        ");
        let no_newline = write("version: 1.26.10", &pins(&[Arch::X86_64], false)).unwrap();
        assert_eq!(
            no_newline,
            format!("version: 1.26.10\npin:\n  x86_64:\n    h1: {H1_NEW}\n")
        );
        let windows = write("version: 1.26.10\r\n", &pins(&[Arch::X86_64], false)).unwrap();
        assert_eq!(
            windows.matches("\r\n").count(),
            windows.matches('\n').count()
        );
    }

    #[test]
    fn hashes_are_replaced_where_they_are() {
        let zeros = "0".repeat(64);
        let text = format!(
            "version: 1.26.10\npin:\n    # Intel\n    x86_64:\n        h1:  {H1_OLD}  # from sum.golang.org\n    # Arm\n    aarch64: {{ sha256: '{zeros}', h1: \"{H1_OLD}\" }} # both\nlayers: {{}} # end\n"
        );
        insta::assert_snapshot!(both(&text), @r#"
        version: 1.26.10
        pin:
            # Intel
            x86_64:
                h1:  h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=  # from sum.golang.org
                sha256: SHA256
            # Arm
            aarch64: { sha256: 'SHA256', h1: "h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=" } # both
        layers: {} # end
        "#);
    }

    #[test]
    fn architectures_are_added_to_the_others() {
        let block = format!("pin:\n  x86_64:\n    h1: {H1_OLD}\n\n# Layers.\nlayers: {{}}\n");
        insta::assert_snapshot!(both(&block), @"
        pin:
          x86_64:
            h1: h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=
            sha256: SHA256
          aarch64:
            h1: h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=
            sha256: SHA256

        # Layers.
        layers: {}
        ");
        let flow = format!("pin: {{ x86_64: {{ h1: \"{H1_OLD}\" }} }}\n");
        insta::assert_snapshot!(both(&flow), @r#"pin: { aarch64: { sha256: "SHA256", h1: "h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=" }, x86_64: { sha256: "SHA256", h1: "h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=" } }"#);
        insta::assert_snapshot!(both("version: 1.26.10\npin: {}\n"), @r#"
        version: 1.26.10
        pin: { aarch64: { sha256: "SHA256", h1: "h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=" }, x86_64: { sha256: "SHA256", h1: "h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=" } }
        "#);
    }

    #[test]
    fn json_stays_json() {
        let text = "{\n  \"version\": \"1.26.10\",\n  \"layers\": {}\n}\n";
        let written = both(text);
        let json: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(json["pin"]["aarch64"]["h1"], H1_NEW);
        assert_eq!(json["version"], "1.26.10");
    }

    #[test]
    fn pins_that_cannot_be_edited_are_refused() {
        let zeros = "0".repeat(64);
        let stale = format!("pin:\n  x86_64: {{ sha256: {zeros}, h1: \"{H1_OLD}\" }}\n");
        let error = |text: &str, sha256| write(text, &pins(&[Arch::X86_64], sha256)).unwrap_err();
        insta::assert_snapshot!(error(&stale, false), @"t.yaml:2: pin.x86_64: the SHA-256 of this version is not known, because no `index` source could be read, expected a pin without `sha256`");
        insta::assert_snapshot!(error("version: 1.26.10\npin:\n", true), @"t.yaml:2: pin: expected a map, found nothing");
        insta::assert_snapshot!(error("version: 1.26.10\n...\n", true), @"t.yaml:1: the pins cannot be changed without changing other lines, expected `pin` with one line for each hash");
        // The same version: what is not known stays.
        let same = format!("pin:\n  x86_64: {{ sha256: {zeros}, h1: \"{H1_NEW}\" }}\n");
        assert_eq!(write(&same, &pins(&[Arch::X86_64], false)).unwrap(), same);
    }

    #[test]
    fn shipped_treefiles_can_be_edited() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../treefiles");
        let mut seen = Map::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let written = both(&text);
            let kept = text.lines().filter(|line| !line.contains("h1:"));
            assert!(kept.clone().all(|line| written.contains(line)), "{written}");
            seen.insert(path, written);
        }
        assert!(seen.len() >= 3);
    }
}
