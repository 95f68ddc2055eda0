//! Snapshots of the content of a repository, for comparison.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The refs and objects of a repository.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    refs: BTreeMap<String, String>,
    objects: Vec<String>,
}

impl State {
    /// Reads the refs and objects of a repository; returns an empty state if it does not exist.
    ///
    /// # Panics
    ///
    /// Panics if its `tmp` contains leftovers of a transaction, or if the stock `ostree fsck` finds damage.
    #[track_caller]
    pub fn of(repo: &Path) -> Self {
        let refs = Self::refs_of(repo);
        let mut objects = Vec::new();
        visit(&repo.join("objects"), "", &mut |name| {
            // libostree writes detached metadata beside the objects (`glnx_file_replace_contents_at`), and a kill leaves the
            // temporary file there. Neither fsck nor a client looks at it.
            if !name.contains("/tmp.") {
                objects.push(name.to_owned());
            }
        });
        objects.sort();
        if repo.join("config").exists() {
            assert_eq!(
                leftovers(repo),
                [""; 0],
                "left behind in {}",
                repo.display()
            );
            crate::ostree::ostree(repo, ["fsck", "--quiet"]);
        }
        Self { refs, objects }
    }

    /// Reads only the refs, below `refs/`; returns none if the repository does not exist.
    ///
    /// # Panics
    ///
    /// Panics if a ref cannot be read.
    pub fn refs_of(repo: &Path) -> BTreeMap<String, String> {
        let mut refs = BTreeMap::new();
        visit(&repo.join("refs"), "", &mut |name| {
            let text = fs::read_to_string(repo.join("refs").join(name)).expect("a ref");
            refs.insert(name.to_owned(), text.trim().to_owned());
        });
        refs
    }

    /// Returns the refs, below `refs/`, and the commits they name.
    pub fn refs(&self) -> &BTreeMap<String, String> {
        &self.refs
    }

    /// Asserts that refs and objects are identical.
    ///
    /// # Panics
    ///
    /// Panics if they differ.
    #[track_caller]
    pub fn assert_is(&self, before: &Self) {
        assert_eq!(self.refs, before.refs, "the refs have changed");
        let new: Vec<_> = self
            .objects
            .iter()
            .filter(|o| before.objects.binary_search(o).is_err())
            .collect();
        assert!(new.is_empty(), "new objects: {new:?}");
        assert_eq!(self.objects.len(), before.objects.len(), "objects are gone");
    }
}

/// Returns the leftovers of an interrupted transaction in a repository's `tmp`.
///
/// # Panics
///
/// Panics if the directory cannot be read.
pub fn leftovers(repo: &Path) -> Vec<String> {
    let entries = fs::read_dir(repo.join("tmp")).expect("the repository's tmp");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !["cache", ".ostree-go-pull.lock"].contains(&name.as_str()))
        // A ref that was being written, and the empty lock file of a staging folder that could not be deleted; libostree removes
        // both a day later.
        .filter(|name| !name.starts_with("ostree-go-ref-"))
        .filter(|name| !(name.starts_with("staging-") && name.ends_with("-lock")))
        .collect()
}

fn visit(folder: &Path, prefix: &str, with: &mut dyn FnMut(&str)) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let entry = entry.expect("an entry");
        let name = format!("{prefix}{}", entry.file_name().to_str().expect("UTF-8"));
        if entry.file_type().expect("a type").is_dir() {
            visit(&entry.path(), &format!("{name}/"), with);
        } else {
            with(&name);
        }
    }
}
