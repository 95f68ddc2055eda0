//! Checks trees out of a repository into directories.
//!
//! Files are hard links to the repository's objects if the repository stores plain files and is on
//! the same file system; otherwise they are copied, and [`CheckedOut`] contains the counts. The
//! whole tree of a commit in a `bare-user` repository is linked here, on every core; everything
//! else is left to libostree. A hard link shares its inode with the object: writing to such a
//! file damages the repository, unless the files are sealed or [copied](CheckoutOptions::copy).

mod links;
mod listing;

pub(crate) use listing::{Directory, Listing};

use crate::failpoint;
use crate::fs::context::{IoContext, from_io_failure};
use crate::fs::hidden::{self, HiddenName};
use crate::fs::path::TreePath;
use crate::fs::tree::{self, TreeEntry};
use crate::fs::{atomic, rename};
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::parallel;
use crate::progress::{NoProgress, Progress};
use crate::repo::{OstreeError, Repo, RepoError, RepoMode};
use crate::setters::setters;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Treatment of files that already exist at the destination, named as in libostree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Union {
    /// The destination must not exist.
    #[default]
    None,
    /// Existing files are kept; the others are added.
    Add,
    /// Existing files must be identical; the others are added. Only possible with hard links,
    /// because libostree compares inodes.
    Identical,
}

/// Options of a checkout.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CheckoutOptions {
    subpath: Option<TreePath>,
    union: Union,
    copy: bool,
    no_sync: bool,
    sealed: bool,
    progress: Arc<dyn Progress>,
}

impl Default for CheckoutOptions {
    fn default() -> Self {
        Self {
            subpath: None,
            union: Union::None,
            copy: false,
            no_sync: false,
            sealed: false,
            progress: Arc::new(NoProgress),
        }
    }
}

impl CheckoutOptions {
    setters! {
        /// Limits the checkout to a directory of the tree, which becomes the destination. Default:
        /// the whole tree.
        subpath: Option<TreePath>;
        /// Sets the treatment of existing files. Default: the destination must not exist.
        union: Union;
        /// Sets whether every file is copied, so that writing to it does not damage the
        /// repository. Default: no.
        copy: bool;
        /// Sets the receiver of progress, which can cancel the checkout. Default: none.
        progress;
    }

    /// Sets whether the tree is durable when the checkout returns, by one `syncfs` of the
    /// destination's file system before the last rename. Default: yes.
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Self {
        self.no_sync = !sync;
        self
    }
}

impl CheckoutOptions {
    /// Sets whether all write permissions are removed, including those of the linked objects,
    /// whose permissions have no meaning in a `bare-user` repository.
    pub(crate) fn sealed(mut self, sealed: bool) -> Self {
        self.sealed = sealed;
        self
    }
}

/// The result of a checkout. With a [`Union`], existing files are counted as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckedOut {
    /// The number of files that share their inode with the repository's object.
    pub linked: u64,
    /// The number of files that do not. Empty files are not counted.
    pub copied: u64,
    /// True if files were copied because the repository is on another file system.
    pub crossed: bool,
}

/// The reason why a checkout failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckoutError {
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The destination exists.
    #[error("{} exists already", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// [`Union::Identical`] was requested but files would have to be copied.
    #[error("cannot compare {} with repository {}: it needs hard links", path.display(), repo.display())]
    NeedsLinks {
        /// The destination.
        path: PathBuf,
        /// The repository, which is in archive mode or on another file system, unless copies were
        /// requested.
        repo: PathBuf,
    },
    /// An object of a directory is damaged or missing in the repository.
    #[error("cannot check commit {commit} out: object {object} of /{} is damaged or missing", path.display())]
    Damaged {
        /// The commit.
        commit: CommitId,
        /// The directory in the tree.
        path: PathBuf,
        /// The checksum and type of the object: `00ff….dirtree`.
        object: String,
    },
    /// libostree could not write the tree.
    #[error("cannot check commit {commit} out to {}", path.display())]
    Checkout {
        /// The commit.
        commit: CommitId,
        /// The destination.
        path: PathBuf,
        /// The error of libostree.
        #[source]
        source: OstreeError,
    },
    /// The operation was cancelled. Nothing is at the destination; with a [`Union`], files that were
    /// added remain.
    #[error("stopped while checking commit {commit} out")]
    Cancelled {
        /// The commit.
        commit: CommitId,
    },
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
}

from_io_failure!(CheckoutError);

impl CheckoutError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Exists { .. } | Self::NeedsLinks { .. } => ErrorKind::InvalidInput,
            Self::Damaged { .. } => ErrorKind::Damaged,
            Self::Checkout { source, .. } => source.kind(),
            Self::Cancelled { .. } => ErrorKind::Cancelled,
            Self::Io { source, .. } => ErrorKind::of_io(source),
        }
    }
}

