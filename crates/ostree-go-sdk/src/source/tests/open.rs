use std::fs;
use std::path::PathBuf;

use super::super::download::SourceContext;
use super::super::open::open;
use super::*;
use crate::arch::Arch;
use crate::fs::cache::Cache;
use crate::fs::digest;
use crate::golang::h1::H1;
use crate::http::test_server::{TestServer, respond, serve};
use crate::http::{HttpClient, HttpOptions};
use crate::id::Sha256;
use crate::kind::ErrorKind;
use crate::progress::NoProgress;
use crate::treefile::{Pin, SourceSpec};

const ZIP_PATH: &str = "/golang.org/toolchain/@v/v0.0.1-go1.26.5.linux-amd64.zip";

fn h1() -> Option<H1> {
    Some(crate::golang::h1::H1Builder::new().finish())
}

fn zip() -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default();
    writer
        .start_file(format!("{MODULE}/VERSION"), options)
        .unwrap();
    writer.write_all(b"go1.26.5").unwrap();
    writer.finish().unwrap().into_inner()
}

fn tar_gz() -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    let mut header = ::tar::Header::new_ustar();
    header.set_size(8);
    header.set_mode(0o644);
    builder
        .append_data(&mut header, "go/VERSION", &b"go1.26.5"[..])
        .unwrap();
    gzip(&builder.into_inner().unwrap())
}

fn sha(bytes: &[u8]) -> Option<Sha256> {
    Some(digest::of(bytes))
}

/// A fixture for opening and reading sources.
struct Setup {
    dir: tempfile::TempDir,
    goproxy: Option<String>,
    pin: Pin,
    no_cache: bool,
}

fn setup() -> Setup {
    Setup {
        dir: tempfile::tempdir().unwrap(),
        goproxy: None,
        pin: Pin::default(),
        no_cache: false,
    }
}

impl Setup {
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn open(&self, spec: &SourceSpec) -> Result<String, SourceError> {
        let options = HttpOptions::new().retries(0);
        let http = HttpClient::new(&options).unwrap();
        let cache = Cache::new(self.dir.path().join("cache"));
        let ctx = SourceContext {
            http: &http,
            cache: (!self.no_cache).then_some(&cache),
            goproxy: self.goproxy.as_deref(),
            progress: &NoProgress,
        };
        let version = "1.26.5".parse().unwrap();
        let source = open(spec, &self.pin, &version, Arch::X86_64, &ctx)?;
        let info = source.info.clone();
        let lines = shown(|visit| source.read(&Limits::default(), visit))?;
        Ok(format!(
            "{} {}: {}",
            info.form.as_str(),
            info.name,
            lines.join(" ")
        ))
    }

    fn module(&self) -> Result<String, SourceError> {
        self.open(&SourceSpec::Module {
            path: "golang.org/toolchain".to_owned(),
        })
    }

    fn error(&self, spec: &SourceSpec) -> String {
        let text = chain(&self.open(spec).unwrap_err());
        text.replace(&self.dir.path().display().to_string(), "DIR")
    }
}

