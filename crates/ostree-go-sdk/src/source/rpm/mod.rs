//! A distribution's RPMs: `golang`, `golang-bin`, `golang-src`.
//!
//! The SDK is everything below the GOROOT of all of them together. The reader is our own because
//! lengths in headers are untrusted, and because only the headers may be held in memory.

mod cpio;
#[cfg(feature = "fuzzing")]
pub mod fuzz;
mod goroot;
mod header;
mod open;
mod payload;
mod problem;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};

use cpio::Cpio;
use goroot::{Goroot, Kind, Listed};
use payload::{Compression, Raw};
pub use problem::RpmProblem;
use sha2::Digest;

use super::content::read_whole;
use super::tree::Tree;
use super::{Entry, EntryProblem, FileContent, Limits, SourceError, Visit};
use crate::fs::digest;
use crate::fs::path::{PathProblem, TreePath};
use crate::id::Sha256;

/// The file type of a Unix mode.
const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// Maximum length of a symlink's target (Linux's `PATH_MAX`).
const LINK_TARGET: u64 = 4096;

/// Maximum length of the padding after the last entry, in bytes.
const END: u64 = 1 << 20;

/// An RPM whose headers have been checked.
#[derive(Debug)]
pub struct Package {
    location: String,
    file: File,
    sha256: Sha256,
    size: u64,
    /// The size of all files according to the header.
    unpacked: Option<u64>,
    /// Version and release: `1.26.5-1.fc44`.
    version: String,
    listed: Listed,
    /// Offset of the payload, its compression, and its SHA-256 in hexadecimal.
    payload: u64,
    compression: Compression,
    digest: String,
}

/// The RPMs of one SDK.
#[derive(Debug)]
pub struct Packages {
    packages: Vec<Package>,
    goroot: Goroot,
    /// Paths in the SDK that more than one RPM contains.
    shared: HashSet<String>,
}

impl Packages {
    /// Finds the SDK in the packages.
    fn new(packages: Vec<Package>) -> Result<Self, SourceError> {
        let lists: Vec<(&str, &Listed)> = packages
            .iter()
            .map(|package| (package.location.as_str(), &package.listed))
            .collect();
        let goroot = Goroot::find(&lists)?;
        let (mut all, mut shared) = (HashSet::new(), HashSet::new());
        let mut first: Option<&Package> = None;
        for package in &packages {
            let mut belongs = false;
            for path in package.listed.keys() {
                let Some(path) = goroot.sdk_path(path) else {
                    continue;
                };
                belongs = true;
                if !all.insert(path.clone()) {
                    shared.insert(path);
                }
            }
            let of = *first.get_or_insert(package);
            if belongs && package.version != of.version {
                return Err(package.refuse(RpmProblem::Version {
                    found: package.version.clone(),
                    other: of.location.clone(),
                    expected: of.version.clone(),
                }));
            }
        }
        Ok(Self {
            packages,
            goroot,
            shared,
        })
    }

    /// Returns the size of all files of all packages according to their headers.
    pub fn estimated_bytes(&self) -> Option<u64> {
        let sizes = self.packages.iter().map(|package| package.unpacked);
        sizes.reduce(|a, b| a?.checked_add(b?)).flatten()
    }

    /// Returns the digests of the files.
    pub fn sha256(&self) -> Vec<Sha256> {
        self.packages.iter().map(|package| package.sha256).collect()
    }
}

impl Package {
    fn refuse(&self, problem: RpmProblem) -> SourceError {
        SourceError::Rpm {
            location: self.location.clone(),
            problem: Box::new(problem),
        }
    }
}

/// Reads the payloads, one after the other.
pub fn read<E: From<SourceError>>(
    packages: &Packages,
    limits: &Limits,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    let mut reader = Reader {
        goroot: &packages.goroot,
        tree: Tree::new("", *limits, "").without_top(),
        shared: packages
            .shared
            .iter()
            .map(|path| (path.as_str(), None))
            .collect(),
        visit,
    };
    for package in &packages.packages {
        reader.tree.location = &package.location;
        let mut raw = Raw::new(&package.file, package.payload);
        let walked = reader.package(package, &mut raw);
        let failure = match walked {
            Ok(()) => None,
            Err(VisitError::Visit(error)) => return Err(error),
            Err(VisitError::Source(error)) => Some(error),
        };
        // Damage causes various errors; only the digest identifies it as damage.
        let found = raw
            .digest()
            .map_err(|e| SourceError::of_read(&package.location, None, e))?;
        if !package.digest.eq_ignore_ascii_case(&found.to_string()) {
            let expected = package.digest.clone();
            return Err(package
                .refuse(RpmProblem::PayloadDigest { expected, found })
                .into());
        }
        if let Some(error) = failure {
            return Err(error.into());
        }
    }
    Ok(())
}

/// An error of the visitor or of the source.
enum VisitError<E> {
    Visit(E),
    Source(SourceError),
}

