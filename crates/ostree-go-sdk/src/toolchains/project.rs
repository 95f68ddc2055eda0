//! Reads what the files of a project require of its Go.

use super::error::ToolchainError;
use super::required::Requirement;
use crate::fs::context::{IoContext, IoFailure};
use crate::golang::modfile::{DEFAULT_TOOLCHAIN, FileKind, GoMod, GoWork, Value};
use crate::golang::release_number::ReleaseNumber;
use crate::golang::version_manager::VERSION_MANAGER_FILES;
use crate::golang::version_rule::VersionRule;
use std::fs;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

/// The largest file of a project that is read, in bytes. Source: `MaxGoMod` in
/// `golang.org/x/mod/zip`.
const MAX_SIZE: u64 = 16 << 20;

/// The workspace that a go command uses, as `GOWORK` selects it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Workspace {
    /// The `go.work` file in the directory or the nearest one above it.
    #[default]
    Auto,
    /// None.
    Off,
    /// This file.
    File(PathBuf),
}

/// Reads what the project in a directory requires; returns `None` if neither this directory nor those
/// above it have a file that decides. The directory has to be an absolute [clean](clean_path) path;
/// those above it are found by removing the last component, as the go command does.
///
/// # Errors
/// Returns an error if the path is not a directory, or a file that decides cannot be read or is
/// malformed.
pub fn requirement(
    dir: &Path,
    workspace: &Workspace,
) -> Result<Option<Requirement>, ToolchainError> {
    match module_file(dir, workspace)? {
        Some((path, FileKind::Workspace)) => of_go_work(path).map(Some),
        Some((path, FileKind::Module)) => {
            let file = read_go_mod(&path)?;
            Ok(Some(of_lines(path, file.go, file.toolchain)))
        }
        None => of_version_managers(dir),
    }
}

/// Returns the path of the `go.work` or `go.mod` file that decides for a directory, if there is one.
pub(crate) fn module_file(
    dir: &Path,
    workspace: &Workspace,
) -> Result<Option<(PathBuf, FileKind)>, ToolchainError> {
    let found = dir.metadata().context("look at", dir)?;
    if !found.is_dir() {
        let path = dir.to_owned();
        return Err(ToolchainError::NotADirectory { path });
    }
    if let Some(path) = go_work(dir, workspace)? {
        return Ok(Some((path, FileKind::Workspace)));
    }
    let path = find_above(dir, "go.mod")?;
    Ok(path.map(|path| (path, FileKind::Module)))
}

/// Returns the path of the workspace file.
pub(crate) fn go_work(
    dir: &Path,
    workspace: &Workspace,
) -> Result<Option<PathBuf>, ToolchainError> {
    match workspace {
        Workspace::Auto => find_above(dir, "go.work"),
        Workspace::Off => Ok(None),
        Workspace::File(path) if path.is_absolute() => Ok(Some(path.clone())),
        Workspace::File(path) => {
            let path = path.clone();
            Err(ToolchainError::RelativeWorkspace { path })
        }
    }
}

