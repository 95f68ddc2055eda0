//! A program for `GOCACHEPROG`: it answers the go command's requests from std caches and from a folder
//! of the user.
//!
//! - `protocol`: the messages;
//! - `entries`: the places of entries, in the order in which they are searched;
//! - `write_folder`: the folder for new entries, in the layout of a `GOCACHE`;
//! - `trim`: limits the size of the folder.

mod entries;
mod protocol;
mod trim;
mod write_folder;

pub use trim::Trimmed;

use super::error::StdCacheError;
use super::open::StdCache;
use super::verified::Verified;
use crate::clock::{Clock, SystemClock};
use crate::id::Sha256;
use crate::parallel;
use crate::setters::setters;
use entries::{Candidate, Entries, FoundInStd, open_folder};
use protocol::{Command, Requests, Response, base64, rfc3339};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The largest number of threads that hash outputs.
const MAX_WORKERS: usize = 4;

/// Options of a service for one go command.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheProg {
    std_caches: Vec<PathBuf>,
    verified: Vec<PathBuf>,
    write: Option<PathBuf>,
    scratch: Option<PathBuf>,
    max_size: Option<u64>,
    clock: Arc<dyn Clock>,
}

impl Default for CacheProg {
    fn default() -> Self {
        Self::new()
    }
}

/// What a service has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Requests that were answered from std caches.
    pub std_hits: u64,
    /// Requests that were answered from the write folder.
    pub hits: u64,
    /// Requests for entries that are nowhere.
    pub misses: u64,
    /// New entries in the write folder.
    pub puts: u64,
    /// The size of the new entries in bytes.
    pub put_bytes: u64,
    /// New entries that only this go command could use, or not even this one, because the write folder is
    /// full or cannot be written.
    pub lost: u64,
    /// Outputs of std caches that are missing or damaged. They were treated like entries that do not
    /// exist.
    pub damaged: Vec<PathBuf>,
    /// Std caches that could not be opened, and the reason why the write folder cannot be used.
    pub problems: Vec<String>,
    /// What was removed from the write folder at the end, if that was due.
    pub trimmed: Option<Trimmed>,
}

impl CacheProg {
    /// Creates a service without std caches and without a write folder.
    #[must_use]
    pub fn new() -> Self {
        Self {
            std_caches: Vec::new(),
            verified: Vec::new(),
            write: None,
            scratch: None,
            max_size: None,
            clock: Arc::new(SystemClock),
        }
    }

    setters! {
        /// Sets the directories of the std caches. Default: none.
        std_caches: Vec<PathBuf>;
        /// Sets the files in which installations have recorded which outputs they verified, as
        /// [`verified_records`](super::verified_records) finds them. Default: none, so that each output is hashed
        /// when it is used for the first time.
        verified: Vec<PathBuf>;
        /// Sets the folder for new entries, which is created if necessary. It has the layout of a
        /// `GOCACHE`, and may be one. Several services can use one folder at the same time. Default:
        /// none.
        write: Option<PathBuf>;
        /// Sets the directory in which a temporary folder is created for entries that the write folder
        /// cannot take. Default: none, so that storing such an entry fails.
        scratch: Option<PathBuf>;
        /// Sets the size in bytes above which the entries are removed from the write folder that were not used
        /// for the longest time. It is checked at the end of each service. Default: 10 GB, or half the
        /// size of the file system if that is less.
        max_size: Option<u64>;
        /// Sets the clock for the age of entries. Default: [`SystemClock`].
        clock;
    }

