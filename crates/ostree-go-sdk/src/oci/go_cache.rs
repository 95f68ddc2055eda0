//! A std cache in the form of Go's build cache, as in a layer of an image.
//!
//! Source of the layout: `cmd/go/internal/cache/cache.go` of Go 1.26. The file `xx/ACTION-a` names the
//! output of an action, and `xx/OUTPUT-d` contains it; `xx` are the first two digits of the name. Both are
//! enough to restore the std cache: its index lists the actions, and its other files are the outputs.

use crate::fs::path::TreePath;
use crate::golang::std_cache::{StdCacheEntry, StdCacheIndex};
use crate::id::Sha256;

/// The directory of the build cache in an image.
pub(crate) const GO_CACHE: &str = "var/cache/go-build";
/// The size of the file of an action in bytes. Source: `entrySize` in `cache.go`.
pub(crate) const ACTION_SIZE: u64 = 2 + 1 + 64 + 1 + 64 + 1 + 20 + 1 + 20 + 1;

/// The end of the name of an action's file.
const ACTION: char = 'a';
/// The end of the name of an output's file.
const OUTPUT: char = 'd';

/// Returns the path of the file for an action.
pub(crate) fn action_path(action: Sha256) -> TreePath {
    file(action, ACTION)
}

/// Returns the path of the file with an output.
pub(crate) fn output_path(output: Sha256) -> TreePath {
    file(output, OUTPUT)
}

fn file(name: Sha256, end: char) -> TreePath {
    let name = name.to_string();
    TreePath::from_trusted(format!("{GO_CACHE}/{}/{name}-{end}", &name[..2]))
}

/// Returns the content of the file for an action. The time, in nanoseconds, only matters for results of
/// tests.
pub(crate) fn action_text(action: Sha256, entry: StdCacheEntry) -> String {
    format!("v1 {action} {} {:20} {:20}\n", entry.output, entry.size, 0)
}

/// The std cache that is being restored from a build cache.
#[derive(Debug)]
pub(crate) struct RestoredStdCache {
    /// The directory of the std cache in its tree.
    dir: TreePath,
    index: StdCacheIndex,
}

impl RestoredStdCache {
    /// Creates an empty std cache, given its directory in the tree.
    pub(crate) fn new(dir: TreePath) -> Self {
        Self {
            dir,
            index: StdCacheIndex::default(),
        }
    }

    /// Returns the path in the std cache of a file with an output; `None` for every other file.
    pub(crate) fn output(&self, path: &TreePath) -> Option<TreePath> {
        let (output, end) = parse(path)?;
        (end == OUTPUT).then(|| {
            let path = StdCacheIndex::output_path(output);
            TreePath::from_trusted(path).below(&self.dir)
        })
    }

    /// Adds the file of an action to the index.
    ///
    /// # Errors
    /// Returns the problem if the file is not that of an action. All files but those of outputs are
    /// expected to be.
    pub(crate) fn add_action(&mut self, path: &TreePath, text: &[u8]) -> Result<(), String> {
        let parsed = parse(path).filter(|(_, end)| *end == ACTION);
        let (action, _) = parsed.ok_or_else(|| not_in_a_build_cache(path))?;
        let entry = std::str::from_utf8(text).ok().and_then(parse_entry);
        // The exact form, so that it is known what the go command reads.
        let entry = entry.filter(|entry| action_text(action, *entry).as_bytes() == text);
        let entry =
            entry.ok_or_else(|| format!("entry `{path}` is not an action of Go's cache"))?;
        self.index.0.insert(action, entry);
        Ok(())
    }

    /// Returns the path and the content of the index.
    pub(crate) fn index(&self) -> (TreePath, Vec<u8>) {
        let path = TreePath::from_trusted(StdCacheIndex::FILE_NAME.to_owned());
        (path.below(&self.dir), self.index.to_string().into_bytes())
    }
}

/// Returns the problem of a path that no build cache contains.
pub(crate) fn not_in_a_build_cache(path: &TreePath) -> String {
    format!("entry `{path}` is not a file of a build cache in /{GO_CACHE}")
}

