//! Metadata of commits: keys, and conversion of values.
//!
//! The `sdk.*` keys are defined by this project; the others are OSTree's (`ostree-core.h`:
//! `OSTREE_COMMIT_META_KEY_VERSION`, `_ARCHITECTURE`, `_REF_BINDING`). Integers are stored
//! little-endian on every machine, because they are part of the commit checksum.

use crate::arch::Arch;
use crate::golang::h1::H1;
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, RefName};
use crate::object::{TreeSize, sorted_dict};
use glib::prelude::*;
use std::collections::BTreeMap;

/// `s`: the Go version without `go`, and the variant after a `-`; on releases and channels.
pub const SDK_VERSION: &str = "sdk.version";
/// `s`: the name of the release that a site makes of the Go version, which is the end of
/// `sdk.version`; on releases and channels, absent for Go's own version.
pub const SDK_VARIANT: &str = "sdk.variant";
/// `s`: `go`.
pub const SDK_LANG: &str = "sdk.lang";
/// `s`: GOARCH; absent on architecture-independent layers.
pub const SDK_ARCH: &str = "sdk.arch";
/// `s`: the name of the layer; on layer commits.
pub const SDK_LAYER: &str = "sdk.layer";
/// `s`: the target and mode, such as `x86_64-trimpath`; on commits of std caches, which also have
/// `sdk.version`, and no architecture.
pub const SDK_STDCACHE: &str = "sdk.stdcache";
/// `s`: the path of a Go module; on commits of modules, which have no `sdk.version` and no
/// architecture. Their `sdk.h1` is that of the module, absent for one from a directory.
pub const SDK_MODULE: &str = "sdk.module";
/// `s`: the version of the module; on commits of modules, absent for one from a directory.
pub const SDK_MODULE_VERSION: &str = "sdk.module-version";
/// `s`: the `h1:` hash of the module's `go.mod` file, as in `go.sum`; on commits of modules.
pub const SDK_GO_MOD_H1: &str = "sdk.go-mod-h1";
/// `a(ss)`: names and commits of the layers, lowest first; on releases and channels.
pub const SDK_LAYERS: &str = "sdk.layers";
/// `s`: the `h1:` hash of the upstream content; on releases and channels.
pub const SDK_H1: &str = "sdk.h1";
/// `s`: the proof that Go's checksum database has the hash of the content, in the format
/// <https://c2sp.org/tlog-proof>; on releases and channels, detached.
pub const SDK_UPSTREAM_PROOF: &str = "sdk.upstream-proof";
/// `(tt)`, little-endian: size in bytes and number of files of the tree.
pub const SDK_SIZE: &str = "sdk.size";
/// `a{sv}`: the source of the SDK, with the vendor's text in its `VERSION` if there is one;
/// detached.
pub const SDK_SOURCE: &str = "sdk.source";
/// `s`: JSON with what is needed besides the source to compose the release again
/// ([`crate::treefile::Recipe`]); detached.
pub const SDK_RECIPE: &str = "sdk.recipe";
/// `s`: the digest of everything that determines a release, a std cache or a module; detached.
pub const SDK_INPUTHASH: &str = "sdk.inputhash";
/// `av` of `a{sv}`: the SDKs in an OS image, lowest first, each with `lang`, `version`, `arch`,
/// `ref`, `commit` and `layers`; on commits of OS images.
pub const SDK_RELEASES: &str = "sdk.releases";
/// `s`: the commit that SDKs were added to; on commits of OS images made by an overlay.
pub const SDK_BASE: &str = "sdk.base";
/// `s`: the SHA-256 of a workspace's lock file, in hexadecimal; on releases, channels and OS images
/// that were made with one. The label of an OCI image has the same name.
pub const SDK_WORKSPACE: &str = "sdk.workspace";
/// `s`: the version that `ostree log` and rpm-ostree show.
pub const VERSION: &str = "version";
/// `s`: basearch.
pub const OSTREE_ARCHITECTURE: &str = "ostree.architecture";
/// `as`: the refs that a commit is bound to.
pub const OSTREE_REF_BINDING: &str = "ostree.ref-binding";

/// Metadata keys that only a compose sets, in addition to all `sdk.` keys.
const RESERVED: &[&str] = &[
    VERSION,
    OSTREE_ARCHITECTURE,
    OSTREE_REF_BINDING,
    "ostree.sizes",
];

/// Returns whether a key is reserved for the compose.
pub(crate) fn is_reserved(key: &str) -> bool {
    key.starts_with("sdk.") || RESERVED.contains(&key)
}

/// Returns the architecture of a commit, from OSTree's key or that of coreos-assembler.
pub(crate) fn basearch(metadata: &Metadata) -> Option<&str> {
    let mut keys = [OSTREE_ARCHITECTURE, "coreos-assembler.basearch"].into_iter();
    keys.find_map(|key| metadata.get(key)?.str())
}

