//! `export oci --encapsulate`: ostree-ext accepts the images, and writes equivalent ones.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::containers::{Containers, Registry, skopeo};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::images::{blob, document, sandbox, sandbox_with, sh};
use ostree_go_tests::ostree::{init, ostree};
use ostree_go_tests::ostree_container::OstreeContainer;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release whose image skopeo selects from an index.
fn own_ref() -> String {
    let arch = Arch::host().expect("a machine that Go SDKs are composed for");
    format!("go-sdk/{arch}/1.99.1")
}

/// Exports with `--encapsulate`, and returns the output.
fn export(sandbox: &Sandbox, args: &str) -> Value {
    let args = ["export", "oci", "--encapsulate", "--format", "json"]
        .into_iter()
        .chain(args.split(' '));
    serde_json::from_str(&sandbox.run(args).ok().stdout).unwrap()
}

fn here(sandbox: &Sandbox, mut command: Command) -> Output {
    run(command.current_dir(sandbox.path("")))
}

/// Creates a repository for ostree-ext, which cannot write large files to one in archive mode.
fn target(sandbox: &Sandbox, name: &str) -> PathBuf {
    let repo = sandbox.path(name);
    init(&repo, "bare-user");
    repo
}

/// Returns every path of a commit with its owner, mode and object.
fn tree(repo: &Path, rev: &str) -> String {
    ostree(repo, ["ls", "-R", "-C", rev])
}

fn refs(repo: &Path, prefix: &str) -> Vec<String> {
    let refs = ostree(repo, ["refs"]);
    let ours = refs.lines().filter(|name| name.starts_with(prefix));
    ours.map(str::to_owned).collect()
}

#[test]
fn ostree_container_pulls_from_every_transport() {
    let (Some(container), Some(registry)) = (OstreeContainer::new(), Registry::start()) else {
        return;
    };
    let sandbox = sandbox("archive");
    export(&sandbox, "1.99.1 oci:zstd");
    export(&sandbox, "1.99.1 oci:gzip --compression gzip");
    export(&sandbox, "1.99.1 oci-archive:one.tar:x --arch x86_64");
    let pushed = format!("docker://{}/acme/go-sdk", registry.host());
    export(&sandbox, &format!("1.99.1 {pushed} --tls-verify=false"));
    let name = own_ref();
    let release = sandbox.rev(&name).unwrap();
    let folder = sandbox.path("").display().to_string();
    for (at, image) in [
        format!("oci:{folder}zstd:1.99.1"),
        format!("oci:{folder}gzip:1.99.1"),
        format!("oci-archive:{folder}one.tar:x"),
        format!("registry:{}/acme/go-sdk:1.99.1", registry.host()),
    ]
    .iter()
    .enumerate()
    {
        let repo = target(&sandbox, &format!("repo-{at}"));
        let into = repo.to_str().unwrap();
        let image = format!("ostree-unverified-image:{image}");
        let insecure = "--insecure-skip-tls-verification";
        let pull = ["image", "pull", insecure, into, &image];
        here(&sandbox, container.command(pull)).ok();
        ostree(&repo, ["fsck", "--quiet"]);
        // A commit of ostree-ext's own, which says where it is from, of the release's tree.
        let merged = refs(&repo, "ostree/container/image/");
        assert_eq!(merged.len(), 1, "{merged:?}");
        assert_eq!(tree(&repo, &merged[0]), tree(&sandbox.repo(), &release));
        // The release itself is what the first layer is kept as.
        let layers = refs(&repo, "ostree/container/blob/");
        assert_eq!(layers.len(), 4, "{layers:?}");
        let commit = |name: &String| ostree(&repo, ["rev-parse", name]).trim().to_owned();
        assert!(layers.iter().any(|name| commit(name) == release));

        // The same commit on a ref of one's own, with nothing of ostree-ext's around it.
        let repo = target(&sandbox, &format!("commit-{at}"));
        let into = repo.to_str().unwrap();
        let take = [
            "unencapsulate",
            insecure,
            "--quiet",
            "--write-ref",
            &name,
            "--repo",
            into,
        ];
        here(
            &sandbox,
            container.command(take.into_iter().chain([&*image])),
        )
        .ok();
        ostree(&repo, ["fsck", "--quiet"]);
        assert_eq!(ostree(&repo, ["rev-parse", &*name]).trim(), release);
    }
}

