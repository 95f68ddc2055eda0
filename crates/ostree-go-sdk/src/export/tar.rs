//! A tar archive of a release's tree.
//!
//! The format is POSIX ustar, with GNU's long names for paths of more than 100 bytes. Paths are
//! sorted, owners are numeric, and all times are the commit's.

use super::tree::{Node, Tree, read_leaf};
use super::writer::{Counted, Failure};
use super::{Compression, ExportError};
use crate::fs::context::IoContext;
use crate::fs::output::Output;
use crate::id::{CommitId, Sha256};
use crate::progress::{Event, NoProgress, Phase, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use ::tar::{Builder, EntryType, Header};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// Options of a tar export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TarOptions {
    compression: Compression,
    progress: Arc<dyn Progress>,
}

impl Default for TarOptions {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            progress: Arc::new(NoProgress),
        }
    }
}

impl TarOptions {
    setters! {
        /// Sets the compression. Default: none.
        compression: Compression;
        /// Sets the receiver of progress. Default: none.
        progress;
    }
}

/// An exported tar archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedTar {
    /// The size in bytes.
    pub bytes: u64,
    /// The SHA-256 of the archive.
    pub sha256: Sha256,
    /// The number of files and symlinks.
    pub files: u64,
}

/// Exports a commit's tree as a tar archive to `dest`, replacing an existing regular file. A FIFO, a
/// device or a symbolic link at `dest` is written to.
///
/// # Errors
/// Returns an error if an object is damaged or missing, or the file system fails. A regular file at
/// `dest` is unchanged then.
pub fn export_tar(
    repo: &Repo,
    commit: CommitId,
    dest: &Path,
    options: &TarOptions,
) -> Result<ExportedTar, ExportError> {
    let progress = options.progress.as_ref();
    let write = || -> Result<ExportedTar, ExportError> {
        let mut file = Output::create(dest, progress).context("write", dest)?;
        let written = write_tar(repo, commit, &mut file, dest, options)?;
        file.finish().context("write", dest)?;
        Ok(written)
    };
    write().map_err(|error| error.or_cancelled(commit, progress))
}

/// Writes a commit's tree as a tar archive to `out`; `name` is its name in errors.
///
/// # Errors
/// Returns the errors of [`export_tar`]; a part of the archive may have been written.
pub fn write_tar(
    repo: &Repo,
    commit: CommitId,
    out: &mut dyn Write,
    name: &Path,
    options: &TarOptions,
) -> Result<ExportedTar, ExportError> {
    let tree = Tree::read(repo, commit)?;
    let time = repo.commit(commit)?.timestamp;
    let mut out = Counted::new(out);
    let mut buffered = BufWriter::with_capacity(256 << 10, &mut out);
    let files = options
        .compression
        .through(&mut buffered, |out| {
            entries(repo, commit, &tree, time, out, options.progress.as_ref())
        })
        .and_then(|files| Ok(buffered.flush().map(|()| files)?))
        .map_err(|failure| failure.at(name))?;
    drop(buffered);
    Ok(ExportedTar {
        bytes: out.bytes,
        sha256: out.finish(),
        files,
    })
}

/// Writes all entries and the end; returns the number of files and symlinks.
fn entries(
    repo: &Repo,
    commit: CommitId,
    tree: &Tree,
    time: u64,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<u64, Failure> {
    let (mut tar, mut files, mut done) = (Builder::new(out), 0, 0);
    let item = commit.to_string();
    for (path, node) in &tree.entries {
        if progress.is_cancelled() {
            return Err(ExportError::Cancelled { commit }.into());
        }
        let mut header = Header::new_ustar();
        header.set_mtime(time);
        let leaf = match *node {
            Node::Leaf(id) => read_leaf(repo, path, id)?,
            Node::Directory { mode } => {
                header.set_entry_type(EntryType::Directory);
                set_owner(&mut header, 0, 0, mode);
                header.set_size(0);
                tar.append_data(&mut header, format!("{path}/"), io::empty())?;
                continue;
            }
        };
        files += 1;
        set_owner(
            &mut header,
            leaf.header.uid,
            leaf.header.gid,
            leaf.header.mode,
        );
        if leaf.header.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, path.as_str(), &leaf.header.target)?;
            continue;
        }
        header.set_entry_type(EntryType::Regular);
        header.set_size(leaf.content.len() as u64);
        tar.append_data(&mut header, path.as_str(), leaf.content.as_slice())?;
        done += leaf.content.len() as u64;
        progress.event(&Event::Advanced {
            phase: Phase::Export,
            item: &item,
            done,
            total: None,
        });
    }
    tar.finish()?;
    progress.event(&Event::Finished {
        phase: Phase::Export,
        item: &item,
    });
    Ok(files)
}

fn set_owner(header: &mut Header, uid: u32, gid: u32, mode: u32) {
    header.set_uid(uid.into());
    header.set_gid(gid.into());
    header.set_mode(mode & 0o7777);
}
