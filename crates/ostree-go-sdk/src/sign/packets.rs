//! OpenPGP signature packets: parser for untrusted input, which needs no GnuPG and no key.
//!
//! Source: RFC 4880, sections 4.2 (packets), 5.2.2 and 5.2.3 (signatures), and RFC 9580,
//! section 5.2.3.35 (the issuer's fingerprint).

use super::SignError;
use std::collections::HashSet;

/// The tag of a signature packet.
const SIGNATURE: u8 = 2;
/// The subpacket with the last 8 bytes of the key's fingerprint.
const ISSUER_KEY_ID: u8 = 16;
/// The subpacket with the key's version and fingerprint.
const ISSUER_FINGERPRINT: u8 = 33;

/// The most different signatures of one kind that are checked of a commit, a summary, a static
/// delta or a package. Each takes GnuPG some 10 ms, and whoever serves a commit can add any number
/// to it. Publishers sign with one key, and with two while they replace one.
pub(super) const MOST: usize = 64;
/// The largest signature packet that GnuPG is given, in bytes. One by an RSA key of 16,384 bits
/// takes 2,100.
const LARGEST: usize = 64 << 10;

/// What a string of OpenPGP packets holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packets<'a> {
    /// The signatures, each with its header.
    pub(super) packets: Vec<&'a [u8]>,
    /// Whether anything is not a well-formed signature.
    pub(super) has_others: bool,
}

/// Splits a string of packets. Only signatures that are well-formed are returned, so that GnuPG is
/// never given anything else: compressed packets, documents, keys.
pub(super) fn split(bytes: &[u8]) -> Packets<'_> {
    let mut found = Packets::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((tag, body, behind)) = packet(rest) else {
            found.has_others = true;
            break;
        };
        let whole = &rest[..rest.len() - behind.len()];
        if tag == SIGNATURE && whole.len() <= LARGEST && issuer_of(body).is_some() {
            found.packets.push(whole);
        } else {
            found.has_others = true;
        }
        rest = behind;
    }
    found
}

/// Drops repeated signatures.
///
/// # Errors
/// When there are more than [`MOST`] different ones.
pub(super) fn distinct<T: std::hash::Hash + Eq + Clone>(
    signatures: impl IntoIterator<Item = T>,
) -> Result<Vec<T>, SignError> {
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for signature in signatures {
        if seen.insert(signature.clone()) {
            kept.push(signature);
        }
    }
    match kept.len() {
        ..=MOST => Ok(kept),
        found => Err(SignError::TooMany { found, limit: MOST }),
    }
}

/// The fingerprint of the key that made the first signature in `packets`, in upper-case
/// hexadecimal; the key id where the signature has no more.
pub(super) fn issuer(packets: &[u8]) -> Option<String> {
    match packet(packets)? {
        (SIGNATURE, body, _) => issuer_of(body).map(hex),
        _ => None,
    }
}

/// The same of every signature in `packets`. Whatever is no signature is passed over.
pub(super) fn issuers(packets: &[u8]) -> Vec<String> {
    split(packets)
        .packets
        .into_iter()
        .filter_map(issuer)
        .collect()
}

/// The tag and the body of the first packet, and the bytes behind it.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (tag, (length, rest)) = match first {
        0xC0.. => (first & 0x3F, length(rest, 0xE0)?),
        0x80.. => {
            let octets = 1usize << (first & 3);
            if octets > 4 {
                return None;
            }
            ((first >> 2) & 0xF, big_endian(rest, octets)?)
        }
        _ => return None,
    };
    let (body, behind) = rest.split_at_checked(length)?;
    Some((tag, body, behind))
}

/// The key that the body of a signature packet names.
fn issuer_of(body: &[u8]) -> Option<&[u8]> {
    match *body.first()? {
        3 => body.get(7..15),
        4 => {
            let (hashed, rest) = counted(body.get(4..)?)?;
            let (unhashed, _) = counted(rest)?;
            // A signature covers the first ones; so what they say comes first.
            let in_both = |kind, from| {
                [hashed, unhashed]
                    .into_iter()
                    .find_map(|area| subpacket(area, kind)?.get(from..))
            };
            in_both(ISSUER_FINGERPRINT, 1).or_else(|| in_both(ISSUER_KEY_ID, 0))
        }
        _ => None,
    }
}

