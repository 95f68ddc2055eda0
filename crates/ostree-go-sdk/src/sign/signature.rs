//! A signature, and the result of its verification.

/// A signature on a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// The result of the verification.
    pub status: SignatureStatus,
    /// The kind of signature: `gpg` or `ed25519`.
    pub kind: &'static str,
    /// The fingerprint of the signing key, or an Ed25519 public key in base64.
    pub key: String,
    /// The fingerprint of the primary key, if a subkey signed.
    pub primary_key: Option<String>,
    /// The user ID of the key: name and e-mail address of its owner.
    pub user: Option<String>,
    /// The creation time of the signature, in seconds since 1970.
    pub created: Option<u64>,
    /// The expiry time of the signature, in seconds since 1970; `None` if it does not expire.
    pub expires: Option<u64>,
    /// The expiry time of the key, in seconds since 1970; `None` if it does not expire.
    pub key_expires: Option<u64>,
}

/// The result of the verification of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureStatus {
    /// The signature is valid and was made by a trusted key.
    Valid,
    /// The signature was made by a key that is not trusted.
    UnknownKey,
    /// The signature was made by a key that has expired.
    KeyExpired,
    /// The signature was made by a key that was revoked.
    KeyRevoked,
    /// The signature has expired.
    Expired,
    /// The signature could not be verified because the clock of this machine is behind: the key was
    /// created in the future.
    InFuture,
    /// The signature was made for other content.
    Bad,
    /// The signature is malformed.
    Malformed,
}

impl SignatureStatus {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::UnknownKey => "unknown-key",
            Self::KeyExpired => "key-expired",
            Self::KeyRevoked => "key-revoked",
            Self::Expired => "expired",
            Self::InFuture => "in-future",
            Self::Bad => "bad",
            Self::Malformed => "malformed",
        }
    }
}

/// Describes signatures of which none is valid.
pub(crate) fn statuses(found: &[Signature]) -> String {
    let each = found.iter().map(|signature| {
        let words = match signature.status {
            SignatureStatus::Valid => "valid",
            SignatureStatus::UnknownKey => "made by an unknown key",
            SignatureStatus::KeyExpired => "made by an expired key",
            SignatureStatus::KeyRevoked => "made by a revoked key",
            SignatureStatus::Expired => "expired",
            SignatureStatus::InFuture => {
                "made in the future according to the clock of this machine"
            }
            SignatureStatus::Bad => "made for other content",
            SignatureStatus::Malformed => "malformed",
        };
        // The key of an Ed25519 signature is only known if the signature is valid.
        let by = [signature.kind, &signature.key, words];
        let by: Vec<&str> = by.into_iter().filter(|word| !word.is_empty()).collect();
        by.join(" ")
    });
    each.collect::<Vec<_>>().join(", ")
}
