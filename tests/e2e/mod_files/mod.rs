//! The parsers of Go's module files and the changes of `gomod sync`, compared with the real go command.

mod compare;
mod inputs;

use compare::{Compared, go, read_by_go, run_go};
use inputs::{SYNCED, TRICKY, generated};
use ostree_go_sdk::gomod::{FileKind, GoMod, GoSum, ModulesTxt, Sync, escape_path, escape_version};
use ostree_go_sdk::module_zip::{ModuleZip, hash_directory, hash_go_mod};
use ostree_go_tests::mod_corpus::{MODULES, mod_corpus};
use ostree_go_tests::random::Random;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The number of files of the corpus that are compared, unless `OSTREE_GO_TEST_MOD_FILES` has another number: each one runs a
/// process. The others are read, but not compared.
const SAMPLE: usize = 40;

#[test]
fn tricky_files_are_read_as_by_go() {
    let Some(go) = go() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut compared = Compared::default();
    for text in TRICKY {
        for kind in [FileKind::Module, FileKind::Workspace] {
            compared.compare_text(&go, kind, folder.path(), text);
        }
    }
    assert!(
        compared.equal >= 30 && compared.refused >= 30,
        "{compared:?}"
    );
}

#[test]
fn generated_files_are_read_as_by_go() {
    let Some(go) = go() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new();
    let mut compared = Compared::default();
    for _ in 0..30 {
        let text = generated(&mut random);
        for kind in [FileKind::Module, FileKind::Workspace] {
            compared.compare_text(&go, kind, folder.path(), &text);
        }
    }
    eprintln!("{compared:?}");
}

#[test]
fn the_files_of_real_modules_are_read_as_by_go() {
    let Some(go) = go() else { return };
    let Some(corpus) = mod_corpus(&go) else {
        return;
    };
    let files = corpus.go_mods();
    assert!(files.len() > 1000, "{}", files.len());
    let wanted = std::env::var("OSTREE_GO_TEST_MOD_FILES");
    let wanted = wanted.map_or(SAMPLE, |text| text.parse().expect("a number of files"));
    let wanted = wanted.min(files.len());
    // Other files in each run, one of each of `wanted` parts.
    let mut random = Random::new();
    let mut compared = Compared::default();
    for part in 0..wanted {
        let [start, end] = [part, part + 1].map(|part| part * files.len() / wanted);
        let offset = usize::try_from(random.below((end - start) as u64)).unwrap();
        compared.compare(&go, FileKind::Module, &files[start + offset]);
    }
    assert!(
        compared.equal >= wanted / 2 && compared.refused <= wanted / 10,
        "{compared:?}"
    );
    // Those that are not compared can be read.
    for file in files {
        let parsed = GoMod::parse(&fs::read(&file).unwrap());
        assert!(parsed.is_ok(), "{}: {parsed:?}", file.display());
    }
}

#[test]
fn the_hashes_of_real_modules_are_those_of_go() {
    let Some(go) = go() else { return };
    let Some(corpus) = mod_corpus(&go) else {
        return;
    };
    assert_eq!(corpus.downloads.len(), MODULES.len());
    for download in &corpus.downloads {
        let of = |field: &str| download[field].as_str().unwrap();
        let (path, version) = (of("Path"), of("Version"));
        let name = format!("{path}@{version}");
        let zip = ModuleZip::open(Path::new(of("Zip")), path, version).unwrap();
        assert_eq!(zip.h1().to_string(), of("Sum"), "{name}");
        let dir = Path::new(of("Dir"));
        assert_eq!(hash_directory(dir, &name).unwrap(), zip.h1(), "{name}");
        let go_mod = fs::read(of("GoMod")).unwrap();
        assert_eq!(hash_go_mod(&go_mod).to_string(), of("GoModSum"), "{name}");
        for file in zip.files().keys() {
            assert!(dir.join(file).is_file(), "{file}");
        }
        // The escaped forms are the names in the module cache.
        let escaped = (escape_path(path).unwrap(), escape_version(version).unwrap());
        let expected = corpus.cache.join(format!("{}@{}", escaped.0, escaped.1));
        assert_eq!(
            dir.canonicalize().unwrap(),
            expected.canonicalize().unwrap()
        );
    }
}