#[test]
fn the_form_is_detected_from_the_content() {
    let setup = setup();
    let tar = setup.file("a.bin", &tar_gz());
    assert_eq!(
        setup.open(&SourceSpec::Path(tar)).unwrap(),
        "tar.gz a.bin: VERSION [8] go1.26.5"
    );
    let zip = setup.file("b.bin", &zip());
    assert_eq!(
        setup.open(&SourceSpec::Path(zip)).unwrap(),
        "zip b.bin: VERSION [8] go1.26.5"
    );
    let tree = setup.file("tree/VERSION", b"go1.26.5");
    let tree = SourceSpec::Path(tree.parent().unwrap().to_owned());
    assert_eq!(
        setup.open(&tree).unwrap(),
        "directory tree: VERSION [8] go1.26.5"
    );
    let text = SourceSpec::Path(setup.file("x.tar.gz", b"<html>"));
    insta::assert_snapshot!(setup.error(&text), @"DIR/x.tar.gz is neither a gzip-compressed tar archive nor a zip archive");
    let missing = SourceSpec::Path(setup.dir.path().join("no"));
    insta::assert_snapshot!(setup.error(&missing), @"cannot read DIR/no: No such file or directory (os error 2)");
    assert_eq!(
        setup.open(&missing).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_pinned_digest_is_that_of_the_tar_gz() {
    let mut setup = setup();
    let tar = SourceSpec::Path(setup.file("go.tar.gz", &tar_gz()));
    let zip_file = SourceSpec::Path(setup.file("go.zip", &zip()));
    let tree = SourceSpec::Path(setup.file("tree/VERSION", b"").parent().unwrap().to_owned());
    setup.pin.sha256 = sha(&tar_gz());
    assert!(setup.open(&tar).is_ok());
    assert_eq!(
        setup.open(&zip_file).unwrap_err().kind(),
        ErrorKind::Mismatch
    );
    insta::assert_snapshot!(setup.error(&tree), @"DIR/tree is a directory and cannot be checked against a SHA-256 of an archive, expected an h1 pin");
    setup.pin.h1 = h1();
    assert!(setup.open(&tar).is_ok() && setup.open(&zip_file).is_ok() && setup.open(&tree).is_ok());
    setup.pin.sha256 = Some(Sha256([0; 32]));
    assert!(setup.open(&zip_file).is_ok());
    assert!(
        setup
            .error(&tar)
            .starts_with("DIR/go.tar.gz has the SHA-256 ")
    );
    assert!(
        setup
            .error(&tar)
            .ends_with(&format!("expected {}", "00".repeat(32)))
    );
}

#[test]
fn urls_need_a_digest_or_a_pin() {
    let server = TestServer::start(|_, request, stream| {
        let is_zip = request.path.ends_with(".zip");
        serve(request, stream, &if is_zip { zip() } else { tar_gz() });
    });
    let url = |name: &str, sha256| SourceSpec::Url {
        url: format!("{}/{name}", server.url.replace("://", "://me:secret@")),
        sha256,
    };
    let mut setup = setup();
    assert_eq!(
        setup.error(&url("go.tar.gz", None)),
        format!(
            "{}/go.tar.gz has neither a SHA-256 nor a pin, expected one of them",
            server.url
        )
    );
    assert!(
        setup
            .open(&url("go.tar.gz", sha(&tar_gz())))
            .unwrap()
            .contains("http://127")
    );
    let wrong = setup.open(&url("go.tar.gz", sha(b"")));
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Mismatch);
    setup.pin.h1 = h1();
    assert!(setup.open(&url("go.tar.gz", None)).is_ok());
    setup.pin.sha256 = sha(&tar_gz());
    let before = server.requests().len();
    assert!(setup.open(&url("go.tar.gz", None)).is_ok());
    assert_eq!(server.requests().len(), before, "it is in the cache");
    assert!(setup.open(&url("go.zip", None)).is_ok());
    setup.no_cache = true;
    assert!(
        setup
            .error(&url("go.zip", None))
            .contains("has to be downloaded")
    );
    let local = setup.file("go.tar.gz", &tar_gz());
    let local = SourceSpec::Url {
        url: format!("file://{}", local.display()),
        sha256: None,
    };
    assert_eq!(
        setup.open(&local).unwrap(),
        "tar.gz go.tar.gz: VERSION [8] go1.26.5"
    );
}

#[test]
fn the_index_selects_the_file_and_the_pin_must_match() {
    let server = TestServer::start(|_, request, stream| {
        if request.path.starts_with("/dl/?") {
            assert_eq!(request.path, "/dl/?mode=json&include=all");
            let json = format!(
                r#"[{{"version":"go1.26.5","files":[{{"filename":"go1.26.5.linux-amd64.tar.gz",
                "os":"linux","arch":"amd64","sha256":"{}","kind":"archive"}}]}}]"#,
                digest::of(&tar_gz())
            );
            serve(request, stream, json.as_bytes());
        } else {
            assert_eq!(request.path, "/dl/go1.26.5.linux-amd64.tar.gz");
            serve(request, stream, &tar_gz());
        }
    });
    for base in ["/dl", "/dl/"] {
        let mut setup = setup();
        let index = SourceSpec::Index {
            base: format!("{}{base}", server.url),
        };
        setup.pin.sha256 = sha(b"");
        assert_eq!(setup.open(&index).unwrap_err().kind(), ErrorKind::Mismatch);
        setup.pin.sha256 = None;
        let shown = setup.open(&index).unwrap();
        let name = format!("{}/dl/go1.26.5.linux-amd64.tar.gz", server.url);
        assert_eq!(shown, format!("tar.gz {name}: VERSION [8] go1.26.5"));
        setup.pin.sha256 = sha(&tar_gz());
        let before = server.requests().len();
        assert_eq!(setup.open(&index).unwrap(), shown);
        assert_eq!(server.requests().len(), before, "no network is needed");
    }
}