/// rpm-ostree's list of packages, `a(sssss)`: name, epoch, version, release, architecture. Source:
/// `rpmostree_create_rpmdb_pkglist_variant` of rpm-ostree.
const RPM_PACKAGES: &str = "rpmostree.rpmdb.pkglist";

/// Returns the architecture of a commit, or else the one of most packages in an OS: rpm-ostree
/// writes no other key with the architecture.
pub(crate) fn basearch_of_os(metadata: &Metadata) -> Option<String> {
    if let Some(arch) = basearch(metadata) {
        return Some(arch.to_owned());
    }
    let packages = metadata.get(RPM_PACKAGES)?;
    if !packages.type_().as_str().starts_with("a(") {
        return None;
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for package in packages.iter().filter(|package| package.n_children() > 4) {
        // An OS for x86_64 can have some packages for 32 bits.
        if let Some(arch) = package
            .child_value(4)
            .str()
            .filter(|arch| *arch != "noarch")
        {
            *counts.entry(arch.to_owned()).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(arch, _)| arch)
}

/// Returns whether a key describes the SDKs of an OS image.
pub(crate) fn is_of_image(key: &str) -> bool {
    [SDK_RELEASES, SDK_BASE].contains(&key)
}

/// A commit's metadata, sorted by key.
pub(crate) type Metadata = BTreeMap<String, glib::Variant>;

/// Returns the metadata of a layer commit, determined by the layer's name, arch and content only.
pub(crate) fn layer(name: &str, arch: Option<Arch>, bound_to: &RefName) -> Metadata {
    let mut metadata = common(arch, bound_to);
    metadata.insert(SDK_LAYER.to_owned(), name.to_variant());
    metadata
}

/// The metadata of a release, and of a channel that it is promoted to.
#[derive(Debug, Clone)]
pub(crate) struct Release<'a> {
    pub(crate) arch: Arch,
    pub(crate) version: &'a str,
    pub(crate) variant: Option<&'a str>,
    pub(crate) layers: &'a [(String, CommitId)],
    /// The `h1:` hash; `None` if the source has files that Go's module form cannot represent.
    pub(crate) h1: Option<String>,
    pub(crate) size: TreeSize,
    pub(crate) extra: &'a Metadata,
}

impl Release<'_> {
    /// Returns the metadata of the release's commit on a ref.
    pub(crate) fn bound_to(&self, name: &RefName) -> Metadata {
        let mut metadata = common(Some(self.arch), name);
        metadata.extend(self.extra.clone());
        let layers: Vec<(String, String)> = self
            .layers
            .iter()
            .map(|(name, commit)| (name.clone(), commit.to_string()))
            .collect();
        let size = (self.size.bytes.to_le(), self.size.files.to_le());
        let own = [
            (SDK_VERSION, self.version.to_variant()),
            (VERSION, self.version.to_variant()),
            (SDK_LAYERS, layers.to_variant()),
            (SDK_SIZE, size.to_variant()),
        ];
        metadata.extend(own.map(|(key, value)| (key.to_owned(), value)));
        if let Some(variant) = self.variant {
            metadata.insert(SDK_VARIANT.to_owned(), variant.to_variant());
        }
        if let Some(h1) = &self.h1 {
            metadata.insert(SDK_H1.to_owned(), h1.to_variant());
        }
        metadata
    }
}

/// Returns the metadata of a std cache, determined by the version, its name and its content.
pub(crate) fn std_cache(
    version: &str,
    id: StdCacheId,
    size: TreeSize,
    bound_to: &RefName,
) -> Metadata {
    let mut metadata = common(None, bound_to);
    let size = (size.bytes.to_le(), size.files.to_le());
    let own = [
        (SDK_VERSION, version.to_variant()),
        (VERSION, version.to_variant()),
        (SDK_STDCACHE, id.to_string().to_variant()),
        (SDK_SIZE, size.to_variant()),
    ];
    metadata.extend(own.map(|(key, value)| (key.to_owned(), value)));
    metadata
}

/// The metadata of a module, determined by its path, its version and its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Module<'a> {
    pub(crate) path: &'a str,
    /// The version and the `h1:` hash; `None` for a module from a directory, whose version follows
    /// from its commit.
    pub(crate) version: Option<(&'a str, H1)>,
    pub(crate) go_mod_h1: H1,
    pub(crate) size: TreeSize,
}

