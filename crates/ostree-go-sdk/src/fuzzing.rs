//! Entry points of the fuzz targets. They are not part of the public API.
//!
//! Errors are expected; panics are bugs.

use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::fs::path::TreePath;
use crate::golang::build_info::BuildInfo;
use crate::golang::index::DownloadIndex;
use crate::golang::modfile::{Edit, FileKind, GoMod, GoWork, LineChange, Value, edit};
use crate::golang::modules_txt::ModulesTxt;
use crate::golang::osv::{
    Entry as OsvEntry, EntryName, ModuleIndex, Platform, STDLIB, TOOLCHAIN, parse_modified,
};
use crate::golang::std_cache::StdCacheIndex;
use crate::golang::sum_file::{GoSum, SumEntry};
use crate::golang::sumdb::{LogProof, Lookup, SUM_GOLANG_ORG, VerifierKey};
use crate::golang::version_file::VersionFile;
use crate::golang::version_manager::VERSION_MANAGER_FILES;
use crate::id::CommitId;
use crate::inspect::{Binary, Requirement};
use crate::object::{Commit, DirHeader, DirTree, dirmeta_mode, parse_archived};
use crate::oci::go_cache::RestoredStdCache;
use crate::oci::image_source::ImageSource;
use crate::oci::tar::{Entry, LayerQuota, Reader};
use crate::treefile::{Recipe, Treefile};
use crate::version::GoVersion;
use glib::prelude::*;
use std::io;
use std::path::Path;

pub use crate::attest::fuzz::attestation;
pub use crate::delta::format::fuzz::delta;
pub use crate::deploy::fuzz::state;
#[cfg(feature = "proxy")]
pub use crate::goproxy::fuzz::{proxy_policy, proxy_request};
pub use crate::http::fuzz::http_headers;
pub use crate::module_zip::fuzz::module_zip;
pub use crate::pull::fuzz::{delta_apply, image, summary};
pub use crate::registry::fuzz::{challenge, credentials};
pub use crate::reproduce::fuzz::program;
pub use crate::sign::fuzz::{pkcs11_uri, signature};
pub use crate::source::fuzz::{rpm, tar, zip};
pub use crate::stdcache::fuzz::cacheprog;

/// Parses a file with statements about keys. Each statement is written as it was read.
pub fn key_transitions(bytes: &[u8]) {
    crate::remote::key_transitions(bytes);
}

/// Parses a recipe and its treefile. One that is accepted is written as a recipe that is equal to it.
pub fn recipe(bytes: &[u8]) {
    let Ok(recipe) = Recipe::parse(&String::from_utf8_lossy(bytes)) else {
        return;
    };
    let again = Recipe::parse(&recipe.to_text());
    assert_eq!(again.as_ref().ok(), Some(&recipe));
    let _ = recipe.treefile(Path::new("/files"), Vec::new(), &mut |_| true);
}

/// Parses a `VERSION` file.
pub fn version_file(bytes: &[u8]) {
    let _ = VersionFile::parse(bytes);
}

/// Parses a `go.mod` file and a `go.work` file. The lines that select a Go are the same in both, also
/// if the others are not read. Edited files have the requested lines.
pub fn modfile(bytes: &[u8]) {
    let versions = GoMod::parse_versions(bytes);
    if let Ok(module) = GoMod::parse(bytes) {
        let lines = versions.as_ref().map(|file| (&file.go, &file.toolchain));
        assert_eq!(lines, Ok((&module.go, &module.toolchain)));
    }
    if let Ok(work) = GoWork::parse(bytes) {
        let lines = versions.as_ref().map(|file| (&file.go, &file.toolchain));
        assert_eq!(lines, Ok((&work.go, &work.toolchain)));
    }
    let changes = Edit {
        go: LineChange::Set("1.26.5".to_owned()),
        toolchain: LineChange::Set("go1.27.1-acme1".to_owned()),
    };
    for kind in [FileKind::Module, FileKind::Workspace] {
        if let Ok(edited) = edit(bytes, kind, &changes) {
            let file = GoMod::parse_versions(&edited).expect("an edited file is valid");
            let text = |value: Option<Value>| value.map(|value| value.text);
            assert_eq!(text(file.go).as_deref(), Some("1.26.5"));
            assert_eq!(text(file.toolchain).as_deref(), Some("go1.27.1-acme1"));
        }
    }
}