#[test]
fn modules_come_from_the_proxies_in_order() {
    let status = |status: &'static str| {
        TestServer::start(move |_, _, s| respond(s, status, "content-length: 0\r\n", b""))
    };
    let (gone, broken) = (status("410 Gone"), status("403 No"));
    let good = TestServer::start(|_, request, stream| {
        assert_eq!(request.path, format!("/p{ZIP_PATH}"));
        serve(request, stream, &zip());
    });
    let mut setup = setup();
    let mut run = |list: String| {
        setup.goproxy = Some(list);
        setup.module().map_err(|error| chain(&error))
    };
    let good_url = format!("{}/p", good.url);
    assert!(
        run(format!("{},{good_url}", broken.url))
            .unwrap_err()
            .contains("status 403")
    );
    assert!(
        run(format!("{},direct", gone.url))
            .unwrap_err()
            .contains("status 410")
    );
    assert!(
        run(format!("{}|{}", broken.url, gone.url))
            .unwrap_err()
            .contains("status 403")
    );
    insta::assert_snapshot!(run("off".to_owned()).unwrap_err(), @"golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64 may not be downloaded: GOPROXY is `off`");
    insta::assert_snapshot!(run(String::new()).unwrap_err(), @"the GOPROXY list is empty, expected at least one proxy URL, `direct` or `off`");
    let list = format!("{},{}|{good_url},direct", gone.url, broken.url);
    let expected = format!("zip {good_url}{ZIP_PATH}: VERSION [8] go1.26.5");
    assert_eq!(run(list).unwrap(), expected);
    assert_eq!(run(good_url).unwrap(), expected);
    assert_eq!(good.requests().len(), 1, "a module's version never changes");
    setup.goproxy = None;
    insta::assert_snapshot!(setup.module().unwrap_err(), @"golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64 has to come from a module proxy, expected a GOPROXY list");
    let other = SourceSpec::Module {
        path: "golang.org/x/net".to_owned(),
    };
    insta::assert_snapshot!(setup.error(&other), @"module `golang.org/x/net` holds no Go toolchains, expected `golang.org/toolchain`");
}

#[test]
fn a_directory_may_be_a_proxy() {
    let mut setup = setup();
    setup.file(&format!("proxy{ZIP_PATH}"), &zip());
    let url = |name: &str| format!("file://{}/{name}", setup.dir.path().display());
    setup.goproxy = Some(format!("{},{}", url("none"), url("proxy")));
    assert_eq!(
        setup.module().unwrap(),
        "zip v0.0.1-go1.26.5.linux-amd64.zip: VERSION [8] go1.26.5"
    );
    setup.pin.sha256 = sha(b"");
    assert_eq!(setup.module().unwrap_err().kind(), ErrorKind::Mismatch);
}
