use super::tree::TREE;
use super::*;
use crate::id::Sha256;
use crate::kind::ErrorKind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use sha2::Digest;
use std::collections::{BTreeMap, BTreeSet};

const H1: &str = "h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=";

fn text(number: u64) -> String {
    format!("example.com/m v1.0.{number} {H1}\nexample.com/m v1.0.{number}/go.mod {H1}\n")
}

/// Computes the root hash as defined in RFC 6962, 2.1, by plain recursion.
fn hash(leaves: &[Sha256]) -> Sha256 {
    if let [leaf] = leaves {
        return *leaf;
    }
    let mut k = 1;
    while 2 * k < leaves.len() {
        k *= 2;
    }
    let (left, right) = (hash(&leaves[..k]), hash(&leaves[k..]));
    let bytes = [&[1][..], &left.0, &right.0].concat();
    Sha256(sha2::Sha256::digest(bytes).into())
}

fn leaves(size: u64) -> Vec<Sha256> {
    let leaf = |number| Sha256(sha2::Sha256::digest(format!("\0{}", text(number))).into());
    (0..size).map(leaf).collect()
}

/// Computes the content of a tile from the records.
fn tile(tile: Tile, leaves: &[Sha256]) -> Vec<u8> {
    let below = 1 << (8 * tile.level);
    let first = usize::try_from(tile.index).unwrap() * 256 * below;
    let hashes = leaves[first..].chunks_exact(below);
    let width = tile.width.try_into().unwrap();
    hashes.take(width).flat_map(|part| hash(part).0).collect()
}

fn answer(number: u64, tree: &str) -> String {
    format!("{number}\n{}\n{tree}", text(number))
}

fn head(size: u64, root: Sha256) -> String {
    format!("{TREE}\n{size}\n{}\n", STANDARD.encode(root.0))
}

struct Signers(SigningKey);

impl Signers {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    fn key(&self) -> VerifierKey {
        let bytes = [&[1][..], self.0.verifying_key().as_bytes()].concat();
        let digest = sha2::Sha256::digest([b"db.example\n", &bytes[..]].concat());
        let hash = u32::from_be_bytes(*digest.first_chunk().unwrap());
        VerifierKey::parse(&format!("db.example+{hash:08x}+{}", STANDARD.encode(bytes))).unwrap()
    }

    fn sign(&self, text: &str) -> String {
        let signature = self.0.sign(text.as_bytes()).to_bytes();
        let bytes = [&self.key().hash[..], &signature].concat();
        format!("{text}\n— db.example {}\n", STANDARD.encode(bytes))
    }
}

