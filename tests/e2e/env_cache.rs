//! `env --cache`: the folders for Go's caches, and what is said about them.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::run;
use ostree_go_tests::host::Host;
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::{sdk, small_std_cache, tools};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

fn host() -> Host {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99.1").ok();
    host
}

/// Returns the document of `env --cache DIR`.
fn env(host: &Host, cache: &Path) -> Value {
    host.json(["env", "--cache", cache.to_str().unwrap()])
}

fn warnings(document: &Value) -> Vec<&str> {
    let warnings = document["warnings"].as_array().unwrap();
    warnings.iter().map(|one| one.as_str().unwrap()).collect()
}

#[test]
fn the_variables_of_a_directory() {
    let host = host();
    let dir = host.sandbox.path("a b/caches");
    let document = env(&host, &dir);
    let set = &document["set"];
    for (name, folder) in [("GOCACHE", "go-build"), ("GOMODCACHE", "go-mod")] {
        let folder = dir.join(folder);
        assert_eq!(set[name], folder.to_str().unwrap(), "{document:#}");
        assert_eq!(
            folder.metadata().unwrap().permissions().mode() & 0o7777,
            0o700
        );
    }
    let program = set["GOCACHEPROG"].as_str().unwrap();
    let root = host.root().display().to_string();
    assert!(
        program.ends_with(&format!(" cacheprog --root {root}")),
        "{program}"
    );
    assert_eq!(document["unset"], serde_json::json!(["GOROOT"]));
    assert!(set["GOTMPDIR"].is_null());
    assert_eq!(
        warnings(&document),
        [
            "there is no std cache for go 1.99.1: it compiles the standard library once for each build cache"
        ]
    );
    for shell in ["sh", "fish"] {
        let dir = dir.to_str().unwrap();
        let script = host
            .run(["env", "--cache", dir, "--shell", shell])
            .ok()
            .stdout;
        assert!(script.contains(&format!("{dir}/go-build'")), "{script}");
        assert!(script.contains("GOCACHEPROG"), "{script}");
    }
    // Without the option, nothing of this is set.
    assert!(!host.run(["env"]).ok().stdout.contains("GOCACHEPROG"));
}

#[test]
fn the_real_go_command_uses_the_std_cache() {
    let host = host();
    if std::env::consts::ARCH != "x86_64" {
        return tools::skip("this machine cannot run x86_64 programs");
    }
    let Some(real) = sdk::sdk("1.26.5", Arch::X86_64) else {
        return;
    };
    let deployed = "deployments/test/usr/lib/sdk/stdcache/go-1.99/x86_64-trimpath";
    small_std_cache::copy(&small_std_cache::small(&real), &host.root().join(deployed));
    let dir = host.sandbox.path("caches");
    assert!(warnings(&env(&host, &dir)).is_empty());
    let script = host
        .run(["env", "--cache", dir.to_str().unwrap()])
        .ok()
        .stdout;
    let module = host.sandbox.path("hello");
    small_std_cache::program(&module, "hello");
    let go = real.dir.join("bin/go");
    let command = small_std_cache::go(&real, &module, &[]);
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{script}\nexec {} build -v", go.display()));
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    shell.env_clear().envs(variables).current_dir(&module);
    let out = run(&mut shell).ok();
    assert_eq!(out.stderr, "example.com/hello\n");
}

#[test]
fn directories_of_other_users_are_refused() {
    let host = host();
    let dir = host.sandbox.path("caches");
    fs::create_dir_all(dir.join("go-build")).unwrap();
    let args = ["env", "--cache", dir.to_str().unwrap()];
    fs::set_permissions(dir.join("go-build"), fs::Permissions::from_mode(0o777)).unwrap();
    let out = host.run(args).exits(1);
    assert!(
        out.stderr.contains("is no private folder of user") && out.stderr.contains("mode 0777"),
        "{out}"
    );
    assert!(
        out.stderr
            .contains("hint: whoever can write to a build cache"),
        "{out}"
    );
    if !tools::is_root() {
        return tools::skip("only root can give a directory to another user");
    }
    fs::set_permissions(dir.join("go-build"), fs::Permissions::from_mode(0o700)).unwrap();
    chown(dir.join("go-build"), Some(1000), Some(1000)).unwrap();
    let out = host.run(args).exits(1);
    assert!(
        out.stderr
            .contains("found owner 1000 and mode 0700, expected owner 0"),
        "{out}"
    );
    // Who owns the parent can replace what is in it.
    chown(dir.join("go-build"), Some(0), Some(0)).unwrap();
    chown(&dir, Some(1000), Some(1000)).unwrap();
    host.run(args).exits(1);
}

