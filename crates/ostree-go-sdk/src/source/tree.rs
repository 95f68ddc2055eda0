//! The entries of a source read so far, and the checks for the next one.

use std::collections::HashMap;

use super::{EntryProblem, Limits, SourceError};
use crate::fs::path::{InvalidPath, TreePath};
use crate::golang::toolchain;

/// Maximum total length of all names in bytes. Go's names have one million.
const NAMES: u64 = 64 << 20;

/// The entries of a source, by path in the SDK.
pub struct Tree<'a> {
    pub location: &'a str,
    pub limits: Limits,
    module: &'a str,
    top: Top,
    seen: HashMap<String, Seen>,
    others: u64,
    names: u64,
    bytes: u64,
}

/// The folder that contains everything in an archive.
enum Top {
    /// The source is a directory and has no top folder.
    None,
    /// The first entry has not been read yet.
    Unknown,
    Folder(String),
    Module,
    /// The folder of any module, with `@` and its version, which may have several components.
    AnyModule,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// A folder that is only implied by the names of other entries.
    Implied,
    Folder,
    File,
    Link,
}

impl<'a> Tree<'a> {
    /// Creates an empty tree. `module` is the required top folder for the module form.
    pub fn new(location: &'a str, limits: Limits, module: &'a str) -> Self {
        Self {
            location,
            limits,
            module,
            top: Top::Unknown,
            seen: HashMap::new(),
            others: 0,
            names: 0,
            bytes: 0,
        }
    }

    /// Changes the tree to one for sources whose entries have no common top folder.
    pub fn without_top(mut self) -> Self {
        self.top = Top::None;
        self
    }

    /// Changes the tree to one for the zip of any module, whose files keep their names.
    pub fn in_module(mut self) -> Self {
        self.top = Top::AnyModule;
        self
    }

    /// Returns an error about an entry.
    pub fn refuse(&self, entry: &str, problem: EntryProblem) -> SourceError {
        SourceError::Entry {
            location: self.location.to_owned(),
            entry: entry.to_owned(),
            problem,
        }
    }

    /// Adds a folder, which may be the top folder or one of its parents.
    pub fn folder(&mut self, name: &[u8]) -> Result<(), EntryProblem> {
        let name = name.strip_suffix(b"/").unwrap_or(name);
        let path = self.sdk_path(name)?;
        match &path {
            Some(path) => self.add(path, Seen::Folder),
            None => Ok(()),
        }
    }

    /// Adds a file and returns its path.
    pub fn file(&mut self, name: &[u8], size: u64) -> Result<TreePath, EntryProblem> {
        let path = self.sdk_path(name)?.ok_or(EntryProblem::NoTop)?;
        self.add(&path, Seen::File)?;
        let limit = self.limits.bytes;
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > limit {
            return Err(EntryProblem::TooLarge { limit });
        }
        Ok(path)
    }

    /// Adds a symlink.
    pub fn symlink(
        &mut self,
        name: &[u8],
        target: &[u8],
    ) -> Result<(TreePath, String), EntryProblem> {
        let path = self.sdk_path(name)?.ok_or(EntryProblem::NoTop)?;
        let leaves = || EntryProblem::LinkLeaves {
            target: String::from_utf8_lossy(target).into_owned(),
        };
        let target = std::str::from_utf8(target).map_err(|_| leaves())?;
        path.resolve_link(target).map_err(|_| leaves())?;
        // `..` after a name is relative to that name's target if it is a link itself.
        let mut parts = target.split('/').skip_while(|part| *part == "..");
        if parts.any(|part| part == "..") {
            return Err(leaves());
        }
        self.add(&path, Seen::Link)?;
        Ok((path, target.to_owned()))
    }

    /// Adds a hard link to an earlier file.
    pub fn hard_link(
        &mut self,
        name: &[u8],
        target: &[u8],
    ) -> Result<(TreePath, TreePath), EntryProblem> {
        let path = self.sdk_path(name)?.ok_or(EntryProblem::NoTop)?;
        let target_path = self
            .sdk_path(target)
            .ok()
            .flatten()
            .filter(|target| self.seen.get(target.as_str()) == Some(&Seen::File))
            .ok_or_else(|| EntryProblem::HardLink {
                target: String::from_utf8_lossy(target).into_owned(),
            })?;
        self.add(&path, Seen::File)?;
        Ok((path, target_path))
    }

