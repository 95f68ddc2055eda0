use super::*;
use crate::clock::FixedClock;
use crate::http::HttpOptions;
use crate::http::test_server::{TestServer, respond};
use crate::kind::ErrorKind;
use crate::version::GoVersion;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The content of files by their names.
type Files = BTreeMap<String, Vec<u8>>;

fn go(text: &str) -> GoVersion {
    text.parse().unwrap()
}

fn linux() -> Platform {
    Platform::new("linux", "amd64")
}

/// A database with two entries: one of the standard library, and one of the go command.
fn documents() -> Files {
    let entry = |id: &str, module: &str, package: &str, fixed: &str| {
        format!(
            r#"{{"id":"{id}","modified":"t1","aliases":["CVE-{id}"],"summary":"Problem of {package}","affected":[{{
                "package":{{"name":"{module}","ecosystem":"Go"}},"ranges":[{{"type":"SEMVER","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}],
                "ecosystem_specific":{{"imports":[{{"path":"{package}"}}]}}}}],"database_specific":{{"url":"https://example.com/{id}"}}}}"#
        )
    };
    [
        ("index/db.json", r#"{"modified":"2026-11-30T00:00:00Z"}"#.to_owned()),
        (
            "index/modules.json",
            r#"[{"path":"stdlib","vulns":[{"id":"GO-2026-1","modified":"t1","fixed":"1.26.5"}]},
                {"path":"toolchain","vulns":[{"id":"GO-2026-2","modified":"t1","fixed":"1.26.4"}]}]"#
                .to_owned(),
        ),
        ("ID/GO-2026-1.json", entry("GO-2026-1", "stdlib", "net/http", "1.26.5")),
        ("ID/GO-2026-2.json", entry("GO-2026-2", "toolchain", "cmd/go", "1.26.4")),
    ]
    .map(|(name, text)| (name.to_owned(), text.into_bytes()))
    .into()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn write(folder: &Path, documents: &Files) {
    for (name, bytes) in documents {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn database(location: impl ToString) -> Database {
    let http = HttpOptions::new().retries(1);
    Database::new(location.to_string())
        .http(http.retry_delay(Duration::from_millis(1)))
        .clock(Arc::new(FixedClock::new(1000)))
}

fn ids(known: &Vulnerabilities, version: &str, scope: Scope) -> Vec<String> {
    let found = known.affecting(&go(version), scope, &linux()).unwrap();
    found.into_iter().map(|one| one.id).collect()
}

#[test]
fn a_directory_is_a_database_with_and_without_compression() {
    for compressed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut all = documents();
        if compressed {
            all = all
                .into_iter()
                .map(|(name, bytes)| (name + ".gz", gzip(&bytes)))
                .collect();
        }
        write(folder.path(), &all);
        let path = folder.path().display().to_string();
        for location in [path.clone(), format!("file://{path}")] {
            let known = database(location)
                .load([&go("1.26.3"), &go("1.27.0")])
                .unwrap();
            assert_eq!(known.origin().location, path);
            assert_eq!(
                known.origin().modified.as_deref(),
                Some("2026-11-30T00:00:00Z")
            );
            assert_eq!(known.origin().confirmed, None);
            assert_eq!(
                ids(&known, "1.26.3", Scope::Sdk),
                ["GO-2026-1", "GO-2026-2"]
            );
            assert_eq!(ids(&known, "1.26.3", Scope::Program), ["GO-2026-1"]);
            assert_eq!(ids(&known, "1.26.4", Scope::Sdk), ["GO-2026-1"]);
            assert!(ids(&known, "1.26.5", Scope::Sdk).is_empty());
            assert_eq!(known.affecting(&go("1.26.2"), Scope::Sdk, &linux()), None);
            let found = known
                .affecting(&go("1.26.4"), Scope::Sdk, &linux())
                .unwrap();
            assert_eq!(found[0].fixed.as_deref(), Some("1.26.5"));
            assert_eq!(found[0].packages, ["net/http"]);
            assert_eq!(
                found[0].url.as_deref(),
                Some("https://example.com/GO-2026-1")
            );
        }
    }
}

#[test]
fn damaged_databases_are_errors_that_name_the_document() {
    let error = |change: &dyn Fn(&mut Files)| {
        let folder = tempfile::tempdir().unwrap();
        let mut all = documents();
        change(&mut all);
        write(folder.path(), &all);
        let error = database(folder.path().display())
            .load([&go("1.26.3")])
            .unwrap_err();
        let text = error
            .to_string()
            .replace(&folder.path().display().to_string(), "DB");
        (text, error.kind())
    };
    let without = |name: &str| error(&|all| drop(all.remove(name)));
    let with =
        |name: &str, bytes: &[u8]| error(&|all| drop(all.insert(name.to_owned(), bytes.to_vec())));
    let (modules, first) = ("index/modules.json", "ID/GO-2026-1.json");

    insta::assert_debug_snapshot!(without(modules), @r#"
    (
        "DB is not a Go vulnerability database: it has no index/modules.json",
        NotFound,
    )
    "#);
    insta::assert_debug_snapshot!(without(first), @r#"
    (
        "the vulnerability database DB has no ID/GO-2026-1.json, which its index names",
        Corrupt,
    )
    "#);
    for bytes in [&b"<!doctype html>"[..], b"{}", b"[{", &gzip(b"[{")] {
        let expected = format!("cannot use DB/{modules}");
        assert_eq!(with(modules, bytes), (expected, ErrorKind::Corrupt));
    }
    assert_eq!(
        with(first, b"{\"id\":"),
        (format!("cannot use DB/{first}"), ErrorKind::Corrupt)
    );
    assert_eq!(
        with("index/db.json", b"7"),
        ("cannot use DB/index/db.json".to_owned(), ErrorKind::Corrupt)
    );
    let cut = &gzip(&documents()[first])[..60];
    assert_eq!(
        with(first, cut),
        (format!("cannot decompress DB/{first}"), ErrorKind::Corrupt)
    );
    let bomb = gzip(&vec![b' '; 5 << 20]);
    assert_eq!(
        with(first, &bomb),
        (
            format!("DB/{first} is larger than 4194304 bytes"),
            ErrorKind::UnsafeContent
        )
    );
    // Without the time of the last change, the database can be used.
    let folder = tempfile::tempdir().unwrap();
    let mut all = documents();
    all.remove("index/db.json");
    write(folder.path(), &all);
    let known = database(folder.path().display())
        .load([&go("1.26.3")])
        .unwrap();
    assert_eq!(known.origin().modified, None);
}

/// A server whose documents and state can be changed.
struct Server {
    server: TestServer,
    documents: Arc<Mutex<Files>>,
    is_down: Arc<Mutex<bool>>,
}

impl Server {
    fn start(documents: Files) -> Self {
        let documents = Arc::new(Mutex::new(documents));
        let is_down = Arc::new(Mutex::new(false));
        let (served, down) = (documents.clone(), is_down.clone());
        let server = TestServer::start(move |_, request, stream| {
            if *down.lock().unwrap() {
                return respond(stream, "503 Down", "content-length: 0\r\n", b"");
            }
            let documents = served.lock().unwrap();
            let Some(body) = documents.get(request.path.trim_start_matches('/')) else {
                return respond(stream, "404 None", "content-length: 0\r\n", b"");
            };
            let etag = format!("\"{}\"", crate::fs::digest::of(body));
            if request.header("if-none-match") == Some(&*etag) {
                return respond(stream, "304 Same", "", b"");
            }
            let length = body.len();
            let headers = format!("etag: {etag}\r\ncontent-length: {length}\r\n");
            respond(stream, "200 OK", &headers, body);
        });
        Self {
            server,
            documents,
            is_down,
        }
    }

    /// Returns the paths of the requests since the last call, and whether each was conditional.
    fn requests(&self, since: usize) -> Vec<(String, bool)> {
        let all = self.server.requests();
        let new = all[since..].iter();
        new.map(|one| (one.path.clone(), one.header("if-none-match").is_some()))
            .collect()
    }
}

#[test]
fn a_server_is_asked_only_for_what_has_changed() {
    let server = Server::start(documents());
    let cache = tempfile::tempdir().unwrap();
    let load = |now: u64, max_age: u64| {
        database(&server.server.url)
            .cache(cache.path().join("vulndb"))
            .clock(Arc::new(FixedClock::new(now)))
            .max_age(max_age)
            .load([&go("1.26.3")])
            .unwrap()
    };
    let known = load(1000, 0);
    assert_eq!(
        ids(&known, "1.26.3", Scope::Sdk),
        ["GO-2026-1", "GO-2026-2"]
    );
    assert_eq!(known.origin().confirmed, Some(1000));
    let first = server.requests(0).len();
    // The compressed index does not exist, so that nothing else is asked for in compressed form.
    assert_eq!(first, 5, "{:?}", server.requests(0));

    let known = load(2000, 0);
    assert_eq!(known.origin().confirmed, Some(2000));
    let again = server.requests(first);
    let expected = [("/index/modules.json", true), ("/index/db.json", true)];
    assert_eq!(again, expected.map(|(path, same)| (path.to_owned(), same)));

    // Young copies are used without a request, but not those from the future.
    let before = server.server.requests().len();
    assert_eq!(load(2500, 600).origin().confirmed, Some(2000));
    assert!(server.requests(before).is_empty());
    assert_eq!(load(1500, 600).origin().confirmed, Some(1500));

    // A changed entry is fetched again, and no other one.
    let change = |name: &str, from: &str, to: &str| {
        let mut documents = server.documents.lock().unwrap();
        let text = String::from_utf8(documents[name].clone()).unwrap();
        documents.insert(name.to_owned(), text.replace(from, to).into_bytes());
    };
    change(
        "index/modules.json",
        r#""GO-2026-2","modified":"t1""#,
        r#""GO-2026-2","modified":"t2""#,
    );
    change("ID/GO-2026-2.json", "t1", "t2");
    change("ID/GO-2026-2.json", "1.26.4", "1.26.3");
    let before = server.server.requests().len();
    assert_eq!(ids(&load(3000, 0), "1.26.3", Scope::Sdk), ["GO-2026-1"]);
    let paths: Vec<String> = server
        .requests(before)
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        paths,
        [
            "/index/modules.json",
            "/index/db.json",
            "/ID/GO-2026-2.json"
        ]
    );
}

#[test]
fn a_copy_is_used_if_the_server_cannot_be_reached() {
    let server = Server::start(documents());
    let cache = tempfile::tempdir().unwrap();
    let load = |now| {
        let database = database(&server.server.url).cache(cache.path().to_owned());
        let database = database.clock(Arc::new(FixedClock::new(now)));
        database.load([&go("1.26.3")])
    };
    *server.is_down.lock().unwrap() = true;
    let error = load(1000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    *server.is_down.lock().unwrap() = false;
    load(1000).unwrap();
    *server.is_down.lock().unwrap() = true;
    let known = load(2000).unwrap();
    assert_eq!(known.origin().confirmed, Some(1000));
    let unreachable = known.origin().unreachable.as_ref().unwrap();
    assert_eq!(unreachable.kind(), ErrorKind::Network);
    assert_eq!(
        ids(&known, "1.26.3", Scope::Sdk),
        ["GO-2026-1", "GO-2026-2"]
    );

    // A damaged copy is no copy.
    for file in fs::read_dir(cache.path()).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(load(3000).unwrap_err().kind(), ErrorKind::Network);

    // A database that has moved away is no temporary failure.
    *server.is_down.lock().unwrap() = false;
    load(4000).unwrap();
    server.documents.lock().unwrap().clear();
    let error = load(5000).unwrap_err().to_string();
    let expected = format!(
        "{} is not a Go vulnerability database: it has no index/modules.json",
        server.server.url
    );
    assert_eq!(error, expected);
}

#[test]
fn credentials_are_not_shown() {
    let server = Server::start(documents());
    let secret = server.server.url.replace("://", "://me:secret@");
    let known = database(secret).load([&go("1.26.3")]).unwrap();
    assert_eq!(known.origin().location, server.server.url);
    insta::assert_snapshot!(
        database("ftp://me:secret@x/y").load([&go("1.26.3")]).unwrap_err(),
        @"`ftp://x/y` is not a URL to download from, expected http://, https:// or file:///"
    );
}

fn index(versions: &[&str]) -> (tempfile::TempDir, Result<UpstreamReleases, AuditError>) {
    let folder = tempfile::tempdir().unwrap();
    let list: Vec<String> = versions
        .iter()
        .map(|one| format!(r#"{{"version":"go{one}"}}"#))
        .collect();
    let path = folder.path().join("index.json");
    fs::write(&path, format!("[{}]", list.join(","))).unwrap();
    let loaded = DownloadIndex::new(path.display().to_string()).load();
    (folder, loaded)
}

#[test]
fn the_two_newest_minor_releases_are_supported() {
    let (_folder, loaded) = index(&["1.28rc1", "1.26.9", "1.27.0", "1.26.10", "1.25.9", "1.9.1"]);
    let releases = loaded.unwrap();
    assert_eq!(releases.supported(), ["1.27", "1.26"]);
    let support = |text: &str| releases.support(&go(text));
    for supported in ["1.26.0", "1.27.3", "1.28rc1", "1.26.1-acme1", "1.29.1"] {
        assert_eq!(support(supported), Support::Supported, "{supported}");
    }
    for ended in ["1.25.9", "1.25rc1", "1.9.1"] {
        assert_eq!(support(ended), Support::Ended, "{ended}");
    }
    let newest = |text: &str| releases.newest_patch(&go(text)).map(ToString::to_string);
    assert_eq!(newest("1.26.3").as_deref(), Some("1.26.10"));
    assert_eq!(newest("1.28beta1").as_deref(), Some("1.28rc1"));
    assert_eq!(newest("1.29.0"), None);

    let advisories = Advisories::new()
        .releases(releases)
        .own([go("1.29.2"), go("1.26.11")]);
    let newer = |text: &str| {
        let assessment = advisories.assess(&go(text), &linux());
        assert_eq!(assessment.vulnerabilities, None);
        assessment.newer.map(|newer| newer.to_string())
    };
    assert_eq!(newer("1.26.3").as_deref(), Some("1.26.11"));
    assert_eq!(newer("1.26.11"), None);
    assert_eq!(newer("1.26.11-acme1"), None);
    assert_eq!(newer("1.26.10-acme1").as_deref(), Some("1.26.11"));
    assert_eq!(newer("1.27rc1").as_deref(), Some("1.27.0"));
    assert_eq!(newer("1.27"), None);
}

#[test]
fn an_index_without_releases_is_refused() {
    let (folder, loaded) = index(&["1.28rc1"]);
    let path = folder.path().join("index.json");
    let error = loaded.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let text = error
        .to_string()
        .replace(&path.display().to_string(), "INDEX");
    insta::assert_snapshot!(text, @"the download index INDEX lists no release of Go");
    fs::write(&path, "<html>").unwrap();
    let error = DownloadIndex::new(path.display().to_string())
        .load()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.to_string(), format!("cannot use {}", path.display()));
    fs::remove_file(&path).unwrap();
    let error = DownloadIndex::new(path.display().to_string())
        .load()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // A directory is no index, and a pipe would block.
    let error = DownloadIndex::new(folder.path().display().to_string())
        .load()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read {}", folder.path().display())
    );
}
