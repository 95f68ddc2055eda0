//! Exports with std caches: images in which Go finds its build cache, system extensions, and OS commits.

use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::run;
use ostree_go_tests::containers::Containers;
use ostree_go_tests::host::read;
use ostree_go_tests::images::{blob, document, sandbox, sh};
use ostree_go_tests::os::Os;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::std_cache::{ToyStdCache, commit_both, go_cache_archives};
use ostree_go_tests::tools;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The time of the toy caches; exports do not depend on it.
const SECONDS: u64 = 1_800_000_000;

/// Composes 1.99.1 for both architectures, with the std caches of x86_64.
fn with_caches() -> (Sandbox, [String; 2]) {
    let sandbox = sandbox("archive");
    let commits = commit_both(&sandbox.repo(), "1.99.1", "x86_64", SECONDS);
    (sandbox, commits)
}

/// Exports an image as JSON.
fn export(sandbox: &Sandbox, args: &[&str]) -> Value {
    let all = [&["export", "oci"], args, &["--format", "json"]].concat();
    serde_json::from_str(&sandbox.run(all).ok().stdout).unwrap()
}

/// Returns the names of an image's layers.
fn layers(image: &Value) -> Vec<&str> {
    let layers = image["layers"].as_array().unwrap();
    layers
        .iter()
        .map(|layer| layer["name"].as_str().unwrap())
        .collect()
}

#[test]
fn an_image_has_the_caches_of_its_architecture_as_layers() {
    let (sandbox, commits) = with_caches();
    let made = export(&sandbox, &["1.99.1", "oci:img"]);
    let (x86_64, aarch64) = (&made["images"][0], &made["images"][1]);
    let names = layers(x86_64);
    let (of_sdk, caches) = names.split_at(names.len() - 2);
    assert_eq!(
        caches,
        ["stdcache/x86_64-trimpath", "stdcache/x86_64-plain"]
    );
    assert!(!of_sdk.iter().any(|name| name.starts_with("stdcache")));
    assert!(
        !layers(aarch64)
            .iter()
            .any(|name| name.starts_with("stdcache"))
    );

    let layout = sandbox.path("img");
    let manifest = document(&blob(&layout, &x86_64["digest"]));
    let key = "io.github.ostree-go.stdcache";
    assert_eq!(manifest["annotations"][key], "x86_64-trimpath,x86_64-plain");
    let all = manifest["layers"].as_array().unwrap();
    let last = &all[all.len() - 1];
    assert_eq!(last["annotations"][key], "x86_64-plain");
    assert_eq!(last["annotations"]["ostree.commit"], commits[1]);
    let list = format!("{key}.layers");
    let list = manifest["annotations"][&list].as_str().unwrap();
    let list: Value = serde_json::from_str(list).unwrap();
    let named = |index: usize| (&list[index]["name"], &list[index]["id"]);
    assert_eq!(
        named(0),
        (
            &"stdcache/x86_64-trimpath".into(),
            &commits[0].as_str().into()
        )
    );
    assert_eq!(
        named(1),
        (&"stdcache/x86_64-plain".into(), &commits[1].as_str().into())
    );
    let config = document(&blob(&layout, &manifest["config"]["digest"]));
    let env = config["config"]["Env"].as_array().unwrap();
    assert!(env.contains(&"GOCACHE=/var/cache/go-build".into()));
    assert_eq!(
        config["rootfs"]["diff_ids"].as_array().unwrap().len(),
        all.len()
    );
    let manifest = document(&blob(&layout, &aarch64["digest"]));
    assert_eq!(manifest["annotations"][key], Value::Null);
    let config = document(&blob(&layout, &manifest["config"]["digest"]));
    assert_eq!(config["config"]["Env"].as_array().unwrap().len(), 1);

    // Another export gives the same image, and one without caches is that of a repository that has none.
    let again = export(&sandbox, &["1.99.1", "oci:again"]);
    assert_eq!(again["digest"], made["digest"]);
    let without = export(&sandbox, &["1.99.1", "oci:without", "--no-stdcache"]);
    ostree(
        &sandbox.repo(),
        ["refs", "--delete", "go-sdk/stdcache/1.99.1"],
    );
    let never = export(&sandbox, &["1.99.1", "oci:never"]);
    assert_eq!(without["digest"], never["digest"]);
    assert_ne!(without["digest"], made["digest"]);
}

