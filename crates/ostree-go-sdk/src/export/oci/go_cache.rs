//! A std cache as a layer with Go's build cache, which the go command uses without a helper.

use super::layer::Part;
use crate::export::std_cache::StdCacheTree;
use crate::fs::path::TreePath;
use crate::oci::go_cache::{GO_CACHE, action_path, action_text, output_path};
use crate::oci::layer::{Entry, Node};
use crate::oci::tar::SHARED;
use std::collections::BTreeMap;

/// Modification time of everything in the layer: 2100-01-01 in UTC. Go sets the times of the files that it
/// uses if they are older than an hour, which would copy them from the image into the container, and
/// removes files that are older than five days; it does neither with files from the future. A tar archive
/// can have times up to the year 2242.
pub(super) const TIME: u64 = 4_102_444_800;

/// Returns the parts of the layer, sorted by path.
pub(super) fn parts(cache: &StdCacheTree) -> Vec<Part> {
    let mut parts = BTreeMap::new();
    let mut add = |path: TreePath, part: Part| parts.insert(path, part);
    for path in ["var", "var/cache"] {
        let path = TreePath::from_trusted(path.to_owned());
        add(path.clone(), directory(path, 0o755));
    }
    let shared = (0..=u8::MAX).map(|byte| format!("{GO_CACHE}/{byte:02x}"));
    for path in shared.chain([GO_CACHE.to_owned()]) {
        let path = TreePath::from_trusted(path);
        add(path.clone(), directory(path, SHARED));
    }
    for (action, entry) in &cache.index.0 {
        let path = action_path(*action);
        let text = action_text(*action, *entry).into_bytes();
        let node = Node::File {
            mode: 0o644,
            size: text.len() as u64,
        };
        let entry = Entry {
            path: path.clone(),
            node,
        };
        add(path, Part::Made(entry, text));
    }
    for (output, leaf) in &cache.outputs {
        let path = output_path(*output);
        add(path.clone(), Part::Leaf(path, *leaf));
    }
    parts.into_values().collect()
}

fn directory(path: TreePath, mode: u32) -> Part {
    let node = Node::Directory { mode };
    Part::Made(Entry { path, node }, Vec::new())
}
