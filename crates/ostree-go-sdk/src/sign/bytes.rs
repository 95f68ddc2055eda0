//! Signatures of bytes by any key.

use super::error::SignError;
use super::external::SignerError;
use super::gpg::Keyring;
use super::key::SigningKey;
use super::secret::{self, SecretKey};
use super::signature::SignatureStatus;
use super::subject::Subject;
use super::verification::{CheckError, Inner, VerificationKey};
use super::{command, ed25519, packets};
use std::path::PathBuf;

/// An Ed25519 signature, and the public key that it was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ed25519Signature {
    pub(crate) signature: [u8; 64],
    pub(crate) public: [u8; 32],
}

/// Signs bytes with an Ed25519 key. Returns `None` for a GPG key.
///
/// # Errors
/// Returns an error if the key cannot be used.
pub(crate) fn sign_bytes(
    bytes: &[u8],
    key: &SigningKey,
) -> Result<Option<Ed25519Signature>, SignError> {
    if !key.is_ed25519() {
        return Ok(None);
    }
    match make(bytes, key, Subject::Data)? {
        Made::Ed25519(made) => Ok(Some(made)),
        Made::Gpg(_) => Ok(None),
    }
}

/// A new signature.
#[derive(Debug)]
pub(super) enum Made {
    /// An OpenPGP packet.
    Gpg(Vec<u8>),
    Ed25519(Ed25519Signature),
}

/// Signs bytes with any key.
///
/// # Errors
/// Returns an error if the key cannot be used, or the signature of an external signer is not valid.
pub(super) fn make(
    bytes: &[u8],
    key: &SigningKey,
    subject: Subject<'_>,
) -> Result<Made, SignError> {
    match key {
        SigningKey::Gpg { id, homedir } => {
            let home = homedir.as_deref();
            let packet = SecretKey::find(id, home).and_then(|key| secret::sign(bytes, &key, home));
            packet
                .map(Made::Gpg)
                .map_err(|source| subject.gpg_failed(id, source))
        }
        SigningKey::Ed25519 { secret } => {
            let (signature, public) = ed25519::sign_with_public(bytes, secret)?;
            Ok(Made::Ed25519(Ed25519Signature { signature, public }))
        }
        SigningKey::Command(key) => {
            let failed = |source| {
                let signer = format!("command `{}`", key.command.escape_debug());
                subject.external_failed(signer, source)
            };
            let signature = command::sign(bytes, key, subject).map_err(failed)?;
            match key.public.check(bytes, &signature) {
                Err(CheckError::Gpg(error)) => return Err(error),
                Err(CheckError::Signer(error)) => return Err(failed(error)),
                Ok(()) => {}
            }
            match &key.public.0 {
                Inner::Gpg { .. } => Ok(Made::Gpg(signature)),
                Inner::Ed25519(public) => ed25519_made(signature, *public).map_err(failed),
            }
        }
        #[cfg(feature = "pkcs11")]
        SigningKey::Pkcs11(key) => {
            let failed = |source| subject.external_failed(format!("key {}", key.uri()), source);
            let (signature, public) = key.sign(bytes).map_err(failed)?;
            match VerificationKey::ed25519(public).check(bytes, &signature) {
                Err(CheckError::Gpg(error)) => Err(error),
                Err(CheckError::Signer(error)) => Err(failed(error)),
                Ok(()) => ed25519_made(signature, public).map_err(failed),
            }
        }
    }
}

fn ed25519_made(signature: Vec<u8>, public: [u8; 32]) -> Result<Made, SignerError> {
    let made = |signature| Made::Ed25519(Ed25519Signature { signature, public });
    let signature = <[u8; 64]>::try_from(signature);
    signature
        .map(made)
        .map_err(|bytes| SignerError::NotASignature {
            found: bytes.len(),
            expected: "64 bytes",
        })
}

/// A key as it is known without its secret.
#[derive(Debug)]
pub(super) enum Identity {
    Gpg {
        key: SecretKey,
        /// The place of the public key.
        public: PublicPart,
    },
    Ed25519([u8; 32]),
}

/// The place of a public GPG key.
#[derive(Debug)]
pub(super) enum PublicPart {
    /// A GnuPG home directory, or the default one.
    Home(Option<PathBuf>),
    /// A keyring with nothing else.
    Keyring(Vec<u8>),
}

impl Identity {
    /// Finds out which public key belongs to a key. Only a GPG home or a token is asked for it.
    ///
    /// # Errors
    /// Returns an error if the key cannot be found.
    pub(super) fn of(key: &SigningKey, subject: Subject<'_>) -> Result<Self, SignError> {
        match key {
            SigningKey::Gpg { id, homedir } => {
                let key = SecretKey::find(id, homedir.as_deref());
                let public = PublicPart::Home(homedir.clone());
                key.map(|key| Self::Gpg { key, public })
                    .map_err(|source| subject.gpg_failed(id, source))
            }
            SigningKey::Ed25519 { secret } => ed25519::public_of(secret).map(Self::Ed25519),
            SigningKey::Command(key) => Ok(Self::of_public(&key.public)),
            #[cfg(feature = "pkcs11")]
            SigningKey::Pkcs11(key) => {
                let failed = |source| subject.external_failed(format!("key {}", key.uri()), source);
                key.public().map(Self::Ed25519).map_err(failed)
            }
        }
    }

