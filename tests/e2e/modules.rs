//! `modules` in a treefile: Go modules as commits of their own, and their names in Go's module system.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::os::Os;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::state::State;
use ostree_go_tests::tools;
use ostree_go_tests::toy_module::ToyModule;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAME: &str = "example.com/ostree-bindings@v1.2.3";
const REF: &str = "go-sdk/module/example.com/ostree-bindings/v1.2.3";
const DIR: &str = "usr/lib/sdk/modules/example.com/ostree-bindings@v1.2.3";
const LOCAL_REF: &str = "go-sdk/module/example.com/local/_local";

/// Toy SDKs, a module proxy with a module, and a treefile with both.
struct World {
    sandbox: Sandbox,
    sum: String,
}

impl World {
    fn new() -> Self {
        Self::with(&ToyModule::new(NAME))
    }

    fn with(module: &ToyModule) -> Self {
        let sandbox = Sandbox::with_toys("");
        let sum = module.publish(&sandbox.path("proxy"));
        let world = Self { sandbox, sum };
        world.treefile(&world.pinned());
        world
    }

    /// Returns the entry of the treefile with the sum of the module.
    fn pinned(&self) -> String {
        format!("{{ module: {NAME}, sum: \"{}\" }}", self.sum)
    }

    fn treefile(&self, modules: &str) {
        let proxy = self.sandbox.path("proxy");
        let lines = format!(
            "{TOY_SOURCE}\ngoproxy: file://{}\nmodules: [{modules}]",
            proxy.display()
        );
        self.sandbox.treefile("1.99.1", &lines);
    }

    fn compose(&self, args: &[&str]) -> Output {
        let all = [&["compose", "go.yaml", "--cachedir=cache"], args].concat();
        self.sandbox.run(all)
    }

    fn json(&self, args: &[&str]) -> Value {
        let out = self.sandbox.run([args, &["--format", "json"]].concat());
        serde_json::from_str(&out.ok().stdout).unwrap()
    }

    fn composed(&self, args: &[&str]) -> Value {
        self.json(&[&["compose", "go.yaml", "--cachedir=cache"], args].concat())
    }
}

/// Returns the real go command with caches in a directory and without a network.
fn go(go: &Path, dir: &Path, caches: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(go);
    command
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", caches)
        .env("GOCACHE", caches.join("build"))
        .env("GOMODCACHE", caches.join("mod"))
        .env("GOFLAGS", "-modcacherw")
        .env("GOTOOLCHAIN", "local")
        .env("GOTELEMETRY", "off")
        .env("GOPROXY", "off");
    command
}

/// Returns the go command of a real SDK for this machine.
fn real_go() -> Option<PathBuf> {
    let Some(arch) = Arch::host() else {
        tools::skip("there is no SDK for this machine");
        return None;
    };
    Some(sdk("1.26.5", arch)?.dir.join("bin/go"))
}

#[test]
fn a_module_is_a_commit_that_is_composed_once() {
    let world = World::new();
    let planned = world.composed(&["--dry-run"]);
    assert_eq!(planned["modules"][0]["action"], "compose");
    let json = world.composed(&[]);
    let module = &json["modules"][0];
    assert_eq!(module["ref"], REF);
    assert_eq!(module["path"], "example.com/ostree-bindings");
    assert_eq!(module["version"], "v1.2.3");
    assert_eq!(module["h1"], world.sum);
    assert_eq!(module["files"], 3);
    assert_eq!(module["unchanged"], false);
    assert_eq!(module["commit"].as_str(), world.sandbox.rev(REF).as_deref());
    let listed = ostree(&world.sandbox.repo(), ["ls", "-R", REF]);
    let file = format!("/{DIR}/scripts/build.sh");
    let line = listed.lines().find(|line| line.ends_with(&file)).unwrap();
    // As in Go's module cache, no file can be executed.
    assert!(line.starts_with("-00644 0 0"), "{line}");
    world.sandbox.fsck();

    // Nothing is read again, not even the proxy.
    fs::rename(world.sandbox.path("proxy"), world.sandbox.path("away")).unwrap();
    let before = State::of(&world.sandbox.repo());
    let again = world.compose(&[]).ok();
    assert!(again.stderr.ends_with("nothing changed\n"), "{again}");
    assert_eq!(
        world.composed(&["--dry-run"])["modules"][0]["action"],
        "unchanged"
    );
    State::of(&world.sandbox.repo()).assert_is(&before);
    fs::rename(world.sandbox.path("away"), world.sandbox.path("proxy")).unwrap();
    let forced = world.compose(&["--force-nocache"]).ok();
    assert!(forced.stderr.ends_with("nothing changed\n"), "{forced}");
    State::of(&world.sandbox.repo()).assert_is(&before);
}

