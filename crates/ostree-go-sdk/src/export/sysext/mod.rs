//! A systemd system extension: a directory or an image that `systemd-sysext` merges into `/usr`.
//!
//! According to systemd-sysext(8), and `extension_release_validate` of systemd's
//! `extension-util.c`, the file `extension-release.NAME` must have the extension's own name, its
//! `ID` and related keys must match the host's, and an extension with an `os-release` is rejected.
//! Only `/usr` and `/opt` are merged.
//!
//! `mksquashfs` reads a tar archive from a pipe, without a tree on disk. `mkfs.erofs` cannot read
//! archives before erofs-utils 1.7, so it gets a temporary tree next to the image.

mod error;
mod form;
mod os_release;
mod tree;

pub use error::SysextError;
pub use form::SysextForm;
pub use os_release::SysextHost;

use super::ExportError;
use super::release::release;
use super::std_cache::std_caches;
use crate::fs::context::IoContext;
use crate::fs::hidden::HiddenFolder;
use crate::fs::output::Seekable;
use crate::fs::path::TreePath;
use crate::fs::{atomic, digest, rename};
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, Sha256};
use crate::process::{self, ProcessError};
use crate::progress::{NoProgress, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use form::is_image_name;
use rustix::fs::CWD;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tree::{Parts, write_archive, write_directory};

/// Options of a system extension.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SysextOptions {
    form: Option<SysextForm>,
    also_named: Option<String>,
    host: SysextHost,
    leave_out_other: bool,
    std_caches: bool,
    progress: Arc<dyn Progress>,
}

impl Default for SysextOptions {
    fn default() -> Self {
        Self {
            form: None,
            also_named: None,
            host: SysextHost::Any,
            leave_out_other: false,
            std_caches: true,
            progress: Arc::new(NoProgress),
        }
    }
}

impl SysextOptions {
    setters! {
        /// Sets the form. Default: [by the name](SysextForm::of_name).
        form: Option<SysextForm>;
        /// Sets another name under which systemd accepts the extension, for a link with that name
        /// to a file with a version in its name. Default: only the name of the destination.
        also_named: Option<String>;
        /// Sets the host that the extension is for. Default: any.
        host: SysextHost;
        /// Leaves out files outside of `/usr` and `/opt`, which an extension cannot provide.
        /// Default: they are an error.
        leave_out_other: bool;
        /// Sets whether the extension has the std caches of its version and architecture, in
        /// `/usr/lib/sdk/stdcache`, and a script by which shells use them if `ostree-go` is installed.
        /// Default: yes, if the repository has them.
        std_caches: bool;
        /// Sets the receiver of progress. Default: none.
        progress;
    }
}

/// An exported system extension.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedSysext {
    /// The name, without `.raw`.
    pub name: String,
    /// The other name under which systemd accepts it.
    pub also_named: Option<String>,
    /// The form.
    pub form: SysextForm,
    /// The size of an image, or the total size of files in a directory, in bytes.
    pub bytes: u64,
    /// The digest of an image.
    pub sha256: Option<Sha256>,
    /// The number of files and symlinks, including the `extension-release`.
    pub files: u64,
    /// The keys in the `extension-release`.
    pub release: Vec<(&'static str, String)>,
    /// Files and symlinks of the release that were left out, sorted.
    pub left_out: Vec<TreePath>,
    /// The std caches in the extension, and their commits.
    pub std_caches: Vec<(StdCacheId, CommitId)>,
}