#[test]
fn small_and_noexec_file_systems() {
    let host = host();
    let Some(small) = Tmpfs::mount(1 << 20) else {
        return;
    };
    let document = env(&host, &small.path().join("caches"));
    let expected = format!(
        "the file system of {}/caches/go-build has 1.0 MB; builds, tests and modules need about 1.0 GB",
        small.path().display()
    );
    assert_eq!(warnings(&document)[0], expected);
    small.remount("noexec");
    let dir = host.sandbox.path("caches");
    let in_small = |cache: &Path| {
        let args = [
            "env",
            "--format",
            "json",
            "--cache",
            cache.to_str().unwrap(),
        ];
        let mut command = host.command(args);
        let out = run(command.env("TMPDIR", small.path())).ok();
        serde_json::from_str::<Value>(&out.stdout).unwrap()
    };
    let document = in_small(&dir);
    assert_eq!(
        document["set"]["GOTMPDIR"],
        dir.join("go-tmp").to_str().unwrap()
    );
    assert!(dir.join("go-tmp").is_dir());
    let document = in_small(&small.path().join("caches"));
    assert!(document["set"]["GOTMPDIR"].is_null());
    let expected = format!(
        "{} is mounted with noexec, so that `go run` and `go test` cannot run programs",
        small.path().display()
    );
    assert!(
        warnings(&document).contains(&expected.as_str()),
        "{document:#}"
    );
}

#[test]
fn tmpfs_and_persistent_caches_have_their_places() {
    let host = host();
    let runtime = host.sandbox.path("runtime");
    let home = host.sandbox.path("home");
    fs::create_dir(&runtime).unwrap();
    fs::create_dir(&home).unwrap();
    let set = |kind: &str, home: &Path| {
        let mut command = host.command(["env", "--format", "json", "--cache", kind]);
        command.env("XDG_RUNTIME_DIR", &runtime).env("HOME", home);
        command.env_remove("XDG_CACHE_HOME");
        let out = run(&mut command).ok();
        serde_json::from_str::<Value>(&out.stdout).unwrap()
    };
    let document = set("tmpfs", &home);
    assert!(document["set"]["GOCACHE"].is_string(), "{document:#}");
    let document = set("persistent", &home);
    let in_home = |name: &str| home.join(name).to_str().unwrap().to_owned();
    assert_eq!(document["set"]["GOCACHE"], in_home(".cache/go-build"));
    assert_eq!(document["set"]["GOMODCACHE"], in_home("go/pkg/mod"));
    assert!(document["set"]["GOPATH"].is_null());
    let Some(home) = Tmpfs::mount(1 << 20) else {
        return;
    };
    home.remount("ro");
    let document = set("persistent", home.path());
    for name in ["GOCACHE", "GOMODCACHE", "GOPATH"] {
        let path = document["set"][name].as_str().unwrap();
        assert!(!Path::new(path).starts_with(home.path()), "{document:#}");
        assert!(path.starts_with("/var/"), "{document:#}");
    }
}

#[test]
fn a_go_before_1_24_gets_no_gocacheprog() {
    let host = Host::new();
    host.release("1.23.4", 100);
    host.install("1.23.4").ok();
    let document = env(&host, &host.sandbox.path("caches"));
    assert!(document["set"]["GOCACHEPROG"].is_null());
    assert!(document["set"]["GOCACHE"].is_string());
    assert_eq!(
        warnings(&document),
        [
            "go 1.23.4 cannot use std caches, which need Go 1.24 or newer: it compiles the standard library once for each build cache"
        ]
    );
}

#[test]
fn a_value_that_is_no_place() {
    let host = host();
    let out = host.run(["env", "--cache", "disk"]).exits(2);
    assert!(
        out.stderr
            .contains("expected `tmpfs`, `persistent`, or a directory with a `/`"),
        "{out}"
    );
}
