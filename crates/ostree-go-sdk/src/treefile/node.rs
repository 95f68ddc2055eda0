//! A tree of YAML or JSON nodes, each with its position in the file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::error::{TreefileError, TreefileProblem as Problem, clean};
use super::mark::Mark;
use crate::arch::Arch;

/// Maximum size of a treefile in bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Maximum nesting depth of maps and lists.
const MAX_DEPTH: usize = 32;

/// A value and its position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub mark: Mark,
    pub value: Value,
}

/// The value of a node.
///
/// Scalars keep their text, so that the version `1.20` is never read as the number 1.2.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar {
        text: String,
        /// Set if the scalar has no quotes, and may therefore be a number, a boolean or null.
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map and its position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub text: String,
    pub mark: Mark,
}

impl Node {
    /// Parses `text`, which must hold exactly one YAML document.
    pub fn parse(text: &str, file: &Arc<Path>) -> Result<Self, TreefileError> {
        let whole = Mark::of_file(file);
        if text.len() > MAX_BYTES {
            let problem = Problem::TooLarge {
                what: "the text",
                limit: MAX_BYTES,
            };
            return Err(TreefileError::new(&whole, problem));
        }
        let mut reader = Reader {
            parser: Parser::new_from_str(text),
            file,
        };
        let empty = || Problem::Value("the treefile is empty, expected a map".to_owned());
        let root = loop {
            match reader.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => {
                    return Err(TreefileError::new(&whole, empty()));
                }
                (event, mark) => break reader.node(event, mark, 0)?,
            }
        };
        loop {
            match reader.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(_), mark) => {
                    let problem = Problem::Unsupported("several YAML documents");
                    return Err(TreefileError::new(&mark, problem));
                }
                _ => {}
            }
        }
    }

    /// Returns the value of a key, if this is a map with that key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .find(|(name, _)| name.text == key)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// Removes a key from a map and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Self> {
        let Value::Map(entries) = &mut self.value else {
            return None;
        };
        let index = entries.iter().position(|(name, _)| name.text == key)?;
        Some(entries.remove(index).1)
    }

    /// Describes the value for messages of the form "expected …, found …".
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Scalar { text, plain: true } if is_null(text) => "nothing".to_owned(),
            Value::Scalar { text, .. } => format!("`{}`", clean(text)),
            Value::List(nodes) if nodes.is_empty() => "an empty list".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// Returns an error that says that something else was expected here.
    pub fn unexpected(&self, expected: &str) -> TreefileError {
        let message = format!("expected {expected}, found {}", self.describe());
        TreefileError::new(&self.mark, Problem::Value(message))
    }
}

/// Returns whether a map of `source` is one from architectures to sources, and not one source.
pub(super) fn is_per_arch(entries: &[(Key, Node)]) -> bool {
    entries
        .iter()
        .any(|(key, _)| key.text.parse::<Arch>().is_ok())
}

/// Returns whether an unquoted scalar means null in YAML 1.2's core schema.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: &'a Arc<Path>,
}

impl<'a> Reader<'a> {
    fn mark(&self, line: usize, column: usize) -> Mark {
        Mark {
            file: Arc::clone(self.file),
            line: line.max(1),
            column: column + 1,
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Mark), TreefileError> {
        match self.parser.next_event() {
            Some(Ok((event, Span { start, .. }))) => {
                Ok((event, self.mark(start.line(), start.col())))
            }
            Some(Err(error)) => {
                let at = error.marker();
                let mark = self.mark(at.line(), at.col());
                let problem = Problem::Syntax(clean(error.info()));
                Err(TreefileError::new(&mark, problem))
            }
            None => {
                let problem = Problem::Syntax("unexpected end of file".to_owned());
                Err(TreefileError::new(&Mark::of_file(self.file), problem))
            }
        }
    }

    fn node(&mut self, event: Event<'a>, mark: Mark, depth: usize) -> Result<Node, TreefileError> {
        let refuse = |problem| Err(TreefileError::new(&mark, problem));
        if depth > MAX_DEPTH {
            return refuse(Problem::TooDeep {
                what: "maps and lists",
                limit: MAX_DEPTH,
            });
        }
        match &event {
            Event::Alias(_) => return refuse(Problem::Unsupported("YAML aliases")),
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => {
                if *anchor != 0 {
                    return refuse(Problem::Unsupported("YAML anchors"));
                }
                if tag.is_some() {
                    return refuse(Problem::Unsupported("YAML tags"));
                }
            }
            _ => {}
        }
        let value = match event {
            Event::Scalar(text, style, ..) => Value::Scalar {
                text: text.into_owned(),
                plain: style == ScalarStyle::Plain,
            },
            Event::SequenceStart(..) => Value::List(self.list(depth)?),
            Event::MappingStart(..) => Value::Map(self.map(depth)?),
            _ => return refuse(Problem::Syntax("expected a value".to_owned())),
        };
        Ok(Node { mark, value })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, TreefileError> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(nodes),
                (event, mark) => nodes.push(self.node(event, mark, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, TreefileError> {
        let mut entries = Vec::new();
        let mut lines = BTreeMap::new();
        loop {
            let (event, mark) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key = self.node(event, mark, depth + 1)?;
            let Value::Scalar { text, .. } = key.value else {
                return Err(key.unexpected("a key"));
            };
            if let Some(first) = lines.insert(text.clone(), key.mark.line) {
                let problem = Problem::DuplicateKey { key: text, first };
                return Err(TreefileError::new(&key.mark, problem));
            }
            let (event, mark) = self.next()?;
            let value = self
                .node(event, mark, depth + 1)
                .map_err(|error| error.in_key(&text))?;
            let mark = key.mark;
            entries.push((Key { text, mark }, value));
        }
    }
}
