//! Containers from the image of a release, and from the output of `export containerfile`.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::run;
use ostree_go_tests::containers::Containers;
use ostree_go_tests::images::masked;
use ostree_go_tests::sandbox::Sandbox;
use std::fs;
use std::process::Command;

const MAIN: &str = "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"hello from scratch\\n\") }\n";

/// Uses one store for all checks with the real SDK, because filling it takes a while.
#[test]
fn containers_run_and_build_with_the_image() {
    let Some(host) = Arch::host() else { return };
    let (Some(sandbox), Some(containers)) = (Sandbox::with_real_sdk(host), Containers::new())
    else {
        return;
    };
    sandbox.run(["export", "oci", "1.26.5", "oci:img"]).ok();
    // podman names an image by its path, and takes only lower case for that.
    let image = "oci:img:1.26.5";
    let here = |mut command: Command| run(command.current_dir(sandbox.path("")));
    let version = here(containers.run([image, "go", "version"])).ok();
    assert_eq!(
        version.stdout.trim(),
        format!("go version go1.26.5 linux/{}", host.goarch())
    );

    // A multi-stage build, as the guide has it.
    sandbox.write("hello/main.go", MAIN);
    sandbox.write("hello/go.mod", "module example.com/hello\n\ngo 1.26\n");
    let stages = "FROM IMAGE AS build\nWORKDIR /tmp\nWORKDIR /src\nCOPY . .\nENV CGO_ENABLED=0 GOCACHE=/tmp/cache\n\
        RUN [\"go\", \"build\", \"-o\", \"/hello\", \".\"]\n\nFROM scratch\nCOPY --from=build /hello /hello\nENTRYPOINT [\"/hello\"]\n";
    sandbox.write("hello/Containerfile", &stages.replace("IMAGE", image));
    here(containers.build(&sandbox.path("hello"), "hello")).ok();
    assert_eq!(
        here(containers.run(["hello"])).ok().stdout,
        "hello from scratch\n"
    );

    // The build container, as who is not root.
    sandbox
        .run([
            "export",
            "containerfile",
            "1.26.5",
            "builder/Containerfile",
            "--image",
            image,
        ])
        .exits(1);
    fs::create_dir(sandbox.path("builder")).unwrap();
    sandbox
        .run([
            "export",
            "containerfile",
            "1.26.5",
            "builder/Containerfile",
            "--image",
            image,
        ])
        .ok();
    here(containers.build(&sandbox.path("builder"), "builder")).ok();
    let sources = format!("{}:/src:ro", sandbox.path("hello").display());
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
    here(containers.run(script)).ok();
    let own = format!("{}:/out", sandbox.path("out").display());
    fs::create_dir(sandbox.path("out")).unwrap();
    std::os::unix::fs::chown(sandbox.path("out"), Some(1000), Some(1000)).unwrap();
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
    here(containers.run(script)).ok();
    let made = sandbox.path("out/hello");
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
    assert!(!here(containers.run(denied)).status.success());

    // Into another image: here one that has a file of its own.
    sandbox.write("base/etc/motd", "base\n");
    sandbox.write(
        "base/Containerfile",
        "FROM scratch\nCOPY etc /etc\nCOPY etc /tmp\nENV PATH=/bin\n",
    );
    here(containers.build(&sandbox.path("base"), "base")).ok();
    let args = [
        "export",
        "containerfile",
        "1.26.5",
        "builder/Containerfile",
        "--image",
        image,
        "--base",
        "base",
    ];
    sandbox.run(args).ok();
    here(containers.build(&sandbox.path("builder"), "based")).ok();
    let version = here(containers.run(["based", "go", "version"])).ok();
    assert!(version.stdout.contains("go1.26.5"));
}

#[test]
fn the_containerfile_in_the_guide_works() {
    let sandbox = Sandbox::with_toys("");
    sandbox.compose([]);
    let text = |args: &[&str]| {
        let args = ["export", "containerfile", "go-sdk/x86_64/1.99.1"]
            .iter()
            .chain(args);
        masked(&sandbox.run(args.copied()).ok().stdout)
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
        sandbox
            .run(args)
            .exits(1)
            .stderr
            .replace(&sandbox.repo().display().to_string(), "REPO")
    };
    insta::assert_snapshot!(failed("go-sdk/x86_64/1.99.1,--image,a b"), @"error: `a b` is not a valid image name");
    insta::assert_snapshot!(failed("go-sdk/x86_64/1.99.1,--image,a,--user,0"), @"error: the build user has the ID 0, which is root, expected another");
    insta::assert_snapshot!(failed("go-sdk/x86_64/1.98.1,--image,a"), @"
    error: no ref or commit `go-sdk/x86_64/1.98.1` in repository REPO
    hint: did you mean `go-sdk/x86_64/1.99.1`?
    ");
}
