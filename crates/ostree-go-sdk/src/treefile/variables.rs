//! Expansion of `${name}` in texts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::error::{TreefileError, TreefileProblem as Problem};
use super::node::{Node, Value};
use crate::arch::Arch;
use crate::version::GoVersion;

/// Maximum size of all expanded texts of a treefile, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// Maximum nesting depth of variables.
const MAX_DEPTH: usize = 32;

/// The variables of one release: the built-in ones, `prefix`, and those of the treefile.
///
/// `prefix` and the treefile's variables may refer to others; each is expanded when it is
/// first used, and only once.
pub(super) struct Variables<'a> {
    builtin: BTreeMap<&'static str, String>,
    written: BTreeMap<&'a str, &'a Node>,
    expanded: RefCell<BTreeMap<&'a str, String>>,
    /// The variables being expanded, outermost first, to detect cycles.
    open: RefCell<Vec<&'a str>>,
    bytes_left: Cell<usize>,
}

/// Variables that are only available at one position, with their values.
pub(super) type Local<'a> = [(&'static str, &'a str)];

/// Names of built-in variables, which a treefile cannot set.
const RESERVED: [&str; 8] = [
    "basearch",
    "goarch",
    "version",
    "go-version",
    "minor",
    "prefix",
    "layer",
    "checksum",
];

impl<'a> Variables<'a> {
    /// Collects `prefix` and `variables` from the merged treefile and expands them.
    pub fn new(
        root: &'a Node,
        arch: Arch,
        (version, go_version): (&GoVersion, &GoVersion),
    ) -> Result<Self, TreefileError> {
        let builtin = BTreeMap::from([
            ("basearch", arch.basearch().to_owned()),
            ("goarch", arch.goarch().to_owned()),
            ("version", version.to_string()),
            ("go-version", go_version.to_string()),
            ("minor", version.minor()),
        ]);
        let mut written = BTreeMap::new();
        if let Some(prefix) = root.get("prefix") {
            written.insert("prefix", prefix);
        }
        if let Some(variables) = root.get("variables") {
            let Value::Map(entries) = &variables.value else {
                return Err(variables.unexpected("a map").in_key("variables"));
            };
            for (key, node) in entries {
                let problem = if RESERVED.contains(&key.text.as_str()) {
                    "is a built-in variable and cannot be set"
                } else if !is_name(&key.text) {
                    "is not a variable's name, expected lower-case letters, digits, `-` and `_`"
                } else {
                    written.insert(&*key.text, node);
                    continue;
                };
                let name = super::error::clean(&key.text);
                let problem = Problem::Value(format!("`{name}` {problem}"));
                return Err(TreefileError::new(&key.mark, problem).in_key("variables"));
            }
        }
        let variables = Self {
            builtin,
            written,
            expanded: RefCell::default(),
            open: RefCell::default(),
            bytes_left: Cell::new(MAX_BYTES),
        };
        for name in variables.written.keys() {
            variables.value(name)?;
        }
        Ok(variables)
    }

    /// Expands the variables in `text`.
    ///
    /// `$$` becomes `$`; a `$` before any character but `$` and `{` is kept, so that shell
    /// scripts need no escaping.
    pub fn expand(&self, text: &str, local: &Local<'_>) -> Result<String, TreefileError> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                expanded.push('$');
                rest = after;
            } else if let Some(after) = after.strip_prefix('{') {
                let Some((name, after)) = after.split_once('}') else {
                    let message = "`${` has no closing `}`; write `$$` for a literal `$`";
                    return Err(TreefileError::without_position(Problem::Value(
                        message.to_owned(),
                    )));
                };
                self.push(&mut expanded, name, local)?;
                rest = after;
            } else {
                expanded.push('$');
                rest = after;
            }
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn push(&self, text: &mut String, name: &str, local: &Local<'_>) -> Result<(), TreefileError> {
        if let Some((_, value)) = local.iter().find(|(known, _)| *known == name) {
            return self.append(text, value);
        }
        if let Some(value) = self.builtin.get(name) {
            return self.append(text, value);
        }
        let Some((&name, _)) = self.written.get_key_value(name) else {
            let known = local.iter().map(|(known, _)| *known);
            let expected = known
                .chain(self.builtin.keys().copied())
                .chain(self.written.keys().copied());
            return Err(TreefileError::without_position(Problem::UnknownVariable {
                found: name.to_owned(),
                expected: expected.map(str::to_owned).collect(),
            }));
        };
        let value = self.value(name)?;
        self.append(text, &value)
    }

    fn append(&self, text: &mut String, value: &str) -> Result<(), TreefileError> {
        match self.bytes_left.get().checked_sub(value.len()) {
            Some(left) => self.bytes_left.set(left),
            None => {
                return Err(TreefileError::without_position(Problem::TooLarge {
                    what: "the text that the variables expand to",
                    limit: MAX_BYTES,
                }));
            }
        }
        text.push_str(value);
        Ok(())
    }

    /// Returns the value of `prefix` or of a variable of the treefile.
    fn value(&self, name: &'a str) -> Result<String, TreefileError> {
        if let Some(value) = self.expanded.borrow().get(name) {
            return Ok(value.clone());
        }
        let Some(node) = self.written.get(name) else {
            return Ok(String::new());
        };
        let in_place = |error: TreefileError| match name {
            "prefix" => error.at(&node.mark).in_key("prefix"),
            variable => error.at(&node.mark).in_key(variable).in_key("variables"),
        };
        let open = self.open.borrow().clone();
        if let Some(first) = open.iter().position(|open| *open == name) {
            let names = open[first..].iter().chain([&name]);
            return Err(in_place(TreefileError::without_position(
                Problem::VariableCycle {
                    names: names.map(ToString::to_string).collect(),
                },
            )));
        }
        if open.len() == MAX_DEPTH {
            return Err(in_place(TreefileError::without_position(
                Problem::TooDeep {
                    what: "variables",
                    limit: MAX_DEPTH,
                },
            )));
        }
        let Value::Scalar { text, .. } = &node.value else {
            return Err(in_place(node.unexpected("text")));
        };
        self.open.borrow_mut().push(name);
        // An error with a position comes from a nested variable and is already complete.
        let value = self.expand(text, &[]).map_err(|error| match error.line() {
            Some(_) => error,
            None => in_place(error),
        })?;
        self.open.borrow_mut().pop();
        self.expanded.borrow_mut().insert(name, value.clone());
        Ok(value)
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}
