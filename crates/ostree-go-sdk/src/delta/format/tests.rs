//! Reads and applies all kinds of deltas that libostree generates. The resulting objects must have
//! the checksums that libostree computes, and must be those that the delta has to contain.

use super::*;
use crate::delta::DeltaName;
use crate::delta::testing::{TwoCommits, check, two_commits};
use glib::prelude::*;
use std::collections::BTreeMap;

impl TwoCommits {
    /// Generates a delta with libostree, and returns its folder.
    fn generate(&self, name: &DeltaName, options: &[(&str, glib::Variant)]) -> std::path::PathBuf {
        let folder = self.folder.path().join("delta");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        let dict = glib::VariantDict::new(None);
        let mut file = folder
            .join("superblock")
            .into_os_string()
            .into_encoded_bytes();
        file.push(0);
        dict.insert_value("filename", &file.to_variant());
        for (key, value) in options {
            dict.insert_value(key, value);
        }
        let from = name.from.map(|id| id.to_string());
        self.repo
            .as_ostree()
            .static_delta_generate(
                ostree::StaticDeltaGenerateOpt::Major,
                from.as_deref(),
                &name.to.to_string(),
                None,
                Some(&dict.end()),
                gio::Cancellable::NONE,
            )
            .unwrap();
        folder
    }
}

#[test]
fn deltas_of_libostree_are_read_and_applied() {
    let fixture = two_commits();
    let between = DeltaName {
        from: Some(fixture.old),
        to: fixture.new,
    };
    let empty = DeltaName {
        from: None,
        to: fixture.new,
    };
    let u32 = |key: &'static str, value: u32| (key, value.to_variant());
    let (fallback, none) = (u32("min-fallback-size", 1), u32("min-fallback-size", 0));
    let run = |name, options: &[_]| check(&fixture, name, &fixture.generate(name, options));

    let codes = run(&empty, std::slice::from_ref(&fallback));
    assert_eq!(codes["fallback"], 2);
    assert!(!codes.contains_key("bspatch") && codes["metadata"] > 0);
    let codes = run(&empty, std::slice::from_ref(&none));
    assert_eq!(codes["fallback"], 0);

    let codes = run(&between, std::slice::from_ref(&fallback));
    assert_eq!((codes["fallback"], codes["bspatch"]), (1, 1), "{codes:?}");
    assert!(codes["write"] > 1, "{codes:?}");
    let no_bsdiff = ("bsdiff-enabled", false.to_variant());
    let codes = run(&between, &[no_bsdiff, none.clone()]);
    assert!(
        !codes.contains_key("bspatch") && codes["fallback"] == 0,
        "{codes:?}"
    );
    let inline = ("inline-parts", true.to_variant());
    let codes = run(&between, &[inline, u32("max-chunk-size", 1), none]);
    assert!(codes["inline"] > 1, "{codes:?}");

    // `G_LITTLE_ENDIAN`, `G_BIG_ENDIAN`.
    for order in [1234, 4321] {
        run(&between, &[u32("endianness", order), fallback.clone()]);
        run(&empty, &[u32("endianness", order), fallback.clone()]);
    }
}

