//! Reading a program.

use super::contents::Contents;
use super::error::InspectError;
use super::image::Image;
use super::loading::{self, BinaryKind, Loading};
use super::{build_info, functions};
use crate::arch::Arch;
use crate::fs::context::{IoContext, IoFailure};
use crate::golang::build_info::BuildInfo;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A function of `net/http/pprof`, which its `init` registers, so that the linker keeps it in each
/// program that imports the package.
pub(super) const PPROF: &str = "net/http/pprof.Index";

/// A program, or a shared library, that Go has built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Binary {
    /// The file.
    pub path: PathBuf,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The architecture; `None` if Go SDKs are not composed for it.
    pub arch: Option<Arch>,
    /// `e_machine` of the ELF header, which names the architecture: 62 for x86-64.
    pub machine: u16,
    /// The properties that decide how the program is loaded.
    pub loading: Loading,
    /// True if the file has a symbol table. The linker omits it with `-s`.
    pub has_symbols: bool,
    /// True if the file has debugging information (DWARF). The linker omits it with `-w`, and since Go
    /// 1.22 with `-s`.
    pub has_debug_info: bool,
    /// The build information.
    pub build: BuildInfo,
    /// True if `net/http/pprof` is linked into the program; `None` if the names of its functions cannot
    /// be found.
    pub has_pprof: Option<bool>,
}

impl Binary {
    /// Reads a program from a regular file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, if it is not an ELF program or shared library, if
    /// Go has not built it, or if it is damaged.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, InspectError> {
        let path = path.into();
        // Opening a named pipe would wait for a writer.
        let metadata = path.metadata().context("read", &path)?;
        if !metadata.is_file() {
            let problem = "it is not a regular file";
            return Err(InspectError::NotAProgram { path, problem });
        }
        let file = File::open(&path).context("read", &path)?;
        let contents = Contents::of_file(&file).context("read", &path)?;
        let binary = Self::read(&path, &contents);
        match contents.failure() {
            Some(failure) => Err(IoFailure::new("read", path, failure).into()),
            None => binary,
        }
    }

    /// Reads a program from memory, for example from an archive. The path is only a name, for errors.
    ///
    /// # Errors
    /// Returns an error under the conditions of [`Binary::open`].
    pub fn from_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> Result<Self, InspectError> {
        Self::read(path.as_ref(), &Contents::of_bytes(bytes))
    }

    fn read(path: &Path, contents: &Contents<'_>) -> Result<Self, InspectError> {
        let refused = |problem| InspectError::NotAProgram {
            path: path.to_owned(),
            problem,
        };
        let damaged = |problem: &str| InspectError::Damaged {
            path: path.to_owned(),
            problem: problem.to_owned(),
        };
        if !Image::is_elf(contents) {
            return Err(refused("it is not an ELF file"));
        }
        let image = Image::read(contents).map_err(damaged)?;
        let kind = BinaryKind::of(&image, contents).map_err(damaged)?;
        let kind = kind.ok_or_else(|| refused("it is an object file or a memory image"))?;
        let raw = build_info::find(&image, contents).map_err(damaged)?;
        let raw = raw.ok_or_else(|| InspectError::NotGo {
            path: path.to_owned(),
        })?;
        let build = BuildInfo::parse(&raw.version, &raw.lines);
        Ok(Self {
            path: path.to_owned(),
            bytes: contents.length(),
            arch: Arch::ALL
                .into_iter()
                .find(|arch| arch.elf_machine() == image.machine),
            machine: image.machine,
            loading: Loading::of(kind, &image, contents).map_err(damaged)?,
            has_symbols: loading::has_symbols(&image),
            has_debug_info: loading::has_debug_info(&image),
            build: build.map_err(|error| damaged(&error.to_string()))?,
            has_pprof: functions::contains(&image, contents, PPROF),
        })
    }
}
