//! Sections of the man pages that the argument parser does not know.

use super::examples::examples;
use clap_mangen::roff::{Roff, bold, italic, roman};
use std::io::{self, Write};

const FILES: &[(&str, &str)] = &[
    (
        "/var/lib/ostree-go",
        "The root directory of the user root, with the installed SDKs.",
    ),
    (
        "$XDG_DATA_HOME/ostree-go",
        "The root directory of other users (default: ~/.local/share/ostree-go).",
    ),
    (
        "ROOT/current/usr/bin",
        "The programs of the active SDK, for PATH.",
    ),
    (
        "ROOT/toolchains",
        "The go command of each installed SDK, as go1.26.5, for GOTOOLCHAIN=local+path.",
    ),
    (
        "ROOT/repo",
        "The OSTree repository of the root directory, with the remotes and their keys.",
    ),
    (
        "ROOT/state.json",
        "The installed SDKs, their signatures, and the history.",
    ),
    (
        "/etc/ostree-go/hooks/post-deploy",
        "The hooks for the root directory of the system, in required.d and wanted.d. They replace those in /usr/lib/ostree-go.",
    ),
    (
        "$XDG_CONFIG_HOME/ostree-go/hooks/post-deploy",
        "The hooks for other root directories (default: below ~/.config).",
    ),
    (
        "ostree-go.lock",
        "The lock of a workspace, beside go.work or go.mod.",
    ),
    (
        "$XDG_CACHE_HOME/ostree-go",
        "Downloaded sources of a compose (default: ~/.cache/ostree-go).",
    ),
    (
        "$XDG_CACHE_HOME/ostree-go/run",
        "Build caches of run --keep-cache.",
    ),
    (
        "$XDG_RUNTIME_DIR/containers/auth.json",
        "Credentials for registries, as for podman(1).",
    ),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("OSTREE_REPO", "The repository, if --repo is not given."),
    (
        "OSTREE_GO_ROOT",
        "The root directory, if --root is not given.",
    ),
    (
        "OSTREE_GO_HOOK",
        "Set for hooks. The command then refuses deployments that would run hooks again.",
    ),
    (
        "OSTREE_GO_VULNDB, OSTREE_GO_DOWNLOAD_INDEX",
        "The Go vulnerability database and the download index, if --db and --index are not given.",
    ),
    (
        "SOURCE_DATE_EPOCH",
        "The timestamp of releases and channels, in seconds since 1970.",
    ),
    ("GOPROXY", "The module proxies, if the treefile names none."),
    (
        "http_proxy, https_proxy, no_proxy, ALL_PROXY",
        "The proxies for HTTP requests, as for curl(1).",
    ),
    (
        "REGISTRY_AUTH_FILE",
        "The file with credentials for registries.",
    ),
    (
        "GOMODCACHE, GOPATH",
        "The module cache, which run shows to the command, and workspace compares vendored files with.",
    ),
    (
        "PATH, GOROOT, GOTOOLCHAIN, GOCACHE, GOCACHEPROG, GOENV",
        "Examined by the verb doctor.",
    ),
    (
        "GOWORK, PWD",
        "Select the files of a project, as for the go command.",
    ),
    (
        "GOFLAGS, GOOS, GOARCH, GOAMD64, GOARM64, CGO_ENABLED, GOEXPERIMENT, GODEBUG and other settings of builds",
        "Recorded by the verb workspace.",
    ),
    ("NO_COLOR", "Switches colour off."),
];

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Success."),
    ("1", "Failure."),
    ("2", "Wrong arguments."),
    (
        "3",
        "Verification failed: a signature, a digest, or the content of a commit is not as required.",
    ),
    (
        "4",
        "A check found damage, a workspace differs from its lock, doctor found a problem, or audit found a vulnerability or the end of support.",
    ),
    (
        "75",
        "Temporary failure: network, lock, disk space, or a clock that is behind.",
    ),
    (
        "77",
        "Nothing changed, with --unchanged-exit-77; or upgrade --check found something new.",
    ),
    ("124", "The time of run --timeout was over."),
    ("130", "Interrupted."),
    (
        "any",
        "Of the command after run has started it; 128 and the number of a signal that ended it.",
    ),
];

/// Appends the sections to the page of a verb.
pub fn render(verb: &str, page: &mut dyn Write) -> io::Result<()> {
    let mut roff = Roff::new();
    let examples = examples(verb);
    if !examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
    }
    for (what, command) in examples {
        roff.control("PP", []);
        roff.text([roman(format!("{what}:"))]);
        roff.control("PP", []);
        roff.control("RS", ["4"]);
        roff.text([bold(*command)]);
        roff.control("RE", []);
    }
    for (title, entries) in [
        ("FILES", FILES),
        ("ENVIRONMENT", ENVIRONMENT),
        ("EXIT STATUS", EXIT_STATUS),
    ] {
        roff.control("SH", [title]);
        for (name, text) in entries {
            roff.control("TP", []);
            roff.text([italic(*name)]);
            roff.text([roman(*text)]);
        }
    }
    roff.to_writer(page)
}
