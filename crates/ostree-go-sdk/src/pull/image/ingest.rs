//! Stores the files of layers as objects in the repository, on all cores.
//!
//! One thread for each layer in progress reads its blob, decompresses it and splits it into files.
//! Workers hash the files and write those that are missing in the repository. The queue between
//! them and its memory are limited.

use super::blob::Blob;
use super::manifest::Layer;
use crate::fs::path::TreePath;
use crate::id::FileId;
use crate::object::{FileHasher, FileHeader, Leaf, LeafKind, Tree};
use crate::oci::go_cache::{ACTION_SIZE, RestoredStdCache, not_in_a_build_cache};
use crate::oci::tar::{Entry, LayerQuota, LayerReadError, Reader};
use crate::parallel::{self, next_job};
use crate::progress::Progress;
use crate::pull::PullError;
use crate::repo::{RepoError, Transaction};
use crate::store::{self, Budget, BudgetGuard, Content, ObjectWriter, StoreError};
use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Memory for files that are queued or being written, in bytes.
const FILE_MEMORY: u64 = 64 << 20;
/// Maximum number of files in the queue.
const MAX_QUEUED_FILES: usize = 256;
/// Maximum number of layers that are read at the same time.
const MAX_LAYERS: usize = 4;

/// The result of [`ingest_layers`].
pub(super) struct IngestedLayers {
    /// The trees of the layers that were read completely, in the order of the layers; `None` for
    /// the others. They have not been compared with the commits.
    pub(super) trees: Vec<Option<Tree>>,
    /// The number of objects that were missing in the repository.
    pub(super) objects: u64,
    /// The error, if a layer or a worker failed.
    pub(super) failed: Option<PullError>,
}

/// A file or symlink to be written.
struct Job<'b> {
    layer: usize,
    path: TreePath,
    header: FileHeader,
    content: Content,
    _share: BudgetGuard<'b>,
}

/// The result of a worker.
#[derive(Default)]
struct WorkerResult {
    leaves: Vec<(usize, TreePath, Leaf)>,
    new: u64,
}

/// State shared by all threads.
struct Shared<'b> {
    budget: &'b Budget,
    /// Set after an error, so that no further layers are started.
    failed: AtomicBool,
    /// The objects that a worker has written or is writing.
    claimed: Mutex<HashSet<FileId>>,
    spool_in: PathBuf,
    /// The limits for the archives of all layers together.
    quota: LayerQuota,
    progress: &'b dyn Progress,
}