#[test]
fn a_module_has_the_same_commit_everywhere_and_changes_no_release() {
    let (one, other) = (World::new(), World::new());
    let first = one.compose(&[]).ok();
    let mut command = other
        .sandbox
        .ostree_go(["compose", "go.yaml", "--cachedir=cache"]);
    let second = run(command.env("SOURCE_DATE_EPOCH", "1")).ok();
    assert_eq!(first.stdout.lines().count(), 2);
    assert_ne!(first.stdout, second.stdout, "the releases have that time");
    assert_eq!(one.sandbox.rev(REF), other.sandbox.rev(REF));
    let without = Sandbox::with_toys("");
    let commits: Vec<&str> = first.stdout.lines().collect();
    assert_eq!(without.compose([]), commits);
}

#[test]
fn a_module_is_shown_listed_compared_and_kept() {
    let world = World::new();
    let next_sum = ToyModule::new("example.com/ostree-bindings@v1.3.0")
        .with("lib.go", "package lib\n\nconst Answer = 43\n")
        .publish(&world.sandbox.path("proxy"));
    let next = format!("{{ module: example.com/ostree-bindings@v1.3.0, sum: \"{next_sum}\" }}");
    world.treefile(&format!("{}, {next}", world.pinned()));
    world.compose(&[]).ok();

    let shown = world.json(&["show", NAME]);
    assert_eq!(shown["kind"], "module");
    assert_eq!(shown["module"]["path"], "example.com/ostree-bindings");
    assert_eq!(shown["module"]["version"], "v1.2.3");
    assert_eq!(shown["h1"], world.sum);
    assert_eq!(shown["arch"], Value::Null);
    let shown = world.sandbox.run(["show", REF]).ok().stdout;
    for line in [
        "kind      module\n".to_owned(),
        "module    example.com/ostree-bindings\nversion   v1.2.3\narch      noarch\n".to_owned(),
        format!("h1        {}\ngo.mod    h1:", world.sum),
    ] {
        assert!(shown.contains(&line), "{shown}");
    }

    let listed = world.sandbox.run(["list"]).ok().stdout;
    assert!(!listed.contains("module"), "{listed}");
    let listed = world.sandbox.run(["list", "--all"]).ok().stdout;
    assert!(listed.contains(REF), "{listed}");

    let diff = world.json(&["diff", NAME, "example.com/ostree-bindings@v1.3.0"]);
    assert_eq!(diff["from"]["module"]["version"], "v1.2.3");
    assert_eq!(diff["to"]["module"]["version"], "v1.3.0");

    // They belong to no channel, and therefore no prune removes them.
    world.sandbox.run(["prune", "--keep", "1"]).ok();
    assert!(world.sandbox.rev(REF).is_some());
    world.sandbox.fsck();
}

