//! Public keys from the content of files.

use super::ed25519;
use super::error::SignError;
use super::external::SignerError;
use super::gpg::{Keyring, PublicKey};
use super::packets;
use super::signature::{SignatureStatus, statuses};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A single public key, which signatures are verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKey(pub(super) Inner);

/// The kinds of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inner {
    Ed25519([u8; 32]),
    Gpg {
        /// A keyring with nothing but this key, in the binary format of OpenPGP.
        keyring: Vec<u8>,
        key: Box<PublicKey>,
    },
}

impl VerificationKey {
    /// Parses the content of a file: an Ed25519 public key, 32 bytes in base64, or a single public
    /// GPG key, armoured or binary.
    ///
    /// # Errors
    /// Returns an error if the content is neither, has more than one GPG key, or GnuPG cannot be run.
    pub fn parse(content: &[u8]) -> Result<Self, SignError> {
        if let Some(public) = ed25519_key(content) {
            return Ok(Self(Inner::Ed25519(public)));
        }
        let keyring = Keyring::new()?;
        let count = keyring.import(content)?;
        let keys = match count {
            0 => Vec::new(),
            _ => keyring.keys()?,
        };
        match <[PublicKey; 1]>::try_from(keys) {
            Ok([key]) => Ok(Self(Inner::Gpg {
                keyring: keyring.bytes()?,
                key: Box::new(key),
            })),
            Err(keys) => Err(SignError::NotOnePublicKey { found: keys.len() }),
        }
    }

    /// Creates an Ed25519 key.
    #[cfg(any(feature = "pkcs11", test))]
    pub(crate) const fn ed25519(public: [u8; 32]) -> Self {
        Self(Inner::Ed25519(public))
    }

    /// Returns the kind of the key: `ed25519` or `gpg`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.0 {
            Inner::Ed25519(_) => "ed25519",
            Inner::Gpg { .. } => "gpg",
        }
    }

    /// Returns the fingerprint of a primary GPG key, or an Ed25519 public key in base64.
    #[must_use]
    pub fn id(&self) -> String {
        match &self.0 {
            Inner::Ed25519(public) => STANDARD.encode(public),
            Inner::Gpg { key, .. } => key.fingerprints.first().cloned().unwrap_or_default(),
        }
    }

    /// Returns the bytes of an Ed25519 key.
    pub(super) const fn as_ed25519(&self) -> Option<&[u8; 32]> {
        match &self.0 {
            Inner::Ed25519(public) => Some(public),
            Inner::Gpg { .. } => None,
        }
    }

    /// Returns the details of a GPG key, and a keyring with it.
    pub(crate) fn as_gpg(&self) -> Option<(&PublicKey, &[u8])> {
        match &self.0 {
            Inner::Ed25519(_) => None,
            Inner::Gpg { keyring, key } => Some((key, keyring)),
        }
    }

    /// Checks a signature: 64 bytes by an Ed25519 key, or a single OpenPGP packet.
    pub(super) fn check(&self, data: &[u8], signature: &[u8]) -> Result<(), CheckError> {
        let invalid = |status: String| {
            CheckError::Signer(SignerError::Invalid {
                key: self.id(),
                status,
            })
        };
        let (keyring, packet) = match &self.0 {
            Inner::Ed25519(public) => {
                return match ed25519::is_valid(data, signature, public) {
                    true => Ok(()),
                    false => Err(invalid(
                        "made by another key or for other content".to_owned(),
                    )),
                };
            }
            Inner::Gpg { keyring, .. } => match packets::split(signature).packets[..] {
                [packet] if packet.len() == signature.len() => (keyring, packet),
                _ => return Err(invalid("malformed".to_owned())),
            },
        };
        let found = Keyring::of(keyring)
            .and_then(|keyring| keyring.verify(data, &[packet]))
            .map_err(CheckError::Gpg)?;
        match found.iter().any(|s| s.status == SignatureStatus::Valid) {
            true => Ok(()),
            false => Err(invalid(statuses(&found))),
        }
    }
}

/// The failure of a check.
#[derive(Debug)]
pub(super) enum CheckError {
    /// The signature is not valid.
    Signer(SignerError),
    /// GnuPG cannot be run.
    Gpg(SignError),
}

/// Returns the Ed25519 public key in a file's content.
fn ed25519_key(content: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(content).ok()?.trim();
    let bytes: [u8; 32] = STANDARD.decode(text).ok()?.try_into().ok()?;
    ed25519::is_key(&bytes).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_exactly_one_key() {
        let (_, public) = ed25519::key_pair(&[1; 32]);
        let key = VerificationKey::parse(format!(" {public}\n").as_bytes()).unwrap();
        assert_eq!((key.kind(), key.id()), ("ed25519", public.clone()));
        for bad in ["", "text", "AAAA", &format!("{public}\n{public}\n")] {
            let error = VerificationKey::parse(bad.as_bytes()).unwrap_err();
            assert_eq!(
                error.to_string(),
                "found 0 public keys, expected an Ed25519 public key, 32 bytes in base64, or one public GPG key"
            );
        }
        let dir = tempfile::Builder::new()
            .prefix("gpg")
            .tempdir_in("/tmp")
            .unwrap();
        let make = |name: &str| {
            let user = format!("{name} <a@b>");
            crate::sign::generate_gpg_key(&dir.path().join(name), &user, "never").unwrap()
        };
        let (first, second) = (make("a"), make("b"));
        let read = |key: &crate::sign::GeneratedKey| std::fs::read(&key.public).unwrap();
        let key = VerificationKey::parse(&read(&first)).unwrap();
        assert_eq!((key.kind(), key.id()), ("gpg", first.key.clone()));
        let both = [read(&first), read(&second)].concat();
        let error = VerificationKey::parse(&both).unwrap_err();
        assert!(
            error.to_string().starts_with("found 2 public keys"),
            "{error}"
        );
    }
}
