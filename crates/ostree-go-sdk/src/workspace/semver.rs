//! The order of module versions.

use std::cmp::Ordering;

/// Compares two versions of modules. Source: `Compare` in `golang.org/x/mod/semver`; build suffixes do not count there,
/// and decide here between versions that are equal otherwise, so that the order is total.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let (release, pre) = split(one);
    let (other_release, other_pre) = split(other);
    numbers(release)
        .cmp(numbers(other_release))
        .then_with(|| compare_pre(pre, other_pre))
        .then_with(|| one.cmp(other))
}

/// Splits a version into its numbers and its pre-release, without `v` and the build suffix.
fn split(version: &str) -> (&str, &str) {
    let version = version.strip_prefix('v').unwrap_or(version);
    let version = version.split('+').next().unwrap_or_default();
    version.split_once('-').unwrap_or((version, ""))
}

/// Returns keys that compare as numbers without leading zeros do, whatever their length.
fn numbers(release: &str) -> impl Iterator<Item = (usize, &str)> {
    release.split('.').map(|number| (number.len(), number))
}

/// A version without a pre-release is the highest.
fn compare_pre(one: &str, other: &str) -> Ordering {
    if one.is_empty() || other.is_empty() {
        return one.is_empty().cmp(&other.is_empty());
    }
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = one.split('.').zip(other.split('.'));
    for (part, other_part) in parts {
        let order = match (is_number(part), is_number(other_part)) {
            (true, true) => (part.len(), part).cmp(&(other_part.len(), other_part)),
            // Numbers are lower than words.
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => part.cmp(other_part),
        };
        if order.is_ne() {
            return order;
        }
    }
    one.split('.').count().cmp(&other.split('.').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order in Go's own test, `golang.org/x/mod/semver/semver_test.go`, and in <https://semver.org>, item 11.
    #[test]
    fn versions_are_ordered_as_go_orders_them() {
        let ascending = [
            "v0.0.0-20191109021931-daa7c04131f5",
            "v0.9.9",
            "v1.0.0-alpha",
            "v1.0.0-alpha.1",
            "v1.0.0-alpha.beta",
            "v1.0.0-beta",
            "v1.0.0-beta.2",
            "v1.0.0-beta.11",
            "v1.0.0-rc.1",
            "v1.0.0",
            "v1.2.0",
            "v1.2.3",
            "v1.10.0",
            "v2.0.0+incompatible",
            "v10.0.0",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (other_at, other) in ascending.iter().enumerate() {
                assert_eq!(compare(one, other), at.cmp(&other_at), "{one} {other}");
            }
        }
    }
}
