use insta::assert_snapshot;
use serde_json::json;

use super::super::ModuleSource;
use super::minimal;
use crate::arch::Arch;

const SUM: &str = "h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=";

/// A treefile with all forms of modules.
fn modules() -> String {
    format!(
        "modules:\n\
         - example.com/lib@v1.2.3\n\
         - {{ module: example.com/private@v2.0.0+incompatible, sum: \"{SUM}\" }}\n\
         - {{ module: example.com/local/v2, path: ../local }}\n"
    )
}

#[test]
fn modules_have_refs_and_directories() {
    let treefile = minimal(&modules()).unwrap();
    let all = treefile.modules().iter();
    let all = all.map(|one| format!("{} {} {}", one.source, one.ref_name, one.dir));
    assert_snapshot!(all.collect::<Vec<_>>().join("\n"), @"
    example.com/lib@v1.2.3 go-sdk/module/example.com/lib/v1.2.3 usr/lib/sdk/modules/example.com/lib@v1.2.3
    example.com/private@v2.0.0+incompatible go-sdk/module/example.com/private/v2.0.0_2bincompatible usr/lib/sdk/modules/example.com/private@v2.0.0+incompatible
    example.com/local/v2 in ../local go-sdk/module/example.com/local/v2/_local usr/lib/sdk/modules/example.com/local/v2
    ");
    let sums = treefile.modules().iter().map(|one| match &one.source {
        ModuleSource::Version { sum, .. } => sum.map(|sum| sum.to_string()),
        ModuleSource::Directory { .. } => None,
    });
    let sums: Vec<_> = sums.collect();
    assert_eq!(sums, [None, Some(SUM.to_owned()), None]);
}

#[test]
fn modules_are_printed_and_do_not_change_a_release() {
    let (without, with) = (minimal("").unwrap(), minimal(&modules()).unwrap());
    let fingerprint = |treefile: &super::Treefile| {
        let release = treefile.for_arch(Arch::X86_64).unwrap();
        release.fingerprint()
    };
    assert_eq!(fingerprint(&without), fingerprint(&with));
    let printed = with.expanded();
    let printed = &printed["releases"]["x86_64"];
    assert_eq!(
        printed["modules"],
        json!([
            "example.com/lib@v1.2.3",
            { "module": "example.com/private@v2.0.0+incompatible", "sum": SUM },
            { "module": "example.com/local/v2", "path": "../local" },
        ])
    );
    let again = super::parse(&[("t.yaml", &printed.to_string())]).unwrap();
    assert_eq!(again.modules(), with.modules());
}

#[test]
fn invalid_modules() {
    let errors = [
        "modules: example.com/lib@v1.2.3",
        "modules: [example.com/lib]",
        "modules: [example.com/lib@latest]",
        "modules: [example.com/lib@v1.2]",
        "modules: [example.com/lib/v2@v1.0.0]",
        "modules: [lib@v1.0.0]",
        "modules: [{ module: example.com/lib@v1.0.0, sum: \"h1:x\" }]",
        "modules: [{ module: example.com/lib@v1.0.0, path: lib }]",
        "modules: [{ module: example.com/lib, path: lib, sum: \"h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=\" }]",
        "modules: [{ path: lib }]",
        "modules: [{ modul: example.com/lib@v1.0.0 }]",
        "modules: [example.com/lib@v1.0.0, { module: example.com/lib@v1.0.0 }]",
        "modules: [\"example.com/${basearch}@v1.0.0\"]",
    ];
    let errors = errors.map(|text| match minimal(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    });
    assert_snapshot!(errors.join("\n"), @"
    t.yaml:3: modules: expected a list, found `example.com/lib@v1.2.3`
    t.yaml:3: modules[0]: `example.com/lib` has no version, expected the form example.com/lib@v1.2.3
    t.yaml:3: modules[0]: `latest` is not a version of example.com/lib but a query, expected an exact version such as v1.2.3
    t.yaml:3: modules[0]: `v1.2` is not a version of example.com/lib: it must be of the form v1.2.3
    t.yaml:3: modules[0]: `v1.0.0` is not a version of example.com/lib/v2: it should be v2, not v1
    t.yaml:3: modules[0]: `lib` is not a module path: missing dot in first path element
    t.yaml:3: modules[0].sum: `h1:x` is not a module hash, expected `h1:` and 44 characters of base64
    t.yaml:3: modules[0]: `example.com/lib@v1.0.0` has a version, expected `example.com/lib`: the version of a module from a directory follows from its commit
    t.yaml:3: modules[0]: `sum` is only valid without `path`, whose content has no version
    t.yaml:3: modules[0]: the key `module` is missing
    t.yaml:3: modules[0]: unknown key `modul`
    t.yaml:3: modules: example.com/lib@v1.0.0 is named twice
    t.yaml:3: modules: the modules or their refs differ between x86_64 and aarch64, expected the same for all architectures
    ");
}
