//! Secret keys for signing.

#[cfg(feature = "pkcs11")]
use super::pkcs11::Pkcs11Key;
use super::verification::VerificationKey;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

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
    /// A key that only an external command can use.
    Command(CommandKey),
    /// An Ed25519 key on a token, which is used through PKCS#11.
    #[cfg(feature = "pkcs11")]
    Pkcs11(Pkcs11Key),
}

impl SigningKey {
    /// Returns true if the key makes Ed25519 signatures, and false if it makes GPG signatures.
    #[must_use]
    pub const fn is_ed25519(&self) -> bool {
        match self {
            Self::Gpg { .. } => false,
            Self::Ed25519 { .. } => true,
            Self::Command(key) => key.public.as_ed25519().is_some(),
            #[cfg(feature = "pkcs11")]
            Self::Pkcs11(_) => true,
        }
    }
}

/// Formats the key without the secret.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpg { id, .. } => write!(f, "Gpg({id})"),
            Self::Ed25519 { .. } => f.write_str("Ed25519"),
            Self::Command(key) => write!(f, "Command({})", key.command),
            #[cfg(feature = "pkcs11")]
            Self::Pkcs11(key) => write!(f, "Pkcs11({})", key.uri()),
        }
    }
}

/// A key that only an external command can use, such as a client of a key management service.
///
/// The command is passed to `/bin/sh -c`. It reads the bytes to sign from its standard input, and
/// writes one signature to its standard output: 64 bytes or the same in base64 for an Ed25519 key, and
/// a detached OpenPGP signature, armoured or binary, for a GPG key. `OSTREE_GO_SIGN_KIND`,
/// `OSTREE_GO_SIGN_NAME`, `OSTREE_GO_SIGN_FORMAT` and `OSTREE_GO_SIGN_KEY` in its environment say what is
/// to be signed, and by which key. The signature is verified with the public key before it is used.
#[derive(Debug, Clone)]
pub struct CommandKey {
    pub(super) command: String,
    pub(super) public: VerificationKey,
    pub(super) timeout: Duration,
}

impl CommandKey {
    /// The default for the time after which a command is killed: 5 minutes, so that a person can
    /// confirm a signature.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

    /// Creates a key from the command, and the public key that its signatures are verified with.
    #[must_use]
    pub fn new(command: impl Into<String>, public: VerificationKey) -> Self {
        Self {
            command: command.into(),
            public,
            timeout: Self::DEFAULT_TIMEOUT,
        }
    }

    /// Sets the time after which the command is killed. Default:
    /// [`DEFAULT_TIMEOUT`](Self::DEFAULT_TIMEOUT).
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
