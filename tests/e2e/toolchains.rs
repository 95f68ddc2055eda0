//! `which`, `exec`, `env --toolchains` and `install --for`: the SDK that a project gets.

use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::host::Host;
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

/// A host with these toy SDKs as releases; the last one is active.
fn host(versions: &[&str]) -> Host {
    let host = Host::new();
    for (version, seconds) in versions.iter().zip(1..) {
        host.release(version, 100 * seconds);
        host.install(version).ok();
    }
    host
}

/// Returns the version that a project gets, and the reason.
fn which(host: &Host, dir: &str) -> String {
    let out = host.run(["which", dir]).ok();
    let root = host.root();
    let sdk = Path::new(out.stdout.trim_end())
        .strip_prefix(&root)
        .unwrap();
    let link = sdk.iter().nth(1).unwrap().to_str().unwrap();
    assert_eq!(sdk, Path::new(&format!("sdk/{link}/usr/bin/go")), "{out}");
    let why = out
        .stderr
        .replace(host.sandbox.path("").to_str().unwrap(), "[dir]/");
    format!("{link}; {}", why.trim_end())
}

#[test]
fn which_selects_the_lowest_version_that_is_high_enough() {
    let host = host(&["1.98.1", "1.99.1", "1.99.2"]);
    let of = |text: &str| {
        host.sandbox.write("p/go.mod", text);
        which(&host, "p")
    };
    assert_snapshot!(of("go 1.21\n"), @"go-1.98.1; go 1.98.1 is the lowest installed version that is high enough: `go 1.21` in [dir]/p/go.mod, line 1");
    assert_snapshot!(of("module a\n\ngo 1.99 // comment\n"), @"go-1.99.1; go 1.99.1 is the lowest installed version that is high enough: `go 1.99` in [dir]/p/go.mod, line 3");
    assert_snapshot!(of("go 1.98\ntoolchain go1.99.2\n"), @"go-1.99.2; go 1.99.2 is the lowest installed version that is high enough: `toolchain go1.99.2` in [dir]/p/go.mod, line 2");
    assert_snapshot!(of("go 1.98\ntoolchain default\n"), @"go-1.99.2; go 1.99.2 is active and high enough: `go 1.98` in [dir]/p/go.mod, line 1");
    assert_snapshot!(of("module a\n"), @"go-1.99.2; go 1.99.2 is active: [dir]/p/go.mod, which names no version");
    // The active SDK is not high enough for the go line.
    host.run(["use", "1.98.1"]).ok();
    assert_snapshot!(of("go 1.99\ntoolchain default\n"), @"go-1.99.1; go 1.99.1 is the lowest installed version that is high enough: `go 1.99` in [dir]/p/go.mod, line 1");

    // A workspace comes first, unless GOWORK says otherwise.
    host.sandbox.write("go.work", "go 1.98\nuse ./q\n");
    host.sandbox.write("q/go.mod", "module q\ngo 1.99.2\n");
    assert_snapshot!(which(&host, "p"), @"go-1.99.2; go 1.99.2 is the lowest installed version that is high enough: `go 1.99.2` in [dir]/q/go.mod, line 2");
    let with_gowork = |value: &str| {
        let mut command = host.command(["which", "p"]);
        run(command.env("GOWORK", value)).ok().stdout
    };
    assert!(
        with_gowork("off").contains("go-1.99.1"),
        "{}",
        with_gowork("off")
    );
    let file = host.sandbox.write("x.work", "go 1.98\n");
    assert!(with_gowork(file.to_str().unwrap()).contains("go-1.98.1"));
    // As `go env -w` stores it.
    let stored = host.sandbox.write("goenv", "GOWORK=off\n");
    let mut command = host.command(["which", "p"]);
    let out = run(command.env("GOENV", stored)).ok();
    assert!(out.stdout.contains("go-1.99.1"), "{out}");
}

