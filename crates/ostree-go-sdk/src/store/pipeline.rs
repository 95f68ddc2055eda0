//! Hashes and writes a sequence of files on all cores.

use super::budget::{Budget, BudgetGuard};
use super::{Content, ObjectWriter, StoreError};
use crate::failpoint;
use crate::id::{FileId, Sha256};
use crate::object::{FileHasher, FileHeader};
use crate::parallel;
use crate::repo::RepoError;
use sha2::Digest;
use std::cell::Cell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Maximum number of bytes of files in the queue and with workers.
const IN_FLIGHT: u64 = 64 << 20;
/// Maximum number of files in the queue.
const QUEUE: usize = 256;

/// A file for the pipeline. `tag` is a value of the producer that is returned with the result.
pub(crate) struct Incoming<'p, T, E> {
    pub(crate) tag: T,
    pub(crate) header: FileHeader,
    pub(crate) content: Bytes<'p, E>,
    /// True if the file has to be written to the repository; otherwise it is only hashed.
    pub(crate) store: bool,
}

/// The content of a file for the pipeline.
pub(crate) enum Bytes<'p, E> {
    /// Content that was read.
    Ready(Content),
    /// Content that the worker reads.
    Deferred {
        /// The size in bytes, as for [`Content::read`].
        size: u64,
        read: Box<dyn FnOnce() -> Result<Content, E> + Send + 'p>,
    },
}

impl<E> Bytes<'_, E> {
    /// Returns the memory that the content uses until it is written, in bytes.
    fn memory(&self) -> u64 {
        match self {
            Self::Ready(content) => content.memory(),
            Self::Deferred { size, .. } => Content::max_memory(*size),
        }
    }
}

/// The result for a file.
#[derive(Debug)]
pub(crate) struct Written<T> {
    pub(crate) tag: T,
    pub(crate) header: FileHeader,
    pub(crate) id: FileId,
    /// The SHA-256 digest of the content without the header.
    pub(crate) sha256: Sha256,
    pub(crate) size: u64,
    /// True if the repository did not have the object before.
    pub(crate) new: bool,
}

/// The input of the pipeline.
pub(crate) struct Sink<'p, 'b, T, E> {
    jobs: SyncSender<Job<'p, 'b, T, E>>,
    count: Cell<u64>,
    budget: &'b Budget,
    failed: &'b AtomicBool,
}

struct Job<'p, 'b, T, E> {
    /// The number of files before this one.
    number: u64,
    file: Incoming<'p, T, E>,
    _share: BudgetGuard<'b>,
}

impl<'p, T, E> Sink<'p, '_, T, E> {
    /// Passes a file to the workers, and waits while the limits are exceeded. Returns false after a
    /// worker has failed: the producer should then return, because all further files are dropped.
    pub(crate) fn put(&self, file: Incoming<'p, T, E>) -> bool {
        let share = self.budget.take(file.content.memory());
        let number = self.count.get();
        self.count.set(number + 1);
        let sent = self.jobs.send(Job {
            number,
            file,
            _share: share,
        });
        sent.is_ok() && !self.failed.load(Ordering::Relaxed)
    }

    /// Drops the files that no worker has begun with. To be used by a producer that fails because
    /// the operation is cancelled.
    pub(crate) fn abandon(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

/// Runs `produce` on this thread, and one worker thread per writer. Returns the results in
/// arbitrary order.
///
/// # Errors
/// Returns the error of the first failed file in the order of the producer, regardless of the order
/// in which workers failed; otherwise the error of the producer.
pub(crate) fn write_files<'p, T, W, E>(
    writers: Vec<W>,
    produce: impl FnOnce(&Sink<'p, '_, T, E>) -> Result<(), E>,
) -> Result<Vec<Written<T>>, E>
where
    T: Send,
    W: ObjectWriter,
    E: From<StoreError> + Send,
{
    let budget = Budget::new(IN_FLIGHT);
    let failed = AtomicBool::new(false);
    let claimed = Claimed::default();
    let (jobs, queue) = sync_channel(QUEUE);
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        let bodies = writers.into_iter().map(|writer| {
            let (queue, failed, claimed) = (&queue, &failed, &claimed);
            move || work(writer, queue, failed, claimed)
        });
        let workers = parallel::spawn_workers(scope, bodies)
            .map_err(|error| StoreError::Repo(RepoError::Thread(error)))?;
        let sink = Sink {
            jobs,
            count: Cell::new(0),
            budget: &budget,
            failed: &failed,
        };
        let produced = produce(&sink);
        drop(sink);
        let mut written = Vec::new();
        let mut errors = Vec::new();
        for worker in workers {
            let done = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match done {
                Ok(done) => written.extend(done),
                Err(error) => errors.push(error),
            }
        }
        match errors.into_iter().min_by_key(|(number, _)| *number) {
            Some((_, error)) => Err(error),
            None => produced.map(|()| written),
        }
    })
}

