//! `ostree-go reproduce`: a real SDK builds programs in two sandboxes. Programs that the go command builds without a
//! sandbox are the independent comparison.

use crate::json::undocumented;
use crate::stdcache::{Fixture, fixture, seed};
use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::host::Host;
use ostree_go_tests::ostree::{init, ostree};
use ostree_go_tests::running::Running;
use ostree_go_tests::sandbox::source;
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::signals::interrupt;
use ostree_go_tests::tools;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PROGRAM: &str = "package main\n\nvar dir string\nvar greeting = \"good morning\"\n\nfunc main() { println(greeting, dir) }\n";

/// A host with a real SDK and its std cache for `-trimpath`, and the project `app`.
struct Project {
    host: Host,
    fixture: &'static Fixture,
}

impl Project {
    fn new() -> Option<Self> {
        let fixture = fixture()?;
        let host = Host::new();
        let repo = fixture.repo.to_str().unwrap();
        host.run(["install", &fixture.release, "--from-repo", repo])
            .ok();
        host.sandbox
            .write("app/go.mod", "module example.com/app\n\ngo 1.26\n");
        host.sandbox.write("app/main.go", PROGRAM);
        fs::create_dir_all(host.sandbox.path("tmp")).unwrap();
        fs::create_dir_all(host.sandbox.path("home")).unwrap();
        Some(Self { host, fixture })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.host.sandbox.path(name).canonicalize().unwrap()
    }

    fn app(&self) -> String {
        self.path("app").to_str().unwrap().to_owned()
    }

    /// Returns `reproduce` with arguments, in the directory of the project.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.host.command([&["reproduce"], args].concat());
        command
            .current_dir(self.path("app"))
            .env("TMPDIR", self.path("tmp"))
            .env("HOME", self.path("home"));
        command
    }

    /// Runs it, and checks that nothing is left behind, and that the project has not changed.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Output {
        let before = names(&self.path("app"));
        let out = run(&mut self.command(args));
        assert_eq!(left(&self.path("tmp")), [""; 0], "{out}");
        assert_eq!(names(&self.path("app")), before);
        out
    }

    /// Runs it with JSON output, and returns the document.
    #[track_caller]
    fn json(&self, args: &[&str], code: i32) -> Value {
        let out = self.run(&[&["--format", "json"], args].concat());
        let out = out.exits(code);
        let document = serde_json::from_str(&out.stdout).unwrap();
        assert_eq!(undocumented("reproduce", &document), [""; 0]);
        document
    }

    /// Builds the program with the go command, without a sandbox, and returns the path of the result.
    fn peer(&self, name: &str, args: &[&str]) -> PathBuf {
        let (gocache, output) = (
            self.host.sandbox.path("gocache"),
            self.host.sandbox.path(name),
        );
        if !gocache.exists() {
            let tree = self.host.sandbox.path("cache");
            self.fixture.checkout(&self.fixture.std_cache, &tree);
            seed(&self.fixture.dir_in(&tree), &gocache);
        }
        let mut go = Command::new(self.host.current("usr/bin/go"));
        go.arg("build").args(args).arg("-o").arg(&output);
        go.current_dir(self.path("app")).env_clear();
        go.env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"))
            .env("GOCACHE", gocache)
            .env("CGO_ENABLED", "0")
            .env("GOPROXY", "off")
            .env("GOTOOLCHAIN", "local");
        run(&mut go).ok();
        output
    }
}

/// Returns what is left in a directory for temporary files. The directory for the sandboxes of a user stays.
fn left(dir: &Path) -> Vec<String> {
    let is_kept =
        |name: &String| name.starts_with("ostree-go-run-") && names(&dir.join(name)).is_empty();
    names(dir)
        .into_iter()
        .filter(|name| !is_kept(name))
        .collect()
}

/// Returns the names of the entries of a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn sha256(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the words of a list in a document.
fn words<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one[field].as_str().unwrap()).collect()
}

