//! Detached signatures of files.
//!
//! The signatures of `NAME` are in the text file `NAME.sig` beside it: a line `ed25519 SIGNATURE` for
//! each Ed25519 signature, 64 bytes in base64 as in a commit's detached metadata, and then one armoured
//! block with all OpenPGP signatures. `gpg --verify NAME.sig NAME` accepts the file, because GnuPG
//! ignores lines before the block. A binary file, as `gpg --detach-sign` writes it, is read as well.
//!
//! Source of the armour: RFC 9580, section 6.2, and RFC 4880, section 6.1 (the checksum, which older
//! versions of GnuPG require).

use super::error::SignError;
use super::secret::{self, SecretKey};
use super::signature::{Signature, SignatureStatus};
use super::{SigningKey, TrustedKeys, check, ed25519, keyring};
use crate::clock::{Clock, SystemClock};
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::metadata::Metadata;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use glib::prelude::*;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The maximum size of a signature file in bytes. One signature has less than 4 KiB.
const MAX_SIZE: u64 = 1 << 20;
/// The word at the start of a line with an Ed25519 signature.
const ED25519: &str = "ed25519 ";
const BEGIN: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";
/// The number of characters of a line of armour.
const LINE: usize = 64;

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
    pub fn new(path: &Path, bytes: &[u8], keys: &[SigningKey]) -> Result<Self, SignError> {
        let mut signatures = Signatures::default();
        for key in keys {
            match key {
                SigningKey::Gpg { id, homedir } => {
                    let packet = gpg_signature(bytes, id, homedir.as_deref());
                    let packet = packet.map_err(|source| SignError::SignFile {
                        path: path.to_owned(),
                        key: id.clone(),
                        source: Box::new(source),
                    })?;
                    signatures.gpg.push(packet);
                }
                SigningKey::Ed25519 { secret } => {
                    let signature = ed25519::sign_bytes(bytes, secret)?;
                    signatures.ed25519.push(signature);
                }
            }
        }
        Ok(Self {
            path: signature_path(path),
            text: signatures.to_text(),
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

fn gpg_signature(bytes: &[u8], id: &str, home: Option<&Path>) -> Result<Vec<u8>, SignError> {
    secret::sign(bytes, &SecretKey::find(id, home)?, home)
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
    let signatures = Signatures::read(&signature_path(path))?;
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

/// The signatures of a file, which were not verified.
#[derive(Debug, Default, PartialEq, Eq)]
struct Signatures {
    /// OpenPGP packets. An item that is not well-formed counts as a malformed signature.
    gpg: Vec<Vec<u8>>,
    ed25519: Vec<Vec<u8>>,
}

impl Signatures {
    /// Reads a signature file; there are no signatures if it does not exist.
    fn read(path: &Path) -> Result<Self, SignError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file.context("read", path)?,
        };
        let mut bytes = Vec::new();
        let mut limited = file.take(MAX_SIZE + 1);
        limited.read_to_end(&mut bytes).context("read", path)?;
        match bytes.len() as u64 {
            ..=MAX_SIZE => Ok(Self::parse(&bytes)),
            _ => Err(SignError::Io {
                action: "read",
                path: path.to_owned(),
                source: io::Error::other(format!("it has more than {MAX_SIZE} bytes")),
            }),
        }
    }

    fn parse(bytes: &[u8]) -> Self {
        // The first byte of an OpenPGP packet has its highest bit set.
        if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
            return Self {
                gpg: vec![bytes.to_vec()],
                ed25519: Vec::new(),
            };
        }
        let text = String::from_utf8_lossy(bytes);
        let mut found = Self::default();
        let mut lines = text.lines().map(str::trim_end);
        while let Some(line) = lines.next() {
            if line == BEGIN {
                found.gpg.push(dearmored(&mut lines).unwrap_or_default());
            } else if let Some(signature) = line.strip_prefix(ED25519) {
                // A malformed signature is none by a trusted key.
                let signature = STANDARD.decode(signature.trim()).unwrap_or_default();
                found.ed25519.push(signature);
            }
        }
        found
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for signature in &self.ed25519 {
            text += &format!("{ED25519}{}\n", STANDARD.encode(signature));
        }
        if !self.gpg.is_empty() {
            text += &armored(&self.gpg.concat());
        }
        text
    }
}

/// Returns an armoured block.
fn armored(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let mut text = format!("{BEGIN}\n\n");
    for (at, character) in encoded.chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    let checksum = STANDARD.encode(&crc24(bytes).to_be_bytes()[1..]);
    text + &format!("\n={checksum}\n{END}\n")
}

/// Returns the bytes of a block whose first line was read. The checksum is not compared, because the
/// signature itself is verified.
fn dearmored<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Option<Vec<u8>> {
    // Headers end with an empty line.
    lines.find(|line| line.is_empty())?;
    let mut encoded = String::new();
    for line in lines {
        match line {
            END => return STANDARD.decode(encoded).ok(),
            line if line.starts_with('=') => {}
            line => encoded.push_str(line),
        }
    }
    None
}

/// Returns the checksum of an armoured block. Source: RFC 4880, section 6.1.
fn crc24(bytes: &[u8]) -> u32 {
    let mut crc = 0x00B7_04CE_u32;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4CFB;
            }
        }
    }
    crc & 0x00FF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The check value of CRC-24/OPENPGP in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc24(b"123456789"), 0x0021_CF02);
        assert_eq!(crc24(b""), 0x00B7_04CE);
    }

    #[test]
    fn damaged_text_has_malformed_signatures() {
        let of = |text: &str| Signatures::parse(text.as_bytes());
        assert_eq!(of("text\n"), Signatures::default());
        assert_eq!(of("ed25519 ?\n").ed25519, [b""]);
        assert_eq!(of(&format!("{BEGIN}\n\nAAAA\n")).gpg, [b""]);
        assert_eq!(of(&format!("{BEGIN}\n\n?\n{END}\n")).gpg, [b""]);
        let crlf = format!("{BEGIN}\nComment: x\n\nAAAA\n=AAAA\n{END}\n").replace('\n', "\r\n");
        assert_eq!(of(&crlf).gpg, [b"\0\0\0"]);
        assert_eq!(Signatures::parse(&[0x88, 1]).gpg, [[0x88, 1]]);
    }

    proptest! {
        #[test]
        fn signatures_are_read_as_written(
            gpg in prop::option::of(prop::collection::vec(any::<u8>(), 1..300)),
            ed25519 in prop::collection::vec(prop::collection::vec(any::<u8>(), 64), 0..3),
        ) {
            let signatures = Signatures { gpg: gpg.into_iter().collect(), ed25519 };
            let text = signatures.to_text();
            prop_assert!(text.lines().all(|line| line.len() <= 96));
            prop_assert_eq!(Signatures::parse(text.as_bytes()), signatures);
        }

        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            Signatures::parse(&bytes);
        }
    }
}
