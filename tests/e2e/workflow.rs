//! The reusable workflows are linted, and their steps are run unchanged, except for those that need another service.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{binary, run, workspace};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::host::Host;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::workflow::{Job, read};
use ostree_go_tests::{ostree, tools};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

fn workflow(name: &str) -> Value {
    read(&workspace().join(".github/workflows").join(name))
}

/// Returns every value in a JSON document with its key.
fn all<'a>(key: &'a str, value: &'a Value, into: &mut Vec<(&'a str, &'a Value)>) {
    into.push((key, value));
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| all(key, value, into)),
        Value::Array(list) => list.iter().for_each(|value| all("", value, into)),
        _ => {}
    }
}

#[test]
fn actions_are_pinned_and_scripts_have_no_expressions() {
    for name in ["ci.yml", "compose.yml", "workspace.yml"] {
        let workflow = workflow(name);
        let mut parts = Vec::new();
        all("", &workflow, &mut parts);
        for (key, value) in parts {
            match (key, value.as_str()) {
                ("run", Some(script)) => assert!(!script.contains("${{"), "{name}: {script}"),
                ("uses", Some(action)) => {
                    let commit = action.split_once('@').expect("a version").1;
                    let is_commit =
                        commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
                    assert!(is_commit, "{name}: {action}");
                }
                ("permissions", None) => {
                    let granted = value.as_object().expect("a map");
                    let read_only = granted
                        .iter()
                        .all(|(what, how)| what == "contents" && how == "read");
                    assert!(read_only, "{name}: {value}");
                }
                _ => {}
            }
        }
        let checkouts = workflow["jobs"].as_object().unwrap().values();
        let checkouts = checkouts.flat_map(|job| job["steps"].as_array().unwrap());
        for step in checkouts.filter(|step| {
            step["uses"]
                .as_str()
                .is_some_and(|uses| uses.contains("checkout"))
        }) {
            assert_eq!(
                step["with"]["persist-credentials"], "false",
                "{name}: {step}"
            );
        }
    }
}