/// Returns the path of a file in a directory or the nearest one above it. Directories with this name
/// do not count, as in Go.
pub(crate) fn find_above(dir: &Path, name: &str) -> Result<Option<PathBuf>, ToolchainError> {
    for folder in dir.ancestors() {
        let path = folder.join(name);
        if exists(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Returns true if a path is a file that can be read. Unlike the go command, this does not ignore a
/// file that cannot be examined, because another one further up would be used instead.
fn exists(path: &Path) -> Result<bool, ToolchainError> {
    match path.metadata() {
        Ok(found) => Ok(!found.is_dir()),
        Err(error) if [Io::NotFound, Io::NotADirectory].contains(&error.kind()) => Ok(false),
        Err(error) => Err(IoFailure::new("look at", path, error).into()),
    }
}

/// Reads a file of a project.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ToolchainError> {
    let found = path.metadata().context("read", path)?;
    let path_of = || path.to_owned();
    // Reading a FIFO could block.
    if !found.is_file() {
        return Err(ToolchainError::NotAFile { path: path_of() });
    }
    if found.len() > MAX_SIZE {
        return Err(ToolchainError::TooLarge {
            path: path_of(),
            found: found.len(),
            limit: MAX_SIZE,
        });
    }
    Ok(fs::read(path).context("read", path)?)
}

fn read_go_mod(path: &Path) -> Result<GoMod, ToolchainError> {
    GoMod::parse_versions(&read(path)?).map_err(|source| ToolchainError::ModFile {
        path: path.to_owned(),
        source,
    })
}

/// Returns the requirement of a workspace: that of its own lines, or of the `go` line of a module that
/// it uses if that is higher, because Go refuses the module otherwise. Go ignores the `toolchain`
/// lines of the modules.
fn of_go_work(path: PathBuf) -> Result<Requirement, ToolchainError> {
    let work = GoWork::parse_versions(&read(&path)?).map_err(|source| ToolchainError::ModFile {
        path: path.clone(),
        source,
    })?;
    let modules = used_modules(&path, &work.uses)?;
    let mut highest = of_lines(path, work.go, work.toolchain);
    for file in modules {
        let go = read_go_mod(&file)?.go;
        let of_module = of_lines(file, go, None);
        if of_module.least() > highest.least() {
            highest = Requirement {
                prefers_active: highest.prefers_active,
                ..of_module
            };
        }
    }
    Ok(highest)
}

/// Returns the `go.mod` files of the modules that a workspace file uses.
pub(crate) fn used_modules(path: &Path, uses: &[Value]) -> Result<Vec<PathBuf>, ToolchainError> {
    let folder = path.parent().unwrap_or(path);
    let mut files = Vec::new();
    for used in uses {
        let module = clean_path(&folder.join(&used.text));
        let file = module.join("go.mod");
        if !exists(&file)? {
            return Err(ToolchainError::NoModule {
                path: path.to_owned(),
                line: used.line,
                module,
            });
        }
        files.push(file);
    }
    Ok(files)
}

/// Removes `.` from a path, and `..` together with the component before it, as `filepath.Clean` of Go
/// does.
#[must_use]
pub fn clean_path(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    cleaned
}

/// Returns the requirement of the `go` and `toolchain` lines of a file.
fn of_lines(file: PathBuf, go: Option<Value>, toolchain: Option<Value>) -> Requirement {
    let is_default = |line: &Value| line.text == DEFAULT_TOOLCHAIN;
    let prefers_active = toolchain.as_ref().is_some_and(is_default);
    let go = go.map(|line| (format!("go {}", line.text), line.text, line.line));
    let toolchain = toolchain.filter(|line| !is_default(line)).map(|line| {
        let version = line.text.strip_prefix("go").unwrap_or(&line.text);
        let version = version.to_owned();
        (format!("toolchain {}", line.text), version, line.line)
    });
    // Of equal versions, the toolchain is the one that names a variant.
    let highest = [go, toolchain].into_iter().flatten().max_by(|one, other| {
        let number = ReleaseNumber::of_version;
        number(&one.1).cmp(&number(&other.1))
    });
    match highest {
        Some((text, version, line)) => Requirement {
            file,
            line: Some(line),
            text,
            rule: VersionRule::AtLeast(version),
            prefers_active,
        },
        None => Requirement {
            file,
            line: None,
            text: String::new(),
            rule: VersionRule::Any,
            prefers_active: true,
        },
    }
}

fn of_version_managers(dir: &Path) -> Result<Option<Requirement>, ToolchainError> {
    for folder in dir.ancestors() {
        for manager in VERSION_MANAGER_FILES {
            let file = folder.join(manager.name);
            if !exists(&file)? {
                continue;
            }
            let parsed = manager.parse(&read(&file)?);
            let parsed = parsed.map_err(|source| ToolchainError::VersionManager {
                path: file.clone(),
                source,
            })?;
            if let Some(wanted) = parsed {
                return Ok(Some(Requirement {
                    file,
                    line: Some(wanted.line),
                    text: wanted.text,
                    rule: wanted.rule,
                    prefers_active: false,
                }));
            }
        }
    }
    Ok(None)
}
