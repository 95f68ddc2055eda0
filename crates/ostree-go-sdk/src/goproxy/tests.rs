//! The answers of a module proxy, with hashes that the tests set and an upstream proxy in a directory.

use super::answer::{Answer, Block, Content, Failure, Refusal};
use super::sums::{Origin, PublicSums, Sums};
use super::*;
use crate::attest::{Envelope, STATEMENT_TYPE, Statement, Subject};
use crate::clock::FixedClock;
use crate::golang::h1::H1;
use crate::golang::module_id::ModuleId;
use crate::http::test_server::TestServer;
use crate::module_zip::{ModuleZip, hash_go_mod};
use crate::sign::SigningKey;
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const LIB: &str = "example.com/lib@v1.0.0";
const SECRET: &str =
    "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// The hashes of public modules, or a failure for all.
#[derive(Default)]
struct FakeSums {
    sums: Mutex<HashMap<ModuleId, Sums>>,
    failure: Mutex<Option<fn() -> Failure>>,
}

struct Shared(Arc<FakeSums>);

impl PublicSums for Shared {
    fn look_up(&self, id: &ModuleId, _: &dyn Progress) -> Result<(Sums, String), Failure> {
        if let Some(failure) = *self.0.failure.lock().unwrap() {
            return Err(failure());
        }
        let sums = self.0.sums.lock().unwrap().get(id).copied();
        let sums = sums.ok_or_else(|| {
            let message = format!("{id} is unknown");
            Block::new(AlertKind::NotInDatabase, message)
        })?;
        Ok((sums, format!("the record of {id}")))
    }
}

#[derive(Default)]
struct Recorded(Mutex<Vec<String>>);

impl AlertSink for Recorded {
    fn alert(&self, alert: &Alert) {
        let line = serde_json::to_string(alert).unwrap();
        self.0.lock().unwrap().push(line);
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    sums: Arc<FakeSums>,
    alerts: Arc<Recorded>,
    service: Service,
}

fn id(text: &str) -> ModuleId {
    text.parse().unwrap()
}

impl Fixture {
    fn new(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = format!("file://{}", folder.path().join("upstream").display());
        Self::with_upstream(folder, policy, &upstream)
    }

    fn with_upstream(folder: tempfile::TempDir, policy: &str, upstream: &str) -> Self {
        let http = HttpOptions::new().retries(0);
        let http = http.read_timeout(Duration::from_millis(200));
        let client = HttpClient::new(&http).unwrap();
        let servers = |list: &str| {
            let list = proxy::parse_list(list).unwrap();
            Servers::of_list(&client, list).unwrap()
        };
        let policy_path = folder.path().join("policy.toml");
        let (sums, alerts) = (Arc::<FakeSums>::default(), Arc::<Recorded>::default());
        let database = format!("{upstream}/database");
        let service = Service {
            policy: Policy::parse(policy, &policy_path).unwrap(),
            proxies: servers(upstream),
            private_proxies: BTreeMap::new(),
            tree: Tree::create(&folder.path().join("cache")).unwrap(),
            public_sums: Box::new(Shared(sums.clone())),
            database: "sum.example.com".to_owned(),
            database_servers: Servers::of_mirrors(&client, &[database]).unwrap(),
            toolchains: None,
            alerts: alerts.clone(),
            metrics: Arc::default(),
            // 2026-01-08T00:00:00Z
            clock: Arc::new(FixedClock::new(1_767_830_400)),
            stop: Arc::new(NoProgress),
            abandon: Abandon::default(),
            known: Known::default(),
        };
        Self {
            folder,
            sums,
            alerts,
            service,
        }
    }

    fn upstream(&self, id: &ModuleId, extension: &str) -> PathBuf {
        self.folder
            .path()
            .join("upstream")
            .join(tree::relative(id, extension))
    }

