//! Writes a layer as a compressed tar, on every core.
//!
//! Workers read objects into pieces of the tar, in any order; the calling thread sorts the pieces,
//! hashes the tar, cuts it into frames of a fixed size, and has the workers compress them. The
//! boundaries of frames depend only on the tar, so that the bytes are the same for any number of
//! cores.

use super::super::ExportError;
use super::super::tree::{Node, Tree, read_leaf};
use super::OciError;
use super::frame::{Coding, Stream};
use super::target::Failure;
use crate::fs::context::IoContext;
use crate::fs::path::TreePath;
use crate::id::{CommitId, FileId, Sha256};
use crate::oci::{encapsulated, layer as format};
use crate::parallel;
use crate::progress::{Event, Phase, Progress};
use crate::repo::{Repo, RepoError};
use sha2::Digest;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

/// Size of a frame in uncompressed bytes. Larger frames hardly improve compression, and readers
/// decode frames in parallel.
const FRAME: usize = 8 << 20;
/// Number of entries that a worker reads at once.
const BATCH: usize = 2;
/// Maximum number of batches and frames in progress, per core.
const AHEAD: usize = 3;

/// Information about a layer that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    /// The digest of the uncompressed tar.
    pub(super) diff_id: Sha256,
    /// The size of the uncompressed tar in bytes.
    pub(super) bytes: u64,
}

/// The parts of a layer's tar, and the time of all of them in seconds since 1970.
pub(super) struct Parts {
    pub(super) list: Vec<Part>,
    pub(super) time: u64,
}

/// A part of a layer's tar.
pub(super) enum Part {
    /// An entry whose content is known already.
    Made(format::Entry, Vec<u8>),
    /// A file or symlink of the commit, to be read by a worker.
    Leaf(TreePath, FileId),
    /// A file in the form of an encapsulated commit; the object itself is stored once per layer.
    Object {
        path: TreePath,
        id: FileId,
        is_first: bool,
    },
}

/// Returns the parts of a layer commit's tree in plain form.
pub(super) fn plain(tree: &Tree) -> Vec<Part> {
    let parts = tree.entries.iter().map(|(path, node)| match *node {
        Node::Directory { mode } => {
            let node = format::Node::Directory { mode: mode & BITS };
            let path = path.clone();
            Part::Made(format::Entry { path, node }, Vec::new())
        }
        Node::Leaf(id) => Part::Leaf(path.clone(), id),
    });
    parts.collect()
}

enum Job {
    Read { at: usize, parts: Range<usize> },
    Compress { at: usize, tar: Vec<u8> },
}

enum Done {
    Read { at: usize, tar: Vec<u8> },
    Compressed { at: usize, frame: Vec<u8> },
    Failed(OciError),
}

/// Writes the compressed tar of a commit's parts.
pub(super) fn write(
    repo: &Repo,
    commit: CommitId,
    parts: &Parts,
    coding: Coding,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<Written, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (jobs, queue) = channel();
    let (done, results) = channel();
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        let bodies = (0..cores).map(|_| {
            let (queue, done, repo) = (&queue, done.clone(), repo.clone());
            move || work(&repo, commit, parts, coding, queue, &done)
        });
        let workers = parallel::spawn_workers(scope, bodies);
        workers
            .map_err(|error| Failure::Export(ExportError::from(RepoError::Thread(error)).into()))?;
        drop(done);
        // The scheduler owns the sender of jobs: dropping it ends the workers.
        let mut scheduler = Scheduler {
            jobs,
            out,
            item: commit.to_string(),
            commit,
            progress,
            sha256: sha2::Sha256::new(),
            bytes: 0,
            stream: Stream::new(coding),
            pending: Vec::new(),
            frames: 0,
            written: 0,
            tars: BTreeMap::new(),
            compressed: BTreeMap::new(),
        };
        let written = scheduler.run(parts.list.len(), cores * AHEAD, &results);
        drop(scheduler);
        written
    })
}

/// The state of the calling thread, which puts results in order.
struct Scheduler<'a> {
    jobs: Sender<Job>,
    out: &'a mut dyn Write,
    item: String,
    commit: CommitId,
    progress: &'a dyn Progress,
    sha256: sha2::Sha256,
    bytes: u64,
    /// The header and trailer around the frames.
    stream: Stream,
    /// Uncompressed bytes that are not in a frame yet.
    pending: Vec<u8>,
    /// The number of frames that were cut and that were written.
    frames: usize,
    written: usize,
    /// Results that arrived out of order.
    tars: BTreeMap<usize, Vec<u8>>,
    compressed: BTreeMap<usize, Vec<u8>>,
}

