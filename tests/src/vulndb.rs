//! Go vulnerability databases in a directory: the real entries of `tests/vulndb`, and made ones.

use crate::cli::workspace;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The time of the last change of the databases that are written.
pub const MODIFIED: &str = "2026-11-05T23:49:57Z";

/// Returns the directory with real entries.
pub fn real() -> PathBuf {
    workspace().join("tests/vulndb")
}

/// Returns the real entries, by their names.
///
/// # Panics
///
/// Panics if they cannot be read.
pub fn real_entries() -> Vec<Value> {
    read_entries(&real().join("ID"))
}

/// Returns the entries in a directory, by their names.
///
/// # Panics
///
/// Panics if they cannot be read.
pub fn read_entries(folder: &Path) -> Vec<Value> {
    let files = fs::read_dir(folder).expect("a folder of entries");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let text = fs::read(path).expect("an entry");
        serde_json::from_slice(&text).expect("JSON")
    };
    paths.iter().map(read).collect()
}

/// Returns an entry about a module, with the events of its range as `(kind, version)`.
pub fn entry(id: &str, module: &str, package: &str, events: &[(&str, &str)]) -> Value {
    let events: Vec<Value> = events
        .iter()
        .map(|(kind, version)| json!({ *kind: version }))
        .collect();
    json!({
        "schema_version": "1.3.1",
        "id": id,
        "modified": MODIFIED,
        "published": MODIFIED,
        "aliases": [format!("CVE-{}", &id[3..])],
        "summary": format!("Something in {package}"),
        "details": "Made for a test.",
        "affected": [{
            "package": { "name": module, "ecosystem": "Go" },
            "ranges": [{ "type": "SEMVER", "events": events }],
            "ecosystem_specific": { "imports": [{ "path": package, "symbols": ["Do"] }] },
        }],
        "database_specific": { "url": format!("https://pkg.go.dev/vuln/{id}"), "review_status": "REVIEWED" },
    })
}

/// Writes a database. The index has no `fixed` versions, so that readers decide by the entries.
///
/// # Panics
///
/// Panics if it cannot be written.
pub fn write(folder: &Path, entries: &[Value]) {
    let mut modules: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for entry in entries {
        let affected = entry["affected"].as_array().expect("affected");
        let mut names: Vec<&str> = affected
            .iter()
            .map(|one| one["package"]["name"].as_str().expect("a name"))
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let one = json!({ "id": entry["id"], "modified": entry["modified"] });
            modules.entry(name).or_default().push(one);
        }
        let id = entry["id"].as_str().expect("a name");
        put(&folder.join(format!("ID/{id}.json")), entry);
    }
    let modules = modules
        .into_iter()
        .map(|(path, vulns)| json!({ "path": path, "vulns": vulns }));
    put(&folder.join("index/modules.json"), &modules.collect());
    put(
        &folder.join("index/db.json"),
        &json!({ "modified": MODIFIED }),
    );
    let all = entries
        .iter()
        .map(|entry| json!({ "id": entry["id"], "modified": entry["modified"], "aliases": entry["aliases"] }));
    put(&folder.join("index/vulns.json"), &all.collect());
}

/// Writes a download index with these versions.
///
/// # Panics
///
/// Panics if it cannot be written.
pub fn write_index(path: &Path, versions: &[&str]) {
    let releases = versions
        .iter()
        .map(|version| json!({ "version": format!("go{version}"), "stable": true, "files": [] }));
    put(path, &releases.collect());
}

fn put(path: &Path, value: &Value) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
    fs::write(path, value.to_string()).expect("a file");
}
