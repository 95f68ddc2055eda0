//! Names of compiled standard libraries, and the index of one.
//!
//! A std cache holds the entries of Go's build cache that a build of the standard library for one
//! target creates: archives of the packages, and facts of `go vet`. It is a directory with the file
//! `index` and the outputs, each named by its SHA-256: `outputs/ab/abcd…`.

use crate::arch::Arch;
use crate::fs::path::{InvalidPath, TreePath};
use crate::id::{InvalidRef, RefName, Sha256};
use crate::version::GoVersion;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The flags that the standard library was compiled with. Go's build cache shares no archive between
/// the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuildMode {
    /// `-trimpath`: without paths of the machine in the output.
    Trimpath,
    /// No flags.
    Plain,
}

impl BuildMode {
    /// All modes.
    pub const ALL: [Self; 2] = [Self::Trimpath, Self::Plain];

    /// Returns the name in treefiles, refs and paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trimpath => "trimpath",
            Self::Plain => "plain",
        }
    }
}

impl fmt::Display for BuildMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The error for a text that is not the name of a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a mode of a std cache, expected trimpath or plain")]
pub struct UnknownBuildMode {
    /// The invalid text.
    pub found: String,
}

impl FromStr for BuildMode {
    type Err = UnknownBuildMode;

    fn from_str(text: &str) -> Result<Self, UnknownBuildMode> {
        let mode = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        mode.ok_or_else(|| UnknownBuildMode {
            found: text.escape_debug().to_string(),
        })
    }
}

/// The name of a std cache: the architecture that it was compiled for, and the mode. Displayed as
/// `x86_64-trimpath`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StdCacheId {
    /// The architecture that programs are compiled for. The files are the same on machines of all
    /// architectures.
    pub target: Arch,
    /// The flags.
    pub mode: BuildMode,
}

/// The directory of all std caches in a tree.
pub(crate) const STD_CACHE_DIR: &str = "usr/lib/sdk/stdcache";

impl StdCacheId {
    /// Returns the names of all std caches that a release may have, by target, then by mode.
    #[must_use]
    pub fn all() -> Vec<Self> {
        Arch::ALL.into_iter().flat_map(Self::of_target).collect()
    }

    /// Returns all modes of a target.
    #[must_use]
    pub fn of_target(target: Arch) -> [Self; 2] {
        BuildMode::ALL.map(|mode| Self { target, mode })
    }

    /// Returns the ref of a std cache beside the ref of a release or channel: the first component of
    /// that ref, then `stdcache`, the version, and the name: `go-sdk/stdcache/1.26.5/x86_64-trimpath`.
    ///
    /// # Errors
    /// Returns the error of an invalid ref.
    pub fn ref_beside(self, release: &RefName, version: &str) -> Result<RefName, InvalidRef> {
        let prefix = release.first_component();
        format!("{prefix}/stdcache/{version}/{self}").parse()
    }

    /// Returns the directory of a std cache in a tree:
    /// `usr/lib/sdk/stdcache/go-1.26/x86_64-trimpath`.
    ///
    /// # Errors
    /// Never returns an error for a valid version.
    pub fn dir(self, version: &GoVersion) -> Result<TreePath, InvalidPath> {
        format!("{STD_CACHE_DIR}/go-{}/{self}", version.minor()).parse()
    }
}

impl fmt::Display for StdCacheId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.target, self.mode))
    }
}

/// The error for a text that is not the name of a std cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` is not the name of a std cache, expected the form x86_64-trimpath or aarch64-plain"
)]
pub struct InvalidStdCacheId {
    /// The invalid text.
    pub found: String,
}

impl FromStr for StdCacheId {
    type Err = InvalidStdCacheId;

    fn from_str(text: &str) -> Result<Self, InvalidStdCacheId> {
        let parsed = text.rsplit_once('-').and_then(|(target, mode)| {
            let target = target.parse().ok()?;
            let mode = mode.parse().ok()?;
            Some(Self { target, mode })
        });
        parsed.ok_or_else(|| InvalidStdCacheId {
            found: text.to_owned(),
        })
    }
}

/// An entry of Go's build cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StdCacheEntry {
    /// The SHA-256 of the output, which Go calls the output id.
    pub output: Sha256,
    /// The size of the output in bytes.
    pub size: u64,
}

