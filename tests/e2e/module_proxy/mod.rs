//! The module proxy with the real go command, a checksum database by Go's own server, and an upstream proxy with faults.

mod clients;
mod crash;
mod database;
mod faults;
mod policy;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::module_proxy::RunningProxy;
use ostree_go_tests::modules::ModuleProxy;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::sdk::{Sdk, h1, sdk};
use ostree_go_tests::sumdb::SumDatabase;
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const LIB: &str = "example.com/lib";
const CORP: &str = "corp.example.com/lib";
const ZIP: &str = "/example.com/lib/@v/v1.0.0.zip";
const MOD: &str = "/example.com/lib/@v/v1.0.0.mod";
const INFO: &str = "/example.com/lib/@v/v1.0.0.info";
const NAME: &str = "example.com/lib@v1.0.0";

/// An upstream proxy with two versions of a public module and one of a private module, and a database with the public ones.
struct World {
    sandbox: Sandbox,
    sdk: Sdk,
    upstream: FaultyServer,
    database: SumDatabase,
    /// The lines of `go.sum` of the public module.
    lines: String,
}

/// Returns the `h1:` hash of a `go.mod` file. Source: `golang.org/x/mod/sumdb/dirhash`, `Hash1`.
fn h1_of_go_mod(text: &str) -> String {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let line = format!("{}  go.mod\n", hex(&Sha256::digest(text)));
    format!("h1:{}", STANDARD.encode(Sha256::digest(line)))
}

impl World {
    fn new() -> Option<Self> {
        let sdk = sdk("1.26.5", Arch::host()?)?;
        let sandbox = Sandbox::new();
        let mut lines = String::new();
        for (path, version) in [(LIB, "v1.0.0"), (LIB, "v1.1.0"), (CORP, "v1.0.0")] {
            let sums = publish(&sandbox, path, version, "package lib\n");
            if path == LIB {
                lines += &sums;
            }
        }
        let upstream = FaultyServer::serving(&sandbox.path("www"));
        let database = SumDatabase::start(&sdk, "key", &lines);
        Some(Self {
            sandbox,
            sdk,
            upstream,
            database,
            lines,
        })
    }

    /// Returns the command that starts the proxy, with additional arguments.
    fn command(&self, args: &[&str]) -> Command {
        self.command_with(&self.database.url, args)
    }

    /// Returns the command that starts the proxy for a database at another URL.
    fn command_with(&self, database: &str, args: &[&str]) -> Command {
        let sumdb = format!("{}={database}", self.database.key);
        let upstream = self.upstream.url();
        let always = ["proxy", "--upstream", &upstream, "--cache", "cache"];
        let more = ["--sumdb", &sumdb, "--alert", "alerts"];
        let all = always.into_iter().chain(more).chain(args.iter().copied());
        let mut command = self.sandbox.ostree_go(all);
        command.env_remove("OSTREE_REPO");
        command
    }

    fn start(&self, args: &[&str]) -> RunningProxy {
        RunningProxy::start(&mut self.command(args))
    }

    /// Downloads a module with the go command into a new module cache.
    fn download(&self, module: &str, goproxy: &str, settings: &[(&str, &str)]) -> Output {
        self.go(&["mod", "download", module], goproxy, settings)
    }

    fn go(&self, args: &[&str], goproxy: &str, settings: &[(&str, &str)]) -> Output {
        let home = tempfile::tempdir_in(self.sandbox.path(".")).unwrap();
        run(Command::new(self.sdk.dir.join("bin/go"))
            .args(args)
            .current_dir(&home)
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("GOPROXY", goproxy)
            .env("GOFLAGS", "-modcacherw")
            .env("GOTELEMETRY", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOSUMDB", "off")
            .envs(settings.iter().copied()))
    }

    /// Returns a file of the upstream proxy or of the cache.
    fn file(&self, folder: &str, path: &str) -> PathBuf {
        self.sandbox.path(folder).join(path.trim_start_matches('/'))
    }

    /// Returns the alerts since the last call.
    fn alerts(&self) -> Vec<Value> {
        let path = self.sandbox.path("alerts");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, "").unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Returns the kinds of the alerts since the last call.
    fn kinds(&self) -> Vec<String> {
        let alerts = self.alerts();
        let kinds = alerts.iter();
        kinds
            .map(|alert| alert["alert"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Adds a version to the upstream proxy, and returns its lines of `go.sum`.
fn publish(sandbox: &Sandbox, path: &str, version: &str, code: &str) -> String {
    let go_mod = format!("module {path}\n\ngo 1.20\n");
    let proxy = ModuleProxy::new(sandbox.path("www"));
    proxy.add(path, version, &[("go.mod", &go_mod), ("lib.go", code)]);
    let zip = format!("www/{path}/@v/{version}.zip");
    let (zip, go_mod) = (h1(&sandbox.path(&zip)), h1_of_go_mod(&go_mod));
    format!("{path} {version} {zip}\n{path} {version}/go.mod {go_mod}\n")
}

/// Replaces the content of a version in the upstream proxy; its `go.mod` file stays the same.
fn tamper(sandbox: &Sandbox) {
    let list = sandbox.path("www").join(LIB).join("@v/list");
    let versions = fs::read(&list).unwrap();
    publish(sandbox, LIB, "v1.0.0", "package lib\n\nfunc init() {}\n");
    fs::write(list, versions).unwrap();
}
