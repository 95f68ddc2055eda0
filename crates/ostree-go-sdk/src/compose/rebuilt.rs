//! The source of a release whose programs are compiled with the SDK of another architecture.

use super::pins::required_hash;
use super::{Compose, ComposeError};
use crate::failpoint;
use crate::fs::context::IoContext;
use crate::fs::path::TreePath;
use crate::golang::h1::{H1, H1Builder};
use crate::golang::toolchain::{is_executable, module_entry, module_folder};
use crate::id::Sha256;
use crate::progress::{Event, Phase};
use crate::rebuild::{Program, ToolchainBuildError, ToolchainBuilder, tool_dir};
use crate::repo::{Repo, ScratchFolder};
use crate::source::open::open;
use crate::source::{Entry, Source};
use crate::treefile::{ArchTreefile, SourceSpec};
use sha2::Digest;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;

/// Unpacks the SDK of another architecture, and replaces its programs by those for `spec`. The source is
/// a directory that exists as long as the scratch folder.
///
/// The content of the other SDK is checked before any of it is executed, and that of the result when it
/// is read like any other source.
pub(super) fn rebuild(
    compose: &Compose,
    repo: &Repo,
    spec: &ArchTreefile,
    other: &ArchTreefile,
    source: Source,
    opened: &SourceSpec,
) -> Result<(Source, ScratchFolder), ComposeError> {
    let progress = compose.progress.as_ref();
    let official = required_hash(compose, other, opened)?;
    let scratch = repo.scratch_folder(progress)?;
    let goroot = scratch.path().join("go");
    let name = source.info.name.clone();
    let found = unpack(compose, source, other, &goroot)?;
    if let Some(official) = official.filter(|official| found != Some(official.h1)) {
        return Err(ComposeError::NotUpstream {
            source_name: name,
            found,
            official: Box::new(official),
        });
    }
    if let Some(expected) = other.pin.h1.filter(|expected| found != Some(*expected)) {
        return Err(ComposeError::H1Mismatch {
            source_name: name,
            found,
            expected,
        });
    }
    let version = &spec.go_version;
    let programs = Program::list(&goroot, version, other.arch)?;
    let builder = ToolchainBuilder {
        goroot: &goroot,
        arch: other.arch,
        version,
        scratch: scratch.path(),
        progress,
    };
    let item = spec.release_ref.as_str();
    let built = builder.build(&programs, spec.arch, item)?;
    replace(&goroot, &programs, spec, other, &built).map_err(ToolchainBuildError::from)?;
    failpoint::hit("compose.rebuilt");
    let http = compose.client()?;
    let context = compose.source_context(spec, &http);
    let directory = SourceSpec::Path(goroot);
    let mut source = open(&directory, &spec.pin, version, spec.arch, &context)?;
    source.info.name = format!("{name}, rebuilt for {}", spec.arch);
    Ok((source, scratch))
}

/// Replaces the programs of an SDK.
fn replace(
    goroot: &Path,
    programs: &[Program],
    spec: &ArchTreefile,
    other: &ArchTreefile,
    built: &Path,
) -> Result<(), crate::fs::context::IoFailure> {
    let (from, to) = (tool_dir(other.arch), tool_dir(spec.arch));
    let path = goroot.join(&to);
    fs::create_dir_all(&path).context("make directory", &path)?;
    for program in programs {
        let before = goroot.join(&program.path);
        fs::remove_file(&before).context("remove", &before)?;
        let after = match program.path.strip_prefix(&from) {
            Some(_) => path.join(&program.name),
            None => before,
        };
        fs::rename(built.join(&program.name), &after).context("move", &after)?;
    }
    let path = goroot.join(from);
    fs::remove_dir(&path).context("remove", path)
}

/// Unpacks a source into a directory that does not exist, and returns its `h1:` hash; `None` if it has
/// symbolic links.
fn unpack(
    compose: &Compose,
    source: Source,
    release: &ArchTreefile,
    goroot: &Path,
) -> Result<Option<H1>, ComposeError> {
    let folder = module_folder(&release.go_version, release.arch);
    let (item, total) = (release.release_ref.as_str(), source.estimated_bytes());
    let name = source.info.name.clone();
    let mut digests: BTreeMap<TreePath, Sha256> = BTreeMap::new();
    let (mut has_symlinks, mut done) = (false, 0_u64);
    let failed =
        |error: crate::fs::context::IoFailure| ComposeError::from(ToolchainBuildError::from(error));
    source.read(&compose.limits, &mut |entry| {
        if compose.progress.is_cancelled() {
            return Err(ComposeError::Cancelled);
        }
        let path = match &entry {
            Entry::File { path, .. }
            | Entry::Symlink { path, .. }
            | Entry::HardLink { path, .. } => path.clone(),
        };
        let place = goroot.join(path.as_str());
        let parent = place.parent().unwrap_or(goroot);
        let made = fs::create_dir_all(parent).context("make directory", parent);
        made.map_err(failed)?;
        match entry {
            Entry::File { size, content, .. } => {
                let sha256 = content.read(|input| {
                    write(&place, is_executable(&path), input).map_err(|source| {
                        ComposeError::Read {
                            path: path.clone(),
                            source_name: name.clone(),
                            source,
                        }
                    })
                })?;
                digests.insert(path, sha256);
                done += size;
                compose.progress.event(&Event::Advanced {
                    phase: Phase::Write,
                    item,
                    done,
                    total: total.map(|total| total.max(done)),
                });
            }
            Entry::Symlink { target, .. } => {
                has_symlinks = true;
                symlink(target, &place)
                    .context("make", &place)
                    .map_err(failed)?;
            }
            Entry::HardLink { target, .. } => {
                let from = goroot.join(target.as_str());
                let linked = fs::hard_link(&from, &place);
                linked.context("link", &place).map_err(failed)?;
                if let Some(sha256) = digests.get(&target) {
                    digests.insert(path, *sha256);
                }
            }
        }
        Ok(())
    })?;
    let phase = Phase::Write;
    compose.progress.event(&Event::Finished { phase, item });
    let mut h1 = H1Builder::new();
    for (path, sha256) in &digests {
        if let Some(name) = module_entry(&folder, path) {
            h1.add(&name, *sha256);
        }
    }
    Ok((!has_symlinks).then(|| h1.finish()))
}

/// Writes a new file, and returns the digest of its content.
fn write(path: &Path, executable: bool, input: &mut dyn Read) -> io::Result<Sha256> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if executable { 0o755 } else { 0o644 })
        .open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = input.read(&mut buffer)?;
        if read == 0 {
            return Ok(Sha256(hasher.finalize().into()));
        }
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read])?;
    }
}
