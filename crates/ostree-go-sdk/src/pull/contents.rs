//! Fetching what commits are made of.
//!
//! The calling thread knows what is still to be fetched, and reads directories as they come.
//! Requests are made by [`Fetchers`]; what arrives is unpacked, checked and written by a worker
//! on each core. What is under way at a time is bounded, and so is the memory for it.
//!
//! A static delta comes first. Then the trees are walked, and what is missing still is fetched
//! object by object: a delta that lacks something, or has gone from the server, does no harm.

use super::arrive::{self, Receiver, Rejected};
use super::bounds::{Bounds, OBJECTS as MOST_OBJECTS, PART, PARTS as MOST_PARTS};
use super::delta::Delta;
use super::fetchers::{AT_ONCE, Fetchers, Request, next};
use super::server::{Server, TICK, Watch};
use super::{Pull, PullError, sweep};
use crate::delta::format::{ObjectKey, ObjectKind, PartHeader};
use crate::http::{Body, HttpError};
use crate::id::{DirMetaId, DirTreeId, Sha256};
use crate::kind::ErrorKind;
use crate::parallel;
use crate::progress::{Event, Phase};
use crate::repo::{RepoError, Transaction};
use crate::store::StoreError;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError, Sender, channel};

/// Objects that are asked for or being written at a time.
const OBJECTS: usize = 3 * AT_ONCE;
/// Parts of deltas, beside one for each worker. They take more memory.
const PARTS: usize = 2;

/// Something to fetch.
#[derive(Debug, Clone)]
enum Task<'a> {
    /// An object. A directory has the path to it, that ends in `/`, where paths matter.
    Object(ObjectKey, Box<str>),
    Part(&'a Delta, usize),
}

/// The longest path in a tree: Linux opens no longer one (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// A task's number: what other threads know of it.
type Ticket = usize;

enum Happened {
    Fetched(Ticket, Result<Body, HttpError>),
    Stored(Ticket, Result<(), Rejected>),
}

/// What a worker gets.
struct Arrived<'a> {
    ticket: Ticket,
    what: What<'a>,
    body: Body,
}

enum What<'a> {
    File(Sha256),
    Part(&'a PartHeader),
}

/// Fetches what is missing of commits that are checked, into a transaction.
pub(super) struct Contents<'a> {
    pub(super) pull: &'a Pull,
    pub(super) server: &'a Server,
    pub(super) transaction: &'a Transaction<'a>,
    /// What progress is told about.
    pub(super) item: &'a str,
    /// Bytes to fetch, where that is known.
    pub(super) total: Option<u64>,
    /// What the content may come to.
    pub(super) bounds: &'a Bounds,
    /// The refs and commits whose content it is, for messages.
    pub(super) of: Vec<String>,
}

/// What has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Come {
    /// Objects, and parts of deltas.
    pub(super) objects: u64,
    /// Parts of deltas that were applied.
    pub(super) parts: u64,
}

/// Where a commit's tree begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommitTree {
    pub(super) tree: DirTreeId,
    pub(super) meta: DirMetaId,
}

impl Contents<'_> {
    /// Fetches the trees of commits, as far as [`Pull::subpaths`] wants them. What came beside
    /// them is removed from the transaction.
    pub(super) fn fetch(&self, deltas: &[&Delta], trees: &[CommitTree]) -> Result<Come, PullError> {
        let staging = self.transaction.staging();
        if let Some(staging) = staging {
            sweep::bound(staging, self.bounds.most_downloads())?;
        }
        // Without knowing where objects are, those that nobody needs could not be removed.
        let deltas = if staging.is_some() { deltas } else { &[] };
        self.server.meter.allow(self.bounds.most_downloads());
        let (happens, happened) = channel();
        let (work, queue) = channel::<Arrived<'_>>();
        let queue = Mutex::new(queue);
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let receivers = Receiver::several(self.transaction, self.bounds, workers);
        std::thread::scope(|scope| {
            let bodies = receivers.into_iter().map(|mut receiver| {
                let (happens, queue) = (happens.clone(), &queue);
                move || {
                    while let Some(mut arrived) = next(queue) {
                        let body = &mut arrived.body;
                        let done = match arrived.what {
                            What::File(id) => receiver.archived(id.into(), body),
                            What::Part(header) => receiver.part(header, body),
                        };
                        let _ = happens.send(Happened::Stored(arrived.ticket, done));
                    }
                }
            });
            parallel::spawn_workers(scope, bodies).map_err(RepoError::Thread)?;
            let deliver = move |ticket, answer| {
                let _ = happens.send(Happened::Fetched(ticket, answer));
            };
            let server = self.server;
            let fetchers = Fetchers::start(
                &server.http,
                &server.meter,
                &server.spool_in,
                &self.pull.progress,
                deliver,
            )?;
            let walk = Walk {
                contents: self,
                fetchers,
                work,
                tasks: HashMap::new(),
                tickets: 0,
                todo: VecDeque::new(),
                seen: HashSet::new(),
                opened: HashSet::new(),
                passed: HashSet::new(),
                stored: HashSet::new(),
                unpacking: 0,
                come: Come::default(),
            };
            let done = walk.all(&happened, deltas, trees, workers);
            // The workers are waited for: what they are at comes to nothing after an error.
            if done.is_err() {
                self.bounds.stop();
            }
            done
        })
    }

    fn tell(&self) {
        let done = self.server.meter.bytes();
        self.pull.progress.event(&Event::Advanced {
            phase: Phase::Pull,
            item: self.item,
            done,
            total: self.total.map(|total| total.max(done)),
        });
    }
}

