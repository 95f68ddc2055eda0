use super::*;
use crate::compose::Compose;
use crate::kind::ErrorKind;
use crate::module_zip::ModuleZip;
use crate::repo::RepoMode;
use crate::treefile::Treefile;
use std::fs;
use std::path::PathBuf;

const VERSION: &str = "v0.0.1-go1.26.5.linux-amd64";
const GO_ENV: &str =
    "GOPROXY=https://proxy.golang.org,direct\nGOSUMDB=sum.golang.org\nGOTOOLCHAIN=auto\n";

/// A repository with releases, and the directory of their source.
struct Fixture {
    folder: tempfile::TempDir,
    repo: Repo,
}

impl Fixture {
    fn new(mode: RepoMode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repo::create(folder.path().join("repo"), mode).unwrap();
        let fixture = Self { folder, repo };
        fixture.write("go.env", GO_ENV);
        // The header of a program for x86_64.
        fixture.write(
            "bin/go",
            "\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0",
        );
        fixture.write("bin/empty", "");
        fixture.write("src/go.mod", "module std\n");
        fixture.write("src/a.go", &"package a // repeated\n".repeat(50_000));
        fixture.write("src/all.bash", "#!/bin/bash\n");
        fixture.write("test/b.go", "package b\n");
        fixture.write("doc/c.md", "# C\n");
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path("go").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Composes the source with further lines in the treefile, and returns the commit of the release.
    fn compose(&self, version: &str, lines: &str) -> CommitId {
        self.write(
            "VERSION",
            &format!("go{version}\ntime 2026-07-01T21:24:27Z\n"),
        );
        let path = self.path("go.yaml");
        let text = format!(
            "version: {version}\narches: [x86_64]\nsource: [{{ path: go }}]\nlayers:\n  common:\n    \
             include: [VERSION, go.env, bin, src, test, doc]\n{lines}\n"
        );
        fs::write(&path, text).unwrap();
        let treefile = Treefile::load(&path).unwrap();
        let plan = Compose::new(treefile).sumdb(None).replace(true);
        plan.plan(&self.repo).unwrap().execute().unwrap().releases[0].commit
    }

    fn toolchains(&self) -> Toolchains {
        Toolchains::of_repo(&self.repo)
    }

    /// Writes the zip file of the release, and returns its path and size.
    fn zip(&self, name: &str) -> (PathBuf, ToolchainZip) {
        let zip = self.toolchains().zip(VERSION).unwrap().unwrap();
        let mut bytes = Vec::new();
        zip.write_to(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, zip.size());
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        (path, zip)
    }

    /// Returns the file of the object with the content of `src/a.go`.
    fn object(&self) -> PathBuf {
        let tree = crate::upstream::content::Tree::read(&self.repo, self.release()).unwrap();
        let (_, id) = tree
            .files
            .iter()
            .find(|(path, _)| path.as_str().ends_with("src/a.go"))
            .unwrap();
        self.repo.file_object_path(*id)
    }

    fn release(&self) -> CommitId {
        self.toolchains().zip(VERSION).unwrap().unwrap().commit()
    }
}

const MODES: [RepoMode; 2] = [RepoMode::Archive, RepoMode::BareUserOnly];

fn text(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8(bytes.unwrap()).unwrap()
}

#[test]
fn releases_are_versions_of_the_module() {
    let fixture = Fixture::new(RepoMode::Archive);
    let toolchains = fixture.toolchains();
    assert!(toolchains.list().unwrap().is_empty());
    fixture.compose("1.26.10", "");
    let commit = fixture.compose("1.26.5", "channels: [go/stable]");
    assert_eq!(
        toolchains.list().unwrap(),
        [VERSION, "v0.0.1-go1.26.10.linux-amd64"]
    );
    assert_eq!(
        text(toolchains.info(VERSION).unwrap()),
        format!("{{\"Version\":\"{VERSION}\",\"Time\":\"2026-07-01T21:24:27Z\"}}\n")
    );
    assert_eq!(
        text(toolchains.go_mod(VERSION).unwrap()),
        "module golang.org/toolchain\n"
    );
    assert_eq!(toolchains.zip(VERSION).unwrap().unwrap().commit(), commit);
    for unknown in [
        "v0.0.1-go1.26.5.linux-arm64",
        "v0.0.1-go1.26.5.windows-amd64",
        "v0.0.1-go1.26.6.linux-amd64",
        "v0.0.2-go1.26.5.linux-amd64",
        "v0.0.1-go1.26.05.linux-amd64",
        "latest",
        "",
    ] {
        assert_eq!(toolchains.info(unknown).unwrap(), None, "{unknown}");
        assert_eq!(toolchains.go_mod(unknown).unwrap(), None, "{unknown}");
        assert!(toolchains.zip(unknown).unwrap().is_none(), "{unknown}");
    }
}

#[test]
fn a_variant_is_served_only_where_go_s_own_release_is_missing() {
    let fixture = Fixture::new(RepoMode::Archive);
    let variant = fixture.compose("1.26.5", "variant: acme1");
    assert_eq!(fixture.toolchains().list().unwrap(), [VERSION]);
    assert_eq!(fixture.release(), variant);
    let release = fixture.compose("1.26.5", "");
    assert_eq!(fixture.release(), release);
}

#[test]
fn the_zip_is_the_module_of_the_source() {
    for mode in MODES {
        let fixture = Fixture::new(mode);
        fixture.compose("1.26.5", "");
        let (path, zip) = fixture.zip("a.zip");
        let module = ModuleZip::open(&path, MODULE, VERSION).unwrap();
        assert_eq!(module.h1(), zip.h1());
        let names: Vec<_> = module.files().keys().map(String::as_str).collect();
        let expected = [
            "VERSION",
            "bin/empty",
            "bin/go",
            "go.env",
            "src/_go.mod",
            "src/a.go",
            "src/all.bash",
        ];
        assert_eq!(names, expected, "{mode}");
        let mut archive = zip::ZipArchive::new(fs::File::open(&path).unwrap()).unwrap();
        for index in 0..archive.len() {
            let file = archive.by_index(index).unwrap();
            let name = file.name().unwrap();
            let executable = ["bin/go", "bin/empty", "all.bash"]
                .iter()
                .any(|end| name.ends_with(end));
            let mode = if executable { 0o100_755 } else { 0o100_644 };
            assert_eq!(file.unix_mode(), Some(mode), "{name}");
        }
        // The bytes depend on nothing else.
        let (other, _) = fixture.zip("b.zip");
        assert_eq!(fs::read(path).unwrap(), fs::read(other).unwrap());
    }
}

#[test]
fn compressed_files_are_sent_as_the_repository_has_them() {
    let sizes = MODES.map(|mode| {
        let fixture = Fixture::new(mode);
        fixture.compose("1.26.5", "");
        fixture.zip("a.zip").1.size()
    });
    assert!(sizes[0] < 100_000 && sizes[1] > 1_000_000, "{sizes:?}");
}

#[test]
fn settings_of_a_treefile_are_undone() {
    for mode in MODES {
        let fixture = Fixture::new(mode);
        let lines = "  site:\n    go-env: { GOTOOLCHAIN: local, GOFLAGS: -v }";
        fixture.compose("1.26.5", lines);
        let (path, zip) = fixture.zip("a.zip");
        let module = ModuleZip::open(&path, MODULE, VERSION).unwrap();
        assert_eq!(module.h1(), zip.h1());
        assert_eq!(
            module.files()["go.env"],
            crate::fs::digest::of(GO_ENV.as_bytes())
        );
    }
}

#[test]
fn content_with_another_hash_is_refused() {
    let fixture = Fixture::new(RepoMode::Archive);
    fs::write(fixture.path("more"), "more\n").unwrap();
    // Files that a treefile adds to the SDK are no part of Go's module.
    let lines = "  site:\n    add-files: [{ path: /usr/lib/sdk/go-1.26/lib/more, from: more }]";
    let commit = fixture.compose("1.26.5", lines);
    let error = fixture.toolchains().zip(VERSION).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    let said = error.to_string();
    let expected = format!("commit {commit} has `sdk.h1` h1:");
    assert!(said.starts_with(&expected), "{said}");
    let module = format!("but golang.org/toolchain@{VERSION} with its files would have h1:");
    assert!(said.contains(&module), "{said}");
}

#[test]
fn damaged_objects_are_found_before_the_first_byte() {
    for mode in MODES {
        let fixture = Fixture::new(mode);
        fixture.compose("1.26.5", "");
        let object = fixture.object();
        let good = fs::read(&object).unwrap();
        fs::remove_file(&object).unwrap();
        let missing = fixture.toolchains().zip(VERSION).unwrap_err();
        assert!(
            matches!(missing, ToolchainModuleError::Repo(_)),
            "{missing:?}"
        );
        let mut bad = good.clone();
        let last = bad.len() - 3;
        bad[last] ^= 1;
        for bad in [
            &bad[..],
            &good[..good.len() / 2],
            &[good.clone(), vec![0]].concat(),
            b"",
        ] {
            fs::write(&object, bad).unwrap();
            let found = fixture.toolchains().zip(VERSION);
            // libostree ignores what follows a compressed stream.
            let harmless = mode == RepoMode::Archive && bad.len() > good.len();
            assert_eq!(found.is_ok(), harmless, "{mode}: {found:?}");
        }
    }
}

#[test]
fn objects_that_change_later_end_the_file_early() {
    for mode in MODES {
        let fixture = Fixture::new(mode);
        fixture.compose("1.26.5", "");
        let zip = fixture.toolchains().zip(VERSION).unwrap().unwrap();
        let object = fixture.object();
        let mut bytes = fs::read(&object).unwrap();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        fs::remove_file(&object).unwrap();
        fs::write(&object, bytes).unwrap();
        let mut out = Vec::new();
        let error = zip.write_to(&mut out).unwrap_err();
        assert!((out.len() as u64) < zip.size());
        let said = error.to_string();
        assert!(
            said.starts_with("object ") && said.ends_with(" was changed while it was being sent"),
            "{said}"
        );
        assert_eq!(error.kind(), ErrorKind::Damaged);
        let path = fixture.path("cut.zip");
        fs::write(&path, out).unwrap();
        assert!(ModuleZip::open(&path, MODULE, VERSION).is_err());
    }
}

#[test]
fn a_client_that_leaves_is_an_error_of_its_own() {
    struct Closed(usize);
    impl Write for Closed {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            match self.0.checked_sub(bytes.len()) {
                Some(left) => self.0 = left,
                None => return Err(std::io::ErrorKind::BrokenPipe.into()),
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let fixture = Fixture::new(RepoMode::Archive);
    fixture.compose("1.26.5", "");
    let zip = fixture.toolchains().zip(VERSION).unwrap().unwrap();
    for room in [0, 100, 1000] {
        let error = zip.write_to(&mut Closed(room)).unwrap_err();
        assert!(matches!(error, ToolchainModuleError::Write(_)), "{error:?}");
        assert_eq!(error.to_string(), "cannot send the zip file");
    }
}

#[test]
fn partial_releases_are_not_offered() {
    let fixture = Fixture::new(RepoMode::Archive);
    let commit = fixture.compose("1.26.5", "");
    let toolchains = fixture.toolchains();
    assert_eq!(toolchains.list().unwrap().len(), 1);
    fixture
        .repo
        .mark_partial([commit], crate::repo::Partial::Unfinished)
        .unwrap();
    assert!(toolchains.list().unwrap().is_empty());
    assert_eq!(toolchains.info(VERSION).unwrap(), None);
    fixture.repo.unmark_partial([commit]).unwrap();
    assert!(toolchains.zip(VERSION).unwrap().is_some());
}

#[test]
fn threads_share_the_modules() {
    let fixture = Fixture::new(RepoMode::Archive);
    fixture.compose("1.26.5", "");
    let toolchains = fixture.toolchains();
    let read = || {
        let mut bytes = Vec::new();
        let zip = toolchains.zip(VERSION).unwrap().unwrap();
        zip.write_to(&mut bytes).unwrap();
        bytes
    };
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(all.iter().all(|bytes| *bytes == all[0]));
}