#[test]
fn which_reads_the_files_of_version_managers_without_a_module() {
    let host = host(&["1.98.1", "1.99.1", "1.99.2", "1.98.2"]);
    assert_snapshot!(which(&host, "."), @"go-1.98.2; go 1.98.2 is active, and no file asks for another one");
    let of = |name: &str, text: &str| {
        let path = host.sandbox.write(&format!("p/{name}"), text);
        let found = which(&host, "p");
        fs::remove_file(path).unwrap();
        found
    };
    assert_snapshot!(of(".go-version", "# ours\r\ngo1.99.1\r\n"), @"go-1.99.1; go 1.99.1 is the version: `go1.99.1` in [dir]/p/.go-version, line 2");
    assert_snapshot!(of(".go-version", "1.99\n"), @"go-1.99.2; go 1.99.2 is the newest installed version: `1.99` in [dir]/p/.go-version, line 1");
    assert_snapshot!(of(".go-version", "system\n"), @"go-1.98.2; go 1.98.2 is active: `system` in [dir]/p/.go-version, line 1");
    assert_snapshot!(of(".tool-versions", "nodejs 22.1\ngolang 1.98.1\n"), @"go-1.98.1; go 1.98.1 is the version: `golang 1.98.1` in [dir]/p/.tool-versions, line 2");
    assert_snapshot!(of("mise.toml", "[tools]\ngo = 'latest'\n"), @r#"go-1.99.2; go 1.99.2 is the newest installed version: `go = \"latest\"` in [dir]/p/mise.toml, line 2"#);
    assert_snapshot!(of(".mise.toml", "[tools]\ngo = ['prefix:1.98']\n"), @r#"go-1.98.2; go 1.98.2 is the newest installed version: `go = \"prefix:1.98\"` in [dir]/p/.mise.toml, line 2"#);
    // The order in one directory, and a module above it.
    host.sandbox.write("p/.go-version", "1.99.1\n");
    host.sandbox.write("p/.tool-versions", "golang 1.98.1\n");
    assert!(which(&host, "p").starts_with("go-1.99.1;"));
    host.sandbox.write("go.mod", "go 1.99.2\n");
    assert!(which(&host, "p").starts_with("go-1.99.2;"));
}

#[test]
fn which_counts_one_sdk_of_each_channel() {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99").ok();
    host.release("1.99.2", 200);
    host.run(["upgrade"]).ok();
    host.sandbox.write("p/go.mod", "go 1.99\n");
    // An upgrade reaches projects although the old SDK is still installed, and so does a rollback.
    assert!(which(&host, "p").starts_with("go-1.99.2;"));
    host.run(["rollback"]).ok();
    assert!(which(&host, "p").starts_with("go-1.99.1;"));
    // One that is not its channel's is better than none.
    host.sandbox.write("p/go.mod", "go 1.99.2\n");
    assert!(which(&host, "p").starts_with("go-1.99.2;"));
    host.sandbox.write("q/.go-version", "1.99.2\n");
    assert!(which(&host, "q").starts_with("go-1.99.2;"));
}

#[test]
fn which_says_everything_in_json() {
    let host = host(&["1.98.1", "1.99.1"]);
    host.sandbox.write("p/go.mod", "module a\ngo 1.98\n");
    let said = host.json(["which", "p"]);
    let bin = host.root().join("sdk/go-1.98.1/usr/bin");
    assert_eq!(said["bin"], bin.to_str().unwrap());
    assert_eq!(said["go"], bin.join("go").to_str().unwrap());
    assert_eq!(said["reason"], "lowest");
    assert_eq!(said["deployment"]["version"], "1.98.1");
    let requirement = &said["requirement"];
    let file = host.sandbox.path("p/go.mod");
    assert_eq!(requirement["file"], file.to_str().unwrap());
    assert_eq!(requirement["line"], 2);
    assert_eq!(requirement["text"], "go 1.98");
    assert_eq!(requirement["rule"], "go 1.98 or newer");
    let said = host.json(["which"]);
    assert_eq!(said["requirement"], Value::Null);
    assert_eq!(said["reason"], "active");
    // Nothing but the path is printed on standard output, and with -q nothing else at all.
    let out = host.run(["-q", "which", "p"]).ok();
    assert_eq!((out.stdout.lines().count(), &*out.stderr), (1, ""));
}

#[test]
fn which_follows_the_path_that_the_user_sees() {
    let host = host(&["1.98.1", "1.99.1"]);
    host.sandbox.write("seen/go.mod", "go 1.98\n");
    host.sandbox.write("real/go.mod", "go 1.99\n");
    fs::create_dir_all(host.sandbox.path("real/sub")).unwrap();
    symlink("../real/sub", host.sandbox.path("seen/sub")).unwrap();
    let seen = host.sandbox.path("seen/sub");
    let version = |pwd: &Path| {
        let mut command = host.command(["which"]);
        let out = run(command.current_dir(&seen).env("PWD", pwd)).ok();
        out.stdout.rsplit("go-").next().unwrap()[..6].to_owned()
    };
    assert_eq!(version(&seen), "1.98.1");
    // A wrong value is not believed, as in Go.
    assert_eq!(version(Path::new("/usr")), "1.99.1");
    assert!(which(&host, "seen/sub/.").starts_with("go-1.98.1;"));
}

#[test]
fn exec_runs_a_command_in_place_of_itself() {
    let host = host(&["1.98.1", "1.99.1"]);
    let exec = |name: &str, script: &str| -> Output {
        let mut command = host.command(["exec", name, "--", "sh", "-c", script]);
        command
            .env("GOROOT", "/other")
            .env("GOTOOLCHAIN", "auto")
            .env("PATH", "/usr/bin:/bin");
        run(&mut command)
    };
    let bin = host.root().join("sdk/go-1.98.1/usr/bin");
    for name in ["1.98.1", "go1.98.1"] {
        let out = exec(
            name,
            "echo $PATH; echo ${GOROOT-unset}; echo $GOTOOLCHAIN; command -v go",
        )
        .ok();
        let bin = bin.display();
        assert_eq!(
            out.stdout,
            format!("{bin}:/usr/bin:/bin\nunset\nlocal\n{bin}/go\n")
        );
        assert_eq!(out.stderr, "");
    }
    assert_eq!(exec("1.98.1", "exit 42").code(), Some(42));
    assert_eq!(exec("1.98.1", "kill -TERM $$").status.signal(), Some(15));
    // Without `--`, and with options of the command.
    let out = host
        .run([
            "exec",
            "1.99.1",
            "sh",
            "-c",
            "echo $0 --format $1",
            "a",
            "-q",
        ])
        .ok();
    assert_eq!(out.stdout, "a --format -q\n");
    // The umask is not changed on the way.
    let program = host.command([]).get_program().to_owned();
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "umask 077; exec \"$0\" exec 1.99.1 -- sh -c umask"])
        .arg(program)
        .env("OSTREE_GO_ROOT", host.root());
    assert_eq!(run(&mut command).ok().stdout, "0077\n");
}

