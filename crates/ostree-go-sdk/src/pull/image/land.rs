//! From the streams of layers to objects in the repository, on every core.
//!
//! A thread for each layer that is under way reads its blob, decodes it and cuts it into files.
//! Workers hash these and write those that the repository lacks. What waits between them is
//! bounded, and so is the memory.

use super::blob::Blob;
use super::manifest::Layer;
use crate::fs::path::TreePath;
use crate::id::FileId;
use crate::object::{FileHasher, FileHeader, Leaf, LeafKind, Tree};
use crate::oci::tar::{Entry, LayerQuota, LayerReadError, Reader};
use crate::parallel;
use crate::progress::Progress;
use crate::pull::PullError;
use crate::pull::fetchers::next;
use crate::repo::{RepoError, Transaction};
use crate::store::{self, Budget, BudgetGuard, Content, ObjectWriter, StoreError};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Bytes of files that wait for or are with a worker.
const IN_FLIGHT: u64 = 64 << 20;
/// Files that wait for a worker.
const QUEUE: usize = 256;
/// Layers that come at a time.
const MOST_LAYERS: usize = 4;

/// What has come.
pub(super) struct Landing {
    /// The trees of the layers that came whole, in their order. Nobody has compared them with
    /// commits.
    pub(super) trees: Vec<Option<Tree>>,
    /// Objects that the repository did not have.
    pub(super) objects: u64,
    /// Why the others did not.
    pub(super) failed: Option<PullError>,
}

/// A file or symlink on its way.
struct Job<'b> {
    layer: usize,
    path: TreePath,
    header: FileHeader,
    content: Content,
    _share: BudgetGuard<'b>,
}

/// What a worker has done.
#[derive(Default)]
struct Done {
    leaves: Vec<(usize, TreePath, Leaf)>,
    new: u64,
}

/// What all threads share.
struct Shared<'b> {
    budget: &'b Budget,
    /// Whether something went wrong, so that nothing more is to be begun.
    failed: AtomicBool,
    /// The objects that some worker has taken on.
    claimed: Mutex<HashSet<FileId>>,
    spool_in: PathBuf,
    /// What the archives of all layers may have together.
    quota: LayerQuota,
    progress: &'b dyn Progress,
}