/// Exports a release or a channel as a system extension. An image replaces a file at `dest`; a
/// directory must not exist.
///
/// The name of `dest`, without the `.raw` of an image, is the name of the extension. The same
/// commit, host and name give the same bytes with the same version of the tool.
///
/// # Errors
/// Returns an error if the commit is not a release, has files outside of `/usr` and `/opt` or an
/// `os-release`, an object is damaged or missing, a tool is missing or fails, or the file system
/// fails. `dest` is unchanged then.
pub fn export_sysext(
    repo: &Repo,
    commit: CommitId,
    dest: &Path,
    options: &SysextOptions,
) -> Result<ExportedSysext, SysextError> {
    let info = release(repo, commit)?;
    let form = options.form.unwrap_or_else(|| SysextForm::of_name(dest));
    let name = extension_name(dest, form)?;
    let mut release = options.host.lines();
    if let Some(arch) = info.arch {
        release.push(("ARCHITECTURE", arch.systemd().to_owned()));
    }
    let lines = release
        .iter()
        .map(|(key, value)| format!("{key}={value}\n"));
    let also_named = options.also_named.clone();
    let also_named = also_named.filter(|other| *other != name);
    let is_invalid = |name: &&String| !is_extension_name(name) || is_image_name(Path::new(name));
    if let Some(found) = also_named.as_ref().filter(is_invalid) {
        return Err(SysextError::OtherName {
            found: found.clone(),
        });
    }
    let names: Vec<&String> = std::iter::once(&name).chain(&also_named).collect();
    let mut parts = Parts::read(
        repo,
        commit,
        &names,
        lines.collect(),
        options.leave_out_other,
    )?;
    let caches = match info.arch.filter(|_| options.std_caches) {
        Some(arch) => std_caches(repo, &info, arch)?,
        None => Vec::new(),
    };
    parts.add_std_caches(&caches);
    let job = Job {
        repo,
        commit,
        time: info.timestamp,
        parts: &parts,
        dest,
        progress: options.progress.as_ref(),
    };
    let (bytes, sha256) = match form {
        SysextForm::Directory => (job.directory()?, None),
        SysextForm::Squashfs => job.image(|image| job.squashfs(image))?,
        SysextForm::Erofs => job.image(|image| job.erofs(image))?,
    };
    Ok(ExportedSysext {
        name,
        also_named,
        form,
        bytes,
        sha256,
        files: parts.files(),
        release,
        left_out: parts.left_out,
        std_caches: caches
            .iter()
            .map(|cache| (cache.id, cache.commit))
            .collect(),
    })
}

/// Returns the name of the extension for systemd.
fn extension_name(dest: &Path, form: SysextForm) -> Result<String, SysextError> {
    let invalid = || SysextError::Name {
        path: dest.to_owned(),
        form,
    };
    if is_image_name(dest) == (form == SysextForm::Directory) {
        return Err(invalid());
    }
    let name = match form {
        SysextForm::Directory => dest.file_name(),
        _ => dest.file_stem(),
    };
    name.and_then(|name| name.to_str())
        .filter(|name| is_extension_name(name))
        .map(str::to_owned)
        .ok_or_else(invalid)
}

/// Returns whether systemd accepts a name. Valid path components satisfy its `image_name_is_valid`,
/// which also rejects the names of its own temporary files.
fn is_extension_name(name: &str) -> bool {
    !name.contains('/') && !name.starts_with(".#") && name.parse::<TreePath>().is_ok()
}

/// The parameters of an export.
struct Job<'a> {
    repo: &'a Repo,
    commit: CommitId,
    time: u64,
    parts: &'a Parts,
    dest: &'a Path,
    progress: &'a dyn Progress,
}

