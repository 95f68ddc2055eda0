//! Zip files and directories of Go modules: their files, and the hashes that `go.sum` has of them.
//!
//! A zip file is not trusted. It is accepted if the go command accepts it: all names begin with
//! `module@version/` and are valid on all systems, no two of them are equal or differ only in case, and
//! zip file and content have at most 500 MB each. Content is read once and never written.
//!
//! Source of the rules: `golang.org/x/mod/zip` (`checkZip`), and `golang.org/x/mod/sumdb/dirhash`.

mod directory;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod names;
#[cfg(test)]
mod tests;

pub use directory::hash_directory;
pub use error::{ModuleZipError, ModuleZipProblem};

use crate::fs::context::IoContext;
use crate::fs::digest;
use crate::golang::h1::{H1, H1Builder};
use crate::golang::module_path::{is_module_path, other_major, split_major};
use crate::golang::semver::Semver;
use crate::id::Sha256;
use crate::progress::NoProgress;
use crate::source::zip::duplicate_name;
use names::Names;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

/// The largest zip file, and the largest total size of its files, in bytes. Source: `MaxZipFile` in
/// `golang.org/x/mod/zip`.
const MAX_ZIP: u64 = 500 << 20;

/// The largest `go.mod` or `LICENSE` file in the top directory, in bytes. Source: `MaxGoMod` and
/// `MaxLICENSE` in `golang.org/x/mod/zip`.
const MAX_GO_MOD: u64 = 16 << 20;

/// The file type in a Unix mode, which zip keeps in the external attributes.
const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;

/// The content of a module's zip file, which has been read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleZip {
    files: BTreeMap<String, Sha256>,
    h1: H1,
}

impl ModuleZip {
    /// Reads the zip file of a module, and hashes all of its files.
    ///
    /// # Errors
    /// Returns [`ModuleZipError::Module`] if the path or the version is invalid,
    /// [`ModuleZipError::Entry`] if an entry is not allowed, and another error if the file cannot be
    /// read, is damaged or too large.
    pub fn open(path: &Path, module: &str, version: &str) -> Result<Self, ModuleZipError> {
        let file = File::open(path).context("open", path)?;
        Self::read(file, path, module, version)
    }

    /// Reads an open zip file. `path` is its name in errors.
    pub(crate) fn read(
        file: File,
        path: &Path,
        module: &str,
        version: &str,
    ) -> Result<Self, ModuleZipError> {
        if !is_module_version(module, version) {
            return Err(ModuleZipError::Module {
                module: module.to_owned(),
                version: version.to_owned(),
            });
        }
        let found = file.metadata().context("read", path)?.len();
        if found > MAX_ZIP {
            return Err(ModuleZipError::TooLarge {
                path: path.to_owned(),
                found,
                limit: MAX_ZIP,
            });
        }
        let mut reader = Reader {
            path,
            prefix: format!("{module}@{version}/"),
            names: Names::default(),
            files: BTreeMap::new(),
            builder: H1Builder::new(),
            size: 0,
        };
        reader.read(file)?;
        Ok(Self {
            files: reader.files,
            h1: reader.builder.finish(),
        })
    }

    /// Returns the SHA-256 digests of the files by their names below `module@version/`. Directories
    /// are not included.
    #[must_use]
    pub const fn files(&self) -> &BTreeMap<String, Sha256> {
        &self.files
    }

    /// Returns the hash of the module, as in `go.sum`.
    #[must_use]
    pub const fn h1(&self) -> H1 {
        self.h1
    }
}

/// Returns the hash of a `go.mod` file, as in the lines of `go.sum` whose version ends in `/go.mod`.
#[must_use]
pub fn hash_go_mod(bytes: &[u8]) -> H1 {
    let mut builder = H1Builder::new();
    builder.add("go.mod", digest::of(bytes));
    builder.finish()
}

/// Returns true for a module that can have a zip file (`module.Check`).
fn is_module_version(module: &str, version: &str) -> bool {
    let is_canonical =
        Semver::parse(version).is_some_and(|parsed| parsed.canonical_in_go_mod() == version);
    let is_allowed =
        split_major(module).is_some_and(|(_, major)| other_major(version, major).is_none());
    is_module_path(module) && is_canonical && is_allowed
}

