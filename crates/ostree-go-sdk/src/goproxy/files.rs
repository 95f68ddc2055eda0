//! The files of versions: `.info`, `.mod` and `.zip`, from the cache or from an upstream proxy.
//!
//! Nothing is served before it is verified. A file of the cache is verified each time it is served: `go.mod` files and
//! zip files by their hashes, which come from the checksum database or from a signed statement.

use super::alert::AlertKind;
use super::answer::{Answer, Block, Failure, Found, Refusal, with_causes};
use super::info::Info;
use super::metrics::Metric;
use super::request::{ModuleFile, Request};
use super::service::{Outcome, Service, cache_failure};
use super::statement::{self, EXTENSION, MAX_STATEMENT};
use super::sums::{Origin, Sums};
use super::tree::{Tree, relative};
use crate::fs::digest;
use crate::golang::h1::H1;
use crate::golang::module_id::ModuleId;
use crate::id::Sha256;
use crate::kind::ErrorKind;
use crate::module_zip::{ModuleZip, hash_go_mod};
use crate::progress::NoProgress;
use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;
use std::sync::Arc;

/// The largest `.info` file in bytes.
pub(super) const MAX_INFO: u64 = 64 << 10;
/// The largest `go.mod` file in bytes. Source: `MaxGoMod` in `golang.org/x/mod/zip`.
const MAX_MOD: u64 = 16 << 20;
/// The largest zip file in bytes. Source: `MaxZipFile` in `golang.org/x/mod/zip`.
const MAX_ZIP: u64 = 500 << 20;

impl Service {
    /// Answers a request for a file of a version if nothing has to be fetched from an upstream proxy.
    pub fn file_at_hand(&self, id: &ModuleId, file: ModuleFile) -> Option<Answer> {
        let outcome = self.try_at_hand(id, file).transpose()?;
        Some(self.answer(&request(id, file), outcome))
    }

    /// Answers a request for a file of a version.
    pub fn file(&self, id: &ModuleId, file: ModuleFile) -> Answer {
        self.answer(&request(id, file), self.try_file(id, file))
    }

    fn try_at_hand(&self, id: &ModuleId, file: ModuleFile) -> Result<Option<Found>, Failure> {
        self.check_version(id)?;
        if let Some(toolchains) = self.toolchains_of(id.path()) {
            return super::builtin::file(toolchains, id, file).map(Some);
        }
        if self.policy.minimum_age(id.path()).is_some() {
            match self.cached_info(id)? {
                Some((info, _)) => self.check_time(id, info.time)?,
                None => return Ok(None),
            }
        }
        self.cached(id, file)
    }

    fn try_file(&self, id: &ModuleId, file: ModuleFile) -> Outcome {
        self.check_version(id)?;
        self.check_age(id)?;
        // Another request may have fetched it in the meantime.
        if let Some(found) = self.cached(id, file)? {
            return Ok(found);
        }
        self.metrics.add(Metric::CacheMisses, 1);
        match file {
            ModuleFile::Info => self.fetch_info(id).map(|(_, bytes)| Found::json(bytes)),
            ModuleFile::Mod => self.fetch_mod(id),
            ModuleFile::Zip => self.fetch_zip(id),
        }
    }

    /// Returns an error if a version is too young, which its `.info` says.
    pub fn check_age(&self, id: &ModuleId) -> Result<(), Failure> {
        if self.policy.minimum_age(id.path()).is_none() {
            return Ok(());
        }
        let (info, _) = match self.cached_info(id)? {
            Some(cached) => cached,
            None => self.fetch_info(id)?,
        };
        self.check_time(id, info.time)
    }

    /// Returns a file of the cache, if it is there and has not been changed.
    fn cached(&self, id: &ModuleId, file: ModuleFile) -> Result<Option<Found>, Failure> {
        let found = match file {
            ModuleFile::Info => self.cached_info(id)?.map(|(_, bytes)| Found::json(bytes)),
            ModuleFile::Mod => self.cached_mod(id)?,
            ModuleFile::Zip => self.cached_zip(id)?,
        };
        if found.is_some() {
            self.metrics.add(Metric::CacheHits, 1);
        }
        Ok(found)
    }

    fn cached_info(&self, id: &ModuleId) -> Result<Option<(Info, Vec<u8>)>, Failure> {
        let path = self.tree.path(id, "info");
        let read = Tree::read(&path, MAX_INFO).map_err(cache_failure("read", &path))?;
        let Some(bytes) = read else {
            return Ok(None);
        };
        match Info::parse(&bytes).filter(|info| info.version == id.version()) {
            Some(info) => Ok(Some((info, bytes))),
            None => {
                let problem = "it does not name the version".to_owned();
                self.changed(id, ModuleFile::Info, &path, problem, None)?;
                Ok(None)
            }
        }
    }

