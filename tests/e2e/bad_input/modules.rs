//! Go modules that cannot be composed.

use super::Bad;
use insta::assert_snapshot;
use ostree_go_tests::toy_module::ToyModule;
use std::fs;

const NAME: &str = "example.com/lib@v1.2.3";
/// The hash of another content.
const OTHER: &str = "h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=";

impl Bad {
    /// Publishes a module in a proxy, and returns its hash.
    fn module_proxy(&self) -> String {
        ToyModule::new(NAME).publish(&self.sandbox.path("proxy"))
    }

    /// Writes `go.yaml` for the release that exists, with modules and the proxy.
    fn modules(&self, modules: &str) {
        let proxy = self.sandbox.path("proxy");
        let lines = format!("goproxy: file://{}\nmodules: [{modules}]", proxy.display());
        let archive = self.sandbox.path("x86_64.tar.gz");
        self.treefile(super::TOY, &archive, &lines);
    }
}

#[test]
fn an_unknown_module_and_version() {
    let bad = Bad::new();
    let sum = bad.module_proxy();
    bad.modules(&format!(
        "{{ module: example.com/lib@v1.9.9, sum: \"{sum}\" }}"
    ));
    assert_snapshot!(bad.compose(["--cachedir=cache"], 1), @"
    error: module example.com/lib@v1.9.9 cannot be downloaded
      cannot read [dir]/proxy/example.com/lib/@v/v1.9.9.zip: No such file or directory (os error 2)
    hint: check the path and the version; `go list -m -versions PATH` lists the versions
    ");
}

#[test]
fn a_module_with_another_content() {
    let bad = Bad::new();
    bad.module_proxy();
    bad.modules(&format!("{{ module: {NAME}, sum: \"{OTHER}\" }}"));
    assert_snapshot!(bad.compose(["--cachedir=cache"], 3), @"
    error: content of file://[dir]/proxy/example.com/lib/@v/v1.2.3.zip has h1:4eHGLFf9V4lYHS4meAXaKhciCROB2AHjZxqYxYmjSDU=, but the treefile has h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w= for example.com/lib@v1.2.3
    hint: do not use the module, or correct its `sum` in the treefile
    ");
}

#[test]
fn a_version_that_is_none() {
    let bad = Bad::new();
    let error = |name: &str| {
        bad.modules(name);
        bad.compose([], 1)
    };
    assert_snapshot!(error("example.com/lib@latest"), @"error: go.yaml:6: modules[0]: `latest` is not a version of example.com/lib but a query, expected an exact version such as v1.2.3");
    assert_snapshot!(error("example.com/lib@v1.2"), @"error: go.yaml:6: modules[0]: `v1.2` is not a version of example.com/lib: it must be of the form v1.2.3");
}

#[test]
fn a_private_module_without_a_sum() {
    let bad = Bad::new();
    let sum = bad.module_proxy();
    bad.modules(NAME);
    let mut command = bad.sandbox.ostree_go(["compose", "go.yaml"]);
    command.env("GOPRIVATE", "example.com");
    assert_snapshot!(bad.refuse(&mut command, 1), @"
    error: module example.com/lib@v1.2.3 has no `sum`, and the patterns `example.com` exclude it from the checksum database
    hint: GONOSUMDB or GOPRIVATE declares it private; add `sum` with the module's hash, which `go mod download -json MODULE@VERSION` prints, to its entry in the treefile
    ");
    assert_snapshot!(bad.compose(["--no-sumdb"], 1), @"
    error: module example.com/lib@v1.2.3 has no `sum`, and the checksum database is not used
    hint: add `sum` with the module's hash, which `go mod download -json MODULE@VERSION` prints, to its entry in the treefile
    ");

    // Its name is not told to the proxies of the environment.
    let archive = bad.sandbox.path("x86_64.tar.gz");
    let lines = format!("modules: [{{ module: {NAME}, sum: \"{sum}\" }}]");
    bad.treefile(super::TOY, &archive, &lines);
    let mut command = bad.sandbox.ostree_go(["compose", "go.yaml"]);
    command
        .env("GOPRIVATE", "example.com")
        .env("GOPROXY", "https://127.0.0.1:1");
    assert_snapshot!(bad.refuse(&mut command, 1), @"
    error: module example.com/lib@v1.2.3 is not requested from GOPROXY, because it matches `example.com`, and the treefile has no `goproxy`
    hint: GONOPROXY or GOPRIVATE declares it private; set `goproxy` in the treefile to a proxy that may be asked for it
    ");
}

#[test]
fn a_directory_that_is_not_the_module() {
    let bad = Bad::new();
    let dir = bad.sandbox.path("lib");
    fs::create_dir(&dir).unwrap();
    bad.modules("{ module: example.com/lib, path: lib }");
    assert_snapshot!(bad.compose([], 1), @"
    error: lib has no go.mod, so it is not a module
    hint: name the directory that contains go.mod
    ");
    fs::write(dir.join("go.mod"), "module example.com/other\n").unwrap();
    assert_snapshot!(bad.compose([], 3), @"
    error: go.mod in lib names the module example.com/other, expected the module example.com/lib
    hint: set `module` in the treefile to the path in the `module` line of go.mod
    ");
    fs::write(dir.join("go.mod"), "module (\n").unwrap();
    assert_snapshot!(bad.compose([], 1), @"
    error: cannot read go.mod in lib
      line 1: the block has no closing `)`
    ");
}

#[test]
fn a_version_with_other_content_than_before() {
    let bad = Bad::new();
    let sum = bad.module_proxy();
    bad.modules(&format!("{{ module: {NAME}, sum: \"{sum}\" }}"));
    bad.sandbox.compose(["--cachedir=cache"]);
    let changed = ToyModule::new(NAME).with("lib.go", "package lib\n");
    let sum = changed.publish(&bad.sandbox.path("proxy"));
    bad.modules(&format!("{{ module: {NAME}, sum: \"{sum}\" }}"));
    assert_snapshot!(bad.compose(["--cachedir=cache"], 1), @"
    error: module go-sdk/module/example.com/lib/v1.2.3 exists with other content: found commit [sha256], expected [sha256]
    hint: the ref of a module's version never moves; compose another version, or use --replace if it has not been published
    ");
}
