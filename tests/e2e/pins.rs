//! Modules without a pin, which Go's checksum database identifies, and `compose --update-pins`.
//!
//! `sumdb/` contains recorded responses of the database, see `upstream`.

use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run, workspace};
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::{Fault, FaultyServer};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const VERSION: &str = "1.26.5";
const REF: &str = "go-sdk/x86_64/1.26.5";
const H1: &str = "h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=";
const ZIP: &str = "golang.org/toolchain/@v/v0.0.1-go1.26.5.linux-amd64.zip";
/// Path of the record of the version.
const LOOKUP: &str = "lookup/golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64";

/// Copies the recorded database to the place at which a module proxy has it.
fn copy_database(proxy: &Path) {
    let folder = proxy.join("sumdb");
    fs::create_dir_all(&folder).unwrap();
    let recorded = workspace().join("tests/sumdb");
    let to = folder.join("sum.golang.org");
    run(Command::new("cp").arg("-r").arg(recorded).arg(to)).ok();
}

/// A module proxy on this machine, and a treefile with its module and no pin.
struct Proxy {
    sandbox: Sandbox,
    server: FaultyServer,
}

impl Proxy {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let www = sandbox.path("www");
        fs::create_dir_all(www.join(ZIP).parent().unwrap()).unwrap();
        copy_database(&www);
        let proxy = Self {
            server: FaultyServer::serving(&www),
            sandbox,
        };
        proxy.treefile("");
        proxy
    }

    fn zip(&self) -> std::path::PathBuf {
        self.sandbox.path("www").join(ZIP)
    }

    fn treefile(&self, more: &str) {
        let lines = format!(
            "arches: [x86_64]\nsource: {{ module: golang.org/toolchain }}\ngoproxy: {}\n{more}",
            self.server.url()
        );
        self.sandbox.treefile(VERSION, &lines);
    }

    /// Composes on a machine from which `https://sum.golang.org` is out of reach.
    fn compose(&self, args: &[&str]) -> Output {
        let all = [&["compose", "go.yaml", "--cachedir=cache"], args].concat();
        let mut command = self.sandbox.ostree_go(all);
        run(command.env("https_proxy", "http://127.0.0.1:1"))
    }

    fn refused(&self, args: &[&str], code: i32) -> String {
        let said = self
            .compose(&[&["--quiet"], args].concat())
            .exits(code)
            .stderr;
        assert_eq!(self.sandbox.rev(REF), None);
        said.replace(&self.server.url(), "[proxy]")
    }

    fn asked_database(&self) -> bool {
        let requests = self.server.requests();
        requests.iter().any(|path| path.contains("sumdb"))
    }
}

