//! Go's download index: the archives of each release, with digests.

use serde::Deserialize;

use crate::arch::Arch;
use crate::fs::path::TreePath;
use crate::id::{InvalidChecksum, Sha256};
use crate::kind::ErrorKind;
use crate::version::GoVersion;

/// The list of releases that a download site serves as JSON, newest first:
/// `[{version, stable, files: [{filename, os, arch, version, sha256, size, kind}]}]`
/// (golang.org/x/website, `internal/dl/dl.go`, `Release` and `File`).
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct DownloadIndex {
    releases: Vec<Release>,
}

#[derive(Debug, Clone, Deserialize)]
struct Release {
    version: String,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Debug, Clone, Deserialize)]
struct File {
    filename: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    arch: String,
    #[serde(default)]
    sha256: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    kind: String,
}

/// An archive in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedArchive {
    /// The name of the file next to the index, without folders.
    pub filename: String,
    /// The SHA-256 of the file.
    pub sha256: Sha256,
    /// The size in bytes.
    pub size: u64,
}

/// The reason why an index has no usable archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The index is not JSON of the expected form.
    #[error("the download index is not a list of Go releases")]
    Format(#[source] serde_json::Error),
    /// The index does not contain the release.
    #[error(
        "the download index has no Go {version} for {arch}, the nearest are {}",
        Listed(nearest)
    )]
    NoRelease {
        /// The requested release.
        version: GoVersion,
        /// The requested architecture.
        arch: Arch,
        /// The releases next to it that are available for this architecture, lowest first.
        nearest: Vec<GoVersion>,
    },
    /// The name of a file contains folders.
    #[error("the download index names the file `{}`, expected a name without folders", .found.escape_debug())]
    FileName {
        /// The invalid name.
        found: String,
    },
    /// The digest of a file is invalid.
    #[error("the download index has an invalid SHA-256 of {filename}")]
    Digest {
        /// The file.
        filename: String,
        /// The cause.
        source: InvalidChecksum,
    },
}

impl IndexError {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NoRelease { .. } => ErrorKind::NotFound,
            Self::Format(_) | Self::FileName { .. } | Self::Digest { .. } => ErrorKind::Corrupt,
        }
    }
}

/// Displays versions separated by commas.
struct Listed<'a>(&'a [GoVersion]);

impl std::fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (i, version) in self.0.iter().enumerate() {
            write!(f, "{}{version}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl DownloadIndex {
    /// Parses an index.
    ///
    /// # Errors
    /// Returns [`IndexError::Format`] if `bytes` is not JSON of the expected form.
    pub fn parse(bytes: &[u8]) -> Result<Self, IndexError> {
        serde_json::from_slice(bytes).map_err(IndexError::Format)
    }

    /// Returns the versions of all releases, highest first. Those that are not in Go's form are left
    /// out.
    #[must_use]
    pub fn versions(&self) -> Vec<GoVersion> {
        let versions = self.releases.iter();
        let versions = versions.filter_map(|one| one.version.strip_prefix("go")?.parse().ok());
        let mut versions: Vec<GoVersion> = versions.collect();
        versions.sort_by(|a, b| b.cmp(a));
        versions.dedup();
        versions
    }

    /// Returns the archive of a release for Linux on `arch`.
    ///
    /// # Errors
    /// Returns an error if the index has no such archive, or describes it incorrectly.
    pub fn archive(&self, version: &GoVersion, arch: Arch) -> Result<IndexedArchive, IndexError> {
        let name = format!("go{version}");
        let Some(file) = self
            .releases
            .iter()
            .filter(|release| release.version == name)
            .find_map(|release| release.archive(arch))
        else {
            return Err(IndexError::NoRelease {
                version: version.clone(),
                arch,
                nearest: self.nearest(version, arch),
            });
        };
        let is_plain_name = |name: &str| {
            !name.contains('/')
                && !name.contains(['?', '#', '%'])
                && name.parse::<TreePath>().is_ok()
        };
        if !is_plain_name(&file.filename) {
            return Err(IndexError::FileName {
                found: file.filename.clone(),
            });
        }
        let sha256 = file.sha256.parse().map_err(|source| IndexError::Digest {
            filename: file.filename.clone(),
            source,
        })?;
        Ok(IndexedArchive {
            filename: file.filename.clone(),
            sha256,
            size: file.size,
        })
    }

    /// Returns up to two releases on either side of `version` that have an archive for `arch`.
    fn nearest(&self, version: &GoVersion, arch: Arch) -> Vec<GoVersion> {
        let known = self
            .releases
            .iter()
            .filter(|release| release.archive(arch).is_some())
            .filter_map(|release| release.version.strip_prefix("go")?.parse().ok());
        version.neighbours(known.collect())
    }
}

impl Release {
    fn archive(&self, arch: Arch) -> Option<&File> {
        self.files
            .iter()
            .find(|file| file.kind == "archive" && file.os == "linux" && file.arch == arch.goarch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index(json: &str) -> DownloadIndex {
        DownloadIndex::parse(json.as_bytes()).unwrap()
    }

    fn release(version: &str, filename: &str, sha256: &str) -> String {
        format!(
            r#"{{"version":"go{version}","stable":true,"files":[
              {{"filename":"go{version}.src.tar.gz","os":"","arch":"","version":"go{version}","sha256":"","size":1,"kind":"source"}},
              {{"filename":"go{version}.windows-amd64.zip","os":"windows","arch":"amd64","sha256":"","size":1,"kind":"archive"}},
              {{"filename":"{filename}","os":"linux","arch":"amd64","version":"go{version}","sha256":"{sha256}","size":64,"kind":"archive"}}]}}"#
        )
    }

