//! The fuzz targets accept their seed corpora: a target that fails its own assertions is noticed without a fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ostree_go_sdk::fuzzing;
use ostree_go_tests::cli::workspace;

/// The entry points in the library, by the names of their targets.
macro_rules! targets {
    ($($name:ident)*) => {
        const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), fuzzing::$name)),*];
    };
}

targets! {
    attestation build_info cacheprog challenge credentials delta delta_apply go_sum http_headers image image_source index
    key_transitions layer log_proof metadata modfile module_zip modules_txt object osv pkcs11_uri program proxy proxy_policy
    proxy_request recipe rpm signature state sumdb summary tar tree_path treefile version_file version_manager zip
}

/// Targets of parsers that are not in the library.
const OTHER_TARGETS: &[&str] = &["authfile"];

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_target_is_listed_here() {
    let listed = TARGETS.iter().map(|(name, _)| *name);
    let listed: BTreeSet<_> = listed
        .chain(OTHER_TARGETS.iter().copied())
        .map(String::from)
        .collect();
    let found = files_in(&workspace().join("fuzz/fuzz_targets"));
    let found = found
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    assert_eq!(listed, found.collect());
}

/// Each seed is also cut at several places and gets a flipped bit at several places, so that more than the way of valid
/// input is taken.
#[test]
fn every_target_accepts_its_corpus() {
    let mut inputs = 0;
    for (name, target) in TARGETS {
        for seed in files_in(&workspace().join("fuzz/seeds").join(name)) {
            let bytes = fs::read(&seed).unwrap();
            target(&bytes);
            for part in 1..8 {
                let at = bytes.len() * part / 8;
                target(&bytes[..at]);
                let mut flipped = bytes.clone();
                if let Some(byte) = flipped.get_mut(at) {
                    *byte ^= 1 << part;
                }
                target(&flipped);
                inputs += 2;
            }
        }
    }
    assert!(inputs >= 14 * 23, "{inputs} inputs");
}
