//! The name of a module: its path and its version.
//!
//! Sources: `golang.org/x/mod/module`, `module.go` (paths), `golang.org/x/mod/modfile`, `rule.go`,
//! `checkCanonicalVersion` (versions), and `src/cmd/go/internal/modfetch`, `coderepo.go`
//! (`+incompatible`).

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
    path_problem(path).map_or(Ok(()), |reason| {
        Err(InvalidModule::Path {
            found: path.to_owned(),
            reason,
        })
    })
}

fn path_problem(path: &str) -> Option<String> {
    let text = |reason: &str| Some(reason.to_owned());
    if let Some(problem) = elements_problem(path, Kind::Module) {
        return Some(problem);
    }
    let first = path.split('/').next().unwrap_or_default();
    if !first.contains('.') {
        return text("missing dot in first path element");
    }
    let is_allowed = |c: &char| matches!(c, '-' | '.' | '0'..='9' | 'a'..='z');
    if let Some(found) = first.chars().find(|c| !is_allowed(c)) {
        return Some(format!("invalid char {found:?} in first path element"));
    }
    match split_version(path) {
        Some(_) => None,
        None => text("invalid version"),
    }
}

/// The kind of path whose elements are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Module,
    File,
}

/// Returns Go's reason why a path in a module cannot be that of a file (`module.CheckFilePath`).
pub(crate) fn file_path_problem(path: &str) -> Option<String> {
    elements_problem(path, Kind::File)
}

/// Source: `checkPath`.
fn elements_problem(path: &str, kind: Kind) -> Option<String> {
    let problem = if path.is_empty() {
        "empty string"
    } else if path.starts_with('-') && kind == Kind::Module {
        "leading dash"
    } else if path.contains("//") {
        "double slash"
    } else if path.ends_with('/') {
        "trailing slash"
    } else {
        let mut elements = path.split('/');
        return elements.find_map(|element| element_problem(element, kind));
    };
    Some(problem.to_owned())
}

/// Names that Windows reserves (`badWindowsNames`), with `COM` and `LPT` followed by a digit.
const WINDOWS_NAMES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Punctuation in the names of files (`fileNameOK`).
const FILE_PUNCTUATION: &str = "!#$%&()+,-.=@[]^_{}~ ";

/// Source: `checkElem`.
fn element_problem(element: &str, kind: Kind) -> Option<String> {
    let text = |reason: &str| Some(reason.to_owned());
    if element.is_empty() {
        return text("empty path element");
    }
    if element.bytes().all(|byte| byte == b'.') {
        return Some(format!("invalid path element {element:?}"));
    }
    if element.starts_with('.') && kind == Kind::Module {
        return text("leading dot in path element");
    }
    if element.ends_with('.') {
        return text("trailing dot in path element");
    }
    let is_allowed = |c: &char| match kind {
        Kind::Module => c.is_ascii_alphanumeric() || "-._~".contains(*c),
        Kind::File if c.is_ascii() => c.is_ascii_alphanumeric() || FILE_PUNCTUATION.contains(*c),
        Kind::File => c.is_alphabetic(),
    };
    if let Some(found) = element.chars().find(|c| !is_allowed(c)) {
        return Some(format!("invalid char {found:?}"));
    }
    let short = element.split('.').next().unwrap_or_default();
    let lower = short.to_ascii_lowercase();
    let device = lower.strip_prefix("com").or(lower.strip_prefix("lpt"));
    let is_device = device.is_some_and(|digit| matches!(digit.as_bytes(), [b'1'..=b'9']));
    if is_device || WINDOWS_NAMES.contains(&&*lower) {
        let reason = "disallowed as path element component on Windows";
        return Some(format!("{short:?} {reason}"));
    }
    let digits = short.rsplit_once('~').map(|(_, digits)| digits);
    let is_short_name =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if kind == Kind::Module && digits.is_some_and(is_short_name) {
        return text("trailing tilde and digits in path element");
    }
    None
}

