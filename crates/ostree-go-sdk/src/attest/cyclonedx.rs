//! The bill of materials of a release in CycloneDX.
//!
//! Source of the format: the CycloneDX specification 1.6, `bom-1.6.schema.json`.

use super::facts::{Facts, purl};
use super::modules::VendoredModule;
use crate::id::CommitId;
use serde_json::{Value, json};

/// The predicate type. Source: the in-toto attestation specification, `spec/predicates/cyclonedx.md`.
pub(super) const PREDICATE: &str = "https://cyclonedx.org/bom";
const SDK: &str = "go";

/// Returns the document.
pub(super) fn document(facts: &Facts) -> Value {
    let modules = &facts.modules;
    let names: Vec<String> = modules.iter().map(name).collect();
    let mut dependencies = vec![json!({ "ref": SDK, "dependsOn": names })];
    dependencies.extend(names.iter().map(|name| json!({ "ref": name })));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(facts.info.id),
        "version": 1,
        "metadata": {
            "timestamp": facts.time(),
            "tools": { "components": [{ "type": "application", "name": "ostree-go" }] },
            "component": sdk(facts),
        },
        "components": modules.iter().map(component).collect::<Vec<_>>(),
        "dependencies": dependencies,
    })
}

fn sdk(facts: &Facts) -> Value {
    let info = &facts.info;
    let h1 = facts.h1.as_ref().map(|(_, h1)| h1.to_string());
    let properties = [
        ("commit", Some(info.id.to_string())),
        ("ref", facts.ref_name().map(str::to_owned)),
        ("arch", Some(facts.arch.goarch().to_owned())),
        ("h1", h1),
    ];
    let mut component = json!({
        "type": "application",
        "bom-ref": SDK,
        "name": "go",
        "version": info.version,
        "purl": facts.purl(),
        "properties": properties_of(properties),
    });
    if let Some(cpe) = facts.cpe() {
        component["cpe"] = cpe.into();
    }
    if let Some(source) = &facts.source
        && let Some(url) = source.url()
    {
        let mut reference = json!({ "type": "distribution", "url": url });
        if let Some(sha256) = source.sha256.as_ref().filter(|_| !source.is_list()) {
            reference["hashes"] = hashes(sha256);
        }
        component["externalReferences"] = json!([reference]);
    }
    component
}

fn component(module: &VendoredModule) -> Value {
    let properties = [
        ("vendored-in", Some(module.folders.join(", "))),
        ("h1", module.h1.map(|h1| h1.to_string())),
    ];
    let mut component = json!({
        "type": "library",
        "bom-ref": name(module),
        "name": module.path,
        "version": module.version,
        "purl": purl(&module.path, &module.version),
        "properties": properties_of(properties),
    });
    if let Some(h1) = module.h1 {
        // An `h1:` hash is a SHA-256; cyclonedx-gomod writes it as one as well.
        component["hashes"] = hashes(&h1.digest().to_string());
    }
    component
}

fn name(module: &VendoredModule) -> String {
    format!("{}@{}", module.path, module.version)
}

fn hashes(sha256: &str) -> Value {
    json!([{ "alg": "SHA-256", "content": sha256 }])
}

/// Returns properties in the namespace `ostree-go`.
fn properties_of<const N: usize>(values: [(&str, Option<String>); N]) -> Vec<Value> {
    let values = values.into_iter();
    let values = values.filter_map(|(name, value)| Some((name, value?)));
    values
        .map(|(name, value)| json!({ "name": format!("ostree-go:{name}"), "value": value }))
        .collect()
}

/// Returns a serial number that follows from the commit: a UUID of version 8 (RFC 9562, 5.8), whose
/// other bits are the first ones of the checksum.
fn serial_number(commit: CommitId) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&commit.as_bytes()[..16]);
    bytes[6] = 0x80 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    format!("urn:uuid:{}", parts.join("-"))
}