#[test]
fn the_built_in_key_is_gos() {
    let key = VerifierKey::parse(SUM_GOLANG_ORG).unwrap();
    assert_eq!(key.to_string(), "sum.golang.org+033de0ae");
    for bad in [
        "",
        "a+b",
        &SUM_GOLANG_ORG[1..],
        &SUM_GOLANG_ORG.replace("033", "034"),
        &SUM_GOLANG_ORG.replace("+Ac4", "+Bc4"),
    ] {
        assert!(VerifierKey::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn tiles_have_the_paths_that_servers_use() {
    let path = |level, index, width| {
        Tile {
            level,
            index,
            width,
        }
        .path()
    };
    assert_eq!(path(0, 222_490, 256), "tile/8/0/x222/490");
    assert_eq!(path(1, 1013, 19), "tile/8/1/x001/013.p/19");
    assert_eq!(path(3, 0, 3), "tile/8/3/000.p/3");
    assert_eq!(path(0, 1_234_067, 256), "tile/8/0/x001/x234/067");
}

#[test]
fn only_answers_signed_by_the_key_are_accepted() {
    let (us, them) = (Signers::new(1), Signers::new(2));
    let tree = head(3, Sha256([7; 32]));
    let signed = us.sign(&tree);
    assert!(Lookup::open(answer(1, &signed).as_bytes(), &us.key()).is_ok());
    // Additional signatures are allowed.
    let both = signed.clone() + them.sign(&tree).split("\n\n").nth(1).unwrap();
    assert!(Lookup::open(answer(1, &both).as_bytes(), &us.key()).is_ok());
    for other in [
        them.sign(&tree),
        tree.clone(),
        signed.replace("\n3\n", "\n4\n"),
        signed.replace("— db.example", "— other.example"),
        signed.replace("— ", "- "),
    ] {
        let error = Lookup::open(answer(1, &other).as_bytes(), &us.key()).unwrap_err();
        assert!(
            matches!(error, SumdbError::Signature { .. }),
            "{other}: {error}"
        );
    }
    let error = Lookup::open(answer(1, &them.sign(&tree)).as_bytes(), &us.key()).unwrap_err();
    insta::assert_snapshot!(error, @"the head of the tree has no valid signature by db.example+a98b3947");
}

#[test]
fn refuses_malformed_answers() {
    let tree = head(3, Sha256([7; 32]));
    let error = |answer: &str| Lookup::unsigned(answer.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!(error("not found: example.com/m\n"), @"the answer to a lookup has no record number");
    insta::assert_snapshot!(error("1\nline\n"), @"the answer to a lookup has no blank line");
    insta::assert_snapshot!(error("1\nline\n\nnothing\n"), @"the answer to a lookup has no head of the tree");
    insta::assert_snapshot!(error(&answer(3, &tree)), @"record 3 is not in a tree of 3 records");
    assert_eq!(
        Lookup::unsigned(b"\xff\n").unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}

#[test]
fn a_record_only_proves_its_own_module() {
    let leaves = leaves(1);
    let lookup = Lookup::unsigned(answer(0, &head(1, leaves[0])).as_bytes()).unwrap();
    assert_eq!(lookup.tiles(), BTreeSet::new());
    let record = lookup.prove(&BTreeMap::new()).unwrap();
    assert_eq!(
        record.h1("example.com/m", "v1.0.0").unwrap().to_string(),
        H1
    );
    for (module, version) in [
        ("example.com/m", "v1.0"),
        ("example.com", "v1.0.0"),
        ("example.com/m", "v1.0.0/go"),
    ] {
        assert!(record.h1(module, version).is_err(), "{module} {version}");
    }
    insta::assert_snapshot!(record.h1("example.com/m", "v1.0.1").unwrap_err(), @"record 0 does not contain example.com/m v1.0.1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn exactly_the_records_of_a_tree_are_proven(
        (size, number) in (1u64..1200).prop_flat_map(|size| (Just(size), 0..size)),
        other in 0u64..1200,
        flip in any::<prop::sample::Index>(),
    ) {
        let leaves = leaves(size);
        let tree = head(size, hash(&leaves));
        let lookup = Lookup::unsigned(answer(number, &tree).as_bytes()).unwrap();
        let tiles: BTreeMap<_, _> = lookup
            .tiles()
            .into_iter()
            .map(|t| (t, tile(t, &leaves)))
            .collect();
        let record = lookup.clone().prove(&tiles).unwrap();
        let version = format!("v1.0.{number}");
        prop_assert!(record.h1("example.com/m", &version).is_ok());

        // Another record at this position is rejected, whatever its number.
        if other != number {
            let forged = format!("{number}\n{}\n{tree}", text(other));
            let forged = Lookup::unsigned(forged.as_bytes()).unwrap();
            let refused = matches!(forged.prove(&tiles), Err(SumdbError::NotIncluded { .. }));
            prop_assert!(refused);
        }
        // A wrong tile can only make the proof fail; a tile of another size always does.
        let mut broken = tiles.clone();
        if !broken.is_empty() {
            let nth = flip.index(broken.len());
            let content = broken.values_mut().nth(nth).unwrap();
            let at = flip.index(content.len());
            content[at] ^= 1;
            if let Ok(record) = lookup.clone().prove(&broken) {
                prop_assert!(record.text == text(number));
            }
            let content = broken.values_mut().nth(nth).unwrap();
            content.pop();
            let refused = matches!(lookup.prove(&broken), Err(SumdbError::Tile { .. }));
            prop_assert!(refused);
        }
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(
        bytes in "[0-9]{0,20}\n([a-z ]{0,9}\n){0,3}\n(go.sum database tree\n[0-9]{1,20}\n[A-Za-z0-9+/]{43}=\n)?.{0,9}",
    ) {
        if let Ok(lookup) = Lookup::unsigned(bytes.as_bytes()) {
            let tiles = lookup.tiles();
            prop_assert!(tiles.len() < 256);
            let _ = lookup.prove(&tiles.into_iter().map(|t| (t, vec![0; t.size()])).collect());
        }
    }
}

/// Returns the hash of a complete subtree of the records.
fn node_of(leaves: &[Sha256]) -> impl FnMut(u32, u64) -> Result<Sha256, SumdbError> {
    move |level, index| {
        let width = 1 << level;
        let first = usize::try_from(index).unwrap() * width;
        Ok(hash(&leaves[first..first + width]))
    }
}

/// The proof of inclusion as defined in RFC 6962, 2.1.1, by plain recursion.
fn path(number: usize, leaves: &[Sha256]) -> Vec<Sha256> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let middle = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(middle);
    let (mut proof, other) = match number < middle {
        true => (path(number, left), right),
        false => (path(number - middle, right), left),
    };
    proof.push(hash(other));
    proof
}

#[test]
fn proofs_of_all_small_trees_are_those_of_rfc_6962() {
    let all = leaves(70);
    let other = Sha256([9; 32]);
    for size in 1..=all.len() {
        let leaves = &all[..size];
        let new = TreeHead {
            size: size as u64,
            root: hash(leaves),
        };
        for number in 0..size {
            let at = number as u64;
            let proof = tree::inclusion((0, new.size), at, &mut node_of(leaves)).unwrap();
            assert_eq!(proof, path(number, leaves));
            let root = |leaf, proof: &[Sha256]| tree::root_of_inclusion(new.size, at, leaf, proof);
            assert_eq!(root(leaves[number], &proof), Some(new.root));
            assert_ne!(root(other, &proof), Some(new.root));
            let longer = [&proof[..], &[other]].concat();
            assert_eq!(root(leaves[number], &longer), None);
            if let Some((_, shorter)) = proof.split_last() {
                assert_eq!(root(leaves[number], shorter), None);
            }
        }
        for old in 1..=size {
            let roots = tree::roots((0, new.size), old as u64, &mut node_of(leaves)).unwrap();
            assert_eq!(roots, (hash(&leaves[..old]), new.root));
        }
    }
}

#[test]
fn a_tree_is_continued_by_every_larger_one_and_not_by_a_fork() {
    let all = leaves(600);
    let head = |leaves: &[Sha256]| TreeHead {
        size: leaves.len() as u64,
        root: hash(leaves),
    };
    for (old, size) in [
        (1, 2),
        (255, 256),
        (256, 257),
        (256, 600),
        (257, 600),
        (599, 600),
    ] {
        let (old, new) = (head(&all[..old]), head(&all[..size]));
        let wanted = old.consistency_tiles(new);
        let tiles: Tiles = wanted
            .into_iter()
            .map(|t| (t, tile(t, &all[..size])))
            .collect();
        old.check_continued_by(new, &tiles).unwrap();
        let (older, newer) = (old.size, new.size);
        let forked = TreeHead {
            root: Sha256([9; 32]),
            ..old
        };
        let error = forked.check_continued_by(new, &tiles).unwrap_err();
        assert_eq!(error, SumdbError::Forked { older, newer });
        for nth in 0..tiles.len() {
            let mut broken = tiles.clone();
            let content = broken.values_mut().nth(nth).unwrap();
            content.iter_mut().for_each(|byte| *byte ^= 1);
            let error = old.check_continued_by(new, &broken).unwrap_err();
            assert_eq!(error, SumdbError::Inconsistent { older, newer });
        }
        assert!(old.check_continued_by(new, &Tiles::new()).is_err());
        assert!(new.check_continued_by(old, &tiles).is_err());
        let twin = TreeHead {
            root: Sha256([9; 32]),
            ..new
        };
        assert!(matches!(
            twin.check_continued_by(new, &tiles),
            Err(SumdbError::Forked { .. })
        ));
        new.check_continued_by(new, &Tiles::new()).unwrap();
    }
}

#[test]
fn proofs_are_texts() {
    let us = Signers::new(1);
    let all = leaves(5);
    let note = us.sign(&head(5, hash(&all)));
    let lookup = Lookup::open(answer(3, &note).as_bytes(), &us.key()).unwrap();
    let tiles = lookup
        .tiles()
        .into_iter()
        .map(|t| (t, tile(t, &all)))
        .collect();
    let record = lookup.prove(&tiles).unwrap();
    assert_eq!(record.answer(), answer(3, &note));
    let proof = LogProof::from(&record).to_string();
    let parsed = LogProof::parse(&proof).unwrap();
    assert_eq!(parsed.to_string(), proof);
    assert_eq!(parsed.verify(&us.key()).unwrap(), record);

    let refused = |text: &str| {
        let proof = LogProof::parse(text);
        proof
            .and_then(|proof| proof.verify(&us.key()))
            .unwrap_err()
            .to_string()
    };
    let lines: Vec<&str> = proof.lines().collect();
    let without = |at: usize| {
        let mut lines = lines.clone();
        lines.remove(at);
        lines.join("\n") + "\n"
    };
    insta::assert_snapshot!(refused(""), @"the proof has no blank line");
    insta::assert_snapshot!(refused(&without(0)), @"the proof has no line c2sp.org/tlog-proof@v1");
    insta::assert_snapshot!(refused(&without(1)), @"the proof has no line `extra` with the record");
    insta::assert_snapshot!(refused(&without(2)), @"the proof has no line `index` with the number of the record");
    insta::assert_snapshot!(refused(&without(3)), @"the proof of record 3 in a tree of 5 records has 2 hashes");
    insta::assert_snapshot!(refused(&proof.replace("index 3", "index 5")), @"the proof of record 5 in a tree of 5 records has 3 hashes");
    insta::assert_snapshot!(refused(&proof.replace("index 3", "index 03")), @"the proof has no line `index` with the number of the record");
    insta::assert_snapshot!(refused(&proof.replace("\n5\n", "\n6\n")), @"the head of the tree has no valid signature by db.example+a98b3947");
    insta::assert_snapshot!(refused(&proof[..proof.len() - 9]), @"the head of the tree has no valid signature by db.example+a98b3947");
    assert!(
        refused(&proof.replace("index 3", "index 2"))
            .starts_with("record 2 does not belong to the tree")
    );
}

proptest! {
    #[test]
    fn any_text_is_a_proof_or_an_error(
        text in "(c2sp.org/tlog-proof@v1\n)?(extra [A-Za-z0-9+/]{4}\n)?(index [0-9]{1,20}\n)?([A-Za-z0-9+/]{43}=\n){0,3}\n?.{0,20}",
    ) {
        if let Ok(proof) = LogProof::parse(&text) {
            prop_assert_eq!(LogProof::parse(&proof.to_string()), Ok(proof.clone()));
            prop_assert!(proof.verify(&Signers::new(1).key()).is_err());
        }
    }
}