#[test]
fn an_upgrade_fetches_only_new_layers() {
    let Some(container) = OstreeContainer::new() else {
        return;
    };
    let sandbox = sandbox("archive");
    let repo = target(&sandbox, "host");
    let image = format!(
        "ostree-unverified-image:oci:{}:1",
        sandbox.path("img").display()
    );
    let pull = || {
        let args = ["image", "pull", repo.to_str().unwrap(), &image];
        here(&sandbox, container.command(args)).ok().stdout
    };
    export(&sandbox, "1.99.1 oci:img:1");
    let said = pull();
    assert!(
        said.contains("already present: 0; layers needed: 4"),
        "{said}"
    );
    // A channel is another commit of the same layers.
    export(&sandbox, "1.99 oci:img:1");
    let said = pull();
    assert!(
        said.contains("already present: 3; layers needed: 1"),
        "{said}"
    );
    let history = ["image", "history", "--repo", repo.to_str().unwrap()];
    let image = image.strip_prefix("ostree-unverified-image:").unwrap();
    let history = container.command(history.into_iter().chain([image]));
    let history = here(&sandbox, history).ok().stdout;
    for layer in ["common", "toolchain", "site"] {
        assert!(history.contains(&format!("layer {layer}")), "{history}");
    }
}

#[test]
fn the_image_contains_the_signature() {
    let Some(container) = OstreeContainer::new() else {
        return;
    };
    let gpg = Gpg::new();
    let [own, other] = ["publisher", "somebody"].map(|name| gpg.key(name));
    let home = gpg.home().to_str().unwrap();
    let signed = ["--gpg-sign", &own, "--gpg-homedir", home];
    let sandbox = sandbox_with("archive", &signed);
    export(&sandbox, "1.99.1 oci:img");
    let (name, image) = (
        own_ref(),
        format!("oci:{}:1.99.1", sandbox.path("img").display()),
    );
    let take = |key: &str, host: &str| {
        let repo = target(&sandbox, host);
        let keys = format!("--gpg-import={}", gpg.export(key).display());
        ostree(&repo, ["remote", "add", &keys, "acme", "http://a.example/"]);
        let args = ["unencapsulate", "--quiet", "--write-ref", &name, "--repo"];
        let image = format!("ostree-remote-image:acme:{image}");
        let args = args.into_iter().chain([repo.to_str().unwrap(), &*image]);
        (repo.clone(), here(&sandbox, container.command(args)))
    };
    let (repo, out) = take(&own, "host");
    out.ok();
    let shown = ostree(&repo, ["show", &*name, "--gpg-verify-remote=acme"]);
    assert!(shown.contains("Good signature"), "{shown}");
    let (repo, out) = take(&other, "stranger");
    let out = out.exits(1);
    assert!(
        out.stderr.contains("public key not found"),
        "{}",
        out.stderr
    );
    assert_eq!(refs(&repo, ""), Vec::<String>::new());
}

/// The output of ostree-ext for the same commit has the same unpacked content as ours.
#[test]
fn ostree_ext_writes_the_same_objects() {
    let Some(container) = OstreeContainer::new() else {
        return;
    };
    let sandbox = sandbox("bare-user");
    let (repo, name) = (sandbox.repo(), own_ref());
    let to = format!("oci:{}:1", sandbox.path("theirs").display());
    let write = ["encapsulate", "--repo", repo.to_str().unwrap(), &name, &to];
    here(&sandbox, container.command(write)).ok();
    export(&sandbox, &format!("{name} oci:ours:1 --compression gzip"));
    for name in ["theirs", "ours"] {
        let layout = sandbox.path(name);
        let index = document(&layout.join("index.json"));
        let manifest = document(&blob(&layout, &index["manifests"][0]["digest"]));
        let config = document(&blob(&layout, &manifest["config"]["digest"]));
        let labels = &config["config"]["Labels"];
        assert_eq!(labels["ostree.commit"], sandbox.rev(&own_ref()).unwrap());
        let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap();
        assert_eq!(labels["ostree.final-diffid"], *diff_ids.last().unwrap());
        assert_eq!(
            manifest["annotations"]["ostree.final-diffid"],
            labels["ostree.final-diffid"]
        );
        for layer in manifest["layers"].as_array().unwrap() {
            let blob = blob(&layout, &layer["digest"]);
            let unpack = "mkdir -p NAME-root; tar -C NAME-root -xpzf".replace("NAME", name);
            sh(&sandbox, &format!("{unpack} '{}'", blob.display())).ok();
        }
    }
    // It adds this one for containers that no systemd runs in.
    assert!(fs::remove_dir(sandbox.path("theirs-root/var/tmp")).is_ok());
    assert!(fs::remove_dir(sandbox.path("theirs-root/var")).is_ok());
    // The site layer replaces a file of `common`, whose layer has it nonetheless: it is for every
    // release.
    let listed = tree(&repo, &name);
    let objects = sandbox.path("ours-root/sysroot/ostree/repo/objects");
    let mut others = Vec::new();
    for file in ostree_go_tests::pull_fixture::files(&objects) {
        let inside = file.strip_prefix(&objects).unwrap().display().to_string();
        if let Some(id) = inside.replace('/', "").strip_suffix(".file")
            && !listed.contains(id)
        {
            fs::remove_file(&file).unwrap();
            fs::remove_file(file.with_extension("file-xattrs-link")).unwrap();
            others.push(inside);
        }
    }
    assert_eq!(others.len(), 1, "{others:?}");
    sh(&sandbox, "diff -r --no-dereference theirs-root ours-root").ok();
    // Names, modes, how many names a file has, and targets. What says that there are no xattrs is a
    // file in every layer.
    let list = "find . ! -name . \\( -name '*.file-xattrs*' -printf '%P %m\\n' -o -printf '%P %m %n %l\\n' \\) | sort";
    let script = "(cd theirs-root; LIST) >theirs.txt; (cd ours-root; LIST) >ours.txt; diff theirs.txt ours.txt";
    sh(&sandbox, &script.replace("LIST", list)).ok();
}

