//! `export oci`: skopeo, podman, buildah and a real registry accept the images.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::containers::{Registry, skopeo};
use ostree_go_tests::images::{all, blob, document, sandbox, sh};
use ostree_go_tests::sandbox::Sandbox;
use serde_json::Value;
use std::fs;
use std::process::Command;

fn json(out: &Output) -> Value {
    serde_json::from_str(&out.stdout).unwrap()
}

#[test]
fn the_layers_make_the_tree_and_every_blob_has_its_digest() {
    let sandbox = sandbox("archive");
    for (compression, unpack) in [("zstd", "zstd -dc"), ("gzip", "gzip -dc")] {
        let args = [
            "export",
            "oci",
            "1.99.1",
            &format!("oci:{compression}"),
            "--format",
            "json",
        ];
        let made = json(
            &sandbox
                .run(args.into_iter().chain(["--compression", compression]))
                .ok(),
        );
        let layout = sandbox.path(compression);
        for (file, _) in all(&layout.join("blobs/sha256")) {
            let sum = sh(
                &sandbox,
                &format!("sha256sum {compression}/blobs/sha256/{}", file.display()),
            )
            .ok();
            assert_eq!(sum.stdout[..64], *file.to_str().unwrap());
        }
        let index = document(&blob(&layout, &made["digest"]));
        assert_eq!(
            index["mediaType"],
            "application/vnd.oci.image.index.v1+json"
        );
        for (at, arch) in Arch::ALL.into_iter().enumerate() {
            let image = &made["images"][at];
            let commit = sandbox.rev(&format!("go-sdk/{arch}/1.99.1")).unwrap();
            assert_eq!(image["commit"], commit);
            let named = &index["manifests"][at];
            assert_eq!(named["digest"], image["digest"]);
            assert_eq!(named["platform"]["architecture"], arch.goarch());
            assert_eq!(named["annotations"]["ostree.commit"], commit);
            let manifest = document(&blob(&layout, &image["digest"]));
            let config = document(&blob(&layout, &manifest["config"]["digest"]));
            assert_eq!(config["config"]["Labels"]["sdk.version"], "1.99.1");
            assert_eq!(config["config"]["Labels"]["ostree.commit"], commit);
            assert!(config["config"]["Entrypoint"].is_null());
            let dest = sandbox.path(&format!("{compression}-{arch}"));
            fs::create_dir(&dest).unwrap();
            for (at, layer) in manifest["layers"].as_array().unwrap().iter().enumerate() {
                let blob = blob(&layout, &layer["digest"]);
                let piped = format!(
                    "{unpack} '{0}' | tar -xp -C '{1}'; {unpack} '{0}' | sha256sum",
                    blob.display(),
                    dest.display()
                );
                let sum = sh(&sandbox, &piped).ok();
                assert_eq!(
                    config["rootfs"]["diff_ids"][at],
                    format!("sha256:{}", &sum.stdout[..64])
                );
                assert!(layer["mediaType"].as_str().unwrap().ends_with(compression));
            }
            let stock = format!("stock-{arch}");
            if !sandbox.path(&stock).exists() {
                sandbox.checkout(&commit, &stock);
            }
            let dest = dest.display();
            sh(
                &sandbox,
                &format!("diff -r --no-dereference {stock} '{dest}'"),
            )
            .ok();
            let list = "find . ! -name . -printf '%p %m %l\\n' | sort";
            let listed = |folder: &str| sh(&sandbox, &format!("cd '{folder}'; {list}")).ok().stdout;
            assert_eq!(listed(&dest.to_string()), listed(&stock));
        }
    }
}

