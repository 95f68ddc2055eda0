//! Locates, downloads and checks the sources in a treefile.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use super::download::{Found, SourceContext, download, public_name};
use super::{Body, Form, Source, SourceError, SourceInfo, proxies};
use crate::arch::Arch;
use crate::fs::cache::VerifiedFile;
use crate::fs::digest;
use crate::golang::index::{DownloadIndex, IndexedArchive};
use crate::golang::toolchain;
use crate::http::url::Url;
use crate::id::Sha256;
use crate::treefile::{Pin, SourceSpec};
use crate::version::GoVersion;

/// Maximum size of a download index, in bytes. Go's, with all releases, has 8 MB.
const INDEX_LIMIT: u64 = 64 << 20;

/// Opens a source of one release for one architecture, and checks its digest:
///
/// - A pinned SHA-256 is that of the official `.tar.gz`. Every `.tar.gz` must have it.
/// - A zip must have it only if no `h1` is pinned; otherwise the caller checks the `h1` of the
///   content that it reads. The same holds for directories, which have no digest.
/// - RPMs need an `h1` if a digest is pinned, because no archive equals them.
/// - A digest next to a URL, or in a download index, must match the file as well.
pub(crate) fn open(
    spec: &SourceSpec,
    pin: &Pin,
    version: &GoVersion,
    arch: Arch,
    ctx: &SourceContext<'_>,
) -> Result<Source, SourceError> {
    let opener = Opener {
        pin,
        version,
        arch,
        ctx,
    };
    match spec {
        SourceSpec::Path(path) => opener.path(path),
        SourceSpec::Url { url, sha256 } => opener.url(&Url::parse(url)?, *sha256),
        SourceSpec::Index { base } => opener.index(&Url::parse(base)?),
        SourceSpec::Module { path } => opener.module(path),
        SourceSpec::Rpm { files, gpg_keys } => opener.rpm(files, gpg_keys),
        // The compose makes a directory of it first.
        SourceSpec::Rebuild { .. } => Err(SourceError::UnknownForm {
            location: spec.to_string(),
        }),
    }
}

/// Returns the digest of a release's official archive in a download index.
pub(crate) fn listed_sha256(
    base: &str,
    version: &GoVersion,
    arch: Arch,
    ctx: &SourceContext<'_>,
) -> Result<Sha256, SourceError> {
    let opener = Opener {
        pin: &Pin::default(),
        version,
        arch,
        ctx,
    };
    Ok(opener.listed(&Url::parse(base)?)?.sha256)
}

/// The parameters for opening sources of one release.
pub(super) struct Opener<'a> {
    pub pin: &'a Pin,
    version: &'a GoVersion,
    pub arch: Arch,
    ctx: &'a SourceContext<'a>,
}