    /// Adds a version with this time to the upstream proxy, and its hashes to the database.
    fn publish(&self, name: &str, time: &str) -> (H1, H1) {
        let id = id(name);
        let write = |extension: &str, bytes: &[u8]| {
            let path = self.upstream(&id, extension);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let info = format!(r#"{{"Version":"{}","Time":"{time}"}}"#, id.version());
        write("info", info.as_bytes());
        let go_mod = format!("module {}\n", id.path());
        write("mod", go_mod.as_bytes());
        write("zip", &zip_of(&id, "package lib\n"));
        let list = self.folder.path().join("upstream").join(id.path());
        let list = list.join("@v/list");
        let text = fs::read_to_string(&list).unwrap_or_default();
        fs::write(&list, format!("{text}{}\n", id.version())).unwrap();
        let zip = self.upstream(&id, "zip");
        let zip = ModuleZip::open(&zip, id.path(), id.version()).unwrap();
        let (zip, go_mod) = (zip.h1(), hash_go_mod(go_mod.as_bytes()));
        let sums = Sums {
            zip: Some(zip),
            go_mod: Some(go_mod),
            origin: Origin::Database,
        };
        self.sums.sums.lock().unwrap().insert(id, sums);
        (zip, go_mod)
    }

    fn get(&self, path: &str) -> String {
        let request = Request::parse(path).expect("a request");
        let answer = match &request {
            Request::File { id, file } => self.service.file_at_hand(id, *file),
            _ => None,
        };
        shown(answer.unwrap_or_else(|| self.service.query(&request)))
    }

    fn file(&self, extension: &str) -> String {
        let id = id(LIB);
        self.get(&format!("/{}", tree::relative(&id, extension)))
    }

    fn alerts(&self) -> String {
        self.alerts
            .0
            .lock()
            .unwrap()
            .drain(..)
            .map(|line| line + "\n")
            .collect()
    }

    fn cached(&self, extension: &str) -> PathBuf {
        self.service.tree.path(&id(LIB), extension)
    }
}

fn zip_of(id: &ModuleId, content: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [
        ("go.mod", format!("module {}\n", id.path())),
        ("lib.go", content.to_owned()),
    ] {
        let options = SimpleFileOptions::default();
        zip.start_file(format!("{id}/{name}"), options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn shown(answer: Answer) -> String {
    match answer {
        Ok(found) => match found.content {
            Content::Bytes(bytes) => format!("200: {}", String::from_utf8_lossy(&bytes)),
            Content::File(_, size) => {
                format!("200: {} bytes", if size > 0 { "some" } else { "no" })
            }
            Content::Toolchain { .. } => "200: toolchain".to_owned(),
        },
        Err(Refusal { status, message }) => format!("{status}: {message}"),
    }
}

#[test]
fn verified_files_are_served_and_cached() {
    let fixture = Fixture::new("");
    fixture.publish(LIB, "2026-01-01T00:00:00Z");
    for _ in 0..2 {
        assert_eq!(fixture.file("zip"), "200: some bytes");
        assert_eq!(fixture.file("mod"), "200: module example.com/lib\n");
        let info = r#"200: {"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(fixture.file("info"), info);
        // The second time, nothing is fetched.
        let _ = fs::remove_dir_all(fixture.folder.path().join("upstream"));
    }
    let sum = |metric| fixture.service.metrics.sum(metric);
    assert_eq!((sum(Metric::CacheMisses), sum(Metric::Lookups)), (2, 1));
    assert_eq!(fixture.alerts(), "");
    let list = fixture.service.tree.root().join("example.com/lib/@v/list");
    assert_eq!(fs::read_to_string(list).unwrap(), "v1.0.0\n");
    let missing = fixture.get("/example.com/lib/@v/v1.1.0.zip");
    assert!(missing.starts_with("404: cannot read "), "{missing}");
}

#[test]
fn changed_files_of_the_upstream_proxy_are_blocked() {
    let fixture = Fixture::new("");
    fixture.publish(LIB, "2026-01-01T00:00:00Z");
    fs::write(
        fixture.upstream(&id(LIB), "mod"),
        "module example.com/evil\n",
    )
    .unwrap();
    insta::assert_snapshot!(fixture.file("mod"), @"403: blocked: the go.mod file of example.com/lib@v1.0.0 has the hash h1:O+fMD822zBOF7bcNbJO2VYZ7ANpWZiobh1eFU4nzh4k=, expected h1:4OAnUP7RpKJ0hg7ydNi+A/luktLxx7xSrw0c+FeAtlc= as in the checksum database");
    let zip = fixture.upstream(&id(LIB), "zip");
    let good = fs::read(&zip).unwrap();
    fs::write(&zip, zip_of(&id(LIB), "package evil\n")).unwrap();
    insta::assert_snapshot!(fixture.file("zip"), @"403: blocked: the zip file of example.com/lib@v1.0.0 has the hash h1:CqTJovuQxsg2pmACielAEF1gLuVLLU029fTP6s4VFfo=, expected h1:0kdpnB2MX+LWAaA61Oj3wgQ9rkPBrHdfrp4u7NziVAQ= as in the checksum database");
    fs::write(&zip, &good[..good.len() - 10]).unwrap();
    insta::assert_snapshot!(fixture.file("zip"), @"403: blocked: the zip file of example.com/lib@v1.0.0 is refused: v1.0.0.zip is damaged: invalid Zip archive: Unexpected end of zip::format::blocks::Zip32CDEBlock");
    fs::write(&zip, zip_of(&id("example.com/lib@v1.0.1"), "package lib\n")).unwrap();
    insta::assert_snapshot!(fixture.file("zip"), @"403: blocked: the zip file of example.com/lib@v1.0.0 is refused: v1.0.0.zip: the entry `example.com/lib@v1.0.1/go.mod` is refused: expected a name that begins with `example.com/lib@v1.0.0/`");
    fs::write(
        fixture.upstream(&id(LIB), "info"),
        r#"{"Version":"v1.0.1"}"#,
    )
    .unwrap();
    insta::assert_snapshot!(fixture.file("info"), @"403: blocked: the .info of example.com/lib@v1.0.0 names the version `v1.0.1`, expected v1.0.0");
    insta::assert_snapshot!(fixture.alerts(), @r#"
    {"time":"2026-01-08T00:00:00Z","alert":"mod-mismatch","module":"example.com/lib","version":"v1.0.0","file":"mod","blocked":true,"message":"the go.mod file of example.com/lib@v1.0.0 has the hash h1:O+fMD822zBOF7bcNbJO2VYZ7ANpWZiobh1eFU4nzh4k=, expected h1:4OAnUP7RpKJ0hg7ydNi+A/luktLxx7xSrw0c+FeAtlc= as in the checksum database","expected":"h1:4OAnUP7RpKJ0hg7ydNi+A/luktLxx7xSrw0c+FeAtlc=","found":"h1:O+fMD822zBOF7bcNbJO2VYZ7ANpWZiobh1eFU4nzh4k="}
    {"time":"2026-01-08T00:00:00Z","alert":"zip-mismatch","module":"example.com/lib","version":"v1.0.0","file":"zip","blocked":true,"message":"the zip file of example.com/lib@v1.0.0 has the hash h1:CqTJovuQxsg2pmACielAEF1gLuVLLU029fTP6s4VFfo=, expected h1:0kdpnB2MX+LWAaA61Oj3wgQ9rkPBrHdfrp4u7NziVAQ= as in the checksum database","expected":"h1:0kdpnB2MX+LWAaA61Oj3wgQ9rkPBrHdfrp4u7NziVAQ=","found":"h1:CqTJovuQxsg2pmACielAEF1gLuVLLU029fTP6s4VFfo="}
    {"time":"2026-01-08T00:00:00Z","alert":"invalid-zip","module":"example.com/lib","version":"v1.0.0","file":"zip","blocked":true,"message":"the zip file of example.com/lib@v1.0.0 is refused: v1.0.0.zip is damaged: invalid Zip archive: Unexpected end of zip::format::blocks::Zip32CDEBlock"}
    {"time":"2026-01-08T00:00:00Z","alert":"invalid-zip","module":"example.com/lib","version":"v1.0.0","file":"zip","blocked":true,"message":"the zip file of example.com/lib@v1.0.0 is refused: v1.0.0.zip: the entry `example.com/lib@v1.0.1/go.mod` is refused: expected a name that begins with `example.com/lib@v1.0.0/`"}
    {"time":"2026-01-08T00:00:00Z","alert":"wrong-version","module":"example.com/lib","version":"v1.0.0","file":"info","blocked":true,"message":"the .info of example.com/lib@v1.0.0 names the version `v1.0.1`, expected v1.0.0"}
    "#);
    // Nothing of it was stored, and nothing is left behind.
    let kept = fs::read_dir(fixture.service.tree.root().join("example.com/lib/@v"));
    assert_eq!(kept.unwrap().count(), 0);
}

#[test]
fn damaged_files_of_the_cache_are_fetched_again() {
    let fixture = Fixture::new("");
    fixture.publish(LIB, "2026-01-01T00:00:00Z");
    for extension in ["info", "mod", "zip"] {
        let first = fixture.file(extension);
        let path = fixture.cached(extension);
        let good = fs::read(&path).unwrap();
        for damaged in [&good[..good.len() / 2], b"", b"other"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(fixture.file(extension), first);
            assert_eq!(fs::read(&path).unwrap(), good);
            let alerts = fixture.alerts();
            assert!(alerts.contains(r#""alert":"cache-changed""#), "{alerts}");
            assert!(alerts.contains(r#""blocked":false"#), "{alerts}");
        }
    }
    fs::write(fixture.cached("zip"), zip_of(&id(LIB), "package evil\n")).unwrap();
    assert_eq!(fixture.file("zip"), "200: some bytes");
    insta::assert_snapshot!(fixture.alerts(), @r#"{"time":"2026-01-08T00:00:00Z","alert":"cache-changed","module":"example.com/lib","version":"v1.0.0","file":"zip","blocked":false,"message":"the zip file of example.com/lib@v1.0.0 in the cache has been changed: its hash differs","expected":"h1:0kdpnB2MX+LWAaA61Oj3wgQ9rkPBrHdfrp4u7NziVAQ=","found":"h1:CqTJovuQxsg2pmACielAEF1gLuVLLU029fTP6s4VFfo="}"#);
}

#[test]
fn nothing_is_served_without_the_database() {
    let fixture = Fixture::new("");
    fixture.publish(LIB, "2026-01-01T00:00:00Z");
    *fixture.sums.failure.lock().unwrap() = Some(|| Refusal::new(503, "out of reach").into());
    assert_eq!(fixture.file("zip"), "503: out of reach");
    assert_eq!(fixture.file("mod"), "503: out of reach");
    *fixture.sums.failure.lock().unwrap() = None;
    fixture.sums.sums.lock().unwrap().clear();
    assert_eq!(
        fixture.file("zip"),
        "403: blocked: example.com/lib@v1.0.0 is unknown"
    );
    let sum = |metric| fixture.service.metrics.sum(metric);
    assert_eq!((sum(Metric::Lookups), sum(Metric::LookupErrors)), (3, 2));
}

#[test]
fn the_policy_decides_what_is_served() {
    let fixture = Fixture::new(
        "allow = ['example.com']\nminimum-age = '7d'\n\
         [[deny]]\nmodule = 'example.com/bad'\n\
         [[deny]]\nmodule = 'example.com/lib'\nversions = ['v1.0.1']\nreason = 'CVE-2026-1'\n",
    );
    for (version, time) in [
        ("v1.0.0", "2026-01-01T00:00:00Z"),
        ("v1.0.1", "2026-01-01T00:00:00Z"),
        ("v1.0.2", "2026-01-01T00:00:01Z"),
    ] {
        fixture.publish(&format!("example.com/lib@{version}"), time);
    }
    let latest = fixture
        .folder
        .path()
        .join("upstream/example.com/lib/@latest");
    fs::write(
        latest,
        r#"{"Version":"v1.0.2","Time":"2026-01-01T00:00:01Z"}"#,
    )
    .unwrap();
    assert_eq!(fixture.get("/example.com/lib/@v/list"), "200: v1.0.0\n");
    assert_eq!(
        fixture.get("/example.com/lib/@v/v1.0.0.zip"),
        "200: some bytes"
    );
    insta::assert_snapshot!(fixture.get("/example.com/lib/@v/v1.0.1.zip"), @"403: blocked: example.com/lib@v1.0.1 is denied by the policy of this proxy: CVE-2026-1");
    insta::assert_snapshot!(fixture.get("/example.com/lib/@v/v1.0.2.mod"), @"403: blocked: example.com/lib@v1.0.2 is from 2026-01-01T00:00:01Z, and the policy of this proxy serves it from 2026-01-08T00:00:01Z on");
    insta::assert_snapshot!(fixture.get("/example.com/lib/@v/v1.0.2.info"), @"403: blocked: example.com/lib@v1.0.2 is from 2026-01-01T00:00:01Z, and the policy of this proxy serves it from 2026-01-08T00:00:01Z on");
    insta::assert_snapshot!(fixture.get("/example.com/lib/@latest"), @"403: blocked: example.com/lib@v1.0.2 is from 2026-01-01T00:00:01Z, and the policy of this proxy serves it from 2026-01-08T00:00:01Z on");
    insta::assert_snapshot!(fixture.get("/example.com/bad/@v/list"), @"403: blocked: example.com/bad is denied by the policy of this proxy");
    insta::assert_snapshot!(fixture.get("/example.net/lib/@v/v1.0.0.zip"), @"403: blocked: example.net/lib@v1.0.0 is not among the modules that the policy of this proxy allows");
    fs::write(
        fixture.upstream(&id("example.com/lib@v1.0.3"), "info"),
        r#"{"Version":"v1.0.3"}"#,
    )
    .unwrap();
    insta::assert_snapshot!(fixture.get("/example.com/lib/@v/v1.0.3.zip"), @"403: blocked: example.com/lib@v1.0.3 has no time, and the policy of this proxy serves only versions of a minimum age");
}

#[test]
fn private_modules_need_a_statement() {
    let fixture = Fixture::new(&format!(
        "[[private]]\nmodules = ['example.com']\nkeys = ['{PUBLIC}']\n"
    ));
    let (zip, go_mod) = fixture.publish(LIB, "2026-01-01T00:00:00Z");
    *fixture.sums.failure.lock().unwrap() = Some(|| panic!("a private module is looked up"));
    insta::assert_snapshot!(fixture.file("zip"), @"403: blocked: the private module example.com/lib@v1.0.0 has no signed statement");
    let state = |subjects: Vec<Subject>, secret: &str| {
        let statement = Statement {
            subjects,
            predicate_type: "https://example.com/release".to_owned(),
            predicate: serde_json::Value::Null,
        };
        let key = SigningKey::Ed25519 {
            secret: secret.to_owned(),
        };
        let signed = Envelope::sign(STATEMENT_TYPE, statement.to_json(), &[key]).unwrap();
        fs::write(fixture.upstream(&id(LIB), "intoto.json"), signed.to_json()).unwrap();
    };
    let subjects = |zip: H1| {
        let go_mod = Subject::with_h1(format!("{LIB}/go.mod"), go_mod);
        vec![Subject::with_h1(LIB, zip), go_mod]
    };
    let (foreign, _) = crate::sign::ed25519_key_pair(&[7; 32]);
    state(subjects(zip), &foreign);
    insta::assert_snapshot!(fixture.file("zip"), @"403: blocked: the statement of the private module example.com/lib@v1.0.0 is not signed by a key of the policy: the envelope has no valid signature by a trusted key: ed25519 made by an unknown key");
    state(
        vec![Subject::with_h1("example.com/lib@v1.0.1", zip)],
        SECRET,
    );
    insta::assert_snapshot!(fixture.file("zip"), @"403: blocked: the statement of the private module example.com/lib@v1.0.0 has no subject `example.com/lib@v1.0.0` with the digest dirHash1");
    state(subjects(go_mod), SECRET);
    insta::assert_snapshot!(fixture.file("zip"), @"403: blocked: the zip file of example.com/lib@v1.0.0 has the hash h1:0kdpnB2MX+LWAaA61Oj3wgQ9rkPBrHdfrp4u7NziVAQ=, expected h1:4OAnUP7RpKJ0hg7ydNi+A/luktLxx7xSrw0c+FeAtlc= as in its signed statement");
    fs::write(fixture.upstream(&id(LIB), "intoto.json"), "{}").unwrap();
    insta::assert_snapshot!(fixture.file("zip"), @"403: blocked: the zip file of example.com/lib@v1.0.0 has the hash h1:0kdpnB2MX+LWAaA61Oj3wgQ9rkPBrHdfrp4u7NziVAQ=, expected h1:4OAnUP7RpKJ0hg7ydNi+A/luktLxx7xSrw0c+FeAtlc= as in its signed statement");
    // The statement with the wrong hash is in the cache until it is replaced.
    fs::remove_file(fixture.cached("intoto.json")).unwrap();
    state(subjects(zip), SECRET);
    assert_eq!(fixture.file("zip"), "200: some bytes");
    assert_eq!(fixture.file("mod"), "200: module example.com/lib\n");
    let request = Request::parse("/sumdb/sum.example.com/lookup/example.com/lib@v1.0.0").unwrap();
    insta::assert_snapshot!(shown(fixture.service.query(&request)), @"403: blocked: example.com/lib is private, and its name is not sent to a checksum database; set GONOSUMDB for it");
}

#[test]
fn the_database_is_passed_through() {
    let fixture = Fixture::new("");
    fixture.publish(LIB, "2026-01-01T00:00:00Z");
    let database = fixture.folder.path().join("upstream/database");
    let write = |path: &str, content: &[u8]| {
        let path = database.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("latest", b"head");
    write("tile/8/0/000", &[b'a'; 8192]);
    write("tile/8/0/001.p/1", &[b'b'; 32]);
    let get = |path: &str| fixture.get(&format!("/sumdb/sum.example.com/{path}"));
    assert_eq!(get("supported"), "200: ");
    assert_eq!(get("latest"), "200: head");
    assert_eq!(
        get("lookup/example.com/lib@v1.0.0"),
        "200: the record of example.com/lib@v1.0.0"
    );
    // Nothing else than a version of a module is looked up.
    assert!(!get("lookup/example.com/lib@master").starts_with("200"));
    assert_eq!(get("tile/8/0/000"), format!("200: {}", "a".repeat(8192)));
    assert_eq!(get("tile/8/0/001.p/1"), format!("200: {}", "b".repeat(32)));
    fs::remove_dir_all(&database).unwrap();
    assert_eq!(get("tile/8/0/000"), format!("200: {}", "a".repeat(8192)));
    assert!(get("tile/8/0/001.p/1").starts_with("404: "));
    insta::assert_snapshot!(fixture.get("/sumdb/sum.golang.org/latest"), @"404: this proxy does not serve the checksum database sum.golang.org, but sum.example.com");
}

#[test]
fn failures_of_the_upstream_proxy_are_told_apart() {
    let page = "<html><body>Log in</body></html>";
    let server = TestServer::start(move |_, request, stream| {
        let answer = |status: &str, body: &str| {
            format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
        };
        let text = match request.path.split('/').next_back().unwrap_or_default() {
            "v1.0.4.info" => answer("404 Not Found", ""),
            "v1.0.5.info" => answer("410 Gone", ""),
            "v1.0.6.info" => answer("500 Failed", ""),
            "v1.0.7.info" => answer("200 OK", page),
            "v1.0.8.info" => answer("200 OK", "plain"),
            "v1.0.9.info" => {
                "HTTP/1.1 200 OK\r\nContent-Length: 90\r\nConnection: close\r\n\r\n{".to_owned()
            }
            _ => {
                std::thread::sleep(Duration::from_secs(1));
                return;
            }
        };
        let _ = stream.write_all(text.as_bytes());
    });
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::with_upstream(folder, "", &server.url);
    let status = |version: &str| {
        let answer = fixture.get(&format!("/example.com/lib/@v/{version}.info"));
        answer.replace(&server.url, "UPSTREAM")
    };
    insta::assert_snapshot!(status("v1.0.4"), @"404: cannot download UPSTREAM/example.com/lib/@v/v1.0.4.info: the server answered with status 404");
    insta::assert_snapshot!(status("v1.0.5"), @"404: cannot download UPSTREAM/example.com/lib/@v/v1.0.5.info: the server answered with status 410");
    insta::assert_snapshot!(status("v1.0.6"), @"502: cannot download UPSTREAM/example.com/lib/@v/v1.0.6.info: the server answered with status 500");
    insta::assert_snapshot!(status("v1.0.7"), @"502: cannot download UPSTREAM/example.com/lib/@v/v1.0.7.info: this is a web page, not the requested file");
    insta::assert_snapshot!(status("v1.0.8"), @"502: the upstream proxy's answer for example.com/lib/@v/v1.0.8.info is not the JSON of a version");
    insta::assert_snapshot!(status("v1.0.9"), @"502: cannot download UPSTREAM/example.com/lib/@v/v1.0.9.info: the connection ended after 1 of 90 bytes");
    insta::assert_snapshot!(status("v1.0.10"), @"504: cannot download UPSTREAM/example.com/lib/@v/v1.0.10.info: timeout: receive response");
    assert_eq!(fixture.alerts(), "");
    assert_eq!(fixture.service.metrics.sum(Metric::UpstreamErrors), 4);
}

/// Cancels the server.
#[derive(Default)]
struct Stop(AtomicBool);

impl Progress for Stop {
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

fn exchange(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request}\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let lines = answer.lines().filter(|line| !line.starts_with("date: "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_server_speaks_http_and_ends() {
    let mut fixture = Fixture::new("[[deny]]\nmodule = 'example.com/bad'\n");
    fixture.publish(LIB, "2026-01-01T00:00:00Z");
    let stop = Arc::<Stop>::default();
    fixture.service.stop = stop.clone();
    let metrics = fixture.folder.path().join("metrics.prom");
    let listener = listen("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits {
        connections: 8,
        fetches: 2,
        grace: Duration::from_secs(5),
    };
    let Fixture {
        service, folder, ..
    } = fixture;
    let path = metrics.clone();
    let server =
        std::thread::spawn(move || server::run(service, vec![listener], Some(path), limits));
    let get = |path: &str| exchange(address, &format!("GET {path} HTTP/1.1"));
    insta::assert_snapshot!(get("/example.com/lib/@v/v1.0.0.mod"), @"
    HTTP/1.1 200 OK
    content-type: text/plain; charset=utf-8
    content-length: 23
    connection: close

    module example.com/lib
    ");
    insta::assert_snapshot!(get("/example.com/bad/@v/list"), @"
    HTTP/1.1 403 Forbidden
    content-type: text/plain; charset=utf-8
    content-length: 63
    connection: close

    blocked: example.com/bad is denied by the policy of this proxy
    ");
    insta::assert_snapshot!(get("/other"), @"
    HTTP/1.1 400 Bad Request
    content-type: text/plain; charset=utf-8
    content-length: 40
    connection: close

    this is not a path of a Go module proxy
    ");
    insta::assert_snapshot!(exchange(address, "HEAD /example.com/lib/@v/v1.0.0.mod HTTP/1.1"), @"
    HTTP/1.1 200 OK
    content-type: text/plain; charset=utf-8
    content-length: 23
    connection: close
    ");
    insta::assert_snapshot!(exchange(address, "PUT /example.com/lib/@v/v1.0.0.mod HTTP/1.1"), @"
    HTTP/1.1 405 Method Not Allowed
    content-type: text/plain; charset=utf-8
    content-length: 52
    allow: GET, HEAD
    connection: close

    a Go module proxy has only the methods GET and HEAD
    ");
    let zip = get("/example.com/lib/@v/v1.0.0.zip");
    assert!(zip.contains("content-type: application/zip\n"), "{zip}");
    // An open connection without a request does not delay the end.
    let _idle = TcpStream::connect(address).unwrap();
    stop.0.store(true, Ordering::Relaxed);
    server.join().unwrap().unwrap();
    assert!(TcpStream::connect(address).is_err());
    let text = fs::read_to_string(&metrics).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("ostree_go_proxy_requests"));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    ostree_go_proxy_requests_total{file="list",status="403"} 1
    ostree_go_proxy_requests_total{file="mod",status="200"} 2
    ostree_go_proxy_requests_total{file="other",status="400"} 1
    ostree_go_proxy_requests_total{file="other",status="405"} 1
    ostree_go_proxy_requests_total{file="zip",status="200"} 1
    "#);
    drop(folder);
}

#[test]
fn options_with_mistakes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = |proxy: ModuleProxy| proxy.check().unwrap_err().to_string();
    let proxy = |list: &str| ModuleProxy::new(list, folder.path().join("cache"));
    insta::assert_snapshot!(error(proxy("direct")), @"the list of upstream proxies `direct` has no proxy, expected at least one URL");
    insta::assert_snapshot!(error(proxy("ftp://a")), @"GOPROXY entry `ftp://a` is not a proxy, expected an http, https or file URL, `direct` or `off`");
    let database = proxy("https://a.example").database_key("sum.example.com".to_owned());
    insta::assert_snapshot!(error(database), @"`sum.example.com` is not the key of a checksum database, expected the form NAME+HASH+KEY");
    let taken = listen("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = listen(&address).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Locked);
    assert!(listen("nowhere").is_err());
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let below = ModuleProxy::new("https://a.example", file.join("cache"));
    assert!(matches!(
        below.check(),
        Err(GoProxyError::Io {
            action: "create",
            ..
        })
    ));
    assert!(Path::new(&file).is_file());
}
