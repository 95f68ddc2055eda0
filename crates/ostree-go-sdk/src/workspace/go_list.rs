//! Runs the go command of the SDK: for the list of modules, and to download modules.

use super::error::WorkspaceError;
use super::modules::{Target, UsedModule};
use super::options::Workspace;
use super::settings;
use super::units::{Project, WorkFile};
use crate::fs::context::IoContext;
use crate::process::{self, ProcessError};
use serde::Deserialize;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The go command of an SDK, with the variables that it needs and none else.
#[derive(Debug)]
pub(super) struct GoCommand<'a> {
    pub(super) go: PathBuf,
    pub(super) options: &'a Workspace,
    /// `GOFLAGS` of the lock, or of the environment.
    pub(super) flags: String,
}

/// The arguments that list all modules of a project.
const LIST: [&str; 4] = ["list", "-m", "-json", "all"];

/// A module, as `go list -m -json` prints it. Source: `ModulePublic` in
/// `src/cmd/go/internal/modinfo/info.go`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    path: String,
    version: Option<String>,
    #[serde(default)]
    main: bool,
    dir: Option<PathBuf>,
    replace: Option<Box<Self>>,
}

impl GoCommand<'_> {
    /// Returns the modules that the go command selects for a project, without its units.
    pub(super) fn list(&self, project: &Project) -> Result<Vec<UsedModule>, WorkspaceError> {
        let temporary = self.temporary()?;
        let (directory, work) = match &project.work {
            None => (project.directory.clone(), "off".into()),
            // The go command adds hashes to the file beside go.work, which must not be written.
            Some(work) => {
                let copy = copy_of_work(work, project, temporary.path())?;
                (temporary.path().to_owned(), copy.into_os_string())
            }
        };
        let mut command = self.command(&temporary, &work);
        command.args(LIST).current_dir(directory);
        let printed = run(&mut command)?;
        let mut modules = Vec::new();
        for listed in serde_json::Deserializer::from_str(&printed).into_iter::<Listed>() {
            let listed = listed.map_err(|source| WorkspaceError::GoOutput {
                command: shown(&command),
                source,
            })?;
            if !listed.main {
                modules.push(listed.into());
            }
        }
        Ok(modules)
    }

    /// Downloads modules into the module cache. Their hashes have to be compared with `go.sum` afterwards.
    pub(super) fn download(&self, modules: &[(String, String)]) -> Result<(), WorkspaceError> {
        let temporary = self.temporary()?;
        let names = modules
            .iter()
            .map(|(path, version)| format!("{path}@{version}"));
        let mut command = self.command(&temporary, OsStr::new("off"));
        command
            .args(["mod", "download"])
            .args(names)
            .env("GOSUMDB", "off")
            .current_dir(temporary.path());
        run(&mut command).map(drop)
    }

    fn temporary(&self) -> Result<TempDir, WorkspaceError> {
        let top = self.options.temporary.as_deref();
        let top = top.unwrap_or(Path::new("/tmp"));
        let mut builder = tempfile::Builder::new();
        let made = builder.prefix("ostree-go-workspace-").tempdir_in(top);
        Ok(made.context("make directory in", top)?)
    }

    fn command(&self, temporary: &TempDir, work: &OsStr) -> Command {
        let own = temporary.path();
        let mut command = Command::new(&self.go);
        command.env_clear();
        command
            .env("HOME", own)
            .env("TMPDIR", own)
            .env("GOCACHE", own.join("cache"))
            .env("GOPATH", own.join("gopath"))
            .env("GOENV", "off")
            .env("GOFLAGS", read_only_flags(&self.flags))
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", work);
        if let Some(modules) = &self.options.module_cache {
            command.env("GOMODCACHE", modules);
        }
        if !self.options.fetch {
            command.env("GOPROXY", "off");
            return command;
        }
        for (name, value) in settings::sources(&self.options.environment) {
            command.env(name, value);
        }
        if let Some(home) = &self.options.home {
            command.env("HOME", home);
        }
        command
    }
}