struct Reader<'a> {
    path: &'a Path,
    prefix: String,
    names: Names,
    files: BTreeMap<String, Sha256>,
    builder: H1Builder,
    /// The size of all files so far.
    size: u64,
}

impl Reader<'_> {
    fn read(&mut self, file: File) -> Result<(), ModuleZipError> {
        let archive = ZipArchive::new(BufReader::new(file));
        let mut archive = archive.map_err(|error| self.damaged(None, error))?;
        // The archive has only one of several entries with equal names.
        if archive.has_duplicate_names() {
            let start = archive.central_directory_start();
            let name = duplicate_name(&mut archive.into_inner(), start);
            let name = name.context("read", self.path)?;
            return Err(self.refuse(&name, ModuleZipProblem::Repeated));
        }
        for index in 0..archive.len() {
            let data = archive.by_index_data(index);
            let data = data.map_err(|error| self.damaged(None, error))?;
            let kind = (data.external_attributes() >> 16) & S_IFMT;
            let entry = archive.by_index(index);
            let entry = entry.map_err(|error| self.damaged(None, error))?;
            self.entry(entry, kind)?;
        }
        Ok(())
    }

    fn entry<R: Read>(
        &mut self,
        mut entry: ZipFile<'_, R>,
        kind: u32,
    ) -> Result<(), ModuleZipError> {
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let declared = entry.size();
        let checked = std::str::from_utf8(entry.name_raw())
            .map_err(|_| ModuleZipProblem::Name)
            .and_then(|_| self.check(&name, declared, kind));
        let file = checked.map_err(|problem| self.refuse(&name, problem))?;
        // More would be a mistake of the header, or an attack.
        let mut content = (&mut entry).take(declared.saturating_add(1));
        let hashed = digest::hash(&mut content, &name, Some(declared), &NoProgress);
        let hashed = hashed.map_err(|error| self.damaged(Some(&name), error.into()))?;
        // There is no progress that could be cancelled.
        let (hasher, found) = hashed.unwrap_or_default();
        if found != declared {
            return Err(self.refuse(&name, ModuleZipProblem::Size { found, declared }));
        }
        let sha256 = digest::finish(hasher);
        // The hash of a module includes directories that are entries of their own.
        self.builder.add(&name, sha256);
        if let Some(file) = file {
            self.files.insert(file, sha256);
        }
        Ok(())
    }

    /// Checks an entry, and returns the name of a file below the prefix; `None` for a directory.
    fn check(
        &mut self,
        name: &str,
        size: u64,
        kind: u32,
    ) -> Result<Option<String>, ModuleZipProblem> {
        let Some(name) = name.strip_prefix(&self.prefix) else {
            return Err(ModuleZipProblem::Prefix {
                expected: self.prefix.as_str().into(),
            });
        };
        let directory = name.strip_suffix('/');
        if name.is_empty() || directory.is_some() {
            if size != 0 {
                return Err(ModuleZipProblem::DirectoryContent);
            }
            if ![0, S_IFDIR].contains(&kind) {
                return Err(ModuleZipProblem::Special);
            }
            if let Some(directory) = directory {
                self.names.add(directory, true)?;
            }
            return Ok(None);
        }
        if ![0, S_IFREG].contains(&kind) {
            return Err(ModuleZipProblem::Special);
        }
        self.names.add(name, false)?;
        let base = name.rsplit('/').next().unwrap_or(name);
        if base.eq_ignore_ascii_case("go.mod") && name != "go.mod" {
            return Err(ModuleZipProblem::GoMod);
        }
        self.size = self.size.saturating_add(size);
        if self.size > MAX_ZIP {
            return Err(ModuleZipProblem::TooLarge { limit: MAX_ZIP });
        }
        if ["go.mod", "LICENSE"].contains(&name) && size > MAX_GO_MOD {
            return Err(ModuleZipProblem::TooLarge { limit: MAX_GO_MOD });
        }
        Ok(Some(name.to_owned()))
    }

    fn refuse(&self, entry: &str, problem: ModuleZipProblem) -> ModuleZipError {
        ModuleZipError::Entry {
            path: self.path.to_owned(),
            entry: entry.into(),
            problem,
        }
    }

    fn damaged(&self, entry: Option<&str>, error: ZipError) -> ModuleZipError {
        ModuleZipError::Damaged {
            path: self.path.to_owned(),
            entry: entry.map(Into::into),
            source: error.into(),
        }
    }
}
