//! Paths of Go modules, packages and files, and their escaped forms in the module cache.
//!
//! Source: `golang.org/x/mod/module`, `module.go`.

use super::semver::Semver;

/// The prefix of paths that have their major version in the form `.v1`.
const GOPKG_IN: &str = "gopkg.in/";

/// The names that Windows reserves, which may not be the part of an element before its first dot.
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
    let domain = path.split('/').next().unwrap_or_default();
    let is_domain = domain.contains('.')
        && domain.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte)
        });
    is_path(path, PathKind::Module) && is_domain && split_major(path).is_some()
}

/// Returns true for the path of a package (`CheckImportPath`).
#[must_use]
pub fn is_import_path(path: &str) -> bool {
    is_path(path, PathKind::Import)
}

/// Returns true for a relative path that a file of a module may have (`CheckFilePath`). It has no
/// component `.` or `..`. Letters of all scripts are allowed; Rust counts more characters as letters
/// than Go, such as combining marks.
#[must_use]
pub fn is_file_path(path: &str) -> bool {
    is_path(path, PathKind::File)
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
    let is_valid =
        is_element(version, PathKind::File) && version.is_ascii() && !version.contains('!');
    is_valid.then(|| escape(version))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(character.to_ascii_lowercase());
    }
    escaped
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
    let end = path.strip_suffix("-unstable").unwrap_or(path);
    let before = end.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = &end[before.len()..];
    let prefix = before.strip_suffix(".v")?;
    // Go accepts `.v-unstable`, because it counts the characters after the `v` with this suffix.
    let has_number = !number.is_empty() || path.len() > end.len();
    let is_valid = has_number && (!number.starts_with('0') || path.ends_with(".v0"));
    is_valid.then(|| path.split_at(prefix.len()))
}

/// Returns the major versions that a module path allows if that of `version` is another one
/// (`CheckPathMajor`). `major` is the second result of [`split_major`].
#[must_use]
pub fn other_major<'a>(version: &str, major: &'a str) -> Option<&'a str> {
    let is_gopkg_in = major.starts_with(".v");
    let major = match major.strip_suffix("-unstable") {
        Some(stable) if is_gopkg_in => stable,
        _ => major,
    };
    // Old pseudo-versions of `gopkg.in`.
    if version.starts_with("v0.0.0-") && major == ".v1" {
        return None;
    }
    let parsed = Semver::parse(version);
    let found = parsed.map_or("", |version| version.major());
    let is_incompatible = parsed.is_some_and(|version| version.is_incompatible());
    if major.is_empty() {
        let is_allowed = ["v0", "v1"].contains(&found) || is_incompatible;
        return (!is_allowed).then_some("v0 or v1");
    }
    let expected = major.trim_start_matches(['/', '.']);
    (found != expected).then_some(expected)
}

fn is_path(path: &str, kind: PathKind) -> bool {
    let has_dash = path.starts_with('-') && kind != PathKind::File;
    !has_dash && path.split('/').all(|element| is_element(element, kind))
}

/// Returns true for a valid element of a path (`checkElem`).
fn is_element(element: &str, kind: PathKind) -> bool {
    let is_invalid = element.is_empty()
        || element.ends_with('.')
        || (element.starts_with('.') && kind == PathKind::Module)
        || !element.chars().all(|c| is_allowed(c, kind));
    if is_invalid {
        return false;
    }
    let stem = element.split('.').next().unwrap_or_default();
    let is_reserved = |name: &&str| name.eq_ignore_ascii_case(stem);
    if WINDOWS_NAMES.iter().any(is_reserved) {
        return false;
    }
    // Short names of Windows, such as `PROGRA~1`.
    let is_short_name = stem.rsplit_once('~').is_some_and(|(_, digits)| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    kind == PathKind::File || !is_short_name
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
            ("gopkg.in/a.v01", None),
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
    fn upper_case_letters_are_escaped() {
        let escaped = "github.com/!azure/azure-sdk-for-go";
        let path = escape_path("github.com/Azure/azure-sdk-for-go");
        assert_eq!(path.as_deref(), Some(escaped));
        assert_eq!(
            escape_version("v1.0.0-RC1").as_deref(),
            Some("v1.0.0-!r!c1")
        );
        assert_eq!(escape_path("github.com/!azure"), None);
        assert_eq!(escape_path("../a.b"), None);
        for version in ["", "..", "v1/2", "v1!a", "v\u{e9}", "v1."] {
            assert_eq!(escape_version(version), None, "{version}");
        }
    }

    proptest! {
        #[test]
        fn an_escaped_path_has_no_upper_case_and_can_be_read_back(path in "[a-z]{1,3}\\.[a-z]{2}(/[A-Za-z0-9._~-]{1,6}){0,3}") {
            if let Some(escaped) = escape_path(&path) {
                prop_assert!(!escaped.bytes().any(|byte| byte.is_ascii_uppercase()));
                let mut parts = escaped.split('!');
                let mut back = parts.next().unwrap().to_owned();
                for part in parts {
                    back.push_str(&part[..1].to_ascii_uppercase());
                    back.push_str(&part[1..]);
                }
                prop_assert_eq!(back, path);
            }
        }
    }
}
