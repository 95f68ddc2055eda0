//! The one place with `unsafe`: libostree calls whose binding cannot report their failure, and C
//! library calls that have no safe form.
//!
//! The generated bindings ignore what a call returns and look at its `GError` alone. libostree
//! 2022.7 and later return `FALSE` without an error in three places: `mark_commit_partial_reason`
//! and `commit_transaction` pass no error on when a file cannot be removed
//! (`ostree-repo-commit.c`), and `reload_config` passes none on for `core.collection-id`
//! (`ostree-repo.c`); no input that reaches the last one is known. The binding then reports success, with outputs that were never set. Every
//! function of libostree that this library uses and that calls one of the three is wrapped here;
//! all others set an error whenever they return `FALSE`.

#![allow(unsafe_code)]

use glib::translate::{ToGlibPtr, from_glib_full};
use std::ptr;

/// Makes a call of libostree, which gets a place for its error.
fn checked(
    call: impl FnOnce(*mut *mut glib::ffi::GError) -> glib::ffi::gboolean,
) -> Result<(), glib::Error> {
    let mut error = ptr::null_mut();
    let ok = call(&mut error);
    if !error.is_null() {
        // SAFETY: libostree has set it to an error that is the caller's to free.
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

/// `ostree_repo_mark_commit_partial_reason`: marks a commit as one whose objects are not all there,
/// or removes the mark. `state` is written into the mark.
pub(crate) fn mark_commit_partial(
    repo: &ostree::Repo,
    checksum: &str,
    partial: bool,
    state: ostree::RepoCommitState,
) -> Result<(), glib::Error> {
    // SAFETY: the object and the checksum are borrowed for the call; the error is a valid place.
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

/// `ostree_repo_commit_transaction`: moves what a transaction has written into place.
pub(crate) fn commit_transaction(repo: &ostree::Repo) -> Result<(), glib::Error> {
    // SAFETY: the object is borrowed for the call; `out_stats` and `cancellable` may be NULL, and
    // the error is a valid place.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_commit_transaction(
            repo.to_glib_none().0,
            ptr::null_mut(),
            ptr::null_mut(),
            error,
        )
    })
}

/// `ostree_repo_open`: reads the configuration of a repository, as [`reload_config`] does.
pub(crate) fn open(repo: &ostree::Repo) -> Result<(), glib::Error> {
    // SAFETY: as of `commit_transaction`.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_open(repo.to_glib_none().0, ptr::null_mut(), error)
    })
}

/// `ostree_repo_reload_config`: reads the configuration anew.
pub(crate) fn reload_config(repo: &ostree::Repo) -> Result<(), glib::Error> {
    // SAFETY: as of `commit_transaction`.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_reload_config(repo.to_glib_none().0, ptr::null_mut(), error)
    })
}

/// `ostree_repo_write_config`: replaces the configuration and reads it anew.
pub(crate) fn write_config(repo: &ostree::Repo, config: &glib::KeyFile) -> Result<(), glib::Error> {
    // SAFETY: both objects are borrowed for the call; the error is a valid place.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_write_config(repo.to_glib_none().0, config.to_glib_none().0, error)
    })
}

/// `ostree_repo_pull_with_options`: fetches from a remote, as `options` say.
pub(crate) fn pull_with_options(
    repo: &ostree::Repo,
    remote: &str,
    options: &glib::Variant,
    progress: Option<&ostree::AsyncProgress>,
    cancellable: Option<&gio::Cancellable>,
) -> Result<(), glib::Error> {
    // SAFETY: all objects are borrowed for the call, `progress` and `cancellable` may be NULL, and
    // the error is a valid place.
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

/// The kinds of libostree's lock on a repository (`.lock`). It counts how often a handle and
/// its clones have taken it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockType {
    /// Held by any number of writers of objects; every transaction holds it.
    Shared,
    /// Held by one process that deletes objects.
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

/// `ostree_repo_lock_push`: takes libostree's lock on a repository, waiting for it as long as the
/// repository's `core.lock-timeout-secs` allows.
pub(crate) fn lock_push(repo: &ostree::Repo, kind: LockType) -> Result<(), glib::Error> {
    // SAFETY: as of `commit_transaction`.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_lock_push(
            repo.to_glib_none().0,
            kind.to_ffi(),
            ptr::null_mut(),
            error,
        )
    })
}

/// `ostree_repo_lock_pop`: releases a lock that [`lock_push`] has taken on the same repository.
pub(crate) fn lock_pop(repo: &ostree::Repo, kind: LockType) -> Result<(), glib::Error> {
    // SAFETY: as of `commit_transaction`. A lock of this kind is held, so libostree does not abort.
    checked(|error| unsafe {
        ostree::ffi::ostree_repo_lock_pop(
            repo.to_glib_none().0,
            kind.to_ffi(),
            ptr::null_mut(),
            error,
        )
    })
}

/// Returns unused memory to the system. The C library keeps what threads have
/// freed, up to 32 MB a block.
pub(crate) fn trim_memory() {
    // SAFETY: it may be called at any time, by any thread (malloc_trim(3)).
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
        // unlink(2) refuses a folder, whoever asks.
        let mark = folder.path().join(format!("state/{id}.commitpartial"));
        std::fs::create_dir(mark).unwrap();
        let state = ostree::RepoCommitState::NORMAL;
        assert!(mark_commit_partial(repo.as_ostree(), &id, false, state).is_err());
    }
}
