//! The files of a toolchain module, in the order of its zip file.

use super::error::ToolchainModuleError;
use super::object::Content;
use super::zip_format::{self, CENTRAL, END, Header, LOCAL, MAX_FILES};
use crate::golang::env::GoEnv;
use crate::golang::h1::{H1, H1Builder};
use crate::golang::toolchain::{is_executable, module_entry};
use crate::id::CommitId;
use crate::object::{EXECUTABLE_MODE, FILE_MODE};
use crate::repo::Repo;
use crate::upstream::content::{GO_ENV, Tree, inside};
use std::io::Write;

/// The largest size of a module's files, and of its zip file, in bytes. Source: `MaxZipFile` in
/// `golang.org/x/mod/zip`.
const MAX_BYTES: u64 = 500 << 20;
/// The largest `go.env` that is read, in bytes; Go's own has less than 1 KiB.
const MAX_GO_ENV: u64 = 1 << 20;

/// The files of a toolchain module, whose content has been verified.
#[derive(Debug)]
pub(super) struct Layout {
    /// The files, sorted by name.
    entries: Vec<Entry>,
    size: u64,
}

/// A file of the module.
#[derive(Debug)]
struct Entry {
    /// The name in the zip file.
    name: String,
    executable: bool,
    content: Content,
    /// The size in the zip file, and the size of the content.
    sizes: (u32, u32),
    /// The position of the local header.
    offset: u32,
}

impl Layout {
    /// Reads all files of a release, and compares their hash with the expected one.
    pub(super) fn read(
        repo: &Repo,
        commit: CommitId,
        folder: &str,
        expected: H1,
    ) -> Result<Self, ToolchainModuleError> {
        let tree = Tree::read(repo, commit)?;
        let prefix = tree.prefix(commit)?;
        let files = tree.files.iter().filter_map(|(path, id)| {
            let inside = inside(&prefix, path)?;
            Some((module_entry(folder, &inside)?, inside, path, *id))
        });
        let mut named = Vec::new();
        let mut go_env = None;
        for (name, inside, path, id) in files {
            let executable = is_executable(&inside);
            let content = Content::read(repo, path, id, executable)?;
            if inside.as_str() == GO_ENV {
                let bytes = repo.file(id)?.read_to_end(MAX_GO_ENV)?;
                go_env = GoEnv::parse(&bytes).ok().map(|env| (named.len(), env));
            }
            named.push((name, executable, content));
        }
        let found = hash(&named);
        if found != expected {
            // A treefile may have changed settings; the hash tells whether these were the only changes.
            if let Some((at, changed)) = go_env {
                let original = changed.before_set().to_string();
                named[at].2 = Content::of_bytes(original.into_bytes());
            }
            if hash(&named) != expected {
                return Err(ToolchainModuleError::Differs {
                    commit,
                    module: folder.into(),
                    found,
                    expected,
                });
            }
        }
        Self::arrange(commit, named)
    }

    /// Sorts the files, and computes their positions.
    fn arrange(
        commit: CommitId,
        mut named: Vec<(String, bool, Content)>,
    ) -> Result<Self, ToolchainModuleError> {
        named.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let bytes = named.iter().map(|(.., content)| content.size).sum();
        let files = named.len();
        let too_large = || ToolchainModuleError::TooLarge {
            commit,
            files,
            bytes,
            max_files: MAX_FILES,
            max_bytes: MAX_BYTES,
        };
        if files > MAX_FILES || bytes > MAX_BYTES {
            return Err(too_large());
        }
        let (mut offset, mut directory) = (0, 0);
        let mut entries = Vec::with_capacity(files);
        for (name, executable, content) in named {
            let length = name.len() as u64;
            let fits = |number: u64| u32::try_from(number).map_err(|_| too_large());
            let entry = Entry {
                sizes: (fits(content.packed)?, fits(content.size)?),
                offset: fits(offset)?,
                name,
                executable,
                content,
            };
            offset += LOCAL + length + entry.content.packed;
            directory += CENTRAL + length;
            entries.push(entry);
        }
        let size = offset + directory + END;
        if size > MAX_BYTES {
            return Err(too_large());
        }
        Ok(Self { entries, size })
    }

    /// Returns the size of the zip file in bytes.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Writes the zip file.
    pub(super) fn write(
        &self,
        repo: &Repo,
        out: &mut dyn Write,
    ) -> Result<(), ToolchainModuleError> {
        let mut directory = Vec::new();
        let mut offset = 0;
        for entry in &self.entries {
            let header = entry.header();
            let local = header.local();
            out.write_all(&local).map_err(ToolchainModuleError::Write)?;
            entry.content.data.write(repo, entry.executable, out)?;
            directory.extend(header.central(entry.offset));
            offset += local.len() as u64 + entry.content.packed;
        }
        // `arrange` has checked that all of them fit.
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let files = u16::try_from(self.entries.len()).unwrap_or(u16::MAX);
        let end = zip_format::end(files, number(directory.len() as u64), number(offset));
        for bytes in [directory, end] {
            out.write_all(&bytes).map_err(ToolchainModuleError::Write)?;
        }
        Ok(())
    }
}

impl Entry {
    fn header(&self) -> Header<'_> {
        let (packed, size) = self.sizes;
        Header {
            name: &self.name,
            mode: match self.executable {
                true => EXECUTABLE_MODE,
                false => FILE_MODE,
            },
            is_deflated: self.content.is_deflated(),
            crc32: self.content.crc32,
            packed,
            size,
        }
    }
}

fn hash(named: &[(String, bool, Content)]) -> H1 {
    let mut h1 = H1Builder::new();
    for (name, _, content) in named {
        h1.add(name, content.sha256);
    }
    h1.finish()
}
