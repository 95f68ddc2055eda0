//! The hashes of Go's own SDKs: those that a source has to have, and those to pin.

use super::{Compose, ComposeError};
use crate::arch::Arch;
use crate::http::HttpClient;
use crate::kind::ErrorKind;
use crate::progress::Event;
use crate::source::download::SourceContext;
use crate::source::open::listed_sha256;
use crate::treefile::{ArchTreefile, Pin, SourceSpec};
use crate::upstream::{OfficialHash, Upstream};
use crate::version::GoVersion;

/// The pins of a version, from Go's checksum database and a download index.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfficialPins {
    /// The version of Go.
    pub version: GoVersion,
    /// The pin for each architecture, in the order of the compose. It always has an `h1`. It has a
    /// SHA-256 if a download index among the sources has one.
    pub pins: Vec<(Arch, Pin)>,
}

impl Compose {
    /// Looks up the pins of the treefile's version. The `h1:` hashes come with a proof of the
    /// checksum database; the SHA-256 is that in the first download index among the sources that can
    /// be read. If there is none, progress reports why.
    ///
    /// # Errors
    /// Returns an error if the treefile does not have a requested architecture, or the database does
    /// not have the version, cannot be reached, or its answer cannot be verified.
    pub fn official_pins(&self) -> Result<OfficialPins, ComposeError> {
        let http = self.client()?;
        let mut pins = Vec::new();
        for arch in &self.arches {
            let spec = self.treefile.for_arch(*arch)?;
            let official = self.upstream(spec).look_up_hash(&spec.go_version, *arch)?;
            pins.push((
                *arch,
                Pin {
                    h1: Some(official.h1),
                    sha256: self.listed_sha256(spec, &http)?,
                },
            ));
        }
        Ok(OfficialPins {
            version: self.treefile.go_version().clone(),
            pins,
        })
    }

    /// Returns the digest of the release's archive in the first index that can be read.
    fn listed_sha256(
        &self,
        spec: &ArchTreefile,
        http: &HttpClient,
    ) -> Result<Option<crate::id::Sha256>, ComposeError> {
        let context = self.source_context(spec, http);
        for source in &spec.sources {
            let SourceSpec::Index { base } = source else {
                continue;
            };
            match listed_sha256(base, &spec.go_version, spec.arch, &context) {
                Ok(sha256) => return Ok(Some(sha256)),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error.into()),
                Err(error) => self.progress.event(&Event::SourceSkipped {
                    source: &source.to_string(),
                    reason: &error,
                }),
            }
        }
        Ok(None)
    }

    /// Returns the client for downloads.
    pub(super) fn client(&self) -> Result<HttpClient, ComposeError> {
        Ok(HttpClient::new(&self.http)?)
    }

    /// Returns the environment for opening the sources of a release.
    pub(super) fn source_context<'a>(
        &'a self,
        spec: &'a ArchTreefile,
        http: &'a HttpClient,
    ) -> SourceContext<'a> {
        SourceContext {
            http,
            cache: self.cache.as_ref(),
            goproxy: self.goproxy_of(spec),
            progress: self.progress.as_ref(),
        }
    }

    fn goproxy_of<'a>(&'a self, spec: &'a ArchTreefile) -> Option<&'a str> {
        spec.goproxy.as_deref().or(self.goproxy.as_deref())
    }

    /// Returns the client of the checksum database.
    pub(super) fn upstream(&self, spec: &ArchTreefile) -> Upstream {
        let upstream = Upstream::new()
            .http(self.http.clone())
            .goproxy(self.goproxy_of(spec).map(str::to_owned))
            .heads(self.heads.clone())
            .progress(self.progress.clone());
        match &self.sumdb {
            Some(url) => upstream.database(url),
            None => upstream,
        }
    }
}

/// Returns the hash that the content of an opened source has to have according to the checksum
/// database: that of a module, or of an SDK that was rebuilt, without a pin, which nothing else
/// identifies.
pub(super) fn required_hash(
    compose: &Compose,
    spec: &ArchTreefile,
    opened: &SourceSpec,
) -> Result<Option<OfficialHash>, ComposeError> {
    let needs_pin = matches!(
        opened,
        SourceSpec::Module { .. } | SourceSpec::Rebuild { .. }
    );
    if compose.sumdb.is_none() || !needs_pin || spec.pin != Pin::default() {
        return Ok(None);
    }
    let upstream = compose.upstream(spec);
    Ok(Some(upstream.look_up_hash(&spec.go_version, spec.arch)?))
}
