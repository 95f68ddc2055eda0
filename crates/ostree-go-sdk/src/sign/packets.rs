//! A parser for OpenPGP signature packets in untrusted input. It needs neither GnuPG nor a key.
//!
//! Source: RFC 4880, sections 4.2 (packets), 5.2.2 and 5.2.3 (signatures), and RFC 9580,
//! section 5.2.3.35 (the issuer's fingerprint).

use super::error::SignError;
use std::collections::HashSet;

/// The tag of a signature packet.
const SIGNATURE: u8 = 2;
/// The subpacket with the last 8 bytes of the key's fingerprint.
const ISSUER_KEY_ID: u8 = 16;
/// The subpacket with the key's version and fingerprint.
const ISSUER_FINGERPRINT: u8 = 33;

/// The maximum number of different signatures of one kind that are verified for a commit, summary,
/// static delta or package. GnuPG needs about 10 ms for each, and a server can add any number to a
/// commit. Publishers sign with one key, or with two while they replace one.
pub(super) const MAX_SIGNATURES: usize = 64;
/// The maximum size of a signature packet that is passed to GnuPG, in bytes. One by an RSA key of
/// 16,384 bits has 2,100 bytes.
const MAX_PACKET_SIZE: usize = 64 << 10;

/// The signatures in a string of OpenPGP packets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packets<'a> {
    /// The signatures, each with its header.
    pub(super) packets: Vec<&'a [u8]>,
    /// True if anything is not a well-formed signature.
    pub(super) has_others: bool,
}

/// Splits a string of packets. Only well-formed signatures are returned, so that nothing else is
/// passed to GnuPG, such as compressed packets, documents or keys.
pub(super) fn split(bytes: &[u8]) -> Packets<'_> {
    let mut found = Packets::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((tag, body, after)) = packet(rest) else {
            found.has_others = true;
            break;
        };
        let packet_bytes = &rest[..rest.len() - after.len()];
        if tag == SIGNATURE && packet_bytes.len() <= MAX_PACKET_SIZE && issuer_of(body).is_some() {
            found.packets.push(packet_bytes);
        } else {
            found.has_others = true;
        }
        rest = after;
    }
    found
}

/// Removes repeated signatures.
///
/// # Errors
/// Returns an error if there are more than [`MAX_SIGNATURES`] different ones.
pub(super) fn deduplicated<T: std::hash::Hash + Eq + Clone>(
    signatures: impl IntoIterator<Item = T>,
) -> Result<Vec<T>, SignError> {
    let mut known = HashSet::new();
    let mut kept = Vec::new();
    for signature in signatures {
        if known.insert(signature.clone()) {
            kept.push(signature);
        }
    }
    match kept.len() {
        ..=MAX_SIGNATURES => Ok(kept),
        found => Err(SignError::TooMany {
            found,
            limit: MAX_SIGNATURES,
        }),
    }
}

/// Returns the fingerprint of the key of the first signature in `packets`, in upper-case
/// hexadecimal, or the key ID if the signature contains no fingerprint.
pub(super) fn issuer(packets: &[u8]) -> Option<String> {
    match packet(packets)? {
        (SIGNATURE, body, _) => issuer_of(body).map(hex),
        _ => None,
    }
}

/// Returns the same for all signatures in `packets`. Other packets are ignored.
pub(super) fn issuers(packets: &[u8]) -> Vec<String> {
    split(packets)
        .packets
        .into_iter()
        .filter_map(issuer)
        .collect()
}

/// Returns the tag and body of the first packet, and the remaining bytes.
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
    let (body, after) = rest.split_at_checked(length)?;
    Some((tag, body, after))
}

/// Returns the fingerprint or key ID in the body of a signature packet.
fn issuer_of(body: &[u8]) -> Option<&[u8]> {
    match *body.first()? {
        3 => body.get(7..15),
        4 => {
            let (hashed, rest) = length_prefixed(body.get(4..)?)?;
            let (unhashed, _) = length_prefixed(rest)?;
            // The signature covers only the hashed subpackets, so they take precedence.
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

/// Splits off a field that is preceded by its length in two bytes.
fn length_prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = big_endian(bytes, 2)?;
    rest.split_at_checked(length)
}

/// Returns the data of the first subpacket of a kind.
fn subpacket(mut area: &[u8], kind: u8) -> Option<&[u8]> {
    loop {
        let (length, rest) = length(area, 0xFF)?;
        let (subpacket, after) = rest.split_at_checked(length)?;
        let (&first, data) = subpacket.split_first()?;
        // The highest bit marks a critical subpacket.
        if first & 0x7F == kind {
            return Some(data);
        }
        area = after;
    }
}

/// Parses a length of one, two or five bytes; first bytes below `end` start a length of two bytes.
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

    /// Returns the start of an Ed25519 signature by `gpg --detach-sign` of GnuPG 2.2: old packet
    /// format, version 4, hashed fingerprint and time, unhashed key ID.
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
    fn the_key_id_is_read_if_there_is_no_fingerprint() {
        let mut bytes = signature();
        bytes[9] = 100;
        assert_eq!(issuers(&bytes), ["0D0E0F1011121314"]);
        let third = [&[0xC2, 19, 3, 5, 0, 0, 0, 0, 0][..], &[7; 8], &[0; 4]].concat();
        assert_eq!(issuers(&third), ["0707070707070707"]);
    }

    #[test]
    fn only_well_formed_signatures_are_returned() {
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
        assert_eq!(deduplicated(vec![1; 100_000]).unwrap(), [1]);
        assert_eq!(deduplicated(0..64).unwrap().len(), MAX_SIGNATURES);
        let error = deduplicated(0..65).unwrap_err();
        assert_eq!(error.kind(), crate::kind::ErrorKind::Mismatch);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes: Vec<u8>, at in 0usize..60, with: u8) {
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