struct Walk<'a> {
    contents: &'a Contents<'a>,
    fetchers: Fetchers<Ticket>,
    work: Sender<Arrived<'a>>,
    /// Those under way, by their tickets.
    tasks: HashMap<Ticket, Task<'a>>,
    /// How many tickets there have been.
    tickets: Ticket,
    todo: VecDeque<Task<'a>>,
    /// Objects that the commits need: they are here, or asked for.
    seen: HashSet<ObjectKey>,
    /// Directories on the way to subpaths, of which only some entries are needed, by their paths.
    opened: HashSet<(ObjectKey, String)>,
    /// The same without their paths.
    passed: HashSet<ObjectKey>,
    /// Objects that parts have brought.
    stored: HashSet<ObjectKey>,
    /// How many tasks are with the workers.
    unpacking: usize,
    come: Come,
}

impl<'a> Walk<'a> {
    fn all(
        mut self,
        happened: &mpsc::Receiver<Happened>,
        deltas: &'a [&'a Delta],
        trees: &[CommitTree],
        workers: usize,
    ) -> Result<Come, PullError> {
        for delta in deltas {
            self.delta(delta)?;
        }
        self.run(happened, workers + PARTS)?;
        for tree in trees {
            self.need(key(ObjectKind::DirMeta, tree.meta.as_bytes()))?;
            if self.opens(tree.tree, "/")? {
                self.entries(tree.tree, "/".to_owned())?;
            }
        }
        self.run(happened, OBJECTS)?;
        if let Some(staging) = self.contents.transaction.staging() {
            let is_needed = |key: &ObjectKey| self.seen.contains(key) || self.passed.contains(key);
            sweep::sweep(staging, is_needed)?;
        }
        Ok(self.come)
    }

    /// Does what there is to do, and what that leads to, with so much under way at a time.
    fn run(&mut self, happened: &mpsc::Receiver<Happened>, most: usize) -> Result<(), PullError> {
        let mut under_way = 0;
        let mut watch = Watch::new(self.contents.server);
        loop {
            while under_way < most
                && let Some(task) = self.todo.pop_front()
            {
                let ticket = self.tickets;
                self.tickets += 1;
                self.tasks.insert(ticket, task.clone());
                under_way += 1;
                match inline(&task) {
                    Some(part) => {
                        self.arrived(ticket, Ok(part.into()))?;
                    }
                    None => self.fetchers.ask(ticket, self.request(&task)?),
                }
            }
            if under_way == 0 {
                return Ok(());
            }
            if self.contents.pull.progress.is_cancelled() {
                return Err(PullError::Cancelled);
            }
            let is_downloading = under_way > self.unpacking;
            watch.check(self.contents.server, is_downloading)?;
            match happened.recv_timeout(TICK) {
                Ok(Happened::Fetched(ticket, answer)) => {
                    if !self.arrived(ticket, answer)? {
                        self.tasks.remove(&ticket);
                        under_way -= 1;
                    }
                }
                Ok(Happened::Stored(ticket, done)) => {
                    self.unpacking -= 1;
                    under_way -= 1;
                    let Some(task) = self.tasks.remove(&ticket) else {
                        continue;
                    };
                    match (done, &task) {
                        (Ok(()), Task::Part(delta, index)) => {
                            self.come.parts += 1;
                            self.stored.extend(&delta.parts()[*index].objects);
                        }
                        // The walk finds what it would have brought.
                        (Ok(()), Task::Object(..)) | (Err(Rejected::TooLarge), Task::Part(..)) => {}
                        (Err(why), task) => return Err(self.rejected(task, why)),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.contents.tell();
        }
    }

    fn request(&self, task: &Task<'_>) -> Result<Request, PullError> {
        let server = self.contents.server;
        match task {
            Task::Part(delta, index) => {
                server.part(&delta.name, *index, delta.parts()[*index].size)
            }
            Task::Object(key, _) if key.kind == ObjectKind::File => {
                server.file(key.checksum, self.contents.bounds.largest_download())
            }
            Task::Object(key, _) => server.metadata(key.checksum, key.kind.as_str()),
        }
    }

    /// Takes what has come; says whether a worker has it now.
    fn arrived(
        &mut self,
        ticket: Ticket,
        answer: Result<Body, HttpError>,
    ) -> Result<bool, PullError> {
        let Some(task) = self.tasks.get(&ticket).cloned() else {
            return Ok(false);
        };
        let server = self.contents.server;
        let body = match (answer, &task) {
            (Ok(body), _) => body,
            // The publisher may have made a newer one. The objects are still there.
            (Err(error), Task::Part(..)) if error.kind() == ErrorKind::NotFound => {
                return Ok(false);
            }
            (Err(error), Task::Object(key, _)) if error.kind() == ErrorKind::NotFound => {
                return Err(PullError::MissingObject {
                    remote: server.remote().to_owned(),
                    object: key.to_string(),
                    of: self.contents.of.clone(),
                    url: self.request(&task)?.url.to_string(),
                });
            }
            (Err(error), _) => return Err(server.failed(error)),
        };
        self.come.objects += 1;
        let what = match task {
            Task::Part(delta, index) => What::Part(&delta.parts()[index]),
            Task::Object(key, _) if key.kind == ObjectKind::File => What::File(key.checksum),
            Task::Object(key, ref path) => {
                let (repo, bounds) = (self.contents.transaction.repo(), self.contents.bounds);
                let taken = arrive::metadata(repo, &key, &server.bytes(body)?, bounds);
                taken.map_err(|why| self.rejected(&task, why))?;
                if key.kind == ObjectKind::DirTree {
                    self.entries(key.checksum.into(), path.to_string())?;
                }
                return Ok(false);
            }
        };
        self.unpacking += 1;
        // The workers end after this does.
        let _ = self.work.send(Arrived { ticket, what, body });
        Ok(true)
    }

    fn rejected(&self, task: &Task<'_>, why: Rejected) -> PullError {
        let server = self.contents.server;
        match why {
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

    /// Asks for the parts of a delta that make something new. The largest come first: at the end no
    /// core waits long for another. What the delta leaves out, the walk finds.
    fn delta(&mut self, delta: &'a Delta) -> Result<(), PullError> {
        let (server, bounds) = (self.contents.server, self.contents.bounds);
        let count = delta.parts().len();
        if count > MOST_PARTS {
            let problem =
                format!("the static delta has {count} parts, at most {MOST_PARTS} are read");
            return Err(server.unsafe_content(&server.superblock(&delta.name)?, problem));
        }
        let mut parts: Vec<_> = delta.parts().iter().enumerate().collect();
        // Those would take more memory than there should be.
        parts.retain(|(_, part)| part.uncompressed <= PART && part.size <= 2 * PART);
        let mut bytes = 0u64;
        parts.sort_by_key(|(_, part)| Reverse(part.uncompressed));
        for (index, part) in parts {
            let mut missing = 0;
            for object in &part.objects {
                missing += u64::from(!self.has(object)?);
            }
            // What few are missing, the walk fetches one by one. A patch needs its old file, and
            // is far smaller than an object.
            let few = delta.name.from.is_none() && is_few(missing, part);
            if missing > 0 && !few {
                bytes = bytes.saturating_add(part.size);
                self.todo.push_back(Task::Part(delta, index));
            }
        }
        if bytes > bounds.most_downloads() {
            let problem = format!(
                "the parts of the static delta have {bytes} bytes, and the commits allow {} for all files",
                bounds.total
            );
            return Err(server.unsafe_content(&server.superblock(&delta.name)?, problem));
        }
        Ok(())
    }

    /// Takes on a directory. Says whether it is here and is to be read now; it is asked for
    /// otherwise.
    fn opens(&mut self, tree: DirTreeId, path: &str) -> Result<bool, PullError> {
        let key = key(ObjectKind::DirTree, tree.as_bytes());
        // A directory counts once, or once for each path where the path decides.
        let is_new = match self.wants(path) {
            true => self.takes(key)?,
            false => {
                self.passed.insert(key);
                self.opened.insert((key, path.to_owned()))
            }
        };
        if !is_new {
            return Ok(false);
        }
        if self.opened.len() > MOST_OBJECTS {
            return Err(self.too_many());
        }
        let is_here = self.has(&key)?;
        if !is_here {
            self.todo.push_front(Task::Object(key, path.into()));
        }
        Ok(is_here)
    }

    /// Goes through a directory that is here, and all that is below it and here.
    fn entries(&mut self, tree: DirTreeId, path: String) -> Result<(), PullError> {
        let mut open = vec![(tree, path)];
        let by_path = !self.contents.pull.subpaths.is_empty();
        while let Some((tree, path)) = open.pop() {
            if self.contents.pull.progress.is_cancelled() {
                return Err(PullError::Cancelled);
            }
            let entries = self.contents.transaction.repo().dirtree(tree)?;
            for (name, file) in entries.files {
                if !by_path || self.wants(&format!("{path}{name}")) {
                    self.need(key(ObjectKind::File, file.as_bytes()))?;
                }
            }
            for (name, tree, meta) in entries.dirs {
                let path = match by_path {
                    true => format!("{path}{name}/"),
                    false => String::new(),
                };
                if path.len() > LONGEST_PATH {
                    return Err(self.too_many());
                }
                if !self.wants(&path) && !self.leads(&path) {
                    continue;
                }
                self.need(key(ObjectKind::DirMeta, meta.as_bytes()))?;
                if self.opens(tree, &path)? {
                    open.push((tree, path));
                }
            }
        }
        Ok(())
    }

    /// Asks for an object unless it is here.
    fn need(&mut self, key: ObjectKey) -> Result<(), PullError> {
        if self.takes(key)? && !self.has(&key)? {
            self.todo.push_back(Task::Object(key, Box::default()));
        }
        Ok(())
    }

    /// Remembers that an object is needed; says whether that is new.
    fn takes(&mut self, key: ObjectKey) -> Result<bool, PullError> {
        let is_new = self.seen.insert(key);
        if self.seen.len() > MOST_OBJECTS {
            return Err(self.too_many());
        }
        Ok(is_new)
    }

    fn too_many(&self) -> PullError {
        PullError::Unsafe {
            remote: self.contents.server.remote().to_owned(),
            url: self.contents.server.url(),
            problem: format!(
                "the trees of the commits have more than {MOST_OBJECTS} objects, or paths of more than {LONGEST_PATH} bytes"
            ),
        }
    }

    fn has(&self, key: &ObjectKey) -> Result<bool, RepoError> {
        if self.stored.contains(key) {
            return Ok(true);
        }
        let (repo, id) = (self.contents.transaction.repo(), key.checksum.to_string());
        // Most of a tree is here after an upgrade's delta; libostree takes several times as long.
        if key.kind == ObjectKind::File && self.contents.transaction.has_uncompressed_file(&id) {
            return Ok(true);
        }
        repo.as_ostree()
            .has_object(key.kind.to_ostree(), &id, gio::Cancellable::NONE)
            .map_err(|source| repo.failed(&format!("look for object {key}"), source))
    }

    /// Whether a path is a subpath that is wanted, or below one.
    fn wants(&self, path: &str) -> bool {
        let subpaths = &self.contents.pull.subpaths;
        subpaths.is_empty() || subpaths.iter().any(|wanted| is_within(path, wanted))
    }

    /// Whether a directory, with `/` at its end, is on the way to a subpath that is wanted.
    fn leads(&self, directory: &str) -> bool {
        let subpaths = &self.contents.pull.subpaths;
        subpaths.iter().any(|wanted| wanted.starts_with(directory))
    }
}

/// Whether so many missing objects are clearly cheaper to fetch one by one than by their part. How
/// large each is nobody says, so they count as much as the others; alone they compress worse, and
/// each takes a request.
fn is_few(missing: u64, part: &PartHeader) -> bool {
    /// What a request costs, in bytes that could come instead.
    const REQUEST: u64 = 8 << 10;
    let all = part.objects.len() as u64;
    let share = part.size / all.max(1);
    let each = share.saturating_mul(2).saturating_add(REQUEST);
    missing.saturating_mul(each) < part.size / 2
}

/// A part that stands in the superblock itself.
fn inline(task: &Task<'_>) -> Option<Vec<u8>> {
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

/// Whether a path is another or below it.
fn is_within(path: &str, other: &str) -> bool {
    path.strip_prefix(other.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