    fn fetch_info(&self, id: &ModuleId) -> Result<(Info, Vec<u8>), Failure> {
        let path = relative(id, "info");
        let bytes = self.fetch_bytes(id.path(), &path, MAX_INFO)?;
        let info = Info::parse(&bytes).ok_or_else(|| not_json(&path))?;
        if info.version != id.version() {
            let found = info.version.escape_debug().to_string();
            let message = format!(
                "the .info of {id} names the version `{found}`, expected {}",
                id.version()
            );
            return Err(Block::new(AlertKind::WrongVersion, message).into());
        }
        let path = self.tree.path(id, "info");
        Tree::store(&path, &bytes)
            .and_then(|()| self.tree.add_to_list(id))
            .map_err(cache_failure("write", &path))?;
        Ok((info, bytes))
    }

    fn cached_mod(&self, id: &ModuleId) -> Result<Option<Found>, Failure> {
        let path = self.tree.path(id, "mod");
        let read = Tree::read(&path, MAX_MOD).map_err(cache_failure("read", &path))?;
        let Some(bytes) = read else {
            return Ok(None);
        };
        let expected = self.sum_of(id, ModuleFile::Mod)?.1;
        let found = hash_go_mod(&bytes);
        if found == expected {
            return Ok(Some(Found::text(bytes)));
        }
        let hashes = Some((found, expected));
        self.changed(
            id,
            ModuleFile::Mod,
            &path,
            "its hash differs".to_owned(),
            hashes,
        )?;
        Ok(None)
    }

    fn fetch_mod(&self, id: &ModuleId) -> Outcome {
        let path = relative(id, "mod");
        let bytes = self.fetch_bytes(id.path(), &path, MAX_MOD)?;
        let (origin, expected) = self.sum_of(id, ModuleFile::Mod)?;
        compare(id, ModuleFile::Mod, origin, hash_go_mod(&bytes), expected)?;
        let path = self.tree.path(id, "mod");
        Tree::store(&path, &bytes).map_err(cache_failure("write", &path))?;
        Ok(Found::text(bytes))
    }

    fn cached_zip(&self, id: &ModuleId) -> Result<Option<Found>, Failure> {
        let path = self.tree.path(id, "zip");
        let opened = Tree::open(&path).map_err(cache_failure("read", &path))?;
        let Some((file, size)) = opened else {
            return Ok(None);
        };
        let expected = self.sum_of(id, ModuleFile::Zip)?.1;
        let sha256 = sha256(&file).map_err(cache_failure("read", &path))?;
        // The digest of the whole file is computed much faster than the hash of the content.
        let known = (self.known.zip(&path) == Some((sha256, expected))).then_some(expected);
        let (problem, hashes) = match known.map_or_else(|| hash(&file, id), Ok) {
            Ok(found) if found == expected => {
                self.known.add_zip(&path, (sha256, expected));
                return Ok(Some(Found::zip(Arc::new(file), size)));
            }
            Ok(found) => ("its hash differs".to_owned(), Some((found, expected))),
            Err(problem) => (problem, None),
        };
        self.changed(id, ModuleFile::Zip, &path, problem, hashes)?;
        Ok(None)
    }

    fn fetch_zip(&self, id: &ModuleId) -> Outcome {
        let name = relative(id, "zip");
        let fetched = self.fetch(id.path(), &name, MAX_ZIP);
        let fetched = fetched.map_err(|error| Refusal::upstream(&error))?;
        let (origin, expected) = self.sum_of(id, ModuleFile::Zip)?;
        let path = self.tree.path(id, "zip");
        let failed = || cache_failure("write", &path);
        let mut pending = Tree::begin(&path).map_err(failed())?;
        let size = fetched.copy_to(&mut pending.file).map_err(failed())?;
        // What is sent is what was verified, whatever happens to the file in the cache.
        let file = File::open(pending.temporary()).map_err(failed())?;
        let found = hash(&file, id).map_err(|problem| {
            let message = format!("the zip file of {id} is refused: {problem}");
            Block::new(AlertKind::InvalidZip, message)
        })?;
        compare(id, ModuleFile::Zip, origin, found, expected)?;
        let sha256 = sha256(&file).map_err(failed())?;
        Tree::finish(pending).map_err(failed())?;
        self.known.add_zip(&path, (sha256, expected));
        // A client that uses the cache as its proxy needs this file as well. It is no reason to refuse the zip file.
        if matches!(self.cached_info(id), Ok(None)) {
            let _ = self.fetch_info(id);
        }
        Ok(Found::zip(Arc::new(file), size))
    }

    /// Reports that a file of the cache has been changed, and removes it.
    fn changed(
        &self,
        id: &ModuleId,
        file: ModuleFile,
        path: &Path,
        problem: String,
        hashes: Option<(H1, H1)>,
    ) -> Result<(), Failure> {
        let message = format!(
            "the {} of {id} in the cache has been changed: {problem}",
            name_of(file)
        );
        let block = Block {
            found: hashes.map(|(found, _)| found.to_string()),
            expected: hashes.map(|(_, expected)| expected.to_string()),
            evidence: None,
            ..Block::new(AlertKind::CacheChanged, message)
        };
        self.alert(&request(id, file), &block, false);
        Tree::remove(path).map_err(cache_failure("remove", path))
    }

