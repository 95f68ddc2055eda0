//! The `h1:` hash of a Go module.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A module's `h1:` hash, as `go.sum` and the Go checksum database have it.
///
/// Shown as `h1:` and the padded standard base64 of 32 bytes
/// (`golang.org/x/mod/sumdb/dirhash`, `Hash1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct H1(pub [u8; 32]);

/// Why a text is no `h1:` hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not an h1 hash, expected `h1:` and 44 characters of base64")]
pub struct InvalidH1 {
    /// The text as given.
    pub found: String,
}

impl fmt::Display for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h1:{}", STANDARD.encode(self.0))
    }
}

impl FromStr for H1 {
    type Err = InvalidH1;

    fn from_str(text: &str) -> Result<Self, InvalidH1> {
        text.strip_prefix("h1:")
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| InvalidH1 {
                found: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_round_trip() {
        let text = "h1:KyINmJ/FQdKRmDYGuTAAXkumyeR2DyUlSNHZj7XaLFg=";
        assert_eq!(text.parse::<H1>().unwrap().to_string(), text);
        for bad in ["", "h1:", "KyINmJ", "h1:KyINmJ==", "h2:KyINmJ/FQdI="] {
            assert!(bad.parse::<H1>().is_err(), "{bad}");
        }
    }
}
