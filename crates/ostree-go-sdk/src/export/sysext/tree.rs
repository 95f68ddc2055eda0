//! The content of a system extension, written as a tar archive or as a directory.

use super::{SysextError, SysextForm};
use crate::export::ExportError;
use crate::export::std_cache::StdCacheTree;
use crate::export::tree::{Leaf, Node, Tree, read_leaf};
use crate::fs::context::IoContext;
use crate::fs::path::TreePath;
use crate::id::{CommitId, FileId};
use crate::object::AnyHeader;
use crate::process::InputError;
use crate::progress::{Event, Phase, Progress};
use crate::repo::Repo;
use ::tar::{Builder, EntryType, Header};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// `S_IFDIR | 0755`, `S_IFREG | 0644` of stat(2).
const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_644;

/// The content of an extension by path; directories precede their content.
pub(super) struct Parts {
    entries: BTreeMap<TreePath, Part>,
    pub(super) left_out: Vec<TreePath>,
}

enum Part {
    Directory {
        mode: u32,
    },
    Leaf(FileId),
    /// A file of the extension itself, like its `extension-release`.
    Text(String),
}

/// Files of an extension with std caches: a shell script, and a link to it from where shells look. An
/// extension cannot have files in `/etc`, but systemd-tmpfiles runs after the extensions are merged at
/// boot. While the extension is not merged, the link has no target, and shells pass over it.
const PROFILE: (&str, &str) = (
    "usr/lib/sdk/stdcache/profile.sh",
    "# Go finds the compiled standard library of the system extension.\n\
     if [ -z \"${GOCACHEPROG-}\" ] && command -v ostree-go >/dev/null 2>&1; then\n    \
         export GOCACHEPROG=\"ostree-go cacheprog\"\n\
     fi\n",
);
const TMPFILES: (&str, &str) = (
    "usr/lib/tmpfiles.d/ostree-go-stdcache.conf",
    "L /etc/profile.d/ostree-go-stdcache.sh - - - - ../../usr/lib/sdk/stdcache/profile.sh\n",
);

impl Parts {
    /// Collects the files of a commit's tree and the `extension-release` file.
    pub(super) fn read(
        repo: &Repo,
        commit: CommitId,
        names: &[&String],
        release: String,
        leave_out: bool,
    ) -> Result<Self, SysextError> {
        let mut own: Vec<TreePath> = Vec::new();
        for name in names {
            let path = format!("usr/lib/extension-release.d/extension-release.{name}");
            own.push(path.parse().map_err(|_| SysextError::Name {
                path: name.into(),
                form: SysextForm::Directory,
            })?);
        }
        let mut entries = BTreeMap::new();
        let mut left_out = Vec::new();
        for (path, node) in Tree::read(repo, commit)?.entries {
            let top = path.components().next();
            match (top, node) {
                (Some("usr" | "opt"), Node::Leaf(_))
                    if path.as_str() == "usr/lib/os-release" || own.contains(&path) =>
                {
                    return Err(SysextError::Path {
                        commit,
                        path,
                        problem: "no extension may bring its own",
                    });
                }
                (Some("usr" | "opt"), Node::Leaf(id)) => {
                    entries.insert(path, Part::Leaf(id));
                }
                (Some("usr" | "opt"), Node::Directory { mode }) => {
                    entries.insert(path, Part::Directory { mode });
                }
                (_, Node::Leaf(_)) if leave_out => left_out.push(path),
                (_, Node::Leaf(_)) => {
                    return Err(SysextError::Path {
                        commit,
                        path,
                        problem: "only /usr and /opt are merged",
                    });
                }
                (_, Node::Directory { .. }) => {}
            }
        }
        let mut parts = Self { entries, left_out };
        for own in own {
            parts.add_text(own, release.clone());
        }
        Ok(parts)
    }

    /// Adds the trees of std caches, and the files that make shells use them.
    pub(super) fn add_std_caches(&mut self, caches: &[StdCacheTree]) {
        if caches.is_empty() {
            return;
        }
        for (path, node) in caches.iter().flat_map(|cache| &cache.tree.entries) {
            let part = match *node {
                Node::Directory { mode } => Part::Directory { mode },
                Node::Leaf(id) => Part::Leaf(id),
            };
            self.entries.entry(path.clone()).or_insert(part);
        }
        for (path, text) in [PROFILE, TMPFILES] {
            self.add_text(TreePath::from_trusted(path.to_owned()), text.to_owned());
        }
    }

