//! Toolchain downloads out of an OSTree repository, through the module proxy, by the real go command.
//!
//! `sumdb/` contains recorded responses of Go's checksum database, see `upstream`. There is no other network.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run, workspace};
use ostree_go_tests::module_proxy::RunningProxy;
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::sdk::{Sdk, sdk};
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::FaultyServer;
use std::fs;
use std::path::Path;
use std::process::Command;

const VERSION: &str = "1.26.5";
const MODULE: &str = "golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64";
/// An address at which nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A module proxy with a repository, and a server with nothing but a checksum database.
struct Proxy {
    upstream: FaultyServer,
    running: RunningProxy,
}

impl Proxy {
    /// Starts the proxy for the repository of a sandbox.
    fn start(sandbox: &Sandbox) -> Self {
        let www = sandbox.path("www/sumdb");
        fs::create_dir_all(&www).unwrap();
        let recorded = workspace().join("tests/sumdb");
        let to = www.join("sum.golang.org");
        run(Command::new("cp").arg("-r").arg(recorded).arg(to)).ok();
        let upstream = FaultyServer::serving(&sandbox.path("www"));
        let (repo, url) = (sandbox.repo(), upstream.url());
        let args = ["proxy", "--upstream", &url, "--cache", "proxy"];
        let more = ["--repo", repo.to_str().unwrap()];
        let mut command = sandbox.ostree_go(args.into_iter().chain(more));
        let running = RunningProxy::start(command.env("https_proxy", NOWHERE));
        Self { upstream, running }
    }

    /// Returns the paths of modules that were asked for upstream.
    fn asked(&self) -> Vec<String> {
        let mut asked = self.upstream.requests();
        asked.retain(|path| path.contains("/@v/"));
        asked
    }
}

/// Composes a release of the version from an archive.
fn compose(sandbox: &Sandbox, archive: &Path) {
    let lines = format!("arches: [x86_64]\n{}", source(archive));
    sandbox.treefile(VERSION, &lines);
    sandbox.compose([]);
}

/// Runs another version of the go command, which has to download the version.
fn go(sandbox: &Sandbox, proxy: &Proxy, old: &Sdk, settings: &[(&str, &str)]) -> Output {
    let home = sandbox.path("home");
    fs::create_dir_all(&home).unwrap();
    run(Command::new(old.dir.join("bin/go"))
        .arg("version")
        .current_dir(&home)
        .env_clear()
        .env("HOME", &home)
        .env("PATH", "/usr/bin:/bin")
        .env("GOPROXY", &proxy.running.url)
        .env("GOMODCACHE", sandbox.path("modules"))
        .env("GOFLAGS", "-modcacherw")
        .env("GOTELEMETRY", "off")
        .env("GOTOOLCHAIN", format!("go{VERSION}"))
        .env("https_proxy", NOWHERE)
        .envs(settings.iter().copied()))
}

/// Returns an older SDK that the host can run. The recorded database has only the release for this architecture.
fn old() -> Option<Sdk> {
    match Arch::host() {
        Some(Arch::X86_64) => sdk("1.26.4", Arch::X86_64),
        _ => {
            eprintln!("skipped: only on x86_64");
            None
        }
    }
}

#[test]
fn the_go_command_runs_a_toolchain_out_of_a_repository() {
    let (Some(old), Some(new)) = (old(), sdk(VERSION, Arch::X86_64)) else {
        return;
    };
    let sandbox = Sandbox::new();
    compose(&sandbox, &new.tar_gz);
    let proxy = Proxy::start(&sandbox);
    let out = go(&sandbox, &proxy, &old, &[]).ok();
    assert_eq!(out.stdout, "go version go1.26.5 linux/amd64\n");
    assert!(proxy.asked().is_empty(), "{:?}", proxy.asked());
    // The treefile has changed this setting for hosts.
    let go_env = sandbox.path("modules").join(MODULE).join("go.env");
    let settings = fs::read_to_string(go_env).unwrap();
    assert!(settings.contains("GOTOOLCHAIN=auto\n"), "{settings}");
    let zip = "modules/cache/download/golang.org/toolchain/@v/v0.0.1-go1.26.5.linux-amd64.zip";
    assert_eq!(ostree_go_tests::sdk::h1(&sandbox.path(zip)), new.h1);
    // The files of the archive repository are not compressed again, and not sent uncompressed.
    let (size, own) = (
        sandbox.path(zip).metadata().unwrap().len(),
        new.module_zip.metadata().unwrap().len(),
    );
    assert!(size < own * 3 / 2, "{size}, Go's own has {own}");
}

#[test]
fn the_go_command_refuses_another_toolchain() {
    let Some(old) = old() else { return };
    let sandbox = Sandbox::new();
    let toy = sandbox.path("toy.tar.gz");
    Toy::new(Arch::X86_64).version(VERSION).tar_gz(&toy);
    compose(&sandbox, &toy);
    let proxy = Proxy::start(&sandbox);
    // Toolchains are looked up whatever the settings are.
    for settings in [&[][..], &[("GOSUMDB", "off")], &[("GONOSUMDB", "*")]] {
        let said = go(&sandbox, &proxy, &old, settings).exits(1).stderr;
        let expected = match settings {
            [("GOSUMDB", _)] => "checksum database disabled by GOSUMDB=off",
            _ => "SECURITY ERROR",
        };
        assert!(said.contains(expected), "{settings:?}: {said}");
        assert!(!sandbox.path("modules").join(MODULE).exists());
    }
}

#[test]
fn a_version_that_the_repository_lacks_is_not_found() {
    let Some(old) = old() else { return };
    let sandbox = Sandbox::with_toys("");
    sandbox.compose([]);
    let proxy = Proxy::start(&sandbox);
    let said = go(&sandbox, &proxy, &old, &[]).exits(1).stderr;
    let expected = format!("the repository of this proxy has no {MODULE}");
    assert!(
        said.contains(&expected) || said.contains("toolchain not available"),
        "{said}"
    );
    assert!(proxy.asked().is_empty(), "{:?}", proxy.asked());
}
