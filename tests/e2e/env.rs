//! `env`: what shells get, how often it can be evaluated, and the caches of hosts whose home cannot be written.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::run;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::host::Host;
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::{sdk, tools};
use std::process::Command;

fn host() -> Host {
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200)] {
        host.release(version, seconds);
        host.install(version).ok();
    }
    host
}

fn env(host: &Host, args: &[&str]) -> String {
    host.run(["env"].iter().chain(args).copied()).ok().stdout
}

#[test]
fn the_sdk_is_first_in_path_however_often_it_is_evaluated() {
    let host = host();
    let bin = |link: &str| host.root().join(link).join("usr/bin").display().to_string();
    let (current, one) = (bin("current"), bin("sdk/go-1.99.1"));
    let before = "/opt/a b:/usr/bin:/bin";
    for shell in ["sh", "dash", "bash", "zsh", "fish"] {
        let Some(program) = tools::require(shell) else {
            continue;
        };
        let syntax = if shell == "fish" { "fish" } else { "sh" };
        let active = env(&host, &["--shell", syntax]);
        let other = env(&host, &["1.99.1", "--shell", syntax]);
        let show = match syntax {
            "fish" => "string join : $PATH; set -q GOROOT; and echo has GOROOT; true\n",
            _ => "echo \"$PATH\"; echo \"${GOROOT+has GOROOT}\"\n",
        };
        let prepend = match syntax {
            "fish" => "set -gx PATH /x $PATH\n",
            _ => "PATH=/x:$PATH\n",
        };
        let evaluated = |parts: &[&str]| {
            let mut command = Command::new(&program);
            let script = parts.concat();
            command.args(["-c", &script]).env_clear();
            command.env("PATH", before).env("GOROOT", "/other/go");
            command.env("HOME", host.sandbox.path(""));
            run(&mut command).ok().stdout.trim_end().to_owned()
        };
        let expected = format!("{current}:{before}");
        assert_eq!(evaluated(&[&active, show]), expected, "{shell}");
        assert_eq!(evaluated(&[&active, &active, show]), expected, "{shell}");
        let moved = format!("{current}:/x:{before}");
        assert_eq!(
            evaluated(&[&active, prepend, &active, show]),
            moved,
            "{shell}"
        );
        let back = format!("{current}:{one}:{before}");
        assert_eq!(
            evaluated(&[&active, &other, &active, show]),
            back,
            "{shell}"
        );
        if syntax == "sh" {
            let empty = evaluated(&["PATH=\n", &active, show]);
            assert_eq!(empty, current, "{shell}");
        }
    }
}

#[test]
fn a_home_that_cannot_be_written() {
    let host = host();
    let Some(home) = Tmpfs::mount(1 << 20) else {
        return;
    };
    home.remount("ro");
    let with_home = |args: &[&str]| {
        let mut command = host.command(args.iter().copied());
        command
            .env_remove("XDG_CACHE_HOME")
            .env("HOME", home.path());
        command
    };
    // A writable home needs no variables.
    assert!(!env(&host, &[]).contains("GOCACHE"));
    let out = run(&mut with_home(&["env"])).ok();
    assert!(
        out.stderr.contains("the home directory cannot be written"),
        "{out}"
    );
    for name in ["GOCACHE", "GOPATH"] {
        assert!(out.stdout.contains(&format!("export {name}='/")), "{out}");
        let mut set = with_home(&["env"]);
        let out = run(set.env(name, "/mine")).ok();
        assert!(!out.stdout.contains(&format!("export {name}=")), "{out}");
    }
    // The real go command can build with them.
    let Some(arch) = Arch::host() else { return };
    let Some(real) = sdk::sdk("1.26.5", arch) else {
        return;
    };
    host.sandbox.write("hello/go.mod", "module hello\n");
    host.sandbox.write(
        "hello/main.go",
        "package main\n\nfunc main() { println(\"hello\") }\n",
    );
    let build = |script: &str| {
        let go = real.dir.join("bin/go");
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{script}\nexec {} run .", go.display())])
            .current_dir(host.sandbox.path("hello"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", home.path());
        run(&mut command)
    };
    assert_ne!(build("").code(), Some(0), "the home is writable");
    let out = build(&out.stdout).ok();
    assert_eq!(out.stderr, "hello\n");
}

#[test]
fn a_home_for_the_root_that_cannot_be_written_names_the_option() {
    let host = Host::of_plain_user();
    if !tools::is_root() {
        return tools::skip("only root can mount a read-only home");
    }
    host.release("1.99.1", 100);
    let Some(home) = Tmpfs::mount(1 << 20) else {
        return;
    };
    home.remount("ro");
    let mut command = host.command(["install", "1.99", "--from-repo", "repo"]);
    command
        .env_remove("OSTREE_GO_ROOT")
        .env("HOME", home.path());
    let out = run(&mut command).exits(1);
    assert!(out.stderr.contains("--root or OSTREE_GO_ROOT"), "{out}");
    assert!(out.stderr.contains("Read-only file system"), "{out}");
}

#[test]
fn homes_of_gnupg_and_folders_for_temporary_files_that_cannot_be_used() {
    let host = Host::new();
    host.release("1.99.1", 100);
    let gpg = Gpg::new();
    let key = gpg.key("acme");
    let Some(tmpfs) = Tmpfs::mount(1 << 20) else {
        return;
    };
    let copy = tmpfs.path().join("gnupg");
    let mut cp = Command::new("cp");
    run(cp.arg("-a").arg(gpg.home()).arg(&copy)).ok();
    for socket in [
        "S.gpg-agent",
        "S.gpg-agent.extra",
        "S.gpg-agent.browser",
        "S.gpg-agent.ssh",
    ] {
        let _ = std::fs::remove_file(copy.join(socket));
    }
    tmpfs.remount("ro");
    let copy = copy.display().to_string();
    let sign = [
        "sign",
        "go-sdk/x86_64/1.99.1",
        "--gpg-sign",
        &key,
        "--gpg-homedir",
    ];
    let out = host
        .run(sign.iter().chain(&[copy.as_str()]).copied())
        .exits(1);
    let message = format!("GnuPG cannot use the home directory {copy}: it cannot be written");
    assert!(out.stderr.contains(&message), "{out}");
    let home = gpg.home().display().to_string();
    let mut command = host.command(sign.iter().chain(&[home.as_str()]).copied());
    let out = run(command.env("TMPDIR", "/no/such/folder")).exits(1);
    let message = "there is no folder for temporary files at /no/such/folder";
    assert!(out.stderr.contains(message), "{out}");
    assert!(out.stderr.contains("hint: set TMPDIR"), "{out}");
}
