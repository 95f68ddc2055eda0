//! Paths of Go modules, packages and files: which are valid, their escaped forms in the module cache,
//! and the major versions in them.
//!
//! Source: `golang.org/x/mod/module`, `module.go`. The words of reasons are Go's.

use super::semver::Semver;

/// The prefix of paths that have their major version in the form `.v1`.
const GOPKG_IN: &str = "gopkg.in/";

/// The end of paths below `gopkg.in` that does not belong to the major version.
const UNSTABLE: &str = "-unstable";

/// The names that Windows reserves, which may not be the part of an element before its first dot
/// (`badWindowsNames`).
const WINDOWS_NAMES: [&str; 22] = [
    "CON", "PRN", "AUX", "NUL", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8",
    "COM9", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PathKind {
    Module,
    Import,
    File,
}

/// Returns true for the path of a module that a proxy or a version control system can provide: its
/// first element is a domain name (`CheckPath`).
#[must_use]
pub fn is_module_path(path: &str) -> bool {
    module_path_problem(path).is_none()
}

/// Returns Go's reason why a path cannot be that of a module; `None` for a module path
/// (`CheckPath`).
#[must_use]
pub fn module_path_problem(path: &str) -> Option<String> {
    if let Some(problem) = path_problem(path, PathKind::Module) {
        return Some(problem);
    }
    let domain = path.split('/').next().unwrap_or_default();
    if !domain.contains('.') {
        return Some("missing dot in first path element".to_owned());
    }
    let is_allowed = |c: char| matches!(c, '-' | '.' | '0'..='9' | 'a'..='z');
    if let Some(found) = domain.chars().find(|c| !is_allowed(*c)) {
        return Some(format!("invalid char {found:?} in first path element"));
    }
    let is_valid = split_major(path).is_some();
    (!is_valid).then(|| "invalid version".to_owned())
}

/// Returns true for the path of a package (`CheckImportPath`).
#[must_use]
pub fn is_import_path(path: &str) -> bool {
    path_problem(path, PathKind::Import).is_none()
}

/// Returns true for a relative path that a file of a module may have (`CheckFilePath`). It has no
/// component `.` or `..`. Letters of all scripts are allowed; Rust counts more characters as letters
/// than Go, such as combining marks.
#[must_use]
pub fn is_file_path(path: &str) -> bool {
    file_path_problem(path).is_none()
}

/// Returns Go's reason why a path in a module cannot be that of a file; `None` under the conditions
/// of [`is_file_path`].
#[must_use]
pub fn file_path_problem(path: &str) -> Option<String> {
    path_problem(path, PathKind::File)
}

/// Returns the form of a module path in the module cache and in URLs of proxies, in which `!a` stands
/// for `A`; `None` if the path is not a valid one (`EscapePath`).
#[must_use]
pub fn escape_path(path: &str) -> Option<String> {
    is_module_path(path).then(|| escape(path))
}

/// Returns the form of a version in the module cache and in URLs of proxies; `None` if the version
/// cannot be part of a file name (`EscapeVersion`).
#[must_use]
pub fn escape_version(version: &str) -> Option<String> {
    let is_valid = element_problem(version, PathKind::File).is_none()
        && version.is_ascii()
        && !version.contains('!');
    is_valid.then(|| escape(version))
}

/// Escapes the path or the version of a module, which must be valid: each capital letter becomes `!`
/// and its small letter (`escapeString`).
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(character.to_ascii_lowercase());
    }
    escaped
}

/// Returns the path of a module whose escaped form this is; `None` if there is none (`UnescapePath`).
#[must_use]
#[cfg_attr(
    not(feature = "proxy"),
    allow(dead_code, reason = "only the module proxy uses it")
)]
pub fn unescape_path(escaped: &str) -> Option<String> {
    unescape(escaped).filter(|path| is_module_path(path))
}

/// Returns the version of a module whose escaped form this is; `None` if there is none
/// (`UnescapeVersion`).
#[must_use]
#[cfg_attr(
    not(feature = "proxy"),
    allow(dead_code, reason = "only the module proxy uses it")
)]
pub fn unescape_version(escaped: &str) -> Option<String> {
    unescape(escaped).filter(|version| escape_version(version).is_some())
}

