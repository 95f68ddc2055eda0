//! The releases that an origin offers: the newest one, and the one that a rule selects.

use super::error::DeployError;
use crate::arch::Arch;
use crate::golang::version_rule::VersionRule;
use crate::id::RefName;
use crate::version::GoVersion;

/// The last component of a ref that stands for the newest release.
const LATEST: &str = "latest";

/// Returns the prefix of a ref that stands for the newest release: `go-sdk/x86_64/`.
pub(super) fn latest_of(name: &RefName) -> Option<&str> {
    let prefix = name.as_str().strip_suffix(LATEST)?;
    prefix.ends_with('/').then_some(prefix)
}

/// Returns the prefix of the refs of releases: `go-sdk/x86_64/`. Source: the default of `ref` in
/// treefiles.
fn release_prefix(arch: Arch) -> String {
    format!("go-sdk/{arch}/")
}

/// Returns the ref of the release that a rule selects.
pub(super) fn select(rule: &VersionRule, arch: Arch, offered: &[RefName]) -> Option<RefName> {
    let prefix = release_prefix(arch);
    let selected = rule.select_offered(&versions(&prefix, offered))?;
    format!("{prefix}{selected}").parse().ok()
}

/// Returns the error for a rule that no offered release fulfils.
pub(super) fn no_match(rule: &VersionRule, arch: Arch, offered: &[RefName]) -> DeployError {
    let mut offered = versions(&release_prefix(arch), offered);
    offered.retain(|version| !version.is_minor());
    offered.sort();
    let newest = offered.iter().rev().take(MAX_OFFERED).rev();
    DeployError::NotOffered {
        rule: rule.clone(),
        arch,
        newest: newest.map(ToString::to_string).collect(),
    }
}

/// The maximum number of versions that an error names.
const MAX_OFFERED: usize = 5;

/// Returns the versions in the refs with a prefix, and in the tags of images, which have none.
fn versions(prefix: &str, offered: &[RefName]) -> Vec<GoVersion> {
    let short = offered.iter().filter_map(|offered| {
        let text = offered.as_str();
        let tag = (!text.contains('/')).then_some(text);
        text.strip_prefix(prefix).or(tag)
    });
    short.filter_map(|version| version.parse().ok()).collect()
}

/// Returns the newest of the offered releases with a prefix. Channels, beta versions and release
/// candidates do not count, unless the ref itself is offered.
pub(super) fn newest(name: &RefName, prefix: &str, offered: &[RefName]) -> Option<RefName> {
    let is_latest = |offered: &RefName| offered == name || offered.as_str() == LATEST;
    if offered.iter().any(is_latest) {
        return Some(name.clone());
    }
    let releases = versions(prefix, offered).into_iter();
    let releases = releases.filter(|version| !version.is_prerelease() && !version.is_minor());
    let newest = releases.max()?;
    format!("{prefix}{newest}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest_of(offered: &[&str]) -> Option<String> {
        let name: RefName = "go-sdk/x86_64/latest".parse().unwrap();
        let offered: Vec<RefName> = offered.iter().map(|name| name.parse().unwrap()).collect();
        let found = newest(&name, latest_of(&name).unwrap(), &offered);
        found.map(|name| name.to_string())
    }

    #[test]
    fn the_latest_release_is_the_highest_version_for_the_architecture() {
        let offered = [
            "go-sdk/x86_64/1.26",
            "go-sdk/x86_64/1.26.9",
            "go-sdk/x86_64/1.26.10",
            "go-sdk/x86_64/1.27rc1",
            "go-sdk/aarch64/1.27.1",
            "go-sdk/layer/stdlib/1.99.1",
        ];
        assert_eq!(
            newest_of(&offered).as_deref(),
            Some("go-sdk/x86_64/1.26.10")
        );
        // The tags of images.
        let tags = ["1.26", "1.26.10", "1.27rc1"];
        assert_eq!(newest_of(&tags).as_deref(), Some("go-sdk/x86_64/1.26.10"));
        assert_eq!(
            newest_of(&["go-sdk/x86_64/1.27rc1", "go-sdk/x86_64/1.26"]),
            None
        );
    }

    #[test]
    fn a_rule_selects_a_release_for_the_architecture() {
        let offered = [
            "go-sdk/x86_64/1.26",
            "go-sdk/x86_64/1.26.9",
            "go-sdk/aarch64/1.27.1",
        ];
        let offered: Vec<RefName> = offered.iter().map(|name| name.parse().unwrap()).collect();
        let rule = VersionRule::AtLeast("1.26".to_owned());
        let found = select(&rule, Arch::X86_64, &offered).unwrap();
        assert_eq!(found.as_str(), "go-sdk/x86_64/1.26.9");
        let rule = VersionRule::AtLeast("1.27".to_owned());
        assert_eq!(select(&rule, Arch::X86_64, &offered), None);
        let error = no_match(&rule, Arch::X86_64, &offered).to_string();
        assert_eq!(
            error,
            "the source offers no SDK for x86_64 that is go 1.27 or newer; its newest are 1.26.9"
        );
    }

    #[test]
    fn a_ref_with_the_name_latest_comes_first() {
        let offered = ["go-sdk/x86_64/latest", "go-sdk/x86_64/1.26.10"];
        assert_eq!(newest_of(&offered).as_deref(), Some("go-sdk/x86_64/latest"));
        let other = "go-sdk/x86_64/notlatest".parse().unwrap();
        assert_eq!(latest_of(&other), None);
    }
}
