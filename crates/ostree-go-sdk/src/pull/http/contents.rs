//! Fetches the content of commits.
//!
//! The calling thread keeps the list of objects to fetch, and reads directories as they are
//! received. [`Fetchers`] make the requests. Workers, one per core, unpack, check and write what is
//! received. The number of concurrent tasks and their memory are limited.
//!
//! Static deltas are applied first. Then the trees are walked, and missing objects are fetched one
//! by one. A delta that is incomplete or was deleted from the server therefore does no harm.

use super::delta::Delta;
use super::fetchers::{Fetchers, MAX_REQUESTS, Request};
use super::receive::{self, ObjectReceiver, Rejected};
use super::server::{Server, StallWatch, is_absent};
use super::sweep;
use crate::delta::format::{ObjectKey, ObjectKind, PartHeader};
use crate::http::{Body, HttpError};
use crate::id::{DirMetaId, DirTreeId, Sha256};
use crate::kind::ErrorKind;
use crate::parallel::{self, next_job};
use crate::progress::POLL_INTERVAL;
use crate::pull::PullError;
use crate::pull::bounds::{Bounds, MAX_OBJECTS, MAX_PART, MAX_PARTS};
use crate::repo::{RepoError, Transaction};
use crate::store::StoreError;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError, Sender, channel};

/// Maximum number of objects that are being requested or written.
const ACTIVE_OBJECTS: usize = 3 * MAX_REQUESTS;
/// Maximum number of delta parts in progress, in addition to one per worker. They need more memory
/// than objects.
const EXTRA_PARTS: usize = 2;

/// An item to fetch.
#[derive(Debug, Clone)]
enum Task<'a> {
    /// An object. For a directory, the path to it with a trailing `/`, if paths matter.
    Object(ObjectKey, Box<str>),
    Part(&'a Delta, usize),
}

/// Maximum length of a path in a tree in bytes. Linux cannot open longer ones (`PATH_MAX`).
const MAX_PATH_LENGTH: usize = 4096;

/// The number of a task, by which other threads refer to it.
type TaskId = usize;

enum FetchEvent {
    Fetched(TaskId, Result<Body, HttpError>),
    Stored(TaskId, Result<(), Rejected>),
}

/// A response body to be stored by a worker.
struct StoreJob<'a> {
    task_id: TaskId,
    payload: Payload<'a>,
    body: Body,
}

enum Payload<'a> {
    File(Sha256),
    Part(&'a PartHeader),
}

/// Fetches the missing content of verified commits into a transaction.
pub(super) struct Contents<'a> {
    pub(super) server: &'a Server,
    pub(super) transaction: &'a Transaction<'a>,
    /// The number of bytes to fetch, if known.
    pub(super) total: Option<u64>,
    /// The limits for the content.
    pub(super) bounds: &'a Bounds,
    /// The refs and commits that need the content, for messages.
    pub(super) needed_by: Vec<String>,
}

/// Statistics about fetched content.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FetchStats {
    /// The number of objects and of delta parts that were fetched.
    pub(super) objects: u64,
    /// The number of delta parts that were applied.
    pub(super) parts: u64,
}

/// The root of a commit's tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommitTree {
    pub(super) tree: DirTreeId,
    pub(super) meta: DirMetaId,
}

