//! The properties of a program that decide how it is loaded.

use super::contents::Contents;
use super::image::{Image, Problem};
use object::elf::{self, DynamicTag};
use std::fmt;

/// Names of the sections with debugging information; older linkers compressed it under the second one.
const DEBUG_INFO: [&str; 2] = [".debug_info", ".zdebug_info"];

/// The properties of a program that decide how it is loaded. They are read from the segments and the
/// dynamic entries, which the kernel and the loader use. Sections are not considered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loading {
    /// The kind of program.
    pub kind: BinaryKind,
    /// The path of the loader (`PT_INTERP`); `None` if the kernel loads the program alone.
    pub interpreter: Option<String>,
    /// The names of the shared libraries that it needs (`DT_NEEDED`).
    pub needed: Vec<String>,
    /// The directories in `DT_RPATH`.
    pub rpath: Vec<String>,
    /// The directories in `DT_RUNPATH`.
    pub runpath: Vec<String>,
    /// The loaded segments that can be both written and executed.
    pub writable_code: Vec<WritableCode>,
    /// True if the stack can be executed (`PT_GNU_STACK`); `None` if the program leaves that to the
    /// kernel and the loader.
    pub executable_stack: Option<bool>,
    /// The data that is made read-only after the program has been loaded.
    pub relro: Relro,
}

/// A segment that can be both written and executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WritableCode {
    /// The address.
    pub address: u64,
    /// The size in memory, in bytes.
    pub bytes: u64,
}

/// The kind of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BinaryKind {
    /// A program at a fixed address.
    Executable,
    /// A position-independent program, which is loaded at a random address.
    Pie,
    /// A shared library or a plugin.
    SharedLibrary,
}

/// The data that is made read-only after the program has been loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Relro {
    /// None.
    None,
    /// All except the addresses of functions in shared libraries, which are looked up later.
    Partial,
    /// All (`DF_BIND_NOW` or `DF_1_NOW`, or no dynamic segment).
    Full,
}

impl BinaryKind {
    /// Returns the kind as a stable lower-case word: `executable`, `pie` or `shared-library`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::Pie => "pie",
            Self::SharedLibrary => "shared-library",
        }
    }

    /// Returns the kind; `None` for a file that cannot be loaded, such as an object file. As in
    /// binutils, a position-independent program has the flag `DF_1_PIE`, or else a loader.
    pub(super) fn of(image: &Image, contents: &Contents<'_>) -> Result<Option<Self>, Problem> {
        let is_pie = has_flag(image, elf::DT_FLAGS_1, elf::DF_1_PIE.0);
        Ok(match image.kind {
            elf::ET_EXEC => Some(Self::Executable),
            elf::ET_DYN if is_pie || image.interpreter(contents)?.is_some() => Some(Self::Pie),
            elf::ET_DYN => Some(Self::SharedLibrary),
            _ => None,
        })
    }
}

impl Relro {
    /// Returns the extent as a stable lower-case word: `none`, `partial` or `full`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Partial => "partial",
            Self::Full => "full",
        }
    }

    fn of(image: &Image) -> Self {
        let binds_now = image.dynamic.is_none()
            || image.values(elf::DT_BIND_NOW).next().is_some()
            || has_flag(image, elf::DT_FLAGS, elf::DF_BIND_NOW.0)
            || has_flag(image, elf::DT_FLAGS_1, elf::DF_1_NOW.0);
        match image.segment(elf::PT_GNU_RELRO) {
            None => Self::None,
            Some(_) if binds_now => Self::Full,
            Some(_) => Self::Partial,
        }
    }
}

impl fmt::Display for BinaryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Relro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Loading {
    pub(super) fn of(
        kind: BinaryKind,
        image: &Image,
        contents: &Contents<'_>,
    ) -> Result<Self, Problem> {
        let directories = |tag| -> Result<Vec<String>, Problem> {
            let lists = image.texts(contents, tag)?;
            let words = lists.iter().flat_map(|list| list.split(':'));
            Ok(words.map(str::to_owned).collect())
        };
        let writable_code = image
            .loaded()
            .filter(|segment| segment.has(elf::PF_W) && segment.has(elf::PF_X));
        let stack = image.segment(elf::PT_GNU_STACK);
        Ok(Self {
            kind,
            interpreter: image.interpreter(contents)?,
            needed: image.texts(contents, elf::DT_NEEDED)?,
            rpath: directories(elf::DT_RPATH)?,
            runpath: directories(elf::DT_RUNPATH)?,
            writable_code: writable_code
                .map(|segment| WritableCode {
                    address: segment.address,
                    bytes: segment.size_in_memory,
                })
                .collect(),
            executable_stack: stack.map(|stack| stack.has(elf::PF_X)),
            relro: Relro::of(image),
        })
    }

    /// Returns true if nothing but the program itself is loaded: it has no loader and needs no library.
    #[must_use]
    pub fn is_static(&self) -> bool {
        self.interpreter.is_none() && self.needed.is_empty()
    }
}

/// Returns true if the file has a symbol table, besides that of the loader.
pub(super) fn has_symbols(image: &Image) -> bool {
    let mut sections = image.sections.iter();
    sections.any(|section| section.kind == elf::SHT_SYMTAB)
}

/// Returns true if the file has debugging information.
pub(super) fn has_debug_info(image: &Image) -> bool {
    let mut sections = image.sections.iter();
    sections.any(|section| section.is_in_file() && DEBUG_INFO.contains(&&*section.name))
}

/// Returns true if the value of a tag has a flag.
fn has_flag(image: &Image, tag: DynamicTag, flag: u64) -> bool {
    image.values(tag).any(|value| value & flag != 0)
}