    /// Returns the hash that a `go.mod` or zip file must have, and where it comes from.
    fn sum_of(&self, id: &ModuleId, file: ModuleFile) -> Result<(Origin, H1), Failure> {
        let sums = self.sums(id)?;
        let sum = match file {
            ModuleFile::Zip => sums.zip,
            ModuleFile::Mod | ModuleFile::Info => sums.go_mod,
        };
        let missing = || {
            let message = format!(
                "the statement of the private module {id} has no hash of the {}",
                name_of(file)
            );
            Block::new(AlertKind::InvalidStatement, message)
        };
        Ok((sums.origin, sum.ok_or_else(missing)?))
    }

    /// Returns the hashes of a version. A private module is never looked up in the checksum database.
    pub fn sums(&self, id: &ModuleId) -> Result<Sums, Failure> {
        if self.policy.private(id.path()).is_some() {
            return self.private_sums(id);
        }
        match self.known.sums(id) {
            Some(sums) => Ok(sums),
            None => self.look_up(id).map(|(sums, _)| sums),
        }
    }

    /// Looks up a public version in the checksum database. Also returns the answer for a client that looks it up.
    pub fn look_up(&self, id: &ModuleId) -> Result<(Sums, String), Failure> {
        self.metrics.add(Metric::Lookups, 1);
        let found = self.public_sums.look_up(id, &self.abandon);
        if let Err(Failure::Refusal(_)) = &found {
            self.metrics.add(Metric::LookupErrors, 1);
        }
        let (sums, answer) = found?;
        self.known.add_sums(id, sums);
        Ok((sums, answer))
    }

    fn private_sums(&self, id: &ModuleId) -> Result<Sums, Failure> {
        let Some(rule) = self.policy.private(id.path()) else {
            return Err(Refusal::new(500, format!("{id} is not private")).into());
        };
        let missing = || {
            let message = format!("the private module {id} has no signed statement");
            Failure::from(Block::new(AlertKind::NoStatement, message))
        };
        let name = relative(id, EXTENSION);
        if let Some(folder) = &rule.statements {
            let path = folder.join(&name);
            let read = Tree::read(&path, MAX_STATEMENT).map_err(cache_failure("read", &path))?;
            return Ok(statement::sums(&read.ok_or_else(missing)?, &rule.keys, id)?);
        }
        let path = self.tree.path(id, EXTENSION);
        let cached = Tree::read(&path, MAX_STATEMENT).map_err(cache_failure("read", &path))?;
        // One that is not valid may have been replaced by its author.
        if let Some(json) = cached
            && let Ok(sums) = statement::sums(&json, &rule.keys, id)
        {
            return Ok(sums);
        }
        let json = match self.fetch(id.path(), &name, MAX_STATEMENT) {
            Ok(fetched) => fetched.into_bytes().map_err(cache_failure("read", &path))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
            Err(error) => return Err(Refusal::upstream(&error).into()),
        };
        let sums = statement::sums(&json, &rule.keys, id)?;
        Tree::store(&path, &json).map_err(cache_failure("write", &path))?;
        Ok(sums)
    }
}

fn request(id: &ModuleId, file: ModuleFile) -> Request {
    let id = id.clone();
    Request::File { id, file }
}

/// Returns the name of a file in messages.
const fn name_of(file: ModuleFile) -> &'static str {
    match file {
        ModuleFile::Info => ".info",
        ModuleFile::Mod => "go.mod file",
        ModuleFile::Zip => "zip file",
    }
}

/// Returns the refusal for an upstream proxy that answers with something else than JSON.
pub(super) fn not_json(path: &str) -> Refusal {
    Refusal::new(
        502,
        format!("the upstream proxy's answer for {path} is not the JSON of a version"),
    )
}

fn compare(
    id: &ModuleId,
    file: ModuleFile,
    origin: Origin,
    found: H1,
    expected: H1,
) -> Result<(), Block> {
    if found == expected {
        return Ok(());
    }
    let kind = match file {
        ModuleFile::Zip => AlertKind::ZipMismatch,
        ModuleFile::Mod | ModuleFile::Info => AlertKind::ModMismatch,
    };
    let message = format!(
        "the {} of {id} has the hash {found}, expected {expected} as {}",
        name_of(file),
        origin.describe()
    );
    Err(Block {
        found: Some(found.to_string()),
        expected: Some(expected.to_string()),
        ..Block::new(kind, message)
    })
}

/// Returns the hash of a zip file's content, or what is wrong with the file.
fn hash(file: &File, id: &ModuleId) -> Result<H1, String> {
    let name = format!("{}.zip", id.version());
    let opened = file.try_clone().and_then(|mut file| {
        file.rewind()?;
        Ok(file)
    });
    let opened = opened.map_err(|error| error.to_string())?;
    let zip = ModuleZip::read(opened, Path::new(&name), id.path(), id.version());
    zip.map(|zip| zip.h1()).map_err(|error| with_causes(&error))
}

fn sha256(mut file: &File) -> io::Result<Sha256> {
    file.rewind()?;
    let hashed = digest::hash(&mut file, "", None, &NoProgress)?;
    let (hasher, _) = hashed.ok_or(io::ErrorKind::Interrupted)?;
    Ok(digest::finish(hasher))
}