impl From<Listed> for UsedModule {
    fn from(listed: Listed) -> Self {
        let target = listed.replace.map(|replace| match replace.version {
            Some(version) => Target::Module {
                path: replace.path,
                version,
            },
            None => Target::Directory(replace.dir.unwrap_or(replace.path.into())),
        });
        Self {
            path: listed.path,
            version: listed.version,
            target,
        }
    }
}

/// Returns `GOFLAGS` with `-mod=readonly` in the place of another `-mod`.
fn read_only_flags(flags: &str) -> String {
    let others = flags.split_ascii_whitespace();
    let is_mod = |flag: &&str| {
        let name = flag.trim_start_matches('-');
        name == "mod" || name.starts_with("mod=")
    };
    let others = others.filter(|flag| !is_mod(flag));
    let all: Vec<&str> = others.chain(["-mod=readonly"]).collect();
    all.join(" ")
}

/// Writes a copy of a `go.work` file, with absolute paths, and of the hashes beside it.
fn copy_of_work(
    work: &WorkFile,
    project: &Project,
    folder: &Path,
) -> Result<PathBuf, WorkspaceError> {
    let mut lines = Vec::new();
    lines.extend(work.file.go.iter().map(|go| format!("go {}", go.text)));
    lines.extend(
        project
            .units
            .iter()
            .map(|unit| format!("use {}", quoted(&unit.directory))),
    );
    for replace in &work.file.replace {
        let module = |path: &str, version: Option<&str>| {
            let version = version.map(|version| format!(" {version}"));
            format!("{}{}", quoted(Path::new(path)), version.unwrap_or_default())
        };
        let new = match &replace.new.version {
            Some(version) => module(&replace.new.path, Some(version)),
            None => quoted(&project.directory.join(&replace.new.path)),
        };
        let old = module(&replace.old.path, replace.old.version.as_deref());
        lines.push(format!("replace {old} => {new}"));
    }
    let path = folder.join("go.work");
    fs::write(&path, lines.join("\n") + "\n").context("write", &path)?;
    let mut sums = work.path.clone().into_os_string();
    sums.push(".sum");
    let sums = PathBuf::from(sums);
    if sums.exists() {
        let copy = folder.join("go.work.sum");
        let bytes = fs::read(&sums).context("read", &sums)?;
        fs::write(&copy, bytes).context("write", &copy)?;
    }
    Ok(path)
}

/// Returns a string for a `go.work` file.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn run(command: &mut Command) -> Result<String, WorkspaceError> {
    match process::run("go", command) {
        Err(ProcessError::Failed { stderr, .. }) => Err(WorkspaceError::Go {
            command: shown(command),
            message: stderr,
        }),
        ran => Ok(ran?),
    }
}

/// Returns the first words of a command, for a message.
fn shown(command: &Command) -> Box<str> {
    let words = command.get_args().take(LIST.len());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    format!("go {}", words.join(" ")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_never_changed_whatever_the_flags_are() {
        assert_eq!(read_only_flags(""), "-mod=readonly");
        let flags = "-mod=vendor -tags=netgo --mod=mod -modcacherw";
        assert_eq!(
            read_only_flags(flags),
            "-tags=netgo -modcacherw -mod=readonly"
        );
    }

    #[test]
    fn the_list_of_modules_is_read() {
        let text = r#"{"Path": "example.com/a", "Main": true, "Dir": "/a"}
            {"Path": "example.com/b", "Version": "v1.0.0", "Replace": {"Path": "../b", "Dir": "/b"}}
            {"Path": "example.com/c", "Version": "v1.0.0",
             "Replace": {"Path": "example.com/d", "Version": "v1.1.0", "Dir": "/m/d"}}"#;
        let listed = serde_json::Deserializer::from_str(text).into_iter::<Listed>();
        let listed: Vec<Listed> = listed.map(Result::unwrap).collect();
        assert!(listed[0].main && !listed[1].main);
        let targets: Vec<_> = listed
            .into_iter()
            .map(|one| UsedModule::from(one).target)
            .collect();
        assert_eq!(targets[1], Some(Target::Directory("/b".into())));
        let (path, version) = ("example.com/d".to_owned(), "v1.1.0".to_owned());
        assert_eq!(targets[2], Some(Target::Module { path, version }));
    }
}