#[test]
fn a_superblock_round_trips_and_can_be_renamed() {
    let fixture = two_commits();
    let name = DeltaName {
        from: Some(fixture.old),
        to: fixture.new,
    };
    let inline = [("inline-parts", true.to_variant())];
    let folder = fixture.generate(&name, &inline);
    let bytes = std::fs::read(folder.join("superblock")).unwrap();
    let superblock = Superblock::read(&bytes).unwrap();
    // Our metadata is sorted. libostree writes the byte order first, which is also its position in
    // alphabetical order.
    let again = Superblock::read(&superblock.write()).unwrap();
    assert_eq!(again.write(), superblock.write());
    assert_eq!(again.parts, superblock.parts);
    assert_eq!(again.fallbacks, superblock.fallbacks);
    assert_eq!(again.timestamp, superblock.timestamp);

    let mut renamed = again;
    let other = DeltaName {
        from: None,
        to: fixture.old,
    };
    renamed.rename(other);
    let detached = BTreeMap::from([("key".to_owned(), 7u32.to_variant())]);
    renamed.set_detached(&detached);
    let renamed = Superblock::read(&renamed.write()).unwrap();
    assert_eq!(renamed.name, other);
    assert_eq!(renamed.inline_part(0), superblock.inline_part(0));
    assert!(renamed.inline_part(0).is_some());
    assert_eq!(renamed.detached(), detached);
    assert!(superblock.detached().is_empty());

    for cut in [0, 1, 100, bytes.len() - 1] {
        assert!(Superblock::read(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn signatures_come_off() {
    let inner = b"any bytes".to_vec();
    let signatures = BTreeMap::from([(
        "ostree.sign.ed25519".to_owned(),
        vec![vec![1u8; 64]].to_variant(),
    )]);
    let signed = wrap_signed(&inner, &signatures);
    assert!(signed.starts_with(b"OSTSGNDT"));
    let (bytes, found) = unwrap_signed(&signed).unwrap();
    assert_eq!((&*bytes, found), (&inner[..], signatures));
    assert_eq!(
        unwrap_signed(&inner).unwrap(),
        (inner[..].into(), Signatures::new())
    );
    assert!(unwrap_signed(b"OSTSGNDT and nothing").is_err());
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_superblock_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Superblock::read(&bytes);
            super::super::fuzz::delta(&bytes);
            // The same behind the magic, and as what signatures are around.
            let signed = [&b"OSTSGNDT"[..], &bytes].concat();
            let _ = unwrap_signed(&signed);
            let signatures = Signatures::from([("ostree.sign.ed25519".to_owned(), vec![bytes.clone()].to_variant())]);
            let signed = wrap_signed(&bytes, &signatures);
            prop_assert_eq!(unwrap_signed(&signed).unwrap(), (bytes.into(), signatures));
            let length = u16::try_from(signed.len()).unwrap().to_le_bytes();
            super::super::fuzz::delta(&[&length, &signed[..]].concat());
        }

        /// A part whose operations and payload are anything, with tables that are right.
        #[test]
        fn any_operations_end(
            kinds in proptest::collection::vec(0usize..4, 0..6),
            raw in proptest::collection::vec((0u8..8, [0u64..40, 0u64..40, 0u64..40, 0u64..40]), 0..20),
            payload in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut tables = PartTables::default();
            for mode in [0o100_644, 0o120_777, 0o040_755] {
                tables.mode(Attributes { uid: 0, gid: 0, mode });
            }
            tables.xattrs(&Xattrs::new());
            let mut ops = OpWriter::default();
            for (kind, [a, b, size, offset]) in raw {
                let (mode, xattrs) = (a % 4, b % 2);
                ops.push(match kind {
                    0 => Op::Metadata { size, offset },
                    1 => Op::File { mode, xattrs, size, offset },
                    2 => Op::Open { mode, xattrs, size },
                    3 => Op::Write { size, offset },
                    4 => Op::SetReadSource { offset },
                    5 => Op::UnsetReadSource,
                    6 => Op::Close,
                    _ => Op::BsPatch { offset, size },
                });
            }
            let objects: Vec<_> = kinds
                .into_iter()
                .map(|kind| ObjectKey { kind: ObjectKind::ALL[kind], checksum: Sha256([7; 32]) })
                .collect();
            let part = [&[0][..], &tables.write(payload, &ops).slices().concat()].concat();
            let part = Part::read(&part, 1 << 20).unwrap();
            let mut created = 0;
            let done = apply(
                &part,
                &objects,
                30,
                |_| Ok::<_, DeltaFormatError>([9u8; 50]),
                |key, object| {
                    if let Object::File(FileObject { content: Content::Regular(content), .. }) = object {
                        assert!(key.kind == ObjectKind::File && content.len() <= 30);
                    }
                    created += 1;
                    Ok(())
                },
            );
            prop_assert!(created <= objects.len());
            prop_assert!(done.is_err() || created == objects.len());
        }
    }
}
