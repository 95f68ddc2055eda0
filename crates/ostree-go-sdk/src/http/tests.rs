mod send;

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::test_server::Request;
use super::test_server::*;
use super::*;
use crate::fs::cache::{Cache, VerifiedFile};
use crate::fs::digest;
use crate::id::Sha256;
use crate::kind::ErrorKind;
use crate::progress::{Event, NoProgress, Progress};

fn content() -> Vec<u8> {
    (0..300_000u32)
        .map(|n| (n.wrapping_mul(n) % 251) as u8)
        .collect()
}

fn options() -> HttpOptions {
    HttpOptions::new()
        .retry_delay(Duration::from_millis(1))
        .read_timeout(Duration::from_secs(5))
}

struct Setup {
    server: TestServer,
    dir: tempfile::TempDir,
    client: HttpClient,
    expected: Option<Sha256>,
}

fn setup(answer: impl Fn(usize, &Request, &mut TcpStream) + Send + 'static) -> Setup {
    Setup {
        server: TestServer::start(answer),
        dir: tempfile::tempdir().unwrap(),
        client: HttpClient::new(&options()).unwrap(),
        expected: Some(digest::of(&content())),
    }
}

impl Setup {
    fn cache(&self) -> Cache {
        Cache::new(self.dir.path())
    }

    fn url(&self) -> Url {
        let with_user = self.server.url.replace("://", "://me:secret@");
        Url::parse(&format!("{with_user}/go.tar.gz?token=1")).unwrap()
    }

    fn run(&self) -> Result<VerifiedFile, HttpError> {
        self.client
            .download(&self.url(), self.expected, &self.cache(), &NoProgress)
    }

    /// Downloads the file, and returns the requested ranges.
    fn ranges(&self) -> Vec<Option<usize>> {
        let mut file = self.run().unwrap();
        let mut bytes = Vec::new();
        file.file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, content());
        assert_eq!(bytes, fs::read(&file.path).unwrap());
        self.server.requests().iter().map(Request::range).collect()
    }

    /// Returns the error of a download, with everything that differs between runs replaced.
    fn error(&self) -> String {
        let error = self.run().unwrap_err();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            text += &format!(": {inner}");
            source = inner.source();
        }
        assert!(
            !text.contains("secret") && !text.contains("token"),
            "{text}"
        );
        text.replace(&self.server.url, "http://host")
    }
}

#[test]
fn a_download_is_cached_and_checked() {
    let setup = setup(|_, request, stream| serve(request, stream, &content()));
    assert_eq!(setup.ranges(), [None]);
    assert_eq!(setup.ranges(), [None], "the second comes from the cache");
    let path = setup.run().unwrap().path;
    fs::write(&path, "damaged").unwrap();
    assert_eq!(setup.ranges(), [None, None]);
    let request = &setup.server.requests()[0];
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    assert_eq!(request.header("authorization"), Some("Basic bWU6c2VjcmV0"));
    assert!(
        request
            .header("user-agent")
            .unwrap()
            .starts_with("ostree-go/")
    );
}

#[test]
fn a_truncated_download_is_resumed() {
    let setup = setup(|n, request, stream| {
        let end = [1000, 100_000, 100_000, 300_000][n - 1];
        serve_part(request, stream, &content(), end);
    });
    let resumed = [None, Some(1000), Some(100_000), Some(100_000)];
    assert_eq!(setup.ranges(), resumed);
}

#[test]
fn resets_and_server_errors_are_retried() {
    let setup = setup(|n, request, stream| match n {
        1 => respond(stream, "500 Oops", "content-length: 0\r\n", b""),
        2 => respond(stream, "429 Slow down", "content-length: 0\r\n", b""),
        3 => reset(stream),
        4 => {
            serve_part(request, stream, &content(), 70_000);
            reset(stream);
        }
        _ => serve(request, stream, &content()),
    });
    let ranges = setup.ranges();
    assert_eq!(ranges.len(), 5);
    assert_eq!(ranges[..4], [None; 4]);
}

#[test]
fn a_changed_file_is_not_appended_to_the_old_one() {
    // The file on the server was replaced, and the server supports If-Range.
    let setup = setup(|n, request, stream| match n {
        1 => {
            let headers = "etag: \"v0\"\r\ncontent-length: 300000\r\n";
            respond(stream, "200 OK", headers, &[0; 5000]);
        }
        _ => serve(request, stream, &content()),
    });
    assert_eq!(setup.ranges(), [None, Some(5000)]);
}

