//! Merges an including treefile with the files that it includes.

use std::collections::BTreeMap;

use super::node::{Key, Node, Value, is_per_arch};

/// Merges `over` (the including file) over `base` (the included files).
///
/// - Maps are merged key by key. Keys of `base` keep their position, and new keys follow in
///   the order of `over`: in `layers`, where the first match wins, the included layers
///   stay first.
/// - Scalars: `over` wins.
/// - Lists: `over` replaces `base`, except for `exclude` and every layer's `add-files`, where
///   the entries of `over` are appended. (rpm-ostree appends all lists; an SDK's sources,
///   arches and channels are alternatives or complete sets, not collections.)
/// - One source is like a list with one entry: it replaces what `base` has.
/// - If the types differ, `over` wins.
///
/// Merging is associative as long as each key has the same type in every file.
pub(super) fn merge(base: Node, over: Node) -> Node {
    merge_at(&mut Vec::new(), base, over)
}

fn merge_at(path: &mut Vec<String>, base: Node, over: Node) -> Node {
    let mark = over.mark;
    let value = match (base.value, over.value) {
        (Value::Map(base), Value::Map(over)) if !is_one_source(path, &base, &over) => {
            Value::Map(merge_maps(path, base, over))
        }
        (Value::List(mut base), Value::List(over)) if appends(path) => {
            base.extend(over);
            Value::List(base)
        }
        (_, over) => over,
    };
    Node { mark, value }
}

fn merge_maps(
    path: &mut Vec<String>,
    base: Vec<(Key, Node)>,
    over: Vec<(Key, Node)>,
) -> Vec<(Key, Node)> {
    let mut order: BTreeMap<String, usize> = BTreeMap::new();
    let mut merged: Vec<(Key, Option<Node>)> = Vec::with_capacity(base.len() + over.len());
    for (key, node) in base {
        order.insert(key.text.clone(), merged.len());
        merged.push((key, Some(node)));
    }
    for (key, node) in over {
        let Some((_, slot)) = order
            .get(&key.text)
            .and_then(|&index| merged.get_mut(index))
        else {
            merged.push((key, Some(node)));
            continue;
        };
        path.push(key.text);
        *slot = Some(match slot.take() {
            Some(base) => merge_at(path, base, node),
            None => node,
        });
        path.pop();
    }
    merged
        .into_iter()
        .filter_map(|(key, node)| Some((key, node?)))
        .collect()
}

/// Returns whether one of two maps at this path is a source.
fn is_one_source(path: &[String], base: &[(Key, Node)], over: &[(Key, Node)]) -> bool {
    match path {
        [key] if key == "source" => !is_per_arch(base) || !is_per_arch(over),
        [key, _arch] => key == "source",
        _ => false,
    }
}

/// Returns whether lists at this path are appended to rather than replaced.
fn appends(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(path[..], ["exclude"] | ["layers", _, "add-files"])
}
