//! Uses of the lock of a workspace: formats for CI, signatures, commits and images that record it, and
//! `run --locked`.

mod locked_run;
mod recorded;
mod signatures;

use insta::assert_snapshot;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::host::Host;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const MODULE: &str = "module example.com/app\n\ngo 1.99\n";

/// A host with a toy SDK, and the checkout `src` of a workspace whose only module has no dependencies, in the
/// directory `app`.
struct Checkout(Host);

impl Checkout {
    fn new() -> Self {
        let host = Host::new();
        host.release("1.99.1", 1_800_000_000);
        host.install("1.99.1").ok();
        let checkout = Self(host);
        checkout.write("app/go.mod", MODULE);
        checkout.write("app/main.go", "package main\n\nfunc main() {}\n");
        fs::create_dir(checkout.path(".git")).unwrap();
        checkout
    }

    /// Creates the same with a lock.
    fn locked() -> Self {
        let checkout = Self::new();
        checkout.run(&["workspace", "lock", "src/app"]).ok();
        checkout
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.sandbox.path("src").join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        self.0.sandbox.write(&format!("src/{name}"), text)
    }

    fn command(&self, args: &[&str]) -> Command {
        self.0.command(args.iter().copied())
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    /// Runs the command with the installed SDKs instead of those in the repository.
    #[track_caller]
    fn run_installed(&self, args: &[&str]) -> Output {
        run(self.command(args).env_remove("OSTREE_REPO"))
    }

    #[track_caller]
    fn check(&self, more: &[&str]) -> Output {
        self.run(&[&["workspace", "check", "src/app"], more].concat())
    }

    /// Returns an output without the directory of the test.
    fn shown(&self, text: &str) -> String {
        let folder = self.0.sandbox.path("");
        let folder = folder.to_str().unwrap().trim_end_matches('/');
        text.replace(folder, "[dir]")
    }

    fn lock(&self) -> PathBuf {
        self.path("app/ostree-go.lock")
    }

    fn signature(&self) -> PathBuf {
        self.path("app/ostree-go.lock.sig")
    }

    /// Returns what `sha256sum` prints for the lock.
    fn digest(&self) -> String {
        let out = run(Command::new("sha256sum").arg(self.lock())).ok();
        out.stdout[..64].to_owned()
    }

    /// Adds a line to the lock's module, which is drift.
    fn change(&self) {
        self.write("app/go.mod", &MODULE.replace("1.99", "1.98"));
    }
}

fn sarif(out: &Output) -> Value {
    serde_json::from_str(&out.stdout).unwrap_or_else(|error| panic!("{error}: {out}"))
}

#[test]
fn drift_is_printed_as_sarif_and_as_annotations() {
    let checkout = Checkout::locked();
    let out = checkout.check(&["--format", "github"]).ok();
    assert_eq!(out.stdout, "");
    let out = checkout.check(&["--format", "sarif"]).ok();
    let scan = &sarif(&out)["runs"][0];
    assert_eq!(scan["results"], Value::Array(Vec::new()));
    assert_eq!(scan["invocations"][0]["executionSuccessful"], true);

    checkout.change();
    let out = checkout.check(&["--format", "github"]).exits(4);
    assert_snapshot!(out.stdout, @"::error file=app/go.mod,line=3,title=go-line-changed::the `go` line differs%0Aexpected 1.99%0Afound 1.98");
    let out = checkout.check(&["--format", "sarif"]).exits(4);
    let document = sarif(&out);
    assert_eq!(document["version"], "2.1.0");
    let scan = &document["runs"][0];
    assert_eq!(scan["tool"]["driver"]["name"], "ostree-go");
    let result = &scan["results"][0];
    assert_eq!(result["ruleId"], "go-line-changed");
    assert_eq!(result["level"], "error");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "app/go.mod");
    assert_eq!(place["artifactLocation"]["uriBaseId"], "%SRCROOT%");
    assert_eq!(place["region"]["startLine"], 3);
    let rules = scan["tool"]["driver"]["rules"].as_array().unwrap();
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(rules[index]["id"], result["ruleId"]);
    for rule in rules {
        assert!(rule["shortDescription"]["text"].is_string(), "{rule}");
        assert!(rule["help"]["text"].is_string(), "{rule}");
    }
    // Without a checkout, paths are relative to the workspace.
    fs::remove_dir(checkout.path(".git")).unwrap();
    let out = checkout.check(&["--format", "github"]).exits(4);
    assert!(out.stdout.starts_with("::error file=go.mod,"), "{out}");
}

#[test]
fn a_failed_check_is_not_a_check_without_drift() {
    let checkout = Checkout::new();
    let out = checkout.check(&["--format", "github"]).exits(1);
    let expected = "::error title=ostree-go::there is no lock file [dir]/src/app/ostree-go.lock";
    assert!(checkout.shown(&out.stdout).starts_with(expected), "{out}");
    assert_eq!(out.stdout.lines().count(), 1);
    let out = checkout.check(&["--format", "sarif"]).exits(1);
    let invocation = &sarif(&out)["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert_eq!(invocation["exitCode"], 1);
    fs::write(checkout.lock(), "{}").unwrap();
    let out = checkout.check(&[]).exits(1);
    let expected = "error: the lock file [dir]/src/app/ostree-go.lock is malformed";
    assert!(checkout.shown(&out.stderr).starts_with(expected), "{out}");
}

#[test]
fn verbs_without_findings_refuse_the_formats_before_they_do_anything() {
    let checkout = Checkout::new();
    let new = checkout.0.sandbox.path("new");
    let new = new.to_str().unwrap();
    for args in [
        &["init", "--repo", new][..],
        &["compose", "go.yaml", "--repo", new],
        &["workspace", "lock", "src/app"],
    ] {
        let out = checkout.run(&[args, &["--format", "sarif"]].concat());
        let out = out.exits(2);
        assert_eq!(
            out.stderr,
            "error: the result has no format `sarif`\n\
             hint: `workspace check` has it; use --format human or --format json here\n"
        );
        checkout
            .run(&[args, &["--format", "github"]].concat())
            .exits(2);
    }
    assert!(!checkout.0.sandbox.path("new").exists());
    assert!(!checkout.lock().exists());
}