/// The index of a std cache: the entry for each action id.
///
/// The form is the line `ostree-go stdcache 1`, then a line `ACTION OUTPUT SIZE` for each action, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StdCacheIndex(pub BTreeMap<Sha256, StdCacheEntry>);

/// The error for a text that is not an index of a std cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStdCacheIndex {
    /// The first line is another one.
    #[error("the first line is not `{FIRST_LINE}`")]
    Format,
    /// A line is malformed.
    #[error("line {line} is not `ACTION OUTPUT SIZE`")]
    Line {
        /// The number of the line, from 1.
        line: usize,
    },
}

const FIRST_LINE: &str = "ostree-go stdcache 1";

impl StdCacheIndex {
    /// The name of the index in the directory of a std cache.
    pub const FILE_NAME: &str = "index";

    /// Returns the path of an output, relative to the directory of the std cache.
    #[must_use]
    pub fn output_path(output: Sha256) -> String {
        let name = output.to_string();
        format!("outputs/{}/{name}", &name[..2])
    }
}

impl fmt::Display for StdCacheIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        for (action, entry) in &self.0 {
            writeln!(f, "{action} {} {}", entry.output, entry.size)?;
        }
        Ok(())
    }
}

impl FromStr for StdCacheIndex {
    type Err = InvalidStdCacheIndex;

    fn from_str(text: &str) -> Result<Self, InvalidStdCacheIndex> {
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, line)| line != FIRST_LINE) {
            return Err(InvalidStdCacheIndex::Format);
        }
        let entry = |line: &str| {
            let (action, rest) = line.split_once(' ')?;
            let (output, size) = rest.split_once(' ')?;
            let entry = StdCacheEntry {
                output: output.parse().ok()?,
                size: size.parse().ok()?,
            };
            Some((action.parse().ok()?, entry))
        };
        let entries = lines.map(|(number, line)| {
            entry(line).ok_or(InvalidStdCacheIndex::Line { line: number + 1 })
        });
        entries.collect::<Result<_, _>>().map(Self)
    }
}

/// Returns the ref of a std cache beside the ref of a release: see [`StdCacheId::ref_beside`].
///
/// # Errors
/// Returns the error of an invalid ref.
pub(crate) fn std_cache_ref(
    release: &RefName,
    version: &str,
    id: StdCacheId,
) -> Result<RefName, InvalidRef> {
    id.ref_beside(release, version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, target, mode) in [
            ("x86_64-trimpath", Arch::X86_64, BuildMode::Trimpath),
            ("aarch64-plain", Arch::Aarch64, BuildMode::Plain),
        ] {
            let id = StdCacheId { target, mode };
            assert_eq!(text.parse(), Ok(id));
            assert_eq!(id.to_string(), text);
        }
        for text in ["", "x86_64", "amd64-plain", "x86_64-race", "x86_64-"] {
            assert!(text.parse::<StdCacheId>().is_err(), "{text}");
        }
        let id: StdCacheId = "x86_64-plain".parse().unwrap();
        let dir = id.dir(&"1.26.5".parse().unwrap()).unwrap();
        assert_eq!(dir.to_string(), "usr/lib/sdk/stdcache/go-1.26/x86_64-plain");
        let name = std_cache_ref(&"go-sdk/x86_64/1.26.5".parse().unwrap(), "1.26.5", id).unwrap();
        assert_eq!(name.as_str(), "go-sdk/stdcache/1.26.5/x86_64-plain");
    }

    #[test]
    fn an_index() {
        let [a, b] = ["a", "b"].map(|digit| digit.repeat(64));
        let text = format!("{FIRST_LINE}\n{a} {b} 12\n{b} {b} 12\n");
        let index: StdCacheIndex = text.parse().unwrap();
        assert_eq!(index.to_string(), text);
        assert_eq!(index.0[&a.parse().unwrap()].size, 12);
        for (text, error) in [
            ("", InvalidStdCacheIndex::Format),
            ("ostree-go stdcache 2\n", InvalidStdCacheIndex::Format),
            (
                "ostree-go stdcache 1\nx y z\n",
                InvalidStdCacheIndex::Line { line: 2 },
            ),
        ] {
            assert_eq!(text.parse::<StdCacheIndex>(), Err(error));
        }
    }
}