/// Parses the path of an action or an output, with the end of its name.
fn parse(path: &TreePath) -> Option<(Sha256, char)> {
    let end = path.as_str().chars().next_back()?;
    let name = path.file_name().get(..64)?;
    let sha256: Sha256 = name.parse().ok()?;
    (file(sha256, end) == *path).then_some((sha256, end))
}

/// Parses `v1 ACTION OUTPUT SIZE TIME`, without the action.
fn parse_entry(text: &str) -> Option<StdCacheEntry> {
    let mut words = text.split_ascii_whitespace().skip(2);
    Some(StdCacheEntry {
        output: words.next()?.parse().ok()?,
        size: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(digits: &str) -> Sha256 {
        digits.repeat(32).parse().unwrap()
    }

    fn restored() -> RestoredStdCache {
        let dir = "usr/lib/sdk/stdcache/go-1.26/x86_64-plain";
        RestoredStdCache::new(dir.parse().unwrap())
    }

    #[test]
    fn an_action_has_the_form_of_go() {
        let entry = StdCacheEntry {
            output: sha256("ab"),
            size: 166,
        };
        let text = action_text(sha256("01"), entry);
        let expected = format!(
            "v1 {} {} {}166 {}0\n",
            "01".repeat(32),
            "ab".repeat(32),
            " ".repeat(17),
            " ".repeat(19)
        );
        assert_eq!(text, expected);
        assert_eq!(text.len() as u64, ACTION_SIZE);
    }

    #[test]
    fn the_files_of_a_build_cache_restore_index_and_outputs() {
        let mut cache = restored();
        for (action, output, size) in [("02", "cd", 0), ("01", "ab", u64::MAX)] {
            let (action, output) = (sha256(action), sha256(output));
            let text = action_text(action, StdCacheEntry { output, size });
            let path = action_path(action);
            assert_eq!(cache.output(&path), None);
            cache.add_action(&path, text.as_bytes()).unwrap();
            let path = cache.output(&output_path(output)).unwrap();
            let expected = StdCacheIndex::output_path(output);
            assert!(
                path.as_str()
                    .ends_with(&format!("/x86_64-plain/{expected}"))
            );
        }
        let (path, index) = cache.index();
        assert_eq!(
            path.as_str(),
            "usr/lib/sdk/stdcache/go-1.26/x86_64-plain/index"
        );
        let parsed: StdCacheIndex = String::from_utf8(index).unwrap().parse().unwrap();
        assert_eq!(parsed.0.len(), 2);
        assert_eq!(parsed.0[&sha256("01")].size, u64::MAX);
    }

    #[test]
    fn other_files_and_actions_in_another_form_are_refused() {
        let action = sha256("01");
        let entry = StdCacheEntry {
            output: sha256("ab"),
            size: 1,
        };
        let text = action_text(action, entry);
        let digits = "01".repeat(32);
        for (path, text) in [
            (action_path(action), text.replace("v1", "v2")),
            (action_path(action), text.replace(" 0\n", " 1\n")),
            (action_path(action), text.trim_end().to_owned()),
            (action_path(sha256("02")), text.clone()),
            (action_path(action), String::new()),
            (
                format!("{GO_CACHE}/02/{digits}-a").parse().unwrap(),
                text.clone(),
            ),
            (
                format!("{GO_CACHE}/01/{digits}-x").parse().unwrap(),
                text.clone(),
            ),
            (
                format!("{GO_CACHE}/01/{digits}-aa").parse().unwrap(),
                text.clone(),
            ),
            (format!("{GO_CACHE}/README").parse().unwrap(), text.clone()),
            ("etc/passwd".parse().unwrap(), text.clone()),
        ] {
            let mut cache = restored();
            assert_eq!(cache.output(&path), None, "{path}");
            let problem = cache.add_action(&path, text.as_bytes()).unwrap_err();
            assert!(problem.starts_with(&format!("entry `{path}` is not")));
            assert_eq!(cache.index().1, b"ostree-go stdcache 1\n");
        }
    }
}