#[test]
fn a_layer_is_a_go_build_cache() {
    let (sandbox, _) = with_caches();
    let made = export(&sandbox, &["go-sdk/x86_64/1.99.1", "oci:img"]);
    let layers = made["images"][0]["layers"].as_array().unwrap();
    let layer = &layers[layers.len() - 2];
    let blob = blob(&sandbox.path("img"), &layer["digest"]);
    sh(
        &sandbox,
        &format!(
            "mkdir tree; zstd -dc '{}' | tar -xp -C tree",
            blob.display()
        ),
    )
    .ok();
    let cache = sandbox.path("tree/var/cache/go-build");
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
    // Go makes the directories of a cache that has none, which only its owner could.
    assert_eq!(mode(&cache), 0o1777);
    assert_eq!(mode(&cache.join("00")), 0o1777);
    assert_eq!(mode(&sandbox.path("tree/var")), 0o755);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 256);

    // Each line of the index is an action, whose output is there.
    let index = sandbox.checkout("go-sdk/stdcache/1.99.1/x86_64-trimpath", "stock");
    let index = read(&index.join("usr/lib/sdk/stdcache/go-1.99/x86_64-trimpath/index"));
    let mut files = 0;
    for line in index.lines().skip(1) {
        let words: Vec<&str> = line.split(' ').collect();
        let (action, output) = (words[0], words[1]);
        let size: u64 = words[2].parse().unwrap();
        let file = |name: &str, end: &str| cache.join(&name[..2]).join(format!("{name}-{end}"));
        let text = read(&file(action, "a"));
        assert_eq!(text, format!("v1 {action} {output} {size:20} {:20}\n", 0));
        let output = file(output, "d").metadata().unwrap();
        assert_eq!(output.len(), size);
        // In the future, so that Go neither touches nor removes it.
        assert_eq!(output.mtime(), 4_102_444_800);
        files += 2;
    }
    let found = run(Command::new("find").arg(&cache).args(["-type", "f"])).ok();
    assert_eq!(found.stdout.lines().count(), files);
    assert!(files >= 8, "{index}");
}

#[test]
fn an_image_with_caches_gives_the_release_back() {
    let (sandbox, _) = with_caches();
    for compression in ["zstd", "gzip"] {
        let image = format!("oci:{compression}");
        sandbox
            .run([
                "export",
                "oci",
                "1.99.1",
                &image,
                "--compression",
                compression,
            ])
            .ok();
        let repo = format!("from-{compression}");
        sandbox.run(["init", "--repo", &repo]).ok();
        sandbox.run(["import", &image, "--repo", &repo]).ok();
        let repo = sandbox.path(&repo);
        ostree(&repo, ["fsck", "--quiet"]);
        for arch in Arch::ALL {
            let name = format!("go-sdk/{arch}/1.99.1");
            let found = ostree(&repo, ["rev-parse", &name]);
            assert_eq!(Some(found.trim().to_owned()), sandbox.rev(&name));
        }
    }
    // As from a tool that compresses layers again and drops their annotations.
    let made = export(&sandbox, &["go-sdk/x86_64/1.99.1", "oci:bare"]);
    let layout = sandbox.path("bare");
    let manifest = blob(&layout, &made["digest"]);
    let mut stripped = document(&manifest);
    for layer in stripped["layers"].as_array_mut().unwrap() {
        layer.as_object_mut().unwrap().remove("annotations");
    }
    replace_manifest(&sandbox, &layout, &stripped);
    sandbox.run(["init", "--repo", "from-bare"]).ok();
    sandbox
        .run(["import", "oci:bare:1.99.1", "--repo", "from-bare"])
        .ok();
    let name = "go-sdk/x86_64/1.99.1";
    let found = ostree(&sandbox.path("from-bare"), ["rev-parse", name]);
    assert_eq!(Some(found.trim().to_owned()), sandbox.rev(name));
}

/// Replaces the only manifest of a layout.
fn replace_manifest(sandbox: &Sandbox, layout: &Path, manifest: &Value) {
    let bytes = serde_json::to_vec(manifest).unwrap();
    let new = layout.join("new");
    fs::write(&new, &bytes).unwrap();
    let sum = sh(sandbox, &format!("sha256sum '{}'", new.display())).ok();
    let hex = &sum.stdout[..64];
    fs::rename(&new, layout.join("blobs/sha256").join(hex)).unwrap();
    let mut index = document(&layout.join("index.json"));
    index["manifests"][0]["digest"] = format!("sha256:{hex}").into();
    index["manifests"][0]["size"] = bytes.len().into();
    fs::write(
        layout.join("index.json"),
        serde_json::to_vec(&index).unwrap(),
    )
    .unwrap();
}