#[test]
fn a_program_built_with_trimpath_is_identical_everywhere() {
    let Some(project) = Project::new() else {
        return;
    };
    let peer = project.peer("peer", &["-trimpath"]);
    let peer = peer.to_str().unwrap();
    let found = project.json(&["--against", peer], 0);
    assert_eq!(found["identical"], true, "{found:#}");
    assert_eq!(found["sandbox"], "bwrap");
    assert_eq!(words(&found["comparisons"], "with"), ["rebuild", "file"]);
    let digest = sha256(Path::new(peer));
    for build in found["builds"].as_array().unwrap() {
        assert_eq!(build["sha256"], *digest, "{found:#}");
        assert_eq!(build["environment"]["CGO_ENABLED"], "0");
        let command = build["command"].as_array().unwrap();
        assert_eq!(command[..3], ["go", "build", "-trimpath"]);
    }
    let varied = words(&found["varied"], "what");
    let expected = [
        "source",
        "goroot",
        "user",
        "uid",
        "home",
        "tmpdir",
        "time-zone",
        "locale",
        "umask",
        "cpus",
    ];
    assert_eq!(varied, expected, "{found:#}");
    assert_eq!(found["varied"][0]["first"], *project.app());
    assert_eq!(words(&found["not_varied"], "what"), ["standard-library"]);

    let out = project.run(&["--against", peer]).ok();
    let lines: Vec<&str> = out.stdout.lines().collect();
    assert_eq!(lines[0], "identical  the second build");
    assert_eq!(lines[1], format!("identical  {peer}"));
    assert_eq!(lines[2], format!("sha256     {digest}"));
    assert_eq!(lines[4], "command    CGO_ENABLED=0 go build -trimpath .");

    let repo = committed(&project, Path::new(peer));
    let name = "os/test:/bin/app";
    let found = project.json(&["--repo", &repo, "--against", name], 0);
    let compared = &found["comparisons"][1];
    assert_eq!(
        (&compared["with"], &compared["path"]),
        (&"commit".into(), &"/bin/app".into())
    );
    assert_eq!(
        compared["commit"],
        *ostree(repo.as_ref(), ["rev-parse", "os/test"]).trim()
    );
    assert_eq!(compared["sha256"], *digest);

    // Landlock cannot show the SDK at another path.
    let out = project.run(&["--sandbox", "landlock", "--weak", "--format", "json"]);
    if out.stdout.contains("this kernel does not offer") {
        return tools::skip("the kernel has no Landlock");
    }
    let found: Value = serde_json::from_str(&out.ok().stdout).unwrap();
    assert_eq!(found["builds"][1]["sha256"], *digest);
    let same = words(&found["not_varied"], "what");
    assert_eq!(same, ["goroot", "uid", "standard-library"]);
    assert_eq!(words(&found["varied"], "what")[0], "source");
}

/// Commits a program as `/usr/bin/program` to a new repository, on the ref `os/test`, with links to it, and returns the
/// path of the repository.
fn committed(project: &Project, program: &Path) -> String {
    let (tree, repo) = (
        project.host.sandbox.path("tree"),
        project.host.sandbox.path("os"),
    );
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::copy(program, tree.join("usr/bin/program")).unwrap();
    symlink("usr/bin", tree.join("bin")).unwrap();
    symlink("/usr/bin/program", tree.join("usr/bin/app")).unwrap();
    symlink("../../../app", tree.join("usr/bin/outside")).unwrap();
    symlink("loop", tree.join("usr/bin/loop")).unwrap();
    fs::create_dir_all(&repo).unwrap();
    init(&repo, "archive");
    let tree = format!("--tree=dir={}", tree.display());
    ostree(&repo, ["commit", "--branch=os/test", &tree]);
    repo.to_str().unwrap().to_owned()
}