impl Contents<'_> {
    /// Fetches the trees of commits, or the parts of them that [`Pull::subpaths`](crate::Pull::subpaths) selects. Objects
    /// that were received without being needed are removed from the transaction.
    pub(super) fn fetch(
        &self,
        deltas: &[&Delta],
        trees: &[CommitTree],
    ) -> Result<FetchStats, PullError> {
        let staging = self.transaction.staging();
        if let Some(staging) = staging {
            sweep::clear_if_larger(staging, self.bounds.max_total_download())?;
        }
        // Without a staging folder, objects that are not needed could not be removed.
        let deltas = if staging.is_some() { deltas } else { &[] };
        let session = &self.server.session;
        session.monitor.set_bound(self.bounds.max_total_download());
        let (event_sender, events) = channel();
        let (work, queue) = channel::<StoreJob<'_>>();
        let queue = Mutex::new(queue);
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let receivers = ObjectReceiver::create_many(self.transaction, self.bounds, workers);
        std::thread::scope(|scope| {
            let bodies = receivers.into_iter().map(|mut receiver| {
                let (event_sender, queue) = (event_sender.clone(), &queue);
                move || {
                    while let Some(mut job) = next_job(queue) {
                        let body = &mut job.body;
                        let done = match job.payload {
                            Payload::File(id) => receiver.receive_file(id.into(), body),
                            Payload::Part(header) => receiver.receive_part(header, body),
                        };
                        let _ = event_sender.send(FetchEvent::Stored(job.task_id, done));
                    }
                }
            });
            parallel::spawn_workers(scope, bodies).map_err(RepoError::Thread)?;
            let deliver = move |task_id, response| {
                let _ = event_sender.send(FetchEvent::Fetched(task_id, response));
            };
            let walk = TreeWalk {
                contents: self,
                item: session.progress_item(),
                fetchers: self.server.start_fetchers(deliver)?,
                work,
                tasks: HashMap::new(),
                next_id: 0,
                pending: VecDeque::new(),
                seen: HashSet::new(),
                partial_paths: HashSet::new(),
                partial_directories: HashSet::new(),
                stored_by_parts: HashSet::new(),
                unpacking_count: 0,
                stats: FetchStats::default(),
            };
            let done = walk.run_all(&events, deltas, trees, workers);
            // The scope waits for the workers; after an error, their work is useless.
            if done.is_err() {
                self.bounds.stop();
            }
            done
        })
    }
}

struct TreeWalk<'a> {
    contents: &'a Contents<'a>,
    /// The item named in progress events.
    item: String,
    fetchers: Fetchers<TaskId>,
    work: Sender<StoreJob<'a>>,
    /// Active tasks by number.
    tasks: HashMap<TaskId, Task<'a>>,
    /// The number of the next task.
    next_id: TaskId,
    pending: VecDeque<Task<'a>>,
    /// Objects that the commits need, whether stored already or requested.
    seen: HashSet<ObjectKey>,
    /// Ancestor directories of subpaths, of which only some entries are needed, with their paths.
    partial_paths: HashSet<(ObjectKey, String)>,
    /// The same without paths.
    partial_directories: HashSet<ObjectKey>,
    /// Objects that were stored from delta parts.
    stored_by_parts: HashSet<ObjectKey>,
    /// The number of tasks that workers are processing.
    unpacking_count: usize,
    stats: FetchStats,
}