impl Scheduler<'_> {
    fn run(
        &mut self,
        parts: usize,
        ahead: usize,
        results: &Receiver<Done>,
    ) -> Result<Written, Failure> {
        self.out.write_all(self.stream.head())?;
        let batches = parts.div_ceil(BATCH);
        let (mut asked, mut read, mut ended) = (0, 0, false);
        loop {
            while asked < batches && (asked - read) + (self.frames - self.written) < ahead {
                let parts = asked * BATCH..parts.min((asked + 1) * BATCH);
                self.send(Job::Read { at: asked, parts })?;
                asked += 1;
            }
            if read == batches && !ended {
                self.take(&format::END)?;
                self.cut(self.pending.len())?;
                ended = true;
            }
            if ended && self.written == self.frames {
                break;
            }
            match results.recv().map_err(|_| worker_panicked())? {
                Done::Failed(error) => return Err(error.into()),
                Done::Read { at, tar } => {
                    self.tars.insert(at, tar);
                    while let Some(tar) = self.tars.remove(&read) {
                        read += 1;
                        self.take(&tar)?;
                    }
                }
                Done::Compressed { at, frame } => {
                    self.compressed.insert(at, frame);
                    while let Some(frame) = self.compressed.remove(&self.written) {
                        self.written += 1;
                        self.out.write_all(&frame)?;
                    }
                }
            }
        }
        self.out.write_all(&self.stream.tail())?;
        Ok(Written {
            diff_id: Sha256(std::mem::take(&mut self.sha256).finalize().into()),
            bytes: self.bytes,
        })
    }

    /// Adds the next bytes of the tar.
    fn take(&mut self, tar: &[u8]) -> Result<(), Failure> {
        if self.progress.is_cancelled() {
            let commit = self.commit;
            return Err(ExportError::Cancelled { commit }.into());
        }
        self.sha256.update(tar);
        self.stream.update(tar);
        self.bytes += tar.len() as u64;
        self.pending.extend_from_slice(tar);
        while self.pending.len() >= FRAME {
            self.cut(FRAME)?;
        }
        self.progress.event(&Event::Advanced {
            phase: Phase::Export,
            item: &self.item,
            done: self.bytes,
            total: None,
        });
        Ok(())
    }

    /// Sends the first pending bytes to be compressed as a frame.
    fn cut(&mut self, bytes: usize) -> Result<(), Failure> {
        let rest = self.pending.split_off(bytes);
        let tar = std::mem::replace(&mut self.pending, rest);
        let at = self.frames;
        self.frames += 1;
        self.send(Job::Compress { at, tar })
    }

    fn send(&self, job: Job) -> Result<(), Failure> {
        Ok(self.jobs.send(job).map_err(|_| worker_panicked())?)
    }
}

/// Returns an error for a worker that panicked; joining the threads propagates the panic.
fn worker_panicked() -> io::Error {
    io::Error::other("no worker is left")
}

fn work(
    repo: &Repo,
    commit: CommitId,
    parts: &Parts,
    coding: Coding,
    queue: &Mutex<Receiver<Job>>,
    done: &Sender<Done>,
) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let result = match job {
            Err(_) => return,
            Ok(Job::Read { at, parts: range }) => {
                read(repo, commit, &parts.list[range], parts.time).map(|tar| Done::Read { at, tar })
            }
            Ok(Job::Compress { at, tar }) => coding
                .frame(&tar)
                .map(|frame| Done::Compressed { at, frame })
                .context("compress", "a layer")
                .map_err(|failure| ExportError::from(failure).into()),
        };
        if done.send(result.unwrap_or_else(Done::Failed)).is_err() {
            return;
        }
    }
}

/// Builds the tar of some parts.
fn read(repo: &Repo, commit: CommitId, parts: &[Part], time: u64) -> Result<Vec<u8>, OciError> {
    let mut tar = Vec::new();
    let mut write = |entry: &format::Entry, content: &[u8]| {
        format::write_at(&mut tar, entry, content, time).context("write", "a layer")
    };
    for part in parts {
        match part {
            Part::Made(entry, content) => write(entry, content)?,
            Part::Leaf(path, id) => {
                let (node, content) = leaf(repo, commit, path, *id)?;
                let path = path.clone();
                write(&format::Entry { path, node }, &content)?;
            }
            Part::Object { path, id, is_first } => {
                let (node, content) = leaf(repo, commit, path, *id)?;
                let link = encapsulated::in_tree(path, *id, &node);
                if *is_first {
                    write(&encapsulated::xattrs_link(*id), &[])?;
                    let path = encapsulated::file_object(*id);
                    write(&format::Entry { path, node }, &content)?;
                }
                write(&link, &[])?;
            }
        }
    }
    Ok(tar)
}

/// Reads a file or symlink, checks it, and returns its content.
fn leaf(
    repo: &Repo,
    commit: CommitId,
    path: &TreePath,
    id: FileId,
) -> Result<(format::Node, Vec<u8>), OciError> {
    let leaf = read_leaf(repo, path, id)?;
    let header = leaf.header;
    if (header.uid, header.gid) != (0, 0) || !header.xattrs.is_empty() {
        let path = path.clone();
        return Err(OciError::Owned { commit, path });
    }
    let node = match header.is_symlink() {
        true => format::Node::Symlink {
            target: header.target,
        },
        false => format::Node::File {
            mode: header.mode & BITS,
            size: leaf.content.len() as u64,
        },
    };
    Ok((node, leaf.content))
}

/// Mask of the permission bits of a mode.
pub(super) const BITS: u32 = 0o7777;
