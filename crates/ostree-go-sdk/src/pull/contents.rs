//! Fetching what commits are made of.
//!
//! The calling thread knows what is still to be fetched, and reads directories as they come.
//! Requests are made by [`Fetchers`]; what arrives is unpacked, checked and written by a worker
//! on each core. What is under way at a time is bounded, and so is the memory for it.
//!
//! A static delta comes first. Then the trees are walked, and what is missing still is fetched
//! object by object: a delta that lacks something, or has gone from the server, does no harm.

use super::arrive::{self, Receiver, Rejected};
use super::delta::Delta;
use super::fetchers::{AT_ONCE, Fetchers, Request, next};
use super::server::{Server, TICK};
use super::{Pull, PullError};
use crate::delta::format::{ObjectKey, ObjectKind, PartHeader};
use crate::http::HttpError;
use crate::id::{DirMetaId, DirTreeId, Sha256};
use crate::kind::ErrorKind;
use crate::progress::{Event, Phase};
use crate::repo::{RepoError, Transaction};
use crate::store::StoreError;
use std::cmp::Reverse;
use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError, Sender, channel};

/// Objects that are asked for or being written at a time.
const OBJECTS: usize = 3 * AT_ONCE;
/// Parts of deltas, beside one for each worker. They take more memory.
const PARTS: usize = 2;

/// What there is to fetch.
#[derive(Debug, Clone)]
enum Task<'a> {
    /// An object. A directory has the path to it, that ends in `/`.
    Object(ObjectKey, String),
    Part(&'a Delta, usize),
}

/// A task's number: what other threads know of it.
type Ticket = usize;

enum Happened {
    Fetched(Ticket, Result<Vec<u8>, HttpError>),
    Stored(Ticket, Result<(), Rejected>),
}

