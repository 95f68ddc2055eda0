//! Downloads of sources.

use super::SourceError;
use crate::fs::cache::{Cache, VerifiedFile};
use crate::http::url::Url;
use crate::http::{HttpClient, HttpError};
use crate::id::Sha256;
use crate::progress::Progress;

/// The environment for opening sources.
#[derive(Clone, Copy)]
pub(crate) struct SourceContext<'a> {
    /// The client for downloads.
    pub http: &'a HttpClient,
    /// The cache for downloads. Without one nothing can be downloaded.
    pub cache: Option<&'a Cache>,
    /// The list of module proxies, in the go command's syntax. There is no default proxy.
    pub goproxy: Option<&'a str>,
    /// The receiver of progress, which may cancel downloads.
    pub progress: &'a dyn Progress,
}

/// A file and its names.
pub(super) struct Found {
    /// The name in metadata.
    pub name: String,
    /// The name in errors.
    pub location: String,
    pub file: VerifiedFile,
}

/// Downloads a file to the cache. A local file does not need the cache.
pub(super) fn download(
    ctx: &SourceContext<'_>,
    url: &Url,
    sha256: Option<Sha256>,
) -> Result<VerifiedFile, SourceError> {
    let progress = ctx.progress;
    let file = match (ctx.cache, url.local_path()) {
        (Some(cache), _) => ctx.http.download(url, sha256, cache, progress),
        (None, Some(_)) => crate::http::read_local(url, sha256, progress),
        (None, None) => {
            return Err(SourceError::NoCache {
                url: url.to_string(),
            });
        }
    };
    file.map_err(|error| match error {
        HttpError::Cache(error) => SourceError::Cache(error),
        error => SourceError::Http(error),
    })
}

/// Returns the name of a URL's file for metadata, without local paths.
pub(super) fn public_name(url: &Url) -> String {
    match url.local_path() {
        Some(_) => url.file_name(),
        None => url.to_string(),
    }
}