#[test]
fn a_mismatch_after_resuming_restarts_the_download() {
    // The server uses the old ETag for the new file.
    let setup = setup(|n, request, stream| match n {
        1 => serve_part(request, stream, &[7; 300_000], 5000),
        _ => serve(request, stream, &content()),
    });
    assert_eq!(setup.ranges(), [None, Some(5000), None]);
}

#[test]
fn an_unexpected_range_restarts_the_download() {
    let setup = setup(|n, request, stream| match n {
        1 => serve_part(request, stream, &content(), 5000),
        2 => {
            let headers = "content-length: 10\r\ncontent-range: bytes 0-9/300000\r\n";
            respond(stream, "206 Partial", headers, &content()[..10]);
        }
        3 => serve_part(request, stream, &content(), 6000),
        4 => respond(stream, "416 Range", "content-length: 0\r\n", b""),
        _ => serve(request, stream, &content()),
    });
    let requested = [None, Some(5000), None, Some(6000), None];
    assert_eq!(setup.ranges(), requested);
}

#[test]
fn without_a_validator_downloads_are_not_resumed() {
    let setup = setup(|n, _, stream| {
        let end = if n == 1 { 5000 } else { 300_000 };
        let headers = "etag: W/\"v1\"\r\ncontent-length: 300000\r\n";
        respond(stream, "200 OK", headers, &content()[..end]);
    });
    assert_eq!(setup.ranges(), [None, None]);
}

#[test]
fn the_next_run_resumes_if_a_digest_is_known() {
    let answer = |n: usize, request: &Request, stream: &mut TcpStream| {
        let end = if n < 3 { 5000 } else { 300_000 };
        serve_part(request, stream, &content(), end);
    };
    let mut first = setup(answer);
    first.client = HttpClient::new(&options().retries(0)).unwrap();
    insta::assert_snapshot!(first.error(), @"cannot download http://host/go.tar.gz: the connection ended after 5000 of 300000 bytes");
    first.expected = None;
    assert!(first.run().is_err());
    assert_eq!(first.server.requests()[1].range(), None);

    let mut second = setup(answer);
    second.client = HttpClient::new(&options().retries(0)).unwrap();
    assert!(second.run().is_err());
    assert!(second.run().is_err());
    second.ranges();
    assert_eq!(second.server.requests()[2].range(), Some(5000));
}

#[test]
fn a_complete_partial_file_is_not_downloaded_again() {
    let setup = setup(|_, request, stream| serve(request, stream, &content()));
    let mut partial = setup
        .cache()
        .partial(&setup.url().key(), true, &NoProgress)
        .unwrap();
    partial.restart(Some("\"v1\"")).unwrap();
    partial.append(&content()).unwrap();
    drop(partial);
    assert_eq!(setup.ranges(), []);
}

#[test]
fn errors_show_the_url_without_credentials() {
    let not_found = |_: usize, _: &Request, stream: &mut TcpStream| {
        respond(stream, "404 No", "content-length: 0\r\n", b"");
    };
    insta::assert_snapshot!(setup(not_found).error(), @"cannot download http://host/go.tar.gz: the server answered with status 404");
    assert_eq!(
        setup(not_found).run().unwrap_err().kind(),
        ErrorKind::NotFound
    );

    let busy = setup(|_, _, stream| respond(stream, "503 No", "content-length: 0\r\n", b""));
    insta::assert_snapshot!(busy.error(), @"cannot download http://host/go.tar.gz: the server answered with status 503");
    assert_eq!(busy.server.requests().len(), 6);

    let other = setup(|_, request, stream| serve(request, stream, b"other"));
    insta::assert_snapshot!(other.error(), @"http://host/go.tar.gz has the SHA-256 d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa, expected 4abb1f7ab0cbf1fda16c5ac66d8b4b05683e4ab7f304228bede51766b941b2cd");
    assert_eq!(other.server.requests().len(), 1);
    assert_eq!(
        fs::read_dir(other.dir.path().join("partial"))
            .unwrap()
            .count(),
        0
    );

    let mut large = setup(|_, request, stream| serve(request, stream, &content()));
    large.client = HttpClient::new(&options().max_size(200_000)).unwrap();
    insta::assert_snapshot!(large.error(), @"cannot download http://host/go.tar.gz: it is larger than 200000 bytes");

    let mut endless = setup(|_, _, stream| {
        respond(stream, "200 OK", "transfer-encoding: chunked\r\n", b"");
        for _ in 0..100 {
            let _ = stream.write_all(format!("2710\r\n{}\r\n", "x".repeat(10_000)).as_bytes());
        }
    });
    endless.client = HttpClient::new(&options().max_size(200_000)).unwrap();
    insta::assert_snapshot!(endless.error(), @"cannot download http://host/go.tar.gz: it is larger than 200000 bytes");

    let mut unmeasured = setup(|_, _, stream| respond(stream, "200 OK", "", &content()));
    assert!(unmeasured.run().is_ok(), "the digest says that it is whole");
    unmeasured.expected = None;
    insta::assert_snapshot!(unmeasured.error(), @"cannot download http://host/go.tar.gz: the server does not announce its size");
}