/// What a worker gets.
struct Arrived<'a> {
    ticket: Ticket,
    what: What<'a>,
    bytes: Vec<u8>,
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
    /// Fetches the trees of commits, as far as [`Pull::subpaths`] wants them.
    pub(super) fn fetch(&self, deltas: &[&Delta], trees: &[CommitTree]) -> Result<Come, PullError> {
        let (happens, happened) = channel();
        let (work, queue) = channel::<Arrived<'_>>();
        let queue = Mutex::new(queue);
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let receivers = Receiver::several(self.transaction, workers);
        std::thread::scope(|scope| {
            for mut receiver in receivers {
                let (happens, queue) = (happens.clone(), &queue);
                scope.spawn(move || {
                    while let Some(arrived) = next(queue) {
                        let done = match arrived.what {
                            What::File(id) => receiver.archived(id.into(), &arrived.bytes),
                            What::Part(header) => receiver.part(header, &arrived.bytes),
                        };
                        let _ = happens.send(Happened::Stored(arrived.ticket, done));
                    }
                });
            }
            let deliver = move |ticket, answer| {
                let _ = happens.send(Happened::Fetched(ticket, answer));
            };
            let server = self.server;
            let fetchers =
                Fetchers::start(&server.http, &server.meter, &self.pull.progress, deliver);
            let mut walk = Walk {
                contents: self,
                fetchers,
                work,
                tasks: Vec::new(),
                todo: VecDeque::new(),
                seen: HashSet::new(),
                stored: HashSet::new(),
                come: Come::default(),
            };
            for delta in deltas {
                walk.delta(delta)?;
            }
            walk.run(&happened, workers + PARTS)?;
            for tree in trees {
                walk.need(key(ObjectKind::DirMeta, tree.meta.as_bytes()))?;
                if walk.opens(tree.tree, "/")? {
                    walk.entries(tree.tree, "/".to_owned())?;
                }
            }
            walk.run(&happened, OBJECTS)?;
            Ok(walk.come)
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
    /// By their tickets.
    tasks: Vec<Task<'a>>,
    todo: VecDeque<Task<'a>>,
    /// Objects that are here, or asked for; directories with their path where that decides.
    seen: HashSet<(ObjectKey, String)>,
    /// Objects that parts have brought.
    stored: HashSet<ObjectKey>,
    come: Come,
}

impl<'a> Walk<'a> {
    /// Does what there is to do, and what that leads to, with so much under way at a time.
    fn run(&mut self, happened: &mpsc::Receiver<Happened>, most: usize) -> Result<(), PullError> {
        let mut under_way = 0;
        loop {
            while under_way < most
                && let Some(task) = self.todo.pop_front()
            {
                let ticket = self.tasks.len();
                self.tasks.push(task.clone());
                under_way += 1;
                match inline(&task) {
                    Some(part) => {
                        self.arrived(ticket, Ok(part))?;
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
            match happened.recv_timeout(TICK) {
                Ok(Happened::Fetched(ticket, answer)) => {
                    if !self.arrived(ticket, answer)? {
                        under_way -= 1;
                    }
                }
                Ok(Happened::Stored(ticket, done)) => {
                    done.map_err(|why| self.rejected(ticket, why))?;
                    if let Task::Part(delta, index) = &self.tasks[ticket] {
                        self.come.parts += 1;
                        self.stored.extend(&delta.parts()[*index].objects);
                    }
                    under_way -= 1;
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
            Task::Part(delta, index) => server.delta(&delta.name, &index.to_string()),
            Task::Object(key, _) if key.kind == ObjectKind::File => server.file(key.checksum),
            Task::Object(key, _) => server.metadata(key.checksum, key.kind.as_str()),
        }
    }

    /// Takes what has come; says whether a worker has it now.
    fn arrived(
        &mut self,
        ticket: Ticket,
        answer: Result<Vec<u8>, HttpError>,
    ) -> Result<bool, PullError> {
        let task = self.tasks[ticket].clone();
        let bytes = match (answer, &task) {
            (Ok(bytes), _) => bytes,
            // The publisher may have made a newer one. The objects are still there.
            (Err(error), Task::Part(..)) if error.kind() == ErrorKind::NotFound => {
                return Ok(false);
            }
            (Err(error), _) => return Err(self.contents.server.failed(error)),
        };
        self.come.objects += 1;
        let what = match task {
            Task::Part(delta, index) => What::Part(&delta.parts()[index]),
            Task::Object(key, _) if key.kind == ObjectKind::File => What::File(key.checksum),
            Task::Object(key, path) => {
                let taken = arrive::metadata(self.contents.transaction.repo(), &key, &bytes);
                taken.map_err(|why| self.rejected(ticket, why))?;
                if key.kind == ObjectKind::DirTree {
                    self.entries(key.checksum.into(), path)?;
                }
                return Ok(false);
            }
        };
        // The workers end after this does.
        let _ = self.work.send(Arrived {
            ticket,
            what,
            bytes,
        });
        Ok(true)
    }

    fn rejected(&self, ticket: Ticket, why: Rejected) -> PullError {
        match why {
            Rejected::Content(problem) => match self.request(&self.tasks[ticket]) {
                Ok(request) => self.contents.server.refused(&request, problem),
                Err(error) => error,
            },
            Rejected::Store(StoreError::Repo(error)) => error.into(),
            Rejected::Store(error) => PullError::Store(error),
        }
    }

    /// Asks for the parts of a delta that make something new, and for what it leaves out. The
    /// largest come first: at the end no core waits long for another.
    fn delta(&mut self, delta: &'a Delta) -> Result<(), PullError> {
        let mut parts: Vec<_> = delta.parts().iter().enumerate().collect();
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
                self.todo.push_back(Task::Part(delta, index));
            }
        }
        let fallbacks = delta.superblock().map(|superblock| &superblock.fallbacks);
        for fallback in fallbacks.into_iter().flatten() {
            self.need(fallback.object)?;
        }
        Ok(())
    }

    /// Takes on a directory. Says whether it is here and is to be read now; it is asked for
    /// otherwise.
    fn opens(&mut self, tree: DirTreeId, path: &str) -> Result<bool, PullError> {
        let key = key(ObjectKind::DirTree, tree.as_bytes());
        // A directory counts once, or once for each path where the path decides.
        let place = match self.contents.pull.subpaths.is_empty() {
            true => String::new(),
            false => path.to_owned(),
        };
        if !self.seen.insert((key, place)) {
            return Ok(false);
        }
        let is_here = self.has(&key)?;
        if !is_here {
            self.todo.push_front(Task::Object(key, path.to_owned()));
        }
        Ok(is_here)
    }

    /// Goes through a directory that is here, and all that is below it and here.
    fn entries(&mut self, tree: DirTreeId, path: String) -> Result<(), PullError> {
        let mut open = vec![(tree, path)];
        while let Some((tree, path)) = open.pop() {
            let entries = self.contents.transaction.repo().dirtree(tree)?;
            for (name, file) in entries.files {
                if self.wants(&format!("{path}{name}")) {
                    self.need(key(ObjectKind::File, file.as_bytes()))?;
                }
            }
            for (name, tree, meta) in entries.dirs {
                let path = format!("{path}{name}/");
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
        if self.seen.insert((key, String::new())) && !self.has(&key)? {
            self.todo.push_back(Task::Object(key, String::new()));
        }
        Ok(())
    }

    fn has(&self, key: &ObjectKey) -> Result<bool, RepoError> {
        if self.stored.contains(key) {
            return Ok(true);
        }
        let (repo, id) = (self.contents.transaction.repo(), key.checksum.to_string());
        // Most of a tree is here after an upgrade's delta; libostree takes several times as long.
        if key.kind == ObjectKind::File && self.contents.transaction.has_bare(&id) {
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