#[test]
fn an_encapsulated_image_has_no_caches() {
    let (sandbox, _) = with_caches();
    let made = export(&sandbox, &["1.99.1", "oci:img", "--encapsulate"]);
    for image in made["images"].as_array().unwrap() {
        assert!(
            !layers(image)
                .iter()
                .any(|name| name.starts_with("stdcache"))
        );
    }
}

/// The archives of what `go build -trimpath errors` compiles, on the ref of a std cache.
fn real_cache(sandbox: &Sandbox, go: &Path, arch: Arch) {
    let cache = sandbox.path("gocache");
    run(go_command(go, &cache).args(["build", "-trimpath", "errors"])).ok();
    let archives = go_cache_archives(&cache);
    assert!(archives.len() > 20, "{}", archives.len());
    let id = format!("{arch}-trimpath");
    let toy = ToyStdCache::new("1.26.5", &id, SECONDS);
    toy.commit_entries(&sandbox.repo(), &archives, &[]);
}

fn go_command(go: &Path, cache: &Path) -> Command {
    let mut command = Command::new(go);
    command.env_clear().env("GOCACHE", cache).envs([
        ("CGO_ENABLED", "0"),
        ("GOPROXY", "off"),
        ("GOTOOLCHAIN", "local"),
        ("GOENV", "off"),
        ("PATH", "/usr/bin:/bin"),
    ]);
    command
}

const HELLO: &str =
    "package main\n\nimport \"errors\"\n\nfunc main() { println(errors.New(\"hello\").Error()) }\n";

#[test]
fn go_in_a_container_compiles_only_the_program() {
    let Some(host) = Arch::host() else { return };
    let (Some(sdk), Some(containers)) = (sdk("1.26.5", host), Containers::new()) else {
        return;
    };
    let sandbox = Sandbox::new();
    if sandbox.add_real_sdks(&[host]).is_none() {
        return;
    }
    real_cache(&sandbox, &sdk.dir.join("bin/go"), host);
    sandbox.run(["export", "oci", "1.26.5", "oci:img"]).ok();
    sandbox.write("hello/main.go", HELLO);
    sandbox.write("hello/go.mod", "module example.com/hello\n\ngo 1.26\n");
    let sources = format!("{}:/src:ro", sandbox.path("hello").display());
    let build = |user: &str, image: &str, more: &[&str]| {
        let args = [
            "--tmpfs=/tmp",
            "--user",
            user,
            "-e",
            "CGO_ENABLED=0",
            "-e",
            "HOME=/tmp",
            "-v",
            &sources,
            "-w",
            "/src",
        ];
        let go = ["go", "build", "-trimpath", "-x", "-o", "/tmp/hello", "."];
        let all = [&args[..], more, &[image], &go].concat();
        let mut command = containers.run(all);
        run(command.current_dir(sandbox.path(""))).ok().stderr
    };
    let compiled = |log: &str| log.matches("/compile -o ").count();
    let image = "oci:img:1.26.5";
    for user in ["0", "1000:1000"] {
        assert_eq!(compiled(&build(user, image, &[])), 1, "{user}");
    }
    let cold = ["-e", "GOCACHE=/tmp/cache"];
    assert!(compiled(&build("0", image, &cold)) > 20);

    // In the build container as well.
    fs::create_dir(sandbox.path("builder")).unwrap();
    let export = [
        "export",
        "containerfile",
        "1.26.5",
        "builder/Containerfile",
        "--image",
        image,
    ];
    sandbox.run(export).ok();
    let mut command = containers.build(&sandbox.path("builder"), "builder");
    run(command.current_dir(sandbox.path(""))).ok();
    let args = [
        "-v",
        &sources,
        "builder",
        "go",
        "build",
        "-trimpath",
        "-x",
        "-o",
        "/tmp/hello",
        ".",
    ];
    let out = run(containers.run(args).current_dir(sandbox.path(""))).ok();
    assert_eq!(compiled(&out.stderr), 1);
}

#[test]
fn a_containerfile_uses_the_cache_of_the_image() {
    let (sandbox, _) = with_caches();
    let export = |more: &[&str]| {
        let args = [
            "export",
            "containerfile",
            "go-sdk/x86_64/1.99.1",
            "--image",
            "go-sdk:1.99.1",
        ];
        sandbox.run([&args[..], more].concat()).ok().stdout
    };
    let text = export(&[]);
    assert!(text.contains(" GOCACHE=/var/cache/go-build "), "{text}");
    assert!(text.contains("VOLUME [\"/home/builder/go/pkg/mod\"]\n"));
    assert!(!text.contains(".cache/go-build"), "{text}");
    let text = export(&["--base", "debian:12"]);
    let copy = "COPY --from=folders /var/cache/go-build /var/cache/go-build\n";
    assert!(text.contains(copy), "{text}");
    let without = export(&["--no-stdcache"]);
    assert!(without.contains(".cache/go-build"), "{without}");
}

