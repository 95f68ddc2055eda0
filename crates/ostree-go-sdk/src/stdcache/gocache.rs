//! The format of Go's build cache, which `GOCACHE` names.
//!
//! Source: `src/cmd/go/internal/cache/cache.go`. Each action has a file `ab/ABCD…-a` with one line that
//! names its output, and each output is a file `ab/ABCD…-d`. The first two digits of each name are the
//! name of its directory.

use crate::golang::std_cache::StdCacheEntry;
use crate::id::Sha256;

/// The name of the file with the time of the last trim, in seconds since 1970.
pub(super) const TRIM_FILE: &str = "trim.txt";

/// The length of an action's file: `v1`, two digests, and two numbers of 20 characters, each after a
/// space, and a line feed.
pub(super) const ACTION_SIZE: usize = 2 + 65 + 65 + 21 + 21 + 1;

/// Returns the path of an action's file in the cache.
pub(super) fn action_path(action: Sha256) -> String {
    in_directory(&action_name(action))
}

/// Returns the path of an output in the cache.
pub(super) fn output_path(output: Sha256) -> String {
    in_directory(&output_name(output))
}

/// Returns the name of an action's file in its directory.
pub(super) fn action_name(action: Sha256) -> String {
    format!("{action}-a")
}

/// Returns the name of an output in its directory.
pub(super) fn output_name(output: Sha256) -> String {
    format!("{output}-d")
}

fn in_directory(name: &str) -> String {
    format!("{}/{name}", &name[..2])
}

/// Returns the content of an action's file. `time` is in nanoseconds since 1970.
pub(super) fn action_file(action: Sha256, entry: StdCacheEntry, time: u64) -> String {
    let StdCacheEntry { output, size } = entry;
    format!("v1 {action} {output} {size:20} {time:20}\n")
}

/// Reads the content of an action's file: the entry, and its time in nanoseconds since 1970. Returns
/// `None` if the content is not that of this action.
pub(super) fn parse_action_file(action: Sha256, bytes: &[u8]) -> Option<(StdCacheEntry, u64)> {
    if bytes.len() != ACTION_SIZE {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let rest = text.strip_prefix("v1 ")?.strip_suffix('\n')?;
    let (found, rest) = rest.split_once(' ')?;
    let (output, rest) = rest.split_once(' ')?;
    let (size, time) = rest.split_at_checked(20)?;
    if found.parse() != Ok(action) {
        return None;
    }
    let number = |text: &str| text.trim_start_matches(' ').parse().ok();
    let entry = StdCacheEntry {
        output: output.parse().ok()?,
        size: number(size)?,
    };
    Some((entry, number(time.strip_prefix(' ')?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_file_of_an_action_is_that_of_the_go_command() {
        let [action, output] = [Sha256::new([0xa1; 32]), Sha256::new([0x0b; 32])];
        let entry = StdCacheEntry { output, size: 1234 };
        let text = action_file(action, entry, 1_700_000_000_123_456_789);
        // Written by go 1.26.5, with other digests.
        let expected = format!(
            "v1 {} {}                 1234  1700000000123456789\n",
            "a1".repeat(32),
            "0b".repeat(32)
        );
        assert_eq!(text, expected);
        assert_eq!(text.len(), ACTION_SIZE);
        assert_eq!(action_path(action), format!("a1/{}-a", "a1".repeat(32)));
        assert_eq!(output_path(output), format!("0b/{}-d", "0b".repeat(32)));
    }

    proptest! {
        #[test]
        fn every_entry_is_read_again(ids in any::<[[u8; 32]; 2]>(), size: u64, time: u64) {
            let [action, output] = ids.map(Sha256::new);
            let entry = StdCacheEntry { output, size };
            let text = action_file(action, entry, time);
            prop_assert_eq!(parse_action_file(action, text.as_bytes()), Some((entry, time)));
            prop_assert_eq!(parse_action_file(output, text.as_bytes()), None);
        }

        #[test]
        fn damaged_files_are_not_entries(at in 0..ACTION_SIZE, byte: u8, cut in 0..ACTION_SIZE) {
            let action = Sha256::new([1; 32]);
            let entry = StdCacheEntry { output: action, size: 5 };
            let mut bytes = action_file(action, entry, 7).into_bytes();
            prop_assert_eq!(parse_action_file(action, &bytes[..cut]), None);
            bytes[at] = byte;
            // Either another entry or none; never a panic.
            let _ = parse_action_file(action, &bytes);
        }
    }
}