    /// Answers the requests from `requests` until the go command ends the service, or until the end of
    /// the input. `responses` is dropped before the write folder is trimmed, because the go command
    /// waits until its end is closed.
    ///
    /// What cannot be read or written is never an error, but an entry that does not exist, and part of
    /// the result.
    ///
    /// # Errors
    /// Returns an error if the input violates the protocol.
    pub fn serve(
        &self,
        requests: impl Read,
        responses: impl Write + Send,
    ) -> Result<Served, StdCacheError> {
        let now = self.clock.now();
        let mut served = Served::default();
        let mut caches = Vec::new();
        for dir in &self.std_caches {
            match StdCache::open(dir) {
                Ok(cache) if cache.dir().to_str().is_some() => caches.push(cache),
                Ok(_) => served
                    .problems
                    .push(format!("{} is not UTF-8", dir.display())),
                Err(error) => served.problems.push(with_cause(&error)),
            }
        }
        let mut folder = (None, false);
        match self.write.as_ref().map(|path| open_folder(path, now)) {
            None => {}
            Some(Ok(opened)) => folder = (Some(opened), true),
            Some(Err((failure, readable))) => {
                served.problems.push(with_cause(&failure.into()));
                folder.0 = readable;
            }
        }
        let written = self.write.as_deref().filter(|_| folder.1);
        let verified = Verified::load(&self.verified, self.write.as_deref(), folder.1);
        let entries = Entries::new(caches, verified, folder, self.scratch.clone(), now);
        let service = Service {
            entries: &entries,
            responses: Mutex::new(responses),
            served: Mutex::new(served),
        };
        let result = service.run(BufReader::with_capacity(1 << 16, requests));
        let mut served = service.into_served();
        entries.verified.store();
        // Releases the lock of the folder.
        drop(entries);
        if let Some(folder) = written {
            served.trimmed = trim::trim(folder, self.max_size, served.put_bytes, now);
        }
        result.map(|()| served)
    }
}

/// Formats an error with its cause.
fn with_cause(error: &StdCacheError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// The service for one go command.
struct Service<'a, W> {
    entries: &'a Entries,
    responses: Mutex<W>,
    served: Mutex<Served>,
}

/// An output that has to be hashed before the request for it is answered.
struct Job {
    id: i64,
    action: Sha256,
    candidate: Candidate,
}