#[test]
fn links_to_all_sdks_are_kept_up_to_date() {
    let host = host(&["1.98.1", "1.99.1"]);
    let folder = host.root().join("toolchains");
    let links = || {
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let target = |name: &str| folder.join(name).canonicalize().unwrap();
    assert_eq!(links(), ["go1.98.1", "go1.99.1"]);
    let go = host.root().join("sdk/go-1.98.1/usr/bin/go");
    assert_eq!(target("go1.98.1"), go.canonicalize().unwrap());
    // SDKs for other machines cannot be run.
    let other = Arch::ALL.into_iter().find(|arch| *arch != host.arch());
    let other = other.unwrap().to_string();
    let from = ["--from-repo", "repo", "--arch", &other];
    host.run(["install", "1.99.1"].into_iter().chain(from)).ok();
    assert_eq!(links(), ["go1.98.1", "go1.99.1"]);
    // Entries of others are left alone.
    symlink("/usr/bin/true", folder.join("go1.1")).unwrap();
    fs::write(folder.join("go1.2"), "").unwrap();
    host.run(["uninstall", "1.98.1"]).ok();
    host.run(["gc"]).ok();
    assert_eq!(links(), ["go1.1", "go1.2", "go1.99.1"]);
    // A root of an older version, and a link of a killed process.
    fs::remove_dir_all(&folder).unwrap();
    host.run(["env", "--toolchains"]).ok();
    assert_eq!(links(), ["go1.99.1"]);
    let hidden = fs::read_link(folder.join("go1.99.1")).unwrap();
    symlink(hidden, folder.join(".go1.99.1.4711")).unwrap();
    host.run(["pin", "1.99.1"]).ok();
    assert_eq!(links(), ["go1.99.1"]);
    host.check();
}

#[test]
fn env_adds_the_folder_of_toolchains() {
    let host = host(&["1.98.1", "1.99.1"]);
    let (bin, folder) = (
        host.root().join("current/usr/bin"),
        host.root().join("toolchains"),
    );
    let script = host.run(["env", "--toolchains"]).ok().stdout;
    for shell in ["sh", "bash", "zsh", "fish"] {
        let Some(program) = ostree_go_tests::tools::require(shell) else {
            continue;
        };
        let fish = host
            .run(["env", "--toolchains", "--shell", "fish"])
            .ok()
            .stdout;
        let script = match shell {
            "fish" => format!("{fish}{fish}string join : $PATH; echo $GOTOOLCHAIN\n"),
            _ => format!("{script}{script}echo \"$PATH\"; echo \"$GOTOOLCHAIN\"\n"),
        };
        let mut command = std::process::Command::new(program);
        command.args(["-c", &script]).env_clear();
        command
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", host.sandbox.path(""));
        let out = run(&mut command).ok();
        let path = format!("{}:{}:/usr/bin:/bin", bin.display(), folder.display());
        assert_eq!(out.stdout, format!("{path}\nlocal+path\n"), "{shell}");
    }
    let said = host.json(["env", "--toolchains"]);
    assert_eq!(said["toolchains"], folder.to_str().unwrap());
    assert_eq!(said["set"]["GOTOOLCHAIN"], "local+path");
    assert_eq!(host.json(["env"])["toolchains"], Value::Null);
}

#[test]
fn install_for_a_project_takes_what_it_names() {
    let host = Host::new();
    for (version, seconds) in [("1.98.3", 1), ("1.99.1", 2), ("1.99.2", 3), ("1.99.3", 4)] {
        host.release(version, 100 * seconds);
    }
    host.run(["publish"]).ok();
    let server = FaultyServer::serving(&host.sandbox.repo());
    let url = server.url();
    let mut add = host.command(["remote", "add", "acme", &url, "--no-gpg-verify"]);
    run(add.env_remove("OSTREE_REPO")).ok();
    let install = |text: &str, args: &[&str]| {
        host.sandbox.write("p/go.mod", text);
        let out = host
            .run(["install", "--for", "p"].iter().chain(args).copied())
            .ok();
        let text = out
            .stderr
            .replace(host.sandbox.path("").to_str().unwrap(), "[dir]/");
        let lines = text.lines().filter(|line| !line.contains("downloaded"));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(install("go 1.21\n", &[]), @"
    installing go 1.21 or newer for `go 1.21` in [dir]/p/go.mod, line 1
    go 1.98.3 is installed (unsigned)
    ");
    // Nothing is made active for a project, and nothing is fetched twice.
    assert_eq!(host.active(), None);
    let requests = server.requests().len();
    assert_snapshot!(install("go 1.21\n", &[]), @"go 1.98.3 is the lowest installed version that is high enough: `go 1.21` in [dir]/p/go.mod, line 1");
    assert_eq!(server.requests().len(), requests);
    assert_snapshot!(install("go 1.99.1\n", &[]), @"
    installing go 1.99.1 or newer for `go 1.99.1` in [dir]/p/go.mod, line 1
    go 1.99.1 is installed (unsigned)
    ");
    assert_snapshot!(install("go 1.99\n", &[]), @"go 1.99.1 is the lowest installed version that is high enough: `go 1.99` in [dir]/p/go.mod, line 1");
    // A patch release is installed exactly, although a newer one would do.
    host.run(["install", "1.99.3"]).ok();
    host.run(["uninstall", "1.99.1"]).ok();
    assert!(install("go 1.98\ntoolchain go1.99.2\n", &[]).contains("go 1.99.2 is installed"));
    assert!(which(&host, "p").starts_with("go-1.99.2;"));
    // The newest patch release of the minor version.
    host.run(["uninstall", "1.99.2"]).ok();
    host.run(["uninstall", "1.99.3", "--active"]).ok();
    host.run(["gc"]).ok();
    let out = install("go 1.99\n", &["--dry-run"]);
    assert!(out.contains("installing go 1.99 or newer"), "{out}");
    assert!(install("go 1.99\n", &[]).contains("go 1.99.3 is installed"));
    host.check();
}

#[test]
fn install_accepts_the_names_of_toolchains_and_the_other_files() {
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 1), ("1.99.2", 2)] {
        host.release(version, 100 * seconds);
    }
    let from = ["--from-repo", "repo"];
    host.run(["install", "go1.99.1"].into_iter().chain(from))
        .ok();
    assert_eq!(host.active().as_deref(), Some("1.99.1"));
    host.sandbox.write(".go-version", "1.99.2\n");
    let said = host.json(["install", "--for", "."].into_iter().chain(from));
    assert_eq!(said["deployments"][0]["version"], "1.99.2");
    assert_eq!(said["activated"], false);
    let again = host.json(["install", "--for", "."].into_iter().chain(from));
    assert_eq!(again["deployments"][0]["outcome"], "unchanged");
    assert_eq!(again["active"]["version"], "1.99.1");
}
