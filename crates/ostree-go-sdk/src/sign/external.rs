//! Errors of signers outside of this library: commands and tokens.

use crate::kind::ErrorKind;
use crate::process::ProcessError;
use std::path::PathBuf;
use std::time::Duration;

/// The reason why a command or a token gave no usable signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The command cannot be started.
    #[error(transparent)]
    Start(ProcessError),
    /// The command ended with an exit status other than 0, or was killed.
    #[error("the command {status}: {stderr}")]
    Failed {
        /// The exit status or the signal.
        status: String,
        /// The end of what the command wrote to its standard error.
        stderr: String,
    },
    /// The command did not end in time, and was killed.
    #[error("the command did not end within {} seconds", timeout.as_secs())]
    TimedOut {
        /// The limit.
        timeout: Duration,
    },
    /// The command wrote more than a signature can have, and was killed.
    #[error("the command wrote more than {limit} bytes, expected a signature")]
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// The output of the command is not a signature of the kind of the public key.
    #[error("the command wrote {found} bytes that are not a signature, expected {expected}")]
    NotASignature {
        /// The number of bytes.
        found: usize,
        /// The expected formats.
        expected: &'static str,
    },
    /// The signature cannot be verified with the public key.
    #[error("the signature is not valid for public key {key}: it is {status}")]
    Invalid {
        /// The public key: a fingerprint, or 32 bytes in base64.
        key: String,
        /// The result of the verification.
        status: String,
    },
    /// The module of PKCS#11 cannot be loaded or initialized.
    #[error("cannot load PKCS#11 module {}: {problem}", path.display())]
    Module {
        /// The path of the module.
        path: PathBuf,
        /// The message of the loader or the module.
        problem: String,
    },
    /// The URI names no token that is there.
    #[error("no token matches the URI, found {}", list(found))]
    NoToken {
        /// The labels of the tokens of the module.
        found: Vec<String>,
    },
    /// The URI names more than one token.
    #[error("{} tokens match the URI, expected one: {}", found.len(), list(found))]
    SeveralTokens {
        /// The labels of the tokens.
        found: Vec<String>,
    },
    /// The file with the PIN cannot be read.
    #[error("cannot read the PIN from {}", path.display())]
    PinFile {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The token requires a PIN, and the URI names none.
    #[error("token `{token}` requires a PIN, and the URI names no source of one")]
    NoPin {
        /// The label of the token.
        token: String,
    },
    /// The PIN is wrong.
    #[error("token `{token}` refused the PIN")]
    WrongPin {
        /// The label of the token.
        token: String,
    },
    /// The PIN was entered wrongly too often.
    #[error("the PIN of token `{token}` is locked")]
    PinLocked {
        /// The label of the token.
        token: String,
    },
    /// The token has no matching private key.
    #[error("token `{token}` has no private key that matches the URI")]
    NoKey {
        /// The label of the token.
        token: String,
    },
    /// The token has several matching private keys.
    #[error("token `{token}` has {found} Ed25519 keys that match the URI, expected one")]
    SeveralKeys {
        /// The label of the token.
        token: String,
        /// The number of keys.
        found: usize,
    },
    /// The key is of another type.
    #[error("the key on token `{token}` is of type {found}, expected an Ed25519 key")]
    WrongType {
        /// The label of the token.
        token: String,
        /// The type in the notation of PKCS#11, such as `CKK_RSA`.
        found: String,
    },
    /// The token does not have the public key of the private key.
    #[error(
        "token `{token}` has no public key with the ID or label of the private key, so that its signatures cannot be verified"
    )]
    NoPublicKey {
        /// The label of the token.
        token: String,
    },
    /// Another failure of the token.
    #[error("the token failed: {problem}")]
    Token {
        /// The message of the library for PKCS#11.
        problem: String,
    },
}

impl SignerError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Start(error) => error.kind(),
            Self::PinFile { source, .. } => ErrorKind::of_io(source),
            Self::Invalid { .. } => ErrorKind::Mismatch,
            Self::NoToken { .. } | Self::NoKey { .. } | Self::NoPublicKey { .. } => {
                ErrorKind::NotFound
            }
            Self::WrongPin { .. } | Self::PinLocked { .. } => ErrorKind::PermissionDenied,
            Self::NotASignature { .. }
            | Self::TooLong { .. }
            | Self::Module { .. }
            | Self::SeveralTokens { .. }
            | Self::NoPin { .. }
            | Self::SeveralKeys { .. }
            | Self::WrongType { .. } => ErrorKind::InvalidInput,
            Self::Failed { .. } | Self::TimedOut { .. } | Self::Token { .. } => ErrorKind::Io,
        }
    }
}

/// Lists names for a message.
fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => {
            let names = names.iter().map(|name| format!("`{name}`"));
            names.collect::<Vec<_>>().join(", ")
        }
    }
}
