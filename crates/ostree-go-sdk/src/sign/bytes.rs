//! Ed25519 signatures of arbitrary bytes.

use super::error::SignError;
use super::ed25519;
use super::key::SigningKey;

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
    match key {
        SigningKey::Gpg { .. } => Ok(None),
        SigningKey::Ed25519 { secret } => {
            let (signature, public) = ed25519::sign_with_public(bytes, secret)?;
            Ok(Some(Ed25519Signature { signature, public }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signature, VerifyingKey};

    #[test]
    fn a_signature_is_valid_for_its_public_key() {
        let (secret, public) = ed25519::key_pair(&[1; 32]);
        let key = SigningKey::Ed25519 { secret };
        let signed = sign_bytes(b"data", &key).unwrap().unwrap();
        assert_eq!(ed25519::encoded(&signed.public), public);
        let key = VerifyingKey::from_bytes(&signed.public).unwrap();
        let signature = Signature::from_bytes(&signed.signature);
        assert!(key.verify_strict(b"data", &signature).is_ok());
        let gpg = SigningKey::Gpg {
            id: "a".to_owned(),
            homedir: None,
        };
        assert_eq!(sign_bytes(b"data", &gpg).unwrap(), None);
    }
}