/// The tars of the layers and the configuration are pinned. The blobs are not pinned, because another version of libzstd
/// may compress differently.
#[test]
fn the_same_release_gives_the_same_image() {
    let [one, other] = ["archive", "bare-user"].map(sandbox);
    let mut made = Vec::new();
    for sandbox in [&one, &other] {
        made.push(export(sandbox, "1.99.1 oci-archive:img.tar"));
        export(sandbox, "1.99.1 oci-archive:img.tgz --compression gzip");
    }
    for name in ["img.tar", "img.tgz"] {
        assert!(fs::read(one.path(name)).unwrap() == fs::read(other.path(name)).unwrap());
    }
    assert_eq!(made[0], made[1]);
    let ids = made[0]["images"].as_array().unwrap().iter().map(|image| {
        let layers = image["layers"].as_array().unwrap().iter();
        let layers = layers.map(|l| format!("{} {}", l["name"], l["diff_id"]));
        let layers: Vec<_> = layers.collect();
        format!(
            "{} config {}\n{}\n",
            image["arch"],
            image["config"],
            layers.join("\n")
        )
    });
    // A change here is a change of every image: say so in the changelog.
    insta::assert_snapshot!(ids.collect::<String>(), @r#"
    "x86_64" config "sha256:a290848585ab4a8c6c6fc0d53543db099279c62f23f1cb8c2255a54aff4eb5a1"
    "release" "sha256:5b57020aad79be8861cb1110827753a84b6cdb3ac5e0f549a4091e7a9abd97eb"
    "common" "sha256:69a8f2de51a26ac26655871284f222b2f99e8826a0ad6f623c2f3851584e8bd9"
    "toolchain" "sha256:fe48a5c0e04984dbac49177f407da36bf22be50b595f6e5030ffb302bc88ddaa"
    "site" "sha256:5af4bca678954aecff8cdfe17d466fe287381c4a8668e3eadfa6dbef756d2418"
    "aarch64" config "sha256:b0d2443f866ce184b4299d93e038cf2a5824834c3cef2c1d2d05ee69a58c7199"
    "release" "sha256:e1bbb6a6a655697f03ce14f79185a7c1b68b8c694128de6dc00937c6d0dd3822"
    "common" "sha256:69a8f2de51a26ac26655871284f222b2f99e8826a0ad6f623c2f3851584e8bd9"
    "toolchain" "sha256:2b26d2ba1782c6358f3e3f5c59731599ce82eb3672944a21e0539cb1e9ca0866"
    "site" "sha256:5af4bca678954aecff8cdfe17d466fe287381c4a8668e3eadfa6dbef756d2418"
    "#);
    let Some(inspect) = skopeo(["inspect", "oci-archive:img.tar", "--override-arch", "arm64"])
    else {
        return;
    };
    let out = here(&one, inspect).ok();
    let inspected: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(inspected["Labels"]["sdk.arch"], "arm64");
    let copy = skopeo([
        "copy",
        "--all",
        "--quiet",
        "oci-archive:img.tar",
        "oci:copy:1",
    ])
    .unwrap();
    here(&one, copy).ok();
    export(&one, "1.99.1 oci:img");
    sh(&one, "diff -r img/blobs copy/blobs").ok();
}

/// Returns true for characters that end a word.
const ENDS: [char; 4] = [' ', '/', ':', '\n'];

#[test]
fn errors_name_the_cause() {
    let sandbox = sandbox("archive");
    export(&sandbox, "1.99.1 oci:img");
    let folder = sandbox.path("").display().to_string();
    let digits = |text: &str| {
        let words = text.replace(&folder, "FOLDER/");
        let is_digest =
            |word: &str| word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit());
        let words = words.split_inclusive(ENDS);
        let shown = words.map(|word| match is_digest(word.trim_end_matches(ENDS)) {
            true => format!("SHA256{}", &word[64..]),
            false => word.to_owned(),
        });
        shown.collect::<String>()
    };
    let refused = sandbox.run(["import", "oci:img"]).exits(1);
    insta::assert_snapshot!(digits(&refused.stderr), @"
    error: the image at img/blobs/sha256/SHA256 is encapsulated, expected one whose layers are those of an SDK
    hint: pull it with `ostree container unencapsulate` or `ostree container image pull`, or export the image without --encapsulate
    ");
    let url = format!("oci:{folder}img");
    sandbox
        .run(["remote", "add", "acme", &url, "--no-gpg-verify"])
        .ok();
    let before = sandbox.refs();
    let refused = sandbox.run(["pull", "acme", &own_ref()]).exits(1);
    insta::assert_snapshot!(digits(&refused.stderr), @"
    error: the image at FOLDER/img/blobs/sha256/SHA256 is encapsulated, expected one whose layers are those of an SDK
    hint: pull it with `ostree container unencapsulate` or `ostree container image pull`, or export the image without --encapsulate
    ");
    assert_eq!(sandbox.refs(), before);

    let lines = "layers: { site: { add-files: [{ path: /sysroot/motd, content: hello }] } }";
    sandbox.treefile("1.99.1", &format!("{TOY_SOURCE}\n{lines}"));
    sandbox.compose(["--replace"]);
    let args = ["export", "oci", "--encapsulate", "1.99.1", "oci:none"];
    let refused = sandbox.run(args).exits(1);
    insta::assert_snapshot!(digits(&refused.stderr), @"
    error: cannot encapsulate commit SHA256: its tree has /sysroot, where the image has objects
    hint: it can only be exported without --encapsulate
    ");
    assert!(!sandbox.path("none").exists());

    // The other way round.
    let Some(container) = OstreeContainer::new() else {
        return;
    };
    sandbox.run(["export", "oci", "1.99", "oci:plain"]).ok();
    let image = format!("ostree-unverified-image:oci:{folder}plain:1.99");
    let repo = target(&sandbox, "host");
    let pull = ["image", "pull", repo.to_str().unwrap(), &image];
    let out = here(&sandbox, container.command(pull)).exits(1);
    assert!(
        out.stderr.contains("No ostree.final-diffid label found"),
        "{}",
        out.stderr
    );
}

#[test]
fn the_real_sdk_is_transferred_and_runs() {
    let Some(host) = Arch::host() else { return };
    let (Some(sandbox), Some(container)) = (Sandbox::with_real_sdk(host), OstreeContainer::new())
    else {
        return;
    };
    let release = sandbox.rev(&format!("go-sdk/{host}/1.26.5")).unwrap();
    export(&sandbox, "1.26.5 oci:img");
    let repo = target(&sandbox, "host");
    let image = format!(
        "ostree-unverified-image:oci:{}:1.26.5",
        sandbox.path("img").display()
    );
    let pull = ["image", "pull", repo.to_str().unwrap(), &image];
    here(&sandbox, container.command(pull)).ok();
    ostree(&repo, ["fsck", "--quiet"]);
    let merged = refs(&repo, "ostree/container/image/");
    assert_eq!(tree(&repo, &merged[0]), tree(&sandbox.repo(), &release));

    let Some(containers) = Containers::new() else {
        return;
    };
    let image = "oci:img:1.26.5";
    let version = here(&sandbox, containers.run([image, "go", "version"])).ok();
    let expected = format!("go version go1.26.5 linux/{}", host.goarch());
    assert_eq!(version.stdout.trim(), expected);
    sandbox.write("more/hello", "hello\n");
    let stages = format!("FROM {image}\nCOPY hello /usr/share/hello\nRUN [\"go\", \"version\"]\n");
    sandbox.write("more/Containerfile", &stages);
    let built = here(&sandbox, containers.build(&sandbox.path("more"), "more")).ok();
    assert!(built.stdout.contains(&expected), "{}", built.stdout);
}