impl Repo {
    /// Checks a commit's tree out into a directory.
    ///
    /// Without a [`Union`], the directory is created under a hidden name next to `dest` and renamed
    /// when it is complete: a failure or a kill never leaves a partial tree at `dest`. Hidden names
    /// that killed processes left beside `dest` are removed. With a union, files appear one by one.
    ///
    /// # Errors
    /// Returns an error if `dest` exists (without a union) or has other content (with
    /// [`Union::Identical`]), the tree is damaged or has no such subpath, the file system fails, or
    /// the operation is cancelled.
    pub fn checkout(
        &self,
        commit: CommitId,
        dest: &Path,
        options: &CheckoutOptions,
    ) -> Result<CheckedOut, CheckoutError> {
        let progress = options.progress.as_ref();
        if options.union != Union::None {
            let identical = options.union == Union::Identical;
            std::fs::create_dir_all(dest).context("make directory", dest)?;
            let archive = self.mode() == RepoMode::Archive;
            if identical && (options.copy || archive || crosses(self, dest)) {
                return Err(CheckoutError::NeedsLinks {
                    path: dest.to_owned(),
                    repo: self.path().to_owned(),
                });
            }
            let listing = Listing::read(self, commit)?;
            write(self, commit, &listing, dest, options, progress)?;
            let made = count(self, dest, options)?;
            return sync(dest, options).map(|()| made);
        }
        if dest.symlink_metadata().is_ok() {
            return Err(CheckoutError::Exists {
                path: dest.to_owned(),
            });
        }
        let parent = atomic::folder_of(dest);
        std::fs::create_dir_all(parent).context("make directory", parent)?;
        hidden::remove_leftovers(dest);
        let staging = HiddenName::unused(dest).context("write", dest)?;
        let staging = staging.path();
        let listing = Listing::read(self, commit)?;
        let made = make(self, commit, &listing, staging, options, progress)
            .and_then(|made| sync(staging, options).map(|()| made))
            .and_then(|made| {
                failpoint::hit("checkout.synced");
                rename::to_free_name(rustix::fs::CWD, staging, dest)
                    .and_then(|()| {
                        if options.no_sync {
                            return Ok(());
                        }
                        File::open(parent)?.sync_all()
                    })
                    .context("rename a tree to", dest)?;
                Ok(made)
            });
        made.inspect_err(|_| {
            // The first error is reported.
            let _ = tree::remove(staging);
        })
    }
}

fn write(
    repo: &Repo,
    commit: CommitId,
    listing: &Listing,
    dest: &Path,
    options: &CheckoutOptions,
    progress: &dyn Progress,
) -> Result<(), CheckoutError> {
    use ostree::{RepoCheckoutMode as Mode, RepoCheckoutOverwriteMode as Overwrite};
    // libostree aborts the whole process if a directory is damaged.
    if let Some((path, object)) = listing.damaged.first() {
        return Err(CheckoutError::Damaged {
            commit,
            path: path.clone(),
            object: object.clone(),
        });
    }
    let at = ostree::RepoCheckoutAtOptions {
        // Only a `bare` repository stores owners in the file system.
        mode: match repo.mode() {
            RepoMode::Bare => Mode::None,
            _ => Mode::User,
        },
        overwrite_mode: match options.union {
            Union::None => Overwrite::None,
            Union::Add => Overwrite::AddFiles,
            Union::Identical => Overwrite::UnionIdentical,
        },
        force_copy: options.copy,
        // libostree requires this.
        no_copy_fallback: options.union == Union::Identical,
        subpath: options
            .subpath
            .as_ref()
            .map(|path| Path::new("/").join(path.as_str())),
        ..Default::default()
    };
    let cwd = rustix::fs::CWD;
    let written = parallel::run_cancellable(progress, |cancellable| {
        repo.as_ostree().checkout_at(
            Some(&at),
            std::os::fd::AsRawFd::as_raw_fd(&cwd),
            dest,
            &commit.to_string(),
            Some(cancellable),
        )
    });
    written.map_err(|source| match progress.is_cancelled() {
        true => CheckoutError::Cancelled { commit },
        false => CheckoutError::Checkout {
            commit,
            path: dest.to_owned(),
            source: OstreeError::new(source),
        },
    })
}

/// Creates the tree at an unused path, without syncing it.
pub(crate) fn make(
    repo: &Repo,
    commit: CommitId,
    listing: &Listing,
    dest: &Path,
    options: &CheckoutOptions,
    progress: &dyn Progress,
) -> Result<CheckedOut, CheckoutError> {
    if options.subpath.is_none() && !options.copy {
        match links::tree(repo, listing, dest, options.sealed, progress) {
            Ok(linked) => {
                return Ok(CheckedOut {
                    linked,
                    ..CheckedOut::default()
                });
            }
            Err(_) if progress.is_cancelled() => return Err(CheckoutError::Cancelled { commit }),
            // libostree handles more cases, and has better error messages.
            Err(_) => tree::remove(dest).context("remove", dest)?,
        }
    }
    write(repo, commit, listing, dest, options, progress)?;
    if options.sealed {
        tree::seal(dest).context("seal", dest)?;
    }
    count(repo, dest, options)
}

/// Counts the files of a checkout by libostree.
fn count(repo: &Repo, dest: &Path, options: &CheckoutOptions) -> Result<CheckedOut, CheckoutError> {
    use std::os::unix::fs::MetadataExt;
    let mut made = CheckedOut::default();
    tree::walk(dest, &mut |found| {
        if let TreeEntry::File(_, metadata) = found {
            if metadata.nlink() > 1 {
                made.linked += 1;
            } else if metadata.len() > 0 {
                made.copied += 1;
            }
        }
        Ok(())
    })
    .context("read directory", dest)?;
    made.crossed = !options.copy && crosses(repo, dest);
    Ok(made)
}

/// Makes the tree durable, if requested.
fn sync(dest: &Path, options: &CheckoutOptions) -> Result<(), CheckoutError> {
    if options.no_sync {
        return Ok(());
    }
    Ok(File::open(dest)
        .and_then(|dir| Ok(rustix::fs::syncfs(dir.as_fd())?))
        .context("sync", dest)?)
}

/// Returns whether a directory is on another file system than a repository's objects.
fn crosses(repo: &Repo, dest: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    device(dest) != device(&repo.path().join("objects"))
}