#[test]
fn the_commits_are_in_the_annotations() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let sandbox = sandbox("archive");
    let made = json(
        &sandbox
            .run(["export", "oci", "1.99.1", "oci:img", "--format", "json"])
            .ok(),
    );
    let layout = sandbox.path("img");
    let manifest = document(&blob(&layout, &made["images"][0]["digest"]));
    let check = |commit: &Value, object: &Value, detached: &Value| {
        let (commit, folder) = (commit.as_str().unwrap(), sandbox.repo().join("objects"));
        let path = |end: &str| {
            folder
                .join(&commit[..2])
                .join(format!("{}.{end}", &commit[2..]))
        };
        let decoded = |text: &Value| BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap();
        assert_eq!(decoded(object), fs::read(path("commit")).unwrap());
        match fs::read(path("commitmeta")) {
            Ok(bytes) => assert_eq!(decoded(detached), bytes),
            Err(_) => assert!(detached.is_null()),
        }
    };
    let annotations = &manifest["annotations"];
    check(
        &annotations["ostree.commit"],
        &annotations["io.github.ostree-go.commit"],
        &annotations["io.github.ostree-go.commitmeta"],
    );
    assert_eq!(
        annotations["io.github.ostree-go.ref"],
        "go-sdk/x86_64/1.99.1"
    );
    assert_eq!(
        annotations["org.opencontainers.image.created"],
        "2027-01-15T08:00:00Z"
    );
    // The manifest lists the layers again, for tools that drop the annotations of layers.
    let list = annotations["io.github.ostree-go.layers"].as_str().unwrap();
    let list: Value = serde_json::from_str(list).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(list.as_array().unwrap().len(), layers.len());
    for (listed, layer) in list.as_array().unwrap().iter().zip(layers) {
        check(&listed["id"], &listed["commit"], &listed["commitmeta"]);
        assert_eq!(listed["id"], layer["annotations"]["ostree.commit"]);
        assert_eq!(
            listed["name"],
            layer["annotations"]["io.github.ostree-go.layer"]
        );
    }
    for layer in layers {
        let annotations = &layer["annotations"];
        check(
            &annotations["ostree.commit"],
            &annotations["io.github.ostree-go.layer.commit"],
            &annotations["io.github.ostree-go.layer.commitmeta"],
        );
        let size = sh(
            &sandbox,
            &format!(
                "zstd -dc '{}' | wc -c",
                blob(&layout, &layer["digest"]).display()
            ),
        )
        .ok();
        assert_eq!(
            annotations["io.github.ostree-go.layer.size"],
            size.stdout.trim()
        );
    }
}