/// Brings layers' files into a transaction. `open` begins to fetch one.
pub(super) fn land<'o>(
    progress: &dyn Progress,
    transaction: &Transaction<'_>,
    layers: &[&Layer],
    open: &(dyn Fn(&Layer) -> Result<Blob<'o>, PullError> + Sync),
) -> Landing {
    let budget = Budget::new(IN_FLIGHT);
    let shared = Shared {
        budget: &budget,
        failed: AtomicBool::new(false),
        claimed: Mutex::default(),
        spool_in: transaction.repo().path().join("tmp"),
        quota: LayerQuota::default(),
        progress,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (jobs, queue) = sync_channel(QUEUE);
    let queue = Mutex::new(queue);
    let taken = AtomicUsize::new(0);
    let writers = store::writers(transaction, cores);
    std::thread::scope(|scope| {
        let bodies = writers.into_iter().map(|writer| {
            let (queue, shared) = (&queue, &shared);
            move || work(writer, queue, shared)
        });
        let workers = match parallel::spawn_workers(scope, bodies) {
            Ok(workers) => workers,
            Err(error) => return Landing::failed(layers, error),
        };
        let bodies = (0..cores.clamp(2, MOST_LAYERS).min(layers.len())).map(|_| {
            let (jobs, taken, shared) = (jobs.clone(), &taken, &shared);
            move || {
                let mut done = Vec::new();
                while let Some((index, layer)) = take(layers, taken, shared) {
                    let read = bring(index, layer, open, &jobs, shared);
                    if read.is_err() {
                        shared.failed.store(true, Ordering::Relaxed);
                    }
                    done.push((index, read));
                }
                done
            }
        });
        let readers = parallel::spawn_workers(scope, bodies);
        drop(jobs);
        let readers = match readers {
            Ok(readers) => readers,
            // The workers end, for nobody has a job for them.
            Err(error) => return Landing::failed(layers, error),
        };
        let mut landing = Landing {
            trees: layers.iter().map(|_| None).collect(),
            objects: 0,
            failed: None,
        };
        for reader in readers {
            for (index, read) in joined(reader.join()) {
                match read {
                    Ok(tree) => landing.trees[index] = tree,
                    Err(error) => landing.failed = landing.failed.or(Some(error)),
                }
            }
        }
        for worker in workers {
            match joined(worker.join()) {
                Ok(done) => {
                    landing.objects += done.new;
                    for (layer, path, leaf) in done.leaves {
                        if let Some(tree) = &mut landing.trees[layer] {
                            // The reader let no path come twice.
                            let _ = tree.insert(&path, leaf);
                        }
                    }
                }
                // Some file of each layer may be missing.
                Err(error) => {
                    landing.trees.fill_with(|| None);
                    landing.failed = Some(match error {
                        StoreError::Repo(error) => error.into(),
                        error => PullError::Store(error),
                    });
                }
            }
        }
        landing
    })
}

impl Landing {
    /// Nothing has landed, for the system makes no threads.
    fn failed(layers: &[&Layer], error: io::Error) -> Self {
        Self {
            trees: layers.iter().map(|_| None).collect(),
            objects: 0,
            failed: Some(RepoError::Thread(error).into()),
        }
    }
}

fn joined<T>(joined: std::thread::Result<T>) -> T {
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The next layer that nobody has begun.
fn take<'l>(
    layers: &[&'l Layer],
    taken: &AtomicUsize,
    shared: &Shared<'_>,
) -> Option<(usize, &'l Layer)> {
    if shared.failed.load(Ordering::Relaxed) {
        return None;
    }
    let index = taken.fetch_add(1, Ordering::Relaxed);
    layers.get(index).map(|layer| (index, *layer))
}

/// Reads a layer to its end and hands its files on. Returns the tree of its directories; `None`
/// when it was left because something else went wrong.
fn bring<'b, 'o>(
    index: usize,
    layer: &Layer,
    open: &(dyn Fn(&Layer) -> Result<Blob<'o>, PullError> + Sync),
    jobs: &SyncSender<Job<'b>>,
    shared: &Shared<'b>,
) -> Result<Option<Tree>, PullError> {
    let mut blob = open(layer)?;
    let is_stopped = || shared.progress.is_cancelled() || shared.failed.load(Ordering::Relaxed);
    let cut = blob
        .decoded(layer, &is_stopped)
        .map_err(LayerReadError::Read)
        .and_then(|decoded| cut(index, Reader::new(decoded, &shared.quota), jobs, shared));
    if shared.progress.is_cancelled() {
        return Err(PullError::Cancelled);
    }
    if cut.is_err() && shared.failed.load(Ordering::Relaxed) {
        return Ok(None);
    }
    match cut {
        Ok(Some(tree)) => blob.finish().map(|()| Some(tree)),
        Ok(None) => Ok(None),
        Err(stop) => Err(blob.explain(stop)),
    }
}

/// Cuts an archive into files.
fn cut<'b>(
    layer: usize,
    mut archive: Reader<'_, impl std::io::Read>,
    jobs: &SyncSender<Job<'b>>,
    shared: &Shared<'b>,
) -> Result<Option<Tree>, LayerReadError> {
    let mut tree = Tree::default();
    while let Some(entry) = archive.next()? {
        let (path, header, size) = match entry {
            Entry::Directory(path) => {
                // Its place was checked.
                let _ = tree.insert_directory(&path);
                continue;
            }
            Entry::File(path, header, size) => (path, header, size),
            Entry::Symlink(path, header) => (path, header, 0),
        };
        let share = shared.budget.take(Content::max_memory(size));
        let mut content = archive.content(size);
        let content = Content::read(&mut content, size, &shared.spool_in)?;
        if content.len() != size {
            return Err(LayerReadError::Read(
                std::io::ErrorKind::UnexpectedEof.into(),
            ));
        }
        let sent = jobs.send(Job {
            layer,
            path,
            header,
            content,
            _share: share,
        });
        if sent.is_err() || shared.failed.load(Ordering::Relaxed) {
            return Ok(None);
        }
    }
    Ok(Some(tree))
}

/// Takes files until there are no more. After a failure it goes on taking and dropping them, so
/// that nobody waits for room that nobody makes.
fn work<'b>(
    mut writer: Box<dyn ObjectWriter>,
    queue: &Mutex<Receiver<Job<'b>>>,
    shared: &Shared<'b>,
) -> Result<Done, StoreError> {
    let mut result = Ok(Done::default());
    while let Some(job) = next(queue) {
        let Ok(done) = &mut result else { continue };
        match put(writer.as_mut(), job, shared, done) {
            Ok(()) => {}
            Err(error) => {
                shared.failed.store(true, Ordering::Relaxed);
                result = Err(error);
            }
        }
    }
    result
}

/// Hashes a file, and writes it unless it is there.
fn put(
    writer: &mut dyn ObjectWriter,
    job: Job<'_>,
    shared: &Shared<'_>,
    done: &mut Done,
) -> Result<(), StoreError> {
    let mut hasher = FileHasher::new(&job.header);
    job.content
        .for_each(|bytes| {
            hasher.update(bytes);
            Ok(())
        })
        .map_err(|source| spool(&shared.spool_in, source))?;
    let id = hasher.finish();
    let is_first = {
        let mut claimed = shared
            .claimed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        claimed.insert(id)
    };
    if is_first && !writer.has(id)? {
        writer.write(id, &job.header, &job.content)?;
        done.new += 1;
    }
    let leaf = Leaf {
        id,
        size: job.content.len(),
        kind: LeafKind::from(&job.header),
    };
    done.leaves.push((job.layer, job.path, leaf));
    Ok(())
}

fn spool(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Spool {
        path: path.to_owned(),
        source,
    }
}
