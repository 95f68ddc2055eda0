//! Std caches: built by a real SDK, the same for another user in another folder, and all that the first `go build`,
//! `go vet` and `go test` on a host need.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, ostree_go, run, target_dir, workspace};
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::running::Running;
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::sdk::{Sdk, sdk};
use ostree_go_tests::signals::interrupt;
use ostree_go_tests::state::{State, leftovers};
use ostree_go_tests::tools;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The version of the SDK in the fixture.
pub const VERSION: &str = "1.26.5";

/// Guards against hanging: compiling the standard library takes minutes on a busy machine.
const LIMIT: Duration = Duration::from_mins(20);

/// A repository with a real SDK for this machine, and its std cache for this machine and `-trimpath`. It is shared by
/// all tests: never write into it.
#[derive(Debug)]
pub struct Fixture {
    /// The folder of the treefile `go.yaml`.
    pub folder: PathBuf,
    /// The repository, in archive mode.
    pub repo: PathBuf,
    /// The architecture.
    pub arch: Arch,
    /// The ref of the release.
    pub release: String,
    /// The ref of the std cache.
    pub std_cache: String,
    _lock: File,
}

/// Returns the fixture, which the first caller builds, or `None` after printing why the test is skipped.
pub fn fixture() -> Option<&'static Fixture> {
    static FIXTURE: OnceLock<Option<Fixture>> = OnceLock::new();
    FIXTURE.get_or_init(Fixture::build).as_ref()
}

impl Fixture {
    fn build() -> Option<Self> {
        tools::require("bwrap")?;
        let Some(arch) = Arch::host() else {
            tools::skip("there is no SDK for this machine");
            return None;
        };
        let sdk = sdk(VERSION, arch)?;
        // A static is never dropped, so that a temporary folder would remain.
        let folder = target_dir().join("tests-std-cache");
        fs::create_dir_all(target_dir()).unwrap();
        let lock = File::create(folder.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        let base = workspace().join("treefiles/base.yaml");
        fs::write(folder.join("go.yaml"), treefile(&sdk, &base, &sdk.tar_gz)).unwrap();
        let fixture = Self {
            repo: folder.join("repo"),
            folder,
            arch,
            release: format!("go-sdk/{arch}/{VERSION}"),
            std_cache: format!("go-sdk/stdcache/{VERSION}/{arch}-trimpath"),
            _lock: lock,
        };
        fixture.compose([]).ok();
        Some(fixture)
    }

    /// Composes the treefile again.
    fn compose<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        run(&mut self.command(args))
    }

    fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = ostree_go();
        command
            .current_dir(&self.folder)
            .env("OSTREE_REPO", &self.repo)
            .args(["compose", "go.yaml"])
            .args(args);
        command
    }

    /// Returns the commit of a ref.
    pub fn rev(&self, name: &str) -> String {
        ostree(&self.repo, ["rev-parse", name]).trim().to_owned()
    }

    /// Checks a ref out into a folder that does not exist.
    pub fn checkout(&self, name: &str, dest: &Path) {
        ostree(
            &self.repo,
            ["checkout", "-U", name, dest.to_str().expect("UTF-8")],
        );
    }

    /// Returns the folder of the std cache in a checkout of its commit.
    pub fn dir_in(&self, tree: &Path) -> PathBuf {
        tree.join(format!(
            "usr/lib/sdk/stdcache/go-1.26/{}-trimpath",
            self.arch
        ))
    }
}

/// Returns a treefile with the std cache for `-trimpath`.
fn treefile(sdk: &Sdk, base: &Path, archive: &Path) -> String {
    let (arch, h1) = (sdk.arch, sdk.h1);
    format!(
        "version: {VERSION}\ninclude: {}\narches: [{arch}]\n{}\npin: {{ {arch}: {{ h1: \"{h1}\" }} }}\n\
         stdcache: {{ targets: [{arch}], modes: [trimpath] }}\n",
        base.display(),
        source(archive)
    )
}

/// Returns the lines of an index: action, output and size.
fn entries(dir: &Path) -> Vec<(String, String, u64)> {
    let text = fs::read_to_string(dir.join("index")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("ostree-go stdcache 1"));
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let [action, output, size] = fields[..] else {
            panic!("{line}");
        };
        (action.to_owned(), output.to_owned(), size.parse().unwrap())
    };
    lines.map(entry).collect()
}