/// Source: `unescapeString`.
#[cfg_attr(
    not(feature = "proxy"),
    allow(dead_code, reason = "only the module proxy uses it")
)]
fn unescape(escaped: &str) -> Option<String> {
    let mut text = String::with_capacity(escaped.len());
    let mut characters = escaped.chars();
    while let Some(character) = characters.next() {
        match character {
            '!' => {
                let letter = characters.next().filter(char::is_ascii_lowercase)?;
                text.push(letter.to_ascii_uppercase());
            }
            'A'..='Z' => return None,
            other => text.push(other),
        }
    }
    text.is_ascii().then_some(text)
}

/// Splits the major version off a module path: `/v2`, or `.v2` for `gopkg.in`; empty for major
/// versions 0 and 1. Returns `None` if the path ends in an invalid major version such as `/v1`
/// (`SplitPathVersion`).
#[must_use]
pub fn split_major(path: &str) -> Option<(&str, &str)> {
    if path.starts_with(GOPKG_IN) {
        return split_gopkg_in(path);
    }
    let before = path.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &path[before.len()..];
    let Some(prefix) = before.strip_suffix("/v").filter(|_| !number.is_empty()) else {
        return Some((path, ""));
    };
    let is_valid = !number.contains('.') && !number.starts_with('0') && number != "1";
    is_valid.then(|| path.split_at(prefix.len()))
}

fn split_gopkg_in(path: &str) -> Option<(&str, &str)> {
    let end = path.strip_suffix(UNSTABLE).unwrap_or(path);
    let before = end.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = &end[before.len()..];
    let prefix = before.strip_suffix(".v")?;
    // Go accepts `.v-unstable`, because it counts the characters after the `v` with this suffix.
    let has_number = !number.is_empty() || path.len() > end.len();
    let is_valid = has_number && (!number.starts_with('0') || path.ends_with(".v0"));
    is_valid.then(|| path.split_at(prefix.len()))
}

/// Returns the major version that a module path demands, such as `v2`; empty if it ends in none, which
/// stands for `v0` and `v1`, or in an invalid one.
#[must_use]
pub fn major_of_path(path: &str) -> &str {
    split_major(path).map_or("", |(_, suffix)| named_major(suffix))
}

/// Returns the major version in the second result of [`split_major`]: `v2` for `/v2`, `.v2` and
/// `.v2-unstable`.
fn named_major(suffix: &str) -> &str {
    match suffix.strip_prefix('.') {
        Some(name) => name.strip_suffix(UNSTABLE).unwrap_or(name),
        None => suffix.trim_start_matches('/'),
    }
}

/// Returns the major versions that a module path allows if that of `version` is another one
/// (`CheckPathMajor`). `suffix` is the second result of [`split_major`].
#[must_use]
pub fn other_major<'a>(version: &str, suffix: &'a str) -> Option<&'a str> {
    let expected = named_major(suffix);
    // Old pseudo-versions of `gopkg.in`.
    if version.starts_with("v0.0.0-") && suffix.starts_with('.') && expected == "v1" {
        return None;
    }
    let parsed = Semver::parse(version);
    let found = parsed.map_or("", |version| version.major());
    if suffix.is_empty() {
        let is_incompatible = parsed.is_some_and(|version| version.is_incompatible());
        let is_allowed = ["v0", "v1"].contains(&found) || is_incompatible;
        return (!is_allowed).then_some("v0 or v1");
    }
    (found != expected).then_some(expected)
}