#[test]
fn a_module_from_a_directory_has_a_pseudo_version() {
    let world = World::new();
    let module = ToyModule::new("example.com/local@v0.0.0");
    let dir = world.sandbox.path("local");
    module.dir(&dir);
    fs::create_dir(dir.join(".git")).unwrap();
    fs::write(dir.join(".git/HEAD"), "ref: main\n").unwrap();
    fs::set_permissions(
        dir.join("scripts/build.sh"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    world.treefile("{ module: example.com/local, path: local }");
    let compose = |time: &str| {
        let args = ["compose", "go.yaml", "--format", "json"];
        let mut command = world.sandbox.ostree_go(args);
        let out = run(command.env("SOURCE_DATE_EPOCH", time).arg("--replace")).ok();
        let json: Value = serde_json::from_str(&out.stdout).unwrap();
        json["modules"][0].clone()
    };
    // 2026-07-01T21:24:27Z.
    let first = compose("1782941067");
    let commit = world.sandbox.rev(LOCAL_REF).unwrap();
    let version = format!("v0.0.0-20260701212427-{}", &commit[..12]);
    assert_eq!(first["version"], version);
    assert_eq!(first["h1"], Value::Null);
    assert_eq!(first["files"], 3);
    let shown = world.json(&["show", LOCAL_REF, "--module-version"]);
    assert_eq!(shown["module_version"]["version"], version);
    assert_eq!(shown["module"]["version"], Value::Null);
    let listed = ostree(&world.sandbox.repo(), ["ls", "-R", LOCAL_REF]);
    let file = "/usr/lib/sdk/modules/example.com/local/lib.go";
    assert!(listed.contains(file), "{listed}");
    assert!(!listed.contains(".git"), "{listed}");

    // The commit stays while the content is the same, and moves with it.
    let again = compose("1782941100");
    assert_eq!(again["version"], version);
    assert_eq!(again["unchanged"], true);
    module
        .with("lib.go", "package lib\n\nconst Answer = 43\n")
        .dir(&dir);
    let changed = compose("1782941100");
    assert_eq!(changed["unchanged"], false);
    let changed = changed["version"].as_str().unwrap();
    assert!(changed.starts_with("v0.0.0-20260701212500-"), "{changed}");
}

#[test]
fn a_module_that_is_older_than_go_mod_gets_one() {
    let world = World::with(&ToyModule::new(NAME).without("go.mod"));
    let json = world.composed(&[]);
    assert_eq!(json["modules"][0]["files"], 3);
    let file = format!("/{DIR}/go.mod");
    let text = ostree(&world.sandbox.repo(), ["cat", REF, &file]);
    assert_eq!(text, "module example.com/ostree-bindings\n");
}

#[test]
fn an_os_commit_gets_a_module() {
    let world = World::new();
    world.compose(&[]).ok();
    let os = Os::new(&world.sandbox);
    os.commit_here();
    let args = [
        "overlay",
        "os/x86_64/base",
        "go-sdk/x86_64/1.99.1",
        REF,
        "--ref",
        "os/x86_64/go",
    ];
    world.sandbox.run(args).ok();
    let key = "--print-metadata-key=sdk.releases";
    let releases = ostree(&world.sandbox.repo(), ["show", key, "os/x86_64/go"]);
    assert!(
        releases.contains("'module': <'example.com/ostree-bindings'>"),
        "{releases}"
    );
    let tree = world.sandbox.checkout("os/x86_64/go", "tree");
    assert!(tree.join(DIR).join("lib.go").exists());
}

/// The go command knows the same hashes, and finds the module of a host without a network.
#[test]
fn a_project_uses_the_module_of_a_host() {
    let Some(real) = real_go() else {
        return;
    };
    let world = World::new();
    let sandbox = &world.sandbox;
    let caches = sandbox.path("caches");
    fs::create_dir_all(&caches).unwrap();
    let proxy = format!("file://{}", sandbox.path("proxy").display());
    let mut download = go(&real, &caches, &caches, &["mod", "download", "-json", NAME]);
    download.env("GOPROXY", proxy).env("GONOSUMDB", "*");
    let download: Value = serde_json::from_str(&run(&mut download).ok().stdout).unwrap();
    let json = world.composed(&[]);
    assert_eq!(json["modules"][0]["h1"], download["Sum"]);
    assert_eq!(json["modules"][0]["go_mod_h1"], download["GoModSum"]);
    fs::remove_dir_all(&caches).unwrap();
    fs::create_dir_all(&caches).unwrap();

    let tree = sandbox.path("host");
    sandbox
        .run(["checkout", NAME, tree.to_str().unwrap(), "--copy"])
        .ok();
    let replaced = tree.join(DIR);
    let project = format!(
        "module example.com/app\n\ngo 1.26\n\nrequire example.com/ostree-bindings v1.2.3\n\n\
         replace example.com/ostree-bindings => {}\n",
        replaced.display()
    );
    sandbox.write("app/go.mod", &project);
    sandbox.write(
        "app/main.go",
        "package main\n\nimport lib \"example.com/ostree-bindings\"\n\nfunc main() { println(lib.Answer) }\n",
    );
    let app = sandbox.path("app");
    let format = "{{if .Module}}{{.ImportPath}} {{.Dir}}{{end}}";
    let mut list = go(&real, &app, &caches, &["list", "-deps", "-f", format, "."]);
    let listed = run(&mut list).ok().stdout;
    let found = format!("example.com/ostree-bindings {}", replaced.display());
    assert!(listed.lines().any(|line| line == found), "{listed}");
}

/// The versions that Go refuses in a go.mod file are refused, and no others.
#[test]
fn versions_are_accepted_as_by_the_go_command() {
    let Some(real) = real_go() else {
        return;
    };
    let world = World::new();
    let sandbox = &world.sandbox;
    let caches = sandbox.path("caches");
    fs::create_dir_all(&caches).unwrap();
    for (name, is_valid) in [
        ("example.com/lib@v1.2.3", true),
        ("example.com/lib@v0.0.0-20260701212427-abcdef123456", true),
        ("example.com/lib@v1.2.4-0.20260701212427-abcdef123456", true),
        ("example.com/lib@v2.0.0+incompatible", true),
        ("example.com/lib/v2@v2.1.0-rc.1", true),
        ("gopkg.in/yaml.v2@v2.4.0", true),
        ("gopkg.in/check.v1@v0.0.0-20161208181325-20d25e280405", true),
        ("example.com/lib@v1.2", false),
        ("example.com/lib@v1.2.3+meta", false),
        ("example.com/lib@v01.2.3", false),
        ("example.com/lib@v1.2.3-01", false),
        ("example.com/lib@v2.0.0", false),
        ("example.com/lib/v2@v1.0.0", false),
        ("example.com/lib/v2@v3.0.0", false),
        ("gopkg.in/yaml.v2@v1.0.0", false),
        ("example.com/lib@latest", false),
    ] {
        let go_mod = sandbox.write("m/go.mod", "module example.com/m\n");
        let dir = go_mod.parent().unwrap();
        let exclude = format!("-exclude={name}");
        let mut edit = go(&real, dir, &caches, &["mod", "edit", &exclude]);
        let accepted = run(&mut edit).code() == Some(0);
        assert_eq!(accepted, is_valid, "the go command: {name}");
        world.treefile(name);
        let printed = world.compose(&["--print-treefile"]);
        assert_eq!(printed.code() == Some(0), is_valid, "{name}: {printed}");
    }
}

#[test]
fn a_release_is_a_version_of_the_toolchain_module() {
    let world = World::new();
    world.compose(&[]).ok();
    let commit = world.sandbox.rev("go-sdk/x86_64/1.99.1").unwrap();
    let name = "golang.org/toolchain@v0.0.1-go1.99.1.linux-amd64";
    let json = world.json(&["show", name, "--module-version"]);
    assert_eq!(json["commit"], commit.as_str());
    let module = &json["module_version"];
    assert_eq!(module["toolchain"], "go1.99.1");
    assert_eq!(module["path"], "golang.org/toolchain");
    assert_eq!(module["version"], "v0.0.1-go1.99.1.linux-amd64");
    assert_eq!(module["h1"], json["h1"]);
    let h1 = json["h1"].as_str().unwrap();
    let shown = world
        .sandbox
        .run(["show", "go-sdk/x86_64/1.99.1", "--module-version"])
        .ok();
    assert_eq!(
        shown.stdout,
        format!(
            "release   1.99.1\ntoolchain go1.99.1\nmodule    {name}\nh1        {h1}\ncommit    {commit}\n"
        )
    );
    if let Some(arch) = Arch::host() {
        let shown = world.json(&["show", "go1.99.1"]);
        assert_eq!(shown["bound_to"][0], format!("go-sdk/{arch}/1.99.1"));
    }
    // A layer is no version of a module.
    let layer = json["layers"][0]["commit"].as_str().unwrap();
    let out = world.sandbox.run(["show", layer, "--module-version"]).ok();
    assert_eq!(out.stdout, "");
    assert!(out.stderr.contains("its kind is `layer`"), "{out}");
    let json = world.json(&["show", layer, "--module-version"]);
    assert_eq!(json["module_version"], Value::Null);
}

/// A small public module from the real proxy, verified by the real checksum database.
#[test]
fn a_public_module_is_verified_by_the_checksum_database() {
    let proxies = std::env::var("GOPROXY").unwrap_or_default();
    let mut proxies = proxies.split([',', '|']);
    let proxy = proxies.find(|entry| entry.starts_with("http"));
    let proxy = proxy.unwrap_or("https://proxy.golang.org");
    let mut probe = Command::new("curl");
    probe.args(["-fsSL", "-m", "30", "-o", "/dev/null"]);
    probe.arg(format!("{proxy}/rsc.io/quote/@v/v1.5.2.info"));
    if !probe.status().is_ok_and(|status| status.success()) {
        tools::skip(&format!("{proxy} is out of reach"));
        return;
    }
    let sandbox = Sandbox::with_toys("");
    let lines = format!("{TOY_SOURCE}\ngoproxy: {proxy}\nmodules: [rsc.io/quote@v1.5.2]");
    sandbox.treefile("1.99.1", &lines);
    let database = format!("{}/sumdb/sum.golang.org", proxy.trim_end_matches('/'));
    let args = ["compose", "go.yaml", "--format", "json", "--cachedir=cache"];
    let mut command = sandbox.ostree_go(args);
    command.args(["--sumdb", &database]);
    let json: Value = serde_json::from_str(&run(&mut command).ok().stdout).unwrap();
    // The lines of go.sum in many projects.
    assert_eq!(
        json["modules"][0]["h1"],
        "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y="
    );
    assert_eq!(
        json["modules"][0]["go_mod_h1"],
        "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0="
    );
    sandbox.fsck();
}
