//! The unchanged content of modules: their zips in the module cache, or the extracted modules beside them.

use super::drift::DriftKind;
use super::error::WorkspaceError;
use super::modules::{Target, UsedModule};
use super::replacement;
use super::sums::Sums;
use super::tree::{self, Cores, Tree};
use crate::fs::context::IoContext;
use crate::golang::module_path::{escape_path, escape_version};
use crate::id::Sha256;
use crate::module_zip::ModuleZip;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// The largest file that is read for its build constraints, in bytes.
const MAX_SOURCE: u64 = 16 << 20;

/// The content of a module.
#[derive(Debug)]
pub(super) struct ModuleSource {
    /// The digests of its files, by their paths in the module.
    pub(super) files: BTreeMap<String, Sha256>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Zip { path: PathBuf, prefix: String },
    Folder(PathBuf),
}

/// The result of looking for the content of a module.
#[derive(Debug)]
pub(super) enum Found {
    /// The content, which is the one that `go.sum` names.
    Source(ModuleSource),
    /// A zip or a folder has another content than `go.sum` names.
    Changed {
        what: DriftKind,
        path: PathBuf,
        expected: Option<String>,
        found: String,
    },
    /// The module cache does not have the module.
    Missing,
    /// `go.sum` has no hash of the module.
    NoSum,
}

/// The paths of a module in the module cache.
pub(super) struct Cached {
    pub(super) zip: PathBuf,
    pub(super) folder: PathBuf,
}

impl Cached {
    /// Returns the paths; `None` if the name of the module is not valid. Source: `CachePath` and `DownloadDir` in
    /// `src/cmd/go/internal/modfetch/cache.go`.
    pub(super) fn new(cache: &Path, path: &str, version: &str) -> Option<Self> {
        let (path, version) = (escape_path(path)?, escape_version(version)?);
        let downloads = cache.join("cache/download").join(&path);
        Some(Self {
            zip: downloads.join(format!("@v/{version}.zip")),
            folder: cache.join(format!("{path}@{version}")),
        })
    }

    pub(super) fn exists(&self) -> bool {
        self.zip.is_file() || self.folder.is_dir()
    }
}

/// Looks for the content of a module.
pub(super) fn find(
    cache: Option<&Path>,
    sums: &Sums,
    module: &UsedModule,
) -> Result<Found, WorkspaceError> {
    if let Some(Target::Directory(directory)) = &module.target {
        if !directory.is_dir() {
            return Ok(Found::Missing);
        }
        let files = replacement::files(directory)?.files;
        let place = Place::Folder(directory.clone());
        return Ok(Found::Source(ModuleSource { files, place }));
    }
    let Some((path, version)) = module.in_go_sum() else {
        return Ok(Found::Missing);
    };
    let Some(expected) = sums.h1(path, version) else {
        return Ok(Found::NoSum);
    };
    let Some(cached) = cache.and_then(|cache| Cached::new(cache, path, version)) else {
        return Ok(Found::Missing);
    };
    let prefix = format!("{path}@{version}/");
    if cached.zip.is_file() {
        let place = Place::Zip {
            path: cached.zip.clone(),
            prefix,
        };
        let (files, found) = match ModuleZip::open(&cached.zip, path, version) {
            Ok(zip) => (zip.files().clone(), zip.h1().to_string()),
            Err(error) => (BTreeMap::new(), error.to_string()),
        };
        return Ok(match sums.allows(path, version, &found) {
            true => Found::Source(ModuleSource { files, place }),
            false => Found::Changed {
                what: DriftKind::ModuleZipChanged,
                path: cached.zip,
                expected: Some(expected),
                found,
            },
        });
    }
    if !cached.folder.is_dir() {
        return Ok(Found::Missing);
    }
    let (files, found) = folder(&cached.folder, &prefix)?;
    let place = Place::Folder(cached.folder.clone());
    Ok(match sums.allows(path, version, &found) {
        true => Found::Source(ModuleSource { files, place }),
        false => Found::Changed {
            what: DriftKind::ModuleCacheChanged,
            path: cached.folder,
            expected: Some(expected),
            found,
        },
    })
}

/// Returns the files of an extracted module, and their hash. Source: `HashDir` in `golang.org/x/mod/sumdb/dirhash`.
pub(super) fn folder(
    path: &Path,
    prefix: &str,
) -> Result<(BTreeMap<String, Sha256>, String), WorkspaceError> {
    let files = Tree::read(path, &|_| true, Cores::One)?.files;
    let h1 = tree::h1(prefix, &files).to_string();
    Ok((files, h1))
}

impl ModuleSource {
    /// Reads a file of the module.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, WorkspaceError> {
        let mut bytes = Vec::new();
        match &self.place {
            Place::Folder(folder) => {
                let path = folder.join(name);
                let file = File::open(&path).context("open", &path)?;
                file.take(MAX_SOURCE)
                    .read_to_end(&mut bytes)
                    .context("read", path)?;
            }
            Place::Zip { path, prefix } => {
                let file = File::open(path).context("open", path)?;
                let archive = ZipArchive::new(io::BufReader::new(file));
                let mut archive = archive.map_err(io::Error::other).context("read", path)?;
                let entry = archive.by_name(&format!("{prefix}{name}"));
                let entry = entry.map_err(io::Error::other).context("read", path)?;
                entry
                    .take(MAX_SOURCE)
                    .read_to_end(&mut bytes)
                    .context("read", path)?;
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_cache_has_escaped_names() {
        let cached = Cached::new(Path::new("/m"), "github.com/Azure/sdk", "v1.0.0-Rc1").unwrap();
        let zip = "/m/cache/download/github.com/!azure/sdk/@v/v1.0.0-!rc1.zip";
        assert_eq!(cached.zip, Path::new(zip));
        assert_eq!(
            cached.folder,
            Path::new("/m/github.com/!azure/sdk@v1.0.0-!rc1")
        );
        assert!(Cached::new(Path::new("/m"), "../x", "v1.0.0").is_none());
    }
}