#[test]
fn unreachable_and_silent_servers_are_network_errors() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/x", listener.local_addr().unwrap())
    };
    let client = HttpClient::new(&options()).unwrap();
    let error = client
        .get(&Url::parse(&gone).unwrap(), 10, &NoProgress)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);

    let server = TestServer::start(|_, _, _| std::thread::sleep(Duration::from_millis(200)));
    let options = options().retries(0).read_timeout(Duration::from_millis(50));
    let client = HttpClient::new(&options).unwrap();
    let url = Url::parse(&server.url).unwrap();
    let error = client.get(&url, 10, &NoProgress).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.is_transient(), "{error:?}");
}

#[test]
fn documents_are_fetched_with_a_limit() {
    let server = TestServer::start(|n, _, stream| match n {
        1 => respond(stream, "502 No", "content-length: 0\r\n", b""),
        _ => respond(stream, "200 OK", "content-length: 5\r\n", b"hello"),
    });
    let client = HttpClient::new(&options()).unwrap();
    let url = Url::parse(&server.url).unwrap();
    assert_eq!(client.get(&url, 5, &NoProgress).unwrap(), b"hello");
    let error = client.get(&url, 4, &NoProgress).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsafeContent);
}

#[test]
fn a_truncated_document_is_resumed() {
    let server = TestServer::start(|n, request, stream| match n {
        1 => serve_part(request, stream, &content(), 70_000),
        _ => serve(request, stream, &content()),
    });
    let client = HttpClient::new(&options()).unwrap();
    let url = Url::parse(&server.url).unwrap();
    let arrived = std::cell::Cell::new(0);
    let count = |bytes| {
        arrived.set(arrived.get() + bytes);
        true
    };
    let document = client
        .fetch(&url, 1 << 30, None, &NoProgress, &count)
        .unwrap();
    assert_eq!(document.into_bytes().unwrap(), content());
    assert_eq!(arrived.get(), content().len() as u64);
    let ranges: Vec<_> = server.requests().iter().map(Request::range).collect();
    assert_eq!(ranges, [None, Some(70_000)]);
    let error = client.fetch(&url, 1 << 30, None, &NoProgress, &|_| false);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_server_without_progress_exhausts_the_retries() {
    // Each response is larger than the progress threshold, and then everything is lost.
    let long = vec![7; 3 << 20];
    let server = TestServer::start(move |n, request, stream| match n % 2 {
        1 => serve_part(request, stream, &long, 2 << 20),
        _ => respond(stream, "416 Range", "content-length: 0\r\n", b""),
    });
    let client = HttpClient::new(&options().retries(3)).unwrap();
    let url = Url::parse(&server.url).unwrap();
    let error = client.fetch(&url, 1 << 30, None, &NoProgress, &|_| true);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Network);
    // The first response makes progress of two mebibytes.
    assert!(server.requests().len() <= 5, "{:?}", server.requests());
    // A server without ranges that closes the connection a little later each time.
    let long = vec![7; 64 << 20];
    let server = TestServer::start(move |n, _, stream| {
        let headers = format!("etag: \"v1\"\r\ncontent-length: {}\r\n", long.len());
        respond(stream, "200 OK", &headers, &long[..(2 << 20) * n.min(30)]);
    });
    let url = Url::parse(&server.url).unwrap();
    let error = client.fetch(&url, 1 << 30, None, &NoProgress, &|_| true);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Network);
    assert!(server.requests().len() <= 5, "{:?}", server.requests());
}

