//! Identifiers in a repository: checksums and refs.

use std::fmt;
use std::str::FromStr;

/// A SHA-256 digest, displayed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub(crate) [u8; 32]);

impl Sha256 {
    /// Creates a digest from its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The error for a text that is not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a SHA-256 checksum, expected 64 hexadecimal digits")]
pub struct InvalidChecksum {
    /// The invalid text.
    pub found: String,
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0u8; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = HEX_DIGITS[usize::from(byte >> 4)];
            pair[1] = HEX_DIGITS[usize::from(byte & 15)];
        }
        f.pad(std::str::from_utf8(&hex).unwrap_or_default())
    }
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
        let invalid = || InvalidChecksum {
            found: text.to_owned(),
        };
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(invalid()),
        };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(invalid());
        };
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() {
            return Err(invalid());
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

/// Declares a checksum newtype over [`Sha256`].
macro_rules! checksum_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Sha256);

        impl $name {
            /// Returns the 32 bytes of the checksum.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0.0
            }
        }

        impl From<Sha256> for $name {
            fn from(checksum: Sha256) -> Self {
                Self(checksum)
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(checksum: [u8; 32]) -> Self {
                Self(Sha256(checksum))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidChecksum;

            fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
                text.parse().map(Self)
            }
        }
    };
}

checksum_type! {
    /// The checksum of a commit object.
    CommitId
}
checksum_type! {
    /// The checksum of a file object, called content checksum in OSTree.
    ///
    /// It covers the file's bytes, owner, mode, symlink target and xattrs.
    FileId
}
checksum_type! {
    /// The checksum of a directory's entries: a `dirtree` object.
    DirTreeId
}
checksum_type! {
    /// The checksum of a directory's owner, mode and xattrs: a `dirmeta` object.
    DirMetaId
}
checksum_type! {
    /// The checksum of a whole tree: SHA-256 over the root's `dirtree` and `dirmeta`
    /// checksums, as `ostree show` prints it (`ContentChecksum`).
    ///
    /// Source: `ostree_commit_get_content_checksum`, libostree 2018.2.
    ContentId
}

/// An OSTree ref: `go-sdk/x86_64/1.26.5`.
///
/// Components of `[A-Za-z0-9._-]`, none starting with `.` or `-`, joined by `/`: the
/// rule of `ostree_validate_rev` (`ostree-core.c`, `OSTREE_REF_REGEXP`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

/// The error for a text that is not a ref.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` is not a valid ref, expected components of letters, digits, `.`, `_` and `-` joined by `/`"
)]
pub struct InvalidRef {
    /// The invalid text.
    pub found: String,
}

impl RefName {
    /// Returns the ref as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text before the first `/`, which releases, channels, layers and std caches that
    /// belong together have in common.
    pub(crate) fn first_component(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for RefName {
    type Err = InvalidRef;

    fn from_str(text: &str) -> Result<Self, InvalidRef> {
        let valid_component = |part: &str| {
            part.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && !part.is_empty()
                && !part.starts_with(['.', '-'])
        };
        if text.split('/').all(valid_component) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRef {
                found: text.to_owned(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_round_trip() {
        let text = "00ff10a5".repeat(8);
        assert_eq!(text.parse::<CommitId>().unwrap().to_string(), text);
        for bad in [
            "",
            "00ff",
            &text.to_uppercase(),
            &format!("{text}00"),
            &"zz".repeat(32),
        ] {
            assert!(bad.parse::<CommitId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn refs_follow_the_rules_of_ostree() {
        for good in [
            "a",
            "go-sdk/x86_64/1.26.5",
            "go-sdk/layer/common/00ff",
            "A_b/c.d-e",
            "_x",
        ] {
            assert!(good.parse::<RefName>().is_ok(), "{good}");
            assert!(ostree::validate_rev(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "a/", "/a", "a//b", ".a", "a/../b", "-a", "a b"] {
            assert!(bad.parse::<RefName>().is_err(), "{bad}");
            assert!(ostree::validate_rev(bad).is_err(), "{bad}");
        }
        // libostree accepts a final line feed and letters of any script, and parses `a:b` as remote
        // and ref; here a ref is also part of URLs and file names.
        for bad in ["a\n", "a:b", "ä"] {
            assert!(bad.parse::<RefName>().is_err(), "{bad}");
        }
    }
}
