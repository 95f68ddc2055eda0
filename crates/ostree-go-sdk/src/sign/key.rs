//! Secret keys for signing.

use std::fmt;
use std::path::PathBuf;

/// A secret key for signing.
#[derive(Clone)]
#[non_exhaustive]
pub enum SigningKey {
    /// A GPG secret key.
    Gpg {
        /// The ID, fingerprint or user ID of the key or of one of its subkeys. GnuPG chooses the
        /// subkey that signs; a `!` after a subkey's ID or fingerprint selects that one.
        id: String,
        /// The GnuPG home directory of the key; `None` for GnuPG's default.
        homedir: Option<PathBuf>,
    },
    /// An Ed25519 secret key: 64 bytes in base64, as for `ostree sign`.
    Ed25519 {
        /// The key.
        secret: String,
    },
}

/// Formats the key without the secret.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpg { id, .. } => write!(f, "Gpg({id})"),
            Self::Ed25519 { .. } => f.write_str("Ed25519"),
        }
    }
}
