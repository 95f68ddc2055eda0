//! Who made a GPG signature, as the signature itself says: GnuPG need not be asked, and no key
//! be there.
//!
//! Source: RFC 4880, sections 4.2 (packets), 5.2.2 and 5.2.3 (signatures), and RFC 9580,
//! section 5.2.3.35 (the issuer's fingerprint).

/// The tag of a signature packet.
const SIGNATURE: u8 = 2;
/// The subpacket with the last 8 bytes of the key's fingerprint.
const ISSUER_KEY_ID: u8 = 16;
/// The subpacket with the key's version and fingerprint.
const ISSUER_FINGERPRINT: u8 = 33;

/// The fingerprints of the keys that made the signatures in `packets`, in upper-case
/// hexadecimal; the key id where a signature says no more. What is no signature is passed over.
pub(super) fn issuers(packets: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = packets;
    while let Some((tag, body, behind)) = packet(rest) {
        if tag == SIGNATURE {
            found.extend(issuer(body).map(hex));
        }
        rest = behind;
    }
    found
}

/// The tag and the body of the first packet, and what is behind it.
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

/// The key that a signature packet names.
fn issuer(body: &[u8]) -> Option<&[u8]> {
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

    proptest! {
        #[test]
        fn garbage_is_no_panic(bytes: Vec<u8>, at in 0usize..60, with: u8) {
            issuers(&bytes);
            let mut damaged = signature();
            let at = at % damaged.len();
            damaged[at] = with;
            issuers(&damaged);
            issuers(&damaged[..at]);
        }
    }
}
