use super::*;
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;

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
