//! From files, one after the other, to durable objects, on every core.

use super::budget::{Budget, Share};
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

/// Bytes of files that wait for or are with a worker.
const IN_FLIGHT: u64 = 64 << 20;
/// Files that wait for a worker.
const QUEUE: usize = 256;

/// A file for the pipeline. `tag` is the producer's own and comes back with the result.
pub(crate) struct Incoming<'p, T, E> {
    pub(crate) tag: T,
    pub(crate) header: FileHeader,
    pub(crate) content: Bytes<'p, E>,
    /// Whether it belongs in the repository; if not it is only hashed.
    pub(crate) store: bool,
}

/// The bytes of a file for the pipeline.
pub(crate) enum Bytes<'p, E> {
    /// They are here.
    Read(Content),
    /// The worker reads them.
    Unread {
        /// How many there are; what [`Content::read`] is told.
        size: u64,
        read: Box<dyn FnOnce() -> Result<Content, E> + Send + 'p>,
    },
}

impl<E> Bytes<'_, E> {
    /// The memory they take until they are written.
    fn in_memory(&self) -> u64 {
        match self {
            Self::Read(content) => content.in_memory(),
            Self::Unread { size, .. } => Content::most_in_memory(*size),
        }
    }
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
pub(crate) struct Sink<'p, 'b, T, E> {
    jobs: SyncSender<Job<'p, 'b, T, E>>,
    count: Cell<u64>,
    budget: &'b Budget,
    failed: &'b AtomicBool,
}

struct Job<'p, 'b, T, E> {
    /// How many came before it.
    number: u64,
    file: Incoming<'p, T, E>,
    _share: Share<'b>,
}

impl<'p, T, E> Sink<'p, '_, T, E> {
    /// Hands a file on, waiting while too much is under way. Says `false` once a worker has
    /// failed: whatever else is put is then thrown away, and the producer should return.
    pub(crate) fn put(&self, file: Incoming<'p, T, E>) -> bool {
        let share = self.budget.take(file.content.in_memory());
        let number = self.count.get();
        self.count.set(number + 1);
        let sent = self.jobs.send(Job {
            number,
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
/// The error of the first file that a worker failed at, as the producer put them, whichever
/// worker came first; else the producer's.
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

/// Takes files until there are no more. After a failure, here or elsewhere, it goes on taking
/// and dropping them, so that the producer never waits for room that nobody makes. All files
/// before one that failed are done: they were taken earlier.
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

/// The objects that some worker has taken on. Two files of one content are one object, written
/// and counted once.
type Claimed = Mutex<HashSet<FileId>>;

fn store<T, W: ObjectWriter, E: From<StoreError>>(
    writer: &mut W,
    file: Incoming<'_, T, E>,
    claimed: &Claimed,
) -> Result<Written<T>, E> {
    let content = match file.content {
        Bytes::Read(content) => content,
        Bytes::Unread { read, .. } => read()?,
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
            content: Bytes::Read((tag % 1500).to_be_bytes().to_vec().into()),
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

    #[test]
    fn the_first_error_counts_whichever_worker_came_first() {
        for _ in 0..50 {
            let writer = || Fake {
                fails_on: None,
                seen: Arc::default(),
            };
            let failing = |tag| Incoming {
                content: Bytes::Unread {
                    size: 1,
                    read: Box::new(move || match tag {
                        0..7 => Ok(vec![1].into()),
                        // The first is the last to fail.
                        7 => {
                            std::thread::yield_now();
                            Err(unread(7))
                        }
                        _ => Err(unread(tag)),
                    }),
                },
                ..file(tag)
            };
            let result = write_files(vec![writer(), writer(), writer()], |sink| {
                let all_went = (0..2000).all(|tag| sink.put(failing(tag)));
                assert!(!all_went, "the producer hears of it");
                Err(unread(2000))
            });
            assert_eq!(result.unwrap_err().to_string(), unread(7).to_string());
        }
    }

    /// Says which file could not be read.
    fn unread(tag: u32) -> StoreError {
        StoreError::Spool {
            path: tag.to_string().into(),
            source: std::io::Error::other("broken"),
        }
    }

    #[test]
    fn files_that_workers_read_are_bounded_too() {
        let writer = Fake {
            fails_on: None,
            seen: Arc::default(),
        };
        let (come, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let (come, most) = (&come, &most);
        let written = write_files(vec![writer], |sink| {
            for tag in 0..20 {
                come.fetch_add(1, Ordering::Relaxed);
                let read = move || {
                    // Time enough for a producer that nothing holds up.
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    let ahead = come.load(Ordering::Relaxed) - u64::from(tag);
                    most.fetch_max(ahead, Ordering::Relaxed);
                    Ok(Vec::new().into())
                };
                sink.put(Incoming {
                    content: Bytes::Unread {
                        size: IN_FLIGHT / 4,
                        read: Box::new(read),
                    },
                    ..file(tag)
                });
            }
            Ok::<_, StoreError>(())
        });
        assert_eq!(written.unwrap().len(), 20);
        // Four have room, and one waits for it.
        let most = most.load(Ordering::Relaxed);
        assert!((1..=5).contains(&most), "{most} files at once");
    }
}
