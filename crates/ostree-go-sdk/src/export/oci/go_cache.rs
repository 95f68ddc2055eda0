//! A std cache as a layer with Go's build cache, which the go command uses without a helper.
//!
//! Source of the layout: `cmd/go/internal/cache/cache.go` of Go 1.26. The file `xx/ACTION-a` names the
//! output of an action, and `xx/OUTPUT-d` contains it; `xx` are the first two digits of the name.

use super::image::GO_CACHE;
use super::layer::Part;
use crate::export::std_cache::StdCacheTree;
use crate::fs::path::TreePath;
use crate::golang::std_cache::StdCacheEntry;
use crate::id::Sha256;
use crate::oci::layer::{Entry, Node};
use std::collections::BTreeMap;

/// Modification time of everything in the layer: 2100-01-01 in UTC. Go sets the times of the files that it
/// uses if they are older than an hour, which would copy them from the image into the container, and
/// removes files that are older than five days; it does neither with files from the future. A tar archive
/// can have times up to the year 2242.
pub(super) const TIME: u64 = 4_102_444_800;

/// Mode of the directories: every user of a container can add entries, but not replace those of others.
const SHARED: u32 = 0o1777;

/// Returns the parts of the layer, sorted by path.
pub(super) fn parts(cache: &StdCacheTree) -> Vec<Part> {
    let mut parts = BTreeMap::new();
    for path in ["var", "var/cache"] {
        parts.insert(path.to_owned(), directory(path, 0o755));
    }
    parts.insert(GO_CACHE.to_owned(), directory(GO_CACHE, SHARED));
    for byte in 0..=u8::MAX {
        let path = format!("{GO_CACHE}/{byte:02x}");
        parts.insert(path.clone(), directory(&path, SHARED));
    }
    for (action, entry) in &cache.index.0 {
        let path = file(&action.to_string(), 'a');
        let text = action_text(*action, *entry).into_bytes();
        let node = Node::File {
            mode: 0o644,
            size: text.len() as u64,
        };
        let entry = Entry {
            path: TreePath::from_trusted(path.clone()),
            node,
        };
        parts.insert(path, Part::Made(entry, text));
    }
    for (name, leaf) in &cache.outputs {
        let path = file(name, 'd');
        let leaf = Part::Leaf(TreePath::from_trusted(path.clone()), *leaf);
        parts.insert(path, leaf);
    }
    parts.into_values().collect()
}

/// Returns the path of a file whose name starts with 64 hexadecimal digits.
fn file(name: &str, end: char) -> String {
    format!("{GO_CACHE}/{}/{name}-{end}", &name[..2])
}

fn directory(path: &str, mode: u32) -> Part {
    let path = TreePath::from_trusted(path.to_owned());
    let node = Node::Directory { mode };
    Part::Made(Entry { path, node }, Vec::new())
}

/// Returns the content of the file for an action. The time, in nanoseconds, only matters for results of
/// tests.
fn action_text(action: Sha256, entry: StdCacheEntry) -> String {
    format!("v1 {action} {} {:20} {:20}\n", entry.output, entry.size, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_has_the_form_of_go() {
        let entry = StdCacheEntry {
            output: "ab".repeat(32).parse().unwrap(),
            size: 166,
        };
        let text = action_text("01".repeat(32).parse().unwrap(), entry);
        let expected = format!(
            "v1 {} {} {}166 {}0\n",
            "01".repeat(32),
            "ab".repeat(32),
            " ".repeat(17),
            " ".repeat(19)
        );
        assert_eq!(text, expected);
        // `entrySize` in cache.go.
        assert_eq!(text.len(), 2 + 1 + 64 + 1 + 64 + 1 + 20 + 1 + 20 + 1);
    }
}
