//! `export oci`: images that skopeo, podman, buildah and a real registry take.

use ostree_go_sdk::Arch;
use ostree_go_tests::bench::{Bench, TOY_SOURCE};
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::containers::{Containers, Registry, skopeo};
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::{sdk, tools};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CHANNELS: &str = "channels: [\"go-sdk/${basearch}/1.99\"]";

fn bench(mode: &str) -> Bench {
    let bench = Bench::new();
    bench.toys("1.99.1");
    bench.treefile("1.99.1", &format!("{TOY_SOURCE}\n{CHANNELS}"));
    bench.run(["init", "--mode", mode]).ok();
    bench
        .ostree_go(["compose", "go.yaml"])
        .env("SOURCE_DATE_EPOCH", "1800000000")
        .status()
        .unwrap();
    bench
}

fn json(out: &Output) -> Value {
    serde_json::from_str(&out.stdout).unwrap()
}

fn document(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A blob of a layout, by its digest.
fn blob(layout: &Path, digest: &Value) -> PathBuf {
    let digest = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
    layout.join("blobs/sha256").join(digest)
}

/// Every file in a folder, by its path there, and its bytes.
fn all(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let inside = |file: &Path| file.strip_prefix(folder).unwrap().to_owned();
    ostree_go_tests::shop::files(folder)
        .into_iter()
        .map(|file| (inside(&file), fs::read(&file).unwrap()))
        .collect()
}

fn sh(bench: &Bench, script: &str) -> Output {
    run(Command::new("sh")
        .args(["-ec", script])
        .current_dir(bench.path("")))
}

#[test]
fn the_layers_make_the_tree_and_every_blob_has_its_digest() {
    let bench = bench("archive");
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
            &bench
                .run(args.into_iter().chain(["--compression", compression]))
                .ok(),
        );
        let layout = bench.path(compression);
        for (file, _) in all(&layout.join("blobs/sha256")) {
            let sum = sh(
                &bench,
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
            let commit = bench.rev(&format!("go-sdk/{arch}/1.99.1")).unwrap();
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
            let dest = bench.path(&format!("{compression}-{arch}"));
            fs::create_dir(&dest).unwrap();
            for (at, layer) in manifest["layers"].as_array().unwrap().iter().enumerate() {
                let blob = blob(&layout, &layer["digest"]);
                let piped = format!(
                    "{unpack} '{0}' | tar -xp -C '{1}'; {unpack} '{0}' | sha256sum",
                    blob.display(),
                    dest.display()
                );
                let sum = sh(&bench, &piped).ok();
                assert_eq!(
                    config["rootfs"]["diff_ids"][at],
                    format!("sha256:{}", &sum.stdout[..64])
                );
                assert!(layer["mediaType"].as_str().unwrap().ends_with(compression));
            }
            let stock = format!("stock-{arch}");
            if !bench.path(&stock).exists() {
                bench.checkout(&commit, &stock);
            }
            let dest = dest.display();
            sh(
                &bench,
                &format!("diff -r --no-dereference {stock} '{dest}'"),
            )
            .ok();
            let list = "find . ! -name . -printf '%p %m %l\\n' | sort";
            let listed = |folder: &str| sh(&bench, &format!("cd '{folder}'; {list}")).ok().stdout;
            assert_eq!(listed(&dest.to_string()), listed(&stock));
        }
    }
}

