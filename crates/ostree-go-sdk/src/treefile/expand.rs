//! Expands the variables in a whole treefile.

use super::error::{TreefileError, TreefileProblem as Problem};
use super::node::{Key, Node, Value};
use super::variables::{Local, Variables};
use crate::arch::Arch;
use crate::version::GoVersion;

/// Expands the merged treefile for one architecture.
///
/// `versions` are that of the release and that of Go.
///
/// `version`, `variant`, `arches`, `timestamp` and `pin` are not expanded, nor are unknown keys, which
/// are reported as such later. `${layer}` is available in `layers` and `layer-ref`; in the
/// latter it stays, like `${checksum}`, until a layer is composed.
pub(super) fn expand(
    root: &Node,
    arch: Arch,
    versions: (&GoVersion, &GoVersion),
) -> Result<Node, TreefileError> {
    let variables = Variables::new(root, arch, versions)?;
    let Value::Map(entries) = &root.value else {
        return Err(root.unexpected("a map"));
    };
    let walk = Walk {
        variables: &variables,
    };
    let mut expanded = Vec::with_capacity(entries.len());
    for (key, node) in entries {
        let node = match key.text.as_str() {
            "ref"
            | "channels"
            | "goproxy"
            | "source"
            | "prefix"
            | "exclude"
            | "links"
            | "variables"
            | "modules"
            | "add-commit-metadata" => walk.node(node, &[]),
            "layer-ref" => walk.node(node, &[("layer", "${layer}"), ("checksum", "${checksum}")]),
            "layers" => walk.layers(node),
            _ => Ok(node.clone()),
        };
        let node = node.map_err(|error| error.in_key(&key.text))?;
        expanded.push((key.clone(), node));
    }
    Ok(Node {
        mark: root.mark.clone(),
        value: Value::Map(expanded),
    })
}

struct Walk<'a> {
    variables: &'a Variables<'a>,
}

impl Walk<'_> {
    fn layers(&self, node: &Node) -> Result<Node, TreefileError> {
        let Value::Map(layers) = &node.value else {
            return Ok(node.clone());
        };
        let mut expanded = Vec::with_capacity(layers.len());
        for (key, layer) in layers {
            let layer = self
                .node(layer, &[("layer", &key.text)])
                .map_err(|error| error.in_key(&key.text))?;
            expanded.push((key.clone(), layer));
        }
        Ok(Node {
            mark: node.mark.clone(),
            value: Value::Map(expanded),
        })
    }

    fn node(&self, node: &Node, local: &Local<'_>) -> Result<Node, TreefileError> {
        let value = match &node.value {
            Value::Scalar { text, plain } => {
                let expanded = self
                    .variables
                    .expand(text, local)
                    .map_err(|error| error.at(&node.mark))?;
                // The expansion of a variable is text, even if it looks like a number.
                let plain = *plain && expanded == *text;
                Value::Scalar {
                    text: expanded,
                    plain,
                }
            }
            Value::List(nodes) => {
                let nodes = nodes.iter().enumerate().map(|(index, node)| {
                    self.node(node, local)
                        .map_err(|error| error.in_index(index))
                });
                Value::List(nodes.collect::<Result<_, _>>()?)
            }
            Value::Map(entries) => Value::Map(self.map(entries, local)?),
        };
        Ok(Node {
            mark: node.mark.clone(),
            value,
        })
    }

    fn map(
        &self,
        entries: &[(Key, Node)],
        local: &Local<'_>,
    ) -> Result<Vec<(Key, Node)>, TreefileError> {
        let mut lines = std::collections::BTreeMap::new();
        let mut expanded = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            let text = self
                .variables
                .expand(&key.text, local)
                .map_err(|error| error.at(&key.mark))?;
            if let Some(first) = lines.insert(text.clone(), key.mark.line) {
                let problem = Problem::DuplicateKey { key: text, first };
                return Err(TreefileError::new(&key.mark, problem));
            }
            let node = self
                .node(node, local)
                .map_err(|error| error.in_key(&key.text))?;
            let mark = key.mark.clone();
            expanded.push((Key { text, mark }, node));
        }
        Ok(expanded)
    }
}
