//! The Go modules that an SDK contains: the vendored ones of the standard library and of its commands.

use super::error::AttestError;
use crate::checkout::Listing;
use crate::fs::path::TreePath;
use crate::golang::h1::H1;
use crate::golang::modules_txt::ModulesTxt;
use crate::golang::sum_file::GoSum;
use crate::id::{CommitId, FileId};
use crate::object::FileHasher;
use crate::repo::Repo;
use std::collections::BTreeMap;

/// The folders of the SDK's own modules, `std` and `cmd`, each with `go.sum` and `vendor/modules.txt`.
const FOLDERS: [&str; 2] = ["src", "src/cmd"];
/// The largest file that is read, in bytes. Those of Go 1.26 have less than 8 kB.
const MAX_SIZE: u64 = 4 << 20;

/// A module whose packages the SDK contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VendoredModule {
    pub(super) path: String,
    pub(super) version: String,
    /// The hash in `go.sum`, if there is one.
    pub(super) h1: Option<H1>,
    /// The folders with the packages, relative to the SDK's: `src/vendor`.
    pub(super) folders: Vec<String>,
}

/// Reads the vendored modules of the SDK in a commit, sorted by path and version. An SDK without them
/// has none.
pub(super) fn read(repo: &Repo, commit: CommitId) -> Result<Vec<VendoredModule>, AttestError> {
    let files = files(repo, commit)?;
    let Some(goroot) = goroot(&files) else {
        return Ok(Vec::new());
    };
    let mut modules: BTreeMap<(String, String), VendoredModule> = BTreeMap::new();
    for folder in FOLDERS {
        let read = |name: &str| -> Result<Option<(TreePath, Vec<u8>)>, AttestError> {
            let path = format!("{goroot}/{folder}/{name}").parse::<TreePath>();
            let found = path.ok().and_then(|path| files.get_key_value(&path));
            found
                .map(|(path, id)| Ok((path.clone(), content(repo, path, *id)?)))
                .transpose()
        };
        let Some((path, text)) = read("vendor/modules.txt")? else {
            continue;
        };
        let vendored = ModulesTxt::parse(&text).map_err(|error| invalid(&path, &error))?;
        let sums = match read("go.sum")? {
            Some((path, text)) => GoSum::parse(&text).map_err(|error| invalid(&path, &error))?,
            None => GoSum::default(),
        };
        for module in vendored.modules {
            // A replacement is what the packages are from.
            let (path, version) = match module.replacement {
                Some(other) => (other.path, other.version),
                None => (module.path, module.version),
            };
            let Some(version) = version else {
                continue;
            };
            let h1 = sums.h1(&path, &version);
            let h1 = h1.and_then(|text| text.parse().ok());
            let entry = modules.entry((path.clone(), version.clone()));
            let entry = entry.or_insert_with(|| VendoredModule {
                path,
                version,
                h1,
                folders: Vec::new(),
            });
            entry.h1 = entry.h1.or(h1);
            entry.folders.push(format!("{folder}/vendor"));
        }
    }
    Ok(modules.into_values().collect())
}

/// Lists the files of a commit.
fn files(repo: &Repo, commit: CommitId) -> Result<BTreeMap<TreePath, FileId>, AttestError> {
    let listing = Listing::read(repo, commit)?;
    if let Some((_, object)) = listing.damaged.into_iter().next() {
        return Err(AttestError::Damaged { commit, object });
    }
    let mut files = BTreeMap::new();
    for directory in listing.dirs {
        for (name, id) in directory.files {
            let path = directory.path.join(name);
            // Other paths cannot be those of an SDK.
            if let Some(path) = path.to_str().and_then(|path| path.parse().ok()) {
                files.insert(path, id);
            }
        }
    }
    Ok(files)
}

/// Returns the folder of the SDK: the one with `VERSION` and `bin/go`.
fn goroot(files: &BTreeMap<TreePath, FileId>) -> Option<TreePath> {
    let versions = files.keys().filter(|path| path.file_name() == "VERSION");
    let mut folders = versions.filter_map(TreePath::parent);
    folders.find(|folder| files.contains_key(&folder.join("bin").join("go")))
}

/// Reads a file, and checks it against its checksum.
fn content(repo: &Repo, path: &TreePath, id: FileId) -> Result<Vec<u8>, AttestError> {
    let mut file = repo.file(id)?;
    let bytes = file.read_to_end(MAX_SIZE + 1)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(AttestError::File {
            path: path.clone(),
            problem: format!("it has more than {MAX_SIZE} bytes"),
        });
    }
    let mut hasher = FileHasher::framed(&file.header.framed());
    hasher.update(&bytes);
    match hasher.finish() == id {
        true => Ok(bytes),
        false => Err(AttestError::File {
            path: path.clone(),
            problem: format!("it is damaged in the repository: object {id}"),
        }),
    }
}

fn invalid(path: &TreePath, error: &dyn std::error::Error) -> AttestError {
    AttestError::File {
        path: path.clone(),
        problem: error.to_string(),
    }
}
