//! The bill of materials of a release in SPDX.
//!
//! Source of the format: the SPDX specification 2.3. The document names the SDK and the modules whose
//! packages it contains. Licences are not recorded in a commit, so that none is stated.

use super::facts::{Facts, purl};
use super::modules::VendoredModule;
use serde_json::{Value, json};

/// The predicate type. Source: the in-toto attestation specification, `spec/predicates/spdx2.md`.
pub(super) const PREDICATE: &str = "https://spdx.dev/Document";
/// The namespace of documents, which is an identifier and no address of a page.
const NAMESPACE: &str = "https://github.com/ostree-go/ostree-go/spdx";
/// The value for what is not stated.
const NONE: &str = "NOASSERTION";
const SDK: &str = "SPDXRef-Go";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// Returns the document.
pub(super) fn document(facts: &Facts) -> Value {
    let commit = facts.info.id;
    let mut packages = vec![sdk(facts)];
    let mut relationships = vec![relationship(DOCUMENT, "DESCRIBES", SDK)];
    for (number, module) in facts.modules.iter().enumerate() {
        let id = format!("SPDXRef-Module-{}", number + 1);
        relationships.push(relationship(SDK, "CONTAINS", &id));
        packages.push(package(module, &id));
    }
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": facts.name(),
        "documentNamespace": format!("{NAMESPACE}/{commit}"),
        "creationInfo": {
            "created": facts.time(),
            "creators": ["Tool: ostree-go"],
        },
        "packages": packages,
        "relationships": relationships,
    })
}

fn sdk(facts: &Facts) -> Value {
    let source = facts.source.as_ref();
    let mut references = vec![reference("PACKAGE-MANAGER", "purl", &facts.purl())];
    references.extend(
        facts
            .cpe()
            .map(|cpe| reference("SECURITY", "cpe23Type", &cpe)),
    );
    let mut package = json!({
        "SPDXID": SDK,
        "name": "go",
        "versionInfo": facts.info.version,
        "downloadLocation": source.and_then(|source| source.url()).unwrap_or(NONE),
        "filesAnalyzed": false,
        "primaryPackagePurpose": "APPLICATION",
        "sourceInfo": format!("OSTree commit {}", facts.info.id),
        "licenseConcluded": NONE,
        "licenseDeclared": NONE,
        "externalRefs": references,
    });
    if let Some(source) = source.filter(|source| !source.is_list())
        && let Some(sha256) = &source.sha256
    {
        let name = source.name.rsplit('/').next().unwrap_or_default();
        package["packageFileName"] = name.into();
        package["checksums"] = checksum(sha256);
    }
    package
}

fn package(module: &VendoredModule, id: &str) -> Value {
    let mut origin = format!("vendored in {}", module.folders.join(" and "));
    if let Some(h1) = module.h1 {
        origin += &format!(", {h1}");
    }
    let mut package = json!({
        "SPDXID": id,
        "name": module.path,
        "versionInfo": module.version,
        "downloadLocation": NONE,
        "filesAnalyzed": false,
        "primaryPackagePurpose": "LIBRARY",
        "sourceInfo": origin,
        "licenseConcluded": NONE,
        "licenseDeclared": NONE,
        "externalRefs": [reference("PACKAGE-MANAGER", "purl", &purl(&module.path, &module.version))],
    });
    if let Some(h1) = module.h1 {
        // An `h1:` hash is a SHA-256; other tools write it as one as well.
        package["checksums"] = checksum(&h1.digest().to_string());
    }
    package
}

fn checksum(sha256: &str) -> Value {
    json!([{ "algorithm": "SHA256", "checksumValue": sha256 }])
}

fn reference(category: &str, kind: &str, locator: &str) -> Value {
    json!({ "referenceCategory": category, "referenceType": kind, "referenceLocator": locator })
}

fn relationship(of: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": of, "relationshipType": kind, "relatedSpdxElement": to })
}