/// Processes files until there are no more. After a failure of any worker, it continues to take
/// files and drops them, so that the producer does not block on the budget. All files before a
/// failed one are processed, because they were taken earlier.
fn work<T, W: ObjectWriter, E: From<StoreError>>(
    mut writer: W,
    queue: &Mutex<Receiver<Job<'_, '_, T, E>>>,
    failed: &AtomicBool,
    claimed: &Claimed,
) -> Result<Vec<Written<T>>, (u64, E)> {
    let take = || {
        let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let job = queue.recv().ok()?;
        Some((job, failed.load(Ordering::Relaxed)))
    };
    let mut written = Ok(Vec::new());
    while let Some((job, has_failed)) = take() {
        let (false, Ok(done)) = (has_failed, &mut written) else {
            continue;
        };
        match store(&mut writer, job.file, claimed) {
            Ok(file) => done.push(file),
            Err(error) => {
                failed.store(true, Ordering::Relaxed);
                written = Err((job.number, error));
            }
        }
    }
    written
}

/// The objects that a worker is writing or has written. Two files with the same content are one
/// object, which is written and counted once.
type Claimed = Mutex<HashSet<FileId>>;

fn store<T, W: ObjectWriter, E: From<StoreError>>(
    writer: &mut W,
    file: Incoming<'_, T, E>,
    claimed: &Claimed,
) -> Result<Written<T>, E> {
    let content = match file.content {
        Bytes::Ready(content) => content,
        Bytes::Deferred { read, .. } => read()?,
    };
    let mut object = FileHasher::new(&file.header);
    let mut plain = sha2::Sha256::new();
    let read = content.for_each(|bytes| {
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
        writer.write(id, &file.header, &content)?;
        failpoint::hit("compose.object-written");
    }
    Ok(Written {
        tag: file.tag,
        header: file.header,
        id,
        sha256: Sha256(plain.finalize().into()),
        size: content.len(),
        new,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::AnyHeader;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    struct FakeWriter {
        fails_on: Option<FileId>,
        written: Arc<Mutex<Vec<FileId>>>,
    }

    impl ObjectWriter for FakeWriter {
        fn has(&self, id: FileId) -> Result<bool, StoreError> {
            Ok(self.written.lock().unwrap().contains(&id))
        }

        fn write(&mut self, id: FileId, _: &FileHeader, _: &Content) -> Result<(), StoreError> {
            if self.fails_on == Some(id) {
                return Err(broken());
            }
            self.written.lock().unwrap().push(id);
            Ok(())
        }

        fn write_any(&mut self, id: FileId, _: &AnyHeader, _: &Content) -> Result<(), StoreError> {
            unreachable!("{id} is of a composed tree")
        }
    }

    fn broken() -> StoreError {
        StoreError::Spool {
            path: "/tmp".into(),
            source: std::io::Error::other("broken"),
        }
    }

    fn file(tag: u32) -> Incoming<'static, u32, StoreError> {
        Incoming {
            tag,
            header: FileHeader::Regular { executable: false },
            content: Bytes::Ready((tag % 1500).to_be_bytes().to_vec().into()),
            store: tag.is_multiple_of(2),
        }
    }

    fn run(fails_on: Option<FileId>) -> (Result<Vec<Written<u32>>, StoreError>, usize) {
        let written = Arc::<Mutex<Vec<FileId>>>::default();
        let writer = || FakeWriter {
            fails_on,
            written: written.clone(),
        };
        let result = write_files(vec![writer(), writer(), writer()], |sink| {
            for tag in 0..2000 {
                if !sink.put(file(tag)) {
                    break;
                }
            }
            Ok(())
        });
        let written = written.lock().unwrap().len();
        (result, written)
    }

    #[test]
    fn every_file_is_returned_once_and_only_requested_files_are_stored() {
        let (written, stored) = run(None);
        let mut tags: Vec<u32> = written.unwrap().iter().map(|w| w.tag).collect();
        tags.sort_unstable();
        assert_eq!(tags, (0..2000).collect::<Vec<_>>());
        // Of the even tags, those from 1500 to 1998 have the content of 0 to 498.
        assert_eq!(stored, 750);
    }

    #[test]
    fn a_failing_worker_ends_the_run_without_a_deadlock() {
        let mut hasher = FileHasher::new(&FileHeader::Regular { executable: false });
        hasher.update(&10u32.to_be_bytes());
        let (result, _) = run(Some(hasher.finish()));
        assert!(matches!(result, Err(StoreError::Spool { .. })));
    }

    #[test]
    fn abandoned_files_are_not_written() {
        let (begin, wait) = std::sync::mpsc::channel::<()>();
        let written = Arc::<Mutex<Vec<FileId>>>::default();
        let writer = FakeWriter {
            fails_on: None,
            written: written.clone(),
        };
        let result = write_files(vec![writer], |sink| {
            // The only worker is busy until the files are abandoned.
            sink.put(Incoming {
                content: Bytes::Deferred {
                    size: 1,
                    read: Box::new(move || {
                        let _ = wait.recv();
                        Ok(vec![1].into())
                    }),
                },
                ..file(0)
            });
            for tag in 1..100 {
                sink.put(file(2 * tag));
            }
            sink.abandon();
            drop(begin);
            Err::<(), _>(broken())
        });
        assert!(result.is_err());
        assert!(written.lock().unwrap().len() <= 1);
    }

    #[test]
    fn the_error_of_the_first_file_is_returned() {
        for _ in 0..50 {
            let writer = || FakeWriter {
                fails_on: None,
                written: Arc::default(),
            };
            let failing = |tag| Incoming {
                content: Bytes::Deferred {
                    size: 1,
                    read: Box::new(move || match tag {
                        0..7 => Ok(vec![1].into()),
                        // The first file is the last one to fail.
                        7 => {
                            std::thread::yield_now();
                            Err(read_error(7))
                        }
                        _ => Err(read_error(tag)),
                    }),
                },
                ..file(tag)
            };
            let result = write_files(vec![writer(), writer(), writer()], |sink| {
                let all_accepted = (0..2000).all(|tag| sink.put(failing(tag)));
                assert!(!all_accepted, "the producer is told of the failure");
                Err(read_error(2000))
            });
            assert_eq!(result.unwrap_err().to_string(), read_error(7).to_string());
        }
    }

    /// Returns an error with the number of the file.
    fn read_error(tag: u32) -> StoreError {
        StoreError::Spool {
            path: tag.to_string().into(),
            source: std::io::Error::other("broken"),
        }
    }

    #[test]
    fn files_that_workers_read_count_towards_the_limit() {
        let writer = FakeWriter {
            fails_on: None,
            written: Arc::default(),
        };
        let (received, max_ahead) = (AtomicU64::new(0), AtomicU64::new(0));
        let (received, max_ahead) = (&received, &max_ahead);
        let written = write_files(vec![writer], |sink| {
            for tag in 0..20 {
                received.fetch_add(1, Ordering::Relaxed);
                let read = move || {
                    // Leaves enough time for a producer that is not limited.
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    let ahead = received.load(Ordering::Relaxed) - u64::from(tag);
                    max_ahead.fetch_max(ahead, Ordering::Relaxed);
                    Ok(Vec::new().into())
                };
                sink.put(Incoming {
                    content: Bytes::Deferred {
                        size: IN_FLIGHT / 4,
                        read: Box::new(read),
                    },
                    ..file(tag)
                });
            }
            Ok::<_, StoreError>(())
        });
        assert_eq!(written.unwrap().len(), 20);
        // Four files fit into the budget, and one is waiting.
        let max_ahead = max_ahead.load(Ordering::Relaxed);
        assert!((1..=5).contains(&max_ahead), "{max_ahead} files at once");
    }
}
