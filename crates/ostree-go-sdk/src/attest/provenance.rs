//! The provenance of a release: what it was composed from.
//!
//! Source of the format: the SLSA specification 1.0, `provenance/v1`. Only what the commit records is
//! stated.

use super::facts::Facts;
use crate::id::RefName;
use crate::metadata::SDK_WORKSPACE;
use serde_json::{Map, Value, json};

/// The predicate type.
pub(super) const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// The type of build, which `formats.md` describes.
const BUILD_TYPE: &str = "https://github.com/ostree-go/ostree-go/compose/v1";

/// Returns the predicate. `builder` is the URI of the builder.
pub(super) fn predicate(facts: &Facts, builder: &str) -> Value {
    let info = &facts.info;
    let refs = info.bound_to.iter().map(RefName::as_str);
    let layers = info.layers.iter().map(|(name, _)| name.as_str());
    let external = [
        ("version", info.version.clone().map(Value::from)),
        ("variant", info.variant.clone().map(Value::from)),
        ("arch", Some(facts.arch.goarch().into())),
        ("refs", Some(refs.collect::<Vec<_>>().into())),
        ("layers", Some(layers.collect::<Vec<_>>().into())),
        (
            "metadata",
            (!info.extra.is_empty()).then(|| json!(info.extra)),
        ),
    ];
    let internal = [
        ("inputHash", info.input_hash.clone().map(Value::from)),
        ("parent", info.parent.map(|id| id.to_string().into())),
        ("timestamp", Some(facts.time().into())),
    ];
    let byproducts = info.layers.iter().map(|(name, commit)| {
        json!({ "name": format!("layer {name}"), "digest": { "sha256": commit.to_string() } })
    });
    json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": present(external),
            "internalParameters": present(internal),
            "resolvedDependencies": dependencies(facts),
        },
        "runDetails": {
            "builder": { "id": builder },
            "byproducts": byproducts.collect::<Vec<_>>(),
        },
    })
}

/// Returns what the release was composed from: the source as it was read, its content as a Go module,
/// and the lock file of a workspace.
fn dependencies(facts: &Facts) -> Vec<Value> {
    let mut dependencies = Vec::new();
    if let Some(source) = &facts.source
        && (source.sha256.is_some() || source.url().is_some())
    {
        // The digest of several RPMs is that of a list, which is no digest of an artifact.
        let algorithm = if source.is_list() {
            "sha256List"
        } else {
            "sha256"
        };
        let annotations = [
            ("form", Some(source.form.clone().into())),
            ("size", source.size.map(Value::from)),
        ];
        let digest = source
            .sha256
            .as_ref()
            .map(|digest| json!({ algorithm: digest }));
        dependencies.push(present([
            ("name", Some(source.name.clone().into())),
            ("uri", source.url().map(Value::from)),
            ("digest", digest),
            ("annotations", Some(present(annotations))),
        ]));
    }
    if let Some((module, h1)) = &facts.h1 {
        dependencies.push(json!({
            "name": module,
            "digest": { super::subject::DIR_HASH[0]: h1.digest().to_string() },
        }));
    }
    if let Some(workspace) = facts.info.workspace {
        dependencies.push(json!({
            "name": SDK_WORKSPACE,
            "digest": { "sha256": workspace.to_string() },
        }));
    }
    dependencies
}

/// Returns an object with the fields that have a value.
fn present<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter();
    let fields = fields.filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}