/// A field of bytes behind its length in two bytes.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = big_endian(bytes, 2)?;
    rest.split_at_checked(length)
}

/// The data of the first subpacket of a kind.
fn subpacket(mut area: &[u8], kind: u8) -> Option<&[u8]> {
    loop {
        let (length, rest) = length(area, 0xFF)?;
        let (subpacket, behind) = rest.split_at_checked(length)?;
        let (&first, data) = subpacket.split_first()?;
        // The highest bit says that a reader has to know it.
        if first & 0x7F == kind {
            return Some(data);
        }
        area = behind;
    }
}

/// A length in one, two or five bytes; two up to the first byte `end`.
fn length(bytes: &[u8], end: u8) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0..192 => Some((first.into(), rest)),
        0xFF => big_endian(rest, 4),
        _ if first < end => {
            let (&second, rest) = rest.split_first()?;
            let high = usize::from(first - 192) << 8;
            Some((high + usize::from(second) + 192, rest))
        }
        _ => None,
    }
}

fn big_endian(bytes: &[u8], octets: usize) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_at_checked(octets)?;
    let number = number
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    Some((number, rest))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The start of what `gpg --detach-sign` of GnuPG 2.2 writes for an Ed25519 key: old packet
    /// format, version 4, the fingerprint and the time hashed, the key id not hashed.
    fn signature() -> Vec<u8> {
        let mut body = vec![4, 0, 22, 8, 0, 29];
        body.extend([22, 33, 4]);
        body.extend(1..=20);
        body.extend([5, 2, 0x65, 0, 0, 0]);
        body.extend([0, 10, 9, 16]);
        body.extend(13..=20);
        body.extend([0xAB, 0xCD]);
        [&[0x88, u8::try_from(body.len()).unwrap()][..], &body].concat()
    }

    #[test]
    fn the_fingerprint_is_read() {
        let one = "0102030405060708090A0B0C0D0E0F1011121314";
        assert_eq!(issuers(&signature()), [one]);
        assert_eq!(issuers(&[signature(), signature()].concat()), [one, one]);
    }

    #[test]
    fn the_key_id_is_read_where_there_is_no_fingerprint() {
        let mut bytes = signature();
        bytes[9] = 100;
        assert_eq!(issuers(&bytes), ["0D0E0F1011121314"]);
        let third = [&[0xC2, 19, 3, 5, 0, 0, 0, 0, 0][..], &[7; 8], &[0; 4]].concat();
        assert_eq!(issuers(&third), ["0707070707070707"]);
    }

    #[test]
    fn only_well_formed_signatures_are_split_off() {
        let one = signature();
        let literal = [0xCB, 3, b'b', 0, 0];
        let bytes = [&one[..], &literal, &one, b"rest"].concat();
        let found = split(&bytes);
        assert_eq!(found.packets, [&one[..], &one[..]]);
        assert!(found.has_others);
        assert_eq!(
            split(&one),
            Packets {
                packets: vec![&one[..]],
                has_others: false
            }
        );
        assert_eq!(split(b"").packets, Vec::<&[u8]>::new());
        assert!(split(b"garbage").has_others);
    }

    #[test]
    fn repeated_signatures_count_once_and_too_many_are_refused() {
        assert_eq!(distinct(vec![1; 100_000]).unwrap(), [1]);
        assert_eq!(distinct(0..64).unwrap().len(), MOST);
        let error = distinct(0..65).unwrap_err();
        assert_eq!(error.kind(), crate::kind::ErrorKind::Mismatch);
    }

    proptest! {
        #[test]
        fn garbage_is_no_panic(bytes: Vec<u8>, at in 0usize..60, with: u8) {
            issuers(&bytes);
            split(&bytes);
            let mut damaged = signature();
            let at = at % damaged.len();
            damaged[at] = with;
            issuers(&damaged);
            issuers(&damaged[..at]);
        }
    }
}