impl<'a> TreeWalk<'a> {
    fn run_all(
        mut self,
        events: &mpsc::Receiver<FetchEvent>,
        deltas: &'a [&'a Delta],
        trees: &[CommitTree],
        workers: usize,
    ) -> Result<FetchStats, PullError> {
        for delta in deltas {
            self.request_delta_parts(delta)?;
        }
        self.run(events, workers + EXTRA_PARTS)?;
        for tree in trees {
            self.request_if_missing(key(ObjectKind::DirMeta, tree.meta.as_bytes()))?;
            if self.open_directory(tree.tree, "/")? {
                self.walk_directory(tree.tree, "/".to_owned())?;
            }
        }
        self.run(events, ACTIVE_OBJECTS)?;
        if let Some(staging) = self.contents.transaction.staging() {
            let is_needed =
                |key: &ObjectKey| self.seen.contains(key) || self.partial_directories.contains(key);
            sweep::sweep(staging, is_needed)?;
        }
        Ok(self.stats)
    }

    /// Processes all pending tasks and those that they add, with at most `max_active` at a time.
    fn run(
        &mut self,
        events: &mpsc::Receiver<FetchEvent>,
        max_active: usize,
    ) -> Result<(), PullError> {
        let mut active = 0;
        let session = &self.contents.server.session;
        let mut watch = StallWatch::new(self.contents.server);
        loop {
            while active < max_active
                && let Some(task) = self.pending.pop_front()
            {
                let task_id = self.next_id;
                self.next_id += 1;
                self.tasks.insert(task_id, task.clone());
                active += 1;
                match inline_part(&task) {
                    Some(part) => {
                        self.handle_response(task_id, Ok(part.into()))?;
                    }
                    None => self.fetchers.request(task_id, self.request(&task)?),
                }
            }
            if active == 0 {
                return Ok(());
            }
            session.monitor.check_cancelled()?;
            let is_downloading = active > self.unpacking_count;
            watch.check(self.contents.server, is_downloading)?;
            match events.recv_timeout(POLL_INTERVAL) {
                Ok(FetchEvent::Fetched(task_id, response)) => {
                    if !self.handle_response(task_id, response)? {
                        self.tasks.remove(&task_id);
                        active -= 1;
                    }
                }
                Ok(FetchEvent::Stored(task_id, done)) => {
                    self.unpacking_count -= 1;
                    active -= 1;
                    let Some(task) = self.tasks.remove(&task_id) else {
                        continue;
                    };
                    match (done, &task) {
                        (Ok(()), Task::Part(delta, index)) => {
                            self.stats.parts += 1;
                            self.stored_by_parts.extend(&delta.parts()[*index].objects);
                        }
                        // The tree walk fetches the objects of this part one by one.
                        (Ok(()), Task::Object(..)) | (Err(Rejected::TooLarge), Task::Part(..)) => {}
                        (Err(reason), task) => return Err(self.rejection(task, reason)),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            session
                .monitor
                .report(&self.item, session.monitor.bytes(), self.contents.total);
        }
    }

    fn request(&self, task: &Task<'_>) -> Result<Request, PullError> {
        let server = self.contents.server;
        match task {
            Task::Part(delta, index) => {
                server.part(&delta.name, *index, delta.parts()[*index].size)
            }
            Task::Object(key, _) if key.kind == ObjectKind::File => {
                server.file(key.checksum, self.contents.bounds.max_object_download())
            }
            Task::Object(key, _) => server.metadata(key.checksum, key.kind.as_str()),
        }
    }

    /// Handles a response. Returns true if it was passed to a worker.
    fn handle_response(
        &mut self,
        task_id: TaskId,
        response: Result<Body, HttpError>,
    ) -> Result<bool, PullError> {
        let Some(task) = self.tasks.get(&task_id).cloned() else {
            return Ok(false);
        };
        let server = self.contents.server;
        let body = match (response, &task) {
            (Ok(body), _) => body,
            // The publisher may have replaced the delta. The objects still exist.
            (Err(error), Task::Part(..)) if is_absent(true, &error) => {
                return Ok(false);
            }
            (Err(error), Task::Object(key, _)) if error.kind() == ErrorKind::NotFound => {
                return Err(PullError::MissingObject {
                    remote: server.session.label().to_owned(),
                    object: key.to_string(),
                    needed_by: self.contents.needed_by.clone(),
                    url: self.request(&task)?.url.to_string(),
                });
            }
            (Err(error), _) => return Err(server.http_error(error)),
        };
        self.stats.objects += 1;
        let payload = match task {
            Task::Part(delta, index) => Payload::Part(&delta.parts()[index]),
            Task::Object(key, _) if key.kind == ObjectKind::File => Payload::File(key.checksum),
            Task::Object(key, ref path) => {
                let (repo, bounds) = (self.contents.transaction.repo(), self.contents.bounds);
                let stored = receive::store_metadata(repo, &key, &server.bytes(body)?, bounds);
                stored.map_err(|reason| self.rejection(&task, reason))?;
                if key.kind == ObjectKind::DirTree {
                    self.walk_directory(key.checksum.into(), path.to_string())?;
                }
                return Ok(false);
            }
        };
        self.unpacking_count += 1;
        // Sending cannot fail: the workers end only after this struct is dropped.
        let _ = self.work.send(StoreJob {
            task_id,
            payload,
            body,
        });
        Ok(true)
    }

    fn rejection(&self, task: &Task<'_>, reason: Rejected) -> PullError {
        let server = self.contents.server;
        match reason {
            Rejected::Content(problem) => match self.request(task) {
                Ok(request) => server.refused(&request, problem),
                Err(error) => error,
            },
            Rejected::Unsafe(problem) => match self.request(task) {
                Ok(request) => server.unsafe_content(&request, problem),
                Err(error) => error,
            },
            Rejected::TooLarge | Rejected::Stopped => PullError::Cancelled,
            Rejected::Store(StoreError::Repo(error)) => error.into(),
            Rejected::Store(error) => PullError::Store(error),
        }
    }

    /// Adds tasks for the parts of a delta that contain missing objects. The largest parts come
    /// first, so that at the end no core waits long for another. The tree walk fetches objects that
    /// no part contains.
    fn request_delta_parts(&mut self, delta: &'a Delta) -> Result<(), PullError> {
        let (server, bounds) = (self.contents.server, self.contents.bounds);
        let count = delta.parts().len();
        if count > MAX_PARTS {
            let problem =
                format!("the static delta has {count} parts, at most {MAX_PARTS} are read");
            return Err(server.unsafe_content(&server.superblock(&delta.name)?, problem));
        }
        let mut parts: Vec<_> = delta.parts().iter().enumerate().collect();
        // Larger parts would need too much memory.
        parts.retain(|(_, part)| part.uncompressed <= MAX_PART && part.size <= 2 * MAX_PART);
        let mut bytes = 0u64;
        parts.sort_by_key(|(_, part)| Reverse(part.uncompressed));
        for (index, part) in parts {
            let mut missing = 0;
            for object in &part.objects {
                missing += u64::from(!self.has(object)?);
            }
            // If few objects of a part are missing, the tree walk fetches them one by one. This
            // does not apply to patches, which are far smaller than the objects.
            let by_object = delta.name.from.is_none() && is_cheaper_by_object(missing, part);
            if missing > 0 && !by_object {
                bytes = bytes.saturating_add(part.size);
                self.pending.push_back(Task::Part(delta, index));
            }
        }
        if bytes > bounds.max_total_download() {
            let problem = format!(
                "the parts of the static delta have {bytes} bytes, and the commits allow {} for all files",
                bounds.total
            );
            return Err(server.unsafe_content(&server.superblock(&delta.name)?, problem));
        }
        Ok(())
    }

    /// Marks a directory as needed. Returns true if it is stored and has to be read now; otherwise
    /// a task to fetch it is added.
    fn open_directory(&mut self, tree: DirTreeId, path: &str) -> Result<bool, PullError> {
        let key = key(ObjectKind::DirTree, tree.as_bytes());
        // A directory is read once, or once per path if its path decides which entries are needed.
        let is_new = match self.is_requested(path) {
            true => self.mark_needed(key)?,
            false => {
                self.partial_directories.insert(key);
                self.partial_paths.insert((key, path.to_owned()))
            }
        };
        if !is_new {
            return Ok(false);
        }
        if self.partial_paths.len() > MAX_OBJECTS {
            return Err(self.too_many_objects());
        }
        let is_stored = self.has(&key)?;
        if !is_stored {
            self.pending.push_front(Task::Object(key, path.into()));
        }
        Ok(is_stored)
    }

    /// Walks a stored directory and all stored directories below it.
    fn walk_directory(&mut self, tree: DirTreeId, path: String) -> Result<(), PullError> {
        let mut open = vec![(tree, path)];
        let session = &self.contents.server.session;
        let paths_matter = !session.options.subpaths.is_empty();
        while let Some((tree, path)) = open.pop() {
            session.monitor.check_cancelled()?;
            let entries = self.contents.transaction.repo().dirtree(tree)?;
            for (name, file) in entries.files {
                if !paths_matter || self.is_requested(&format!("{path}{name}")) {
                    self.request_if_missing(key(ObjectKind::File, file.as_bytes()))?;
                }
            }
            for (name, tree, meta) in entries.dirs {
                let path = match paths_matter {
                    true => format!("{path}{name}/"),
                    false => String::new(),
                };
                if path.len() > MAX_PATH_LENGTH {
                    return Err(self.too_many_objects());
                }
                if !self.is_requested(&path) && !self.leads_to_requested(&path) {
                    continue;
                }
                self.request_if_missing(key(ObjectKind::DirMeta, meta.as_bytes()))?;
                if self.open_directory(tree, &path)? {
                    open.push((tree, path));
                }
            }
        }
        Ok(())
    }

    /// Marks an object as needed, and adds a task to fetch it unless it is stored.
    fn request_if_missing(&mut self, key: ObjectKey) -> Result<(), PullError> {
        if self.mark_needed(key)? && !self.has(&key)? {
            self.pending.push_back(Task::Object(key, Box::default()));
        }
        Ok(())
    }

    /// Marks an object as needed. Returns true if it was not marked before.
    fn mark_needed(&mut self, key: ObjectKey) -> Result<bool, PullError> {
        let is_new = self.seen.insert(key);
        if self.seen.len() > MAX_OBJECTS {
            return Err(self.too_many_objects());
        }
        Ok(is_new)
    }

    fn too_many_objects(&self) -> PullError {
        let server = self.contents.server;
        let problem = format!(
            "the trees of the commits have more than {MAX_OBJECTS} objects, or paths of more than {MAX_PATH_LENGTH} bytes"
        );
        server.session.monitor.unsafe_content(server.url(), problem)
    }

    fn has(&self, key: &ObjectKey) -> Result<bool, RepoError> {
        if self.stored_by_parts.contains(key) {
            return Ok(true);
        }
        let transaction = self.contents.transaction;
        // After an upgrade by a delta, most objects of a tree are stored. libostree's check takes
        // several times as long.
        let is_file = key.kind == ObjectKind::File;
        if is_file && transaction.has_uncompressed_file(&key.checksum.to_string()) {
            return Ok(true);
        }
        let repo = transaction.repo();
        repo.has_object(key.kind.to_ostree(), key.checksum)
    }

    /// Returns true if a path is a requested subpath, or below one.
    fn is_requested(&self, path: &str) -> bool {
        let subpaths = &self.contents.server.session.options.subpaths;
        subpaths.is_empty() || subpaths.iter().any(|requested| is_within(path, requested))
    }

    /// Returns true if a directory, with a trailing `/`, is an ancestor of a requested subpath.
    fn leads_to_requested(&self, directory: &str) -> bool {
        let subpaths = &self.contents.server.session.options.subpaths;
        subpaths
            .iter()
            .any(|requested| requested.starts_with(directory))
    }
}

/// Returns true if it is clearly cheaper to fetch `missing` objects one by one than with their
/// part. The sizes of the individual objects are unknown, so that the average is used. Fetched
/// individually, objects compress worse, and each needs a request.
fn is_cheaper_by_object(missing: u64, part: &PartHeader) -> bool {
    /// The cost of a request, as the number of bytes that could be transferred in the same time.
    const REQUEST: u64 = 8 << 10;
    let all = part.objects.len() as u64;
    let share = part.size / all.max(1);
    let each = share.saturating_mul(2).saturating_add(REQUEST);
    missing.saturating_mul(each) < part.size / 2
}

/// Returns a part that is contained in the superblock itself.
fn inline_part(task: &Task<'_>) -> Option<Vec<u8>> {
    match task {
        Task::Part(delta, index) => delta.superblock()?.inline_part(*index),
        Task::Object(..) => None,
    }
}

fn key(kind: ObjectKind, checksum: &[u8; 32]) -> ObjectKey {
    ObjectKey {
        kind,
        checksum: Sha256(*checksum),
    }
}

/// Returns true if `path` is equal to `other` or below it.
fn is_within(path: &str, other: &str) -> bool {
    path.strip_prefix(other.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
