//! Detached signatures of files.
//!
//! The signatures of `NAME` are in the text file `NAME.sig` beside it.

use super::document::sign_text;
use super::error::SignError;
use super::key::SigningKey;
use super::signature::{Signature, SignatureStatus};
use super::subject::Subject;
use super::text::Signatures;
use super::{TrustedKeys, check, ed25519, keyring};
use crate::clock::{Clock, SystemClock};
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::metadata::Metadata;
use glib::prelude::*;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The maximum size of a signature file in bytes. One signature has less than 4 KiB.
const MAX_SIZE: u64 = 1 << 20;

/// Returns the path of the signatures of a file: its own path followed by `.sig`.
#[must_use]
pub fn signature_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".sig");
    name.into()
}

/// Signatures of a file that are not written yet.
#[derive(Debug)]
pub struct FileSignatures {
    path: PathBuf,
    text: String,
}

impl FileSignatures {
    /// Signs the content of a file with all keys. The file need not exist yet.
    ///
    /// # Errors
    /// Returns an error if a key cannot be used.
    pub fn new(path: &Path, content: &[u8], keys: &[SigningKey]) -> Result<Self, SignError> {
        Ok(Self {
            path: signature_path(path),
            text: sign_text(content, keys, Subject::File(path))?,
        })
    }

    /// Replaces the file with the signatures, which is durable when this returns. Every user can read it.
    /// Returns its path.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self) -> Result<&Path, SignError> {
        let written = atomic::write_public(&self.path, self.text.as_bytes());
        written.context("write", &self.path)?;
        Ok(&self.path)
    }
}

/// Removes the signatures of a file, durably. Returns false if there were none.
///
/// # Errors
/// Returns an error if they cannot be removed.
pub fn remove_signatures(path: &Path) -> Result<bool, SignError> {
    let target = signature_path(path);
    match std::fs::remove_file(&target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        removed => removed.context("remove", &target)?,
    }
    atomic::sync_directory(target.parent()).context("write", &target)?;
    Ok(true)
}

/// Checks that a file with the given content has a valid signature by a trusted key, and returns all
/// signatures of the kind of these keys. The caller passes the bytes that it uses, so that the file
/// cannot change between the verification and its use. [`TrustedKeys::Remote`] is not supported.
///
/// # Errors
/// Returns [`SignError::UnsignedFile`] if there is no signature of this kind,
/// [`SignError::RefusedFile`] with the signatures if none is valid, and
/// [`SignError::FileClockBehind`] if the clock of this machine does not allow one to be verified; also an
/// error if the keys or the signatures cannot be read, or GnuPG cannot be run.
pub fn verify_file(
    path: &Path,
    bytes: &[u8],
    keys: &TrustedKeys,
) -> Result<Vec<Signature>, SignError> {
    let signatures = read(&signature_path(path))?;
    let (kind, found) = match keys {
        TrustedKeys::GpgFile(file) => {
            let keyring = keyring(&[file])?;
            ("GPG", check(&keyring, bytes, &signatures.gpg)?)
        }
        TrustedKeys::Ed25519(public) => {
            let stored = signatures.ed25519.to_variant();
            let stored = Metadata::from([(ed25519::KEY.to_owned(), stored)]);
            ("Ed25519", ed25519::check(bytes, &stored, public)?)
        }
        TrustedKeys::Remote(name) => {
            return Err(SignError::NoFileKeys {
                remote: name.clone(),
            });
        }
    };
    let path = path.to_owned();
    if found.is_empty() {
        return Err(SignError::UnsignedFile { path, kind });
    }
    if found.iter().any(|s| s.status == SignatureStatus::Valid) {
        return Ok(found);
    }
    let of_future = found.iter();
    let of_future = of_future.filter(|s| s.status == SignatureStatus::InFuture);
    match of_future.filter_map(|s| s.created).max() {
        Some(signed) => Err(SignError::FileClockBehind {
            path,
            signed,
            now: SystemClock.now(),
        }),
        None => Err(SignError::RefusedFile { path, found }),
    }
}

/// Reads a signature file; there are no signatures if it does not exist.
fn read(path: &Path) -> Result<Signatures, SignError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Signatures::default()),
        file => file.context("read", path)?,
    };
    let mut bytes = Vec::new();
    let mut limited = file.take(MAX_SIZE + 1);
    limited.read_to_end(&mut bytes).context("read", path)?;
    match bytes.len() as u64 {
        ..=MAX_SIZE => Ok(Signatures::parse(&bytes)),
        _ => Err(SignError::Io {
            action: "read",
            path: path.to_owned(),
            source: io::Error::other(format!("it has more than {MAX_SIZE} bytes")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_exactly_the_signatures_of_the_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let (secret, public) = ed25519::key_pair(&[1; 32]);
        let (_, other) = ed25519::key_pair(&[2; 32]);
        let trusted = TrustedKeys::Ed25519(vec![public]);
        let error = verify_file(&path, b"content", &trusted).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("a.lock has no Ed25519 signature"),
            "{error}"
        );
        let key = SigningKey::Ed25519 { secret };
        let signatures = FileSignatures::new(&path, b"content", &[key]).unwrap();
        assert_eq!(signatures.write().unwrap(), signature_path(&path));
        let found = verify_file(&path, b"content", &trusted).unwrap();
        assert_eq!(found.len(), 1);
        for (bytes, keys) in [
            (&b"Content"[..], &trusted),
            (b"content", &TrustedKeys::Ed25519(vec![other])),
        ] {
            let error = verify_file(&path, bytes, keys).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Mismatch);
            assert!(
                error
                    .to_string()
                    .contains("has no valid signature by a trusted key"),
                "{error}"
            );
        }
        assert!(remove_signatures(&path).unwrap());
        assert!(!remove_signatures(&path).unwrap());
    }
}
