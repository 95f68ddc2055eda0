//! Workspaces that cannot be locked or checked.

use super::refused;
use insta::assert_snapshot;
use ostree_go_tests::cli::run;
use ostree_go_tests::host::Host;
use ostree_go_tests::tools;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A host with a toy SDK and a project.
struct Bad(Host);

impl Bad {
    fn new() -> Self {
        let host = Host::new();
        host.release("1.99.1", 100);
        host.install("1.99.1").ok();
        host.sandbox
            .write("p/go.mod", "module example.com/p\n\ngo 1.99\n");
        Self(host)
    }

    #[track_caller]
    fn refuse(&self, verb: &str, dir: &str) -> String {
        let out = self.0.run(["workspace", verb, dir]);
        let folder = self.0.sandbox.path("");
        let folder = folder.to_str().unwrap().trim_end_matches('/');
        refused(out, 1).replace(folder, "[dir]")
    }

    fn write(&self, name: &str, text: &str) {
        self.0.sandbox.write(name, text);
    }
}

#[test]
fn locks_that_cannot_be_read() {
    let bad = Bad::new();
    assert_snapshot!(bad.refuse("check", "p"), @"
    error: there is no lock file [dir]/p/ostree-go.lock
    hint: `ostree-go workspace lock` writes it
    ");
    bad.0.run(["workspace", "lock", "p"]).ok();
    let lock = fs::read_to_string(bad.0.sandbox.path("p/ostree-go.lock")).unwrap();
    bad.write("p/ostree-go.lock", &lock[..lock.len() / 2]);
    let said = bad.refuse("check", "p");
    assert!(
        said.starts_with("error: the lock file [dir]/p/ostree-go.lock is malformed\n  EOF while"),
        "{said}"
    );
    assert!(said.ends_with("hint: restore it from version control, or write it again with `ostree-go workspace lock`\n"), "{said}");
    bad.write("p/ostree-go.lock", "{}\n");
    assert_snapshot!(bad.refuse("check", "p"), @"
    error: the lock file [dir]/p/ostree-go.lock is malformed
      missing field `schema` at line 1 column 2
    hint: restore it from version control, or write it again with `ostree-go workspace lock`
    ");
    bad.write("p/ostree-go.lock", "{ \"schema\": 2, \"new\": {} }\n");
    assert_snapshot!(bad.refuse("check", "p"), @"
    error: the lock file [dir]/p/ostree-go.lock has schema 2, expected at most 1
    hint: use the version of ostree-go that has written it
    ");
}

#[test]
fn projects_that_cannot_be_locked() {
    let bad = Bad::new();
    fs::create_dir(bad.0.sandbox.path("empty")).unwrap();
    assert_snapshot!(bad.refuse("lock", "empty"), @"
    error: [dir]/empty has neither go.work nor go.mod, nor has a directory above it
    hint: name the directory of a project
    ");
    bad.write("q/go.mod", "module example.com/q\n\ngo 1.999\n");
    assert_snapshot!(bad.refuse("lock", "q"), @"
    error: no installed SDK fulfils `go 1.999` in [dir]/q/go.mod, line 3; installed are 1.99.1
    hint: `ostree-go install --for [dir]/q` installs it
    ");
    bad.write(
        "q/go.mod",
        "module example.com/q\n\ngo 1.99\n\nrequire example.com/dep v1.0.0\n",
    );
    bad.write("q/go.sum", "example.com/dep v1.0.0\n");
    assert_snapshot!(bad.refuse("lock", "q"), @"
    error: [dir]/q/go.sum is malformed
      line 1 has 2 fields, expected three: a module path, a version and a hash
    ");
    bad.write("q/go.sum", "");
    bad.write("q/go.mod", "module example.com/q\n\ngo 1.99\n\nrequire example.com/dep v1.0.0\n\nreplace example.com/dep => ../none\n");
    assert_snapshot!(bad.refuse("lock", "q"), @"
    error: the module example.com/dep is replaced by [dir]/none, which is not a directory
    hint: check out the replacement, or remove the `replace` line
    ");
    bad.write("w/go.work", "go 1.99\n\nuse ./missing\n");
    assert_snapshot!(bad.refuse("lock", "w"), @"
    error: [dir]/w/go.work, line 3: [dir]/w/missing has no go.mod
    hint: remove the `use` line, or use another workspace with GOWORK
    ");
    // The toy SDK has no go command that can run.
    bad.write("old/go.mod", "module example.com/old\n\ngo 1.16\n");
    let said = bad.refuse("lock", "old");
    assert!(said.starts_with("error: cannot run `go`\n"), "{said}");
}

#[test]
fn vendored_modules_that_go_sum_does_not_have() {
    let bad = Bad::new();
    bad.write(
        "p/go.mod",
        "module example.com/p\n\ngo 1.99\n\nrequire example.com/dep v1.0.0\n",
    );
    bad.write(
        "p/vendor/modules.txt",
        "# example.com/dep v1.0.0\n## explicit; go 1.20\nexample.com/dep\n",
    );
    bad.write("p/vendor/example.com/dep/dep.go", "package dep\n");
    bad.0.run(["workspace", "lock", "p"]).ok();
    let out = bad.0.run(["workspace", "check", "p"]).exits(4);
    assert_snapshot!(out.stdout, @"
    UNIT  DRIFT                 PATH                  EXPECTED → FOUND
    .     module-not-in-go-sum  vendor/modules.txt:1  example.com/dep v1.0.0 → nothing

    units: 1, modules: 1, drift: 1
    ");
    bad.write("p/vendor/modules.txt", "# example.com/dep\n");
    let said = bad.refuse("check", "p");
    assert!(
        said.starts_with("error: [dir]/p/vendor/modules.txt is malformed\n  line 1: "),
        "{said}"
    );
}

#[test]
fn a_directory_vendor_that_a_plain_user_may_not_read() {
    if !tools::is_root() {
        return tools::skip("only root can become somebody else");
    }
    let host = Host::of_plain_user();
    host.release("1.99.1", 100);
    host.install("1.99.1").ok();
    host.sandbox
        .write("p/go.mod", "module example.com/p\n\ngo 1.99\n");
    host.sandbox.write("p/vendor/modules.txt", "");
    let secret = host
        .sandbox
        .write("p/vendor/example.com/dep/dep.go", "package dep\n");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let out = run(&mut host.command(["workspace", "lock", "p", "--dry-run"]));
    let folder = host.sandbox.path("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    assert_snapshot!(refused(out, 1).replace(folder, "[dir]"), @"
    error: cannot open [dir]/p/vendor/example.com/dep/dep.go
      Permission denied (os error 13)
    hint: check the owner and mode of the path, and the mount options
    ");
}
