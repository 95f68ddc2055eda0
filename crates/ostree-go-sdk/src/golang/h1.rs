//! The `h1:` hash of a module's content, as in go.sum and the checksum database.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;

use crate::id::Sha256;

/// Prefix of the algorithm. Source: `golang.org/x/mod/sumdb/dirhash`, `Hash1`.
const PREFIX: &str = "h1:";

/// The hash of a module's content, displayed as `h1:` and standard base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct H1([u8; 32]);

/// The reason why a text is not an `h1:` hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a module hash, expected `h1:` and 44 characters of base64")]
pub struct InvalidH1 {
    /// The invalid text.
    pub found: String,
}

impl H1 {
    /// Returns the digest that the hash consists of.
    #[must_use]
    pub const fn digest(self) -> Sha256 {
        Sha256(self.0)
    }

    /// Creates the hash from its digest.
    #[must_use]
    pub const fn from_digest(digest: Sha256) -> Self {
        Self(digest.0)
    }
}

impl fmt::Display for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{PREFIX}{}", STANDARD.encode(self.0)))
    }
}

impl fmt::Debug for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for H1 {
    type Err = InvalidH1;

    fn from_str(text: &str) -> Result<Self, InvalidH1> {
        text.strip_prefix(PREFIX)
            .and_then(|base64| STANDARD.decode(base64).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| InvalidH1 {
                found: text.to_owned(),
            })
    }
}

/// Computes an [`H1`] from the files of a module, given in any order.
///
/// The hash is the SHA-256 of one line per file, `hex-sha256␠␠name\n`, sorted by name
/// (`golang.org/x/mod/sumdb/dirhash`, `Hash1`). Modes and times are not included.
#[derive(Debug, Clone, Default)]
pub struct H1Builder {
    files: Vec<(String, Sha256)>,
}

impl H1Builder {
    /// Creates a builder for a module without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file with its name in the module's zip, which begins with
    /// `golang.org/toolchain@`, and the digest of its content.
    pub fn add(&mut self, name: &str, sha256: Sha256) {
        self.files.push((name.to_owned(), sha256));
    }

    /// Returns the hash of all files added.
    #[must_use]
    pub fn finish(mut self) -> H1 {
        self.files.sort_unstable();
        let mut lines = sha2::Sha256::new();
        for (name, sha256) in &self.files {
            lines.update(format!("{sha256}  {name}\n"));
        }
        H1(lines.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(content: &str) -> Sha256 {
        Sha256(sha2::Sha256::digest(content).into())
    }

    /// The test of dirhash's `Hash1`: files `abc` and `xyz` with the content `data for …`.
    #[test]
    fn equals_the_hash_in_gos_own_test() {
        let mut builder = H1Builder::new();
        builder.add("xyz", digest("data for xyz"));
        builder.add("abc", digest("data for abc"));
        let lines = format!(
            "{}  abc\n{}  xyz\n",
            digest("data for abc"),
            digest("data for xyz")
        );
        let h1 = builder.finish();
        assert_eq!(h1.0, <[u8; 32]>::from(sha2::Sha256::digest(lines)));
        assert_eq!(h1.to_string().parse::<H1>().unwrap(), h1);
    }

    #[test]
    fn refuses_other_hashes() {
        let good = "h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=";
        assert_eq!(good.parse::<H1>().unwrap().to_string(), good);
        for bad in ["", "h1:", "h2:AAAA", &good[3..], &good[..good.len() - 1]] {
            assert!(bad.parse::<H1>().is_err(), "{bad}");
        }
        insta::assert_snapshot!(
            "h2:x".parse::<H1>().unwrap_err(),
            @"`h2:x` is not a module hash, expected `h1:` and 44 characters of base64"
        );
    }

    proptest! {
        #[test]
        fn any_text_round_trips_or_is_an_error(text in "(h1:)?[A-Za-z0-9+/=]{0,50}|.{0,60}") {
            if let Ok(h1) = text.parse::<H1>() {
                prop_assert_eq!(h1.to_string(), text);
            }
        }

        #[test]
        fn the_order_of_files_does_not_count(names in proptest::collection::vec("[a-z/]{1,6}", 0..8)) {
            let (mut forth, mut back) = (H1Builder::new(), H1Builder::new());
            names.iter().for_each(|n| forth.add(n, digest(n)));
            names.iter().rev().for_each(|n| back.add(n, digest(n)));
            prop_assert_eq!(forth.finish(), back.finish());
        }
    }
}