#[test]
fn programs_in_commits_that_cannot_be_read() {
    let Some(project) = Project::new() else {
        return;
    };
    let repo = committed(&project, &project.path("app").join("main.go"));
    let commit = ostree(repo.as_ref(), ["rev-parse", "os/test"]);
    let said = |name: &str, code| {
        let out = project
            .run(&["--repo", &repo, "--against", name])
            .exits(code);
        assert_eq!(out.stdout, "");
        out.stderr
            .replace(commit.trim(), "[commit]")
            .replace(&repo, "[repo]")
    };
    for name in [
        "usr/bin/missing",
        "usr/bin/outside",
        "usr/bin/loop",
        "usr/bin/program/x",
    ] {
        let expected = format!("error: commit [commit] has no file /{name}\n");
        assert_eq!(said(&format!("os/test:/{name}"), 1), expected);
    }
    assert_snapshot!(said("os/test:/usr", 1), @"error: /usr is not a regular file");
    assert_snapshot!(said("os/test:/", 2), @"error: `os/test:/` names no file");
    assert_snapshot!(said("os/other:/usr/bin/program", 1), @"
    error: no ref or commit `os/other` in repository [repo]
    hint: `ostree-go list` shows the existing refs
    ");

    // A byte of the program has changed in the repository.
    let listed = ostree(
        repo.as_ref(),
        ["ls", "--checksum", "os/test", "/usr/bin/program"],
    );
    let id = listed.split_whitespace().nth(4).unwrap();
    let object = Path::new(&repo).join(format!("objects/{}/{}.filez", &id[..2], &id[2..]));
    let mut bytes = fs::read(&object).unwrap();
    let other = fs::read(project.path("app").join("go.mod")).unwrap();
    let header = 8 + usize::try_from(u32::from_be_bytes(bytes[..4].try_into().unwrap())).unwrap();
    bytes.truncate(header);
    let mut deflate = flate2::write::DeflateEncoder::new(bytes, flate2::Compression::fast());
    deflate.write_all(&other).unwrap();
    fs::write(&object, deflate.finish().unwrap()).unwrap();
    let text = said("os/test:/usr/bin/program", 1);
    assert!(
        text.starts_with(&format!(
            "error: file object {id} is damaged: its checksum is "
        )),
        "{text}"
    );
}

#[test]
fn causes_of_differences_are_named() {
    let Some(project) = Project::new() else {
        return;
    };
    let trimmed = ["-trimpath", "-buildvcs=false"];
    // A path in a flag.
    let flag = format!("-ldflags=-X main.dir={}", project.app());
    let found = project.json(&["--", "-trimpath", &flag], 3);
    assert_eq!(found["identical"], false);
    let cause = &found["comparisons"][0]["causes"][0];
    assert_eq!(cause["cause"], "path-in-flag", "{found:#}");
    assert_eq!(
        cause["message"],
        format!(
            "the build flag -ldflags puts the path of the sources, {}, into the program",
            project.app()
        )
    );

    // Another constant.
    let text = PROGRAM.replace("morning", "evening");
    fs::write(project.path("app").join("main.go"), text).unwrap();
    let other = project.peer("other", &trimmed);
    fs::write(project.path("app").join("main.go"), PROGRAM).unwrap();
    let other = other.to_str().unwrap();
    let found = project.json(&["--against", other, "--", trimmed[0], trimmed[1]], 3);
    let [rebuilt, file] = &found["comparisons"].as_array().unwrap()[..] else {
        panic!("{found:#}");
    };
    assert_eq!(
        (&rebuilt["identical"], &file["identical"]),
        (&true.into(), &false.into())
    );
    assert_eq!(file["path"], *other);
    assert_eq!(words(&file["causes"], "cause"), ["sources"], "{found:#}");
    let sections = words(&file["difference"]["sections"], "name");
    assert!(sections.contains(&".rodata"), "{found:#}");
    let sizes = readelf(Path::new(other));
    let compared = file["difference"]["sections"].as_array().unwrap();
    for section in compared.iter().filter(|_| !sizes.is_empty()) {
        let name = section["name"].as_str().unwrap();
        let size = sizes.iter().find(|(known, _)| known == name);
        assert_eq!(
            section["second_bytes"].as_u64(),
            size.map(|(_, size)| *size),
            "{name}"
        );
    }

    // Another time, as `-ldflags=-X` often sets it.
    let when = |second: &str| format!("-ldflags=-X main.dir=2026-01-02T03:04:{second}Z");
    let other = project.peer("later", &["-trimpath", &when("05")]);
    let args = [
        "--against",
        other.to_str().unwrap(),
        "--",
        "-trimpath",
        &when("59"),
    ];
    let found = project.json(&args, 3);
    assert_eq!(
        words(&found["comparisons"][1]["causes"], "cause")[0],
        "time",
        "{found:#}"
    );

    // Without symbols.
    let other = project.peer("stripped", &["-trimpath", "-ldflags=-s"]);
    let out = project
        .run(&["--against", other.to_str().unwrap()])
        .exits(3);
    let expected = "  cause: only the first program has the section .symtab\n  hint: ";
    assert!(out.stdout.contains(expected), "{out}");
}

/// Returns the sections of a program and their sizes, according to readelf.
fn readelf(program: &Path) -> Vec<(String, u64)> {
    let Some(readelf) = tools::require("readelf") else {
        return Vec::new();
    };
    let out = run(Command::new(readelf).args(["-S", "-W"]).arg(program)).ok();
    let rows = out.stdout.lines().filter_map(|line| {
        let (_, row) = line.trim().strip_prefix('[')?.split_once("] ")?;
        let words: Vec<&str> = row.split_whitespace().collect();
        let size = u64::from_str_radix(words.get(4)?, 16).ok()?;
        Some((words[0].to_owned(), size))
    });
    rows.collect()
}

#[test]
fn a_stamp_of_the_version_control_system_is_named() {
    let (Some(project), Some(_)) = (Project::new(), tools::require("git")) else {
        return;
    };
    let plain = project.peer("plain", &["-trimpath"]);
    let app = project.path("app");
    for args in [
        &["init", "-q"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "commit",
            "-q",
            "-m",
            "a",
        ],
    ] {
        let mut git = Command::new("git");
        run(git
            .args(args)
            .current_dir(&app)
            .env("HOME", project.path("home")))
        .ok();
    }
    let stamped = project.peer("stamped", &["-trimpath"]);
    let args = ["--against", stamped.to_str().unwrap()];
    let found = project.json(&args, 3);
    // There is no git in the sandbox, so that its builds have no stamp.
    assert_eq!(found["builds"][0]["sha256"], *sha256(&plain));
    let cause = &found["comparisons"][1]["causes"][0];
    assert_eq!(cause["cause"], "vcs-stamp", "{found:#}");
    let message = cause["message"].as_str().unwrap();
    let start = "only the second program has a VCS stamp: vcs=git vcs.modified=";
    assert!(message.starts_with(start), "{message}");
    assert_eq!(
        words(&found["comparisons"][1]["causes"], "cause").len(),
        1,
        "{found:#}"
    );
    let out = project.run(&["--", "-buildvcs=true"]).exits(1);
    assert!(
        out.stderr
            .contains("hint: the sandbox has no version control system"),
        "{out}"
    );
}

#[test]
fn without_trimpath_the_paths_are_named() {
    let Some(project) = Project::new() else {
        return;
    };
    let found = project.json(&["--", "-buildvcs=false"], 3);
    let comparison = &found["comparisons"][0];
    let cause = &comparison["causes"][0];
    assert_eq!(cause["cause"], "paths", "{found:#}");
    assert!(
        cause["message"].as_str().unwrap().contains(&project.app()),
        "{cause:#}"
    );
    assert_eq!(cause["hint"], "build with -trimpath");
    let sections = comparison["difference"]["sections"].as_array().unwrap();
    let has_symbol = sections.iter().any(|section| section["symbol"].is_string());
    assert!(has_symbol, "{found:#}");
}

#[test]
fn both_sdks_build_the_same_program() {
    let Some(project) = Project::new() else {
        return;
    };
    let other = match project.fixture.arch {
        Arch::X86_64 => Arch::Aarch64,
        _ => Arch::X86_64,
    };
    let Some(sdk) = sdk("1.26.5", other) else {
        return;
    };
    let lines = format!("arches: [{other}]\n{}", source(&sdk.tar_gz));
    project.host.sandbox.treefile("1.26.5", &lines);
    project.host.sandbox.compose([]);
    let name = format!("go-sdk/{other}/1.26.5");
    project
        .host
        .run([
            "install",
            &name,
            "--from-repo",
            "repo",
            "--arch",
            other.basearch(),
        ])
        .ok();
    let args = ["--with-sdk-arch", other.basearch()];
    // Without the emulator, this part is not proven, and that is no success.
    let mut command = project.command(&[&["--format", "json"], &args[..]].concat());
    let out = run(command.env("PATH", "/nonexistent")).exits(1);
    let found: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(undocumented("reproduce", &found), [""; 0]);
    assert_eq!(found["identical"], true);
    let skipped = &found["skipped"][0];
    assert_eq!(
        (&skipped["with"], &skipped["arch"]),
        (&"sdk".into(), &other.basearch().into())
    );
    let reason = format!("needs the program `qemu-{other}-static`, which is not installed");
    assert_eq!(skipped["reason"], *reason);

    if tools::require(&format!("qemu-{other}-static")).is_none() {
        return;
    }
    let found = project.json(&args, 0);
    assert_eq!(found["skipped"], Value::Array(Vec::new()));
    assert_eq!(words(&found["comparisons"], "with"), ["rebuild", "sdk"]);
    assert_eq!(found["builds"][2]["arch"], *other.basearch());
    assert_eq!(found["builds"][2]["sha256"], found["builds"][0]["sha256"]);
}

#[test]
fn a_program_for_another_architecture_is_identical() {
    let Some(project) = Project::new() else {
        return;
    };
    let native = project.fixture.arch.goarch();
    let goarch = match native {
        "amd64" => "arm64",
        _ => "amd64",
    };
    let program = project.peer("native", &["-trimpath"]);
    let args = ["--goarch", goarch, "--against", program.to_str().unwrap()];
    let found = project.json(&args, 3);
    let [rebuilt, file] = &found["comparisons"].as_array().unwrap()[..] else {
        panic!("{found:#}");
    };
    assert_eq!(rebuilt["identical"], true, "{found:#}");
    assert_eq!(found["builds"][1]["environment"]["GOARCH"], goarch);
    let expected = format!(
        "the setting GOARCH differs: the first program has {goarch}, the second one {native}"
    );
    let messages = words(&file["causes"], "message");
    assert!(messages.contains(&expected.as_str()), "{found:#}");
}

#[test]
fn programs_that_cannot_be_built() {
    let Some(project) = Project::new() else {
        return;
    };
    let said = |args: &[&str], code| {
        let out = project.run(args).exits(code);
        assert_eq!(out.stdout, "");
        let top = project.path("");
        out.stderr
            .replace(top.to_str().unwrap().trim_end_matches('/'), "[dir]")
    };
    assert_snapshot!(said(&["--against", "missing"], 1), @"
    error: cannot read missing
      No such file or directory (os error 2)
    ");
    assert_snapshot!(said(&["--against", "/"], 1), @"error: / is not a regular file");
    assert_snapshot!(said(&["--", "-o", "x"], 1), @"error: the build flag -o cannot be used here, because the programs are written to temporary directories");
    fs::write(
        project.path("app").join("main.go"),
        "package main\n\nfunc main() { undefined() }\n",
    )
    .unwrap();
    assert_snapshot!(said(&[], 1), @"
    # example.com/app
    ./main.go:3:15: undefined: undefined
    error: `go build -trimpath .` failed with exit code 1
    ");
    fs::remove_file(project.path("app").join("go.mod")).unwrap();
    assert_snapshot!(said(&[], 1), @"
    go: go.mod file not found in current directory or any parent directory; see 'go help modules'
    error: `go build -trimpath .` failed with exit code 1
    hint: change to the directory of a module, or name it with --dir
    ");
    let mut command = project.command(&["--with-sdk-arch", "riscv64"]);
    run(&mut command).exits(2);
}

#[test]
fn an_interrupted_proof_leaves_nothing_behind() {
    let Some(project) = Project::new() else {
        return;
    };
    // Compiling the standard library takes seconds.
    let running = Running::start(&mut project.command(&["--no-stdcache"]));
    let start = Instant::now();
    while names(&project.path("tmp")).is_empty() {
        assert!(start.elapsed() < Duration::from_mins(1), "no directory");
        std::thread::sleep(Duration::from_millis(5));
    }
    interrupt(running.id());
    let out = running.wait(Duration::from_mins(2)).exits(130);
    assert!(
        out.stderr
            .starts_with("stopping…\nerror: stopped the command"),
        "{out}"
    );
    assert_eq!(left(&project.path("tmp")), [""; 0]);
}

#[test]
fn a_machine_without_the_requested_sandbox() {
    let host = Host::new();
    host.release("1.99.1", 1_800_000_000);
    host.install("1.99.1").ok();
    host.sandbox.write("src/go.mod", "module a\n\ngo 1.26\n");
    if Path::new("/run/systemd/system").exists() {
        return;
    }
    let out = host
        .run(["reproduce", "--dir", "src", "--sandbox", "systemd"])
        .exits(1);
    assert_snapshot!(out.stderr, @"
    error: the sandbox systemd needs a service manager, and systemd does not manage this session
    hint: use another sandbox with --sandbox, for example landlock
    ");
}
