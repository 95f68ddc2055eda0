//! Reads how a program is loaded.

use super::UnitError;
use crate::arch::Arch;
use crate::fs::context::IoContext;
use crate::golang::elf::elf_machine;
use object::LittleEndian;
use object::elf::{DT_RPATH, DT_RUNPATH, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::read::{ReadCache, ReadRef};
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
        let cache = ReadCache::new(file);
        let start = cache.read_bytes_at(0, metadata.len().min(4));
        if start.is_ok_and(|start| start.starts_with(b"#!")) {
            return Err(refused(
                "it is a script, whose interpreter could run any code",
            ));
        }
        if !start.is_ok_and(|start| start == b"\x7fELF") {
            return Err(refused("it is not an ELF file"));
        }
        if metadata.permissions().mode() & EXECUTE == 0 {
            return Err(refused("it is not executable"));
        }
        let start = cache.read_bytes_at(0, HEADER).ok();
        let machine = start
            .and_then(elf_machine)
            .ok_or_else(|| refused(DAMAGED))?;
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
        // Both architectures are little-endian and have 64 bits.
        let damaged = |_| refused(DAMAGED);
        let header = FileHeader64::<LittleEndian>::parse(&cache).map_err(damaged)?;
        let libraries = libraries(header, &cache).map_err(damaged)?;
        Ok(Self { arch, libraries })
    }
}

/// Returns the directories from which a program is loaded, besides its own file: those of the loader,
/// those that every loader searches, and those that the program names.
fn libraries<'d>(
    header: &FileHeader64<LittleEndian>,
    data: impl ReadRef<'d>,
) -> object::Result<BTreeSet<String>> {
    let endian = LittleEndian;
    let mut directories = BTreeSet::new();
    for segment in header.program_headers(endian, data)? {
        if let Some(interpreter) = segment.interpreter(endian, data)? {
            let interpreter = String::from_utf8_lossy(interpreter);
            let folder = interpreter.rsplit_once('/').map(|(folder, _)| folder);
            directories.extend(LIBRARIES.map(str::to_owned));
            directories.extend(folder.map(str::to_owned));
        }
    }
    if directories.is_empty() {
        return Ok(directories);
    }
    let sections = header.sections(endian, data)?;
    if let Some((entries, strings)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, strings)?;
        for entry in entries {
            if [DT_RPATH, DT_RUNPATH].contains(&entry.tag(endian)) {
                let list = entry.string(endian, strings)?;
                let list = String::from_utf8_lossy(list);
                directories.extend(list.split(':').map(str::to_owned));
            }
        }
    }
    // An empty entry and one that starts with `$ORIGIN` are no absolute paths.
    directories.retain(|path| path.starts_with('/'));
    Ok(directories)
}
