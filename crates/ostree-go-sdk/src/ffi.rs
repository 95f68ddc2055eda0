//! The only module with `unsafe` code: functions of libostree whose binding cannot report failures,
//! and functions of the C library that have no safe wrapper.
//!
//! The generated bindings ignore the return value of a function and check only its `GError`.
//! libostree 2022.7 and later return `FALSE` without an error in three places:
//! `mark_commit_partial_reason` and `commit_transaction` do not pass on the error if a file cannot
//! be removed (`ostree-repo-commit.c`), and `reload_config` does not pass on the error for
//! `core.collection-id` (`ostree-repo.c`), although no input is known that causes it. The binding
//! then reports success, with outputs that were never set. This module wraps all functions of
//! libostree that this library uses and that call one of the three; all others set an error
//! whenever they return `FALSE`.

#![allow(unsafe_code)]

use glib::translate::{ToGlibPtr, from_glib_full};
use std::ptr;

/// Calls a function of libostree with a pointer for its error, and checks the error and the return
/// value.
fn checked(
    call: impl FnOnce(*mut *mut glib::ffi::GError) -> glib::ffi::gboolean,
) -> Result<(), glib::Error> {
    let mut error = ptr::null_mut();
    let ok = call(&mut error);
    if !error.is_null() {
        // SAFETY: libostree has set it to an error, which the caller has to free.
        return Err(unsafe { from_glib_full(error) });
    }
    match ok {
        glib::ffi::GFALSE => Err(glib::Error::new(
            gio::IOErrorEnum::Failed,
            "libostree failed and gave no reason; a file may be read-only or immutable",
        )),
        _ => Ok(()),
    }
}

/// Calls `ostree_repo_mark_commit_partial_reason`, which marks a commit as partial or removes the
/// mark. `state` is written into the mark.
pub(crate) fn mark_commit_partial(
    repo: &ostree::Repo,
    checksum: &str,
    partial: bool,
    state: ostree::RepoCommitState,
) -> Result<(), glib::Error> {
    // SAFETY: the object and the checksum are borrowed for the call; the pointer for the error is
    // valid.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_mark_commit_partial_reason(
            repo.to_glib_none().0,
            checksum.to_glib_none().0,
            partial.into(),
            state.bits(),
            error,
        )
    })
}

/// Calls `ostree_repo_commit_transaction`, which moves the objects of a transaction into place.
pub(crate) fn commit_transaction(repo: &ostree::Repo) -> Result<(), glib::Error> {
    // SAFETY: the object is borrowed for the call; `out_stats` and `cancellable` may be NULL, and
    // the pointer for the error is valid.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_commit_transaction(
            repo.to_glib_none().0,
            ptr::null_mut(),
            ptr::null_mut(),
            error,
        )
    })
}

/// Calls `ostree_repo_open`, which reads the configuration of a repository, like [`reload_config`].
pub(crate) fn open(repo: &ostree::Repo) -> Result<(), glib::Error> {
    // SAFETY: see `commit_transaction`.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_open(repo.to_glib_none().0, ptr::null_mut(), error)
    })
}

/// Calls `ostree_repo_reload_config`, which reads the configuration again.
pub(crate) fn reload_config(repo: &ostree::Repo) -> Result<(), glib::Error> {
    // SAFETY: see `commit_transaction`.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_reload_config(repo.to_glib_none().0, ptr::null_mut(), error)
    })
}

/// Calls `ostree_repo_write_config`, which replaces the configuration and reads it again, except for the
/// remotes; [`reload_config`] reads these.
pub(crate) fn write_config(repo: &ostree::Repo, config: &glib::KeyFile) -> Result<(), glib::Error> {
    // SAFETY: both objects are borrowed for the call; the pointer for the error is valid.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_write_config(repo.to_glib_none().0, config.to_glib_none().0, error)
    })
}

/// Calls `ostree_repo_pull_with_options`, which fetches from a remote according to `options`.
pub(crate) fn pull_with_options(
    repo: &ostree::Repo,
    remote: &str,
    options: &glib::Variant,
    progress: Option<&ostree::AsyncProgress>,
    cancellable: Option<&gio::Cancellable>,
) -> Result<(), glib::Error> {
    // SAFETY: all objects are borrowed for the call, `progress` and `cancellable` may be NULL, and
    // the pointer for the error is valid.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_pull_with_options(
            repo.to_glib_none().0,
            remote.to_glib_none().0,
            options.to_glib_none().0,
            progress.to_glib_none().0,
            cancellable.to_glib_none().0,
            error,
        )
    })
}

/// The types of libostree's lock on a repository (`.lock`). It counts how many times a handle and
/// its clones have taken it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockType {
    /// Held by any number of processes that write objects; each transaction holds it.
    Shared,
    /// Held by a single process that deletes objects.
    Exclusive,
}

impl LockType {
    const fn to_ffi(self) -> ostree::ffi::OstreeRepoLockType {
        match self {
            Self::Shared => ostree::ffi::OSTREE_REPO_LOCK_SHARED,
            Self::Exclusive => ostree::ffi::OSTREE_REPO_LOCK_EXCLUSIVE,
        }
    }
}

/// Calls `ostree_repo_lock_push`, which takes libostree's lock on a repository. It waits at most
/// for the repository's `core.lock-timeout-secs`.
pub(crate) fn lock_push(repo: &ostree::Repo, kind: LockType) -> Result<(), glib::Error> {
    // SAFETY: see `commit_transaction`.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_lock_push(
            repo.to_glib_none().0,
            kind.to_ffi(),
            ptr::null_mut(),
            error,
        )
    })
}

/// Calls `ostree_repo_lock_pop`, which releases a lock that [`lock_push`] has taken on the same
/// repository.
pub(crate) fn lock_pop(repo: &ostree::Repo, kind: LockType) -> Result<(), glib::Error> {
    // SAFETY: see `commit_transaction`. A lock of this type is held, so libostree does not abort.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_lock_pop(
            repo.to_glib_none().0,
            kind.to_ffi(),
            ptr::null_mut(),
            error,
        )
    })
}

/// Returns unused memory to the system. The C library keeps memory that threads have freed, up to
/// 32 MB per block.
pub(crate) fn trim_memory() {
    // SAFETY: any thread may call it at any time (malloc_trim(3)).
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_without_a_reason_is_an_error() {
        assert!(checked(|_| glib::ffi::GFALSE).is_err());
        assert!(checked(|_| glib::ffi::GTRUE).is_ok());
    }

    #[test]
    fn a_mark_that_cannot_be_removed_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let repo = crate::repo::Repo::create(folder.path(), crate::repo::RepoMode::Archive);
        let repo = repo.unwrap();
        let id = "0".repeat(64);
        // unlink(2) fails for a directory, also for root.
        let mark = folder.path().join(format!("state/{id}.commitpartial"));
        std::fs::create_dir(mark).unwrap();
        let state = ostree::RepoCommitState::NORMAL;
        assert!(mark_commit_partial(repo.as_ostree(), &id, false, state).is_err());
    }
}
