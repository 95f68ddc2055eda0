//! The command under test.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;

/// Returns the command `ostree-go` with a clean environment and without arguments.
///
/// The program is that of [`binary`].
pub fn ostree_go() -> Command {
    let home = target_dir().join("tests-home");
    std::fs::create_dir_all(&home).expect("a home for the command");
    let mut command = Command::new(binary());
    command.env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("XDG_CACHE_HOME", home.join("cache"));
    command.env("HOME", home);
    command.env("LC_ALL", "C.UTF-8");
    command
}

/// Exit status and output of a finished command.
#[derive(Debug)]
pub struct Output {
    command: String,
    /// Exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command to completion.
///
/// # Panics
///
/// Panics if it cannot be started, or if its output is not UTF-8.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    let out = command
        .output()
        .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    Output {
        command: format!("{command:?}"),
        status: out.status,
        stdout: String::from_utf8(out.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(out.stderr).expect("stderr is UTF-8"),
    }
}

impl Output {
    pub(crate) fn new(command: String, status: ExitStatus, stdout: String, stderr: String) -> Self {
        Self {
            command,
            status,
            stdout,
            stderr,
        }
    }

    /// The same, as if the command had been killed: for a command that ended after the power was cut.
    pub(crate) fn into_killed(self) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self {
            status: ExitStatus::from_raw(9),
            ..self
        }
    }

    /// Returns the exit code, or `None` if a signal ended the command.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Asserts that the exit code is 0.
    ///
    /// # Panics
    ///
    /// Panics with the output of the command if it ended otherwise.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Asserts that the exit code has this value.
    ///
    /// # Panics
    ///
    /// Panics with the output of the command if it ended otherwise.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(
            self.code() == Some(code),
            "expected exit code {code}, found {self}"
        );
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            command,
            status,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "{status}\ncommand: {command}\n--- stdout\n{stdout}--- stderr\n{stderr}"
        )
    }
}

/// Returns the program: `$OSTREE_GO_BIN`, or the one with failpoints that cargo builds together with the tests.
///
/// # Panics
///
/// Panics if it was not built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("OSTREE_GO_BIN") {
        Some(path) => PathBuf::from(path),
        None => built_with_the_tests(),
    })
}

/// Cargo builds the programs of a package before its integration tests, and puts them into `debug` (the tests are in
/// `debug/deps`).
fn built_with_the_tests() -> PathBuf {
    let tests = std::env::current_exe().expect("the path of this program");
    let found = tests
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("ostree-go-failpoints"))
        .find(|program| program.is_file());
    let found = found
        .expect("the command is built: run `cargo build -p ostree-go-tests`, or set OSTREE_GO_BIN");
    named_ostree_go(&found)
}

/// Returns a symlink to the program under the name that users know: `ostree go` searches it in `PATH`.
fn named_ostree_go(program: &Path) -> PathBuf {
    let folder = program.with_file_name("tests-bin");
    std::fs::create_dir_all(&folder).expect("a folder for the symlink");
    let (link, new) = (
        folder.join("ostree-go"),
        folder.join(format!("new-{}", std::process::id())),
    );
    std::os::unix::fs::symlink(program, &new).expect("a symlink");
    std::fs::rename(&new, &link).expect("the symlink in its place");
    link
}

/// Returns the target directory of cargo, in which tests may keep files.
pub fn target_dir() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    workspace().join(target)
}

/// Returns the root directory of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests stand in the workspace")
}