impl Opener<'_> {
    fn path(&self, path: &Path) -> Result<Source, SourceError> {
        let location = path.display().to_string();
        // Checks the path before opening it, because opening a pipe would block.
        let metadata = std::fs::metadata(path).map_err(unreadable(path))?;
        if metadata.is_dir() {
            if self.pin.sha256.is_some() && self.pin.h1.is_none() {
                return Err(SourceError::DirectoryPin {
                    path: path.to_owned(),
                });
            }
            return Ok(Source {
                info: SourceInfo {
                    name: name_of(path),
                    form: Form::Directory,
                    sha256: None,
                    size: None,
                },
                location,
                module: toolchain::module_folder(self.version, self.arch),
                body: Body::Directory(path.to_owned()),
            });
        }
        if !metadata.is_file() {
            return Err(SourceError::UnknownForm { location });
        }
        self.archive(self.local(path)?)
    }

    /// Opens a file on this machine.
    pub(super) fn local(&self, path: &Path) -> Result<Found, SourceError> {
        let (location, name) = (path.display().to_string(), name_of(path));
        let metadata = std::fs::metadata(path).map_err(unreadable(path))?;
        let mut file = File::open(path).map_err(unreadable(path))?;
        let hashed = digest::hash(&mut file, &name, Some(metadata.len()), self.ctx.progress)
            .map_err(unreadable(path))?;
        let Some((hasher, size)) = hashed else {
            return Err(SourceError::Cancelled { location });
        };
        file.rewind().map_err(unreadable(path))?;
        Ok(Found {
            name,
            location,
            file: VerifiedFile {
                file,
                path: path.to_owned(),
                sha256: digest::finish(hasher),
                size,
            },
        })
    }

    fn url(&self, url: &Url, sha256: Option<Sha256>) -> Result<Source, SourceError> {
        if sha256.is_none() && *self.pin == Pin::default() {
            return Err(SourceError::Unpinned {
                url: url.to_string(),
            });
        }
        let is_zip = url.file_name().ends_with(".zip");
        let pinned = if is_zip {
            self.zip_pin()
        } else {
            self.pin.sha256
        };
        let file = self.download(url, sha256.or(pinned))?;
        self.archive(Found {
            name: public_name(url),
            location: url.to_string(),
            file,
        })
    }

    fn index(&self, base: &Url) -> Result<Source, SourceError> {
        if let (Some(sha256), Some(cache)) = (self.pin.sha256, self.ctx.cache) {
            let goarch = self.arch.goarch();
            let url = base.join(&format!("go{}.linux-{goarch}.tar.gz", self.version))?;
            if let Some(file) = cache.get(sha256, self.ctx.progress)? {
                return self.archive(Found {
                    name: public_name(&url),
                    location: url.to_string(),
                    file,
                });
            }
        }
        let listed = self.listed(base)?;
        let url = base.join(&listed.filename)?;
        self.check(&url.to_string(), listed.sha256, self.pin.sha256)?;
        let file = self.download(&url, Some(listed.sha256))?;
        self.archive(Found {
            name: public_name(&url),
            location: url.to_string(),
            file,
        })
    }

    /// Finds the release's archive in a download index.
    fn listed(&self, base: &Url) -> Result<IndexedArchive, SourceError> {
        let index_url = base.join("?mode=json&include=all")?;
        let unusable = |source| SourceError::Index {
            url: base.to_string(),
            source,
        };
        let json = self
            .ctx
            .http
            .get(&index_url, INDEX_LIMIT, self.ctx.progress)?;
        DownloadIndex::parse(&json)
            .and_then(|index| index.archive(self.version, self.arch))
            .map_err(unusable)
    }

    fn module(&self, path: &str) -> Result<Source, SourceError> {
        if path != toolchain::MODULE {
            return Err(SourceError::Module {
                found: path.to_owned(),
                expected: toolchain::MODULE,
            });
        }
        let module = toolchain::module_folder(self.version, self.arch);
        proxies::first(&module, self.ctx.goproxy, |base| self.module_at(base))
    }

    fn module_at(&self, base: &str) -> Result<Source, SourceError> {
        let version = toolchain::module_version(self.version, self.arch);
        let module = (toolchain::MODULE, version.as_str());
        let found = proxies::zip(self.ctx, base, module, self.zip_pin())?;
        self.archive(found)
    }

    pub(super) fn download(
        &self,
        url: &Url,
        sha256: Option<Sha256>,
    ) -> Result<VerifiedFile, SourceError> {
        download(self.ctx, url, sha256)
    }

    /// Returns the pinned digest if it applies to a zip.
    fn zip_pin(&self) -> Option<Sha256> {
        match self.pin.h1 {
            Some(_) => None,
            None => self.pin.sha256,
        }
    }

    pub(super) fn check(
        &self,
        location: &str,
        found: Sha256,
        expected: Option<Sha256>,
    ) -> Result<(), SourceError> {
        match expected {
            Some(expected) if expected != found => Err(SourceError::Mismatch {
                location: location.to_owned(),
                expected,
                found,
            }),
            _ => Ok(()),
        }
    }

    /// Detects the form by the first bytes: `\x1f\x8b` (RFC 1952, 2.3.1), `PK\3\4`
    /// (APPNOTE.TXT 4.3.7).
    fn archive(&self, found: Found) -> Result<Source, SourceError> {
        let Found {
            name,
            location,
            file:
                VerifiedFile {
                    mut file,
                    path,
                    sha256,
                    size,
                },
        } = found;
        let mut magic = Vec::new();
        (&mut file)
            .take(4)
            .read_to_end(&mut magic)
            .and_then(|_| file.rewind())
            .map_err(|source| SourceError::Io { path, source })?;
        let (form, body, pinned) = if magic.starts_with(b"\x1f\x8b") {
            (Form::TarGz, Body::TarGz(file), self.pin.sha256)
        } else if magic == b"PK\x03\x04" {
            (Form::Zip, Body::Zip(file), self.zip_pin())
        } else {
            return Err(SourceError::UnknownForm { location });
        };
        self.check(&location, sha256, pinned)?;
        Ok(Source {
            info: SourceInfo {
                name,
                form,
                sha256: Some(sha256),
                size: Some(size),
            },
            location,
            module: toolchain::module_folder(self.version, self.arch),
            body,
        })
    }
}

/// Returns the name of a local file or directory for metadata.
fn name_of(path: &Path) -> String {
    let name = path.file_name();
    name.map_or_else(|| "/".into(), |name| name.to_string_lossy().into_owned())
}

fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> SourceError {
    move |source| SourceError::Io {
        path: path.to_owned(),
        source,
    }
}
