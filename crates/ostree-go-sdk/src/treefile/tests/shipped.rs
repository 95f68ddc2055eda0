use std::path::{Path, PathBuf};

use super::super::Treefile;
use super::super::node::{Node, Value};
use super::super::schema::DEFAULTS;
use crate::arch::Arch;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shipped() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(top().join("treefiles"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn entries(text: &str) -> Vec<(String, Node)> {
    let file = Path::new("treefile").into();
    match Node::parse(text, &file).unwrap().value {
        Value::Map(entries) => entries
            .into_iter()
            .map(|(key, node)| (key.text, node))
            .collect(),
        other => panic!("not a map: {other:?}"),
    }
}

#[test]
fn the_published_schema_matches_the_code() {
    let path = top().join("docs/src/treefile.schema.json");
    let schema = format!("{:#}\n", Treefile::json_schema());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &schema).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == schema,
        "set UPDATE_SCHEMA=1 to rewrite {}",
        path.display()
    );
}

#[test]
fn the_schema_has_every_key_of_the_shipped_treefiles() {
    let schema = Treefile::json_schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema.get("required"), None);
    for file in shipped() {
        for (key, _) in entries(&std::fs::read_to_string(&file).unwrap()) {
            assert!(
                schema["properties"].get(&key).is_some(),
                "{key} in {}",
                file.display()
            );
        }
    }
}

#[test]
fn the_schema_contains_the_defaults() {
    let schema = Treefile::json_schema();
    for (key, node) in entries(DEFAULTS) {
        let default: serde_json::Value = node.read().unwrap();
        assert_eq!(schema["properties"][&key]["default"], default, "{key}");
    }
}

#[test]
fn shipped_treefiles_are_valid() {
    let mut versions = Vec::new();
    for file in shipped() {
        if file.ends_with("base.yaml") {
            continue;
        }
        let treefile = Treefile::load(&file).unwrap();
        assert_eq!(treefile.arches(), Arch::ALL);
        let minor = treefile.version().minor();
        assert!(file.ends_with(format!("go-{minor}.yaml")));
        for release in treefile.releases() {
            assert_eq!(release.prefix.as_str(), format!("usr/lib/sdk/go-{minor}"));
            assert_eq!(
                release.channels[0].as_str(),
                format!("go-sdk/{}/{minor}", release.arch)
            );
            assert_eq!(release.layers[2].go_env["GOTOOLCHAIN"], "local");
            assert_eq!(release.sources.len(), 2);
        }
        let std_caches = treefile.std_caches().iter();
        let std_caches: Vec<&str> = std_caches.map(|one| one.ref_name.as_str()).collect();
        let of = |name: &str| format!("go-sdk/stdcache/{}/{name}", treefile.version());
        assert_eq!(
            std_caches,
            [
                of("x86_64-trimpath"),
                of("x86_64-plain"),
                of("aarch64-trimpath"),
                of("aarch64-plain")
            ]
        );
        versions.push(treefile.version().to_string());
    }
    assert_eq!(versions, ["1.25.14", "1.26.10"]);
}

#[test]
fn every_file_of_a_go_distribution_belongs_to_one_layer() {
    let treefile = Treefile::load(top().join("treefiles/go-1.26.yaml")).unwrap();
    let release = treefile.for_arch(Arch::X86_64).unwrap();
    // The top of the official archive of Go 1.26.
    let names = "CONTRIBUTING.md LICENSE PATENTS README.md SECURITY.md VERSION api bin \
        codereview.cfg doc go.env lib misc pkg/include pkg/tool src test";
    for name in names.split_whitespace() {
        let path: crate::fs::path::TreePath = name.parse().unwrap();
        let holders = release
            .layers
            .iter()
            .filter(|layer| layer.include.contains(&path));
        let excluded = release.exclude.contains(&path);
        assert_eq!(holders.count() + usize::from(excluded), 1, "{name}");
    }
}
