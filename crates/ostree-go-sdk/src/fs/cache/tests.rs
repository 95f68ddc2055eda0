use super::*;
use crate::progress::NoProgress;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

fn keep(cache: &Cache, url: &str, content: &[u8]) -> VerifiedFile {
    let mut partial = cache.partial(url, false, &NoProgress).unwrap();
    partial.append(content).unwrap();
    partial.finish().unwrap()
}

#[test]
fn keeps_by_digest_and_by_url() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path().join("new/cache"));
    assert!(cache.get(digest::of(b"go"), &NoProgress).unwrap().is_none());
    let mut kept = keep(&cache, "https://x/y", b"go");
    let mut text = String::new();
    kept.file.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), kept.size), ("go", 2));
    assert!(
        cache
            .get_by_url("https://x/y", &NoProgress)
            .unwrap()
            .is_none()
    );
    cache
        .record_url("https://x/y", kept.sha256, kept.size)
        .unwrap();
    let found = cache
        .get_by_url("https://x/y", &NoProgress)
        .unwrap()
        .unwrap();
    assert_eq!(found.sha256, digest::of(b"go"));
    let left: Vec<_> = fs::read_dir(dir.path().join("new/cache/partial"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_damaged_file_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    let kept = keep(&cache, "https://x/y", b"go");
    cache
        .record_url("https://x/y", kept.sha256, kept.size)
        .unwrap();
    fs::write(&kept.path, b"gg").unwrap();
    assert!(
        cache
            .get_by_url("https://x/y", &NoProgress)
            .unwrap()
            .is_none()
    );
    assert!(!kept.path.exists());
    fs::write(cache.url_path("https://x/y"), b"{").unwrap();
    assert!(
        cache
            .get_by_url("https://x/y", &NoProgress)
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_partial_file_is_resumed_only_with_a_validator() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    let mut partial = cache.partial("u", true, &NoProgress).unwrap();
    partial.restart(Some("\"etag\"")).unwrap();
    partial.append(b"go").unwrap();
    drop(partial);
    let partial = cache.partial("u", true, &NoProgress).unwrap();
    assert_eq!((partial.len(), partial.validator()), (2, Some("\"etag\"")));
    assert_eq!(partial.sha256(), digest::of(b"go"));
    drop(partial);
    let mut partial = cache.partial("u", false, &NoProgress).unwrap();
    assert_eq!((partial.len(), partial.validator()), (0, None));
    partial.append(b"go").unwrap();
    drop(partial);
    assert_eq!(cache.partial("u", true, &NoProgress).unwrap().len(), 0);
    cache
        .partial("u", true, &NoProgress)
        .unwrap()
        .discard()
        .unwrap();
    assert_eq!(fs::read_dir(dir.path().join("partial")).unwrap().count(), 0);
}

#[derive(Default)]
struct CancelWhileWaiting {
    waited: AtomicBool,
}

impl Progress for CancelWhileWaiting {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Waiting { .. }) {
            self.waited.store(true, Ordering::Relaxed);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.waited.load(Ordering::Relaxed)
    }
}

#[test]
fn waits_for_another_writer() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    let mut held = cache.partial("u", false, &NoProgress).unwrap();
    let stopped = cache
        .partial("u", false, &CancelWhileWaiting::default())
        .unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Cancelled);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| cache.partial("u", true, &NoProgress).unwrap().len());
        std::thread::sleep(POLL_INTERVAL);
        held.append(b"go").unwrap();
        let kept = held.finish().unwrap();
        // Neither the complete file nor its bytes are used as a partial download.
        assert_eq!(waiting.join().unwrap(), 0);
        assert_eq!(fs::read(kept.path).unwrap(), b"go");
    });
}