impl Module<'_> {
    /// Returns the metadata of the module's commit on a ref.
    pub(crate) fn bound_to(&self, name: &RefName) -> Metadata {
        let mut metadata = common(None, name);
        let size = (self.size.bytes.to_le(), self.size.files.to_le());
        let own = [
            (SDK_MODULE, self.path.to_variant()),
            (SDK_GO_MOD_H1, self.go_mod_h1.to_string().to_variant()),
            (SDK_SIZE, size.to_variant()),
        ];
        metadata.extend(own.map(|(key, value)| (key.to_owned(), value)));
        if let Some((version, h1)) = self.version {
            let own = [
                (SDK_MODULE_VERSION, version.to_variant()),
                (VERSION, version.to_variant()),
                (SDK_H1, h1.to_string().to_variant()),
            ];
            metadata.extend(own.map(|(key, value)| (key.to_owned(), value)));
        }
        metadata
    }
}

fn common(arch: Option<Arch>, bound_to: &RefName) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert(SDK_LANG.to_owned(), "go".to_variant());
    bind(&mut metadata, bound_to);
    if let Some(arch) = arch {
        metadata.insert(SDK_ARCH.to_owned(), arch.goarch().to_variant());
        metadata.insert(OSTREE_ARCHITECTURE.to_owned(), arch.basearch().to_variant());
    }
    metadata
}

/// Sets the ref that a commit is bound to.
pub(crate) fn bind(metadata: &mut Metadata, name: &RefName) {
    let refs = vec![name.as_str()].to_variant();
    metadata.insert(OSTREE_REF_BINDING.to_owned(), refs);
}

/// Returns `sdk.source`: the source of a release.
pub(crate) fn source(
    name: &str,
    form: &str,
    sha256: Option<String>,
    size: Option<u64>,
    vendor: Option<&str>,
) -> glib::Variant {
    let mut source = Metadata::new();
    source.insert("name".to_owned(), name.to_variant());
    source.insert("form".to_owned(), form.to_variant());
    if let Some(sha256) = sha256 {
        source.insert("sha256".to_owned(), sha256.to_variant());
    }
    if let Some(size) = size {
        source.insert("size".to_owned(), size.to_le().to_variant());
    }
    if let Some(vendor) = vendor {
        source.insert("vendor".to_owned(), vendor.to_variant());
    }
    sorted_dict(&source)
}

/// Converts a JSON value to a variant like json-glib, and therefore rpm-ostree: string `s`, boolean
/// `b`, integer `x`, other numbers `d`, array `av`, object `a{sv}`, null `mv`. Numbers are
/// little-endian on every machine.
pub(crate) fn from_json(value: &serde_json::Value) -> glib::Variant {
    use serde_json::Value;
    match value {
        Value::Null => None::<glib::Variant>.to_variant(),
        Value::Bool(value) => value.to_variant(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.to_le().to_variant(),
            None => {
                let bits = number.as_f64().unwrap_or_default().to_bits();
                f64::from_bits(bits.to_le()).to_variant()
            }
        },
        Value::String(text) => text.replace('\0', "\u{fffd}").to_variant(),
        Value::Array(items) => items.iter().map(from_json).collect::<Vec<_>>().to_variant(),
        Value::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (key.replace('\0', "\u{fffd}"), from_json(value)));
            sorted_dict(&entries.collect())
        }
    }
}

