//! Module proxies: which one is asked, and the zips that they have.

use super::SourceError;
use super::download::{Found, SourceContext, download, public_name};
use crate::golang::module_path::escape;
use crate::golang::proxy::{self, ProxyTarget};
use crate::http::url::Url;
use crate::id::Sha256;
use crate::kind::ErrorKind;

/// Calls `open` with the proxies of a list in the syntax of `GOPROXY`, in the order and under the
/// conditions of the go command, until one of them has the module. `module` is its name in errors.
pub(super) fn first<T>(
    module: &str,
    list: Option<&str>,
    mut open: impl FnMut(&str) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let no_proxy = || SourceError::NoProxy {
        module: module.to_owned(),
    };
    let list = list.ok_or_else(no_proxy)?;
    let mut worst: Option<SourceError> = None;
    for entry in proxy::parse_list(list)? {
        let off = |list| SourceError::ProxyOff {
            module: module.to_owned(),
            list,
        };
        let (error, is_missing) = match entry.target {
            ProxyTarget::Off => (off("off"), true),
            ProxyTarget::Direct => (off("direct"), true),
            ProxyTarget::Proxy(base) => match open(&base) {
                Ok(opened) => return Ok(opened),
                Err(error) => {
                    let is_missing = error.kind() == ErrorKind::NotFound;
                    (error, is_missing)
                }
            },
        };
        let is_final = error.kind() == ErrorKind::Cancelled || !(is_missing || entry.on_any_error);
        // Like the go command, prefer the error of a proxy that failed to one without the module.
        if worst.is_none() || !is_missing {
            worst = Some(error);
        }
        if is_final {
            break;
        }
    }
    Err(worst.unwrap_or_else(no_proxy))
}

/// Downloads the zip of a module's path and version from one proxy, or takes it from the cache. The
/// digest is checked if there is one.
///
/// Source of the path: `go help goproxy`.
pub(super) fn zip(
    ctx: &SourceContext<'_>,
    base: &str,
    (path, version): (&str, &str),
    sha256: Option<Sha256>,
) -> Result<Found, SourceError> {
    let (path, version) = (escape(path), escape(version));
    let url = Url::parse(base)?.join(&format!("{path}/@v/{version}.zip"))?;
    // The content of a module's version never changes.
    let cached = match ctx.cache {
        Some(cache) => cache.get_by_url(&url.key(), ctx.progress)?,
        None => None,
    };
    let is_new = cached.is_none();
    let file = match cached {
        Some(file) => file,
        None => download(ctx, &url, sha256)?,
    };
    if let (true, None, Some(cache)) = (is_new, url.local_path(), ctx.cache) {
        cache.record_url(&url.key(), file.sha256, file.size)?;
    }
    Ok(Found {
        name: public_name(&url),
        location: url.to_string(),
        file,
    })
}