#[test]
fn a_module_without_a_pin_must_have_the_content_in_the_database() {
    let proxy = Proxy::new();
    Toy::new(Arch::X86_64)
        .version(VERSION)
        .module_zip(&proxy.zip());
    assert_snapshot!(proxy.refused(&[], 3), @"
    error: content of [proxy]/golang.org/toolchain/@v/v0.0.1-go1.26.5.linux-amd64.zip has h1:zM6spW9utWRQVjrUOdJdTmVztzejD7T3B7sM2HG3yAs=, but the checksum database [proxy]/sumdb/sum.golang.org has h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=
    hint: the module proxy does not serve Go's own SDK; do not use it, or name its hash in `pin`
    ");
    // Every other way out of the check is refused as well.
    proxy.server.fault(LOOKUP, Fault::Flip);
    let said = proxy.refused(&[], 3);
    assert!(said.contains("cannot be verified"), "{said}");
    proxy.server.reset();
    proxy.server.fault("/sumdb/", Fault::Status(404));
    assert_snapshot!(proxy.refused(&[], 75), @"
    error: cannot download https://sum.golang.org/lookup/golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64
      io: Connection refused (os error 111)
    hint: name a reachable mirror with --sumdb, pin an h1 in the treefile, or accept the module unchecked with --no-sumdb
    ");
    proxy.server.reset();
    let out = proxy.refused(&["--sumdb", "http://127.0.0.1:1"], 75);
    assert!(
        out.contains("cannot download http://127.0.0.1:1/lookup/"),
        "{out}"
    );
    // The database that was named is the only one that counts.
    assert!(!proxy.asked_database());

    // Content that the treefile names needs no database.
    let h1 = "h1:zM6spW9utWRQVjrUOdJdTmVztzejD7T3B7sM2HG3yAs=";
    proxy.treefile(&format!("pin: {{ x86_64: {{ h1: \"{h1}\" }} }}"));
    proxy.compose(&[]).ok();
    proxy.treefile("");
    proxy.compose(&["--no-sumdb", "--force-nocache"]).ok();
    assert!(!proxy.asked_database());
    // Neither do inputs that have been checked before.
    proxy.compose(&["--unchanged-exit-77"]).exits(77);
    assert!(!proxy.asked_database());
}

#[test]
fn a_real_module_passes_with_the_database_of_its_proxy() {
    let Some(sdk) = sdk(VERSION, Arch::X86_64) else {
        return;
    };
    let proxy = Proxy::new();
    symlink(&sdk.module_zip, proxy.zip()).unwrap();
    proxy.compose(&[]).ok();
    assert!(proxy.asked_database());
    assert!(proxy.sandbox.rev(REF).is_some());
}

#[test]
fn a_module_needs_a_proxy_and_the_hint_says_how_to_name_one() {
    let sandbox = Sandbox::new();
    let source = "arches: [x86_64]\nsource: { module: golang.org/toolchain }";
    sandbox.treefile(VERSION, source);
    let said = |args: &[&str]| {
        let mut command = sandbox.ostree_go(args.iter().copied());
        command
            .env_remove("GOPROXY")
            .env("PATH", sandbox.path("bin"));
        run(&mut command).exits(1).stderr
    };
    let args = ["compose", "go.yaml", "--quiet"];
    assert_snapshot!(said(&args), @"
    error: golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64 has to come from a module proxy, expected a GOPROXY list
    hint: set `goproxy` in the treefile, or GOPROXY in the environment, to a Go module proxy; https://go.dev/ref/mod#environment-variables names Go's default
    ");
    let both = "arches: [x86_64]\nsource: [{ path: none }, { module: golang.org/toolchain }]";
    sandbox.treefile(VERSION, both);
    let said = said(&args);
    assert!(
        said.contains("hint: set `goproxy` in the treefile"),
        "{said}"
    );
}

#[test]
fn pins_are_written_into_a_treefile() {
    let Some(nginx) = Nginx::start() else { return };
    copy_database(nginx.path("sumdb").parent().unwrap());
    let database = format!("{}/sumdb/sum.golang.org", nginx.url());
    let sha256 = "ab".repeat(32);
    let index = json!([{"version": "go1.26.5", "stable": true, "files": [{
        "filename": "go1.26.5.linux-amd64.tar.gz", "os": "linux", "arch": "amd64",
        "version": "go1.26.5", "sha256": sha256, "size": 1, "kind": "archive",
    }]}]);
    fs::write(nginx.path("dl/index.json"), index.to_string()).unwrap();

    let sandbox = Sandbox::new();
    let old = format!("h1:{}=", "A".repeat(43));
    let text = |h1: &str, more: &str| {
        format!(
            "# Our Go.\nversion: {VERSION} # see releases.txt\narches: [x86_64]\nsource: {{ index: \"{}/dl/\" }}\n\npin:\n  # Intel and AMD\n  x86_64:\n    h1: {h1} # official\n{more}\nlayers: {{ all: {{ include: [src] }} }}\n",
            nginx.url()
        )
    };
    let path = sandbox.write("go.yaml", &text(&old, ""));
    let update = |args: &[&str]| {
        let all = ["compose", "go.yaml", "--update-pins", "--sumdb", &database];
        sandbox.run([&all[..], args].concat())
    };
    update(&["--dry-run"]).ok();
    assert_eq!(fs::read_to_string(&path).unwrap(), text(&old, ""));
    let out = update(&[]).ok();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        text(H1, &format!("    sha256: {sha256}\n"))
    );
    assert_snapshot!(out.stdout, @"
    TREEFILE  STATE    ARCH    PIN
    go.yaml   changed  x86_64  h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=
    go.yaml   changed  x86_64  sha256:abababababababababababababababababababababababababababababababab
    ");
    let out = update(&["--unchanged-exit-77", "--format=json"]).exits(77);
    let report: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(report["treefiles"][0]["changed"], false);
    assert_eq!(report["treefiles"][0]["pins"][0]["h1"], H1);
    let page = fs::read_to_string(workspace().join("docs/src/reference/json.md")).unwrap();
    for field in report["treefiles"][0].as_object().unwrap().keys() {
        let is_there = ["`", "[]`"].map(|end| page.contains(&format!("`{field}{end}")));
        assert!(is_there.contains(&true), "{field} is not in json.md");
    }
    // It is the treefile that a compose reads, and no repository was made.
    let out = sandbox.run(["compose", "go.yaml", "--print-treefile"]).ok();
    let printed: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(printed["releases"]["x86_64"]["pin"]["x86_64"]["h1"], H1);
    assert!(!sandbox.repo().exists());

    // A version that the database does not have leaves the treefile as it is.
    let unknown = text(H1, "").replace(VERSION, "1.26.99");
    fs::write(&path, &unknown).unwrap();
    let said = update(&[]).exits(1).stderr.replace(&nginx.url(), "[url]");
    assert_snapshot!(said, @"
    error: the checksum database [url]/sumdb/sum.golang.org has no golang.org/toolchain@v0.0.1-go1.26.99.linux-amd64
    hint: Go's checksum database contains only official releases
    ");
    assert_eq!(fs::read_to_string(&path).unwrap(), unknown);
}
