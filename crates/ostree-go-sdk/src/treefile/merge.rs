//! How an including treefile and the ones it includes become one.

use std::collections::BTreeMap;

use super::node::{Key, Node, Value};

/// Lays `over` (the including file) over `base` (what it includes).
///
/// - Maps merge key by key. Keys of `base` keep their place, and new ones follow in
///   their own order: in `layers`, where the first match wins, the included layers
///   stay first.
/// - Scalars: `over` wins.
/// - Lists: `over` replaces, but for `exclude` and every layer's `add-files`, where its
///   entries follow those of `base`. (rpm-ostree appends all lists; an SDK's sources,
///   arches and channels are alternatives or complete sets, not collections.)
/// - Where the two are not of one kind, `over` wins.
///
/// It is associative as long as no key changes its kind from file to file.
pub(super) fn merge(base: Node, over: Node) -> Node {
    merge_at(&mut Vec::new(), base, over)
}

fn merge_at(path: &mut Vec<String>, base: Node, over: Node) -> Node {
    let mark = over.mark;
    let value = match (base.value, over.value) {
        (Value::Map(base), Value::Map(over)) => Value::Map(merge_maps(path, base, over)),
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

/// Whether the list at this path is a collection that including files add to.
fn appends(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(path[..], ["exclude"] | ["layers", _, "add-files"])
}