    /// Adds a file with its directories.
    fn add_text(&mut self, path: TreePath, text: String) {
        let mut parent = path.parent();
        while let Some(folder) = parent {
            parent = folder.parent();
            let mode = DIRECTORY;
            let directory = Part::Directory { mode };
            self.entries.entry(folder).or_insert(directory);
        }
        self.entries.insert(path, Part::Text(text));
    }

    /// Returns the number of files and symlinks.
    pub(super) fn files(&self) -> u64 {
        let is_file = |part: &&Part| !matches!(part, Part::Directory { .. });
        self.entries.values().filter(is_file).count() as u64
    }

    /// Reads all parts in order.
    fn each<E: From<ExportError>>(
        &self,
        repo: &Repo,
        commit: CommitId,
        progress: &dyn Progress,
        mut each: impl FnMut(&TreePath, &Leaf) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut done, item) = (0, commit.to_string());
        for (path, part) in &self.entries {
            if progress.is_cancelled() {
                return Err(ExportError::Cancelled { commit }.into());
            }
            let leaf = match part {
                Part::Directory { mode } => regular_file(*mode, Vec::new()),
                Part::Text(text) => regular_file(FILE, text.clone().into_bytes()),
                Part::Leaf(id) => read_leaf(repo, path, *id)?,
            };
            each(path, &leaf)?;
            done += leaf.content.len() as u64;
            progress.event(&Event::Advanced {
                phase: Phase::Export,
                item: &item,
                done,
                total: None,
            });
        }
        progress.event(&Event::Finished {
            phase: Phase::Export,
            item: &item,
        });
        Ok(())
    }
}

fn regular_file(mode: u32, content: Vec<u8>) -> Leaf {
    let header = AnyHeader {
        uid: 0,
        gid: 0,
        mode,
        target: String::new(),
        xattrs: Default::default(),
    };
    Leaf { header, content }
}

fn is_directory(leaf: &Leaf) -> bool {
    leaf.header.mode & 0o170_000 == DIRECTORY & 0o170_000
}

impl From<ExportError> for InputError<ExportError> {
    fn from(error: ExportError) -> Self {
        Self::Source(error)
    }
}

/// Writes a tar archive for a program to read.
pub(super) fn write_archive(
    repo: &Repo,
    commit: CommitId,
    parts: &Parts,
    time: u64,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<(), InputError<ExportError>> {
    let mut tar = Builder::new(out);
    parts.each(repo, commit, progress, |path, leaf| {
        let mut header = Header::new_ustar();
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(leaf.header.mode & 0o7777);
        header.set_size(leaf.content.len() as u64);
        if is_directory(leaf) {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, format!("{path}/"), io::empty())?;
        } else if leaf.header.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, path.as_str(), &leaf.header.target)?;
        } else {
            header.set_entry_type(EntryType::Regular);
            tar.append_data(&mut header, path.as_str(), leaf.content.as_slice())?;
        }
        Ok::<_, InputError<ExportError>>(())
    })?;
    Ok(tar.finish()?)
}

/// Writes the tree into an empty directory, with the commit's time on everything; returns the total
/// size of files in bytes. The result is not durable yet.
pub(super) fn write_directory(
    repo: &Repo,
    commit: CommitId,
    parts: &Parts,
    time: u64,
    top: &Path,
    progress: &dyn Progress,
) -> Result<u64, ExportError> {
    let mut bytes = 0;
    let mut directories = vec![(top.to_owned(), 0o755)];
    parts.each(repo, commit, progress, |path, leaf| {
        let dest = top.join(path.as_str());
        let mode = leaf.header.mode & 0o7777;
        let written = if is_directory(leaf) {
            directories.push((dest.clone(), mode));
            fs::create_dir(&dest)
        } else if leaf.header.is_symlink() {
            std::os::unix::fs::symlink(&leaf.header.target, &dest)
                .and_then(|()| set_time(&dest, time))
        } else {
            bytes += leaf.content.len() as u64;
            fs::write(&dest, &leaf.content)
                .and_then(|()| fs::set_permissions(&dest, Permissions::from_mode(mode)))
                .and_then(|()| set_time(&dest, time))
        };
        written.context("write", dest).map_err(ExportError::from)
    })?;
    // Directories come last, children first, because writing into a directory changes its time.
    for (directory, mode) in directories.iter().rev() {
        fs::set_permissions(directory, Permissions::from_mode(*mode))
            .and_then(|()| set_time(directory, time))
            .context("write", directory)?;
    }
    Ok(bytes)
}

fn set_time(path: &Path, seconds: u64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}
