//! The variables of the go command: those that decide what is built, and those that decide where modules come from.

use super::drift::{Drift, DriftKind};
use std::collections::{BTreeMap, BTreeSet};

/// The variables that decide what is built. Source: `go help environment` of Go 1.26, the variables of the
/// architecture, of cgo, and `GOFLAGS`, `GOOS`, `GOARCH`, `GOEXPERIMENT`, `GODEBUG` and `GOFIPS140`.
const SETTINGS: [&str; 27] = [
    "AR",
    "CC",
    "CGO_CFLAGS",
    "CGO_CPPFLAGS",
    "CGO_CXXFLAGS",
    "CGO_ENABLED",
    "CGO_FFLAGS",
    "CGO_LDFLAGS",
    "CXX",
    "FC",
    "GCCGO",
    "GO386",
    "GOAMD64",
    "GOARCH",
    "GOARM",
    "GOARM64",
    "GODEBUG",
    "GOEXPERIMENT",
    "GOFIPS140",
    "GOFLAGS",
    "GOMIPS",
    "GOMIPS64",
    "GOOS",
    "GOPPC64",
    "GORISCV64",
    "GOWASM",
    "PKG_CONFIG",
];

/// The variables that decide where modules come from.
const SOURCES: [&str; 21] = [
    "ALL_PROXY",
    "GIT_SSH_COMMAND",
    "GOAUTH",
    "GOINSECURE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOPRIVATE",
    "GOPROXY",
    "GOSUMDB",
    "GOVCS",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NETRC",
    "NO_PROXY",
    "PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Returns true for a variable that a lock or a download of modules depends on. All others are kept from the go command.
#[must_use]
pub fn uses_variable(name: &str) -> bool {
    SETTINGS.contains(&name) || SOURCES.contains(&name)
}

/// Returns true for a variable that decides what is built. A lock has those that are set.
#[must_use]
pub fn is_build_setting(name: &str) -> bool {
    SETTINGS.contains(&name)
}

/// Returns the variables that decide what is built and are set, by name.
pub(super) fn settings(environment: &[(String, String)]) -> BTreeMap<String, String> {
    let set = environment.iter();
    let set = set.filter(|(name, value)| SETTINGS.contains(&&**name) && !value.is_empty());
    set.cloned().collect()
}

/// Returns the variables that decide where modules come from.
pub(super) fn sources(environment: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    let all = environment.iter().map(|(name, value)| (&**name, &**value));
    all.filter(|(name, _)| SOURCES.contains(name))
}

/// Compares settings by name; an empty value is the same as none.
pub(super) fn compare(
    unit: &str,
    what: DriftKind,
    expected: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Vec<Drift> {
    let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let mut drift = Vec::new();
    for name in names {
        let of = |values: &BTreeMap<String, String>| {
            let value = values.get(name)?;
            Some(format!("{name}={value}"))
        };
        let (expected, found) = (of(expected), of(found));
        if expected != found {
            drift.push(Drift::new(unit, what).values(expected, found));
        }
    }
    drift
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        let values = values.iter();
        let owned = values.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    }

    #[test]
    fn only_variables_that_decide_what_is_built_are_locked() {
        let environment: Vec<(String, String)> = map(&[
            ("CGO_ENABLED", "0"),
            ("GOAMD64", ""),
            ("GOPROXY", "https://user:secret@proxy.example.com"),
            ("HOME", "/home/ada"),
        ])
        .into_iter()
        .collect();
        assert_eq!(settings(&environment), map(&[("CGO_ENABLED", "0")]));
        let sources: Vec<_> = sources(&environment).map(|(name, _)| name).collect();
        assert_eq!(sources, ["GOPROXY"]);
        assert!(uses_variable("GOFLAGS") && uses_variable("GONOSUMDB") && !uses_variable("HOME"));
    }

    #[test]
    fn settings_are_compared_by_name() {
        let locked = map(&[("CGO_ENABLED", "0"), ("GOOS", "linux"), ("GOARM64", "v8.0")]);
        let found = map(&[
            ("CGO_ENABLED", "1"),
            ("GOFLAGS", "-tags=x"),
            ("GOARM64", "v8.0"),
        ]);
        let drift = compare(".", DriftKind::BuildSettingChanged, &locked, &found);
        let shown: Vec<_> = drift
            .iter()
            .map(|one| (one.expected.as_deref(), one.found.as_deref()))
            .collect();
        let expected = [
            (Some("CGO_ENABLED=0"), Some("CGO_ENABLED=1")),
            (None, Some("GOFLAGS=-tags=x")),
            (Some("GOOS=linux"), None),
        ];
        assert_eq!(shown, expected);
    }
}
