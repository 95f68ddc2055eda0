//! Paths inside a tree, which cannot leave it.

use std::fmt;
use std::str::FromStr;

/// A path inside a tree: relative, `/`-separated, without `.`, `..` or empty components,
/// at most 4,095 bytes, each component at most 255 bytes (Linux's `PATH_MAX`, `NAME_MAX`),
/// valid UTF-8 without control characters. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(String);

/// An error for an invalid path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path `{}` {problem}", found.escape_debug())]
pub struct InvalidPath {
    /// The path that was found, with invalid UTF-8 replaced.
    pub found: String,
    /// The problem.
    pub problem: PathProblem,
}

/// A problem of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathProblem {
    /// The path is empty.
    #[error("is empty")]
    Empty,
    /// The path starts with `/`.
    #[error("is absolute")]
    Absolute,
    /// The path has a `..` component, or the target of a symlink is outside of the tree.
    #[error("leaves the tree")]
    Escapes,
    /// The path has a `.` or an empty component.
    #[error("has an empty or `.` component")]
    NotNormal,
    /// The path or a component is too long.
    #[error("is too long")]
    TooLong,
    /// The path is not UTF-8, or has control characters or a backslash.
    #[error("has characters that are not allowed")]
    Characters,
}

impl TreePath {
    /// Parses the bytes of a path, for example from an archive or file system.
    ///
    /// # Errors
    /// Returns an error if the path is invalid.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPath> {
        match std::str::from_utf8(bytes) {
            Ok(text) => text.parse(),
            Err(_) => Err(InvalidPath {
                found: String::from_utf8_lossy(bytes).into_owned(),
                problem: PathProblem::Characters,
            }),
        }
    }

    /// Converts text that is known to be a valid path, because this library generated it. Panics in
    /// debug builds if it is not.
    #[must_use]
    pub(crate) fn from_trusted(path: String) -> Self {
        debug_assert!(path.parse::<Self>().is_ok(), "{path:?}");
        Self(path)
    }

    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the path without its last component; `None` if it has only one.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| Self(parent.to_owned()))
    }

    /// Returns the components, starting at the top.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns this path below `base`.
    #[must_use]
    pub fn below(&self, base: &Self) -> Self {
        Self(format!("{}/{}", base.0, self.0))
    }

    /// Returns the path of an entry of this directory. `name` must be a plain file name.
    #[must_use]
    pub(crate) fn join(&self, name: &'static str) -> Self {
        Self(format!("{}/{name}", self.0))
    }

    /// Returns true if this path is `top` or lies below it.
    #[must_use]
    pub fn is_in(&self, top: &Self) -> bool {
        self.0
            .strip_prefix(top.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns the relative target of a symlink at this path that points to `target`.
    #[must_use]
    pub fn link_to(&self, target: &Self) -> String {
        let from: Vec<&str> = self.components().collect();
        let to: Vec<&str> = target.components().collect();
        let folders = from.len() - 1;
        let shared = from[..folders]
            .iter()
            .zip(&to[..to.len() - 1])
            .take_while(|(a, b)| a == b)
            .count();
        let mut parts = vec![".."; folders - shared];
        parts.extend(&to[shared..]);
        parts.join("/")
    }

    /// Returns the path that a relative symlink at this path points to.
    ///
    /// # Errors
    /// Returns an error if `target` is absolute, empty or outside of the tree.
    pub fn resolve_link(&self, target: &str) -> Result<Self, InvalidPath> {
        let invalid = |problem| InvalidPath {
            found: target.to_owned(),
            problem,
        };
        if target.is_empty() {
            return Err(invalid(PathProblem::Empty));
        }
        if target.starts_with('/') {
            return Err(invalid(PathProblem::Absolute));
        }
        let mut parts: Vec<&str> = self.components().collect();
        parts.pop();
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or_else(|| invalid(PathProblem::Escapes))?;
                }
                name => parts.push(name),
            }
        }
        parts
            .join("/")
            .parse()
            .map_err(|e: InvalidPath| invalid(e.problem))
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for TreePath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let problem = if text.is_empty() {
            Some(PathProblem::Empty)
        } else if text.starts_with('/') {
            Some(PathProblem::Absolute)
        } else if text.len() > 4095 || text.split('/').any(|part| part.len() > 255) {
            Some(PathProblem::TooLong)
        } else if text.chars().any(|c| c.is_control() || c == '\\') {
            Some(PathProblem::Characters)
        } else if text.split('/').any(|part| part == "..") {
            Some(PathProblem::Escapes)
        } else if text.split('/').any(|part| part.is_empty() || part == ".") {
            Some(PathProblem::NotNormal)
        } else {
            None
        };
        match problem {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(InvalidPath {
                found: text.to_owned(),
                problem,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    #[test]
    fn invalid_paths_are_refused() {
        use PathProblem::*;
        for (text, problem) in [
            ("", Empty),
            ("/etc/passwd", Absolute),
            ("../x", Escapes),
            ("a/../../x", Escapes),
            ("a/..", Escapes),
            ("a//b", NotNormal),
            ("./a", NotNormal),
            ("a/", NotNormal),
            ("a\0b", Characters),
            ("a\nb", Characters),
            ("a\\b", Characters),
        ] {
            assert_eq!(
                text.parse::<TreePath>().unwrap_err().problem,
                problem,
                "{text}"
            );
        }
        assert_eq!(
            "x".repeat(256).parse::<TreePath>().unwrap_err().problem,
            TooLong
        );
        assert_eq!(
            TreePath::from_bytes(b"a\xff").unwrap_err().problem,
            Characters
        );
    }

    #[test]
    fn is_in_respects_components() {
        assert!(path("src/go").is_in(&path("src")));
        assert!(path("src").is_in(&path("src")));
        assert!(!path("src2").is_in(&path("src")));
    }

    #[test]
    fn link_targets_are_relative() {
        let link = path("usr/bin/go");
        let target = path("usr/lib/sdk/go-1.26/bin/go");
        assert_eq!(link.link_to(&target), "../lib/sdk/go-1.26/bin/go");
        assert_eq!(path("a").link_to(&path("b")), "b");
        assert_eq!(path("a/b").link_to(&path("a")), "../a");
        for bad in ["/usr/bin/go", "../../../x", "..", ""] {
            assert!(path("a/b").resolve_link(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn resolving_a_link_returns_its_target(from in "[a-c](/[a-c]){0,4}", to in "[a-c](/[a-c]){0,4}") {
            let (from, to) = (path(&from), path(&to));
            prop_assert_eq!(from.resolve_link(&from.link_to(&to)).unwrap(), to);
        }

        #[test]
        fn any_bytes_are_a_path_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(path) = TreePath::from_bytes(&bytes) {
                prop_assert!(!path.as_str().starts_with('/'));
                prop_assert!(path.components().all(|c| !c.is_empty() && c != ".."));
            }
        }
    }
}