    fn releases(versions: &[&str]) -> DownloadIndex {
        let list: Vec<String> = versions
            .iter()
            .map(|v| release(v, &format!("go{v}.linux-amd64.tar.gz"), &"0a".repeat(32)))
            .collect();
        index(&format!("[{}]", list.join(",")))
    }

    #[test]
    fn picks_by_version_and_arch() {
        let index = releases(&["1.27rc1", "1.26.5", "1.26.4"]);
        let archive = index
            .archive(&"1.26.5".parse().unwrap(), Arch::X86_64)
            .unwrap();
        assert_eq!(archive.filename, "go1.26.5.linux-amd64.tar.gz");
        assert_eq!((archive.sha256, archive.size), (Sha256([10; 32]), 64));
    }

    #[test]
    fn lists_versions_highest_first() {
        let index = releases(&["1.9.1", "1.27rc1", "1.26.10", "1.26.9", "tip", "1.26.9"]);
        let versions: Vec<String> = index.versions().iter().map(ToString::to_string).collect();
        assert_eq!(versions, ["1.27rc1", "1.26.10", "1.26.9", "1.9.1"]);
    }

    #[test]
    fn errors_name_the_requested_and_the_available_versions() {
        let index = releases(&["1.27rc1", "1.26.5", "1.26.4", "1.26.3", "1.25.9"]);
        let error = |version: &str, arch| {
            let error = index.archive(&version.parse().unwrap(), arch).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            error.to_string()
        };
        insta::assert_snapshot!(error("1.26.6", Arch::X86_64), @"the download index has no Go 1.26.6 for x86_64, the nearest are 1.26.4, 1.26.5, 1.27rc1");
        insta::assert_snapshot!(error("1.2.3", Arch::X86_64), @"the download index has no Go 1.2.3 for x86_64, the nearest are 1.25.9, 1.26.3");
        insta::assert_snapshot!(error("1.26.5", Arch::Aarch64), @"the download index has no Go 1.26.5 for aarch64, the nearest are none");
    }

    #[test]
    fn refuses_names_that_lead_elsewhere_and_missing_digests() {
        let error = |filename: &str, sha256: &str| {
            index(&format!("[{}]", release("1.26.5", filename, sha256)))
                .archive(&"1.26.5".parse().unwrap(), Arch::X86_64)
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(error("../evil.tar.gz", ""), @"the download index names the file `../evil.tar.gz`, expected a name without folders");
        insta::assert_snapshot!(error("go.tar.gz", "00"), @"the download index has an invalid SHA-256 of go.tar.gz");
        for name in ["", "..", "a/b", "/a", "a?b", "https://x"] {
            assert!(error(name, "").contains("names the file"), "{name}");
        }
        insta::assert_snapshot!(
            DownloadIndex::parse(b"<html>").unwrap_err(),
            @"the download index is not a list of Go releases"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_index_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            cut in 0usize..900,
        ) {
            let _ = DownloadIndex::parse(&bytes);
            let json = format!("[{}]", release("1.26.5", "a", "b"));
            let _ = DownloadIndex::parse(&json.as_bytes()[..cut.min(json.len())]);
        }
    }
}