/// Returns the files of a system extension in a directory.
fn extension(sandbox: &Sandbox, name: &str, more: &[&str]) -> (PathBuf, Value) {
    let args = ["export", "sysext", "go-sdk/x86_64/1.99.1", name];
    let all = [&args[..], more, &["--format", "json"]].concat();
    let report = serde_json::from_str(&sandbox.run(all).ok().stdout).unwrap();
    (sandbox.path(name), report)
}

#[test]
fn an_extension_has_the_caches_and_a_script_for_shells() {
    let (sandbox, commits) = with_caches();
    let (top, report) = extension(&sandbox, "go", &[]);
    let expected = serde_json::json!([
        { "id": "x86_64-trimpath", "commit": commits[0] },
        { "id": "x86_64-plain", "commit": commits[1] },
    ]);
    assert_eq!(report["std_caches"], expected);
    let dir = "usr/lib/sdk/stdcache/go-1.99/x86_64-plain";
    let stock = sandbox.checkout("go-sdk/stdcache/1.99.1/x86_64-plain", "stock");
    let out = run(Command::new("diff")
        .arg("-r")
        .args([top.join(dir), stock.join(dir)]));
    out.ok();

    // systemd-tmpfiles links the script to where shells look.
    let Some(tmpfiles) = tools::require("systemd-tmpfiles") else {
        return;
    };
    let conf = top.join("usr/lib/tmpfiles.d/ostree-go-stdcache.conf");
    fs::create_dir_all(top.join("etc/profile.d")).unwrap();
    run(Command::new(tmpfiles)
        .arg("--create")
        .arg(format!("--root={}", top.display()))
        .arg(conf))
    .ok();
    let link = top.join("etc/profile.d/ostree-go-stdcache.sh");
    let script = top.join("usr/lib/sdk/stdcache/profile.sh");
    assert_eq!(read(&link), read(&script));
    // Without ostree-go, Go is left alone.
    let session = format!(". '{}'; echo \"[${{GOCACHEPROG-}}]\"", script.display());
    let say = |path: String| {
        let mut shell = Command::new("/bin/sh");
        run(shell.args(["-euc", &session]).env_clear().env("PATH", path))
            .ok()
            .stdout
    };
    assert_eq!(say("/nowhere".to_owned()), "[]\n");
    let bin = sandbox.write("bin/ostree-go", "#!/bin/sh\n");
    sh(&sandbox, "chmod +x bin/ostree-go").ok();
    let bin = bin.parent().unwrap().display().to_string();
    assert_eq!(say(bin), "[ostree-go cacheprog]\n");

    let (top, report) = extension(&sandbox, "plain", &["--no-stdcache"]);
    assert_eq!(report["std_caches"], serde_json::json!([]));
    assert!(!top.join("usr/lib/sdk/stdcache").exists());
    assert!(!top.join("usr/lib/tmpfiles.d").exists());
}

#[test]
fn an_os_commit_gets_caches_like_sdks() {
    let (sandbox, commits) = with_caches();
    let os = Os::new(&sandbox);
    let base = os.commit_here();
    let caches = ["trimpath", "plain"].map(|mode| format!("go-sdk/stdcache/1.99.1/x86_64-{mode}"));
    let args = [
        "overlay",
        "os/x86_64/base",
        "go-sdk/x86_64/1.99.1",
        &caches[0],
        &caches[1],
        "--ref",
        "os/x86_64/go",
        "--format",
        "json",
    ];
    let made: Value = serde_json::from_str(&sandbox.run(args).ok().stdout).unwrap();
    assert_eq!(made["base"], base);
    let key = "--print-metadata-key=sdk.releases";
    let releases = ostree(&sandbox.repo(), ["show", key, "os/x86_64/go"]);
    for (at, mode) in ["trimpath", "plain"].into_iter().enumerate() {
        assert!(releases.contains(&format!("x86_64-{mode}")), "{releases}");
        assert!(releases.contains(&commits[at]), "{releases}");
    }
    let tree = sandbox.checkout("os/x86_64/go", "tree");
    for mode in ["trimpath", "plain"] {
        let index = format!("usr/lib/sdk/stdcache/go-1.99/x86_64-{mode}/index");
        assert!(tree.join(index).exists());
    }
    sandbox.fsck();
}

