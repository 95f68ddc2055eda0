//! Projects for which no SDK can be selected, and names of SDKs that are not installed.

use super::refused;
use insta::assert_snapshot;
use ostree_go_tests::cli::run;
use ostree_go_tests::host::Host;
use ostree_go_tests::tools;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A host with the toy SDKs 1.99.1 and 1.99.2, of which the last is active.
struct Bad(Host);

impl Bad {
    fn new() -> Self {
        let host = Host::new();
        for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200)] {
            host.release(version, seconds);
            host.install(version).ok();
        }
        Self(host)
    }

    #[track_caller]
    fn refuse(&self, args: &[&str], code: i32) -> String {
        self.shown(refused(self.0.run(args.iter().copied()), code))
    }

    fn shown(&self, said: String) -> String {
        let folder = self.0.sandbox.path("");
        said.replace(folder.to_str().unwrap().trim_end_matches('/'), "[dir]")
    }

    /// Returns the error of `which` in a directory with one file.
    #[track_caller]
    fn which(&self, name: &str, text: &str) -> String {
        let path = self.0.sandbox.write(&format!("p/{name}"), text);
        let said = self.refuse(&["which", "p"], 1);
        fs::remove_file(path).unwrap();
        said
    }
}

#[test]
fn no_installed_sdk_is_high_enough() {
    let bad = Bad::new();
    assert_snapshot!(bad.which("go.mod", "module a\ngo 1.99.3\n"), @"
    error: no installed SDK fulfils `go 1.99.3` in [dir]/p/go.mod, line 2; installed are 1.99.1, 1.99.2
    hint: `ostree-go install --for [dir]/p` installs it
    ");
    assert_snapshot!(bad.which("go.mod", "go 1.21\ntoolchain go1.999\n"), @"
    error: no installed SDK fulfils `toolchain go1.999` in [dir]/p/go.mod, line 2; installed are 1.99.1, 1.99.2
    hint: `ostree-go install --for [dir]/p` installs it
    ");
    assert_snapshot!(bad.which("go.mod", "go 1.100rc1\n"), @"
    error: no installed SDK fulfils `go 1.100rc1` in [dir]/p/go.mod, line 1; installed are 1.99.1, 1.99.2
    hint: `ostree-go install --for [dir]/p` installs it
    ");
    assert_snapshot!(bad.which(".go-version", "1.99.9\n"), @"
    error: no installed SDK fulfils `1.99.9` in [dir]/p/.go-version, line 1; installed are 1.99.1, 1.99.2
    hint: `ostree-go install --for [dir]/p` installs it
    ");
    let empty = Host::new();
    empty.release("1.99.1", 100);
    empty.install("1.99.1").ok();
    empty.run(["uninstall", "1.99.1", "--active"]).ok();
    let bad = Bad(empty);
    assert_snapshot!(bad.which("go.mod", "go 1.21\n"), @"
    error: no installed SDK fulfils `go 1.21` in [dir]/p/go.mod, line 1; none is installed
    hint: `ostree-go install --for [dir]/p` installs it
    ");
    assert_snapshot!(bad.refuse(&["which"], 1), @"error: no deployment is active under [dir]/root");
    // A directory whose name would have to be quoted.
    bad.0.sandbox.write("a b/go.mod", "go 1.99.3\n");
    assert_snapshot!(bad.refuse(&["which", "a b"], 1), @"
    error: no installed SDK fulfils `go 1.99.3` in [dir]/a b/go.mod, line 1; none is installed
    hint: `ostree-go install 1.99.3` installs it
    ");
}

#[test]
fn files_of_a_project_that_are_malformed() {
    let bad = Bad::new();
    assert_snapshot!(bad.which("go.mod", "module a\n\ngo 1.x\n"), @"
    error: [dir]/p/go.mod is malformed
      line 3: `go 1.x` names no version, expected the form `go 1.26.5` or `go 1.26`
    ");
    assert_snapshot!(bad.which("go.mod", "module a\nrequire (\n\tb v1.0.0\n"), @"
    error: [dir]/p/go.mod is malformed
      line 2: the block has no closing `)`
    ");
    assert_snapshot!(bad.which("go.mod", "go 1.26\ntoolchain local\n"), @"
    error: [dir]/p/go.mod is malformed
      line 2: `toolchain local` names no toolchain, expected the form `toolchain go1.26.5` or `toolchain default`
    ");
    assert_snapshot!(bad.which("go.work", "go 1.26\nuse (\n\t./missing\n)\n"), @"
    error: [dir]/p/go.work, line 3: [dir]/p/missing has no go.mod
    hint: remove the `use` line, or use another workspace with GOWORK
    ");
    assert_snapshot!(bad.which(".go-version", "lts\n"), @"
    error: cannot use [dir]/p/.go-version
      line 1: `lts` names no Go version, expected the form 1.26.5, 1.26 or `latest`
    ");
    assert_snapshot!(bad.which(".tool-versions", "golang ref:master\n"), @"
    error: cannot use [dir]/p/.tool-versions
      line 1: `ref:master` names no Go version, expected the form 1.26.5, 1.26 or `latest`
    ");
    assert_snapshot!(bad.which("mise.toml", "[tools]\ngo = 1.26\n"), @"
    error: cannot use [dir]/p/mise.toml
      line 2: the version of Go is float, expected a string
    ");
    let said = bad.which("mise.toml", "[tools\n");
    let start = "error: cannot use [dir]/p/mise.toml\n  line 1: ";
    assert!(said.starts_with(start), "{said}");
}

#[test]
fn files_of_a_project_that_cannot_be_read() {
    let bad = Bad::new();
    let path = |name: &str| bad.0.sandbox.path(name);
    fs::create_dir(path("p")).unwrap();
    symlink("go.mod", path("p/go.mod")).unwrap();
    assert_snapshot!(bad.refuse(&["which", "p"], 1), @"
    error: cannot look at [dir]/p/go.mod
      Too many levels of symbolic links (os error 40)
    ");
    fs::remove_file(path("p/go.mod")).unwrap();
    symlink("/dev/zero", path("p/go.mod")).unwrap();
    assert_snapshot!(bad.refuse(&["which", "p"], 1), @"error: [dir]/p/go.mod is not a regular file");
    assert_snapshot!(bad.refuse(&["which", "missing"], 1), @"
    error: cannot look at [dir]/missing
      No such file or directory (os error 2)
    ");
    assert_snapshot!(bad.refuse(&["which", "repo/config"], 1), @"error: [dir]/repo/config is not a directory");
    let mut command = bad.0.command(["which"]);
    let said = bad.shown(refused(run(command.env("GOWORK", "go.work")), 1));
    assert_snapshot!(said, @"
    error: the workspace file `go.work` is not an absolute path
    hint: set GOWORK to an absolute path, `auto` or `off`
    ");
}

#[test]
fn a_file_of_a_project_that_a_plain_user_may_not_read() {
    if !tools::is_root() {
        return tools::skip("only root can become somebody else");
    }
    let host = Host::of_plain_user();
    host.release("1.99.1", 100);
    host.install("1.99.1").ok();
    let file = host.sandbox.write("p/go.mod", "go 1.99\n");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    let bad = Bad(host);
    assert_snapshot!(bad.refuse(&["which", "p"], 1), @"
    error: cannot read [dir]/p/go.mod
      Permission denied (os error 13)
    hint: check the owner and mode of the path, and the mount options
    ");
}

#[test]
fn exec_of_something_that_does_not_exist() {
    let bad = Bad::new();
    assert_snapshot!(bad.refuse(&["exec", "1.99.3", "--", "true"], 1), @"
    error: go 1.99.3 is not installed under [dir]/root
    hint: `ostree-go install 1.99.3` installs it; installed are `1.99.1` and `1.99.2`
    ");
    assert_snapshot!(bad.refuse(&["exec", "go1.99.1", "--", "no-such-command"], 1), @"
    error: cannot run no-such-command
      No such file or directory (os error 2)
    ");
    assert_snapshot!(bad.refuse(&["exec", "1.99.1", "--", "/"], 1), @"
    error: cannot run /
      Permission denied (os error 13)
    hint: check the owner and mode of the path, and the mount options
    ");
    let said = bad.refuse(&["exec", "1.99.1"], 2);
    assert!(said.contains("<COMMAND>"), "{said}");
}

#[test]
fn no_source_offers_what_a_project_asks_for() {
    let bad = Bad::new();
    bad.0.sandbox.write("p/go.mod", "go 2.0\n");
    let from = ["--from-repo", "repo"];
    let install = [&["install", "-q", "--for", "p"], &from[..]].concat();
    let said = bad
        .refuse(&install, 1)
        .replace(&bad.0.arch().to_string(), "[arch]");
    assert_snapshot!(said, @"
    error: the source offers no SDK for [arch] that is go 2.0 or newer; its newest are 1.99.1, 1.99.2
    hint: nothing was deployed; go 1.99.2 stays active; `ostree-go remote refs` shows what a remote offers
    ");
    fs::remove_file(bad.0.sandbox.path("p/go.mod")).unwrap();
    assert_snapshot!(bad.refuse(&install, 2), @"
    error: no file of the project in [dir]/p names a Go version
    hint: name a version or a channel: `ostree-go install 1.26`
    ");
    let said = bad.refuse(&["install", "--for", "p", "1.99.1"], 2);
    assert!(said.contains("cannot be used with"), "{said}");
}