/// Source: `checkPath`.
fn path_problem(path: &str, kind: PathKind) -> Option<String> {
    let problem = if path.is_empty() {
        "empty string"
    } else if path.starts_with('-') && kind != PathKind::File {
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

/// Source: `checkElem`.
fn element_problem(element: &str, kind: PathKind) -> Option<String> {
    let text = |reason: &str| Some(reason.to_owned());
    if element.is_empty() {
        return text("empty path element");
    }
    if element.bytes().all(|byte| byte == b'.') {
        return Some(format!("invalid path element {element:?}"));
    }
    if element.starts_with('.') && kind == PathKind::Module {
        return text("leading dot in path element");
    }
    if element.ends_with('.') {
        return text("trailing dot in path element");
    }
    if let Some(found) = element.chars().find(|c| !is_allowed(*c, kind)) {
        return Some(format!("invalid char {found:?}"));
    }
    let stem = element.split('.').next().unwrap_or_default();
    let is_reserved = |name: &&str| name.eq_ignore_ascii_case(stem);
    if WINDOWS_NAMES.iter().any(is_reserved) {
        let reason = "disallowed as path element component on Windows";
        return Some(format!("{stem:?} {reason}"));
    }
    // Short names of Windows, such as `PROGRA~1`.
    let is_short_name = stem.rsplit_once('~').is_some_and(|(_, digits)| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    if is_short_name && kind != PathKind::File {
        return text("trailing tilde and digits in path element");
    }
    None
}

fn is_allowed(c: char, kind: PathKind) -> bool {
    if !c.is_ascii() {
        return kind == PathKind::File && c.is_alphabetic();
    }
    c.is_ascii_alphanumeric()
        || match kind {
            PathKind::Module => "-._~".contains(c),
            PathKind::Import => "-._~+".contains(c),
            PathKind::File => "!#$%&()+,-.=@[]^_{}~ ".contains(c),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A part of the table of Go's own test, `golang.org/x/mod/module/module_test.go`: the path, and
    /// whether it is that of a module, of a package, and of a file.
    #[test]
    fn paths_are_valid_where_they_are_in_go() {
        for (path, module, import, file) in [
            ("x.y/z", true, true, true),
            ("x.y", true, true, true),
            ("", false, false, false),
            ("x.y/\u{ffff}", false, false, false),
            ("/x.y/z", false, false, false),
            ("x./z", false, false, false),
            (".x/z", false, true, true),
            ("-x/z", false, false, true),
            ("x..y/z", true, true, true),
            ("x.y/z/../../w", false, false, false),
            ("x.y//z", false, false, false),
            ("x.y/z//w", false, false, false),
            ("x.y/z/", false, false, false),
            ("x.y/z/v0", false, true, true),
            ("x.y/z/v1", false, true, true),
            ("x.y/z/v2", true, true, true),
            ("x.y/z/v2.0", false, true, true),
            ("X.y/z", false, true, true),
            ("!x.y/z", false, false, true),
            ("_x.y/z", false, true, true),
            ("x.y!/z", false, false, true),
            ("x.y\"/z", false, false, false),
            ("x.y:/z", false, false, false),
            ("x.y\\/z", false, false, false),
            ("x.y|/z", false, false, false),
            ("x.y~/z", false, true, true),
            ("x.y/z+w", false, true, true),
            ("x.y/z@w", false, false, true),
            ("x.y/z w", false, false, true),
            ("x.y/z\nw", false, false, false),
            ("x.y/CON", false, false, false),
            ("x.y/con.go", false, false, false),
            ("x.y/context", true, true, true),
            ("x.y/PROGRA~1", false, false, true),
            ("x.y/a~1.go", false, false, true),
            ("x.y/a.go~1", true, true, true),
            ("x.y/\u{e9}", false, false, true),
            ("gopkg.in/yaml", false, true, true),
            ("gopkg.in/yaml.v2", true, true, true),
            ("gopkg.in/yaml.v02", false, true, true),
            ("gopkg.in/yaml.v0", true, true, true),
            ("gopkg.in/yaml.v2-unstable", true, true, true),
            ("gopkg.in/yaml/v2", false, true, true),
            ("localhost", false, true, true),
        ] {
            assert_eq!(is_module_path(path), module, "{path}");
            assert_eq!(is_import_path(path), import, "{path}");
            assert_eq!(is_file_path(path), file, "{path}");
        }
    }

    #[test]
    fn major_versions_are_split_off_as_in_go() {
        for (path, expected) in [
            ("x.y/z", Some(("x.y/z", ""))),
            ("x.y/z/v2", Some(("x.y/z", "/v2"))),
            ("x.y/z/v20", Some(("x.y/z", "/v20"))),
            ("x.y/v", Some(("x.y/v", ""))),
            ("x.y/v2x", Some(("x.y/v2x", ""))),
            ("v2", Some(("v2", ""))),
            ("x.y/z/v1", None),
            ("x.y/z/v0", None),
            ("x.y/z/v02", None),
            ("x.y/z/v2.", None),
            ("gopkg.in/a.v1", Some(("gopkg.in/a", ".v1"))),
            ("gopkg.in/a.v0", Some(("gopkg.in/a", ".v0"))),
            (
                "gopkg.in/a.v1-unstable",
                Some(("gopkg.in/a", ".v1-unstable")),
            ),
            ("gopkg.in/a.v-unstable", Some(("gopkg.in/a", ".v-unstable"))),
            ("gopkg.in/a.v01", None),
            ("gopkg.in/a.v0-unstable", None),
            ("gopkg.in/a", None),
        ] {
            assert_eq!(split_major(path), expected, "{path}");
        }
        for (version, major, expected) in [
            ("v1.0.0", "", None),
            ("v2.0.0", "", Some("v0 or v1")),
            ("v2.0.0+incompatible", "", None),
            ("v2.0.0", "/v2", None),
            ("v3.0.0", "/v2", Some("v2")),
            ("v1.0.0", ".v1", None),
            ("v1.0.0", ".v1-unstable", None),
            ("v0.0.0-20161208181325-20d25e280405", ".v1", None),
            ("v0.0.0-20161208181325-20d25e280405", ".v2", Some("v2")),
        ] {
            assert_eq!(other_major(version, major), expected, "{version} {major}");
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
            assert_eq!(module_path_problem(path).as_deref(), Some(reason), "{path}");
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
            ("example.com/lib/v1", ""),
        ] {
            assert_eq!(major_of_path(path), major, "{path}");
        }
    }

    #[test]
    fn upper_case_letters_are_escaped() {
        let escaped = "github.com/!azure/azure-sdk-for-go";
        let path = escape_path("github.com/Azure/azure-sdk-for-go");
        assert_eq!(path.as_deref(), Some(escaped));
        assert_eq!(
            escape_version("v1.0.0-RC1").as_deref(),
            Some("v1.0.0-!r!c1")
        );
        assert_eq!(escape("v0.0.1-go1.26.5-Acme"), "v0.0.1-go1.26.5-!acme");
        assert_eq!(escape_path("github.com/!azure"), None);
        assert_eq!(escape_path("../a.b"), None);
        for version in ["", "..", "v1/2", "v1!a", "v\u{e9}", "v1."] {
            assert_eq!(escape_version(version), None, "{version}");
        }
    }

    #[test]
    fn only_escaped_forms_are_read_back() {
        let path = unescape_path("github.com/!azure/sdk");
        assert_eq!(path.as_deref(), Some("github.com/Azure/sdk"));
        let version = unescape_version("v1.0.0-!r!c1");
        assert_eq!(version.as_deref(), Some("v1.0.0-RC1"));
        for path in [
            "github.com/Azure",
            "github.com/!Azure",
            "github.com/!!azure",
            "github.com/a!",
            "github.com/!1",
            "github.com/../a",
            "!github.com/a",
            "",
        ] {
            assert_eq!(unescape_path(path), None, "{path}");
        }
        for version in ["V1.0.0", "v1.0.0/..", "..", "v1!", "v\u{e9}"] {
            assert_eq!(unescape_version(version), None, "{version}");
        }
    }

    proptest! {
        #[test]
        fn an_escaped_path_has_no_upper_case_and_can_be_read_back(path in "[a-z]{1,3}\\.[a-z]{2}(/[A-Za-z0-9._~-]{1,6}){0,3}") {
            if let Some(escaped) = escape_path(&path) {
                prop_assert!(!escaped.bytes().any(|byte| byte.is_ascii_uppercase()));
                prop_assert_eq!(unescape_path(&escaped), Some(path));
            }
        }

        #[test]
        fn each_path_and_version_has_one_escaped_form(escaped in "[a-z]{1,3}\\.[a-z]{2}(/[A-Za-z0-9._~!-]{1,6}){0,3}|.{0,20}") {
            if let Some(path) = unescape_path(&escaped) {
                prop_assert!(escape_path(&path).as_deref() == Some(escaped.as_str()));
            }
            if let Some(version) = unescape_version(&escaped) {
                prop_assert!(escape_version(&version).as_deref() == Some(escaped.as_str()));
            }
        }
    }
}