    /// Counts an entry that is not part of the tree.
    pub fn count_other(&mut self) -> Result<(), EntryProblem> {
        self.others += 1;
        self.check_count()
    }

    fn check_count(&self) -> Result<(), EntryProblem> {
        let limit = self.limits.entries;
        if self.seen.len() as u64 + self.others > limit {
            return Err(EntryProblem::TooMany { limit });
        }
        Ok(())
    }

    /// Returns the path of an entry in the SDK; `None` for the top folder and its parents.
    fn sdk_path(&mut self, mut name: &[u8]) -> Result<Option<TreePath>, EntryProblem> {
        // `tar -c ./go` and `tar -C DIR -c .` write names with a leading `./`.
        while let Some(rest) = name.strip_prefix(b"./") {
            name = rest;
        }
        if name == b"." && !matches!(self.top, Top::None) {
            return Ok(None);
        }
        let path = TreePath::from_bytes(name).map_err(|e| EntryProblem::Path(e.problem))?;
        if let Top::None = self.top {
            return Ok(Some(path));
        }
        let text = path.as_str();
        if let Top::AnyModule = self.top {
            let inside = text.strip_prefix(self.module);
            if inside == Some("") {
                return Ok(None);
            }
            let inside = inside.and_then(|rest| rest.strip_prefix('/'));
            let inside = inside.ok_or_else(|| EntryProblem::OtherModule {
                expected: self.module.to_owned(),
            })?;
            let inside = TreePath::from_bytes(inside.as_bytes());
            return inside
                .map(Some)
                .map_err(|error| EntryProblem::Path(error.problem));
        }
        let (first, rest) = text.split_once('/').unwrap_or((text, ""));
        let (module_host, module_name) = self.module.split_once('/').unwrap_or_default();
        if let Top::Unknown = self.top {
            self.top = if first == module_host {
                Top::Module
            } else {
                Top::Folder(first.to_owned())
            };
        }
        let inside = match &self.top {
            Top::Module if first == module_host => {
                let (second, rest) = rest.split_once('/').unwrap_or((rest, ""));
                if !second.is_empty() && second != module_name {
                    return Err(EntryProblem::OtherModule {
                        expected: self.module.to_owned(),
                    });
                }
                toolchain::sdk_path(rest)
            }
            Top::Folder(top) if top == first => rest.to_owned(),
            Top::Folder(top) => return Err(EntryProblem::OutsideTop { top: top.clone() }),
            _ => {
                return Err(EntryProblem::OutsideTop {
                    top: self.module.to_owned(),
                });
            }
        };
        if inside.is_empty() {
            return Ok(None);
        }
        inside
            .parse()
            .map(Some)
            .map_err(|e: InvalidPath| EntryProblem::Path(e.problem))
    }

    fn add(&mut self, path: &TreePath, kind: Seen) -> Result<(), EntryProblem> {
        let text = path.as_str();
        for (end, _) in text.match_indices('/') {
            let parent = &text[..end];
            match self.seen.get(parent) {
                Some(Seen::Implied | Seen::Folder) => {}
                Some(Seen::File | Seen::Link) => {
                    return Err(EntryProblem::NotAFolder {
                        path: parent.to_owned(),
                    });
                }
                None => self.remember(parent, Seen::Implied)?,
            }
        }
        match (self.seen.get(text), kind) {
            (None, _) | (Some(Seen::Implied), Seen::Folder) => self.remember(text, kind),
            (Some(Seen::Implied), _) => Err(EntryProblem::NotAFolder {
                path: text.to_owned(),
            }),
            (Some(Seen::Folder), Seen::File | Seen::Link)
            | (Some(Seen::File | Seen::Link), Seen::Folder) => Err(EntryProblem::NotAFolder {
                path: text.to_owned(),
            }),
            (Some(_), _) => Err(EntryProblem::Duplicate),
        }
    }

    fn remember(&mut self, path: &str, kind: Seen) -> Result<(), EntryProblem> {
        if self.seen.insert(path.to_owned(), kind).is_some() {
            return Ok(());
        }
        self.names += path.len() as u64;
        if self.names > NAMES {
            return Err(EntryProblem::Names { limit: NAMES });
        }
        self.check_count()
    }
}
