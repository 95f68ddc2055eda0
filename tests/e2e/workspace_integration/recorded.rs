//! Commits and images that record a lock, and the comparison with them.

use super::{Checkout, MODULE};
use ostree_go_tests::cli::run;
use ostree_go_tests::containers::Registry;
use ostree_go_tests::images::{blob, document};
use ostree_go_tests::os::{BASE, Os};
use ostree_go_tests::ostree::{ostree, try_ostree};
use serde_json::Value;

/// An SDK for the architecture of the toy OS.
const SDK: &str = "go-sdk/x86_64/1.99.1";

#[test]
fn commits_and_images_record_the_lock() {
    let checkout = Checkout::locked();
    let lock = checkout.lock();
    let with_lock = ["--workspace-lock", lock.to_str().unwrap()];
    let repo = checkout.0.sandbox.repo();
    let of = |name: &str| {
        let args = ["show", "--print-metadata-key=sdk.workspace", name];
        let out = try_ostree(&repo, args);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        out.status
            .success()
            .then(|| text.trim().trim_matches('\'').to_owned())
    };
    let compose = |more: &[&str]| {
        let args = [&["compose", "go.yaml", "--replace"], more].concat();
        let mut command = checkout.command(&args);
        let out = run(command.env("SOURCE_DATE_EPOCH", "1800000000")).ok();
        out.stdout
    };
    let arch = checkout.0.arch();
    let (release, channel) = (
        format!("go-sdk/{arch}/1.99.1"),
        format!("go-sdk/{arch}/1.99"),
    );
    let without = compose(&[]);
    assert_eq!(of(&release), None);
    let first = compose(&with_lock);
    assert_ne!(first, without);
    assert_eq!(of(&release).unwrap(), checkout.digest());
    assert_eq!(of(&channel).unwrap(), checkout.digest());
    let shown = checkout.run(&["show", &release]).ok();
    let line = format!("workspace {}\n", checkout.digest());
    assert!(shown.stdout.contains(&line), "{shown}");
    assert_eq!(
        checkout.0.json(["show", &release])["workspace"],
        checkout.digest()
    );
    // The same lock gives the same commit, also when it is composed anew; no lock gives the one without.
    assert_eq!(compose(&with_lock), first);
    assert_eq!(
        compose(&[&with_lock[..], &["--force-nocache"]].concat()),
        first
    );
    assert_eq!(compose(&[]), without);
    // Another lock gives another commit, to which the ref of a release does not move by itself.
    checkout.change();
    checkout.run(&["workspace", "lock", "src/app"]).ok();
    let out = checkout.run(&[&["compose", "go.yaml"], &with_lock[..]].concat());
    assert!(out.exits(1).stderr.contains("--replace"));
    let second = compose(&with_lock);
    assert!(second != first && second != without);

    // An image has the lock of its release, or another one.
    let label = |layout: &str, more: &[&str]| {
        let image = format!("oci:{layout}");
        let args = [
            &["export", "oci", &release, &image, "--format", "json"],
            more,
        ]
        .concat();
        let made: Value = serde_json::from_str(&checkout.run(&args).ok().stdout).unwrap();
        let layout = checkout.0.sandbox.path(layout);
        let manifest = document(&blob(&layout, &made["images"][0]["digest"]));
        let config = document(&blob(&layout, &manifest["config"]["digest"]));
        let label = config["config"]["Labels"]["sdk.workspace"].clone();
        assert_eq!(manifest["annotations"]["sdk.workspace"], label);
        label
    };
    assert_eq!(label("own", &[]), checkout.digest());
    checkout.write("app/go.mod", MODULE);
    checkout.run(&["workspace", "lock", "src/app"]).ok();
    assert_ne!(of(&release).unwrap(), checkout.digest());
    assert_eq!(label("other", &with_lock), checkout.digest());

    // A file that is no lock is refused before anything is made.
    let before = of(&release);
    let bad = checkout.0.sandbox.write("bad.lock", "[]");
    for bad in [bad.to_str().unwrap(), "missing.lock"] {
        let more = ["--workspace-lock", bad];
        checkout
            .run(&[&["compose", "go.yaml", "--replace"], &more[..]].concat())
            .exits(1);
        checkout
            .run(&[&["export", "oci", &release, "oci:bad"], &more[..]].concat())
            .exits(1);
    }
    assert_eq!(of(&release), before);
    assert!(!checkout.0.sandbox.path("bad").exists());
    // `sdk.workspace` cannot be set in another way.
    let set = ["--add-metadata-string", "sdk.workspace=x"];
    let out = checkout.run(&[&["compose", "go.yaml", "--replace"], &set[..]].concat());
    assert!(out.exits(1).stderr.contains("sdk.workspace"));
}

#[test]
fn an_os_image_records_the_lock() {
    let checkout = Checkout::locked();
    let repo = checkout.0.sandbox.repo();
    Os::without_policy(&checkout.0.sandbox).commit(&repo);
    let lock = checkout.lock();
    let overlay = |more: &[&str]| {
        let args = ["overlay", BASE, SDK, "--ref", "os/x86_64/go"];
        checkout.run(&[&args[..], more].concat()).ok().stdout
    };
    let with_lock = ["--workspace-lock", lock.to_str().unwrap()];
    let without = overlay(&[]);
    let with = overlay(&with_lock);
    assert_ne!(without, with);
    assert_eq!(overlay(&with_lock), with, "nothing has changed");
    let args = ["show", "--print-metadata-key=sdk.workspace", "os/x86_64/go"];
    assert_eq!(
        ostree(&repo, args).trim(),
        format!("'{}'", checkout.digest())
    );
    checkout.check(&["--against", "os/x86_64/go"]).ok();
}