impl Job<'_> {
    /// Returns the parent folder of the destination, which must exist.
    fn folder(&self) -> Result<&Path, ExportError> {
        let folder = atomic::folder_of(self.dest);
        let found = folder.metadata().map(|_| folder);
        Ok(found.context("write", self.dest)?)
    }

    /// Writes the directory under a hidden name and renames it.
    fn directory(&self) -> Result<u64, SysextError> {
        if self.dest.symlink_metadata().is_ok() {
            return Err(self.exists());
        }
        let staging = self.staging()?;
        let bytes = self.tree(staging.path())?;
        File::open(staging.path())
            .and_then(|top| Ok(rustix::fs::syncfs(top.as_fd())?))
            .context("write", self.dest)?;
        match rename::to_free_name(CWD, staging.path(), self.dest) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(self.exists());
            }
            renamed => renamed,
        }
        .and_then(|()| atomic::sync_directory(self.dest.parent()))
        .context("write", self.dest)?;
        Ok(bytes)
    }

    /// Creates a hidden folder beside the destination.
    fn staging(&self) -> Result<HiddenFolder, ExportError> {
        self.folder()?;
        Ok(HiddenFolder::create(self.dest).context("write", self.dest)?)
    }

    fn exists(&self) -> SysextError {
        SysextError::Exists {
            path: self.dest.to_owned(),
        }
    }

    fn cancelled(&self) -> ExportError {
        ExportError::Cancelled {
            commit: self.commit,
        }
    }

    fn tree(&self, top: &Path) -> Result<u64, ExportError> {
        write_directory(
            self.repo,
            self.commit,
            self.parts,
            self.time,
            top,
            self.progress,
        )
    }

    /// Creates an image under a hidden name with a tool, and renames it.
    fn image(
        &self,
        make: impl FnOnce(&Path) -> Result<(), SysextError>,
    ) -> Result<(u64, Option<Sha256>), SysextError> {
        let folder = self.folder()?;
        let file = Seekable::create(self.dest, folder).context("write", self.dest)?;
        make(file.path())?;
        let mut image = File::open(file.path()).context("write", self.dest)?;
        let item = self.dest.to_string_lossy();
        let (hasher, bytes) = digest::hash(&mut image, &item, None, self.progress)
            .context("write", self.dest)?
            .ok_or_else(|| self.cancelled())?;
        image
            .sync_all()
            .and_then(|()| file.deliver(self.dest, self.progress))
            .context("write", self.dest)
            .map_err(|failure| {
                ExportError::from(failure).or_cancelled(self.commit, self.progress)
            })?;
        Ok((bytes, Some(digest::finish(hasher))))
    }

    fn squashfs(&self, image: &Path) -> Result<(), SysextError> {
        let time = self.seconds();
        let mut command = Command::new("mksquashfs");
        command
            .arg("-")
            .arg(image)
            .args([
                "-tar",
                "-noappend",
                "-quiet",
                "-no-progress",
                "-exit-on-error",
            ])
            .args([
                "-comp",
                "zstd",
                "-no-xattrs",
                "-all-root",
                "-root-mode",
                "755",
            ])
            .args(["-mkfs-time", &time, "-all-time", &time])
            // mksquashfs rejects the variable in addition to the option.
            .env_remove("SOURCE_DATE_EPOCH");
        let fed = process::run_with_writer("mksquashfs", &mut command, |out| {
            write_archive(
                self.repo,
                self.commit,
                self.parts,
                self.time,
                out,
                self.progress,
            )
        });
        Ok(fed.map_err(|error| self.tool("mksquashfs", "squashfs-tools", error))??)
    }

    fn erofs(&self, image: &Path) -> Result<(), SysextError> {
        let staging = self.staging()?;
        self.tree(staging.path())?;
        let mut command = Command::new("mkfs.erofs");
        command
            // `--all-root`, and neither the tree's own times nor the xattrs that a security module adds
            // to its files.
            .args(["-zlz4hc", "--all-root", "-x-1"])
            .arg(format!("-T{}", self.seconds()))
            .arg(format!("-U{}", uuid(self.commit)))
            .args([image, staging.path()])
            .env_remove("SOURCE_DATE_EPOCH");
        process::run_in_c("mkfs.erofs", &mut command)
            .map(drop)
            .map_err(|error| self.tool("mkfs.erofs", "erofs-utils", error))
    }

    /// Returns the commit's time for images: squashfs stores 32 bits.
    fn seconds(&self) -> String {
        u32::try_from(self.time).unwrap_or(u32::MAX).to_string()
    }

    fn tool(&self, tool: &'static str, package: &'static str, error: ProcessError) -> SysextError {
        match error {
            // Ctrl-C signals all programs of the terminal.
            _ if self.progress.is_cancelled() => self.cancelled().into(),
            ProcessError::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                SysextError::MissingTool {
                    tool,
                    package,
                    source,
                }
            }
            source => SysextError::Tool {
                path: self.dest.to_owned(),
                source,
            },
        }
    }
}

/// Returns the UUID of an image: the commit's checksum as version 8 of RFC 9562.
fn uuid(commit: CommitId) -> String {
    let mut hex = commit.to_string().into_bytes();
    hex.truncate(32);
    hex[12] = b'8';
    hex[16] = b'8';
    let hex = String::from_utf8_lossy(&hex);
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_extension_is_that_of_its_file() {
        use SysextForm::{Directory, Erofs, Squashfs};
        let name = |dest: &str, form| extension_name(Path::new(dest), form).ok();
        assert_eq!(name("a/go-1.26.raw", Squashfs).as_deref(), Some("go-1.26"));
        assert_eq!(name("go-1.26", Directory).as_deref(), Some("go-1.26"));
        for (dest, form) in [
            ("go.raw", Directory),
            ("go", Erofs),
            ("go.img", Squashfs),
            ("..", Directory),
            ("/", Directory),
            ("a/.#go.raw", Erofs),
        ] {
            assert_eq!(name(dest, form), None, "{dest}");
        }
    }

    #[test]
    fn the_uuid_depends_on_the_commit() {
        assert_eq!(
            uuid([0xab; 32].into()),
            "abababab-abab-8bab-8bab-abababababab"
        );
    }
}
