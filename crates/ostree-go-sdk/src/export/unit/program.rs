//! Reads how a program is loaded.

use super::UnitError;
use crate::arch::Arch;
use crate::fs::context::IoContext;
use crate::golang::elf::elf_machine;
use crate::inspect::contents::Contents;
use crate::inspect::image::{Image, Problem};
use object::elf::{DT_RPATH, DT_RUNPATH};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Directories that the loader searches besides those in the program. Source: ld.so(8); Debian's
/// directories of an architecture are below these.
const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// Permission bits of `st_mode` for execution.
const EXECUTE: u32 = 0o111;

/// Size of the part of the ELF header that has the machine, in bytes.
const HEADER: u64 = 20;

/// The problem of a file with the start of an ELF file, but not its headers.
const DAMAGED: &str = "its ELF headers are damaged";

/// A program, and the directories that it is loaded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) arch: Arch,
    /// The directories with the loader and the shared libraries; empty for a static program.
    pub(super) libraries: BTreeSet<String>,
}

impl Program {
    /// Reads a program, and checks that it is one for an architecture.
    pub(super) fn read(path: &Path, expected: Option<Arch>) -> Result<Self, UnitError> {
        let refused = |problem| UnitError::NotAProgram {
            path: path.to_owned(),
            problem,
        };
        let metadata = path.metadata().context("read", path)?;
        if !metadata.is_file() {
            return Err(refused("it is not a regular file"));
        }
        let file = File::open(path).context("read", path)?;
        let contents = Contents::of_file(&file).context("read", path)?;
        let start = contents.read(0, metadata.len().min(4)).unwrap_or_default();
        if start.starts_with(b"#!") {
            return Err(refused(
                "it is a script, whose interpreter could run any code",
            ));
        }
        if !Image::is_elf(&contents) {
            return Err(refused("it is not an ELF file"));
        }
        if metadata.permissions().mode() & EXECUTE == 0 {
            return Err(refused("it is not executable"));
        }
        let start = contents.read(0, HEADER).unwrap_or_default();
        let machine = elf_machine(&start).ok_or_else(|| refused(DAMAGED))?;
        let found = Arch::ALL
            .into_iter()
            .find(|arch| arch.elf_machine() == machine);
        let arch = found
            .filter(|arch| expected.is_none_or(|expected| expected == *arch))
            .ok_or_else(|| UnitError::Arch {
                path: path.to_owned(),
                found: found.map_or_else(
                    || format!("the ELF machine {machine}"),
                    |arch| arch.to_string(),
                ),
                expected,
            })?;
        let image = Image::read(&contents).map_err(|_| refused(DAMAGED))?;
        let libraries = libraries(&image, &contents).map_err(|_| refused(DAMAGED))?;
        Ok(Self { arch, libraries })
    }
}

/// Returns the directories from which a program is loaded, besides its own file: those of the loader,
/// those that every loader searches, and those that the program names.
fn libraries(image: &Image, contents: &Contents<'_>) -> Result<BTreeSet<String>, Problem> {
    let mut directories = BTreeSet::new();
    let Some(interpreter) = image.interpreter(contents)? else {
        return Ok(directories);
    };
    directories.extend(LIBRARIES.map(str::to_owned));
    let folder = interpreter.rsplit_once('/').map(|(folder, _)| folder);
    directories.extend(folder.map(str::to_owned));
    for tag in [DT_RPATH, DT_RUNPATH] {
        let lists = image.texts(contents, tag)?;
        let words = lists.iter().flat_map(|list| list.split(':'));
        directories.extend(words.map(str::to_owned));
    }
    // An empty entry and one that starts with `$ORIGIN` are no absolute paths.
    directories.retain(|path| path.starts_with('/'));
    Ok(directories)
}