#[test]
fn a_check_compares_the_lock_with_the_deployed_one() {
    let checkout = Checkout::locked();
    let lock = checkout.lock();
    let with_lock = ["--workspace-lock", lock.to_str().unwrap()];
    let arch = checkout.0.arch();
    let release = format!("go-sdk/{arch}/1.99.1");
    let against = |target: &str| checkout.check(&["--format", "github", "--against", target]);
    let out = checkout.check(&["--against", &release]).exits(1);
    let error = out.stderr.lines().next().unwrap();
    assert!(
        error.ends_with(" does not record the lock of a workspace"),
        "{out}"
    );
    assert!(out.stderr.contains("--workspace-lock"), "{out}");

    let export = |image: &str, more: &[&str]| {
        checkout
            .run(&[&["export", "oci", "1.99.1", image], more].concat())
            .ok();
    };
    export("oci:none", &[]);
    export("oci:images:1.99.1", &with_lock);
    export("oci-archive:image.tar", &with_lock);
    let error = against("oci:none").exits(1).stderr;
    assert!(
        error.contains("oci:none for linux/amd64 does not record the lock"),
        "{error}"
    );
    // The lock names the SDK that is installed, so that one with the lock has another commit.
    let args = ["compose", "go.yaml", "--replace"];
    checkout.run(&[&args[..], &with_lock].concat()).ok();
    let targets = [
        &*release,
        "1.99.1",
        "1.99",
        "oci:images",
        "oci:images:1.99.1",
        "oci-archive:image.tar",
    ];
    for target in targets {
        let out = against(target).ok();
        assert_eq!(out.stdout, "", "{target}");
    }
    // The installed SDK is the one without the lock.
    let installed = ["workspace", "check", "src/app", "--against", "1.99.1"];
    let out = checkout.run_installed(&installed).exits(1);
    assert!(out.stderr.contains("does not record the lock"), "{out}");

    // The same sources, and another lock.
    checkout.change();
    checkout.run(&["workspace", "lock", "src/app"]).ok();
    checkout.check(&[]).ok();
    for target in targets {
        let out = against(target).exits(4);
        let expected = "::error file=app/ostree-go.lock,title=deployed-lock::";
        assert!(out.stdout.starts_with(expected), "{target}: {out}");
        let digest = checkout.digest();
        assert!(
            out.stdout.lines().all(|line| line.ends_with(&digest)),
            "{out}"
        );
        // The archive and the layout have images for both architectures.
        let count = if target.starts_with("oci") { 2 } else { 1 };
        assert_eq!(out.stdout.lines().count(), count, "{target}");
    }
    // Drift of the sources is found as well.
    checkout.write("app/go.mod", MODULE);
    let out = against(&release).exits(4);
    assert!(out.stdout.contains("title=go-line-changed"), "{out}");
    assert!(out.stdout.contains("title=deployed-lock"), "{out}");
    for (target, expected) in [
        ("oci:missing", 1),
        ("oci:images:none", 1),
        ("oci-archive:missing.tar", 1),
        ("no/such/ref", 1),
        ("docker://r.example/A", 2),
    ] {
        against(target).exits(expected);
    }
}

#[test]
fn an_installed_sdk_can_be_made_with_the_lock() {
    let checkout = Checkout::locked();
    let lock = checkout.lock();
    let args = ["compose", "go.yaml", "--replace", "--workspace-lock"];
    checkout
        .run(&[&args[..], &[lock.to_str().unwrap()]].concat())
        .ok();
    checkout.0.install("1.99").ok();
    let release = format!("go-sdk/{}/1.99.1", checkout.0.arch());
    let against = |target: &str| {
        let args = [
            "workspace",
            "check",
            "src/app",
            "--format",
            "github",
            "--against",
            target,
        ];
        checkout.run_installed(&args)
    };
    let out = against("1.99");
    assert!(!out.stdout.contains("deployed-lock"), "{out}");
    assert!(!out.stderr.contains("does not record"), "{out}");
    against(&release).exits(1);
    let out = against("1.98.7").exits(1);
    assert!(out.stderr.contains("1.98.7"), "{out}");
}

#[test]
fn the_labels_of_an_image_in_a_registry_are_compared() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let checkout = Checkout::locked();
    let lock = checkout.lock();
    let image = format!("docker://{}/acme/builder:1", registry.host());
    let plain = ["--tls-verify=false"];
    let export = ["export", "oci", "1.99.1", &image, "--format", "json"];
    let with_lock = ["--workspace-lock", lock.to_str().unwrap()];
    let made = checkout
        .run(&[&export[..], &with_lock, &plain].concat())
        .ok();
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    let pinned = image.replace(":1", "@") + made["digest"].as_str().unwrap();
    for image in [&image, &pinned] {
        checkout
            .check(&["--against", image, "--tls-verify=false"])
            .ok();
    }
    checkout.change();
    checkout.run(&["workspace", "lock", "src/app"]).ok();
    let out = checkout.check(&[
        "--against",
        &pinned,
        "--tls-verify=false",
        "--format",
        "github",
    ]);
    assert!(out.exits(4).stdout.contains("title=deployed-lock"));
    let missing = image.replace(":1", ":2");
    let out = checkout
        .check(&["--against", &missing, "--tls-verify=false"])
        .exits(1);
    assert!(out.stderr.contains("no image `2`"), "{out}");
    let log = registry.log();
    let blobs = log.matches("/v2/acme/builder/blobs/").count();
    assert!(blobs > 0, "the registry logs its requests");
}