/// Lints with actionlint and zizmor. If they are not cached, this needs a network.
#[test]
fn the_linters_accept_the_workflows_and_detect_faults() {
    let lint = |folder: &Path| {
        let script = workspace().join("scripts/lint-workflows.sh");
        Command::new(script)
            .arg(folder)
            .output()
            .expect("the script starts")
    };
    let said = |out: &Output| {
        let out = [&*out.stdout, &*out.stderr].concat();
        String::from_utf8_lossy(&out).into_owned()
    };
    let folder = workspace().join(".github/workflows");
    let out = lint(&folder);
    if !out.status.success() && said(&out).contains("cannot get the linters") {
        return tools::skip(&said(&out));
    }
    assert!(out.status.success(), "{}", said(&out));
    let bad = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(folder.join("compose.yml")).unwrap();
    for (from, to, expected) in [
        (
            "\"treefiles/$TREEFILE\"",
            "\"${{ inputs.treefile }}\"",
            "template-injection",
        ),
        ("persist-credentials: false", "fetch-depth: 1", "artipacked"),
        (
            "@08c6903cd8c0fde910a37f88322edcfb5dd907a8",
            "@v5",
            "unpinned-uses",
        ),
        ("steps.key.outputs", "steps.kye.outputs", "kye"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(bad.path().join("compose.yml"), text.replace(from, to)).unwrap();
        let out = lint(bad.path());
        assert!(!out.status.success(), "{to} is found");
        assert!(said(&out).contains(expected), "{}", said(&out));
    }
}

#[test]
fn the_steps_of_the_workflow_run() {
    for tool in ["rpmbuild", "gpg", "gpgconf", "python3"] {
        if tools::require(tool).is_none() {
            return;
        }
    }
    let folder = tempfile::Builder::new()
        .prefix("job")
        .tempdir_in("/tmp")
        .unwrap();
    let workflow = workflow("compose.yml");
    let mut job = Job::new(&workflow, "compose", folder.path());
    let scripts = [
        "build", "key", "compose", "publish", "verify", "srpm", "pack", "forget",
    ];
    assert_eq!(job.scripts(), scripts);
    // What the checkouts and the build leave: a repository with a treefile, ostree-go's, and the command on PATH.
    let treefiles = job.folder().join("treefiles");
    fs::create_dir(&treefiles).unwrap();
    for arch in Arch::ALL {
        Toy::new(arch).tar_gz(&treefiles.join(format!("toy-{arch}.tar.gz")));
    }
    let base = workspace().join("treefiles/base.yaml");
    fs::copy(base, treefiles.join("base.yaml")).unwrap();
    let text = "include: base.yaml\nversion: 1.99.1\nsource: [{ path: \"toy-${basearch}.tar.gz\" }]\n\
        channels: [\"go-sdk/${basearch}/1.99\"]\n";
    fs::write(treefiles.join("go.yaml"), text).unwrap();
    symlink(workspace(), job.folder().join("ostree-go")).unwrap();
    job.add_path(binary().parent().unwrap());
    let gpg = Gpg::new();
    let key = gpg.key("publisher");
    job.set("inputs.treefile", "go.yaml");
    job.set("inputs.url", "https://ostree.example.com/repo");
    job.set("secrets.gpg-key", &gpg.export_secret(&key));
    for id in &scripts[1..] {
        let out = job.run(id);
        let said = [&*out.stdout, &*out.stderr].concat();
        assert!(
            out.status.success(),
            "{id}: {}",
            String::from_utf8_lossy(&said)
        );
    }
    let repo = job.folder().join("repo");
    let refs = ostree::ostree(&repo, ["refs"]);
    assert!(refs.contains("go-sdk/aarch64/1.99\n"), "{refs}");
    ostree::ostree(&repo, ["fsck", "--quiet"]);
    let srpm = job.folder().join("srpm/golang-ostree-ref-1.99.1-1.src.rpm");
    assert!(srpm.is_file() && job.folder().join("repo.tar").is_file());
    assert!(
        !folder.path().join("temp/gnupg").exists(),
        "the key is gone"
    );
}

#[test]
fn the_steps_of_the_workspace_workflow_refuse_drift() {
    for tool in ["gpg", "gpgconf", "python3"] {
        if tools::require(tool).is_none() {
            return;
        }
    }
    let folder = tempfile::Builder::new()
        .prefix("job")
        .tempdir_in("/tmp")
        .unwrap();
    let mut job = Job::new(&workflow("workspace.yml"), "check", folder.path());
    assert_eq!(job.scripts(), ["build", "install", "check"]);
    job.add_path(binary().parent().unwrap());
    // The publisher of the SDK, and the developer who locks the workspace with the published one.
    let (host, gpg) = (Host::new(), Gpg::new());
    let key = gpg.key("publisher");
    let home = gpg.home().to_str().unwrap();
    let signing = ["--gpg-sign", &key, "--gpg-homedir", home];
    host.release("1.99.1", 1_800_000_000);
    let refs = host.sandbox.refs();
    let refs: Vec<&str> = refs.iter().map(String::as_str).collect();
    host.run([&["sign"], &refs[..], &signing].concat()).ok();
    let url = format!("file://{}", host.sandbox.repo().display());
    let public = gpg.export(&key);
    let add = ["remote", "add", "sdk", &url, "--gpg-import"];
    let in_root = |args: &[&str]| {
        let mut command = host.command(args.iter().copied());
        command.env_remove("OSTREE_REPO");
        run(&mut command).ok()
    };
    in_root(&[&add[..], &[public.to_str().unwrap()]].concat());
    in_root(&["install", &format!("go-sdk/{}/1.99.1", host.arch())]);
    let app = job.folder().join("workspace/app");
    fs::create_dir_all(&app).unwrap();
    fs::create_dir(job.folder().join("workspace/.git")).unwrap();
    let module = "module example.com/app\n\ngo 1.99\n";
    fs::write(app.join("go.mod"), module).unwrap();
    let lock = ["workspace", "lock", app.to_str().unwrap()];
    in_root(&[&lock[..], &signing[..]].concat());

    let public = fs::read_to_string(public).unwrap();
    job.set("inputs.url", &url);
    job.set("inputs.directory", "app");
    job.set("inputs.gpg-key", &public);
    let said = |out: &Output| {
        let both = [&*out.stdout, &*out.stderr].concat();
        String::from_utf8_lossy(&both).into_owned()
    };
    let out = job.run("install");
    assert!(out.status.success(), "{}", said(&out));
    for lock_key in ["", &public] {
        job.set("inputs.lock-key", lock_key);
        let out = job.run("check");
        assert!(out.status.success(), "{}", said(&out));
        assert_eq!(String::from_utf8_lossy(&out.stdout), "");
    }
    fs::write(app.join("go.mod"), module.replace("1.99", "1.98")).unwrap();
    let out = job.run("check");
    assert_eq!(out.status.code(), Some(4), "{}", said(&out));
    let annotation = "::error file=app/go.mod,line=3,title=go-line-changed::";
    assert!(said(&out).contains(annotation), "{}", said(&out));
    // Another key has not signed the lock.
    let other = gpg.key("other");
    let other = fs::read_to_string(gpg.export(&other)).unwrap();
    job.set("inputs.lock-key", &other);
    let out = job.run("check");
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    assert!(
        said(&out).contains("::error title=ostree-go::"),
        "{}",
        said(&out)
    );
}