/// Fills a build cache with a std cache, in the form that the go command itself writes.
pub fn seed(dir: &Path, gocache: &Path) {
    for number in 0..256 {
        fs::create_dir_all(gocache.join(format!("{number:02x}"))).unwrap();
    }
    for (action, output, size) in entries(dir) {
        let entry = format!(
            "v1 {action} {output} {size:20} {:20}\n",
            1_796_060_602_000_000_000_u64
        );
        let file = |id: &str, suffix: &str| gocache.join(format!("{}/{id}-{suffix}", &id[..2]));
        fs::write(file(&action, "a"), entry).unwrap();
        let from = dir.join(format!("outputs/{}/{output}", &output[..2]));
        fs::copy(from, file(&output, "d")).unwrap();
    }
}

#[test]
fn the_commit_holds_archives_and_facts_with_an_index() {
    let Some(fixture) = fixture() else {
        return;
    };
    let show = |key: &str| {
        let key = format!("--print-metadata-key={key}");
        let text = ostree(&fixture.repo, ["show", &key, &fixture.std_cache]);
        text.trim().to_owned()
    };
    let name = format!("{}-trimpath", fixture.arch);
    assert_eq!(show("sdk.lang"), "'go'");
    assert_eq!(show("sdk.version"), format!("'{VERSION}'"));
    assert_eq!(show("version"), format!("'{VERSION}'"));
    assert_eq!(show("sdk.stdcache"), format!("'{name}'"));
    assert_eq!(
        show("ostree.ref-binding"),
        format!("['{}']", fixture.std_cache)
    );
    let log = ostree(&fixture.repo, ["log", &fixture.std_cache]);
    let subject = format!("Go {VERSION} standard library for {name}");
    assert!(log.contains(&subject) && !log.contains("Parent:"), "{log}");

    let sandbox = Sandbox::new();
    let tree = sandbox.path("tree");
    fixture.checkout(&fixture.std_cache, &tree);
    let dir = fixture.dir_in(&tree);
    let entries = entries(&dir);
    assert!(
        entries.is_sorted_by(|a, b| a.0 < b.0),
        "actions are sorted and distinct"
    );
    let outputs: BTreeSet<(&str, u64)> = entries.iter().map(|(_, o, s)| (&**o, *s)).collect();
    let (mut archives, mut facts) = (0, 0);
    for (output, size) in &outputs {
        let path = dir.join(format!("outputs/{}/{output}", &output[..2]));
        let content = fs::read(&path).unwrap();
        assert_eq!(content.len() as u64, *size, "{output}");
        let digest = Sha256::digest(&content);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, *output);
        match content.as_slice() {
            [] => {}
            archive if archive.starts_with(b"!<arch>\n") => archives += 1,
            // Neither the index of a module, whose action depends on paths, nor a list of source files.
            other => {
                assert!(!other.starts_with(b"go index") && !other.starts_with(b"./"));
                facts += 1;
            }
        }
    }
    // Go 1.26.5 has 318 packages that programs and tests can contain. Many packages share the facts of `go vet`.
    assert!(archives > 250 && facts > 30, "{archives} {facts}");
    // Nothing else is in the commit.
    let listed = ostree(&fixture.repo, ["ls", "-R", &fixture.std_cache]);
    let files = listed.lines().filter(|line| line.starts_with('-')).count();
    assert_eq!(files, outputs.len() + 1);
}

/// A user's machine: the SDK at the place of a deployment, and a project.
struct User {
    sandbox: Sandbox,
    go: PathBuf,
}

impl User {
    fn new(fixture: &Fixture) -> Self {
        let sandbox = Sandbox::new();
        let deployments = sandbox.path("var/lib/x/deployments");
        fs::create_dir_all(&deployments).unwrap();
        let sdk = deployments.join(fixture.rev(&fixture.release));
        fixture.checkout(&fixture.release, &sdk);
        sandbox.write("project/go.mod", "module example.com/hello\n\ngo 1.26\n");
        sandbox.write(
            "project/main.go",
            "package main\n\nimport \"net/http\"\n\nfunc main() {\n\t\
             if err := http.ListenAndServe(\"127.0.0.1:8080\", nil); err != nil {\n\t\tpanic(err)\n\t}\n}\n",
        );
        sandbox.write(
            "project/main_test.go",
            "package main\n\nimport \"testing\"\n\nfunc TestNothing(t *testing.T) { t.Log(\"nothing\") }\n",
        );
        Self {
            go: sdk.join("usr/bin/go"),
            sandbox,
        }
    }

