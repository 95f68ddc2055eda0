//! The one place with `unsafe`: libostree calls whose binding cannot say "none", and what the
//! C library has no safe words for.

#![allow(unsafe_code)]

use glib::prelude::*;
use glib::translate::{FromGlibPtrContainer, ToGlibPtr, from_glib_full};
use std::ptr;

/// Imports every key that a stream holds into a remote's keyring. Says how many were new; a
/// key that is there already may still gain what is new in it, as a revocation.
///
/// The binding takes a list of key ids, and turns an empty one into "no key" where libostree's
/// `NULL` means "all keys".
pub(crate) fn remote_gpg_import(
    repo: &ostree::Repo,
    remote: &str,
    keys: &gio::MemoryInputStream,
) -> Result<u32, glib::Error> {
    let mut imported = 0;
    let mut error = ptr::null_mut();
    // SAFETY: every pointer is valid for the call: the objects and the name are borrowed for
    // it, `key_ids` and `cancellable` may be NULL (`ostree_repo_remote_gpg_import`), and
    // `error` is either left NULL or set to an error that is ours to free.
    unsafe {
        ostree::ffi::ostree_repo_remote_gpg_import(
            repo.to_glib_none().0,
            remote.to_glib_none().0,
            keys.upcast_ref::<gio::InputStream>().to_glib_none().0,
            ptr::null(),
            &mut imported,
            ptr::null_mut(),
            &mut error,
        );
        if error.is_null() {
            Ok(imported)
        } else {
            Err(from_glib_full(error))
        }
    }
}

/// Every key of a remote's own keyring, in the form `OSTREE_GPG_KEY_GVARIANT_FORMAT`.
///
/// Here the binding turns an empty list of key ids into "no key" as well.
pub(crate) fn remote_gpg_keys(
    repo: &ostree::Repo,
    remote: &str,
) -> Result<Vec<glib::Variant>, glib::Error> {
    let mut keys = ptr::null_mut();
    let mut error = ptr::null_mut();
    // SAFETY: the object and the name are borrowed for the call, `key_ids` and `cancellable`
    // may be NULL (`ostree_repo_remote_get_gpg_keys`), `keys` becomes an array of variants that
    // owns them and is ours (transfer container), and `error` is as above.
    unsafe {
        ostree::ffi::ostree_repo_remote_get_gpg_keys(
            repo.to_glib_none().0,
            remote.to_glib_none().0,
            ptr::null(),
            &mut keys,
            ptr::null_mut(),
            &mut error,
        );
        if error.is_null() {
            Ok(FromGlibPtrContainer::from_glib_container(keys))
        } else {
            Err(from_glib_full(error))
        }
    }
}

/// Gives memory that nothing uses back to the system. The C library keeps what threads have
/// freed, up to 32 MB a block.
pub(crate) fn trim_memory() {
    // SAFETY: it may be called at any time, by any thread (malloc_trim(3)).
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
