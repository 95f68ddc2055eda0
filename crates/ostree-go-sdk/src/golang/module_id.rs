//! The name of a module: its path and its version.
//!
//! Sources: `golang.org/x/mod/modfile`, `rule.go`, `checkCanonicalVersion` (versions), and
//! `src/cmd/go/internal/modfetch`, `coderepo.go` (`+incompatible`). The rules for paths are in
//! [`module_path`](super::module_path).

use super::module_path::{major_of_path, module_path_problem, other_major, split_major};
use super::semver::Semver;
use crate::kind::ErrorKind;
use std::fmt;
use std::str::FromStr;

/// A module's path and version: `example.com/lib@v1.2.3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleId {
    path: String,
    version: String,
}

/// The reason why a text does not name a module or its version. The words of the reasons are Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidModule {
    /// There is no version.
    #[error("`{}` has no version, expected the form example.com/lib@v1.2.3", found.escape_debug())]
    NoVersion {
        /// The text.
        found: String,
    },
    /// The path is not that of a module.
    #[error("`{}` is not a module path: {reason}", found.escape_debug())]
    Path {
        /// The path.
        found: String,
        /// The reason.
        reason: String,
    },
    /// The version is one that Go resolves to another one, such as `latest`.
    #[error("`{}` is not a version of {path} but a query, expected an exact version such as {example}", found.escape_debug())]
    Query {
        /// The path of the module.
        path: String,
        /// The query.
        found: String,
        /// A version of the expected form.
        example: String,
    },
    /// The version is not one that the module can have.
    #[error("`{}` is not a version of {path}: it {reason}", found.escape_debug())]
    Version {
        /// The path of the module.
        path: String,
        /// The version.
        found: String,
        /// The reason.
        reason: String,
    },
}

impl InvalidModule {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

impl ModuleId {
    /// Checks a path and a version.
    ///
    /// # Errors
    /// Returns an error if Go accepts no module with this path, or no such version of it.
    pub fn new(path: &str, version: &str) -> Result<Self, InvalidModule> {
        check_path(path)?;
        check_version(path, version)?;
        Ok(Self {
            path: path.to_owned(),
            version: version.to_owned(),
        })
    }

    /// Returns the path: `example.com/lib`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the version: `v1.2.3`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}

impl FromStr for ModuleId {
    type Err = InvalidModule;

    fn from_str(text: &str) -> Result<Self, InvalidModule> {
        match text.split_once('@') {
            Some((path, version)) => Self::new(path, version),
            None => Err(InvalidModule::NoVersion {
                found: text.to_owned(),
            }),
        }
    }
}

/// Checks the path of a module (`module.CheckPath`).
///
/// # Errors
/// Returns an error with Go's reason.
pub fn check_path(path: &str) -> Result<(), InvalidModule> {
    match module_path_problem(path) {
        Some(reason) => Err(InvalidModule::Path {
            found: path.to_owned(),
            reason,
        }),
        None => Ok(()),
    }
}

/// Checks that a module with this valid path can have a version.
fn check_version(path: &str, version: &str) -> Result<(), InvalidModule> {
    let suffix = split_major(path).map_or("", |(_, suffix)| suffix);
    let major = match major_of_path(path) {
        "" => "v1",
        major => major,
    };
    let example = format!("{major}.2.3");
    let invalid = |reason: String| InvalidModule::Version {
        path: path.to_owned(),
        found: version.to_owned(),
        reason,
    };
    let Some(parsed) = Semver::parse(version) else {
        let is_version = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let is_query = !is_version(version.strip_prefix('v').unwrap_or(version));
        return Err(match is_query && !version.is_empty() {
            true => InvalidModule::Query {
                path: path.to_owned(),
                found: version.to_owned(),
                example,
            },
            false => invalid(format!("must be of the form {example}")),
        });
    };
    if parsed.canonical_in_go_mod() != version {
        return Err(invalid(format!("must be of the form {example}")));
    }
    let found = parsed.major();
    let has_major = !suffix.is_empty();
    let reason = match other_major(version, suffix) {
        _ if has_major && parsed.is_incompatible() => {
            "has the suffix +incompatible, but the module path includes a major version".to_owned()
        }
        _ if parsed.is_incompatible() && ["v0", "v1"].contains(&found) => {
            format!("has the suffix +incompatible, but major version {found} is compatible")
        }
        Some(major) if has_major => format!("should be {major}, not {found}"),
        Some(_) => format!("should be {version}+incompatible (or module {path}/{found})"),
        None => return Ok(()),
    };
    Err(invalid(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        text.parse::<ModuleId>().unwrap_err().to_string()
    }

    #[test]
    fn names_of_modules() {
        for text in [
            "example.com/lib@v1.2.3",
            "example.com@v0.0.0-20260701212427-abcdef123456",
            "github.com/Azure/azure-sdk-for-go@v68.0.0+incompatible",
            "example.com/lib/v2@v2.0.0-rc.1",
            "gopkg.in/yaml.v2@v2.4.0",
            "gopkg.in/check.v1@v0.0.0-20161208181325-20d25e280405",
            "gopkg.in/a.v3-unstable@v3.0.0",
            "example.com/a~b/c_d@v1.0.0",
            "example.com/v@v1.0.0",
        ] {
            assert_eq!(text.parse::<ModuleId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn versions_are_refused_with_gos_reason() {
        insta::assert_snapshot!(error("example.com/lib"), @"`example.com/lib` has no version, expected the form example.com/lib@v1.2.3");
        insta::assert_snapshot!(error("example.com/lib@latest"), @"`latest` is not a version of example.com/lib but a query, expected an exact version such as v1.2.3");
        insta::assert_snapshot!(error("example.com/lib@v1.2"), @"`v1.2` is not a version of example.com/lib: it must be of the form v1.2.3");
        insta::assert_snapshot!(error("example.com/lib@v1.02.3"), @"`v1.02.3` is not a version of example.com/lib: it must be of the form v1.2.3");
        insta::assert_snapshot!(error("example.com/lib@v1.2.3+meta"), @"`v1.2.3+meta` is not a version of example.com/lib: it must be of the form v1.2.3");
        insta::assert_snapshot!(error("example.com/lib@v2.0.0"), @"`v2.0.0` is not a version of example.com/lib: it should be v2.0.0+incompatible (or module example.com/lib/v2)");
        insta::assert_snapshot!(error("example.com/lib/v2@v1.0.0"), @"`v1.0.0` is not a version of example.com/lib/v2: it should be v2, not v1");
        insta::assert_snapshot!(error("example.com/lib/v2@v2"), @"`v2` is not a version of example.com/lib/v2: it must be of the form v2.2.3");
        insta::assert_snapshot!(error("example.com/lib@v1.0.0+incompatible"), @"`v1.0.0+incompatible` is not a version of example.com/lib: it has the suffix +incompatible, but major version v1 is compatible");
        insta::assert_snapshot!(error("example.com/lib/v2@v2.0.0+incompatible"), @"`v2.0.0+incompatible` is not a version of example.com/lib/v2: it has the suffix +incompatible, but the module path includes a major version");
        for query in ["master", "upgrade", ">=v1.2.3", "v", "abcdef"] {
            let text = format!("example.com/lib@{query}");
            let error = text.parse::<ModuleId>().unwrap_err();
            assert!(matches!(error, InvalidModule::Query { .. }), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_module_or_an_error(text in "[a-z.]{1,6}(/[a-zA-Z0-9._~-]{0,4}){0,3}@v[0-9][0-9.+a-z-]{0,8}|.{0,30}") {
            if let Ok(id) = text.parse::<ModuleId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