/// Parses a `go.sum` file, and finds all of its lines.
pub fn go_sum(bytes: &[u8]) {
    if let Ok(sum) = GoSum::parse(bytes) {
        for SumEntry {
            path,
            version,
            is_go_mod,
            ..
        } in &sum.entries
        {
            let found = match is_go_mod {
                true => sum.go_mod_h1(path, version),
                false => sum.h1(path, version),
            };
            assert!(found.is_some());
        }
    }
}

/// Parses a `vendor/modules.txt` file.
pub fn modules_txt(bytes: &[u8]) {
    let _ = ModulesTxt::parse(bytes);
}

/// Reads a program, and the lines about modules in build information.
pub fn build_info(bytes: &[u8]) {
    if let Ok(binary) = Binary::from_bytes("program", bytes) {
        let unmet = binary.unmet(&[
            Requirement::Static,
            Requirement::NoWx,
            Requirement::CleanVcs,
        ]);
        assert!(unmet.iter().all(|one| !one.found.is_empty()), "{unmet:?}");
    }
    if let Ok(build) = BuildInfo::parse("go1.26.5", &String::from_utf8_lossy(bytes)) {
        let _ = (build.godebug(), build.version(), build.experiments());
    }
}

/// Returns a small program with build information, which is no input of a target but a seed.
#[must_use]
pub fn toy_program() -> Vec<u8> {
    crate::inspect::toy::Toy::default().bytes()
}

/// Parses the files of version managers.
pub fn version_manager(bytes: &[u8]) {
    for file in VERSION_MANAGER_FILES {
        let _ = file.parse(bytes);
    }
}

/// Parses a download index and selects an archive.
pub fn index(bytes: &[u8]) {
    if let (Ok(index), Ok(version)) = (DownloadIndex::parse(bytes), "1.26.5".parse()) {
        let _ = index.archive(&version, Arch::X86_64);
    }
}

/// Parses the documents of a vulnerability database. The release that fixes an entry is not affected by it.
pub fn osv(bytes: &[u8]) {
    let modules = [STDLIB, TOOLCHAIN];
    let _ = (ModuleIndex::parse(bytes, &modules), parse_modified(bytes));
    let Ok(name) = EntryName::parse("GO-2026-0001") else {
        return;
    };
    let Ok(entry) = OsvEntry::parse(bytes, &name, &modules) else {
        return;
    };
    let platform = Platform::linux(Arch::X86_64);
    for version in ["1.0", "1.20.1", "1.26.5", "1.27rc1", "1.99.1-acme1"] {
        let version: GoVersion = version.parse().expect("a version of Go");
        let effect = entry.effect(&version, &modules, &platform);
        let fixed = effect.and_then(|effect| effect.fixed);
        if let Some(Ok(fixed)) = fixed.map(|fixed| fixed.parse::<GoVersion>()) {
            let after = entry.effect(&fixed, &modules, &platform);
            assert!(after.is_none_or(|after| !after.on_platform), "{fixed}");
        }
    }
}

/// Parses a list of module proxies.
pub fn proxy(bytes: &[u8]) {
    let _ = crate::golang::proxy::parse_list(&String::from_utf8_lossy(bytes));
}

/// Parses a path and resolves a symlink at this path.
pub fn tree_path(bytes: &[u8]) {
    let Some((path, target)) = bytes.split_at_checked(bytes.len() / 2) else {
        return;
    };
    if let (Ok(path), Ok(target)) = (TreePath::from_bytes(path), std::str::from_utf8(target)) {
        let _ = path.resolve_link(target).map(|to| path.link_to(&to));
    }
}

/// Parses and verifies the proof of a release. Each proof is written so that it is read as the same one.
pub fn log_proof(bytes: &[u8]) {
    let Ok(proof) = LogProof::parse(&String::from_utf8_lossy(bytes)) else {
        return;
    };
    let again = LogProof::parse(&proof.to_string());
    assert_eq!(again.as_ref().ok(), Some(&proof));
    if let Some(key) = VerifierKey::parse(SUM_GOLANG_ORG) {
        let _ = proof.verify(&key);
    }
}

