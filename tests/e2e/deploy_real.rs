//! A real SDK that an ordinary user with an unwritable HOME installs.

use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::host::Host;
use ostree_go_tests::sandbox::source;
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::tools;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

#[test]
fn an_installed_go_builds_a_program() {
    let host = Host::of_plain_user();
    if std::env::consts::ARCH != "x86_64" {
        return tools::skip("this machine cannot run x86_64 programs");
    }
    let Some(sdk) = sdk("1.26.5", host.arch()) else {
        return;
    };
    // Composed by the one who runs the test, installed by the plain user.
    host.sandbox.treefile(
        "1.26.5",
        &format!("arches: [x86_64]\n{}", source(&sdk.tar_gz)),
    );
    host.sandbox.compose([]);
    let out = host.install("1.26.5").ok();
    assert_eq!(out.stderr, "go 1.26.5 is installed and active (unsigned)\n");
    host.check();

    let hello = host.sandbox.path("hello");
    fs::create_dir_all(&hello).unwrap();
    fs::write(
        hello.join("go.mod"),
        "module example.com/hello\n\ngo 1.26\n",
    )
    .unwrap();
    let program = "package main\n\nimport \"net/http\"\n\n\
                   func main() { println(http.StatusText(http.StatusTeapot)) }\n";
    fs::write(hello.join("main.go"), program).unwrap();
    let home = host.sandbox.path("home");
    fs::create_dir_all(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o555)).unwrap();
    let user = fs::metadata(host.sandbox.path("")).unwrap();
    let user = std::os::unix::fs::MetadataExt::uid(&user);
    std::os::unix::fs::chown(&hello, Some(user), Some(user)).unwrap();
    let as_user = |program: &Path, args: &[&str]| -> Output {
        let mut command = Command::new(program);
        command.args(args).current_dir(&hello).env_clear();
        command.envs([("HOME", home.as_path()), ("GOCACHE", &hello.join("cache"))]);
        command.envs([
            ("CGO_ENABLED", "0"),
            ("GOPROXY", "off"),
            ("PATH", "/usr/bin:/bin"),
        ]);
        if tools::is_root() {
            command.uid(user).gid(user);
        }
        run(&mut command).ok()
    };
    let go = host.current("usr/bin/go");
    assert_eq!(
        as_user(&go, &["version"]).stdout,
        "go version go1.26.5 linux/amd64\n"
    );
    as_user(&go, &["build", "-o", "hello", "."]);
    assert_eq!(as_user(&hello.join("hello"), &[]).stderr, "I'm a teapot\n");
    // Through what `env` prints, too; and nothing was written where nothing may be.
    let env = host.run(["env"]).ok().stdout;
    let script = format!("{env}go build -o again . && ./again");
    let out = as_user(Path::new("/bin/sh"), &["-c", &script]);
    assert_eq!(out.stderr, "I'm a teapot\n");
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    host.check();
}