/// The SDK has two modules with vendored dependencies.
#[test]
fn the_vendored_modules_of_an_sdk_are_those_in_its_files() {
    let Some(go) = go() else { return };
    let goroot = go.parent().and_then(Path::parent).unwrap();
    for folder in ["src", "src/cmd"] {
        let folder = goroot.join(folder);
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let vendored = ModulesTxt::parse(&read("vendor/modules.txt")).unwrap();
        let file = GoMod::parse(&read("go.mod")).unwrap();
        let required: BTreeSet<_> = file
            .require
            .into_iter()
            .map(|one| (one.path, Some(one.version)))
            .collect();
        let sums = GoSum::parse(&read("go.sum")).unwrap();
        assert!(!vendored.is_workspace && !vendored.modules.is_empty());
        let mut found = BTreeSet::new();
        for module in vendored.modules {
            assert!(
                module.is_explicit && module.go.is_some() && !module.packages.is_empty(),
                "{module:?}"
            );
            for package in &module.packages {
                assert!(package.starts_with(&module.path), "{package}");
                assert!(folder.join("vendor").join(package).is_dir(), "{package}");
            }
            let version = module.version.clone().unwrap();
            assert!(sums.h1(&module.path, &version).is_some(), "{module:?}");
            assert!(
                sums.go_mod_h1(&module.path, &version).is_some(),
                "{module:?}"
            );
            found.insert((module.path, module.version));
        }
        assert!(found.is_subset(&required), "{found:?}");
    }
}

/// `go mod edit` formats the file again, so what is read from the files is compared, and not their text.
#[test]
fn synced_files_have_the_lines_that_go_mod_edit_writes() {
    let Some(go) = go() else { return };
    for (kind, text) in SYNCED {
        for version in ["1.26.5", "1.26.5-acme1"] {
            for sets_go in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let (name, command) = match kind {
                    FileKind::Module => ("go.mod", "mod"),
                    FileKind::Workspace => ("go.work", "work"),
                };
                let file = folder.path().join(name);
                fs::create_dir(folder.path().join("a")).unwrap();
                fs::write(folder.path().join("a/go.mod"), "module a\n").unwrap();
                fs::write(&file, text).unwrap();
                let edited = folder.path().join("edited");
                fs::write(&edited, text).unwrap();

                let sync = Sync::new(version)
                    .directories([folder.path().to_owned()])
                    .go(sets_go);
                let changed = sync.plan().unwrap().execute().unwrap();
                let after = &changed[0].after;
                // The rule of Go: a toolchain line that the go line implies is left out.
                let toolchain = format!("go{version}");
                let is_implied = after.go.as_deref() == Some(version);
                let toolchain = if is_implied { "none" } else { &toolchain };
                let mut args = vec![
                    command.to_owned(),
                    "edit".to_owned(),
                    format!("-toolchain={toolchain}"),
                ];
                if sets_go {
                    args.push("-go=1.26.5".to_owned());
                }
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                run_go(&go, &args, &edited).unwrap();

                let context = format!("{text:?}, {version}, {sets_go}");
                let expected = read_by_go(&go, *kind, &edited).unwrap();
                assert_eq!(
                    read_by_go(&go, *kind, &file).unwrap(),
                    expected,
                    "{context}"
                );
                // The go command leaves the toolchain out of the JSON of a workspace.
                let lines = |file: &Path| {
                    let parsed = GoMod::parse_versions(&fs::read(file).unwrap()).unwrap();
                    (
                        parsed.go.map(|line| line.text),
                        parsed.toolchain.map(|line| line.text),
                    )
                };
                assert_eq!(lines(&file), lines(&edited), "{context}");
            }
        }
    }
}