impl<E> From<SourceError> for VisitError<E> {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

struct Reader<'p, 'v, E> {
    goroot: &'p Goroot,
    tree: Tree<'p>,
    /// The first content of each path that several RPMs contain, and the RPM's location.
    shared: HashMap<&'p str, Option<(EntryContent, &'p str)>>,
    visit: Visit<'v, E>,
}

#[derive(PartialEq, Eq)]
enum EntryContent {
    File(Sha256),
    Link(String),
}

/// A path in the SDK, and its name in errors.
struct Name {
    shown: String,
    inside: String,
}

/// The names of a file with several hard links.
#[derive(Default)]
struct Names {
    seen: u32,
    waiting: Vec<Name>,
    /// The name that got the content, or `None` if no name is in the SDK.
    content: Option<Option<Name>>,
}

impl<'p, E: From<SourceError>> Reader<'p, '_, E> {
    fn package(&mut self, package: &'p Package, raw: &mut Raw<'_>) -> Result<(), VisitError<E>> {
        let mut last: Option<String> = None;
        let failed =
            |last: Option<&str>, error| SourceError::of_read(&package.location, last, error);
        let decoder = package.compression.decoded(raw);
        let mut cpio = Cpio::new(decoder.map_err(|e| failed(None, e))?);
        let mut seen: HashSet<String> = HashSet::new();
        let mut several: HashMap<[u32; 3], Names> = HashMap::new();
        let mut total = 0;
        while let Some(entry) = cpio.next().map_err(|e| failed(last.as_deref(), e))? {
            let name = entry.name.strip_prefix(b".").unwrap_or(&entry.name);
            let name = name.strip_prefix(b"/").unwrap_or(name);
            let shown = format!("/{}", String::from_utf8_lossy(name));
            let refuse = |tree: &Tree<'_>, problem| tree.refuse(&shown, problem);
            let name = self.inside(package, name, entry.mode, &mut seen)?;
            let mut content = cpio.content();
            if name.is_none() {
                let counted = self.tree.count_other();
                counted.map_err(|p| refuse(&self.tree, p))?;
            }
            match (name, entry.mode & S_IFMT) {
                (name, S_IFREG) if entry.links > 1 => {
                    let names = several.entry(entry.file).or_default();
                    names.seen += 1;
                    names.waiting.extend(name);
                    let is_due = entry.size > 0 || names.seen == entry.links;
                    if names.content.is_none() && is_due {
                        let mut waiting = std::mem::take(&mut names.waiting).into_iter();
                        let first = waiting.next();
                        if let Some(first) = &first {
                            self.file(package, first, entry.size, &mut content)?;
                        }
                        names.waiting = waiting.collect();
                        names.content = Some(first);
                    }
                    if let Some(content) = &names.content {
                        for name in names.waiting.drain(..) {
                            self.hard_link(&name, content.as_ref())?;
                        }
                    }
                }
                (Some(name), S_IFREG) => self.file(package, &name, entry.size, &mut content)?,
                (Some(name), S_IFLNK) => {
                    let mut target = Vec::new();
                    content
                        .take(LINK_TARGET + 1)
                        .read_to_end(&mut target)
                        .map_err(|e| failed(Some(&shown), e))?;
                    self.symlink(package, &name, &target)?;
                }
                (Some(_), _) => return Err(refuse(&self.tree, EntryProblem::Special).into()),
                (None, _) => {}
            }
            // Including files outside the SDK, a package may be twice as large as an SDK.
            total += entry.size;
            let limit = self.tree.limits.bytes.saturating_mul(2);
            if total > limit {
                return Err(refuse(&self.tree, EntryProblem::TooLarge { limit }).into());
            }
            last = Some(shown);
        }
        if several.values().any(|names| names.content.is_none()) {
            let error = io::Error::new(
                io::ErrorKind::InvalidData,
                "a file with several names has no content",
            );
            return Err(failed(last.as_deref(), error).into());
        }
        for path in package.listed.keys() {
            if self.goroot.sdk_path(path).is_some() && !seen.contains(path) {
                return Err(unlisted(package, path, false).into());
            }
        }
        let mut rest = cpio.into_inner().take(END + 1);
        let rest = io::copy(&mut rest, &mut io::sink()).map_err(|e| failed(last.as_deref(), e))?;
        if rest > END {
            let location = package.location.clone();
            return Err(SourceError::TrailingGarbage {
                location,
                entry: last,
            }
            .into());
        }
        Ok(())
    }

    /// Returns the name in the SDK of an entry that is not a folder, if the header lists it.
    fn inside(
        &self,
        package: &Package,
        name: &[u8],
        mode: u32,
        seen: &mut HashSet<String>,
    ) -> Result<Option<Name>, SourceError> {
        let shown = format!("/{}", String::from_utf8_lossy(name));
        let kind = mode & S_IFMT;
        let Some(inside) = self.goroot.sdk_path(&shown[1..]) else {
            return Ok(None);
        };
        if kind == S_IFDIR {
            return Ok(None);
        }
        let Ok(path) = std::str::from_utf8(name) else {
            let problem = EntryProblem::Path(PathProblem::Characters);
            return Err(self.tree.refuse(&shown, problem));
        };
        match (package.listed.get(path), kind) {
            (Some(Kind::Link(_)), S_IFLNK) => {}
            (Some(Kind::File), kind) if kind != S_IFLNK => {}
            _ => return Err(unlisted(package, path, true)),
        }
        if kind == S_IFREG && mode & 0o7000 != 0 {
            let mode = mode & 0o7777;
            return Err(self.tree.refuse(&shown, EntryProblem::Mode { mode }));
        }
        if !seen.insert(path.to_owned()) {
            return Err(self.tree.refuse(&shown, EntryProblem::Duplicate));
        }
        Ok(Some(Name { shown, inside }))
    }

    fn file(
        &mut self,
        package: &'p Package,
        name: &Name,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), VisitError<E>> {
        let names = (package.location.as_str(), name.shown.as_str());
        let known = self.shared.get(name.inside.as_str());
        let is_shared = known.is_some();
        if let Some(Some(_)) = known {
            let mut hashing = Hashing::new(content);
            read_whole(names, size, &mut hashing, |_| Ok::<_, SourceError>(()))?;
            return Ok(self.check_same(package, name, EntryContent::File(hashing.finish()))?);
        }
        let path = self.tree.file(name.inside.as_bytes(), size);
        let path = path.map_err(|p| self.tree.refuse(&name.shown, p))?;
        let mut hashing = Hashing::new(content);
        let content: &mut dyn Read = if is_shared {
            &mut hashing
        } else {
            hashing.inner
        };
        read_whole(names, size, content, |content| {
            let content = FileContent::Stream(content);
            (self.visit)(Entry::File {
                path,
                size,
                content,
            })
            .map_err(VisitError::Visit)
        })?;
        if is_shared {
            let content = EntryContent::File(hashing.finish());
            self.remember(package, name, content);
        }
        Ok(())
    }

    fn hard_link(&mut self, name: &Name, content: Option<&Name>) -> Result<(), VisitError<E>> {
        let target = content.map_or("", |content| &content.inside);
        // If several RPMs contain the target, it is ambiguous.
        let linked = if self.shared.contains_key(name.inside.as_str()) {
            Err(EntryProblem::Duplicate)
        } else {
            let (name, target) = (name.inside.as_bytes(), target.as_bytes());
            self.tree.hard_link(name, target)
        };
        let (path, target) = linked.map_err(|p| self.tree.refuse(&name.shown, p))?;
        (self.visit)(Entry::HardLink { path, target }).map_err(VisitError::Visit)
    }

    fn symlink(
        &mut self,
        package: &'p Package,
        name: &Name,
        target: &[u8],
    ) -> Result<(), VisitError<E>> {
        let path = &name.shown[1..];
        let target = String::from_utf8_lossy(target).into_owned();
        if package.listed.get(path) != Some(&Kind::Link(target.clone())) {
            return Err(unlisted(package, path, true).into());
        }
        if self.goroot.is_grafted(&name.inside) {
            return Ok(());
        }
        let Some(inside) = self.goroot.target(path, &target) else {
            let problem = EntryProblem::LinkLeaves { target };
            return Err(self.tree.refuse(&name.shown, problem).into());
        };
        if let Some(Some(_)) = self.shared.get(name.inside.as_str()) {
            return Ok(self.check_same(package, name, EntryContent::Link(inside))?);
        }
        let link = self.tree.symlink(name.inside.as_bytes(), inside.as_bytes());
        let (path, target): (TreePath, String) =
            link.map_err(|p| self.tree.refuse(&name.shown, p))?;
        self.remember(package, name, EntryContent::Link(target.clone()));
        (self.visit)(Entry::Symlink { path, target }).map_err(VisitError::Visit)
    }

    fn remember(&mut self, package: &'p Package, name: &Name, content: EntryContent) {
        if let Some(slot) = self.shared.get_mut(name.inside.as_str()) {
            *slot = Some((content, &package.location));
        }
    }

    /// Checks that a path of another RPM has the same content in this one.
    fn check_same(
        &self,
        package: &Package,
        name: &Name,
        content: EntryContent,
    ) -> Result<(), SourceError> {
        match self.shared.get(name.inside.as_str()) {
            Some(Some((before, other))) if *before != content => {
                Err(package.refuse(RpmProblem::Content {
                    path: name.shown.clone(),
                    other: (*other).to_owned(),
                }))
            }
            _ => Ok(()),
        }
    }
}

fn unlisted(package: &Package, path: &str, in_payload: bool) -> SourceError {
    package.refuse(RpmProblem::Unlisted {
        path: format!("/{path}"),
        in_payload,
    })
}

/// Computes the digest of the bytes read.
struct Hashing<'a> {
    inner: &'a mut dyn Read,
    hasher: sha2::Sha256,
}

impl<'a> Hashing<'a> {
    fn new(inner: &'a mut dyn Read) -> Self {
        Self {
            inner,
            hasher: sha2::Sha256::new(),
        }
    }

    fn finish(self) -> Sha256 {
        digest::finish(self.hasher)
    }
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
