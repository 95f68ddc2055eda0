//! The facts about a release that its commit records.

use super::error::AttestError;
use super::modules::{self, VendoredModule};
use crate::arch::Arch;
use crate::catalog::{CommitInfo, CommitKind};
use crate::clock::rfc3339;
use crate::golang::h1::H1;
use crate::golang::toolchain;
use crate::id::{CommitId, RefName};
use crate::repo::Repo;
use crate::version::GoVersion;

/// The facts that statements about a release consist of.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) info: CommitInfo,
    pub(super) arch: Arch,
    /// The version of Go, without the variant of a site.
    pub(super) version: GoVersion,
    pub(super) source: Option<SourceFacts>,
    /// The hash of the upstream content, with the name of the module that has this content.
    pub(super) h1: Option<(String, H1)>,
    pub(super) modules: Vec<VendoredModule>,
}

/// The source of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceFacts {
    /// The file name, or the URL. For RPMs, all names, separated by `, `.
    pub(super) name: String,
    pub(super) form: String,
    /// The digest of the archive, or of the list of digests of several RPMs.
    pub(super) sha256: Option<String>,
    pub(super) size: Option<u64>,
}

impl Facts {
    /// Reads a commit, which must be a release or a channel.
    pub(super) fn read(repo: &Repo, commit: CommitId) -> Result<Self, AttestError> {
        let info = CommitInfo::read(repo, commit)?;
        let not_a_release = || AttestError::NotARelease {
            commit,
            kind: info.kind,
        };
        if !matches!(info.kind, CommitKind::Release | CommitKind::Channel) {
            return Err(not_a_release());
        }
        let arch = info.arch.ok_or_else(not_a_release)?;
        let version: GoVersion = info
            .version
            .as_deref()
            .and_then(|version| version.parse().ok())
            .ok_or_else(not_a_release)?;
        let variant = info.variant.as_deref();
        let version = variant
            .and_then(|variant| version.without_variant(variant))
            .unwrap_or(version);
        let h1 = info.h1.as_ref().and_then(|h1| h1.parse().ok());
        Ok(Self {
            arch,
            source: SourceFacts::of(&info),
            h1: h1.map(|h1| (toolchain::module_folder(&version, arch), h1)),
            modules: modules::read(repo, commit)?,
            version,
            info,
        })
    }

    /// Returns the name of the release for people and files: `go-1.26.5-x86_64`.
    pub(super) fn name(&self) -> String {
        let version = self.info.version.as_deref().unwrap_or_default();
        format!("go-{version}-{}", self.arch)
    }

    /// Returns the first ref that the commit is bound to.
    pub(super) fn ref_name(&self) -> Option<&str> {
        self.info.bound_to.first().map(RefName::as_str)
    }

    /// Returns the time of the commit in RFC 3339.
    pub(super) fn time(&self) -> String {
        rfc3339(self.info.timestamp)
    }

    /// Returns the package URL of the SDK. Scanners know the standard library by the module name
    /// `stdlib`, which the Go vulnerability database defines.
    pub(super) fn purl(&self) -> String {
        purl("stdlib", self.version.as_str())
    }

    /// Returns the name of the release in the CPE dictionary of NIST; `None` for a release candidate.
    pub(super) fn cpe(&self) -> Option<String> {
        let version = self.version.as_str();
        (!self.version.is_prerelease())
            .then(|| format!("cpe:2.3:a:golang:go:{version}:*:*:*:*:*:*:*"))
    }
}

impl SourceFacts {
    fn of(info: &CommitInfo) -> Option<Self> {
        let source = info.source.as_ref()?;
        let text = |key: &str| Some(source.get(key)?.as_str()?.to_owned());
        Some(Self {
            name: text("name")?,
            form: text("form").unwrap_or_default(),
            sha256: text("sha256"),
            size: source.get("size").and_then(serde_json::Value::as_u64),
        })
    }

    /// Returns the URL, if the source was fetched from one.
    pub(super) fn url(&self) -> Option<&str> {
        Some(self.name.as_str()).filter(|name| name.contains("://"))
    }

    /// Returns true if the digest is that of a list of digests.
    pub(super) fn is_list(&self) -> bool {
        self.form == "rpm" && self.name.contains(", ")
    }
}

/// Returns the package URL of a Go module. Source: the purl specification, `purl-specification.rst`
/// and the type `golang`, whose names are in lower case.
pub(super) fn purl(path: &str, version: &str) -> String {
    let encoded = |text: &str, keep: &str| {
        let bytes = text.bytes();
        let parts = bytes.map(|byte| match char::from(byte) {
            c if c.is_ascii_alphanumeric() || ".-_~".contains(c) || keep.contains(c) => {
                c.to_string()
            }
            _ => format!("%{byte:02X}"),
        });
        parts.collect::<String>()
    };
    let path = encoded(&path.to_ascii_lowercase(), "/");
    format!("pkg:golang/{path}@{}", encoded(version, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_encoded() {
        assert_eq!(
            purl("golang.org/x/crypto", "v0.46.1-0.20251210"),
            "pkg:golang/golang.org/x/crypto@v0.46.1-0.20251210"
        );
        assert_eq!(
            purl("example.com/A b", "v2.0.0+incompatible"),
            "pkg:golang/example.com/a%20b@v2.0.0%2Bincompatible"
        );
    }
}
