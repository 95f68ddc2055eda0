//! Parts of the messages of findings.

use crate::golang::std_cache::StdCacheId;
use crate::sandbox::Backend;
use std::path::Path;

/// Formats a number with a noun, which gets an `s` unless there is one.
pub(super) fn count(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

pub(super) fn describe_active(version: Option<&str>) -> String {
    version.map_or_else(
        || "none is active".to_owned(),
        |version| format!("go {version} is active"),
    )
}

pub(super) fn list(expired: &[String]) -> String {
    match expired {
        [] => "it has no keys".to_owned(),
        keys => format!("{} is expired or revoked", keys.join(" and ")),
    }
}

pub(super) fn std_caches(ids: &[StdCacheId]) -> String {
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let noun = match ids {
        [_] => "std cache",
        _ => "std caches",
    };
    format!("the {noun} {}", names.join(" and "))
}

pub(super) fn build_cache(gocache: Option<&Path>) -> String {
    gocache.map_or_else(
        || "its own build cache".to_owned(),
        |path| format!("GOCACHE, {}", path.display()),
    )
}

pub(super) fn backends(all: &[Backend]) -> String {
    let names: Vec<&str> = all.iter().map(|backend| backend.as_str()).collect();
    match names.as_slice() {
        [first, others @ ..] if !others.is_empty() => {
            format!("{first}; {} would work, too", others.join(" and "))
        }
        _ => names.concat(),
    }
}
