//! What can be wrong with an RPM.

use crate::id::Sha256;
use crate::kind::ErrorKind;

/// Why an RPM cannot be a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpmProblem {
    /// It does not begin as an RPM does.
    #[error("is no RPM")]
    NotAnRpm,
    /// It holds sources to build from.
    #[error("is a source RPM, expected a binary one")]
    Source,
    /// A header is malformed.
    #[error("has a header that cannot be read: {what}")]
    Header {
        /// What is wrong with it.
        what: String,
    },
    /// The header is not what its digest says.
    #[error("has a header with the SHA-256 {found}, expected {expected}")]
    HeaderDigest {
        /// The digest that the signature header has, as it stands there.
        expected: String,
        /// The header's digest.
        found: Sha256,
    },
    /// The payload is not what its digest says.
    #[error("has a payload with the SHA-256 {found}, expected {expected}")]
    PayloadDigest {
        /// The digest that the header has, as it stands there.
        expected: String,
        /// The payload's digest.
        found: Sha256,
    },
    /// It is too old to have the digests.
    #[error("has no SHA-256 of its {part}, expected what rpm 4.14 and newer write")]
    NoDigest {
        /// `header` or `payload`.
        part: &'static str,
    },
    /// It is for another architecture.
    #[error("is for {found}, expected {expected} or noarch")]
    Arch {
        /// The RPM's architecture.
        found: String,
        /// The release's.
        expected: &'static str,
    },
    /// Its payload is in a form that is not supported.
    #[error("has a payload in the form {found}, expected cpio")]
    Format {
        /// The form.
        found: String,
    },
    /// Its payload is compressed in a way that is not supported.
    #[error("has a payload compressed by {method}, expected gzip, xz or zstd")]
    Compression {
        /// The method.
        method: String,
    },
    /// It is of another version than another RPM of the SDK.
    #[error("is of version {found}, expected that of {other}, {expected}")]
    Version {
        /// The version and release of the RPM.
        found: String,
        /// The other RPM.
        other: String,
        /// Its version and release.
        expected: String,
    },
    /// It has a path with other content than another RPM.
    #[error("has other content at `{}` than {other}", path.escape_debug())]
    Content {
        /// The path.
        path: String,
        /// The other RPM.
        other: String,
    },
    /// A file is in the payload and not in the header, or the other way round.
    #[error("has `{}` {}", path.escape_debug(), match in_payload {
        true => "in its payload, and not as such in its header",
        false => "in its header, and not in its payload",
    })]
    Unlisted {
        /// The path.
        path: String,
        /// Whether it is the header that does not have it.
        in_payload: bool,
    },
    /// It is not signed, and keys were given.
    #[error("is not signed, expected a signature by a key of the treefile")]
    Unsigned,
    /// No signature is good.
    #[error("has no valid signature by a key of the treefile: {found}")]
    Refused {
        /// The signatures it has.
        found: String,
    },
}

impl RpmProblem {
    /// What kind of error this is.
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
