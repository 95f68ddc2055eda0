//! Suggestions for refs that do not exist.

use crate::version::GoVersion;

/// Maximum number of suggestions.
const MAX: usize = 4;

/// Returns the refs that are most similar to `wanted`, at most four.
///
/// For a version, these are the versions next to it with the same prefix (`go-sdk/x86_64/`), and the
/// same version with another prefix, which is for another architecture. For anything else, it is the
/// ref with the smallest edit distance.
pub(crate) fn nearest(wanted: &str, known: impl IntoIterator<Item = String>) -> Vec<String> {
    let known: Vec<String> = known.into_iter().collect();
    let (prefix, name) = split(wanted);
    let mut found: Vec<String> = Vec::new();
    if name.parse::<GoVersion>().is_ok() {
        let elsewhere = known.iter().filter(|other| {
            let (other_prefix, other_name) = split(other);
            other_name == name && other_prefix.matches('/').count() == prefix.matches('/').count()
        });
        found.extend(elsewhere.cloned());
        let same_prefix = known.iter().filter_map(|other| other.strip_prefix(prefix));
        let versions = neighbours(name, same_prefix);
        found.extend(versions.iter().map(|version| format!("{prefix}{version}")));
    }
    if found.is_empty() {
        found.extend(most_similar(wanted, known));
    }
    found.truncate(MAX);
    found
}

/// Splits a ref after its last slash.
fn split(name: &str) -> (&str, &str) {
    name.split_at(name.rfind('/').map_or(0, |slash| slash + 1))
}

/// Returns the versions next to `wanted`: releases next to a release, channels next to a channel.
fn neighbours<'k>(wanted: &str, known: impl Iterator<Item = &'k str>) -> Vec<GoVersion> {
    let Ok(wanted) = wanted.parse::<GoVersion>() else {
        return Vec::new();
    };
    let all: Vec<GoVersion> = known.filter_map(|name| name.parse().ok()).collect();
    let same_form = all
        .iter()
        .filter(|version| version.is_minor() == wanted.is_minor());
    let same_form: Vec<GoVersion> = same_form.cloned().collect();
    wanted.neighbours(match same_form.is_empty() {
        true => all,
        false => same_form,
    })
}

fn most_similar(wanted: &str, known: Vec<String>) -> Option<String> {
    let distances = known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wanted, &name), name));
    let (distance, name) = distances.min()?;
    (distance <= 2.max(name.len() / 4)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 10] = [
        "go-sdk/aarch64/1.26.4",
        "go-sdk/aarch64/1.27rc1",
        "go-sdk/layers/noarch/1.26.9",
        "go-sdk/x86_64/1.25",
        "go-sdk/x86_64/1.25.9",
        "go-sdk/x86_64/1.26",
        "go-sdk/x86_64/1.26.4",
        "go-sdk/x86_64/1.26.5",
        "go-sdk/x86_64/1.26.10",
        "go-sdk/x86_64/stable",
    ];

    fn of(wanted: &str) -> String {
        nearest(wanted, KNOWN.map(str::to_owned))
            .join(" ")
            .replace("go-sdk/", "")
    }

    #[test]
    fn versions_are_next_to_each_other_in_the_order_of_versions() {
        assert_eq!(of("go-sdk/x86_64/1.26.99"), "x86_64/1.26.5 x86_64/1.26.10");
        assert_eq!(
            of("go-sdk/x86_64/1.26.6"),
            "x86_64/1.26.4 x86_64/1.26.5 x86_64/1.26.10"
        );
        assert_eq!(of("go-sdk/x86_64/1.27"), "x86_64/1.25 x86_64/1.26");
    }

    #[test]
    fn a_version_of_another_architecture_comes_first() {
        assert_eq!(
            of("go-sdk/x86_64/1.27rc1"),
            "aarch64/1.27rc1 x86_64/1.26.5 x86_64/1.26.10"
        );
        // The refs of layers have another form.
        assert_eq!(
            of("go-sdk/aarch64/1.26.9"),
            "aarch64/1.26.4 aarch64/1.27rc1"
        );
    }

    #[test]
    fn other_names_are_compared_by_their_letters() {
        assert_eq!(of("go-sdk/x86_64/stabel"), "x86_64/stable");
        assert_eq!(of("go-sdk/x86_64/unstable-nightly"), "");
        assert_eq!(of("1.26.99"), "");
        assert_eq!(nearest("a", []), Vec::<String>::new());
    }
}
