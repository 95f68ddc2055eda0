//! `verify --upstream`: the result depends on Go's checksum database, and not on statements of the publisher.
//!
//! `sumdb/` contains responses of the database from 2026-11-22, as served by its mirror: the record
//! of one toolchain, the signed tree head, and the tiles of the proof.

use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run, workspace};
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::{Fault, FaultyServer};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

const VERSION: &str = "1.26.5";
const REF: &str = "go-sdk/x86_64/1.26.5";
const SDK: &str = "usr/lib/sdk/go-1.26";
/// Path of the record of the version on the database's mirror.
const LOOKUP: &str = "toolchain@v0.0.1-go1.26.5.linux-amd64";

fn database() -> FaultyServer {
    FaultyServer::serving(&workspace().join("tests/sumdb"))
}

fn verify(sandbox: &Sandbox, rev: &str, database: &FaultyServer, args: &[&str]) -> Output {
    let url = database.url();
    let all = [&["verify", rev, "--upstream", "--sumdb", &url], args].concat();
    sandbox.run(all)
}

fn compose(sandbox: &Sandbox, from: &Path, args: &[&str]) {
    let lines = format!("arches: [x86_64]\n{}", source(from));
    sandbox.treefile(VERSION, &lines);
    sandbox.compose(args.iter().copied());
}

/// Creates a sandbox with a toy release that pretends to be Go 1.26.5.
fn impostor() -> Sandbox {
    let sandbox = Sandbox::new();
    let toy = sandbox.path("toy.tar.gz");
    Toy::new(Arch::X86_64).version(VERSION).tar_gz(&toy);
    compose(&sandbox, &toy, &[]);
    sandbox
}

/// Commits a directory with the stock command, with the metadata of a release.
fn forge(sandbox: &Sandbox, tree: &Path, args: &[&str]) {
    let tree = format!("--tree=dir={}", tree.display());
    let mut all = vec![
        "commit",
        "-b",
        "forged",
        &tree,
        "--owner-uid=0",
        "--owner-gid=0",
        "--add-metadata-string=sdk.version=1.26.5",
        "--add-metadata-string=ostree.architecture=x86_64",
    ];
    all.extend(args);
    ostree(&sandbox.repo(), all);
}

/// Returns the message of a refusal without the parts that differ between machines.
#[track_caller]
fn refused(out: Output, code: i32, database: &FaultyServer) -> String {
    let out = out.exits(code);
    assert_eq!(out.stdout, "");
    out.stderr.replace(&database.url(), "[database]")
}