/// Reads layers and writes their files into a transaction. `open` starts to fetch a layer.
pub(super) fn ingest_layers<'o>(
    progress: &dyn Progress,
    transaction: &Transaction<'_>,
    layers: &[&Layer],
    open: &(dyn Fn(&Layer) -> Result<Blob<'o>, PullError> + Sync),
) -> IngestedLayers {
    let budget = Budget::new(FILE_MEMORY);
    let shared = Shared {
        budget: &budget,
        failed: AtomicBool::new(false),
        claimed: Mutex::default(),
        spool_in: transaction.repo().path().join("tmp"),
        quota: LayerQuota::default(),
        progress,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (jobs, queue) = sync_channel(MAX_QUEUED_FILES);
    let queue = Mutex::new(queue);
    let next_index = AtomicUsize::new(0);
    let writers = store::writers(transaction, cores);
    std::thread::scope(|scope| {
        let bodies = writers.into_iter().map(|writer| {
            let (queue, shared) = (&queue, &shared);
            move || run_worker(writer, queue, shared)
        });
        let workers = match parallel::spawn_workers(scope, bodies) {
            Ok(workers) => workers,
            Err(error) => return IngestedLayers::failed(layers, error),
        };
        let bodies = (0..cores.clamp(2, MAX_LAYERS).min(layers.len())).map(|_| {
            let (jobs, next_index, shared) = (jobs.clone(), &next_index, &shared);
            move || {
                let mut results = Vec::new();
                while let Some((index, layer)) = next_layer(layers, next_index, shared) {
                    let read = read_layer(index, layer, open, &jobs, shared);
                    if read.is_err() {
                        shared.failed.store(true, Ordering::Relaxed);
                    }
                    results.push((index, read));
                }
                results
            }
        });
        let readers = parallel::spawn_workers(scope, bodies);
        drop(jobs);
        let readers = match readers {
            Ok(readers) => readers,
            // The workers end, because the sender of jobs is dropped.
            Err(error) => return IngestedLayers::failed(layers, error),
        };
        let mut ingested = IngestedLayers {
            trees: layers.iter().map(|_| None).collect(),
            objects: 0,
            failed: None,
        };
        for reader in readers {
            for (index, read) in join_result(reader.join()) {
                match read {
                    Ok(tree) => ingested.trees[index] = tree,
                    Err(error) => ingested.failed = ingested.failed.or(Some(error)),
                }
            }
        }
        for worker in workers {
            match join_result(worker.join()) {
                Ok(results) => {
                    ingested.objects += results.new;
                    for (layer, path, leaf) in results.leaves {
                        if let Some(tree) = &mut ingested.trees[layer] {
                            // The archive reader rejects duplicate paths.
                            let _ = tree.insert(&path, leaf);
                        }
                    }
                }
                // Files of any layer may be missing.
                Err(error) => {
                    ingested.trees.fill_with(|| None);
                    ingested.failed = Some(match error {
                        StoreError::Repo(error) => error.into(),
                        error => PullError::Store(error),
                    });
                }
            }
        }
        ingested
    })
}

impl IngestedLayers {
    /// Returns the result if the threads cannot be created.
    fn failed(layers: &[&Layer], error: io::Error) -> Self {
        Self {
            trees: layers.iter().map(|_| None).collect(),
            objects: 0,
            failed: Some(RepoError::Thread(error).into()),
        }
    }
}

fn join_result<T>(join_result: std::thread::Result<T>) -> T {
    join_result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Returns the next layer that no thread has started.
fn next_layer<'l>(
    layers: &[&'l Layer],
    next_index: &AtomicUsize,
    shared: &Shared<'_>,
) -> Option<(usize, &'l Layer)> {
    if shared.failed.load(Ordering::Relaxed) {
        return None;
    }
    let index = next_index.fetch_add(1, Ordering::Relaxed);
    layers.get(index).map(|layer| (index, *layer))
}

/// Reads a layer completely and queues its files. Returns the tree of its directories; `None` if
/// reading was stopped because of another error.
fn read_layer<'b, 'o>(
    index: usize,
    layer: &Layer,
    open: &(dyn Fn(&Layer) -> Result<Blob<'o>, PullError> + Sync),
    jobs: &SyncSender<Job<'b>>,
    shared: &Shared<'b>,
) -> Result<Option<Tree>, PullError> {
    let mut blob = open(layer)?;
    let is_stopped = || shared.progress.is_cancelled() || shared.failed.load(Ordering::Relaxed);
    let tree = blob
        .decode(layer, &is_stopped)
        .map_err(LayerReadError::Read)
        .and_then(|decoded| {
            let archive = Reader::new(decoded, &shared.quota);
            let queue = Queue {
                layer: index,
                jobs,
                shared,
            };
            match &layer.std_cache_dir {
                None => split_archive(archive, &queue),
                Some(dir) => restore_std_cache(dir, archive.shared_directories(true), &queue),
            }
        });
    if shared.progress.is_cancelled() {
        return Err(PullError::Cancelled);
    }
    if tree.is_err() && shared.failed.load(Ordering::Relaxed) {
        return Ok(None);
    }
    match tree {
        Ok(Some(tree)) => blob.finish().map(|()| Some(tree)),
        Ok(None) => Ok(None),
        Err(error) => Err(blob.read_failure(error)),
    }
}

/// The queue for the files of one layer.
struct Queue<'q, 'b> {
    layer: usize,
    jobs: &'q SyncSender<Job<'b>>,
    shared: &'q Shared<'b>,
}

impl<'b> Queue<'_, 'b> {
    /// Reads a file of `size` bytes, and queues it. Returns false if reading is to be stopped because of
    /// another error.
    fn put(
        &self,
        path: TreePath,
        header: FileHeader,
        size: u64,
        input: &mut dyn Read,
    ) -> Result<bool, LayerReadError> {
        let shared = self.shared;
        let share = shared.budget.take(Content::max_memory(size));
        let content = Content::read(input, size, &shared.spool_in)?;
        if content.len() != size {
            return Err(LayerReadError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        let sent = self.jobs.send(Job {
            layer: self.layer,
            path,
            header,
            content,
            _share: share,
        });
        Ok(sent.is_ok() && !shared.failed.load(Ordering::Relaxed))
    }
}

/// Splits an archive into files, and queues them.
fn split_archive(
    mut archive: Reader<'_, impl Read>,
    queue: &Queue<'_, '_>,
) -> Result<Option<Tree>, LayerReadError> {
    let mut tree = Tree::default();
    while let Some(entry) = archive.next()? {
        let (path, header, size) = match entry {
            Entry::Directory(path) => {
                // The archive reader has checked the path.
                let _ = tree.insert_directory(&path);
                continue;
            }
            Entry::File(path, header, size) => (path, header, size),
            Entry::Symlink(path, header) => (path, header, 0),
        };
        if !queue.put(path, header, size, &mut archive.content(size))? {
            return Ok(None);
        }
    }
    Ok(Some(tree))
}

/// Restores a std cache from an archive with a build cache, and queues its files: the outputs under their
/// names in the std cache, and the index, which is made from the files of the actions.
fn restore_std_cache(
    dir: &TreePath,
    mut archive: Reader<'_, impl Read>,
    queue: &Queue<'_, '_>,
) -> Result<Option<Tree>, LayerReadError> {
    let mut cache = RestoredStdCache::new(dir.clone());
    while let Some(entry) = archive.next()? {
        let (path, header, size) = match entry {
            // Directories follow from the files.
            Entry::Directory(_) => continue,
            Entry::File(path, header, size) => (path, header, size),
            Entry::Symlink(path, _) => {
                return Err(LayerReadError::Refused(not_in_a_build_cache(&path)));
            }
        };
        if let Some(path) = cache.output(&path) {
            if !queue.put(path, header, size, &mut archive.content(size))? {
                return Ok(None);
            }
            continue;
        }
        if size != ACTION_SIZE {
            return Err(LayerReadError::Refused(not_in_a_build_cache(&path)));
        }
        let mut text = Vec::new();
        archive.content(size).read_to_end(&mut text)?;
        let added = cache.add_action(&path, &text);
        added.map_err(LayerReadError::Refused)?;
    }
    let (path, index) = cache.index();
    let header = FileHeader::Regular { executable: false };
    let size = index.len() as u64;
    let queued = queue.put(path, header, size, &mut &*index)?;
    Ok(queued.then(Tree::default))
}

/// Writes queued files until the queue is closed. After an error, files are still received and
/// dropped, so that readers do not wait forever for space in the queue or for memory.
fn run_worker<'b>(
    mut writer: Box<dyn ObjectWriter>,
    queue: &Mutex<Receiver<Job<'b>>>,
    shared: &Shared<'b>,
) -> Result<WorkerResult, StoreError> {
    let mut result = Ok(WorkerResult::default());
    while let Some(job) = next_job(queue) {
        let Ok(results) = &mut result else { continue };
        match store_file(writer.as_mut(), job, shared, results) {
            Ok(()) => {}
            Err(error) => {
                shared.failed.store(true, Ordering::Relaxed);
                result = Err(error);
            }
        }
    }
    result
}

/// Hashes a file, and writes it unless the repository has it.
fn store_file(
    writer: &mut dyn ObjectWriter,
    job: Job<'_>,
    shared: &Shared<'_>,
    results: &mut WorkerResult,
) -> Result<(), StoreError> {
    let mut hasher = FileHasher::new(&job.header);
    job.content
        .for_each(|bytes| {
            hasher.update(bytes);
            Ok(())
        })
        .map_err(|source| spool_error(&shared.spool_in, source))?;
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
        results.new += 1;
    }
    let leaf = Leaf {
        id,
        size: job.content.len(),
        kind: LeafKind::from(&job.header),
    };
    results.leaves.push((job.layer, job.path, leaf));
    Ok(())
}

fn spool_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Spool {
        path: path.to_owned(),
        source,
    }
}