#[test]
fn the_commits_are_in_the_annotations() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let bench = bench("archive");
    let made = json(
        &bench
            .run(["export", "oci", "1.99.1", "oci:img", "--format", "json"])
            .ok(),
    );
    let layout = bench.path("img");
    let manifest = document(&blob(&layout, &made["images"][0]["digest"]));
    let check = |commit: &Value, object: &Value, detached: &Value| {
        let (commit, folder) = (commit.as_str().unwrap(), bench.repo().join("objects"));
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
    for layer in manifest["layers"].as_array().unwrap() {
        let annotations = &layer["annotations"];
        check(
            &annotations["ostree.commit"],
            &annotations["io.github.ostree-go.layer.commit"],
            &annotations["io.github.ostree-go.layer.commitmeta"],
        );
        let size = sh(
            &bench,
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

/// The tar of a layer and the configuration are pinned. The blobs are not, as a newer libzstd may
/// compress otherwise: a manifest's digest is the same as long as that is.
#[test]
fn the_same_release_gives_the_same_image() {
    let [one, other] = ["archive", "bare-user"].map(bench);
    let mut pinned = Vec::new();
    for bench in [&one, &other] {
        bench.run(["export", "oci", "1.99.1", "oci:img"]).ok();
        let made = bench.run([
            "export",
            "oci",
            "1.99.1",
            "oci-archive:img.tar",
            "--format",
            "json",
        ]);
        pinned.push(json(&made.ok()));
        bench
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
    insta::assert_snapshot!(ids.collect::<String>(), @"");
}

#[test]
fn a_layout_keeps_its_other_images() {
    let bench = bench("archive");
    let run = |args: &str| {
        bench
            .run(["export", "oci"].into_iter().chain(args.split(' ')))
            .ok()
    };
    run("1.99.1 oci:img");
    run("1.99.1 oci:img:x86 --arch x86_64");
    run("1.99 oci:img");
    run("1.99.1 oci:img:x86 --arch aarch64");
    let names = |bench: &Bench| -> Vec<String> {
        let index = document(&bench.path("img/index.json"));
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
        names(&bench),
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
    let out = run_in(&bench, &mut inspect).ok();
    assert_eq!(json(&out)["Labels"]["sdk.arch"], "arm64");
    let mut copy = skopeo([
        "copy",
        "--all",
        "--quiet",
        "oci:img:1.99.1",
        "oci:copy:1.99.1",
    ])
    .unwrap();
    run_in(&bench, &mut copy).ok();
    for (file, _) in all(&bench.path("copy/blobs")) {
        assert!(bench.path("img/blobs").join(file).exists());
    }
}

fn run_in(bench: &Bench, command: &mut Command) -> Output {
    run(command.current_dir(bench.path("")))
}

#[test]
fn a_registry_gets_what_it_lacks_and_gives_it_back() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let bench = bench("archive");
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
        json(&bench.run(args).ok())
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
    bench.run(["export", "oci", "1.99.1", "oci:img"]).ok();
    assert_eq!(
        raw.as_bytes(),
        fs::read(blob(&bench.path("img"), &made["digest"])).unwrap()
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
    run_in(&bench, &mut copy).ok();
    assert!(all(&bench.path("img/blobs")) == all(&bench.path("back/blobs")));
}

#[test]
fn a_registry_that_refuses_is_heard() {
    let Some(registry) = Registry::guarded() else {
        return;
    };
    let bench = bench("archive");
    let image = format!("docker://{}/acme/go-sdk:1", registry.host());
    let push = |more: &[&str]| {
        let args = ["export", "oci", "1.99.1", &image, "--tls-verify=false"];
        bench.run(args.iter().chain(more).copied())
    };
    let hidden = |out: Output| out.stderr.replace(&registry.host(), "HOST");
    insta::assert_snapshot!(hidden(push(&[]).exits(1)), @"
    error: cannot push HOST/acme/go-sdk:1: the registry answered with status 401
    hint: `podman login` keeps credentials where they are found; --authfile names another file
    ");
    let auth = |secret: &str| {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let auth = BASE64_STANDARD.encode(format!("builder:{secret}"));
        format!(
            "{{\"auths\": {{\"{}\": {{\"auth\": \"{auth}\"}}}}}}",
            registry.host()
        )
    };
    bench.write("auth.json", &auth("wrong"));
    insta::assert_snapshot!(hidden(push(&["--authfile", "auth.json"]).exits(1)), @"
    error: cannot push HOST/acme/go-sdk:1: the registry answered with status 401
    hint: `podman login` keeps credentials where they are found; --authfile names another file
    ");
    bench.write("auth.json", "{");
    insta::assert_snapshot!(hidden(push(&["--authfile", "auth.json"]).exits(1)), @"
    error: cannot read auth.json
      EOF while parsing an object at line 1 column 1
    ");
    insta::assert_snapshot!(hidden(push(&["--authfile", "none.json"]).exits(1)), @"
    error: cannot read none.json
      No such file or directory (os error 2)
    ");
    bench.write("auth.json", &auth("secret"));
    push(&["--authfile", "auth.json"]).ok();
    let mut from_env = bench.ostree_go(["export", "oci", "1.99.1", &image, "--tls-verify=false"]);
    run(from_env.env("REGISTRY_AUTH_FILE", bench.path("auth.json"))).ok();
    // Encryption is asked for, and there is none.
    let out = bench.run(["export", "oci", "1.99.1", &image]).exits(75);
    insta::assert_snapshot!(hidden(out), @"
    error: cannot push HOST/acme/go-sdk:1: no answer from https://HOST/v2/
      io: received corrupt message of type InvalidContentType
    hint: check the address; --tls-verify=false takes a registry without encryption
    ");
}

#[test]
fn errors_say_what_is_wrong() {
    let bench = bench("archive");
    let failed = |args: &str, code| {
        let args = ["export", "oci"].into_iter().chain(args.split(' '));
        let out = bench.run(args).exits(code);
        let text = out
            .stderr
            .replace(&bench.path("").display().to_string(), "FOLDER/");
        regex_free(&text)
    };
    insta::assert_snapshot!(failed("1.98 oci:img", 1), @"
    error: no ref or commit `1.98` in repository FOLDER/repo
    hint: did you mean `go-sdk/x86_64/1.99`?
    ");
    insta::assert_snapshot!(failed("1.99.1 dir:img", 2), @"error: `dir:img` names no place for an image, expected oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker://REGISTRY/NAME[:TAG]");
    insta::assert_snapshot!(failed("1.99.1 oci:img:-", 2), @"error: `-` cannot be the tag of an image");
    insta::assert_snapshot!(failed("1.99.1 docker://r.example/A", 2), @"error: `r.example/A` names no image, expected REGISTRY/NAME[:TAG] or REGISTRY/NAME@sha256:DIGEST");
    insta::assert_snapshot!(failed("1.99.1 1.99 oci:img", 1), @"
    error: two releases are for x86_64: SHA256 and SHA256
    hint: one image holds one release for each architecture
    ");
    insta::assert_snapshot!(failed("1.99.1 oci:no/such/img", 1), @"
    error: cannot write no/such/img
      No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(failed("1.99.1 docker://127.0.0.1:1/a:1", 75), @"
    error: cannot push 127.0.0.1:1/a:1: no answer from https://127.0.0.1:1/v2/
      io: Connection refused (os error 111)
    hint: check the address; --tls-verify=false takes a registry without encryption
    ");
    let layer = bench
        .refs()
        .into_iter()
        .find(|name| name.contains("layer/common"))
        .unwrap();
    insta::assert_snapshot!(failed(&format!("{layer} oci:img"), 1), @"error: commit SHA256 is no release: it does not say of which version, architecture and layers it is");
    assert!(!bench.path("img").exists());

    bench.write("folder/file", "");
    insta::assert_snapshot!(failed("1.99.1 oci:folder", 1), @"
    error: folder is no OCI image layout: it has no `oci-layout`
    hint: name another directory, one that is empty or does not exist
    ");
    bench.run(["export", "oci", "1.99.1", "oci:img"]).ok();
    let before = all(&bench.path("img"));
    bench.write("img/index.json", "{");
    insta::assert_snapshot!(failed("1.99 oci:img", 1), @"
    error: img is no OCI image layout: its `index.json` is damaged
    hint: name another directory, one that is empty or does not exist
    ");
    bench.write("img/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
    insta::assert_snapshot!(failed("1.99 oci:img", 1), @r#"
    error: img is no OCI image layout: its version is "2.0.0", expected 1.0.0
    hint: name another directory, one that is empty or does not exist
    "#);
    assert_eq!(all(&bench.path("img")).len(), before.len());
}

/// The text with every checksum the same.
fn regex_free(text: &str) -> String {
    let mut shown = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        match word
            .get(..64)
            .filter(|start| start.chars().all(|c| c.is_ascii_hexdigit()))
        {
            Some(_) => shown.push_str(&format!("SHA256{}", &word[64..])),
            None => shown.push_str(word),
        }
    }
    shown
}

#[test]
fn nothing_is_left_where_there_is_no_room() {
    let bench = bench("archive");
    bench.run(["export", "oci", "1.99.1", "oci:old"]).ok();
    let Some(tmpfs) = Tmpfs::mount(256 << 10) else {
        return;
    };
    let place = tmpfs.path().display().to_string();
    sh(&bench, &format!("cp -r old {place}/layout")).ok();
    let before = all(&tmpfs.path().join("layout"));
    let filler = tmpfs.fill();
    for image in [
        format!("oci:{place}/layout:new"),
        format!("oci:{place}/new"),
        format!("oci-archive:{place}/new.tar"),
    ] {
        let out = bench.run(["export", "oci", "1.99", &image]).exits(75);
        assert!(
            out.stderr.contains("No space left on device"),
            "{}",
            out.stderr
        );
        assert!(out.stderr.contains("hint: make room"), "{}", out.stderr);
    }
    fs::remove_file(filler).unwrap();
    assert!(all(&tmpfs.path().join("layout")) == before);
    assert_eq!(fs::read_dir(tmpfs.path()).unwrap().count(), 1);

    let remount = ["-o", "remount,ro", &place];
    run(Command::new("mount").args(remount)).ok();
    let out = bench
        .run(["export", "oci", "1.99", &format!("oci:{place}/layout:new")])
        .exits(1);
    insta::assert_snapshot!(out.stderr.replace(&place, "FOLDER"), @"
    error: cannot write FOLDER/layout
      Read-only file system (os error 30)
    hint: check who owns the path and how it is mounted
    ");
}

#[test]
fn a_damaged_object_is_in_no_image() {
    let bench = bench("bare-user");
    let linked = bench.checkout("go-sdk/x86_64/1.99.1", "linked");
    let path = linked.join("usr/lib/sdk/go-1.99/src/fmt/print.go");
    let objects = run(Command::new("find")
        .arg(bench.repo().join("objects"))
        .args(["-name", "*.file", "-size", "12c"]))
    .ok();
    let same = |object: &&str| fs::read(object).unwrap() == fs::read(&path).unwrap();
    let object = objects.stdout.lines().find(same).unwrap().to_owned();
    fs::write(object, "package fm!\n").unwrap();
    let out = bench.run(["export", "oci", "1.99.1", "oci:img"]).exits(1);
    insta::assert_snapshot!(regex_free(&out.stderr), @"error: /usr/lib/sdk/go-1.99/src/fmt/print.go is damaged in the repository: its object is SHA256, expected SHA256");
    assert!(!bench.path("img").exists());
    assert!(
        !fs::read_dir(bench.path(""))
            .unwrap()
            .flatten()
            .any(|e| e.file_name().as_encoded_bytes().starts_with(b".ostree"))
    );
}

const MAIN: &str =
    "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello from scratch\") }\n";

/// One store for all that needs the real SDK, as it takes a while to fill.
#[test]
fn containers_run_and_build_with_it() {
    let Some(host) = Arch::host() else { return };
    let (Some(sdk), Some(containers)) = (sdk::sdk("1.26.5", host), Containers::new()) else {
        return;
    };
    let bench = Bench::new();
    let source = ostree_go_tests::bench::source(&sdk.tar_gz);
    bench.treefile("1.26.5", &format!("arches: [{host}]\n{source}"));
    bench.compose([]);
    bench.run(["export", "oci", "1.26.5", "oci:img"]).ok();
    let image = format!("oci:{}:1.26.5", bench.path("img").display());
    let version = run(&mut containers.run([image.as_str(), "go", "version"])).ok();
    assert_eq!(
        version.stdout.trim(),
        format!("go version go1.26.5 linux/{}", host.goarch())
    );

    // A multi-stage build, as the guide has it.
    bench.write("hello/main.go", MAIN);
    bench.write("hello/go.mod", "module example.com/hello\n\ngo 1.26\n");
    let stages = "FROM IMAGE AS build\nWORKDIR /tmp\nWORKDIR /src\nCOPY . .\nENV CGO_ENABLED=0 GOCACHE=/tmp/cache\n\
        RUN [\"go\", \"build\", \"-o\", \"/hello\", \".\"]\n\nFROM scratch\nCOPY --from=build /hello /hello\nENTRYPOINT [\"/hello\"]\n";
    bench.write("hello/Containerfile", &stages.replace("IMAGE", &image));
    run(&mut containers.build(&bench.path("hello"), "hello")).ok();
    assert_eq!(
        run(&mut containers.run(["hello"])).ok().stdout,
        "hello from scratch\n"
    );

    // The build container, as who is not root.
    bench
        .run([
            "export",
            "containerfile",
            "1.26.5",
            "builder/Containerfile",
            "--image",
            &image,
        ])
        .exits(1);
    fs::create_dir(bench.path("builder")).unwrap();
    bench
        .run([
            "export",
            "containerfile",
            "1.26.5",
            "builder/Containerfile",
            "--image",
            &image,
        ])
        .ok();
    run(&mut containers.build(&bench.path("builder"), "builder")).ok();
    let sources = format!("{}:/src:ro", bench.path("hello").display());
    let script = [
        "-v",
        &sources,
        "builder",
        "go",
        "build",
        "-o",
        "/tmp/hello",
        ".",
    ];
    run(&mut containers.run(script)).ok();
    let own = format!("{}:/out", bench.path("out").display());
    fs::create_dir(bench.path("out")).unwrap();
    std::os::unix::fs::chown(bench.path("out"), Some(1000), Some(1000)).unwrap();
    let script = [
        "-v",
        &sources,
        "-v",
        &own,
        "builder",
        "go",
        "build",
        "-o",
        "/out/hello",
        ".",
    ];
    run(&mut containers.run(script)).ok();
    let made = bench.path("out/hello");
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(&made).unwrap()),
        1000
    );
    assert_eq!(
        run(&mut Command::new(made)).ok().stdout,
        "hello from scratch\n"
    );
    // Nothing but its own folders is its own.
    let denied = ["builder", "go", "env", "-w", "GOFLAGS=-x", "GOENV=/usr/env"];
    assert!(!run(&mut containers.run(denied)).status.success());

    // Into another image: here one that has a file of its own.
    bench.write("base/etc/motd", "base\n");
    bench.write(
        "base/Containerfile",
        "FROM scratch\nCOPY etc /etc\nCOPY etc /tmp\nENV PATH=/bin\n",
    );
    run(&mut containers.build(&bench.path("base"), "base")).ok();
    let args = [
        "export",
        "containerfile",
        "1.26.5",
        "builder/Containerfile",
        "--image",
        &image,
        "--base",
        "base",
    ];
    bench.run(args).ok();
    run(&mut containers.build(&bench.path("builder"), "based")).ok();
    let version = run(&mut containers.run(["based", "go", "version"])).ok();
    assert!(version.stdout.contains("go1.26.5"));
    assert!(tools::is_root());
}

#[test]
fn a_containerfile_is_as_the_guide_has_it() {
    let bench = bench("archive");
    let text = |args: &[&str]| {
        let args = ["export", "containerfile", "go-sdk/x86_64/1.99.1"]
            .iter()
            .chain(args);
        regex_free(&bench.run(args.copied()).ok().stdout)
    };
    insta::assert_snapshot!(text(&["--image", "docker://r.example/acme/go-sdk:1.99.1"]), @r#"
    # A container to build with Go 1.99.1 in, by ostree-go.
    # Release SHA256

    # There is no mkdir in the image: WORKDIR makes the folders that are written to.
    FROM r.example/acme/go-sdk:1.99.1 AS folders
    WORKDIR /new/home/builder/.cache/go-build
    WORKDIR /new/home/builder/go/pkg/mod
    WORKDIR /new/src
    WORKDIR /new/tmp

    FROM r.example/acme/go-sdk:1.99.1
    COPY --from=folders --chown=1000:1000 /new/tmp /tmp
    # There is no C compiler.
    ENV CGO_ENABLED=0
    COPY --from=folders --chown=1000:1000 /new/home /home
    COPY --from=folders --chown=1000:1000 /new/src /src
    ENV HOME=/home/builder GOPATH=/home/builder/go GOCACHE=/home/builder/.cache/go-build GOMODCACHE=/home/builder/go/pkg/mod
    USER 1000:1000
    VOLUME ["/home/builder/.cache/go-build", "/home/builder/go/pkg/mod"]
    WORKDIR /src
    "#);
    insta::assert_snapshot!(text(&["--image", "go-sdk", "--base", "ubi9", "--user", "1001"]), @r#"
    # A container to build with Go 1.99.1 in, by ostree-go.
    # Release SHA256

    # There is no mkdir in the image: WORKDIR makes the folders that are written to.
    FROM go-sdk AS folders
    WORKDIR /new/home/builder/.cache/go-build
    WORKDIR /new/home/builder/go/pkg/mod
    WORKDIR /new/src
    WORKDIR /new/tmp

    FROM ubi9
    COPY --from=folders /usr/lib/sdk/go-1.99 /usr/lib/sdk/go-1.99
    ENV PATH=/usr/lib/sdk/go-1.99/bin:$PATH
    COPY --from=folders --chown=1001:1001 /new/home /home
    COPY --from=folders --chown=1001:1001 /new/src /src
    ENV HOME=/home/builder GOPATH=/home/builder/go GOCACHE=/home/builder/.cache/go-build GOMODCACHE=/home/builder/go/pkg/mod
    USER 1001:1001
    VOLUME ["/home/builder/.cache/go-build", "/home/builder/go/pkg/mod"]
    WORKDIR /src
    "#);
    let failed = |args: &str| {
        let args = ["export", "containerfile"]
            .into_iter()
            .chain(args.split(','));
        bench
            .run(args)
            .exits(1)
            .stderr
            .replace(&bench.repo().display().to_string(), "REPO")
    };
    insta::assert_snapshot!(failed("go-sdk/x86_64/1.99.1,--image,a b"), @"error: `a b` cannot be the name of an image");
    insta::assert_snapshot!(failed("go-sdk/x86_64/1.99.1,--image,a,--user,0"), @"error: the user that builds is 0, which is root");
    insta::assert_snapshot!(failed("go-sdk/x86_64/1.98.1,--image,a"), @"
    error: no ref or commit `go-sdk/x86_64/1.98.1` in repository REPO
    hint: did you mean `go-sdk/x86_64/1.99.1`?
    ");
}
