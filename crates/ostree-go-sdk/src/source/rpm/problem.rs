//! Problems with RPMs.

use crate::id::Sha256;
use crate::kind::ErrorKind;

/// The reason why an RPM cannot be used as a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpmProblem {
    /// The file does not start like an RPM.
    #[error("is not an RPM")]
    NotAnRpm,
    /// The RPM contains sources.
    #[error("is a source RPM, expected a binary one")]
    Source,
    /// A header is malformed.
    #[error("has a header that cannot be read: {what}")]
    Header {
        /// The problem.
        what: String,
    },
    /// The header does not match its digest.
    #[error("has a header with the SHA-256 {found}, expected {expected}")]
    HeaderDigest {
        /// The digest in the signature header.
        expected: String,
        /// The digest of the header.
        found: Sha256,
    },
    /// The payload does not match its digest.
    #[error("has a payload with the SHA-256 {found}, expected {expected}")]
    PayloadDigest {
        /// The digest in the header.
        expected: String,
        /// The digest of the payload.
        found: Sha256,
    },
    /// The digests are missing because the rpm that made the package is too old.
    #[error("has no SHA-256 of its {part}, expected what rpm 4.14 and newer write")]
    NoDigest {
        /// `header` or `payload`.
        part: &'static str,
    },
    /// The RPM is for another architecture.
    #[error("is for {found}, expected {expected} or noarch")]
    Arch {
        /// The architecture of the RPM.
        found: String,
        /// The architecture of the release.
        expected: &'static str,
    },
    /// The payload's format is not supported.
    #[error("has a payload in the form {found}, expected cpio")]
    Format {
        /// The format.
        found: String,
    },
    /// The payload's compression is not supported.
    #[error("has a payload compressed by {method}, expected gzip, xz or zstd")]
    Compression {
        /// The method.
        method: String,
    },
    /// The version differs from that of another RPM of the SDK.
    #[error("is of version {found}, expected that of {other}, {expected}")]
    Version {
        /// The version and release of the RPM.
        found: String,
        /// The location of the other RPM.
        other: String,
        /// The version and release of the other RPM.
        expected: String,
    },
    /// The content at a path differs from that of another RPM.
    #[error("has other content at `{}` than {other}", path.escape_debug())]
    Content {
        /// The path.
        path: String,
        /// The location of the other RPM.
        other: String,
    },
    /// A file is only in the payload or only in the header.
    #[error("has `{}` {}", path.escape_debug(), match in_payload {
        true => "in its payload, but not in its header",
        false => "in its header, but not in its payload",
    })]
    Unlisted {
        /// The path.
        path: String,
        /// True if it is in the payload and not in the header.
        in_payload: bool,
    },
    /// The RPM is not signed, but keys were given.
    #[error("is not signed, expected a signature by a key of the treefile")]
    Unsigned,
    /// None of the signatures is valid.
    #[error("has no valid signature by a key of the treefile: {found}")]
    Refused {
        /// The signatures and their problems.
        found: String,
    },
}

impl RpmProblem {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAnRpm
            | Self::Source
            | Self::NoDigest { .. }
            | Self::Format { .. }
            | Self::Compression { .. } => ErrorKind::InvalidInput,
            Self::Header { .. }
            | Self::HeaderDigest { .. }
            | Self::PayloadDigest { .. }
            | Self::Unlisted { .. } => ErrorKind::Corrupt,
            Self::Arch { .. } | Self::Version { .. } | Self::Unsigned | Self::Refused { .. } => {
                ErrorKind::Mismatch
            }
            Self::Content { .. } => ErrorKind::UnsafeContent,
        }
    }
}
