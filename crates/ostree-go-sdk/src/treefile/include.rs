//! Resolves `include:` across files.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::error::{TreefileError, TreefileProblem as Problem};
use super::mark::Mark;
use super::merge::merge;
use super::node::{Node, Value};

/// Maximum number of files per treefile; a file included twice counts twice.
const MAX_FILES: usize = 64;

/// Reads a file's text.
pub(super) type Load<'a> = dyn FnMut(&Path) -> io::Result<String> + 'a;

/// Merges `text` and all its includes into one tree without `include` keys.
pub(super) fn assemble(
    text: &str,
    file: &Path,
    load: &mut Load<'_>,
) -> Result<Node, TreefileError> {
    let mut assembly = Assembly {
        load,
        open: Vec::new(),
        files: 0,
    };
    assembly.tree(text, file)
}

struct Assembly<'a, 'b> {
    load: &'a mut Load<'b>,
    /// The files being read, outermost first, to detect cycles.
    open: Vec<PathBuf>,
    files: usize,
}

impl Assembly<'_, '_> {
    fn tree(&mut self, text: &str, file: &Path) -> Result<Node, TreefileError> {
        let mut root = Node::parse(text, &Arc::from(file))?;
        if !matches!(root.value, Value::Map(_)) {
            return Err(root.unexpected("a map"));
        }
        let Some(include) = root.remove("include") else {
            return Ok(root);
        };
        self.open.push(normalize(file));
        let mut base: Option<Node> = None;
        for (name, mark) in include_names(&include).map_err(|error| error.in_key("include"))? {
            let folder = file.parent().unwrap_or("".as_ref());
            let included = self.load_include(&folder.join(name), &mark)?;
            base = Some(match base {
                Some(base) => merge(base, included),
                None => included,
            });
        }
        self.open.pop();
        Ok(match base {
            Some(base) => merge(base, root),
            None => root,
        })
    }

    fn load_include(&mut self, file: &Path, mark: &Mark) -> Result<Node, TreefileError> {
        let refuse = |problem| Err(TreefileError::new(mark, problem).in_key("include"));
        let name = normalize(file);
        if let Some(first) = self.open.iter().position(|open| *open == name) {
            let files = self.open.drain(first..).chain([name]).collect();
            return refuse(Problem::IncludeCycle { files });
        }
        self.files += 1;
        if self.files >= MAX_FILES {
            return refuse(Problem::TooManyIncludes { limit: MAX_FILES });
        }
        match (self.load)(&name) {
            Ok(text) => self.tree(&text, &name),
            Err(source) => refuse(Problem::Include { file: name, source }),
        }
    }
}

fn include_names(include: &Node) -> Result<Vec<(String, Mark)>, TreefileError> {
    let name = |node: &Node| match &node.value {
        Value::Scalar { text, .. } if !text.is_empty() && !text.contains('\0') => {
            Ok((text.clone(), node.mark.clone()))
        }
        _ => Err(node.unexpected("the name of a treefile")),
    };
    match &include.value {
        Value::List(nodes) => nodes
            .iter()
            .enumerate()
            .map(|(index, node)| name(node).map_err(|error| error.in_index(index)))
            .collect(),
        Value::Scalar { .. } => Ok(vec![name(include)?]),
        Value::Map(_) => Err(include.unexpected("the name of a treefile, or a list of them")),
    }
}

/// Removes `.` components, and `..` components that follow a named folder.
fn normalize(path: &Path) -> PathBuf {
    let mut parts: Vec<Component<'_>> = Vec::new();
    for part in path.components() {
        match (part, parts.last()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.iter().collect()
}
