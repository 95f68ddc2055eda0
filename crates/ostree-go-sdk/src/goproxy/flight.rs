//! Work that several requests wait for, and that is done once.

use super::answer::{Answer, Refusal};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The work in progress. A request for the same key waits for the same result, also if the client that asked first has
/// gone away.
#[derive(Debug)]
pub(super) struct Flights<K>(Arc<Mutex<Running<K>>>);

type Running<K> = HashMap<K, watch::Receiver<Option<Answer>>>;

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Removes the key of work when it ends in any way.
struct Landing<K: Eq + Hash> {
    running: Arc<Mutex<Running<K>>>,
    key: K,
}

impl<K: Eq + Hash> Drop for Landing<K> {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.key);
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> Flights<K> {
    /// Returns the result of the work with this key, which is started unless it is running.
    pub async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut receiver = {
            let mut running = lock(&self.0);
            match running.get(&key) {
                Some(receiver) => receiver.clone(),
                None => {
                    let (sender, receiver) = watch::channel(None);
                    running.insert(key.clone(), receiver.clone());
                    let landing = Landing {
                        running: self.0.clone(),
                        key,
                    };
                    let work = work();
                    tokio::spawn(async move {
                        let answer = work.await;
                        // A request that comes now must not find a result that is about to be old.
                        drop(landing);
                        sender.send_replace(Some(answer));
                    });
                    receiver
                }
            }
        };
        // An error means that the work has panicked.
        let answer = receiver.wait_for(Option::is_some).await;
        let answer = answer.ok().and_then(|answer| answer.clone());
        answer.unwrap_or_else(|| Err(Refusal::new(500, "the request could not be completed")))
    }
}

fn lock<K>(running: &Mutex<Running<K>>) -> MutexGuard<'_, Running<K>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::answer::Found;
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    #[tokio::test]
    async fn parallel_requests_share_the_work() {
        let flights = Arc::new(Flights::default());
        let (count, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let mut tasks = Vec::new();
        for _ in 0..100 {
            let (flights, count, go) = (flights.clone(), count.clone(), go.clone());
            tasks.push(tokio::spawn(async move {
                let work = || async move {
                    count.fetch_add(1, Ordering::Relaxed);
                    go.notified().await;
                    Ok(Found::text(b"done".to_vec()))
                };
                flights.run("key", work).await.is_ok()
            }));
        }
        while count.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        // The first client goes away.
        tasks.remove(0).abort();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        go.notify_waiters();
        go.notify_one();
        for task in tasks {
            assert!(task.await.unwrap());
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert!(lock(&flights.0).is_empty());
    }

    #[tokio::test]
    async fn work_that_panics_is_an_answer_and_can_be_repeated() {
        let flights = Flights::default();
        let answer = flights.run(1, || async { panic!("expected") }).await;
        assert_eq!(answer.unwrap_err().status, 500);
        let work = || async { Ok(Found::text(Vec::new())) };
        assert!(flights.run(1, work).await.is_ok());
    }
}