/// Splits the major version from a path: `example.com/lib/v2` into `example.com/lib` and `/v2`, and
/// `gopkg.in/yaml.v2` into `gopkg.in/yaml` and `.v2`. The second part is empty if there is none; the
/// result is `None` if it is malformed (`module.SplitPathVersion`).
#[must_use]
pub fn split_version(path: &str) -> Option<(&str, &str)> {
    let is_gopkg = path.starts_with("gopkg.in/");
    let whole = match is_gopkg {
        true => path.strip_suffix("-unstable").unwrap_or(path),
        false => path,
    };
    let is_of_number = |c: char| c.is_ascii_digit() || (!is_gopkg && c == '.');
    let before = whole.trim_end_matches(is_of_number);
    let number = &whole[before.len()..];
    let separator = if is_gopkg { ".v" } else { "/v" };
    let Some(prefix) = before.strip_suffix(separator) else {
        // All paths below gopkg.in must name a version.
        return (!is_gopkg).then_some((path, ""));
    };
    if number.is_empty() && !is_gopkg {
        return Some((path, ""));
    }
    let is_valid = match is_gopkg {
        true => !number.is_empty() && (number == "0" || !number.starts_with('0')),
        false => !number.contains('.') && !number.starts_with('0') && number != "1",
    };
    is_valid.then_some((prefix, &path[prefix.len()..]))
}

/// Returns the major version that a path demands, such as `v2`; `None` for `v0` and `v1`.
fn required_major(path: &str) -> Option<&str> {
    let (_, suffix) = split_version(path)?;
    let suffix = suffix.strip_suffix("-unstable").unwrap_or(suffix);
    suffix.get(1..).filter(|major| !major.is_empty())
}

/// Returns the major version for [`pseudo_version`](super::pseudo_version::pseudo_version): that of a
/// path, or an empty text.
#[must_use]
pub fn major_of_path(path: &str) -> &str {
    required_major(path).unwrap_or_default()
}

/// Checks that a module with this valid path can have a version.
fn check_version(path: &str, version: &str) -> Result<(), InvalidModule> {
    let major = required_major(path);
    let example = format!("{}.2.3", major.unwrap_or("v1"));
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
    let (found, is_incompatible) = (parsed.major(), parsed.is_incompatible());
    match major {
        None if is_incompatible && ["v0", "v1"].contains(&found) => Err(invalid(format!(
            "has the suffix +incompatible, but major version {found} is compatible"
        ))),
        None if is_incompatible || ["v0", "v1"].contains(&found) => Ok(()),
        None => Err(invalid(format!(
            "should be {version}+incompatible (or module {path}/{found})"
        ))),
        Some(_) if is_incompatible => Err(invalid(
            "has the suffix +incompatible, but the module path includes a major version".to_owned(),
        )),
        // Pseudo-versions of an early Go.
        Some("v1") if version.starts_with("v0.0.0-") => Ok(()),
        Some(major) if major == found => Ok(()),
        Some(major) => Err(invalid(format!("should be {major}, not {found}"))),
    }
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

    #[test]
    fn paths_are_refused_with_gos_reason() {
        // The reasons of `module_test.go`.
        for (path, reason) in [
            ("", "empty string"),
            ("-x.com/a", "leading dash"),
            ("example.com//a", "double slash"),
            ("example.com/", "trailing slash"),
            ("/example.com", "empty path element"),
            ("lib", "missing dot in first path element"),
            ("Example.com/a", "invalid char 'E' in first path element"),
            ("example.com/..", "invalid path element \"..\""),
            ("example.com/.a", "leading dot in path element"),
            ("example.com/a.", "trailing dot in path element"),
            ("example.com/a b", "invalid char ' '"),
            ("example.com/a+b", "invalid char '+'"),
            (
                "example.com/Con.x",
                "\"Con\" disallowed as path element component on Windows",
            ),
            (
                "example.com/lpt9",
                "\"lpt9\" disallowed as path element component on Windows",
            ),
            (
                "example.com/a~1",
                "trailing tilde and digits in path element",
            ),
            ("example.com/a/v1", "invalid version"),
            ("example.com/a/v0", "invalid version"),
            ("example.com/a/v02", "invalid version"),
            ("example.com/a/v2.3", "invalid version"),
            ("gopkg.in/yaml", "invalid version"),
            ("gopkg.in/yaml.v02", "invalid version"),
        ] {
            assert_eq!(path_problem(path).as_deref(), Some(reason), "{path}");
        }
        assert_eq!(file_path_problem(".github/a b(1).go"), None);
        assert_eq!(file_path_problem("ä.go"), None);
        assert_eq!(
            file_path_problem("a*b").as_deref(),
            Some("invalid char '*'")
        );
    }

    #[test]
    fn major_versions_of_paths() {
        for (path, major) in [
            ("example.com/lib", ""),
            ("example.com/lib/v3", "v3"),
            ("gopkg.in/yaml.v2", "v2"),
            ("gopkg.in/yaml.v2-unstable", "v2"),
        ] {
            assert_eq!(major_of_path(path), major, "{path}");
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