    /// Runs the go command with `-x`, which prints each program that it runs, and returns what it ran.
    fn go(&self, args: &[&str], gocache: &Path) -> Vec<String> {
        let mut command = Command::new(&self.go);
        command
            .current_dir(self.sandbox.path("project"))
            .env_clear()
            .args(args)
            .arg("-x")
            .arg(".")
            .env("HOME", self.sandbox.path("home"))
            .env("GOCACHE", gocache)
            .env("CGO_ENABLED", "0")
            .env("GOPROXY", "off");
        let out = run(&mut command).ok();
        let programs = out
            .stderr
            .lines()
            .filter(|line| line.contains("/pkg/tool/"));
        programs.map(str::to_owned).collect()
    }
}

#[test]
fn the_first_build_vet_and_test_compile_only_the_project() {
    let Some(fixture) = fixture() else {
        return;
    };
    let user = User::new(fixture);
    let tree = user.sandbox.path("cache");
    fixture.checkout(&fixture.std_cache, &tree);
    let count = |ran: &[String], program: &str| {
        let end = format!("/{program} ");
        ran.iter().filter(|line| line.contains(&end)).count()
    };
    for (args, compiled) in [
        (&["build", "-trimpath", "-o", "hello"][..], 1),
        (&["vet", "-trimpath"], 0),
        // The package, the package with its tests, and the main package of the tests.
        (&["test", "-trimpath"], 3),
    ] {
        let gocache = user.sandbox.path(&format!("gocache-{}", args[0]));
        seed(&fixture.dir_in(&tree), &gocache);
        let ran = user.go(args, &gocache);
        assert!(count(&ran, "compile") <= compiled, "{args:?} {ran:#?}");
        let vetted = count(&ran, "vet");
        assert!(vetted <= 2, "{args:?} {ran:#?}");
    }
    // With other flags the std cache is of no use, and does no harm.
    let gocache = user.sandbox.path("gocache-plain");
    seed(&fixture.dir_in(&tree), &gocache);
    let ran = user.go(&["build", "-o", "hello"], &gocache);
    assert!(count(&ran, "compile") > 50, "{}", ran.len());
}

#[test]
fn an_unchanged_std_cache_is_not_built_again() {
    let Some(fixture) = fixture() else {
        return;
    };
    // Without the program that creates sandboxes.
    let out = run(fixture
        .command(["--format", "json", "--unchanged-exit-77"])
        .env("PATH", "/nonexistent"));
    let out = out.exits(77);
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["unchanged"], true);
    let one = &json["std_caches"][0];
    assert_eq!(one["ref"], *fixture.std_cache);
    assert_eq!(one["commit"], *fixture.rev(&fixture.std_cache));
    assert_eq!(one["id"], format!("{}-trimpath", fixture.arch));
    assert_eq!(one["unchanged"], true);
    assert!(one["bytes"].as_u64().unwrap() > 50 << 20, "{one}");
    assert_eq!(json["std_caches"].as_array().unwrap().len(), 1);
    assert_eq!(json["skipped_std_caches"], serde_json::json!([]));

    let out = fixture.compose(["--dry-run", "--format", "json"]).ok();
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["std_caches"][0]["action"], "unchanged");
    let out = fixture
        .compose(["--dry-run", "--format", "json", "--force-nocache"])
        .ok();
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["std_caches"][0]["action"], "check");
    let out = fixture.compose([]).ok();
    assert!(out.stderr.contains("stdcache"), "{out}");
    assert!(out.stderr.ends_with("nothing changed\n"), "{out}");
}

/// Returns the command to compose as a plain user if this is root, with another umask, in another folder.
fn elsewhere(sandbox: &Sandbox, fixture: &Fixture) -> Command {
    let sdk = sdk(VERSION, fixture.arch).expect("the fixture has it");
    // The user may not be able to read the cache of SDKs and the sources.
    let own = sandbox.path("go.tar.gz");
    fs::copy(&sdk.tar_gz, &own).unwrap();
    fs::copy(
        workspace().join("treefiles/base.yaml"),
        sandbox.path("base.yaml"),
    )
    .unwrap();
    let binary = sandbox.path("ostree-go");
    fs::copy(ostree_go().get_program(), &binary).unwrap();
    let text = treefile(&sdk, Path::new("base.yaml"), &own);
    sandbox.write("go.yaml", &text);
    fs::create_dir_all(sandbox.path("home")).unwrap();
    let mut command = Command::new("sh");
    command
        .current_dir(sandbox.path("."))
        .env_clear()
        .args(["-c", "umask 077 && exec \"$0\" compose go.yaml"])
        .arg(binary)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", sandbox.path("home"))
        .env("OSTREE_REPO", sandbox.repo())
        .env("TZ", "Asia/Kathmandu");
    if tools::is_root() {
        for name in [
            ".",
            "home",
            "go.tar.gz",
            "base.yaml",
            "go.yaml",
            "ostree-go",
        ] {
            let path = sandbox.path(name);
            std::os::unix::fs::chown(path, Some(1000), Some(1000)).unwrap();
        }
        command.uid(1000).gid(1000);
    }
    command
}