/// Converts a variant to JSON for display; the inverse of [`from_json`] for its results.
pub(crate) fn to_json(variant: &glib::Variant) -> serde_json::Value {
    use serde_json::Value;
    match variant.type_().as_str() {
        "s" => variant.str().map_or(Value::Null, Value::from),
        "b" => variant.get::<bool>().map_or(Value::Null, Value::from),
        "x" => variant
            .get::<i64>()
            .map_or(Value::Null, |n| i64::from_le(n).into()),
        "t" => variant
            .get::<u64>()
            .map_or(Value::Null, |n| u64::from_le(n).into()),
        "d" => variant.get::<f64>().map_or(Value::Null, |n| {
            f64::from_bits(u64::from_le(n.to_bits())).into()
        }),
        "v" => variant
            .as_variant()
            .map_or(Value::Null, |inner| to_json(&inner)),
        "ay" => Value::from(variant.print(false).as_str()),
        "a{sv}" => variant
            .iter()
            .filter_map(|e| {
                Some((
                    e.child_value(0).get::<String>()?,
                    to_json(&e.child_value(1)),
                ))
            })
            .collect(),
        other if other.starts_with(['a', '(']) => variant.iter().map(|v| to_json(&v)).collect(),
        _ => variant.print(false).as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_values_have_the_types_of_rpm_ostree() {
        let value = json!({"a": ["x", 1, true], "b": {"c": 1.5}, "d": "t"});
        let variant = from_json(&value);
        assert_eq!(
            variant.print(true).as_str(),
            "{'a': <[<'x'>, <int64 1>, <true>]>, 'b': <{'c': <1.5>}>, 'd': <'t'>}"
        );
        assert_eq!(to_json(&variant), value);
    }

    #[test]
    fn the_architecture_of_an_os_is_that_of_most_of_its_packages() {
        let packages = |arches: &[&str]| {
            let packages = arches.iter().map(|arch| ("a", "0", "1", "1", *arch));
            let packages: Vec<_> = packages.collect();
            Metadata::from([(RPM_PACKAGES.to_owned(), packages.to_variant())])
        };
        let of = |metadata: &Metadata| basearch_of_os(metadata);
        let mixed = packages(&["noarch", "noarch", "i686", "x86_64", "x86_64"]);
        assert_eq!(of(&mixed).as_deref(), Some("x86_64"));
        assert_eq!(of(&packages(&["noarch"])), None);
        assert_eq!(of(&Metadata::new()), None);
        let mut declared = packages(&["x86_64"]);
        declared.insert(OSTREE_ARCHITECTURE.to_owned(), "aarch64".to_variant());
        assert_eq!(of(&declared).as_deref(), Some("aarch64"));
        let other = Metadata::from([(RPM_PACKAGES.to_owned(), "text".to_variant())]);
        assert_eq!(of(&other), None);
    }

    #[test]
    fn a_std_cache_has_its_metadata() {
        let id = "aarch64-plain".parse().unwrap();
        let name = "go-sdk/stdcache/1.26.5/aarch64-plain".parse().unwrap();
        let size = TreeSize {
            bytes: 10,
            files: 2,
        };
        let metadata = std_cache("1.26.5", id, size, &name);
        let printed: Vec<String> = metadata
            .iter()
            .map(|(key, value)| format!("{key} = {}", value.print(true)))
            .collect();
        insta::assert_snapshot!(printed.join("\n"), @r"
        ostree.ref-binding = ['go-sdk/stdcache/1.26.5/aarch64-plain']
        sdk.lang = 'go'
        sdk.size = (uint64 10, uint64 2)
        sdk.stdcache = 'aarch64-plain'
        sdk.version = '1.26.5'
        version = '1.26.5'
        ");
    }

    #[test]
    fn a_module_has_its_metadata() {
        let h1: H1 = "h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w="
            .parse()
            .unwrap();
        let module = Module {
            path: "example.com/lib",
            version: Some(("v1.2.3", h1)),
            go_mod_h1: h1,
            size: TreeSize {
                bytes: 10,
                files: 2,
            },
        };
        let name = "go-sdk/module/example.com/lib/v1.2.3".parse().unwrap();
        let metadata = module.bound_to(&name);
        let printed: Vec<String> = metadata
            .iter()
            .map(|(key, value)| format!("{key} = {}", value.print(true)))
            .collect();
        insta::assert_snapshot!(printed.join("\n"), @r"
        ostree.ref-binding = ['go-sdk/module/example.com/lib/v1.2.3']
        sdk.go-mod-h1 = 'h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w='
        sdk.h1 = 'h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w='
        sdk.lang = 'go'
        sdk.module = 'example.com/lib'
        sdk.module-version = 'v1.2.3'
        sdk.size = (uint64 10, uint64 2)
        version = 'v1.2.3'
        ");
        let local = Module {
            version: None,
            ..module
        };
        let keys: Vec<String> = local.bound_to(&name).into_keys().collect();
        assert!(
            !keys
                .iter()
                .any(|key| key.ends_with("version") || key == SDK_H1)
        );
    }

    #[test]
    fn a_release_has_its_metadata() {
        let extra = Metadata::from([("com.example.site".to_owned(), "acme".to_variant())]);
        let release = Release {
            arch: Arch::Aarch64,
            version: "1.26.5",
            variant: None,
            layers: &[("common".to_owned(), [1; 32].into())],
            h1: Some("h1:AAAA".to_owned()),
            size: TreeSize {
                bytes: 10,
                files: 2,
            },
            extra: &extra,
        };
        let metadata = release.bound_to(&"go-sdk/aarch64/1.26.5".parse().unwrap());
        let printed: Vec<String> = metadata
            .iter()
            .map(|(key, value)| format!("{key} = {}", value.print(true)))
            .collect();
        insta::assert_snapshot!(printed.join("\n"), @r"
        com.example.site = 'acme'
        ostree.architecture = 'aarch64'
        ostree.ref-binding = ['go-sdk/aarch64/1.26.5']
        sdk.arch = 'arm64'
        sdk.h1 = 'h1:AAAA'
        sdk.lang = 'go'
        sdk.layers = [('common', '0101010101010101010101010101010101010101010101010101010101010101')]
        sdk.size = (uint64 10, uint64 2)
        sdk.version = '1.26.5'
        version = '1.26.5'
        ");
        assert!(
            metadata
                .keys()
                .all(|key| is_reserved(key) != (key == "com.example.site"))
        );
    }
}