impl<W: Write + Send> Service<'_, W> {
    fn run(&self, reader: BufReader<impl Read>) -> Result<(), StdCacheError> {
        let commands: &[&str] = match self.entries.can_put() {
            true => &["get", "put", "close"],
            // The go command treats a cache without `put` as one that cannot be written.
            false => &["get", "close"],
        };
        self.respond(&Response {
            known_commands: commands,
            ..Response::default()
        });
        let (sender, receiver) = channel();
        let jobs = Mutex::new(receiver);
        let close = std::thread::scope(|scope| {
            let workers = std::thread::available_parallelism().map_or(1, usize::from);
            let work = || self.work(&jobs);
            let bodies = (0..workers.min(MAX_WORKERS)).map(|_| work);
            let is_parallel = parallel::spawn_workers(scope, bodies).is_ok();
            // The workers end when the sender is dropped.
            let sender = is_parallel.then_some(sender);
            self.answer_all(Requests::new(reader), sender.as_ref())
        })?;
        if let Some(id) = close {
            self.respond(&Response {
                id,
                ..Response::default()
            });
        }
        Ok(())
    }

    /// Answers requests until the end. Returns the number of the request that ends the service, if there
    /// is one.
    fn answer_all(
        &self,
        mut requests: Requests<BufReader<impl Read>>,
        workers: Option<&Sender<Job>>,
    ) -> Result<Option<i64>, StdCacheError> {
        while let Some(request) = requests.next()? {
            let id = request.id;
            match request.command {
                Command::Get { action } => self.get(id, action, workers),
                Command::Put {
                    action,
                    output,
                    size,
                } => {
                    let mut writer = self.entries.writer(output);
                    if !requests.body(size, |part| writer.write(part))? {
                        return Ok(None);
                    }
                    self.put(id, action, size, writer);
                }
                Command::Close => return Ok(Some(id)),
                Command::Unknown(command) => self.respond(&Response {
                    id,
                    error: Some(format!("unknown command {command:?}")),
                    ..Response::default()
                }),
            }
        }
        Ok(None)
    }

    fn work(&self, jobs: &Mutex<Receiver<Job>>) {
        while let Some(job) = parallel::next_job(jobs) {
            self.finish(&job);
        }
    }

    fn get(&self, id: i64, action: Sha256, workers: Option<&Sender<Job>>) {
        let damaged = |path| self.damaged(path);
        match self.entries.find_in_std(action, damaged) {
            FoundInStd::Good(entry, path) => {
                self.count(|served| served.std_hits += 1);
                self.hit(id, entry.output, entry.size, None, &path);
            }
            FoundInStd::Unverified(candidate) => {
                let job = Job {
                    id,
                    action,
                    candidate,
                };
                match workers {
                    None => self.finish(&job),
                    Some(workers) => {
                        // Fails if no worker is left.
                        if let Err(unsent) = workers.send(job) {
                            self.finish(&unsent.0);
                        }
                    }
                }
            }
            FoundInStd::None => self.get_written(id, action),
        }
    }

    /// Hashes an output, and answers the request.
    fn finish(&self, job: &Job) {
        let (id, candidate) = (job.id, &job.candidate);
        if self.entries.verify(candidate) {
            self.count(|served| served.std_hits += 1);
            let entry = candidate.entry;
            self.hit(id, entry.output, entry.size, None, &candidate.path);
        } else {
            self.damaged(candidate.path.clone());
            self.get_written(id, job.action);
        }
    }

    fn get_written(&self, id: i64, action: Sha256) {
        match self.entries.find_written(action) {
            Some(stored) => {
                self.count(|served| served.hits += 1);
                let (entry, time) = (stored.entry, rfc3339(stored.time));
                self.hit(id, entry.output, entry.size, time, &stored.path);
            }
            None => {
                self.count(|served| served.misses += 1);
                self.respond(&Response {
                    id,
                    miss: true,
                    ..Response::default()
                });
            }
        }
    }

    fn hit(&self, id: i64, output: Sha256, size: u64, time: Option<String>, path: &Path) {
        self.respond(&Response {
            id,
            output: Some(base64(output)),
            size: Some(size),
            time,
            disk_path: path.to_str(),
            ..Response::default()
        });
    }

    fn put(&self, id: i64, action: Sha256, size: u64, writer: entries::OutputWriter<'_>) {
        match writer.finish(action) {
            Ok((path, is_kept)) => {
                self.count(|served| match is_kept {
                    true => {
                        served.puts += 1;
                        served.put_bytes += size;
                    }
                    false => served.lost += 1,
                });
                self.respond(&Response {
                    id,
                    disk_path: path.to_str(),
                    ..Response::default()
                });
            }
            Err(error) => {
                self.count(|served| served.lost += 1);
                self.respond(&Response {
                    id,
                    error: Some(error.to_string()),
                    ..Response::default()
                });
            }
        }
    }

    fn damaged(&self, path: PathBuf) {
        self.count(|served| {
            if !served.damaged.contains(&path) {
                served.damaged.push(path);
            }
        });
    }

    fn count(&self, change: impl FnOnce(&mut Served)) {
        change(&mut self.served.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn respond(&self, response: &Response<'_>) {
        let Ok(mut text) = serde_json::to_vec(response) else {
            return;
        };
        text.push(b'\n');
        let responses = self.responses.lock();
        let mut responses = responses.unwrap_or_else(PoisonError::into_inner);
        // If the go command has ended, so does the input.
        let _ = responses.write_all(&text).and_then(|()| responses.flush());
    }

    /// Ends the service, and closes the responses.
    fn into_served(self) -> Served {
        self.served
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry point of the fuzz target.
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz {
    use super::CacheProg;

    /// Serves the requests in `bytes` without any folder, so that every body is read and refused.
    pub fn cacheprog(bytes: &[u8]) {
        let _ = CacheProg::new().serve(bytes, Vec::new());
    }
}

#[cfg(test)]
mod tests;
