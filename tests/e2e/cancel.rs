//! Ctrl-C: it is answered at once, heard in every phase, and leaves nothing behind.

use ostree_go_tests::host::Host;
use ostree_go_tests::running::Running;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::signals::interrupt;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Guards against hanging.
const LIMIT: Duration = Duration::from_mins(2);

/// Returns the number of files below a folder whose name has an ending.
fn count(top: &Path, ending: &str) -> usize {
    let Ok(entries) = fs::read_dir(top) else {
        return 0;
    };
    let count_in = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => count(&entry.path(), ending),
        false => usize::from(entry.file_name().to_string_lossy().ends_with(ending)),
    };
    entries.map(|entry| count_in(entry.unwrap())).sum()
}

#[test]
fn an_import_from_a_repository_on_this_machine_is_cancelled() {
    let host = Host::new();
    // Importing them takes seconds.
    host.release_of("1.99.1", 100, |toy| {
        (0..20_000).fold(toy, |toy, n| {
            toy.with(&format!("src/many/{n}.go"), format!("package p{n}\n"))
        })
    });
    let mut command = host.command(["install", "1.99", "--from-repo", "repo"]);
    let running = Running::start(&mut command);
    interrupt(running.id());
    let out = running.wait(LIMIT).exits(130);
    assert!(out.stderr.starts_with("stopping…\nerror: stopped"), "{out}");
    assert!(out.stderr.contains("nothing was deployed"), "{out}");
    // The import did not run to its end before.
    let objects = host.root().join("repo/objects");
    assert_eq!(count(&objects, ".file"), 0);
    assert_eq!(count(&host.root().join("deployments"), ".go"), 0);
    host.install("1.99").ok();
    host.check();
}

#[test]
fn an_export_that_waits_for_a_reader_is_cancelled() {
    let sandbox = Sandbox::with_toys("");
    sandbox.compose([]);
    let fifo = sandbox.path("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for (args, said) in [
        (&[][..], "stopping…\n"),
        (&["--quiet"], ""),
        (
            &["--progress", "json"],
            "{\"text\":\"stopping…\",\"event\":\"message\"}\n",
        ),
    ] {
        let export = ["export", "tar", "go-sdk/x86_64/1.99.1", "fifo"];
        let args = export.iter().chain(args).copied();
        let running = Running::start(&mut sandbox.ostree_go(args));
        interrupt(running.id());
        let out = running.wait(LIMIT).exits(130);
        assert!(out.stderr.starts_with(said), "{out}");
        assert_eq!(out.stderr.contains("stopping"), !said.is_empty(), "{out}");
        assert!(out.stderr.contains("stopped while reading commit"), "{out}");
    }
}