    fn of_public(public: &VerificationKey) -> Self {
        match &public.0 {
            Inner::Ed25519(public) => Self::Ed25519(*public),
            Inner::Gpg { keyring, key } => Self::Gpg {
                key: SecretKey::of_public(key),
                public: PublicPart::Keyring(keyring.clone()),
            },
        }
    }

    /// Returns for each OpenPGP packet whether it is a valid signature by this key.
    ///
    /// # Errors
    /// Returns an error if GnuPG cannot be run.
    pub(super) fn made_packets(
        &self,
        bytes: &[u8],
        found: &[Vec<u8>],
    ) -> Result<Vec<bool>, SignError> {
        let Self::Gpg { key, public } = self else {
            return Ok(vec![false; found.len()]);
        };
        let keyring = match public {
            PublicPart::Home(home) => Keyring::of(&secret::export(key, home.as_deref())?)?,
            PublicPart::Keyring(bytes) => Keyring::of(bytes)?,
        };
        let check = |packet: &Vec<u8>| match packets::split(packet).packets[..] {
            [packet] => Ok(keyring.verify(bytes, &[packet])?[0].status == SignatureStatus::Valid),
            _ => Ok(false),
        };
        found.iter().map(check).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::CommandKey;
    use ed25519_dalek::{Signature, VerifyingKey};
    use std::time::Duration;

    #[test]
    fn a_signature_is_valid_for_its_public_key() {
        let (secret, public) = ed25519::key_pair(&[1; 32]);
        let key = SigningKey::Ed25519 { secret };
        let signed = sign_bytes(b"data", &key).unwrap().unwrap();
        assert_eq!(VerificationKey::ed25519(signed.public).id(), public);
        let key = VerifyingKey::from_bytes(&signed.public).unwrap();
        let signature = Signature::from_bytes(&signed.signature);
        assert!(key.verify_strict(b"data", &signature).is_ok());
        let gpg = SigningKey::Gpg {
            id: "a".to_owned(),
            homedir: None,
        };
        assert_eq!(sign_bytes(b"data", &gpg).unwrap(), None);
    }

    fn failure(command: &str, timeout: u64) -> String {
        let (_, public) = ed25519::key_pair(&[1; 32]);
        let public = VerificationKey::parse(public.as_bytes()).unwrap();
        let key = CommandKey::new(command, public).timeout(Duration::from_millis(timeout));
        let error = sign_bytes(b"data", &SigningKey::Command(key)).unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot sign the data with command `{}`",
                command.escape_debug()
            )
        );
        source.to_string()
    }

    #[test]
    fn a_command_that_gives_no_signature_is_an_error() {
        assert_eq!(
            failure("echo no such key >&2; exit 3", 60_000),
            "the command ended with exit status 3: no such key"
        );
        assert_eq!(
            failure("kill -9 $$", 60_000),
            "the command was killed by signal 9: it printed no message"
        );
        assert_eq!(
            failure("exec sleep 600", 10),
            "the command did not end within 0 seconds"
        );
        assert_eq!(
            failure("exec yes", 60_000),
            "the command wrote more than 65536 bytes, expected a signature"
        );
        assert_eq!(
            failure("true", 60_000),
            "the command wrote 0 bytes that are not a signature, expected an Ed25519 signature of 64 bytes, or the same in base64"
        );
        let (_, public) = ed25519::key_pair(&[1; 32]);
        assert_eq!(
            failure("head -c 64 /dev/zero", 60_000),
            format!(
                "the signature is not valid for public key {public}: it is made by another key or for other content"
            )
        );
    }

    #[test]
    fn a_command_learns_what_it_signs() {
        let (secret, public) = ed25519::key_pair(&[1; 32]);
        let (signature, _) = ed25519::sign_with_public(b"data", &secret).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signature");
        std::fs::write(&path, signature).unwrap();
        let command = format!(
            "cd '{}' && cat > in && env | grep OSTREE_GO_SIGN | sort > env && cat signature",
            dir.path().display()
        );
        let verification = VerificationKey::parse(public.as_bytes()).unwrap();
        let key = SigningKey::Command(CommandKey::new(command, verification));
        let made = sign_bytes(b"data", &key).unwrap().unwrap();
        assert_eq!(made.signature, signature);
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("in"), "data");
        assert_eq!(
            read("env"),
            format!(
                "OSTREE_GO_SIGN_FORMAT=ed25519\nOSTREE_GO_SIGN_KEY={public}\nOSTREE_GO_SIGN_KIND=data\n\
                 OSTREE_GO_SIGN_NAME=\nOSTREE_GO_SIGN_PROTOCOL=1\n"
            )
        );
    }
}
