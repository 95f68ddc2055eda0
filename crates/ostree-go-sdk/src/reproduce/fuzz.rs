//! The entry point of the fuzz target.

use super::cause::Evidence;
use super::compare::Difference;
use std::path::{Path, PathBuf};

/// Compares a program with others that differ from it, and deduces the causes.
pub fn program(bytes: &[u8]) {
    let digits = bytes.iter().map(|byte| match byte {
        b'1'..=b'9' => byte - 1,
        _ => *byte,
    });
    let digits: Vec<u8> = digits.collect();
    let start = &bytes[..bytes.len() / 2];
    for (first, second) in [(bytes, &digits[..]), (bytes, start), (&digits[..], bytes)] {
        let Some(difference) = Difference::of(first, second) else {
            continue;
        };
        assert!(difference.offset <= first.len() as u64);
        for is_rebuilt in [true, false] {
            let evidence = Evidence {
                first,
                second,
                difference: &difference,
                project: Path::new("/home/me/app"),
                paths: &[PathBuf::from("/home/me/app")],
                flags: &["-ldflags=-X a=/home/me/app".into()],
                is_rebuilt,
            };
            assert!(!evidence.causes().is_empty());
        }
    }
}
