//! What `overlay` reads from the metadata of a base, and which files of an SDK it refuses.

use ostree_go_tests::os::{BASE, Os};
use ostree_go_tests::ostree::{init, ostree, try_ostree};
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::state::State;
use serde_json::Value;

const SDK: &str = "go-sdk/x86_64/1.99.1";
const NEW: &str = "os/x86_64/go";

fn sandbox(lines: &str) -> Sandbox {
    let sandbox = Sandbox::with_toys(lines);
    init(&sandbox.repo(), "archive");
    sandbox.compose([]);
    sandbox
}

/// Runs an overlay that has to fail without changing the repository, and returns the messages.
fn refused(sandbox: &Sandbox, args: &[&str]) -> String {
    let before = State::of(&sandbox.repo());
    let out = sandbox.run(["overlay"].iter().chain(args).copied());
    assert_ne!(out.code(), Some(0), "{args:?}");
    State::of(&sandbox.repo()).assert_is(&before);
    out.stderr
}

/// Commits the toy OS with the metadata of rpm-ostree alone, and returns the ref.
fn rpm_ostree_base(sandbox: &Sandbox, name: &str, arch: &str) -> String {
    let tree = format!("--tree=dir={}", sandbox.path("os").display());
    let packages = format!(
        "--add-metadata=rpmostree.rpmdb.pkglist=[('glibc','0','2.42','1','{arch}'), \
         ('bash','0','5.2','1','{arch}'), ('glibc','0','2.42','1','i686'), ('tzdata','0','1','1','noarch')]"
    );
    let branch = format!("--branch={name}");
    ostree(
        &sandbox.repo(),
        ["commit", &tree, &branch, &packages, "--no-xattrs"],
    );
    name.to_owned()
}

#[test]
fn the_architecture_of_the_base_is_that_of_its_packages() {
    let sandbox = sandbox("");
    Os::without_policy(&sandbox);
    for (arch, goarch, other) in [
        ("x86_64", "amd64", "aarch64"),
        ("aarch64", "arm64", "x86_64"),
    ] {
        let base = rpm_ostree_base(&sandbox, &format!("os/{arch}/base"), arch);
        let out = refused(
            &sandbox,
            &[&base, &format!("go-sdk/{other}/1.99.1"), "--ref", NEW],
        );
        assert!(
            out.contains(&format!("is for {other}, and the base"))
                && out.contains(&format!("is for {arch}")),
            "{out}"
        );
        // A short version means the architecture of the base.
        let new = format!("os/{arch}/go");
        let out = sandbox
            .run(["overlay", &base, "1.99.1", "--ref", &new])
            .ok();
        assert!(
            !out.stderr.contains("does not name its architecture"),
            "{out}"
        );
        let releases = ["show", "--print-metadata-key=sdk.releases", &new];
        let releases = ostree(&sandbox.repo(), releases);
        assert!(
            releases.contains(&format!("'arch': <'{goarch}'>")),
            "{releases}"
        );
    }
}

#[test]
fn files_in_var_are_refused() {
    let var = "layers: { site: { add-files: [{ path: /var/lib/go/x, content: x }] } }";
    let sandbox = sandbox(var);
    Os::without_policy(&sandbox).commit_here();
    let said = refused(&sandbox, &[BASE, SDK, "--ref", NEW]);
    insta::with_settings!({filters => [("[0-9a-f]{64}", "COMMIT")]}, {
        insta::assert_snapshot!(said, @"
    error: commit COMMIT has /var/lib/go/x, but /var of an OS commit is not part of a deployment
    hint: let the SDK have its files in /usr, and create those in /var with tmpfiles.d
    ");
    });
}

#[test]
fn the_loss_of_a_composefs_digest_is_said() {
    let sandbox = sandbox("");
    Os::without_policy(&sandbox).commit_here();
    let out = sandbox
        .run(["overlay", BASE, SDK, "--ref", NEW, "--format", "json"])
        .ok();
    assert!(
        out.stderr
            .contains("warning: the base has a composefs digest"),
        "{out}"
    );
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    let warnings = json["warnings"].as_array().unwrap();
    assert!(
        warnings.iter().any(|one| one == "no-composefs-digest"),
        "{json}"
    );
    let key = [
        "show",
        "--print-metadata-key=ostree.composefs.digest.v0",
        NEW,
    ];
    assert!(!try_ostree(&sandbox.repo(), key).status.success());
    // Without one there is nothing to lose.
    let base = rpm_ostree_base(&sandbox, "os/plain/base", "x86_64");
    let out = sandbox
        .run(["overlay", &base, SDK, "--ref", "os/plain/go"])
        .ok();
    assert!(!out.stderr.contains("composefs"), "{out}");
}