#[test]
fn caches_that_cannot_be_used_are_refused() {
    let (sandbox, commits) = with_caches();
    let name = "go-sdk/stdcache/1.99.1/x86_64-trimpath";
    let refused = || {
        let out = sandbox.run(["export", "oci", "go-sdk/x86_64/1.99.1", "oci:img"]);
        let out = out.exits(1);
        assert!(!sandbox.path("img/index.json").exists());
        out.stderr
    };
    // A commit of something else on the ref.
    let release = sandbox.rev("go-sdk/x86_64/1.99.1").unwrap();
    ostree(&sandbox.repo(), ["reset", name, &release]);
    assert_snapshot!(refused(), @"
    error: std cache go-sdk/stdcache/1.99.1/x86_64-trimpath cannot be exported: its commit is not this std cache
    hint: pull its ref completely, or use --no-stdcache to leave it out
    ");
    // An index that names an output which is not in the tree.
    let toy = ToyStdCache::new("1.99.1", "x86_64-trimpath", SECONDS);
    let dir = sandbox.path("broken").join(toy.dir());
    fs::create_dir_all(&dir).unwrap();
    let digits = "ab".repeat(32);
    let index = format!("ostree-go stdcache 1\n{digits} {digits} 1\n");
    let commit = |text: &str| {
        fs::write(dir.join("index"), text).unwrap();
        let tree = format!("--tree=dir={}", sandbox.path("broken").display());
        ostree(
            &sandbox.repo(),
            [
                "commit",
                "--branch",
                name,
                &tree,
                "--canonical-permissions",
                "--add-metadata-string=sdk.version=1.99.1",
                "--add-metadata-string=sdk.stdcache=x86_64-trimpath",
            ],
        );
    };
    commit(&index);
    assert_snapshot!(refused(), @"
    error: std cache go-sdk/stdcache/1.99.1/x86_64-trimpath cannot be exported: it lacks /usr/lib/sdk/stdcache/go-1.99/x86_64-trimpath/outputs/ab/abababababababababababababababababababababababababababababababab
    hint: pull its ref completely, or use --no-stdcache to leave it out
    ");
    commit("ostree-go stdcache 9\n");
    assert_snapshot!(refused(), @"
    error: std cache go-sdk/stdcache/1.99.1/x86_64-trimpath cannot be exported: its index is invalid: the first line is not `ostree-go stdcache 1`
    hint: pull its ref completely, or use --no-stdcache to leave it out
    ");
    // A tree from which more than index and outputs would get lost.
    fs::write(dir.join("extra"), "").unwrap();
    commit("ostree-go stdcache 1\n");
    assert_snapshot!(refused(), @"
    error: std cache go-sdk/stdcache/1.99.1/x86_64-trimpath cannot be exported: its tree has more than the index and the outputs that it names
    hint: pull its ref completely, or use --no-stdcache to leave it out
    ");
    // A commit without its objects.
    ostree(&sandbox.repo(), ["reset", name, &commits[0]]);
    let index = "/usr/lib/sdk/stdcache/go-1.99/x86_64-trimpath/index";
    let listed = ostree(&sandbox.repo(), ["ls", "--checksum", name, index]);
    let checksum = listed.split_whitespace().find(|word| word.len() == 64);
    let checksum = checksum.unwrap();
    let object = format!("objects/{}/{}.filez", &checksum[..2], &checksum[2..]);
    fs::remove_file(sandbox.repo().join(object)).unwrap();
    assert_snapshot!(refused(), @"
    error: std cache go-sdk/stdcache/1.99.1/x86_64-trimpath cannot be exported: some of its objects are missing
    hint: pull its ref completely, or use --no-stdcache to leave it out
    ");
    sandbox
        .run([
            "export",
            "oci",
            "go-sdk/x86_64/1.99.1",
            "oci:img",
            "--no-stdcache",
        ])
        .ok();
}

#[test]
fn a_cache_alone_is_a_tree_to_check_out_and_no_release() {
    let (sandbox, commits) = with_caches();
    let name = "go-sdk/stdcache/1.99.1/x86_64-plain";
    sandbox.run(["checkout", name, "out"]).ok();
    let stock = sandbox.checkout(name, "stock");
    run(Command::new("diff")
        .arg("-r")
        .args([sandbox.path("out"), stock]))
    .ok();
    sandbox.run(["export", "tar", name, "cache.tar"]).ok();
    let out = sandbox.run(["export", "oci", name, "oci:layout"]).exits(1);
    assert_snapshot!(out.stderr.replace(&commits[1], "COMMIT"), @"
    error: commit COMMIT is a std cache, expected a release or a channel
    hint: `ostree-go list` shows releases and channels
    ");
}