#[test]
fn a_real_release_is_proven_and_a_modified_one_is_refused() {
    let Some(sdk) = sdk(VERSION, Arch::X86_64) else {
        return;
    };
    let sandbox = Sandbox::new();
    let database = database();
    compose(&sandbox, &sdk.tar_gz, &[]);
    let out = verify(&sandbox, REF, &database, &["--format", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    let proof = &json["upstream"];
    assert_eq!(json["commit"], sandbox.rev(REF).unwrap());
    assert_eq!(proof["h1"], sdk.h1);
    assert_eq!(proof["record"], 56_957_498);
    assert_eq!(proof["tree_size"], 66_393_050);
    assert_eq!(proof["prefix"], SDK);
    let page = fs::read_to_string(workspace().join("docs/src/reference/json.md")).unwrap();
    for field in proof.as_object().unwrap().keys() {
        let is_there = ["`", "[]`"].map(|end| page.contains(&format!("`….{field}{end}")));
        assert!(is_there.contains(&true), "{field} is not in json.md");
    }
    // The zip of the module has these files and no folders.
    let zip = zip::ZipArchive::new(File::open(&sdk.module_zip).unwrap()).unwrap();
    assert_eq!(proof["files"], zip.len());
    // All that the publisher has changed and added is named.
    assert_eq!(proof["go_env"], serde_json::json!({"GOTOOLCHAIN": "local"}));
    assert_eq!(
        proof["others"],
        serde_json::json!(["usr/bin/go", "usr/bin/gofmt"])
    );
    assert_snapshot!(verify(&sandbox, REF, &database, &[]).ok().stdout, @"
    upstream  golang.org/toolchain v0.0.1-go1.26.5.linux-amd64
    h1        h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=
    proof     record 56,957,498 of 66,393,050, signed by sum.golang.org+033de0ae
    proven    11,516 files in /usr/lib/sdk/go-1.26
    changed   /usr/lib/sdk/go-1.26/go.env: GOTOOLCHAIN=local
    added     /usr/bin/go
    added     /usr/bin/gofmt
    ");

    // A host has no layers, and another kind of repository.
    let host = Sandbox::new();
    host.run(["init", "--mode", "bare-user-only"]).ok();
    let from = sandbox.repo();
    ostree(&host.repo(), ["pull-local", from.to_str().unwrap(), REF]);
    assert_eq!(host.refs(), [REF]);
    verify(&host, REF, &database, &[]).ok();

    // One byte of the compiler. The files that stay the same are links, and are only read.
    let changed = sandbox.path("changed");
    run(Command::new("cp").arg("-al").arg(&sdk.dir).arg(&changed)).ok();
    let compiler = changed.join("pkg/tool/linux_amd64/compile");
    let mut bytes = fs::read(&compiler).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&compiler).unwrap();
    fs::write(&compiler, bytes).unwrap();
    compose(&sandbox, &changed, &["--replace"]);
    let said = refused(verify(&sandbox, REF, &database, &[]), 3, &database);
    let found = ostree(
        &sandbox.repo(),
        ["show", "--print-metadata-key=sdk.h1", REF],
    );
    let found = found.trim().trim_matches('\'');
    assert!(found.starts_with("h1:") && found != sdk.h1, "{found}");
    assert!(
        said.contains(&format!("found {found}, expected {}", sdk.h1)),
        "{said}"
    );
}

#[test]
fn a_false_h1_is_detected() {
    let (sandbox, database) = (impostor(), database());
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("[0-9a-f]{64}", "[sha256]");
    let _filters = settings.bind_to_scope();
    assert_snapshot!(refused(verify(&sandbox, REF, &database, &[]), 3, &database), @"
    error: the release does not have the content of golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64: found h1:zM6spW9utWRQVjrUOdJdTmVztzejD7T3B7sM2HG3yAs=, expected h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=
    hint: do not use it as Go's own; `ostree-go show` shows its source
    ");

    // Whatever its metadata says, and whoever signed it.
    let tree = sandbox.checkout(REF, "tree");
    let official = "sdk.h1=h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=";
    forge(
        &sandbox,
        &tree,
        &[&format!("--add-metadata-string={official}")],
    );
    let out = verify(&sandbox, "forged", &database, &["--format", "json"]).exits(3);
    assert!(
        out.stdout.contains("\"kind\": \"mismatch\""),
        "{}",
        out.stdout
    );

    // What the hash does not say, modes and links, has to be Go's as well.
    let file = tree.join(SDK).join("src/make.bash");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).unwrap();
    forge(&sandbox, &tree, &[]);
    assert_snapshot!(refused(verify(&sandbox, "forged", &database, &[]), 3, &database), @"error: /usr/lib/sdk/go-1.26/src/make.bash is not a plain file of mode 0755 owned by root, as Go's is: its object would be [sha256], expected [sha256]");
    fs::remove_file(&file).unwrap();
    symlink("/tmp/x", &file).unwrap();
    forge(&sandbox, &tree, &[]);
    assert_snapshot!(refused(verify(&sandbox, "forged", &database, &[]), 3, &database), @"error: /usr/lib/sdk/go-1.26/src/make.bash is a symlink, expected a plain file: Go's own SDK has no symlinks");
    fs::set_permissions(
        tree.join(SDK).join("src"),
        fs::Permissions::from_mode(0o777),
    )
    .unwrap();
    forge(&sandbox, &tree, &[]);
    assert_snapshot!(refused(verify(&sandbox, "forged", &database, &[]), 3, &database), @"error: folder /usr/lib/sdk/go-1.26/src is not owned by root with mode 0755, as all of Go's folders are");

    // Something else than a release.
    fs::remove_file(tree.join(SDK).join("VERSION")).unwrap();
    forge(&sandbox, &tree, &[]);
    assert_snapshot!(refused(verify(&sandbox, "forged", &database, &[]), 1, &database), @"error: commit [sha256] has 0 folders with VERSION and bin/go, expected one");
    let layer = sandbox
        .refs()
        .into_iter()
        .find(|name| name.contains("layer"))
        .unwrap();
    assert_snapshot!(refused(verify(&sandbox, &layer, &database, &[]), 1, &database), @"error: commit [sha256] is not a Go release: its metadata has no architecture");
}

#[test]
fn a_lying_or_failing_database_proves_nothing() {
    let (sandbox, database) = (impostor(), database());
    let said = |code| {
        let args = ["--quiet"];
        let said = refused(verify(&sandbox, REF, &database, &args), code, &database);
        database.reset();
        said
    };
    let real = fs::read_to_string(
        workspace()
            .join("tests/sumdb/lookup/golang.org")
            .join(LOOKUP),
    )
    .unwrap();

    // Another hash for the version, in a tree that is truly signed.
    let toys = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let forged = real.replace("h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=", toys);
    assert_ne!(forged, real);
    database.fault(LOOKUP, Fault::Instead(forged.into_bytes()));
    assert_snapshot!(said(3), @"
    error: the answer of the checksum database [database] cannot be verified
      record 56957498 does not belong to the tree: its hash is c2c58b74a53b5bccace15148c63b1bfddb5afabafe5048a1bc6e1601afd99813, expected 1e3f07d069b095a624e917abb221fec368595a94a2383191d6ea958c013ba77d
    ");
    // A tree of one's own.
    let forged = real.replace("66393050", "66393049");
    database.fault(LOOKUP, Fault::Instead(forged.into_bytes()));
    assert_snapshot!(said(3), @"
    error: the answer of the checksum database [database] cannot be verified
      the head of the tree has no valid signature by sum.golang.org+033de0ae
    ");
    database.fault(LOOKUP, Fault::Instead(b"hello\n".to_vec()));
    assert_snapshot!(said(1), @"
    error: the answer of the checksum database [database] cannot be verified
      the answer to a lookup has no record number
    ");
    database.fault("tile/8/3/", Fault::Flip);
    assert_snapshot!(said(3), @"
    error: the answer of the checksum database [database] cannot be verified
      record 56957498 does not belong to the tree: its hash is db60dde27a3ee8898983dab28bd0acb618583a4c649c9a2018f92a1be1fed089, expected 1e3f07d069b095a624e917abb221fec368595a94a2383191d6ea958c013ba77d
    ");
    database.fault("tile/8/3/", Fault::Instead(vec![0; 64]));
    assert_snapshot!(said(3), @"
    error: the answer of the checksum database [database] cannot be verified
      tile/8/3/000.p/3 has 64 bytes, expected 96
    ");
    database.fault(LOOKUP, Fault::Status(404));
    assert_snapshot!(said(1), @"
    error: the checksum database [database] has no golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64
    hint: Go's checksum database contains only official releases
    ");
    database.fault("tile/8/3/", Fault::Status(404));
    assert_snapshot!(said(1), @"error: cannot download [database]/tile/8/3/000.p/3: the server answered with status 404");

    let none = sandbox.run(["verify", REF, "--upstream", "--sumdb", "sum.example"]);
    assert_snapshot!(refused(none, 1, &database), @"error: `sum.example` is not a URL to download from, expected http://, https:// or file:///");
    let none = sandbox.run(["verify", REF]);
    assert_snapshot!(refused(none, 2, &database), @"
    error: the following required arguments were not provided: <--gpg-keys <FILE>|--remote <NAME>|--ed25519-keys <FILE>|--attestation <FILE>|--upstream|--recompose|--rebuild>
    hint: usage: ostree-go verify --repo <PATH> <--gpg-keys <FILE>|--remote <NAME>|--ed25519-keys <FILE>|--attestation <FILE>|--upstream|--recompose|--rebuild> <REF>
    ");
    let gone = sandbox.run(["verify", REF, "--upstream", "--sumdb", "http://127.0.0.1:1"]);
    assert_snapshot!(refused(gone, 75, &database), @"
    error: cannot download http://127.0.0.1:1/lookup/golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64
      io: Connection refused (os error 111)
    hint: check the connection and run the command again
    ");
}
