use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::{AddContent, ArchTreefile, RpmFile, RpmLocation, SourceSpec, Treefile};
use super::{MINIMAL, minimal, parse};
use crate::arch::Arch;
use crate::fs::path::TreePath;
use crate::id::ContentId;

fn x86_64(treefile: &Treefile) -> &ArchTreefile {
    treefile.for_arch(Arch::X86_64).unwrap()
}

const FULL: &str = r#"
version: 1.20
arches: [aarch64, x86_64]
ref: acme/${basearch}/${version}
layer-ref: acme/${flavour}/${layer}/${checksum}
channels: ["acme/${basearch}/stable"]
timestamp: 2026-11-02T20:36:21Z
goproxy: https://proxy.example,direct
source:
  x86_64:
    - path: ./go${version}.linux-${goarch}.tar.gz
    - url: https://example.org/go-${goarch}.tar.gz
  aarch64: [{ index: https://go.dev/dl/ }, { module: golang.org/toolchain }]
pin:
  x86_64: { sha256: 00ff10a500ff10a500ff10a500ff10a500ff10a500ff10a500ff10a500ff10a5 }
prefix: /opt/${flavour}/go
variables: { flavour: "${site}-x", site: acme, count: 5, home: "${prefix}/home" }
exclude: [test, doc, test]
layers:
  zebra: { noarch: true, include: [src] }
  ant: { include: [bin], override: true }
  site:
    add-files:
      - { path: "${prefix}/a", content: "$HOME $$ $${x} ${layer} ${home}", executable: true }
      - { path: /b, from: files/b }
    go-env: { GOTOOLCHAIN: local, GOAMD64: v1 }
links: { /usr/bin/go: "${prefix}/bin/go" }
add-commit-metadata:
  text: v${version}
  number: 5
  expanded: ${count}
  fraction: 1.20
  quoted: "true"
  nested: { list: [true, null, -3] }
"#;

#[test]
fn every_key_is_read() {
    let treefile = parse(&[("dir/t.yaml", FULL)]).unwrap();
    assert_eq!(treefile.version().as_str(), "1.20");
    assert_eq!(treefile.arches(), Arch::ALL);
    let release = x86_64(&treefile);
    assert_eq!(release.release_ref.as_str(), "acme/x86_64/1.20");
    let layer_ref = release
        .layer_ref
        .for_layer("ant", &ContentId::from([0; 32]));
    let zeros = "0".repeat(64);
    assert_eq!(
        layer_ref.unwrap().as_str(),
        format!("acme/acme-x/ant/{zeros}")
    );
    assert_eq!(release.channels[0].as_str(), "acme/x86_64/stable");
    assert_eq!(release.timestamp, Some(1_793_651_781));
    assert_eq!(
        release.goproxy.as_deref(),
        Some("https://proxy.example,direct")
    );
    assert_eq!(
        release.sources[0],
        SourceSpec::Path(PathBuf::from("dir/./go1.20.linux-amd64.tar.gz"))
    );
    assert_eq!(treefile.for_arch(Arch::Aarch64).unwrap().sources.len(), 2);
    assert!(release.pin.sha256.is_some() && release.pin.h1.is_none());
    assert_eq!(release.prefix.as_str(), "opt/acme-x/go");
    let names: Vec<&str> = release.layers.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["zebra", "ant", "site"]);
    assert!(release.layers[0].noarch && release.layers[1].may_override);
    let files = &release.layers[2].add_files;
    assert_eq!(files[0].path.as_str(), "opt/acme-x/go/a");
    assert!(files[0].executable && !files[1].executable);
    let text = "$HOME $ ${x} site /opt/acme-x/go/home";
    assert_eq!(files[0].content, AddContent::Inline(text.to_owned()));
    assert_eq!(files[1].content, AddContent::From("dir/files/b".into()));
    assert_eq!(release.layers[2].go_env["GOAMD64"], "v1");
    let exclude: Vec<&str> = release.exclude.iter().map(TreePath::as_str).collect();
    assert_eq!(exclude, ["doc", "test"]);
    let (link, target) = &release.links[0];
    assert_eq!(
        (link.as_str(), target.as_str()),
        ("usr/bin/go", "opt/acme-x/go/bin/go")
    );
    assert_eq!(
        json!(release.commit_metadata),
        json!({
            "expanded": "5",
            "fraction": "1.20",
            "nested": { "list": [true, null, -3] },
            "number": 5,
            "quoted": "true",
            "text": "v1.20",
        })
    );
}

#[test]
fn unset_keys_have_defaults() {
    let treefile = minimal("").unwrap();
    assert_eq!(treefile.arches(), Arch::ALL);
    let release = treefile.for_arch(Arch::Aarch64).unwrap();
    assert_eq!(release.release_ref.as_str(), "go-sdk/aarch64/1.26.5");
    assert_eq!(
        release.layer_ref.to_string(),
        "go-sdk/layer/${layer}/${checksum}"
    );
    assert_eq!(release.prefix.as_str(), "usr/lib/sdk/go-1.26");
    assert!(release.channels.is_empty() && release.sources.is_empty());
}

#[test]
fn a_variant_is_part_of_the_version() {
    let text = "variant: acme1\nsource: { path: \"go${go-version}.tar.gz\" }\nchannels: [\"${basearch}/${minor}\"]";
    let treefile = minimal(text).unwrap();
    assert_eq!(treefile.version().as_str(), "1.26.5-acme1");
    let release = x86_64(&treefile);
    assert_eq!(release.version.as_str(), "1.26.5-acme1");
    assert_eq!(release.go_version.as_str(), "1.26.5");
    assert_eq!(release.variant.as_deref(), Some("acme1"));
    assert_eq!(release.release_ref.as_str(), "go-sdk/x86_64/1.26.5-acme1");
    assert_eq!(release.channels[0].as_str(), "x86_64/1.26");
    assert_eq!(
        release.sources,
        [SourceSpec::Path("go1.26.5.tar.gz".into())]
    );
    let printed = treefile.expanded()["releases"]["x86_64"].to_string();
    let again = parse(&[("t.json", &printed)]).unwrap();
    assert_eq!(x86_64(&again), release);
    // A variant is another release; without one, nothing changes.
    let plain = minimal("").unwrap();
    assert_ne!(x86_64(&plain).fingerprint(), release.fingerprint());
    assert!(!x86_64(&plain).fingerprint().contains("variant"));
    assert_eq!(minimal("variant: ~").unwrap(), plain);
}

#[test]
fn one_source_stands_for_a_list() {
    let sources = |text: &str| {
        let treefile = minimal(text).unwrap();
        Arch::ALL.map(|arch| treefile.for_arch(arch).unwrap().sources.clone())
    };
    let path = |name: &str| vec![SourceSpec::Path(name.into())];
    let pinned = "url: https://example.org/go.tar.gz, sha256: 00ff10a500ff10a500ff10a500ff10a500ff10a500ff10a500ff10a500ff10a5";
    for (one, list) in [
        ("{ path: go.tar.gz }", "[{ path: go.tar.gz }]"),
        (&format!("{{ {pinned} }}"), &format!("[{{ {pinned} }}]")),
        (
            "{ x86_64: { path: a }, aarch64: { module: golang.org/toolchain } }",
            "{ x86_64: [{ path: a }], aarch64: [{ module: golang.org/toolchain }] }",
        ),
        (
            "{ rpm: golang.rpm, gpgkey: keys }",
            "[{ rpm: [golang.rpm], gpgkey: [keys] }]",
        ),
    ] {
        let (one, list) = (format!("source: {one}"), format!("source: {list}"));
        assert_eq!(sources(&one), sources(&list), "{one}");
    }
    assert_eq!(sources("source:\n  path: go.tar.gz")[1], path("go.tar.gz"));

    // As a list does, one source replaces what an included treefile has.
    let over = |base: &str, over: &str| {
        let over = format!("include: base.yaml\n{MINIMAL}source: {over}\n");
        let base = format!("source: {base}\n");
        let treefile = parse(&[("t.yaml", &over), ("base.yaml", &base)]).unwrap();
        x86_64(&treefile).sources.clone()
    };
    for base in [
        format!("{{ {pinned} }}"),
        "[{ index: https://go.dev/dl/ }]".to_owned(),
        "{ x86_64: { path: old }, aarch64: { path: other } }".to_owned(),
    ] {
        assert_eq!(over(&base, "{ path: new }"), path("new"), "{base}");
        let both = "{ x86_64: { path: new }, aarch64: [{ path: b }] }";
        assert_eq!(over(&base, both), path("new"), "{base}");
    }
    let per_arch = "{ x86_64: { path: old }, aarch64: { path: other } }";
    assert_eq!(over(per_arch, "{ x86_64: { path: new } }"), path("new"));
}

#[test]
fn json_is_a_treefile_too() {
    let text =
        "{\n\t\"version\": \"1.26.5\",\n\t\"layers\": {\"all\": {\"include\": [\"src\"]}}\n}";
    let treefile = parse(&[("t.json", text)]).unwrap();
    assert_eq!(treefile.releases(), minimal("").unwrap().releases());
}

#[test]
fn an_including_treefile_overrides_its_includes() {
    let treefile = parse(&[
        (
            "site/top.yaml",
            "
include: [../lib/base.yaml, own.yaml]
version: 1.26.5
source: [{ path: top.tar.gz }]
exclude: [misc]
layers:
  new: { include: [lib] }
  all: { include: [src], add-files: [{ path: /b, from: b }, { path: /a, from: a }] }
links: { /usr/bin/go: /top }
",
        ),
        (
            "lib/base.yaml",
            "
include: deep/deep.yaml
source: [{ index: https://go.dev/dl/ }]
exclude: [test]
layers: { first: { include: [bin] }, all: { include: [api], add-files: [{ path: /a, from: a }] } }
links: { /usr/bin/go: /base, /usr/bin/gofmt: /base }
",
        ),
        (
            "lib/deep/deep.yaml",
            "layers: { deepest: { include: [pkg] } }",
        ),
        (
            "site/own.yaml",
            "links: { /usr/bin/gofmt: /own }\narches: [x86_64]",
        ),
    ])
    .unwrap();
    assert_eq!(treefile.arches(), [Arch::X86_64]);
    let release = x86_64(&treefile);
    assert_eq!(
        release.sources,
        [SourceSpec::Path("site/top.tar.gz".into())]
    );
    let exclude: Vec<&str> = release.exclude.iter().map(TreePath::as_str).collect();
    assert_eq!(exclude, ["misc", "test"]);
    let layers: Vec<(&str, Vec<&str>)> = release
        .layers
        .iter()
        .map(|layer| {
            (
                layer.name.as_str(),
                layer.include.iter().map(TreePath::as_str).collect(),
            )
        })
        .collect();
    assert_eq!(
        layers,
        [
            ("deepest", vec!["pkg"]),
            ("first", vec!["bin"]),
            ("all", vec!["src"]),
            ("new", vec!["lib"])
        ]
    );
    let files = &release.layers[2].add_files;
    let files: Vec<_> = files
        .iter()
        .map(|file| (file.path.as_str(), &file.content))
        .collect();
    assert_eq!(
        files,
        [
            ("a", &AddContent::From(Path::new("site/a").into())),
            ("b", &AddContent::From(Path::new("site/b").into())),
        ]
    );
    let links: Vec<_> = release
        .links
        .iter()
        .map(|(l, t)| (l.as_str(), t.as_str()))
        .collect();
    assert_eq!(links, [("usr/bin/go", "top"), ("usr/bin/gofmt", "own")]);
}

#[test]
fn an_expanded_treefile_gives_the_same_release() {
    let treefile = parse(&[("", FULL)]).unwrap();
    for (arch, expanded) in treefile.expanded()["releases"].as_object().unwrap() {
        let again = parse(&[("", &expanded.to_string())]).unwrap();
        let arch = arch.parse().unwrap();
        assert_eq!(
            again.for_arch(arch).unwrap(),
            treefile.for_arch(arch).unwrap()
        );
        assert_eq!(again.arches(), [arch]);
    }
}

#[test]
fn the_fingerprint_covers_the_release_and_not_its_origin() {
    let print = |more: &str| x86_64(&minimal(more).unwrap()).fingerprint();
    let plain = print("");
    for same in [
        "source: [{ index: https://go.dev/dl/ }]",
        "goproxy: direct",
        "channels: [\"${basearch}\"]",
        "pin: { x86_64: { h1: \"h1:KyINmJ/FQdKRmDYGuTAAXkumyeR2DyUlSNHZj7XaLFg=\" } }",
        "variables: { a: b }",
        "arches: [x86_64]",
    ] {
        assert_eq!(print(same), plain, "{same}");
    }
    for other in [
        "prefix: /opt/go",
        "exclude: [test]",
        "links: { /a: /b }",
        "timestamp: 5",
        "ref: \"a/${basearch}/${version}\"",
        "add-commit-metadata: { a: 1 }",
    ] {
        assert_ne!(print(other), plain, "{other}");
    }
    let metadata = |text: &str| print(&format!("add-commit-metadata: {text}"));
    assert_eq!(
        metadata("{ a: { x: 1, y: 2 }, b: 1 }"),
        metadata("{ b: 1, a: { y: 2, x: 1 } }")
    );

    let layers = |from: &str| {
        let layers = format!("{{ a: {{ add-files: [{{ path: /x, from: {from} }}] }} }}");
        let text = format!("version: 1.26.5\nlayers: {layers}\n");
        x86_64(&parse(&[("t.yaml", &text)]).unwrap()).fingerprint()
    };
    assert_eq!(layers("one"), layers("other"));
    assert_ne!(layers("one"), plain);
}

#[test]
fn rpms_are_named_by_path_or_url() {
    let zeros = "0".repeat(64);
    let text = format!(
        "{MINIMAL}source:\n  - rpm: ['golang.${{basearch}}.rpm', 'https://example.org/src.rpm', {{ path: bin.rpm, sha256: {zeros} }}]\n    gpgkey: [keys/vendor]\n"
    );
    let treefile = parse(&[("dir/t.yaml", &text)]).unwrap();
    let release = treefile.for_arch(Arch::Aarch64).unwrap();
    let file = |location, sha256| RpmFile { location, sha256 };
    let path = |path: &str| RpmLocation::Path(path.into());
    assert_eq!(
        release.sources,
        [SourceSpec::Rpm {
            files: vec![
                file(path("dir/golang.aarch64.rpm"), None),
                file(
                    RpmLocation::Url("https://example.org/src.rpm".to_owned()),
                    None
                ),
                file(path("dir/bin.rpm"), Some(zeros.parse().unwrap())),
            ],
            gpg_keys: vec!["dir/keys/vendor".into()],
        }]
    );
    let printed = treefile.expanded()["releases"]["aarch64"].to_string();
    let again = parse(&[("t.json", &printed)]).unwrap();
    assert_eq!(
        again.for_arch(Arch::Aarch64).unwrap().sources,
        release.sources
    );
}

#[test]
fn std_caches_are_named_by_target_and_mode() {
    let names = |more: &str| -> Vec<String> {
        let treefile = minimal(more).unwrap();
        let all = treefile.std_caches().iter();
        all.map(|one| one.ref_name.as_str().replace("go-sdk/stdcache/1.26.5/", ""))
            .collect()
    };
    let all = [
        "x86_64-trimpath",
        "x86_64-plain",
        "aarch64-trimpath",
        "aarch64-plain",
    ];
    assert_eq!(names(""), [""; 0]);
    assert_eq!(names("stdcache: null"), [""; 0]);
    assert_eq!(names("stdcache: {}"), all);
    // Duplicates and the order do not matter.
    assert_eq!(
        names("stdcache: { targets: [aarch64, x86_64, x86_64], modes: [plain, trimpath] }"),
        all
    );
    assert_eq!(
        names("stdcache: { targets: [aarch64], modes: [plain] }"),
        ["aarch64-plain"]
    );
    // The architectures that releases are composed for do not matter.
    assert_eq!(names("arches: [aarch64]\nstdcache: {}"), all);
    let of_variant = minimal("variant: acme1\nstdcache: { modes: [plain] }").unwrap();
    assert_eq!(
        of_variant.std_caches()[0].ref_name.as_str(),
        "go-sdk/stdcache/1.26.5-acme1/x86_64-plain"
    );
}

#[test]
fn std_caches_are_printed_and_do_not_change_a_release() {
    let (without, with) = (
        minimal("").unwrap(),
        minimal("stdcache: { modes: [plain] }").unwrap(),
    );
    let (without, with) = (x86_64(&without), x86_64(&with));
    assert_eq!(without.fingerprint(), with.fingerprint());
    let printed = minimal("stdcache: { modes: [plain] }").unwrap().expanded();
    let printed = &printed["releases"]["x86_64"];
    assert_eq!(
        printed["stdcache"],
        json!({ "targets": ["x86_64", "aarch64"], "modes": ["plain"] })
    );
    let again = parse(&[("t.yaml", &printed.to_string())]).unwrap();
    assert_eq!(x86_64(&again).std_caches, with.std_caches);
}