/// A user without root privileges in another folder, whose compose is killed and then interrupted before it succeeds.
#[test]
fn another_user_gets_the_same_commit_after_a_kill_and_an_interruption() {
    let Some(fixture) = fixture() else {
        return;
    };
    let sandbox = Sandbox::new();
    let mut command = elsewhere(&sandbox, fixture);
    command.env("OSTREE_GO_FAILPOINT", "stdcache.checked-out");
    let out = run(&mut command);
    assert_eq!(out.status.signal(), Some(9), "{out}");
    // The release is complete, and the checked-out SDK is left behind.
    assert_eq!(
        sandbox.rev(&fixture.release),
        Some(fixture.rev(&fixture.release))
    );
    assert_eq!(sandbox.rev(&fixture.std_cache), None);
    assert_eq!(leftovers(&sandbox.repo()).len(), 1);
    sandbox.fsck();

    command.env_remove("OSTREE_GO_FAILPOINT");
    let running = Running::start(&mut command);
    let scratch = || leftovers(&sandbox.repo());
    let begun = Instant::now();
    // The first archives are in the build cache.
    while !has_archives(&sandbox.repo()) {
        assert!(begun.elapsed() < LIMIT, "{:?}", scratch());
        std::thread::sleep(Duration::from_millis(50));
    }
    interrupt(running.id());
    let out = running.wait(LIMIT).exits(130);
    assert!(out.stderr.contains("error: stopped on request"), "{out}");
    assert_eq!(sandbox.rev(&fixture.std_cache), None);
    // Nothing is left behind, neither by this run nor by the killed one.
    State::of(&sandbox.repo());

    run(&mut command).ok();
    assert_eq!(
        sandbox.rev(&fixture.std_cache),
        Some(fixture.rev(&fixture.std_cache))
    );
    State::of(&sandbox.repo());
}

/// Returns true if a build cache in the repository's folder for temporary files has an entry.
fn has_archives(repo: &Path) -> bool {
    let scratch = leftovers(repo).into_iter();
    scratch
        .map(|name| repo.join("tmp").join(name))
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
        .map(|entry| entry.path().join("gocache"))
        .flat_map(|gocache| fs::read_dir(gocache).into_iter().flatten().flatten())
        .flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten())
        .any(|file| file.file_name().to_string_lossy().ends_with("-d"))
}

#[test]
fn without_an_sdk_for_this_machine_std_caches_are_left_out() {
    let Some(host) = Arch::host() else {
        return tools::skip("there is no SDK for this machine");
    };
    let other = Arch::ALL.into_iter().find(|arch| *arch != host).unwrap();
    let sandbox = Sandbox::with_toys("stdcache: {}");
    let arch = other.to_string();
    let out = sandbox
        .run(["compose", "go.yaml", "--arch", &arch, "--format", "json"])
        .ok();
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    let skipped = json["skipped_std_caches"].as_array().unwrap();
    assert_eq!(skipped.len(), 4);
    assert_eq!(skipped[0], "go-sdk/stdcache/1.99.1/x86_64-trimpath");
    assert_eq!(json["std_caches"], serde_json::json!([]));
    // The next run says so, and changes nothing.
    let out = sandbox
        .run(["compose", "go.yaml", "--arch", &arch, "--unchanged-exit-77"])
        .exits(77);
    assert!(out.stderr.contains("were not built"), "{out}");
    sandbox.fsck();
}

#[test]
fn std_caches_can_be_left_out() {
    let sandbox = Sandbox::with_toys("stdcache: {}");
    sandbox.compose(["--no-stdcache"]);
    // Without refs there is nothing by which they could be found.
    sandbox.compose(["--force-nocache", "--write-commitid-to", "commits"]);
    let refs = sandbox.refs();
    assert!(
        !refs.iter().any(|name| name.contains("stdcache")),
        "{refs:?}"
    );
    let out = sandbox
        .run(["compose", "go.yaml", "--dry-run", "--format", "json"])
        .ok();
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["std_caches"].as_array().unwrap().len(), 4);
    // Toys have no pin, so that it is not known yet whether they have changed.
    assert_eq!(json["std_caches"][0]["action"], "build");
    let out = sandbox
        .run([
            "compose",
            "go.yaml",
            "--dry-run",
            "--no-stdcache",
            "--format",
            "json",
        ])
        .ok();
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["std_caches"], serde_json::json!([]));
}