/// The tar of a layer and the configuration are pinned. The blobs are not pinned, because another version of libzstd may
/// compress differently; therefore the digest of a manifest depends on that version, too.
#[test]
fn the_same_release_gives_the_same_image() {
    let [one, other] = ["archive", "bare-user"].map(sandbox);
    let mut pinned = Vec::new();
    for sandbox in [&one, &other] {
        sandbox.run(["export", "oci", "1.99.1", "oci:img"]).ok();
        let made = sandbox.run([
            "export",
            "oci",
            "1.99.1",
            "oci-archive:img.tar",
            "--format",
            "json",
        ]);
        pinned.push(json(&made.ok()));
        sandbox
            .run([
                "export",
                "oci",
                "1.99.1",
                "oci-archive:img.tgz",
                "--compression",
                "gzip",
            ])
            .ok();
    }
    assert!(all(&one.path("img")) == all(&other.path("img")));
    for name in ["img.tar", "img.tgz"] {
        assert!(fs::read(one.path(name)).unwrap() == fs::read(other.path(name)).unwrap());
    }
    assert_eq!(pinned[0], pinned[1]);
    sh(&one, "mkdir x; tar -C x -xf img.tar; diff -r img x").ok();
    let ids = pinned[0]["images"].as_array().unwrap().iter().map(|image| {
        let layers = image["layers"].as_array().unwrap().iter();
        let layers: Vec<_> = layers
            .map(|l| format!("{} {}", l["name"], l["diff_id"]))
            .collect();
        format!(
            "{} config {}\n{}\n",
            image["arch"],
            image["config"],
            layers.join("\n")
        )
    });
    // A change here is a change of every image: say so in the changelog.
    insta::assert_snapshot!(ids.collect::<String>(), @r#"
    "x86_64" config "sha256:356379d370d70e32a6c6f135503f2e45a2522cbd220fe6dcf6f6442603e0aca2"
    "common" "sha256:c432a5ecdad59fdc01c3d98b399d792ed7058d5cbdb5fecb3f349e107716b8ff"
    "toolchain" "sha256:f8b7bfce7fde0b90bdb8d8d0c0190f5e71ad83f728c6d6113fed0845fbce66cd"
    "site" "sha256:81a04800d7c70b83cfa093ecb9db081be89eb8cdd5c84c2f2892d537beb1407c"
    "aarch64" config "sha256:04f4496f74f99e32b7f8a33edffbb419ed9051033fd7b0eaac73a9b8a3e8ae27"
    "common" "sha256:c432a5ecdad59fdc01c3d98b399d792ed7058d5cbdb5fecb3f349e107716b8ff"
    "toolchain" "sha256:04b10954f25ffb35eb589ae842e4b14d0054c77d0688ee85b2f1eb85701657aa"
    "site" "sha256:81a04800d7c70b83cfa093ecb9db081be89eb8cdd5c84c2f2892d537beb1407c"
    "#);
}

#[test]
fn a_layout_keeps_its_other_images() {
    let sandbox = sandbox("archive");
    let run = |args: &str| {
        sandbox
            .run(["export", "oci"].into_iter().chain(args.split(' ')))
            .ok()
    };
    run("1.99.1 oci:img");
    run("1.99.1 oci:img:x86 --arch x86_64");
    run("1.99 oci:img");
    run("1.99.1 oci:img:x86 --arch aarch64");
    let names = |sandbox: &Sandbox| -> Vec<String> {
        let index = document(&sandbox.path("img/index.json"));
        let manifests = index["manifests"].as_array().unwrap().iter();
        manifests
            .map(|m| {
                format!(
                    "{} {}",
                    m["annotations"]["org.opencontainers.image.ref.name"],
                    m["platform"]["architecture"]
                )
            })
            .collect()
    };
    assert_eq!(
        names(&sandbox),
        ["\"1.99.1\" null", "\"1.99\" null", "\"x86\" \"arm64\""]
    );
    let out = run("go-sdk/x86_64/1.99.1 oci:img:x86 --format json");
    let made = json(&out);
    let sent = |layer: &Value| layer["sent"].as_bool().unwrap();
    assert!(
        !made["images"][0]["layers"]
            .as_array()
            .unwrap()
            .iter()
            .any(sent)
    );
    let Some(mut inspect) = skopeo(["inspect", "oci:img:1.99", "--override-arch", "arm64"]) else {
        return;
    };
    let out = run_in(&sandbox, &mut inspect).ok();
    assert_eq!(json(&out)["Labels"]["sdk.arch"], "arm64");
    let mut copy = skopeo([
        "copy",
        "--all",
        "--quiet",
        "oci:img:1.99.1",
        "oci:copy:1.99.1",
    ])
    .unwrap();
    run_in(&sandbox, &mut copy).ok();
    for (file, _) in all(&sandbox.path("copy/blobs")) {
        assert!(sandbox.path("img/blobs").join(file).exists());
    }
}

fn run_in(sandbox: &Sandbox, command: &mut Command) -> Output {
    run(command.current_dir(sandbox.path("")))
}

#[test]
fn a_push_uploads_only_missing_blobs() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let sandbox = sandbox("archive");
    let image = format!("docker://{}/acme/go-sdk", registry.host());
    let push = |release: &str| {
        let args = [
            "export",
            "oci",
            release,
            &image,
            "--tls-verify=false",
            "--format",
            "json",
        ];
        json(&sandbox.run(args).ok())
    };
    let made = push("1.99.1");
    assert_eq!(made["image"], format!("{image}:1.99.1"));
    let sent = |made: &Value| made.to_string().matches("\"sent\":true").count();
    // The layer that both share counts for both.
    assert_eq!(sent(&made), 6);
    // A channel is another commit of the same layers.
    let channel = push("1.99");
    assert_eq!(sent(&channel), 0);
    assert_ne!(channel["digest"], made["digest"]);
    let uploads = registry.log().matches("http.request.method=PUT").count();
    assert!(uploads > 0, "{}", registry.log());

    let Some(mut inspect) = skopeo([
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("{image}:1.99.1"),
    ]) else {
        return;
    };
    let raw = run(&mut inspect).ok().stdout;
    sandbox.run(["export", "oci", "1.99.1", "oci:img"]).ok();
    assert_eq!(
        raw.as_bytes(),
        fs::read(blob(&sandbox.path("img"), &made["digest"])).unwrap()
    );
    let from = format!("{image}:1.99.1");
    let mut copy = skopeo([
        "copy",
        "--all",
        "--quiet",
        "--src-tls-verify=false",
        &from,
        "oci:back:1.99.1",
    ])
    .unwrap();
    run_in(&sandbox, &mut copy).ok();
    assert!(all(&sandbox.path("img/blobs")) == all(&sandbox.path("back/blobs")));
}
