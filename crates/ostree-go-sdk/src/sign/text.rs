//! Signatures as text.
//!
//! A line `ed25519 SIGNATURE` for each Ed25519 signature, 64 bytes in base64 as in a commit's detached
//! metadata, and then one armoured block with all OpenPGP signatures. `gpg --verify NAME.sig NAME`
//! accepts such a file, because GnuPG ignores lines before the block. A binary file, as
//! `gpg --detach-sign` writes it, is read as well.
//!
//! Source of the armour: RFC 9580, section 6.2, and RFC 4880, section 6.1 (the checksum, which older
//! versions of GnuPG require).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The word at the start of a line with an Ed25519 signature.
const ED25519: &str = "ed25519 ";
const BEGIN: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";
/// The number of characters of a line of armour.
const LINE: usize = 64;

/// The signatures of a file, which were not verified.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Signatures {
    /// OpenPGP packets. An item that is not well-formed counts as a malformed signature.
    pub(super) gpg: Vec<Vec<u8>>,
    pub(super) ed25519: Vec<Vec<u8>>,
}

impl Signatures {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        // The first byte of an OpenPGP packet has its highest bit set.
        if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
            return Self {
                gpg: vec![bytes.to_vec()],
                ed25519: Vec::new(),
            };
        }
        let text = String::from_utf8_lossy(bytes);
        let mut found = Self::default();
        let mut lines = text.lines().map(str::trim_end);
        while let Some(line) = lines.next() {
            if line == BEGIN {
                found.gpg.push(dearmored(&mut lines).unwrap_or_default());
            } else if let Some(signature) = line.strip_prefix(ED25519) {
                // A malformed signature is none by a trusted key.
                let signature = STANDARD.decode(signature.trim()).unwrap_or_default();
                found.ed25519.push(signature);
            }
        }
        found
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for signature in &self.ed25519 {
            text += &format!("{ED25519}{}\n", STANDARD.encode(signature));
        }
        if !self.gpg.is_empty() {
            text += &armored(&self.gpg.concat());
        }
        text
    }
}

/// Returns the packets of a single OpenPGP signature file, armoured or binary; `None` if the content is
/// anything else.
pub(super) fn openpgp_bytes(content: &[u8]) -> Option<Vec<u8>> {
    let found = Signatures::parse(content);
    match <[Vec<u8>; 1]>::try_from(found.gpg) {
        Ok([packets]) if !packets.is_empty() => Some(packets),
        _ => None,
    }
}

/// Returns an armoured block.
fn armored(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let mut text = format!("{BEGIN}\n\n");
    for (at, character) in encoded.chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    let checksum = STANDARD.encode(&crc24(bytes).to_be_bytes()[1..]);
    text + &format!("\n={checksum}\n{END}\n")
}

/// Returns the bytes of a block whose first line was read. The checksum is not compared, because the
/// signature itself is verified.
fn dearmored<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Option<Vec<u8>> {
    // Headers end with an empty line.
    lines.find(|line| line.is_empty())?;
    let mut encoded = String::new();
    for line in lines {
        match line {
            END => return STANDARD.decode(encoded).ok(),
            line if line.starts_with('=') => {}
            line => encoded.push_str(line),
        }
    }
    None
}

/// Returns the checksum of an armoured block. Source: RFC 4880, section 6.1.
fn crc24(bytes: &[u8]) -> u32 {
    let mut crc = 0x00B7_04CE_u32;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4CFB;
            }
        }
    }
    crc & 0x00FF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The check value of CRC-24/OPENPGP in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc24(b"123456789"), 0x0021_CF02);
        assert_eq!(crc24(b""), 0x00B7_04CE);
    }

    #[test]
    fn damaged_text_has_malformed_signatures() {
        let of = |text: &str| Signatures::parse(text.as_bytes());
        assert_eq!(of("text\n"), Signatures::default());
        assert_eq!(of("ed25519 ?\n").ed25519, [b""]);
        assert_eq!(of(&format!("{BEGIN}\n\nAAAA\n")).gpg, [b""]);
        assert_eq!(of(&format!("{BEGIN}\n\n?\n{END}\n")).gpg, [b""]);
        let crlf = format!("{BEGIN}\nComment: x\n\nAAAA\n=AAAA\n{END}\n").replace('\n', "\r\n");
        assert_eq!(of(&crlf).gpg, [b"\0\0\0"]);
        assert_eq!(Signatures::parse(&[0x88, 1]).gpg, [[0x88, 1]]);
    }

    proptest! {
        #[test]
        fn signatures_are_read_as_written(
            gpg in prop::option::of(prop::collection::vec(any::<u8>(), 1..300)),
            ed25519 in prop::collection::vec(prop::collection::vec(any::<u8>(), 64), 0..3),
        ) {
            let signatures = Signatures { gpg: gpg.into_iter().collect(), ed25519 };
            let text = signatures.to_text();
            prop_assert!(text.lines().all(|line| line.len() <= 96));
            prop_assert_eq!(Signatures::parse(text.as_bytes()), signatures);
        }

        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            Signatures::parse(&bytes);
        }
    }
}