/// Parses a response of a checksum database, and verifies it with tiles that consist of zeros.
pub fn sumdb(bytes: &[u8]) {
    if let Some(key) = VerifierKey::parse(SUM_GOLANG_ORG) {
        let _ = Lookup::open(bytes, &key);
    }
    if let Ok(lookup) = Lookup::unsigned(bytes) {
        let tiles = lookup.tiles().into_iter();
        let tiles = tiles.map(|tile| (tile, vec![0; tile.size()])).collect();
        let _ = lookup
            .prove(&tiles)
            .and_then(|record| record.h1("golang.org/toolchain", "v0.0.1-go1.26.5.linux-amd64"));
    }
}

/// Parses a treefile that cannot include other files.
pub fn treefile(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = Treefile::parse(&text, Path::new("go.yaml"), &mut |_| {
        Err(io::ErrorKind::NotFound.into())
    });
}

/// Parses a commit, a directory tree, directory metadata, and the header of an archived file.
pub fn object(bytes: &[u8]) {
    let variant = |kind| {
        let kind = glib::VariantTy::new(kind).ok()?;
        Some(glib::Variant::from_bytes_with_type(
            &glib::Bytes::from(bytes),
            kind,
        ))
    };
    if let Some(commit) = variant("(a{sv}aya(say)sstayay)") {
        let _ = Commit::parse(&commit);
    }
    if let Some(tree) = variant("(a(say)a(sayay))") {
        let _ = DirTree::parse(&tree);
    }
    if let Some(meta) = variant("(uuua(ayay))") {
        let _ = (dirmeta_mode(&meta), DirHeader::parse(&meta));
    }
    let _ = parse_archived(bytes).map(|(header, ..)| (header.is_valid(), header.to_composed()));
}

/// Reads the tar archive of an image layer.
pub fn layer(bytes: &[u8]) {
    let quota = LayerQuota::default();
    let mut reader = Reader::new(bytes, &quota);
    while let Ok(Some(entry)) = reader.next() {
        if let Entry::File(_, _, size) = entry {
            let _ = io::copy(&mut reader.content(size), &mut io::sink());
        }
    }
    restore_std_cache(bytes);
}

/// Restores a std cache from the archive of a layer.
fn restore_std_cache(bytes: &[u8]) {
    let quota = LayerQuota::default();
    let mut reader = Reader::new(bytes, &quota).shared_directories(true);
    let mut cache = RestoredStdCache::new(TreePath::from_trusted("usr".to_owned()));
    while let Ok(Some(entry)) = reader.next() {
        let Entry::File(path, _, size) = entry else {
            continue;
        };
        let mut content = Vec::new();
        let _ = io::copy(&mut reader.content(size), &mut content);
        if cache.output(&path).is_none() {
            let _ = cache.add_action(&path, &content);
        }
    }
    let (_, index) = cache.index();
    let index = String::from_utf8_lossy(&index);
    assert!(index.parse::<StdCacheIndex>().is_ok(), "{index}");
}

/// Parses the source of an image.
pub fn image_source(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let source = ImageSource::parse(&text).map(|source| source.to_string());
    if let Ok(text) = source {
        assert!(ImageSource::parse(&text).is_ok(), "{text}");
    }
}

/// Parses the metadata of a commit (`a{sv}`) as `list` and `show` do, and merges it as an overlay
/// does.
pub fn metadata(bytes: &[u8]) {
    let bytes = glib::Bytes::from(bytes);
    let metadata = glib::Variant::from_bytes_with_type(&bytes, glib::VariantTy::VARDICT);
    let none =
        glib::Variant::from_bytes_with_type(&glib::Bytes::from(&[]), glib::VariantTy::BYTE_STRING);
    let related = glib::Variant::array_from_iter_with_type(
        glib::VariantTy::new("(say)").unwrap_or(glib::VariantTy::VARIANT),
        std::iter::empty::<glib::Variant>(),
    );
    let checksum = || glib::Variant::array_from_fixed_array(&[7_u8; 32]);
    let commit = glib::Variant::tuple_from_iter([
        metadata,
        none,
        related,
        "".to_variant(),
        "".to_variant(),
        0_u64.to_variant(),
        checksum(),
        checksum(),
    ]);
    if let Some(commit) = Commit::parse(&commit) {
        let id = CommitId::from(crate::id::Sha256([7; 32]));
        let info = CommitInfo::from_commit(id, &commit);
        let _ = crate::catalog::image_metadata(&[info], Vec::new());
    }
}
