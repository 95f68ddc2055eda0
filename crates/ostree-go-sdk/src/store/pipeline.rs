//! From a stream of files to durable objects, on every core.

use super::budget::{Budget, Share};
use super::{Content, ObjectWriter, StoreError};
use crate::failpoint;
use crate::id::{FileId, Sha256};
use crate::object::{FileHasher, FileHeader};
use sha2::Digest;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Bytes of files that wait for or are with a worker.
const IN_FLIGHT: u64 = 64 << 20;
/// Files that wait for a worker.
const QUEUE: usize = 256;

/// A file for the pipeline. `tag` is the producer's own and comes back with the result.
#[derive(Debug)]
pub(crate) struct Incoming<T> {
    pub(crate) tag: T,
    pub(crate) header: FileHeader,
    pub(crate) content: Content,
    /// Whether it belongs in the repository; if not it is only hashed.
    pub(crate) store: bool,
}

/// A file that went through the pipeline.
#[derive(Debug)]
pub(crate) struct Written<T> {
    pub(crate) tag: T,
    pub(crate) header: FileHeader,
    pub(crate) id: FileId,
    /// SHA-256 of the content alone.
    pub(crate) sha256: Sha256,
    pub(crate) size: u64,
    /// Whether the repository did not have the object before.
    pub(crate) new: bool,
}

/// Where the producer puts files.
pub(crate) struct Sink<'p, T> {
    jobs: SyncSender<Job<'p, T>>,
    budget: &'p Budget,
    failed: &'p AtomicBool,
}

struct Job<'p, T> {
    file: Incoming<T>,
    _share: Share<'p>,
}

impl<T> Sink<'_, T> {
    /// Hands a file on, waiting while too much is under way. Says `false` once a worker has
    /// failed: whatever else is put is then thrown away, and the producer should return.
    pub(crate) fn put(&self, file: Incoming<T>) -> bool {
        let share = self.budget.take(file.content.in_memory());
        let sent = self.jobs.send(Job {
            file,
            _share: share,
        });
        sent.is_ok() && !self.failed.load(Ordering::Relaxed)
    }
}

/// Runs `produce` on this thread and a worker per writer beside it. The results come in no
/// particular order.
///
/// # Errors
/// A worker's error; else the producer's.
pub(crate) fn write_files<T, W, E>(
    writers: Vec<W>,
    produce: impl FnOnce(&Sink<'_, T>) -> Result<(), E>,
) -> Result<Vec<Written<T>>, E>
where
    T: Send,
    W: ObjectWriter,
    E: From<StoreError>,
{
    let budget = Budget::new(IN_FLIGHT);
    let failed = AtomicBool::new(false);
    let claimed = Claimed::default();
    let (jobs, queue) = sync_channel(QUEUE);
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        let workers: Vec<_> = writers
            .into_iter()
            .map(|writer| {
                let (queue, failed, claimed) = (&queue, &failed, &claimed);
                scope.spawn(move || work(writer, queue, failed, claimed))
            })
            .collect();
        let sink = Sink {
            jobs,
            budget: &budget,
            failed: &failed,
        };
        let produced = produce(&sink);
        drop(sink);
        let mut written = Vec::new();
        for worker in workers {
            let done = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written.extend(done?);
        }
        produced.map(|()| written)
    })
}

/// Takes files until there are no more. After a failure it goes on taking and dropping them,
/// so that the producer never waits for room that nobody makes.
fn work<T, W: ObjectWriter>(
    mut writer: W,
    queue: &Mutex<Receiver<Job<'_, T>>>,
    failed: &AtomicBool,
    claimed: &Claimed,
) -> Result<Vec<Written<T>>, StoreError> {
    let mut written = Ok(Vec::new());
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return written };
        let Ok(done) = &mut written else { continue };
        match store(&mut writer, job.file, claimed) {
            Ok(file) => done.push(file),
            Err(error) => {
                failed.store(true, Ordering::Relaxed);
                written = Err(error);
            }
        }
    }
}

/// The objects that some worker has taken on. Two files of one content are one object, written
/// and counted once.
type Claimed = Mutex<HashSet<FileId>>;

fn store<T, W: ObjectWriter>(
    writer: &mut W,
    file: Incoming<T>,
    claimed: &Claimed,
) -> Result<Written<T>, StoreError> {
    let mut object = FileHasher::new(&file.header);
    let mut plain = sha2::Sha256::new();
    let read = file.content.for_each(|bytes| {
        object.update(bytes);
        plain.update(bytes);
        Ok(())
    });
    read.map_err(|source| StoreError::Spool {
        path: "the repository's tmp".into(),
        source,
    })?;
    let id = object.finish();
    let claim = || {
        claimed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id)
    };
    let new = file.store && claim() && !writer.has(id)?;
    if new {
        writer.write(id, &file.header, &file.content)?;
        failpoint::hit("compose.object-written");
    }
    Ok(Written {
        tag: file.tag,
        header: file.header,
        id,
        sha256: Sha256(plain.finalize().into()),
        size: file.content.len(),
        new,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    struct Fake {
        fails_on: Option<FileId>,
        seen: Arc<Mutex<Vec<FileId>>>,
    }

    impl ObjectWriter for Fake {
        fn has(&self, id: FileId) -> Result<bool, StoreError> {
            Ok(self.seen.lock().unwrap().contains(&id))
        }

        fn write(&mut self, id: FileId, _: &FileHeader, _: &Content) -> Result<(), StoreError> {
            if self.fails_on == Some(id) {
                return Err(broken());
            }
            self.seen.lock().unwrap().push(id);
            Ok(())
        }
    }

    fn broken() -> StoreError {
        StoreError::Spool {
            path: "/tmp".into(),
            source: std::io::Error::other("broken"),
        }
    }

    fn file(tag: u32) -> Incoming<u32> {
        Incoming {
            tag,
            header: FileHeader::Regular { executable: false },
            content: (tag % 1500).to_be_bytes().to_vec().into(),
            store: tag.is_multiple_of(2),
        }
    }

    fn run(fails_on: Option<FileId>) -> (Result<Vec<Written<u32>>, StoreError>, usize) {
        let seen = Arc::<Mutex<Vec<FileId>>>::default();
        let writer = || Fake {
            fails_on,
            seen: seen.clone(),
        };
        let result = write_files(vec![writer(), writer(), writer()], |sink| {
            for tag in 0..2000 {
                if !sink.put(file(tag)) {
                    break;
                }
            }
            Ok(())
        });
        let seen = seen.lock().unwrap().len();
        (result, seen)
    }

    #[test]
    fn every_file_comes_back_once_and_only_the_wanted_are_stored() {
        let (written, stored) = run(None);
        let mut tags: Vec<u32> = written.unwrap().iter().map(|w| w.tag).collect();
        tags.sort_unstable();
        assert_eq!(tags, (0..2000).collect::<Vec<_>>());
        // Of the even ones, 1500 to 1998 have the content of 0 to 498.
        assert_eq!(stored, 750);
    }

    #[test]
    fn a_failing_worker_ends_the_run_without_a_deadlock() {
        let mut hasher = FileHasher::new(&FileHeader::Regular { executable: false });
        hasher.update(&10u32.to_be_bytes());
        let (result, _) = run(Some(hasher.finish()));
        assert!(matches!(result, Err(StoreError::Spool { .. })));
    }
}