#[test]
fn a_server_below_the_minimum_rate_is_too_slow() {
    let server = TestServer::start(|_, _, stream| {
        let _ = std::io::Write::write_all(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n");
        for _ in 0..60 {
            let _ = std::io::Write::write_all(stream, b"x");
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let slow = options().read_timeout(Duration::from_secs(1)).retries(0);
    let url = Url::parse(&server.url).unwrap();
    let error = HttpClient::new(&slow).unwrap().get(&url, 100, &NoProgress);
    let error = error.unwrap_err();
    assert!(matches!(error, HttpError::TooSlow { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Network);
}

#[test]
fn certificates_must_be_in_pem() {
    let none = |options: HttpOptions| HttpClient::new(&options).unwrap_err().to_string();
    let junk = b"-----BEGIN JUNK-----".to_vec();
    insta::assert_snapshot!(none(options().root_certificates(Some(junk.clone()))), @"the file of certificate authorities is not in PEM");
    insta::assert_snapshot!(none(options().client_certificate(Some((junk.clone(), junk)))), @"the client certificate is not in PEM");
}

#[test]
fn redirects_are_followed_without_the_credentials() {
    let real = TestServer::start(|_, request, stream| serve(request, stream, &content()));
    let location = format!("location: {}/real\r\ncontent-length: 0\r\n", real.url);
    let setup = setup(move |_, _, stream| respond(stream, "302 Found", &location, b""));
    assert_eq!(setup.ranges(), [None]);
    assert_eq!(real.requests()[0].path, "/real");
    assert_eq!(real.requests()[0].header("authorization"), None);
}

#[test]
fn files_are_read_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b.tar.gz");
    fs::write(&path, content()).unwrap();
    let text = format!("file://{}", path.display()).replace(' ', "%20");
    let url = Url::parse(&text).unwrap();
    let client = HttpClient::new(&options()).unwrap();
    let cache = Cache::new(dir.path().join("cache"));
    let file = client.download(&url, None, &cache, &NoProgress).unwrap();
    assert_eq!((file.path, file.sha256), (path, digest::of(&content())));
    let wrong = client.download(&url, Some(Sha256([0; 32])), &cache, &NoProgress);
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Mismatch);
    let missing = client.download(&url.join("x").unwrap(), None, &cache, &NoProgress);
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
}

/// Cancels after this many bytes were received.
struct StopAfter(u64, AtomicU64);

impl Progress for StopAfter {
    fn event(&self, event: &Event<'_>) {
        if let Event::Advanced { done, .. } = event {
            self.1.store(*done, Ordering::Relaxed);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.1.load(Ordering::Relaxed) >= self.0
    }
}

#[test]
fn a_cancelled_download_is_resumed_later() {
    let setup = setup(|_, request, stream| serve(request, stream, &content()));
    let stop = StopAfter(1, AtomicU64::new(0));
    let stopped = setup
        .client
        .download(&setup.url(), setup.expected, &setup.cache(), &stop);
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
    let ranges = setup.ranges();
    assert!(matches!(ranges[..], [None, Some(1..)]), "{ranges:?}");
}

#[test]
fn concurrent_downloads_fetch_a_file_once() {
    let setup = setup(|_, request, stream| {
        std::thread::sleep(Duration::from_millis(100));
        serve(request, stream, &content());
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| setup.run().unwrap());
        }
    });
    assert_eq!(setup.server.requests().len(), 1);
}

#[derive(Default)]
struct RecordedEvents(Mutex<Vec<String>>);

impl Progress for RecordedEvents {
    fn event(&self, event: &Event<'_>) {
        let mut events = self.0.lock().unwrap();
        match event {
            Event::Retrying { url, attempt, .. } => events.push(format!("retry {attempt} {url}")),
            Event::Finished { phase, item } => events.push(format!("{} {item}", phase.as_str())),
            _ => {}
        }
    }
}

#[test]
fn progress_shows_the_url_without_credentials() {
    let setup = setup(|n, request, stream| {
        serve_part(
            request,
            stream,
            &content(),
            if n == 1 { 9 } else { 300_000 },
        );
    });
    let events = Arc::new(RecordedEvents::default());
    setup
        .client
        .download(&setup.url(), setup.expected, &setup.cache(), &*events)
        .unwrap();
    let url = format!("{}/go.tar.gz", setup.server.url);
    let events = events.0.lock().unwrap();
    assert_eq!(
        *events,
        [format!("retry 1 {url}"), format!("download {url}")]
    );
}
